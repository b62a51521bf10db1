"""What is to be done at a time: one heap and one timer for any number of entries."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable

logger = logging.getLogger("hardpoint.hub")

MAX_SLEEP_S = 60.0
"""The timer follows the loop's clock, the entries the wall clock: one that was set forward is noticed this soon."""


class Agenda:
    """Calls functions when their time has come, in its order. An entry cannot be taken back: the function looks whether
    there is still something to do, which costs nothing until then.
    """

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._entries: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_ms = 0
        self._running = False

    def __len__(self) -> int:
        return len(self._entries)

    def start(self) -> None:
        """Follow the running loop's clock from now on."""
        self._running = True
        self._arm()

    def close(self) -> None:
        """Call nothing more."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def at(self, due_ms: int, call: Callable[[], None]) -> None:
        """Call it at that time, or as soon as possible when that is past."""
        heapq.heappush(self._entries, (due_ms, next(self._numbers), call))
        if self._running and (self._timer is None or due_ms < self._armed_ms):
            self._arm()

    def run_due(self, now_ms: int) -> None:
        """Call what is due by then; what raises is logged, and holds up nothing."""
        while self._entries and self._entries[0][0] <= now_ms:
            _, _, call = heapq.heappop(self._entries)
            try:
                call()
            except Exception:
                logger.exception("something that was due failed")

    def next_ms(self) -> int | None:
        """When something is due next; None: nothing is."""
        return self._entries[0][0] if self._entries else None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._running and self._entries:
            self._armed_ms = self._entries[0][0]
            delay_s = min(max(0.0, (self._armed_ms - self._clock_ms()) / 1000), MAX_SLEEP_S)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.run_due(self._clock_ms())
        self._arm()
