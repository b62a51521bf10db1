"""Retention: what a policy means for the chunks, and doing it in slices.

Everything that is old lies in chunks: what is still in blocks or in the journal is moved there first, when any of it is
old enough to be concerned. Ages hold to the millisecond when readings are dropped. Thinning goes by whole chunks, so a
stretch is thinned when its last reading is old enough.

For the size the oldest chunks of all series are thinned, and only when everything is thinned the oldest are dropped.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from ...model import INT64_MIN, Series
from ..retention import Limits, Plan, Step, limits_by_series
from .blocks import VISIBLE, holds
from .chunks import THINNED, Chunk, at, overlapping, read_data
from .columns import Damaged
from .failpoints import reach
from .merge import quarantine, thin

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from ...model import Policy
    from ..retention import Action, Reason
    from .journal import Journal

WORTH_THINNING = 8
"""Readings. Of a thinned chunk up to four are left."""
ROW_BYTES = 130
"""What a chunk takes beside its data: its row in `chunks`, and its place in a page of data."""
THINNED_BYTES = 90
"""The data of a thinned chunk of numbers."""
UNDERCUT = 16
"""A cap that is passed is undercut by this part of it, or it would be passed again in minutes."""
SLICE_CHUNKS = 32
"""Thinned in one transaction: about 3 ms."""
SPARE_PAGES = 1024
"""4 MiB that stay in the file: blocks come and go, and taking pages from the file's end again costs more."""
VACUUM_PAGES = 64
"""Moved in one transaction. Each page that lies behind a free one is written once more, in front: that is the cost of
giving space back, and it is paid only after something was dropped or thinned.
"""

_DROPPED_SQL = """
SELECT min(start_ms), coalesce(sum(count), 0), coalesce(sum(bytes), 0), count(*) FROM chunks
WHERE series = ? AND start_ms < ? AND end_ms < ?
"""
_THINNED_SQL = f"""
SELECT min(start_ms), max(end_ms), sum(count), sum(bytes), count(*) FROM chunks
WHERE series = ? AND start_ms >= ? AND end_ms < ? AND NOT form & {THINNED} AND count > {WORTH_THINNING}
"""  # noqa: S608 - our own numbers
_OLDEST_SQL = "SELECT series, start_ms, end_ms, form, count, bytes FROM chunks ORDER BY end_ms"
_OLD_BLOCK_SQL = f"SELECT 1 FROM blocks WHERE {VISIBLE} AND start_ms < ? LIMIT 1"  # noqa: S608
_OLD_ROW_SQL = "SELECT 1 FROM legacy_readings WHERE ts < ? LIMIT 1"


class _Span:
    """What of one series a step concerns, while it is being added up."""

    __slots__ = ("bytes", "end_ms", "readings", "start_ms")

    def __init__(self, start_ms: int) -> None:
        self.start_ms = start_ms
        self.end_ms = start_ms
        self.readings = 0
        self.bytes = 0


class _Old(NamedTuple):
    """A chunk, as far as the size goes by it."""

    series: int
    start_ms: int
    end_ms: int
    form: int
    readings: int
    bytes: int


