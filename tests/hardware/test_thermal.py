from __future__ import annotations

import pytest

from hardpoint.hardware.thermal import Thermal


def make_zones(root, *zones):
    for number, (kind, temp) in enumerate(zones):
        folder = root / f"thermal_zone{number}"
        folder.mkdir()
        (folder / "type").write_text(kind + "\n")
        if temp is None:
            (folder / "temp").mkdir()  # reading it fails with an OSError, as a sleeping device's zone does
        else:
            (folder / "temp").write_text(f"{temp}\n")


@pytest.mark.parametrize(
    "kind",
    [
        "x86_pkg_temp",
        "cpu-thermal",
        "cpu_thermal",
        "cpu0-thermal",
        "cpu-thermal-0",
        "soc-thermal",
        "soc_thermal",
        "TCPU",
    ],
)
def test_the_processors_zone_is_cpu_temp(tmp_path, kind):
    make_zones(tmp_path, ("acpitz", 27800), (kind, 48251))
    driver = Thermal(tmp_path)
    assert driver.probe() is None
    assert dict(driver.read()) == {"thermal.acpitz": 27.8, "cpu.temp": 48.251}


def test_zones_of_one_type_are_told_apart_in_the_order_of_their_numbers(tmp_path):
    make_zones(tmp_path, *[("acpitz", n * 1000) for n in range(11)])
    driver = Thermal(tmp_path)
    assert driver.probe() is None
    values = dict(driver.read())
    assert values["thermal.acpitz"] == 0
    assert values["thermal.acpitz_2"] == 1
    assert values["thermal.acpitz_11"] == 10


def test_the_second_processor_keeps_its_own_name(tmp_path):
    make_zones(tmp_path, ("x86_pkg_temp", 40000), ("x86_pkg_temp", 50000))
    driver = Thermal(tmp_path)
    driver.probe()
    assert dict(driver.read()) == {"cpu.temp": 40, "thermal.x86_pkg_temp": 50}


def test_a_zone_without_a_value_is_left_out(tmp_path):
    make_zones(tmp_path, ("cpu-thermal", 40000), ("iwlwifi_1", None), ("modem", -274000))
    driver = Thermal(tmp_path)
    driver.probe()
    assert dict(driver.read()) == {"cpu.temp": 40}


def test_no_zone_that_answers_is_a_failure(tmp_path):
    make_zones(tmp_path, ("iwlwifi_1", None))
    driver = Thermal(tmp_path)
    driver.probe()
    with pytest.raises(OSError):
        list(driver.read())


def test_a_machine_without_zones(tmp_path):
    (tmp_path / "cooling_device0").mkdir()
    assert Thermal(tmp_path).probe() == f"{tmp_path} has no thermal zone, as on most virtual machines"
    assert "no thermal zone" in Thermal(tmp_path / "none").probe()
