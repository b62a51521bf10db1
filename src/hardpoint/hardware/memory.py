"""Main memory and swap."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import psutil

from .base import Driver

if TYPE_CHECKING:
    from collections.abc import Iterator


class Memory(Driver):
    """``mem.percent`` and ``mem.available_bytes``; ``swap.percent`` where there is swap."""

    name: ClassVar[str] = "memory"

    def probe(self) -> str | None:
        """Every machine has it."""
        return None

    def read(self) -> Iterator[tuple[str, float]]:
        """Used is what cannot be had without swapping: the page cache counts as available."""
        memory = psutil.virtual_memory()
        yield "mem.percent", memory.percent
        yield "mem.available_bytes", memory.available
        swap = psutil.swap_memory()
        if swap.total:
            yield "swap.percent", swap.percent
