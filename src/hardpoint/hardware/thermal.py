"""Thermal zones of the kernel: ``/sys/class/thermal/thermal_zone*/{type,temp}``, temp in thousandths of a degree
Celsius (https://docs.kernel.org/driver-api/thermal/sysfs-api.html).
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from .base import Driver, key_part

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path("/sys/class/thermal")

CPU_ZONE = re.compile(r"x86_pkg_temp|(cpu|soc)[0-9_-]*thermal.*|TCPU|bcm2835_thermal", re.ASCII)
"""The types of the zone that sits on the processor: Intel, most ARM device trees, Intel DPTF, old Raspberry Pi."""

ABSOLUTE_ZERO_MC = -273_150
"""At or below it stands for "no value": the kernel's THERMAL_TEMP_INVALID is -274000."""


def zones(root: Path = ROOT) -> list[tuple[Path, str]]:
    """``(folder, type)`` of every zone that says its type, in the order of their numbers."""
    found = []
    for folder in root.glob("thermal_zone[0-9]*"):
        try:
            found.append((folder, (folder / "type").read_text(encoding="utf-8", errors="replace").strip()))
        except OSError:
            continue
    return sorted(found, key=lambda zone: int(zone[0].name.removeprefix("thermal_zone")))


class Thermal(Driver):
    """``cpu.temp`` in °C for the processor's zone, ``thermal.<type>`` for every other one."""

    name: ClassVar[str] = "thermal"

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._keys: dict[Path, str] = {}

    def probe(self) -> str | None:
        """Finds the zones and names them once: a zone's number may change from boot to boot, its type does not."""
        found = zones(self._root)
        if not found:
            return f"{self._root} has no thermal zone, as on most virtual machines"
        seen: Counter[str] = Counter()
        for folder, kind in found:
            if CPU_ZONE.fullmatch(kind) and "cpu.temp" not in self._keys.values():
                self._keys[folder] = "cpu.temp"
                continue
            key = f"thermal.{key_part(kind)}"
            seen[key] += 1
            # Laptops have several zones of type "acpitz": the second is thermal.acpitz_2.
            self._keys[folder] = key if seen[key] == 1 else f"{key}_{seen[key]}"
        return None

    def read(self) -> Iterator[tuple[str, float]]:
        """Degrees Celsius of every zone that answers.

        Raises:
            OSError: none of them does.
        """
        refused: OSError | None = None
        answered = False
        for folder, key in self._keys.items():
            try:
                millidegrees = int((folder / "temp").read_text())
            except OSError as error:
                # A zone whose device sleeps (a modem, a Wi-Fi card) answers EAGAIN, EINVAL or ENODATA.
                refused = error
                continue
            answered = True
            if millidegrees > ABSOLUTE_ZERO_MC:
                yield key, millidegrees / 1000
        if refused is not None and not answered:
            raise refused
