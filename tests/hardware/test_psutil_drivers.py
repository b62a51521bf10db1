"""Load, memory, disk, network and temperatures on made-up answers of psutil; test_mount.py reads the real ones."""

from __future__ import annotations

from typing import NamedTuple

import psutil
import pytest

from hardpoint.hardware import disk
from hardpoint.hardware.disk import Disk
from hardpoint.hardware.load import Load
from hardpoint.hardware.memory import Memory
from hardpoint.hardware.mount import Mount
from hardpoint.hardware.network import MAX_INTERFACES, Network
from hardpoint.hardware.temperatures import Temperatures


class CpuTimes(NamedTuple):
    user: float
    nice: float
    system: float
    idle: float
    iowait: float
    guest: float


class Usage(NamedTuple):
    free: int
    percent: float


class Partition(NamedTuple):
    device: str
    mountpoint: str
    fstype: str


class Interface(NamedTuple):
    isup: bool


class Counters(NamedTuple):
    bytes_sent: int
    bytes_recv: int


class Space(NamedTuple):
    total: int
    available: int
    percent: float


class Sensor(NamedTuple):
    label: str
    current: float


@pytest.fixture
def cpu(monkeypatch):
    times = {"now": CpuTimes(100, 0, 0, 900, 0, 0)}
    monkeypatch.setattr(psutil, "cpu_times", lambda: times["now"])
    monkeypatch.setattr(psutil, "getloadavg", lambda: (0.123, 1.5, 2.0))
    return times


def test_load_and_cpu_percent_between_two_rounds(cpu):
    driver = Load()
    assert driver.probe() is None
    assert dict(driver.read()) == {"load.1m": 0.12, "load.5m": 1.5, "load.15m": 2.0}
    # 10 s in all: 2 busy (1 of them a guest's, which user counts already), 5 idle, 3 waiting for the disk
    cpu["now"] = CpuTimes(102, 0, 0, 905, 3, 1)
    assert dict(driver.read())["cpu.percent"] == 20.0
    # too soon after: the same again
    cpu["now"] = CpuTimes(102.5, 0, 0, 905, 3, 1)
    assert dict(driver.read())["cpu.percent"] == 20.0


def test_cpu_percent_survives_counters_that_fall(cpu):
    driver = Load()
    driver.probe()
    cpu["now"] = CpuTimes(50, 0, 0, 100, 0, 0)
    assert "cpu.percent" not in dict(driver.read())
    cpu["now"] = CpuTimes(60, 0, 0, 100, 0, 0)
    assert dict(driver.read())["cpu.percent"] == 100.0
    cpu["now"] = CpuTimes(65, 0, 0, 110, -6, 0)
    assert dict(driver.read())["cpu.percent"] <= 100.0


def test_memory_and_swap(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Space(1000, 400, 60.0))
    monkeypatch.setattr(psutil, "swap_memory", lambda: Space(0, 0, 0.0))
    driver = Memory()
    assert driver.probe() is None
    assert dict(driver.read()) == {"mem.percent": 60.0, "mem.available_bytes": 400}
    monkeypatch.setattr(psutil, "swap_memory", lambda: Space(500, 0, 2.5))
    assert dict(driver.read())["swap.percent"] == 2.5


@pytest.fixture
def partitions(monkeypatch):
    listed = []
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: listed)
    monkeypatch.setattr(disk.os.path, "isdir", lambda path: not path.startswith("/etc"))
    monkeypatch.setattr(psutil, "disk_usage", lambda path: Usage(1000, 12.5))
    return listed


def test_each_disk_once_and_no_images_or_bind_mounted_files(partitions):
    partitions[:] = [
        Partition("/dev/sda2", "/var/lib/data", "ext4"),
        Partition("/dev/sda1", "/", "ext4"),
        Partition("/dev/sda1", "/srv/bind", "ext4"),
        Partition("/dev/loop0", "/snap/core/1", "squashfs"),
        Partition("/dev/sdb1", "/etc/hosts", "ext4"),
    ]
    assert disk.mount_points() == ["/", "/var/lib/data"]
    assert dict(Disk().read()) == {
        "disk.root.percent": 12.5,
        "disk.root.free_bytes": 1000,
        "disk.var_lib_data.percent": 12.5,
        "disk.var_lib_data.free_bytes": 1000,
    }


