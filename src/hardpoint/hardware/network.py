"""Network interfaces: what goes through them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

import psutil

from .base import Driver, Rate, key_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TRANSIENT = ("lo", "veth", "ifb", "dummy", "tap", "docker", "br-", "virbr")
"""Interfaces that carry what others carry already, or that live as long as a container: a new series with each."""
MAX_INTERFACES = 16


class Network(Driver):
    """``net.<interface>.sent_bytes_per_s`` and ``net.<interface>.recv_bytes_per_s`` since the last round.

    Rates and not the kernel's counters: those begin anew with each boot, and their chart says nothing.
    """

    name: ClassVar[str] = "network"

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rates: dict[str, tuple[Rate, Rate]] = {}

    def probe(self) -> str | None:
        """The first look at the counters starts the first window."""
        for _ in self.read():
            pass
        return None if self._rates else "no network interface but the loopback"

    def read(self) -> Iterator[tuple[str, float]]:
        """The interfaces that are up, at most `MAX_INTERFACES`; one that appeared in this round comes in the next."""
        state = psutil.net_if_stats()
        counters = {
            name: counted
            for name, counted in sorted(psutil.net_io_counters(pernic=True).items())
            if name in state and state[name].isup and not name.startswith(TRANSIENT)
        }
        for gone in self._rates.keys() - counters.keys():
            del self._rates[gone]
        for name in list(counters)[:MAX_INTERFACES]:
            sent, received = self._rates.setdefault(name, (Rate(self._clock), Rate(self._clock)))
            for what, rate, count in (
                ("sent", sent, counters[name].bytes_sent),
                ("recv", received, counters[name].bytes_recv),
            ):
                per_s = rate.update(count)
                if per_s is not None:
                    yield f"net.{key_part(name)}.{what}_bytes_per_s", round(per_s, 1)
