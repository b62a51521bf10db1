"""What a process has cost so far, seen from outside."""

from __future__ import annotations

import sys
import time
from functools import cache

import psutil

CPUCLOCK_SCHED = 2
"""The kind of a process's CPU clock that counts what the scheduler gave it (include/linux/posix-timers.h)."""


def cpu_s(pid: int) -> float:
    """User and system time of all threads of the process.

    On Linux by the clock that ``clock_getcpuclockid(3)`` makes of the number, in nanoseconds: /proc/PID/stat counts in
    hundredths of a second, which is more than a whole measurement of epoll may use.
    """
    if sys.platform == "linux":
        return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)
    times = _process(pid).cpu_times()
    return times.user + times.system


def resident_bytes(pid: int) -> int:
    """Memory of the process that is in RAM. The kernel's own for its sockets and threads is not in it."""
    resident: int = _process(pid).memory_info().rss
    return resident


@cache
def _process(pid: int) -> psutil.Process:
    return psutil.Process(pid)
