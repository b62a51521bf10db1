from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from hardpoint.lab import limits

if TYPE_CHECKING:
    import pytest


def test_the_descriptor_limit_is_raised_to_what_is_allowed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 500), hard))
        assert limits.raise_descriptor_limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_lowest_limit_of_threads_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"/proc/sys/kernel/threads-max": 9000, "/proc/sys/kernel/pid_max": 4000}
    monkeypatch.setattr(limits, "_number", lambda path, _divisor=1: numbers.get(path))
    monkeypatch.setattr(limits.os, "geteuid", lambda: 0)
    assert limits.thread_limit() == "the lowest limit of threads here is 4,000 (kernel.pid_max)"


def test_a_system_that_tells_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_number", lambda _path, _divisor=1: None)
    monkeypatch.setattr(limits.os, "geteuid", lambda: 0)
    assert "does not tell" in limits.thread_limit()
