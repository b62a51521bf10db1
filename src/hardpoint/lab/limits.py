"""What bounds descriptors and threads on this machine."""

from __future__ import annotations

import os
import resource
from pathlib import Path

MAPS_A_THREAD = 2
"""A thread's stack is one mapping and the guard page below it another."""
FREE_DESCRIPTORS = 64
"""Left to a process beside its connections: pipes, the poller, the listener, files that Python opens."""


def raise_descriptor_limit() -> int:
    """Let this process and its children have as many descriptors as they may; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, 65_536, 10_240):  # macOS says "infinity" and then takes no more than OPEN_MAX
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            continue
        break
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


def thread_limit() -> str:
    """The lowest of the limits that a new thread may have met, with its number."""
    found = {
        "kernel.threads-max": _number("/proc/sys/kernel/threads-max"),
        "kernel.pid_max": _number("/proc/sys/kernel/pid_max"),
        "vm.max_map_count, two maps a thread": _number("/proc/sys/vm/max_map_count", MAPS_A_THREAD),
        "pids.max of the control group": _number(f"/sys/fs/cgroup{_control_group()}/pids.max"),
    }
    processes, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if processes != resource.RLIM_INFINITY and os.geteuid() != 0:  # the kernel does not hold root to it
        found["ulimit -u"] = processes
    known = [(number, name) for name, number in found.items() if number is not None]
    if not known:
        return "this system does not tell its limit of threads"
    number, name = min(known)
    return f"the lowest limit of threads here is {number:,} ({name})"


def _control_group() -> str:
    """The path of this process's control group, as ``/user.slice``, or nothing."""
    try:
        lines = Path("/proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return ""
    return next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "").rstrip("/")


def _number(path: str, divisor: int = 1) -> int | None:
    """What a file of the kernel holds, divided; None for "max" or no such file."""
    try:
        return int(Path(path).read_text("ascii")) // divisor
    except (OSError, ValueError):
        return None
