"""How many readings a second came lately, so that a page has a past to draw from the moment it opens.

A timer looks at the hub's counter; nothing is counted a second time where readings come in.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .hub import Hub

SAMPLE_S = 10.0
MAX_SAMPLES = 90
"""A quarter of an hour, in 90 steps: as many as a line the size of a thumb can show."""
LEAST_READINGS = 100_000
"""Below so many a database is mostly its empty pages, and says nothing of what a reading takes."""
DAY_S = 86_400


class Sample(NamedTuple):
    """Readings a second, over the `SAMPLE_S` seconds until ``at_ms``."""

    at_ms: int
    per_s: float


class Pace:
    """The samples of one hub, the oldest first. Used on its loop's thread."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._counted = 0
        self._counted_at_s = 0.0
        self.samples: deque[Sample] = deque(maxlen=MAX_SAMPLES)

    def begin(self) -> None:
        """Look from now on."""
        self._counted, self._counted_at_s = self._hub.readings_total, self._loop.time()
        self._timer = self._loop.call_later(SAMPLE_S, self._sample)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def per_s(self) -> float | None:
        """Readings a second over all samples; None before the first one."""
        return sum(sample.per_s for sample in self.samples) / len(self.samples) if self.samples else None

    def days_until(self, grown_bytes: float, size_bytes: int, readings: int) -> float | None:
        """In how many days a store of so many bytes, which holds so many readings, has grown by ``grown_bytes``, at
        this pace and if nothing is dropped. None where too little has come to say, or nothing comes.
        """
        per_s = self.per_s
        if not per_s or not size_bytes or readings < LEAST_READINGS:
            return None
        return round(max(0.0, grown_bytes) / (size_bytes / readings * per_s * DAY_S), 1)

    def _sample(self) -> None:
        count, now_s = self._hub.readings_total, self._loop.time()
        # By the time that has really passed: a busy loop calls late.
        per_s = (count - self._counted) / max(now_s - self._counted_at_s, 0.001)
        self.samples.append(Sample(self._hub.clock_ms(), round(per_s, 3)))
        self._counted, self._counted_at_s = count, now_s
        self._timer = self._loop.call_later(SAMPLE_S, self._sample)
