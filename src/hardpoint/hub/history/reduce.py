"""A range of one series as it was asked for: raw, folded into buckets, or reduced to the points an eye would miss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ...errors import BadInput, TooLarge
from ...model import Stretch, Summary
from .buckets import FOLDS, fold, numeric
from .query import MAX_RAW_POINTS, RangeQuery
from .triangles import Candidates, lttb

if TYPE_CHECKING:
    from ...stores.base import Store
    from .buckets import Piece, Point

P = TypeVar("P", Stretch, "Stretch | Summary")

Wanted: TypeAlias = Callable[[], bool]
"""Whether somebody still waits for the answer."""


class Abandoned(Exception):
    """Whoever asked has gone: nobody reads what this would have become."""


def reduce_range(
    store: Store, series: int, query: RangeQuery, *, room: int = MAX_RAW_POINTS, wanted: Wanted = lambda: True
) -> tuple[str, list[Point]]:
    """``(agg as it was done, points)`` by ascending time.

    ``auto`` is ``raw`` while there are at most ``query.points`` readings, else ``lttb`` if more than half of them are
    numbers, else ``last``. Empty buckets are left out. Sums and averages are exact but for the rounding of floats.

    Raises:
        BadInput: an aggregation of numbers was asked of a series of something else.
        TooLarge: more than ``room`` raw readings.
        Abandoned: ``wanted`` said no, between two pieces.
    """
    if query.agg == "raw":
        return "raw", _raw(_while(wanted, store.stretches(series, query.start_ms, query.end_ms)), room)
    if query.agg in FOLDS:
        return query.agg, _folded(store, series, query, wanted)
    return _auto(store, series, query, wanted)


def _while(wanted: Wanted, pieces: Iterable[P]) -> Iterator[P]:
    for piece in pieces:
        if not wanted():
            raise Abandoned
        yield piece


def _raw(pieces: Iterable[Stretch], room: int) -> list[Point]:
    found: list[Point] = []
    for times, values in pieces:
        if len(found) + len(times) > room:
            raise TooLarge(
                f"more than {MAX_RAW_POINTS} readings in one answer: ask for a shorter range, for fewer points, or for "
                "format=ndjson or csv, which have no end"
            )
        found.extend(zip(times, values, strict=True))
    return found


def _folded(store: Store, series: int, query: RangeQuery, wanted: Wanted) -> list[Point]:
    edges = query.edges()
    return fold(_while(wanted, store.overview(series, query.start_ms, query.end_ms, edges)), edges, query.agg)


def _auto(store: Store, series: int, query: RangeQuery, wanted: Wanted) -> tuple[str, list[Point]]:
    """One look at the range tells how many readings there are and of what kind, and what stands out of it."""
    extent = store.extent(series)
    start_ms, end_ms = query.start_ms, query.end_ms
    if extent is not None:  # or a chart from=0 would have all its points in one bucket
        start_ms, end_ms = max(start_ms, extent[0]), min(end_ms, extent[1] + 1)
    if extent is None or start_ms >= end_ms:
        return ("raw" if query.agg == "auto" else query.agg), []
    candidates = Candidates(start_ms, end_ms, query.points)
    count = numbers = 0
    head: list[Point] = []
    for piece in _while(wanted, _fine(store, series, start_ms, end_ms, candidates.widest_ms)):
        if isinstance(piece, Summary):
            count += piece.count
            numbers += piece.numbers
            if count <= query.points:  # few, but in a piece that is closed already
                head.extend(_raw(store.stretches(series, piece.start_ms, piece.end_ms + 1), query.points))
            candidates.add_summary(piece)
        else:
            count += len(piece.times)
            if count <= query.points:
                head.extend(zip(piece.times, piece.values, strict=True))
            plain = numeric(piece)
            numbers += len(plain.times)
            candidates.add(plain)
    if count <= query.points:
        return ("raw" if query.agg == "auto" else query.agg), head
    if numbers * 2 > count:
        return "lttb", lttb(candidates.points(), query.points)
    if query.agg == "lttb":
        raise BadInput("lttb needs numbers: ask for last or count", field="agg")
    return "last", _folded(store, series, replace(query, agg="last"), wanted)


def _fine(store: Store, series: int, start_ms: int, end_ms: int, widest_ms: int) -> Iterator[Piece]:
    """The overview of a range in which no summary spans more than ``widest_ms``, nor holds anything but numbers that
    first and last are taken from: such a piece is read in full.
    """
    for piece in store.overview(series, start_ms, end_ms):
        if isinstance(piece, Stretch) or (piece.numbers == piece.count and piece.end_ms - piece.start_ms <= widest_ms):
            yield piece
        else:
            yield from store.stretches(series, piece.start_ms, piece.end_ms + 1)
