"""One series as one read transaction sees it: chunks below, blocks over them, the journal over both.

Chunks come one by one, by time. What is over them is small and bounded (see `compaction`), so it is read whole, as one
pair of columns, and each chunk takes from it what lies in its own time and in the gap before it.
"""

from __future__ import annotations

import logging
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from ...model import INT64_MAX, INT64_MIN, Stretch, Summary, Value
from .blocks import over as blocks_over
from .chunks import BARE, COLUMNS, Chunk, data_of
from .columns import Damaged, decode, from_column
from .compaction import NOTHING, done_so_far
from .fold import in_order

log = logging.getLogger("hardpoint.store")

LEGACY_ROWS = 4096
"""Rows of schema 1 read at a time."""

_PURGES_SQL = "SELECT start_ms, end_ms FROM purges WHERE series = ?"
_RANGE_SQL = """
FROM chunks WHERE series = :series AND start_ms < :end_ms AND start_ms >= coalesce(
    (SELECT max(start_ms) FROM chunks WHERE series = :series AND start_ms <= :start_ms), :start_ms
) AND end_ms >= :start_ms ORDER BY start_ms
"""
_FORWARDS_SQL = f"SELECT {COLUMNS} {_RANGE_SQL}"
_BACKWARDS_SQL = f"{_FORWARDS_SQL} DESC"
_LEGACY_SQL = "SELECT ts, value FROM legacy_readings WHERE series = ? AND ts >= ? AND ts < ? ORDER BY ts"
_LEGACY_BACKWARDS_SQL = f"{_LEGACY_SQL} DESC"

damaged: set[tuple[int, int]] = set()
"""What was said to be damaged in this process: a chart asks for the same again and again."""


class Range(NamedTuple):
    """What is read."""

    series: int
    start_ms: int
    end_ms: int


class Over:
    """What lies over the chunks, and what is deleted from all of them."""

    def __init__(
        self, connection: sqlite3.Connection, wanted: Range, journal: tuple[Sequence[int], Sequence[Value]]
    ) -> None:
        series, start_ms, end_ms = wanted
        self._purges = connection.execute(_PURGES_SQL, (series,)).fetchall()
        times: list[int] = []
        values: list[Value] = []
        blocks = blocks_over(connection, series, start_ms, end_ms)
        done = done_so_far(connection) if blocks else NOTHING
        for block in blocks:
            if done.covers(block, series):
                continue
            held = _held(lambda block=block: block.of_series(series), series, block.start_ms)  # type: ignore[misc]
            block_times, block_values = self.without_purged(*_within(*held, start_ms, end_ms))
            times += block_times
            values += block_values
        times += journal[0]
        values += journal[1]
        if times and not (min(times) >= start_ms and max(times) < end_ms):
            self._times, self._values = _within(*in_order(times, values), start_ms, end_ms)
        else:
            self._times, self._values = in_order(times, values)
        self._place, self._end = 0, len(self._times)

    def without_purged(self, times: Sequence[int], values: Sequence[Value]) -> tuple[Sequence[int], Sequence[Value]]:
        """The readings that lie in no range that is being deleted."""
        for start_ms, end_ms in self._purges:
            start, end = bisect_left(times, start_ms), bisect_left(times, end_ms)
            if start < end:
                times = [*times[:start], *times[end:]]
                values = [*values[:start], *values[end:]]
        return times, values

    def touches(self, start_ms: int, end_ms: int) -> bool:
        """Whether something is over, or deleted from, what lies between these times, both included."""
        place = bisect_left(self._times, start_ms)
        if place < len(self._times) and self._times[place] <= end_ms:
            return True
        return any(purged_start <= end_ms and start_ms < purged_end for purged_start, purged_end in self._purges)

    def up_to(self, end_ms: int) -> tuple[Sequence[int], Sequence[Value]]:
        """What was not taken yet and is at this time or before it."""
        start, self._place = self._place, bisect_right(self._times, end_ms, self._place)
        return self._times[start : self._place], self._values[start : self._place]

    def down_to(self, start_ms: int) -> tuple[Sequence[int], Sequence[Value]]:
        """What was not taken yet and is at this time or after it; for who goes backwards."""
        end, self._end = self._end, bisect_left(self._times, start_ms, 0, self._end)
        return self._times[self._end : end], self._values[self._end : end]


def pieces(connection: sqlite3.Connection, wanted: Range, over: Over) -> Iterator[Stretch]:
    """The readings in the range by time, in pieces of any length."""
    # The next chunk's beginning is not known yet: what lies in the gap behind a chunk comes with the next one.
    for chunk in map(Chunk._make, connection.execute(_FORWARDS_SQL, wanted._asdict())):
        below = over.without_purged(*_readings(connection, wanted, chunk))
        yield from _merged(below, over.up_to(chunk.end_ms))
    yield from _above(connection, wanted, over)


