"""When sessions without a connection are to be looked at: their will may be due, or they are over.

A client that comes and goes leaves entries behind that mean nothing any more, for as long as its session may last,
which is a hundred years if it says so. They are cleared away whenever they are many more than there are sessions.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

from .session import NEVER_S, ClientSession

MIN_ENTRIES = 1_000
"""Below so many nothing is cleared away."""


class Endings:
    """A heap of times over the broker's sessions by key."""

    def __init__(self, sessions: Mapping[str, ClientSession]) -> None:
        self._sessions = sessions
        self._heap: list[tuple[int, str]] = []
        self._by_another_clock: set[str] = set()  # whose connection ended before this process began

    def __len__(self) -> int:
        return len(self._heap)

    def restored(self, session: ClientSession) -> None:
        """Expect the end of a session whose connection ended before the start."""
        self._by_another_clock.add(session.key)
        self.expect(session)

    def expect(self, session: ClientSession) -> None:
        """Look at it when its will or its end is due."""
        for due_ms in _times(session):
            heapq.heappush(self._heap, (due_ms, session.key))
        if len(self._heap) > 4 * len(self._sessions) + MIN_ENTRIES:  # each session has two at most
            self._begin_anew()

    def forget(self, session: ClientSession) -> None:
        """It has a connection again, or is over."""
        self._by_another_clock.discard(session.key)

    def due(self, now_ms: int) -> Iterator[ClientSession]:
        """The sessions to look at by then, one or several times."""
        while self._heap and self._heap[0][0] <= now_ms:
            session = self._sessions.get(heapq.heappop(self._heap)[1])
            if session is not None and session.client is None and session.ended_ms is not None:
                yield session

    def clock_jumped(self, by_ms: int) -> list[ClientSession]:
        """The wall clock was set: who lost the connection since the start did so as long ago as before. Returns them.
        What an earlier process has written down was by another clock, and stays.
        """
        moved = [
            session
            for session in self._sessions.values()
            if session.ended_ms is not None and session.key not in self._by_another_clock
        ]
        for session in moved:
            session.ended_ms = (session.ended_ms or 0) + by_ms
        self._begin_anew()
        return moved

    def _begin_anew(self) -> None:
        self._heap = [(due_ms, each.key) for each in self._sessions.values() for due_ms in _times(each)]
        heapq.heapify(self._heap)


def _times(session: ClientSession) -> Iterator[int]:
    if session.ended_ms is not None:
        if session.will is not None:
            yield session.ended_ms + session.will.delay_s * 1000
        if session.expiry_s != NEVER_S:
            yield session.ended_ms + session.expiry_s * 1000
