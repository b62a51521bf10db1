"""How busy the processor is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import psutil

from .base import MIN_RATE_WINDOW_S, Driver

if TYPE_CHECKING:
    from collections.abc import Iterator


class Load(Driver):
    """``load.1m`` ``load.5m`` ``load.15m`` (runnable tasks, as ``uptime`` says) and ``cpu.percent`` of all cores
    since the last round.
    """

    name: ClassVar[str] = "load"

    def __init__(self) -> None:
        self._busy_s = self._total_s = 0.0
        self._percent: float | None = None

    def probe(self) -> str | None:
        """Every machine has it; the first look at the counters starts the first window."""
        self._busy_s, self._total_s = cpu_seconds()
        return None

    def read(self) -> Iterator[tuple[str, float]]:
        """Leaves ``cpu.percent`` out until `MIN_RATE_WINDOW_S` of CPU time has passed since the probe."""
        for minutes, load in zip((1, 5, 15), psutil.getloadavg(), strict=True):
            yield f"load.{minutes}m", round(load, 2)
        # Not psutil.cpu_percent(None): it keeps its window per thread (psutil #1703), and we are read from a pool.
        busy_s, total_s = cpu_seconds()
        window_s = total_s - self._total_s
        if window_s >= MIN_RATE_WINDOW_S:
            # iowait may fall (proc(5) says so), and a suspended guest's clock may jump: keep within what can be.
            self._percent = round(min(100.0, max(0.0, 100 * (busy_s - self._busy_s) / window_s)), 1)
            self._busy_s, self._total_s = busy_s, total_s
        elif window_s < 0:
            self._busy_s, self._total_s = busy_s, total_s
        if self._percent is not None:
            yield "cpu.percent", self._percent


def cpu_seconds() -> tuple[float, float]:
    """Seconds of CPU time since boot over all cores: busy, and all. Waiting for a disk is not busy."""
    times = psutil.cpu_times()._asdict()
    # guest and guest_nice are within user and nice already (proc(5)).
    total_s = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
    return total_s - times["idle"] - times.get("iowait", 0.0), total_s
