"""Python's garbage collector in a server's process: what has stayed once is not looked at each time.

A full collection walks all objects there are, and nobody is answered meanwhile: 100 ms and more with 5,000 devices
under 1,000 rules. It comes whenever a quarter has been added, so it comes while a fleet attaches, when it hurts most.
Nearly all that it walks is here to stay, and what goes is freed by its reference count at once; only objects that refer
to each other in a ring need the collector. So whatever a full collection has found alive is set aside
(`gc.freeze`), and the next one walks what is new.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

ALL_AGAIN_S = 3600.0
"""A ring that died after it was set aside stays until everything is walked again: at most one such pause an hour."""


class Collector:
    """A context in which full collections set aside what they leave. ``clock`` tells monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due_s = 0.0

    def __enter__(self) -> Self:
        self._due_s = self._clock() + ALL_AGAIN_S
        gc.freeze()  # the modules
        gc.callbacks.append(self._on_collection)
        return self

    def __exit__(self, *exc: object) -> None:
        gc.callbacks.remove(self._on_collection)
        gc.unfreeze()

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] != 2:
            return
        if phase == "stop":
            gc.freeze()
        elif self._clock() >= self._due_s:
            self._due_s = self._clock() + ALL_AGAIN_S
            gc.unfreeze()