def test_disks_whose_names_come_out_alike_are_told_apart(partitions, monkeypatch):
    points = {"/": 1.0, "/root": 99.0, "/srv/a.b": 2.0, "/srv/a_b": 98.0}
    partitions[:] = [Partition(f"/dev/{n}", point, "ext4") for n, point in enumerate(points)]
    monkeypatch.setattr(psutil, "disk_usage", lambda path: Usage(1000, points[path]))
    read = Mount({"disk": Disk}).read()
    assert {key: value for key, value in read.items() if key.endswith("percent")} == {
        "disk.root.percent": 1.0,
        "disk.root_2.percent": 99.0,
        "disk.srv_a_b.percent": 2.0,
        "disk.srv_a_b_2.percent": 98.0,
    }


def test_a_containers_root_is_seen_though_it_is_no_disk(partitions):
    assert Disk().probe() is None
    assert disk.mount_points() == ["/"]


def test_file_systems_are_bounded(partitions):
    partitions[:] = [Partition(f"/dev/sd{n}", f"/mnt/{n}", "ext4") for n in range(100)]
    assert len(disk.mount_points()) == disk.MAX_FILE_SYSTEMS


def test_a_disk_that_went_away_is_left_out(partitions, monkeypatch):
    def gone(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(psutil, "disk_usage", gone)
    assert list(Disk().read()) == []


@pytest.fixture
def interfaces(monkeypatch):
    seen = {"lo": Counters(5, 5), "eth0": Counters(1000, 2000)}
    monkeypatch.setattr(psutil, "net_io_counters", lambda pernic: dict(seen))
    monkeypatch.setattr(psutil, "net_if_stats", lambda: {name: Interface(name != "eth9") for name in seen})
    return seen


def test_network_rates(interfaces):
    now = [0.0]
    driver = Network(lambda: now[0])
    assert driver.probe() is None
    assert list(driver.read()) == []
    now[0] = 10
    interfaces |= {"eth0": Counters(2000, 2500), "wlan0": Counters(1, 1), "veth12ab": Counters(9, 9)}
    assert dict(driver.read()) == {"net.eth0.sent_bytes_per_s": 100, "net.eth0.recv_bytes_per_s": 50}
    now[0] = 20
    interfaces["wlan0"] = Counters(11, 21)
    assert dict(driver.read())["net.wlan0.recv_bytes_per_s"] == 2


def test_an_interface_that_comes_back_starts_over(interfaces):
    now = [0.0]
    driver = Network(lambda: now[0])
    driver.probe()
    del interfaces["eth0"]
    now[0] = 10
    assert list(driver.read()) == []
    interfaces["eth0"] = Counters(10**9, 10**9)
    now[0] = 20
    assert list(driver.read()) == []


def test_only_the_loopback_or_none_up(interfaces):
    interfaces["eth9"] = interfaces.pop("eth0")
    assert Network().probe() == "no network interface but the loopback"


def test_interfaces_are_bounded(interfaces):
    interfaces |= {f"en{n}": Counters(0, 0) for n in range(100)}
    now = [0.0]
    driver = Network(lambda: now[0])
    driver.probe()
    now[0] = 10
    assert len(list(driver.read())) == 2 * MAX_INTERFACES


@pytest.fixture
def hwmon(tmp_path, monkeypatch):
    chip = tmp_path / "hwmon" / "hwmon0"
    chip.mkdir(parents=True)
    (chip / "temp1_input").write_text("45000\n")
    sensors = {}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: sensors, raising=False)
    return sensors, Temperatures(tmp_path / "hwmon", tmp_path / "thermal")


def test_temperatures_by_chip_and_label(hwmon):
    sensors, driver = hwmon
    sensors |= {
        "coretemp": [Sensor("Package id 0", 51.0), Sensor("Core 0", 49.0), Sensor("Core 0", 48.0)],
        "nvme": [Sensor("Composite", 38.9)],
        "iio_hwmon": [Sensor("", 20.0), Sensor("", 21.0)],
    }
    assert driver.probe() is None
    assert dict(driver.read()) == {
        "cpu.temp": 51.0,
        "temp.coretemp.Package_id_0": 51.0,
        "temp.coretemp.Core_0": 49.0,
        "temp.coretemp.Core_0_3": 48.0,
        "temp.nvme.Composite": 38.9,
        "temp.iio_hwmon.1": 20.0,
        "temp.iio_hwmon.2": 21.0,
    }


def test_thermal_zones_shown_again_in_hwmon_are_left_to_the_thermal_driver(hwmon, tmp_path):
    sensors, driver = hwmon
    zone = tmp_path / "thermal" / "thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("cpu-thermal\n")
    sensors |= {"cpu_thermal": [Sensor("", 50.0)]}
    driver.probe()
    assert list(driver.read()) == []


def test_a_machine_without_hwmon(tmp_path):
    assert "no temperature sensor" in Temperatures(tmp_path / "hwmon", tmp_path).probe()
