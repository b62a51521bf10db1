"""The system's two clocks, as the hub takes them."""

from __future__ import annotations

import time


def wall_clock_ms() -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def steady_clock_ms() -> int:
    """Milliseconds that pass whatever the wall clock is set to. Their zero means nothing."""
    return time.monotonic_ns() // 1_000_000
