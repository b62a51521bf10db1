"""A clock that stands still until it is told to go on."""

from __future__ import annotations

START_MS = 1_700_000_000_000
"""2023-11-14T22:13:20Z: a time stamp that looks like one when a test prints it."""


class FakeClock:
    """What takes a ``clock_ms`` takes this: called, it gives milliseconds since 1970-01-01 UTC.

    ::

        clock = FakeClock()
        hub = Hub(store, limits, clock_ms=clock)
        clock.advance(s=90)                   # a minute and a half later
    """

    __slots__ = ("now_ms",)

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now_ms = now_ms
        """Set it to jump, also backwards, as a real clock does when somebody corrects it."""

    def __call__(self) -> int:
        """The time it stands at."""
        return self.now_ms

    def advance(self, s: float = 0.0, ms: int = 0) -> int:
        """Go on by so many seconds and milliseconds; returns the new time."""
        self.now_ms += round(s * 1000) + ms
        return self.now_ms
