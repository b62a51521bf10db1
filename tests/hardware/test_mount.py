"""The mount with made-up drivers: left out, failing, bounded; and the real ones of this machine."""

from __future__ import annotations

import logging
import threading

import pytest

from hardpoint import registry
from hardpoint.hardware.base import Driver
from hardpoint.hardware.mount import MAX_KEYS_PER_DRIVER, Mount, mount_host
from hardpoint.model import KEY_PATTERN


class Fake(Driver):
    """Gives what `values` holds, or raises it."""

    name = "fake"

    def __init__(self, values, missing=None):
        self.values = values
        self.missing = missing

    def probe(self):
        if isinstance(self.missing, Exception):
            raise self.missing
        return self.missing

    def read(self):
        if isinstance(self.values, Exception):
            raise self.values
        yield from self.values.items()


def test_reads_every_driver_and_the_earlier_one_wins():
    mount = Mount({"a": lambda: Fake({"t": 1, "u": 2}), "b": lambda: Fake({"t": 3, "v": True})})
    assert mount.mounted == ("a", "b")
    assert mount.read() == {"t": 1, "u": 2, "v": True}
    assert mount.left_out == {}
    assert mount.failures == {}


def missing_module():
    raise ModuleNotFoundError("No module named 'smbus2'", name="smbus2")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Fake({}, missing="no such bus"), "no such bus"),
        (lambda: Fake({}, missing=PermissionError("/dev/i2c-1")), "PermissionError: /dev/i2c-1"),
        (missing_module, "needs smbus2, which is not installed"),
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
    ],
)
def test_what_cannot_be_used_is_left_out_with_its_reason(make, reason):
    mount = Mount({"bad": make, "good": lambda: Fake({"t": 1})})
    assert mount.left_out == {"bad": reason}
    assert mount.read() == {"t": 1}


def test_a_failing_driver_costs_only_its_own_values_and_is_logged_once(caplog):
    bad = Fake({"a": 1})
    mount = Mount({"bad": lambda: bad, "good": lambda: Fake({"t": 1})})
    with caplog.at_level(logging.INFO, logger="hardpoint.hardware"):
        bad.values = OSError("bus error")
        assert mount.read() == {"t": 1}
        assert mount.read() == {"t": 1}
        bad.values = {"a": 2}
        assert mount.read() == {"a": 2, "t": 1}
    assert mount.failures == {"bad": 2}
    assert [record.getMessage() for record in caplog.records] == [
        "driver bad is left out while it fails: OSError: bus error",
        "driver bad works again",
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"not a key": 1},
        {"k" * 65: 1},
        {"t": float("nan")},
        {f"k{n}": n for n in range(MAX_KEYS_PER_DRIVER + 1)},
    ],
    ids=["bad-key", "long-key", "nan", "too-many"],
)
def test_what_could_not_be_stored_is_a_failure_of_the_driver(values):
    mount = Mount({"bad": lambda: Fake(values)})
    assert mount.read() == {}
    assert mount.failures == {"bad": 1}


def test_rounds_do_not_overlap():
    inside = threading.Semaphore(0)
    go_on = threading.Semaphore(0)
    running = []

    class Slow(Fake):
        def read(self):
            running.append(threading.get_ident())
            inside.release()
            assert go_on.acquire(timeout=60)
            assert running == [threading.get_ident()]
            running.clear()
            yield "t", 1

    mount = Mount({"slow": lambda: Slow({})})
    results = []
    threads = [threading.Thread(target=lambda: results.append(mount.read())) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert inside.acquire(timeout=60)
    go_on.release(2)
    for thread in threads:
        thread.join(60)
    assert results == [{"t": 1}, {"t": 1}]
    assert mount.failures == {}


def test_this_machine():
    """Whatever it is: it has load, memory and a root, each driver is mounted or says why not, and keys are valid."""
    mount = mount_host()
    assert set(mount.mounted) | set(mount.left_out) == set(registry.names("drivers"))
    values = mount.read()
    assert values.keys() >= {"load.1m", "mem.percent", "disk.root.percent"}
    assert all(KEY_PATTERN.fullmatch(key) for key in values)
    assert mount.failures == {}


@pytest.mark.parametrize("name", list(registry.DRIVERS))
def test_each_driver_knows_its_registry_name(name):
    assert registry.load("drivers", name).name == name
