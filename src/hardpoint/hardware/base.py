"""The contract of a driver: one kind of this machine's hardware, in one file, by one name in ``registry.DRIVERS``."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..model import Value

MIN_RATE_WINDOW_S = 1.0
"""A rate over less is noise: the kernel counts CPU time in ticks of 10 ms, and a disk or a network in bursts."""


class Driver(ABC):
    """Reads one kind of hardware. Made, probed and read by `mount.Mount`, one call at a time, on any thread.

    A module that a driver needs is imported at the top of its file: the file itself is only imported when the host
    is mounted, and a driver whose import fails is left out with the missing module's name.
    """

    name: ClassVar[str]
    """The name in the registry."""

    @abstractmethod
    def probe(self) -> str | None:
        """None when this machine has it, else in a few words why not, for ``hardpoint doctor``. Called once, first."""

    @abstractmethod
    def read(self) -> Iterable[tuple[str, Value]]:
        """``(key, value)`` of now; keys as `model.checked_key` wants them. May block, and may raise anything: the
        mount then leaves this driver out of the round.
        """


def key_part(text: str) -> str:
    """A name the kernel or a vendor chose, as a part of a key: what a key cannot hold becomes ``_``.

    Dots go too: they separate the parts of our keys (``net.eth0_100.sent_bytes_per_s`` for the VLAN ``eth0.100``).
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_")[:32] or "unnamed"


class Rate:
    """Turns a counter into its rise a second."""

    __slots__ = ("_at", "_clock", "_count", "_rate")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at: float | None = None
        self._count = 0.0
        self._rate: float | None = None

    def update(self, count: float) -> float | None:
        """The rise a second since the call at least `MIN_RATE_WINDOW_S` before, or None until there was one.

        Sooner than that the last answer is repeated. A counter that fell (the interface was made anew, 32 bits were
        full) starts over, because a negative rate is never true.
        """
        now = self._clock()
        if self._at is not None and count >= self._count:
            window_s = now - self._at
            if window_s < MIN_RATE_WINDOW_S:
                return self._rate
            self._rate = (count - self._count) / window_s
        else:
            self._rate = None
        self._at, self._count = now, count
        return self._rate
