"""Keep-alive for any number of clients (§3.1.2.10): one coarse wheel, no timer a client.

The wheel is a ring of buckets, a second each. A client lies in the bucket of the second at which it would be overdue;
hearing from it only notes the time. When a bucket's turn comes, each client in it is overdue, or has been heard since
and is put into a later one. So a client costs one step each one and a half keep-alive intervals, however much it sends.
(mosquitto went the same way from a list that was walked each second: ``src/keepalive.c``.)
"""

from __future__ import annotations

from typing import Protocol

RING_S = 256
"""Longer intervals go round: the client is looked at every four minutes, and found to have time."""


class Watched(Protocol):
    """Whom the wheel watches."""

    heard_s: int
    """The wheel's time when it was last heard."""
    patience_s: int
    """How long it may be silent; 0: it is not watched."""
    bucket: int
    """Where it lies; the wheel's own."""


class KeepAliveWheel:
    """Clients by the second at which they would be overdue."""

    def __init__(self) -> None:
        self.now_s = 0
        """Seconds since it began to turn: what `Watched.heard_s` is set to."""
        self._buckets: list[set[Watched]] = [set() for _ in range(RING_S)]

    def watch(self, client: Watched) -> None:
        """From now on."""
        if client.patience_s:
            self._put(client)

    def forget(self, client: Watched) -> None:
        """It is gone."""
        self._buckets[client.bucket].discard(client)

    def turn(self, now_s: int) -> list[Watched]:
        """Go on to that second; who has been silent for too long, each told once."""
        overdue: list[Watched] = []
        first = max(self.now_s + 1, now_s - RING_S + 1)
        self.now_s = now_s
        for second in range(first, now_s + 1):
            bucket = self._buckets[second % RING_S]
            if not bucket:
                continue
            self._buckets[second % RING_S] = set()
            for client in bucket:
                if now_s - client.heard_s > client.patience_s:  # heard within a second: never too early
                    overdue.append(client)
                else:
                    self._put(client)
        return overdue

    def _put(self, client: Watched) -> None:
        due_s = min(max(client.heard_s + client.patience_s + 1, self.now_s + 1), self.now_s + RING_S - 1)
        client.bucket = due_s % RING_S
        self._buckets[client.bucket].add(client)
