"""The process that is the load: each active connection sends a line, and the next one when it is due and the answer
to the one before has come.

The rate is the same for every model, so what differs is what it costs and how long an answer takes. A wait is counted
from the moment at which a line was due: a server that falls behind cannot make the load ask less, and look good.
"""

from __future__ import annotations

import heapq
import math
import selectors
import socket
import time
from typing import Any

from .children import answer_questions, arguments
from .costs import cpu_s
from .crowd import open_connection

LINE = b"temp?\n"
MAX_ANSWER_BYTES = 1024
DRAIN_S = 2.0
"""After the last line its answers are waited for, so that none of them falls into the next measurement."""
ACTIVE_SOURCE = 1
"""127.0.0.1: the crowd has the addresses above it."""


class Asker:
    """One active connection."""

    __slots__ = ("due", "since", "sock", "waiting")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.due = 0.0
        """When the next line is to be sent, in seconds of the monotonic clock."""
        self.since = 0.0
        """From when the wait for the answer counts."""
        self.waiting = False


class Load:
    """The active connections to one server."""

    def __init__(self, pid: int, port: int, active: int) -> None:
        self._pid = pid
        self._selector = selectors.DefaultSelector()
        self._askers = [Asker(open_connection(port, ACTIVE_SOURCE)) for _ in range(active)]
        for asker in self._askers:
            asker.sock.setblocking(False)
            asker.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(asker.sock, selectors.EVENT_READ, asker)

    def run(self, question: dict[str, Any]) -> dict[str, Any]:
        """``rate`` lines a second over all connections for ``seconds``.

        Answers with the server's CPU seconds, the real seconds, how many answers came, and how long each took in
        microseconds; a line without an answer `DRAIN_S` after the end counts as having waited until then.
        """
        rate, seconds = question["rate"], question["seconds"]
        self._period_s = len(self._askers) / rate
        began = time.perf_counter()
        self._waits_us: list[int] = []
        for number, asker in enumerate(self._askers):
            asker.due = began + self._period_s * (number + 1) / len(self._askers)
            asker.since = began  # of one that still waits, its earlier wait has been counted
        self._free = [(asker.due, number) for number, asker in enumerate(self._askers) if not asker.waiting]
        heapq.heapify(self._free)
        self._number = {asker: number for number, asker in enumerate(self._askers)}
        cpu_before = cpu_s(self._pid)
        now = began
        while now < began + seconds:
            self._send_what_is_due(now)
            until = min(self._free[0][0] if self._free else began + seconds, began + seconds)
            for key, _ in self._selector.select(max(0.0, until - time.perf_counter())):
                self._receive(key.data)
            now = time.perf_counter()
        cpu = cpu_s(self._pid) - cpu_before
        answered = len(self._waits_us)
        self._drain(now + DRAIN_S)
        return {"cpu_s": cpu, "seconds": now - began, "answered": answered, "waits_us": self._waits_us}

    def close(self) -> None:
        """Reset every connection."""
        self._selector.close()
        for asker in self._askers:
            asker.sock.close()

    def _drain(self, until: float) -> None:
        """Receive what is still to come, and count what does not come as having waited until then."""
        for asker in self._askers:
            asker.due = math.inf  # nobody sends again
        while any(asker.waiting for asker in self._askers) and time.perf_counter() < until:
            for key, _ in self._selector.select(max(0.0, until - time.perf_counter())):
                self._receive(key.data)
        now = time.perf_counter()
        self._waits_us += [round((now - asker.since) * 1e6) for asker in self._askers if asker.waiting]

    def _send_what_is_due(self, now: float) -> None:
        while self._free and self._free[0][0] <= now:
            _, number = heapq.heappop(self._free)
            asker = self._askers[number]
            # It was free when its time came: that we are some microseconds late is our fault, not the server's.
            self._send(asker, time.perf_counter())

    def _send(self, asker: Asker, since: float) -> None:
        asker.since = since
        asker.due += self._period_s
        asker.waiting = True
        asker.sock.send(LINE)  # always whole: one short line at a time in an empty buffer

    def _receive(self, asker: Asker) -> None:
        data = asker.sock.recv(MAX_ANSWER_BYTES)
        now = time.perf_counter()
        if not data:
            raise ConnectionResetError("the server closed an active connection")
        if not data.endswith(b"\n"):
            return  # the rest of the answer is still to come
        self._waits_us.append(round((now - asker.since) * 1e6))
        asker.waiting = False
        if asker.due <= now:
            self._send(asker, asker.due)
        else:
            heapq.heappush(self._free, (asker.due, self._number[asker]))


if __name__ == "__main__":
    answer_questions(Load(*arguments()).run)
