"""What is to be done at a time: one heap and one timer for any number of entries.

Times are the wall clock's, for they are stored and shown. But what waits for five minutes must wait for five minutes
also when the clock is set meanwhile (a Raspberry Pi without a battery starts in the past): so a jump of the wall clock
against a steady one is noticed, everything that waits moves along, and whoever keeps times of his own is told.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable

logger = logging.getLogger("hardpoint.hub")

MAX_SLEEP_S = 60.0
"""The timer follows the loop's clock, the entries the wall clock: one that was set is noticed this soon."""
JUMP_MS = 2_000
"""A difference between the clocks from which on the wall clock was set. Below it, it is being slewed."""


class Agenda:
    """Calls functions when their time has come, in its order. ``steady_ms`` never jumps; its zero is anywhere."""

    def __init__(self, clock_ms: Callable[[], int], steady_ms: Callable[[], int] | None = None) -> None:
        self._clock_ms = clock_ms
        self._steady_ms = steady_ms or clock_ms
        self._offset_ms = clock_ms() - self._steady_ms()
        self._entries: list[tuple[int, int, Callable[[], None], object]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_ms = 0
        self._running = False
        self.on_jump: list[Callable[[int], None]] = []
        """Called with the milliseconds by which the wall clock was set, below 0 when back."""

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

    def now_ms(self) -> int:
        """The wall clock, after everything that waits has followed it."""
        now = self._clock_ms()
        drift_ms = now - self._steady_ms() - self._offset_ms
        if drift_ms:
            self._offset_ms += drift_ms
            if abs(drift_ms) >= JUMP_MS:
                self._jumped(drift_ms)
        return now

    def at(self, due_ms: int, call: Callable[[], None], about: object = None) -> None:
        """Call it at that time, or as soon as possible when that is past. ``about``: see `forget`."""
        self.now_ms()  # a clock that was set moves what waited before, and not this
        heapq.heappush(self._entries, (due_ms, next(self._numbers), call, about))
        if self._running and (self._timer is None or due_ms < self._armed_ms):
            self._arm()

    def forget(self, gone: Callable[[object], bool]) -> None:
        """Take back the entries about what is gone."""
        self._entries = [entry for entry in self._entries if entry[3] is None or not gone(entry[3])]
        heapq.heapify(self._entries)

    def run_due(self, now_ms: int) -> None:
        """Call what is due by then; what raises is logged, and holds up nothing."""
        while self._entries and self._entries[0][0] <= now_ms:
            call = heapq.heappop(self._entries)[2]
            try:
                call()
            except Exception:
                logger.exception("something that was due failed")

    def next_ms(self) -> int | None:
        """When something is due next; None: nothing is."""
        return self._entries[0][0] if self._entries else None

    def _jumped(self, by_ms: int) -> None:
        logger.warning("the clock was set by %+.1f s: what waits goes on waiting as long as before", by_ms / 1000)
        self._entries = [(entry[0] + by_ms, *entry[1:]) for entry in self._entries]  # all alike: still a heap
        for tell in self.on_jump:
            tell(by_ms)
        self._arm()

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
        self.run_due(self.now_ms())
        self._arm()
