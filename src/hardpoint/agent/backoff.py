"""How long to wait before the next try."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_S = 2.0
MAX_S = 60.0


class Backoff:
    """2, 4, 8 … 60 s, of each a random half taken off: when a server comes back, its agents do not come all at once."""

    __slots__ = ("_next_s", "_random")

    def __init__(self, random_: Callable[[], float] = random.random) -> None:
        self._random = random_
        self._next_s = FIRST_S

    def next_s(self) -> float:
        """The seconds to wait now; the following answer is about twice as long. Between 1 and 60."""
        wait_s = self._next_s * (0.5 + self._random() / 2)
        self._next_s = min(MAX_S, self._next_s * 2)
        return wait_s

    def reset(self) -> None:
        """It worked: begin anew."""
        self._next_s = FIRST_S
