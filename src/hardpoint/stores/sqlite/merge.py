"""Bringing readings into chunks.

Only the chunks that new readings fall into are touched: late readings rewrite (and split) these, all others begin
chunks of their own, or join the one before them while it is open. Of small additions to an open chunk not each rewrites
it: a chunk is joined by what is at least half its size, so that a reading is rewritten a few times and not a hundred.

A chunk ends where a round time lies: at the hour that most other grids share, if one comes after enough readings. A
range that is cut at whole days, or at quarters of an hour, is then answered from summaries with few chunks in between.

In a stretch that was thinned nobody knows which readings there were. One that comes late for it is added to its
summary and replaces nothing, unless it has the time of one of those that are left.
"""

from __future__ import annotations

import logging
import math
import time
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NamedTuple

from ..pieces import summarise
from .blocks import DELETE_SQL
from .chunks import BARE, THINNED, Chunk, before, data_of, delete, overlapping, read_data, write
from .columns import Damaged, fitting

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from ...model import Summary, Value
    from .blocks import Block

log = logging.getLogger("hardpoint.store")

MIN_READINGS = 512
"""A chunk may end after so many, if a round time lies there."""
ENOUGH_READINGS = 1024
"""What is left at the end stays open below so many. Were it left open up to `MAX_READINGS`, what compaction brings at a
time would all be open, and be written again with the next.
"""
MAX_READINGS = 1536
"""A chunk ends after so many. A day at 10 s is 8 chunks of three hours, each decoded in a third of a millisecond."""
ROUND_MS = tuple(1000 * seconds for seconds in (86400, 43200, 21600, 10800, 3600, 1800, 900, 300, 60, 15, 5, 1))
"""Each a multiple of those behind it. Time zones differ by quarters of an hour."""

