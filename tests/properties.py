"""How many examples a property is tried with, where a hundred is not the right number."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

USUAL = 100
"""What hypothesis tries by itself."""


def examples(count: int, **more: Any) -> settings:
    """So many of them, because one costs more or says less than usual; ``more`` are other settings. `make fuzz` tries
    as many times more as of all others: a plain ``max_examples`` would hold there, too.
    """
    return settings(max_examples=max(1, count * settings().max_examples // USUAL), **more)