def pieces_backwards(connection: sqlite3.Connection, wanted: Range, over: Over) -> Iterator[Stretch]:
    """The same pieces, the newest first; within each the times ascend."""
    rows = connection.execute(_LEGACY_BACKWARDS_SQL, wanted)
    while batch := list(islice(rows, LEGACY_ROWS))[::-1]:
        below = over.without_purged([ts for ts, _ in batch], [from_column(column) for _, column in batch])
        yield from _merged(below, over.down_to(batch[0][0]))
    for chunk in map(Chunk._make, connection.execute(_BACKWARDS_SQL, wanted._asdict())):
        below = over.without_purged(*_readings(connection, wanted, chunk))
        yield from _merged(below, over.down_to(chunk.start_ms))
    yield from _merged(((), ()), over.down_to(INT64_MIN))


def overview(
    connection: sqlite3.Connection, wanted: Range, edges: Sequence[int], widest_ms: int | None, over: Over
) -> Iterator[Stretch | Summary]:
    """The same, with the summary of each chunk that may stand for it: see `Store.overview`."""
    _, start_ms, end_ms = wanted
    for chunk in map(Chunk._make, connection.execute(_FORWARDS_SQL, wanted._asdict())):
        edge = bisect_right(edges, chunk.start_ms)
        whole = start_ms <= chunk.start_ms and chunk.end_ms < end_ms
        if (
            whole
            and not chunk.form & BARE
            and not (edge < len(edges) and edges[edge] <= chunk.end_ms)
            and (widest_ms is None or _is_fine(chunk, widest_ms))
            and not over.touches(chunk.start_ms, chunk.end_ms)
        ):
            yield from _merged(((), ()), over.up_to(chunk.start_ms))
            yield chunk.summary()
            continue
        below = over.without_purged(*_readings(connection, wanted, chunk))
        yield from _merged(below, over.up_to(chunk.end_ms))
    yield from _above(connection, wanted, over)


def _is_fine(chunk: Chunk, widest_ms: int) -> bool:
    return chunk.end_ms - chunk.start_ms <= widest_ms and chunk.numbers == chunk.count


def _above(connection: sqlite3.Connection, wanted: Range, over: Over) -> Iterator[Stretch]:
    """What comes after the chunks: rows of schema 1, while there are any, and the rest of what is over."""
    rows = connection.execute(_LEGACY_SQL, wanted)
    while batch := list(islice(rows, LEGACY_ROWS)):
        below = over.without_purged([ts for ts, _ in batch], [from_column(column) for _, column in batch])
        yield from _merged(below, over.up_to(batch[-1][0]))
    yield from _merged(((), ()), over.up_to(INT64_MAX))


def _merged(
    below: tuple[Sequence[int], Sequence[Value]], above: tuple[Sequence[int], Sequence[Value]]
) -> Iterator[Stretch]:
    """Both as one; of two readings of the same time the one above. Nothing when both are empty."""
    if not above[0]:
        if below[0]:
            yield Stretch(*below)
        return
    if not below[0] or below[0][-1] < above[0][0]:
        yield Stretch([*below[0], *above[0]], [*below[1], *above[1]])
        return
    merged = dict(zip(*below, strict=True))
    merged.update(zip(*above, strict=True))
    times = sorted(merged)
    yield Stretch(times, list(map(merged.__getitem__, times)))


def _within(
    times: Sequence[int], values: Sequence[Value], start_ms: int, end_ms: int
) -> tuple[Sequence[int], Sequence[Value]]:
    if not times or (times[0] >= start_ms and times[-1] < end_ms):
        return times, values
    start, end = bisect_left(times, start_ms), bisect_left(times, end_ms)
    return times[start:end], values[start:end]


def _readings(connection: sqlite3.Connection, wanted: Range, chunk: Chunk) -> tuple[Sequence[int], Sequence[Value]]:
    data = data_of(connection, chunk)
    held = _held(lambda: decode(data), wanted.series, chunk.start_ms)
    return _within(*held, wanted.start_ms, wanted.end_ms)


def _held(
    decoded: Callable[[], tuple[list[int], list[Value]]], series: int, start_ms: int
) -> tuple[list[int], list[Value]]:
    """The readings of a chunk or block; none when it is damaged: the rest of a range must not be lost with it."""
    try:
        return decoded()
    except Damaged as error:
        key = (series, start_ms)
        if key not in damaged:
            damaged.add(key)
            what = f"readings of series {series} from {start_ms} are damaged and left out: {error}"
            log.error(what)  # noqa: TRY400 - where in the code is nobody's concern
        return [], []
