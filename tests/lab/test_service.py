from __future__ import annotations

from pathlib import Path

import pytest

from hardpoint.hardware.thermal import Thermal
from hardpoint.lab import service
from hardpoint.lab.service import Service


def with_zones(monkeypatch: pytest.MonkeyPatch, root: Path) -> Service:
    monkeypatch.setattr(service, "Thermal", lambda: Thermal(root))
    return Service()


def test_a_line_is_answered_with_the_temperature_of_the_first_zone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    zone = tmp_path / "thermal_zone0"
    zone.mkdir()
    (zone / "type").write_text("x86_pkg_temp\n")
    (zone / "temp").write_text("45250\n")
    made = with_zones(monkeypatch, tmp_path)
    assert made.answer(b"temp?\n") in (b"45.2\n", b"45.3\n")
    assert made.sensor == "the first thermal zone of this machine"


def test_a_machine_without_a_zone_says_that_it_makes_it_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = with_zones(monkeypatch, tmp_path)
    assert made.sensor.startswith("made up, because")
    assert 40.0 <= float(made.answer(b"temp?\n")) <= 50.0


def test_a_zone_that_sleeps_is_stood_in_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    zone = tmp_path / "thermal_zone0"
    zone.mkdir()
    (zone / "type").write_text("x86_pkg_temp\n")
    made = with_zones(monkeypatch, tmp_path)  # there is no temp to read
    assert 40.0 <= float(made.answer(b"temp?\n")) <= 50.0


@pytest.mark.parametrize(("data", "lines"), [(b"temp", 0), (b"?\n", 1), (b"a\nb\nc", 2), (b"\n\n\n", 3)])
def test_each_end_of_a_line_is_one_answer(data: bytes, lines: int) -> None:
    assert Service().answer(data).count(b"\n") == lines


def test_the_first_reason_is_kept() -> None:
    made = Service()
    made.refuse("one")
    made.refuse("two")
    assert (made.refused, made.why) == (2, "one")
