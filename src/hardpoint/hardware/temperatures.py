"""Temperature sensors of the hardware monitor: ``/sys/class/hwmon`` by way of psutil."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import psutil

from .base import Driver, key_part
from .thermal import ROOT as THERMAL_ROOT
from .thermal import zones

if TYPE_CHECKING:
    from collections.abc import Iterator

HWMON_ROOT = Path("/sys/class/hwmon")

CPU_SENSORS = frozenset(
    {("coretemp", "Package id 0"), ("k10temp", "Tdie"), ("k10temp", "Tctl"), ("zenpower", "Tdie"), ("cpu_thermal", "")}
)
"""``(chip, label)`` of the sensor that stands for the processor: AMD's have no thermal zone."""


class Temperatures(Driver):
    """``temp.<chip>.<label>`` in °C of each sensor (``temp.nvme.Composite``), and ``cpu.temp`` of the processor's."""

    name: ClassVar[str] = "temperatures"

    def __init__(self, hwmon_root: Path = HWMON_ROOT, thermal_root: Path = THERMAL_ROOT) -> None:
        self._hwmon_root = hwmon_root
        self._thermal_root = thermal_root
        self._doubled: frozenset[str] = frozenset()

    def probe(self) -> str | None:
        """Without hwmon sensors psutil would read the thermal zones, which `thermal.Thermal` does already."""
        patterns = ("hwmon*/temp*_input", "hwmon*/device/temp*_input")
        if not any(any(self._hwmon_root.glob(pattern)) for pattern in patterns):
            return f"{self._hwmon_root} has no temperature sensor, as on most virtual machines"
        # The kernel shows each thermal zone in hwmon again, with "-" in its type written "_" (thermal_hwmon.c).
        self._doubled = frozenset(kind.replace("-", "_") for _, kind in zones(self._thermal_root))
        return None

    def read(self) -> Iterator[tuple[str, float]]:
        """A sensor without a label is named by its place on the chip; one of two of a name gets its place too."""
        for chip, sensors in psutil.sensors_temperatures().items():
            if chip in self._doubled:
                continue
            seen: set[str] = set()
            for place, sensor in enumerate(sensors, start=1):
                if (chip, sensor.label) in CPU_SENSORS:
                    yield "cpu.temp", sensor.current
                label = key_part(sensor.label) if sensor.label else str(place)
                if label in seen:
                    label = f"{label}_{place}"
                seen.add(label)
                yield f"temp.{key_part(chip)[:22]}.{label}", sensor.current
