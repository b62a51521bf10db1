"""As many readings as there are, a page at a time.

A page is read, handed on and forgotten before the next one is begun. So nothing of the store is held while a slow
client takes its time: a snapshot that stays open for the hour of a download would keep the write-ahead log from being
emptied for as long. What is stored, replaced or removed meanwhile behind the place that was reached is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .reduce import Abandoned, Wanted

if TYPE_CHECKING:
    from ...model import Stretch
    from ...stores.base import Store

PAGE_READINGS = 8192
"""At least so many a page, unless the range ends: about half a megabyte of text, some milliseconds of work."""


@dataclass(slots=True, frozen=True)
class Page:
    """Some readings, and where those behind them begin: None at the end of the range."""

    stretches: list[Stretch]
    next_ms: int | None


def read_page(store: Store, series: int, start_ms: int, end_ms: int, *, wanted: Wanted = lambda: True) -> Page:
    """The first readings of the range, by time.

    Raises:
        Abandoned: ``wanted`` said no, between two pieces.
    """
    found: list[Stretch] = []
    count = 0
    for stretch in store.stretches(series, start_ms, end_ms):
        if not wanted():
            raise Abandoned
        found.append(stretch)
        count += len(stretch.times)
        if count >= PAGE_READINGS:
            next_ms = stretch.times[-1] + 1
            return Page(found, next_ms if next_ms < end_ms else None)
    return Page(found, None)