_QUARANTINE_SQL = """
INSERT INTO quarantine (place, series, start_ms, end_ms, readings, problem, data, noted_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""


def merge(connection: sqlite3.Connection, series: int, times: Sequence[int], values: Sequence[Value]) -> int:
    """Bring readings in, by ascending time and each time once; those of the same time are replaced.

    Part of the caller's transaction. Returns by how many readings the chunks hold more.
    """
    more = 0
    for start, end, chunk in _groups(times, overlapping(connection, series, times[0], times[-1] + 1)):
        part = times[start:end], values[start:end]
        if chunk is None:
            more += end - start
            _add(connection, series, *part)
        elif chunk.form & THINNED:
            more += _absorb(connection, series, chunk, *part)
        else:
            more += _rewrite(connection, series, chunk, *part)
    return more


def cuts(times: Sequence[int], values: Sequence[Value]) -> list[int]:
    """Where chunks of these readings end, the last of them, which is open, not told."""
    found: list[int] = []
    start = 0
    while True:
        end = fitting(values, start, MAX_READINGS)
        if end == len(values) and end - start < min(ENOUGH_READINGS, MAX_READINGS):
            return found
        start = _round_end(times, start + min(MIN_READINGS, (end - start) // 2), end)
        if start == len(values):
            return found
        found.append(start)


def quarantine(connection: sqlite3.Connection, series: int, chunk: Chunk, problem: str) -> None:
    """Take a damaged chunk out of the readers' way. Part of the caller's transaction."""
    damage = _Damage("chunk", series, chunk.start_ms, chunk.end_ms, chunk.count, problem, data_of(connection, chunk))
    _set_aside(connection, damage, f"series {series}")
    delete(connection, series, chunk)


def quarantine_block(connection: sqlite3.Connection, block: Block, problem: str) -> None:
    """Take a damaged block out of the readers' way. Part of the caller's transaction."""
    damage = _Damage("block", block.series, block.start_ms, block.end_ms, block.count, problem, block.data)
    _set_aside(connection, damage, block.whose)
    connection.execute(DELETE_SQL, (block.id,))


class _Damage(NamedTuple):
    """A row of ``quarantine``."""

    place: str
    series: int | None
    start_ms: int
    end_ms: int
    readings: int
    problem: str
    data: bytes


def _set_aside(connection: sqlite3.Connection, damage: _Damage, whose: str) -> None:
    connection.execute(_QUARANTINE_SQL, (*damage, time.time_ns() // 1_000_000))
    connection.execute("UPDATE totals SET readings = max(0, readings - ?)", (damage.readings,))
    log.error(
        "%d readings of %s from %d to %d are damaged and kept in quarantine: %s",
        damage.readings, whose, damage.start_ms, damage.end_ms, damage.problem,
    )  # fmt: skip


def thin(connection: sqlite3.Connection, series: int, chunk: Chunk) -> int:
    """Leave of a chunk the readings that its summary names, and return how many bytes of data that saves.

    Raises:
        Damaged: they have to be looked up in its data, which is damaged.
    """
    if chunk.form & BARE:
        times, values = read_data(connection, chunk)
        summary = summarise(times, values)
    else:
        summary = chunk.summary()
    delete(connection, series, chunk)
    return chunk.bytes - write(connection, series, *kept_of(summary), thinned=summary)


# -- the parts of a merge


def _groups(times: Sequence[int], touched: Sequence[Chunk]) -> list[tuple[int, int, Chunk | None]]:
    """The readings from one place to another that fall into one chunk, or between two."""
    found: list[tuple[int, int, Chunk | None]] = []
    place = 0
    for chunk in touched:
        inside = bisect_left(times, chunk.start_ms, place)
        behind = bisect_right(times, chunk.end_ms, inside)
        if inside > place:
            found.append((place, inside, None))
        if behind > inside:
            found.append((inside, behind, chunk))
        place = behind
    if place < len(times):
        found.append((place, len(times), None))
    return found


def _add(connection: sqlite3.Connection, series: int, times: Sequence[int], values: Sequence[Value]) -> None:
    """Readings between two chunks, or behind the last."""
    while (open_one := before(connection, series, times[0])) is not None:
        if not open_one.open or open_one.form & THINNED or open_one.count > 2 * len(times):
            break
        held = _taken_out(connection, series, open_one)
        if held is not None:
            times, values = [*held[0], *times], [*held[1], *values]
    _write_all(connection, series, times, values, is_open=True)


def _rewrite(
    connection: sqlite3.Connection, series: int, chunk: Chunk, times: Sequence[int], values: Sequence[Value]
) -> int:
    held = _taken_out(connection, series, chunk)
    if held is None:
        _write_all(connection, series, times, values, is_open=bool(chunk.open))
        return len(times)
    merged = dict(zip(*held, strict=True))
    merged.update(zip(times, values, strict=True))
    ordered = sorted(merged)
    _write_all(connection, series, ordered, list(map(merged.__getitem__, ordered)), is_open=bool(chunk.open))
    return len(merged) - chunk.count


def _taken_out(connection: sqlite3.Connection, series: int, chunk: Chunk) -> tuple[list[int], list[Value]] | None:
    """Its readings, and it is deleted; None when it was damaged, and is in quarantine now."""
    try:
        held = read_data(connection, chunk)
    except Damaged as error:
        quarantine(connection, series, chunk, str(error))
        return None
    delete(connection, series, chunk)
    return held


def _write_all(
    connection: sqlite3.Connection, series: int, times: Sequence[int], values: Sequence[Value], *, is_open: bool
) -> None:
    start = 0
    for end in cuts(times, values):
        write(connection, series, times[start:end], values[start:end])
        start = end
    write(connection, series, times[start:], values[start:], is_open=is_open)


def _absorb(
    connection: sqlite3.Connection, series: int, chunk: Chunk, times: Sequence[int], values: Sequence[Value]
) -> int:
    held = _taken_out(connection, series, chunk)
    if held is None:
        _write_all(connection, series, times, values, is_open=False)
        return len(times)
    left = dict(zip(*held, strict=True))
    replaced = [ts for ts in times if ts in left]
    gone = summarise(replaced, [left[ts] for ts in replaced]) if replaced else None
    left.update(zip(times, values, strict=True))
    ordered = sorted(left)
    now = summarise(ordered, [left[ts] for ts in ordered])
    added = summarise(times, values)
    numbers = chunk.numbers + added.numbers - (gone.numbers if gone is not None else 0)
    if not now.numbers:
        numbers = 0  # of numbers without a least and a greatest one no summary can tell
    total = (chunk.sum or 0) + (added.sum or 0) - ((gone.sum or 0) if gone is not None else 0)
    if math.isnan(total):
        total = math.inf  # it was beyond the range of floats before, and nothing can be taken from that
    count = chunk.count + len(times) - len(replaced)
    summary = now._replace(count=count, numbers=numbers, sum=total if numbers else None)
    write(connection, series, *kept_of(summary), thinned=summary)
    return count - chunk.count


def kept_of(summary: Summary) -> tuple[list[int], list[Value]]:
    """The first, the least, the greatest and the last, by time."""
    left: dict[int, Value] = {summary.start_ms: summary.first, summary.end_ms: summary.last}
    if summary.min_ms is not None and summary.max_ms is not None:
        left[summary.min_ms] = summary.min
        left[summary.max_ms] = summary.max
    times = sorted(left)
    return times, [left[ts] for ts in times]


def _round_end(times: Sequence[int], start: int, end: int) -> int:
    """Where to end a chunk between two places: at the first reading of the roundest time that lies there."""
    for width in ROUND_MS:
        boundary = times[end - 1] // width * width
        if boundary > times[start]:
            return bisect_left(times, boundary, start, end)
    return end
