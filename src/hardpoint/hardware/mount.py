"""The mount: every driver that this machine can use, read together."""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

from .. import registry
from ..model import Value, checked_key, checked_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .base import Driver

logger = logging.getLogger("hardpoint.hardware")

MAX_KEYS_PER_DRIVER = 256
"""A server with 64 cores and a shelf of disks has some 150 sensors on its largest chip driver."""


class Mount:
    """Drivers that were probed and found usable. Every method may block and may be called from any thread."""

    def __init__(self, drivers: Mapping[str, Callable[[], Driver]]) -> None:
        """Makes and probes each driver: name → what makes it. Whatever one raises leaves out that one only."""
        self.left_out: dict[str, str] = {}
        """Drivers this machine cannot use: name → why."""
        self.failures: dict[str, int] = {}
        """Drivers that were left out of a round: name → how many rounds."""
        self._drivers: dict[str, Driver] = {}
        self._failing: set[str] = set()
        self._lock = threading.Lock()
        for name, make in drivers.items():
            try:
                driver = make()
                reason = driver.probe()
            except ImportError as error:
                reason = f"needs {error.name}, which is not installed" if error.name else str(error)
            except Exception as error:  # noqa: BLE001 - a driver of another package may raise anything
                reason = f"{type(error).__name__}: {error}"
            else:
                if reason is None:
                    self._drivers[name] = driver
                    continue
            self.left_out[name] = reason

    @property
    def mounted(self) -> tuple[str, ...]:
        """The names of the drivers in use, in the order in which they are read."""
        return tuple(self._drivers)

    def read(self) -> dict[str, Value]:
        """One round: key → value. Where two drivers know a key, the earlier one's value stands.

        A driver that raises, or gives a key or a value that cannot be stored, is left out of the round, counted in
        `failures`, and logged when it begins to fail and when it works again.
        """
        values: dict[str, Value] = {}
        # One round at a time: drivers keep the last round's counters, and a bus answers one question at a time.
        with self._lock:
            for name, driver in self._drivers.items():
                try:
                    found = _checked(driver)
                except Exception as error:  # noqa: BLE001 - as above
                    self.failures[name] = self.failures.get(name, 0) + 1
                    if name not in self._failing:
                        self._failing.add(name)
                        logger.warning(
                            "driver %s is left out while it fails: %s: %s", name, type(error).__name__, error
                        )
                    continue
                if name in self._failing:
                    self._failing.discard(name)
                    logger.info("driver %s works again", name)
                for key, value in found.items():
                    values.setdefault(key, value)
        return values


def _checked(driver: Driver) -> dict[str, Value]:
    """What a driver reads, each key and value as the hub will want it.

    Raises:
        BadInput: one is not.
        ValueError: more than `MAX_KEYS_PER_DRIVER`.
    """
    found: dict[str, Value] = {}
    for key, value in driver.read():
        found.setdefault(checked_key(key), checked_value(value))
        if len(found) > MAX_KEYS_PER_DRIVER:
            raise ValueError(f"more than {MAX_KEYS_PER_DRIVER} keys")
    return found


def mount_host() -> Mount:
    """Everything in ``registry.DRIVERS`` and in installed packages that this machine can use. Blocks for some 50 ms."""
    return Mount({name: partial(_make, name) for name in registry.names("drivers")})


def _make(name: str) -> Driver:
    driver: Driver = registry.load("drivers", name)()
    return driver