def used_bytes(connection: sqlite3.Connection) -> int:
    """What is in use of the file, free pages not counted."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * page_bytes)


def make_plan(connection: sqlite3.Connection, known: Sequence[Series], policy: Policy, now_ms: int) -> Plan:
    """What the policy means for the chunks, in the transaction that the connection is in."""
    size_bytes = used_bytes(connection)
    limits = limits_by_series(policy, known, now_ms)
    steps: list[Step] = []
    for series in known:
        if series.id in limits:
            steps += _by_age(connection, series, limits[series.id])
    if policy.max_bytes is not None and size_bytes > policy.max_bytes:
        excess = size_bytes - policy.max_bytes * (UNDERCUT - 1) // UNDERCUT - sum(step.bytes for step in steps)
        if excess > 0:
            steps += _by_size(connection, known, limits, excess)
    return Plan(now_ms, size_bytes, tuple(sorted(steps, key=lambda step: (step.series, step.start_ms))))


def oldest_limit(limits: Iterable[Limits]) -> int:
    """The latest time that one of these concerns: what is not older lies outside of all of them."""
    times = [ms for each in limits for ms in each if ms is not None]
    return max(times, default=INT64_MIN)


def thinned_before(steps: Iterable[Step]) -> int:
    """The latest time up to which one of these thins."""
    return max((step.end_ms for step in steps if step.action == "thin"), default=INT64_MIN)


def anything_old_outside_chunks(connection: sqlite3.Connection, before_ms: int) -> bool:
    """Whether blocks, or rows of schema 1, hold a reading before this time."""
    old = (connection.execute(sql, (before_ms,)).fetchone() for sql in (_OLD_BLOCK_SQL, _OLD_ROW_SQL))
    return any(row is not None for row in old)


def thinning(connection: sqlite3.Connection, journal: Journal, steps: Iterable[Step]) -> Generator[int]:
    """Thin the chunks of these steps, in slices: a task of the writer's.

    A chunk for which readings came since the plan was made is left for the next time. Nobody could tell of a thinned
    one whether it holds them already, and they would be counted twice.
    """
    for step in steps:
        waiting = [
            chunk
            for chunk in overlapping(connection, step.series, step.start_ms, step.end_ms)
            if chunk.end_ms < step.end_ms and _is_worth_it(chunk.form, chunk.count)
        ]
        for start in range(0, len(waiting), SLICE_CHUNKS):
            part = waiting[start : start + SLICE_CHUNKS]
            if not _anything_over(connection, journal, step.series, part[0].start_ms, part[-1].end_ms):
                _thin_slice(connection, step.series, part)
            yield 3 * SLICE_CHUNKS


def vacuuming(connection: sqlite3.Connection) -> Generator[int]:
    """Give free pages back to the disk, in slices, but for `SPARE_PAGES`."""
    while connection.execute("PRAGMA freelist_count").fetchone()[0] > SPARE_PAGES + VACUUM_PAGES:
        free_pages(connection, VACUUM_PAGES)
        reach("vacuum: done")
        yield 2 * VACUUM_PAGES
        if connection.execute("PRAGMA auto_vacuum").fetchone()[0] != 2:
            return  # a file of schema 1, before it was vacuumed


def free_pages(connection: sqlite3.Connection, at_most: int) -> None:
    """Give so many free pages back to the disk, outside of any transaction."""
    # A step of this statement frees one page, and `execute` takes one step where a statement has no columns.
    connection.executescript(f"PRAGMA incremental_vacuum({at_most})")


def _anything_over(connection: sqlite3.Connection, journal: Journal, series: int, start_ms: int, end_ms: int) -> bool:
    """Whether blocks hold readings of this range, or the journal any of the series that are not newer than it."""
    if journal.oldest_ms(series) <= end_ms:
        return True
    return holds(connection, series, start_ms, end_ms)


def _thin_slice(connection: sqlite3.Connection, series: int, chosen: Sequence[Chunk]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for chunk in chosen:
            if at(connection, series, chunk.start_ms) != chunk:
                continue  # a commit in between has deleted or rewritten it: what was looked up is no more
            try:
                thin(connection, series, chunk)
            except Damaged as error:
                quarantine(connection, series, chunk, str(error))
        reach("thin: before the end")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    reach("thin: done")


def _by_age(connection: sqlite3.Connection, series: Series, limits: Limits) -> list[Step]:
    steps: list[Step] = []
    kept_from_ms, rest = INT64_MIN, None
    if limits.drop_before_ms is not None:
        before_ms = kept_from_ms = limits.drop_before_ms
        row = connection.execute(_DROPPED_SQL, (series.id, before_ms, before_ms)).fetchone()
        start_ms, readings, size, chunks = row
        for chunk in overlapping(connection, series.id, before_ms - 1, before_ms):
            if chunk.end_ms >= before_ms:
                gone = _readings_before(connection, chunk, before_ms)
                readings += gone
                start_ms = chunk.start_ms if start_ms is None else start_ms
                kept_from_ms, rest = chunk.end_ms + 1, chunk._replace(start_ms=before_ms, count=chunk.count - gone)
        if readings:
            steps.append(_step(series, "drop", "age", start_ms, before_ms, readings, size + chunks * ROW_BYTES))
    if limits.thin_before_ms is not None:
        row = connection.execute(_THINNED_SQL, (series.id, kept_from_ms, limits.thin_before_ms)).fetchone()
        start_ms, end_ms, readings, size, chunks = row
        if rest is not None and rest.end_ms < limits.thin_before_ms and _is_worth_it(rest.form, rest.count):
            # What dropping leaves of the chunk that it cuts.
            start_ms, end_ms = rest.start_ms, end_ms or rest.end_ms
            readings, size, chunks = (readings or 0) + rest.count, (size or 0) + rest.bytes, chunks + 1
        if chunks:
            freed = max(0, size - chunks * THINNED_BYTES)
            steps.append(_step(series, "thin", "age", start_ms, end_ms + 1, readings, freed))
    return steps


def _by_size(
    connection: sqlite3.Connection, known: Sequence[Series], limits: Mapping[int, Limits], excess: int
) -> list[Step]:
    names = {series.id: series for series in known}
    thinned: dict[int, _Span] = {}
    dropped: dict[int, _Span] = {}
    for chunk in map(_Old._make, connection.execute(_OLDEST_SQL)):
        if excess <= 0:
            break
        if _is_gone(chunk, limits.get(chunk.series)) or not _is_worth_it(chunk.form, chunk.readings):
            continue
        excess -= _add(thinned, chunk, max(0, chunk.bytes - THINNED_BYTES))
    if excess > 0:
        for chunk in map(_Old._make, connection.execute(_OLDEST_SQL)):
            if excess <= 0:
                break
            if not _is_gone(chunk, limits.get(chunk.series)):
                excess -= _add(dropped, chunk, ROW_BYTES + min(chunk.bytes, THINNED_BYTES))
    steps: list[Step] = []
    planned: tuple[tuple[dict[int, _Span], Action], ...] = ((thinned, "thin"), (dropped, "drop"))
    for spans, action in planned:
        for number, span in spans.items():
            series = names.get(number, Series(number, "", ""))
            made = _step(series, action, "size", span.start_ms, span.end_ms + 1, span.readings, span.bytes)
            steps.append(made)
    return steps


def _is_worth_it(form: int, readings: int) -> bool:
    return not form & THINNED and readings > WORTH_THINNING


def _is_gone(chunk: _Old, limits: Limits | None) -> bool:
    """Whether the series' age is the reason already."""
    if limits is None:
        return False
    if limits.drop_before_ms is not None and chunk.start_ms < limits.drop_before_ms:
        return True
    return limits.thin_before_ms is not None and chunk.end_ms < limits.thin_before_ms


def _add(spans: dict[int, _Span], chunk: _Old, freed: int) -> int:
    span = spans.setdefault(chunk.series, _Span(chunk.start_ms))
    span.start_ms = min(span.start_ms, chunk.start_ms)
    span.end_ms = max(span.end_ms, chunk.end_ms)
    span.readings += chunk.readings
    span.bytes += freed
    return freed


def _readings_before(connection: sqlite3.Connection, chunk: Chunk, before_ms: int) -> int:
    """How many readings of a chunk go with those before this time."""
    try:
        times, _ = read_data(connection, chunk)
    except Damaged:
        return 0
    kept = len(times) - bisect_left(times, before_ms)
    return chunk.count - kept if kept < len(times) else 0


def _step(series: Series, action: Action, reason: Reason, start_ms: int, end_ms: int, readings: int, size: int) -> Step:
    return Step(series.id, series.device_id, series.key, action, reason, start_ms, end_ms, readings, size)
