"""The newest reading of one series or of all, and how far a series reaches, without reading anything else of them.

Each layer says the greatest time it has without being decoded; only what lies at the greatest of all is looked at.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from ...model import INT64_MAX, INT64_MIN
from .blocks import extent_of as in_blocks
from .blocks import extents
from .chunks import BARE
from .columns import from_column
from .layers import Over, Range, pieces, pieces_backwards

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...model import Row, Value
    from .journal import Column

_OF_SERIES_SQL = """
SELECT max(
    coalesce((SELECT end_ms FROM chunks WHERE series = :series ORDER BY start_ms DESC LIMIT 1), :none),
    coalesce((SELECT max(ts) FROM legacy_readings WHERE series = :series), :none)
)
"""
_FIRST_SQL = """
SELECT min(
    coalesce((SELECT min(start_ms) FROM chunks WHERE series = :series), :none),
    coalesce((SELECT min(ts) FROM legacy_readings WHERE series = :series), :none)
)
"""
_PURGED_SQL = "SELECT 1 FROM purges WHERE series = ? LIMIT 1"
# One seek a series and one for its newest row; a plain GROUP BY would read the whole table.
_OF_CHUNKS_SQL = """
WITH RECURSIVE known(series) AS (
    SELECT min(series) FROM chunks
    UNION ALL
    SELECT (SELECT min(series) FROM chunks WHERE series > known.series) FROM known WHERE known.series IS NOT NULL
)
SELECT chunks.series, end_ms, form, last FROM known JOIN chunks ON chunks.series = known.series
    AND start_ms = (SELECT max(start_ms) FROM chunks WHERE series = known.series)
WHERE known.series IS NOT NULL
"""
_OF_LEGACY_SQL = """
WITH RECURSIVE known(series) AS (
    SELECT min(series) FROM legacy_readings
    UNION ALL
    SELECT (SELECT min(series) FROM legacy_readings WHERE series > known.series) FROM known
    WHERE known.series IS NOT NULL
)
SELECT series, (SELECT max(ts) FROM legacy_readings WHERE series = known.series) FROM known WHERE series IS NOT NULL
"""


def latest_of(connection: sqlite3.Connection, series: int, journal: Column) -> Row | None:
    """The row of one series with the greatest time, in the transaction that the connection is in."""
    (newest_ms,) = connection.execute(_OF_SERIES_SQL, {"series": series, "none": INT64_MIN}).fetchone()
    newest_ms = max((newest_ms, *journal[0], *(in_blocks(connection, series) or ())))
    return _at(connection, series, newest_ms, journal)


def extent_of(connection: sqlite3.Connection, series: int, journal: Column) -> tuple[int, int] | None:
    """The least and the greatest time of one series, in the transaction that the connection is in."""
    if connection.execute(_PURGED_SQL, (series,)).fetchone() is not None:
        # The ends may lie in what is deleted: only the readings themselves tell.
        wanted = Range(series, INT64_MIN, INT64_MAX)
        first = next(pieces(connection, wanted, Over(connection, wanted, journal)), None)
        last = latest_of(connection, series, journal)
        return None if first is None or last is None else (first.times[0], last[1])
    (first_ms,) = connection.execute(_FIRST_SQL, {"series": series, "none": INT64_MAX}).fetchone()
    (last_ms,) = connection.execute(_OF_SERIES_SQL, {"series": series, "none": INT64_MIN}).fetchone()
    others = [*journal[0], *(in_blocks(connection, series) or ())]
    first_ms, last_ms = min((first_ms, *others)), max((last_ms, *others))
    return None if first_ms > last_ms else (first_ms, last_ms)


def latest_of_all(connection: sqlite3.Connection, journal: Iterator[tuple[int, Column]]) -> Iterator[Row]:
    """The same for every series that has one, by series."""
    waiting = dict(journal)
    newest: dict[int, int] = {}
    for series, _, end_ms in extents(connection):
        newest[series] = max(end_ms, newest.get(series, INT64_MIN))
    for series, end_ms in connection.execute(_OF_LEGACY_SQL):
        newest[series] = max(end_ms, newest.get(series, INT64_MIN))
    for series, (times, _) in waiting.items():
        newest[series] = max(newest.get(series, INT64_MIN), *times)
    in_chunks = {series: rest for series, *rest in connection.execute(_OF_CHUNKS_SQL)}
    purged = {series for (series,) in connection.execute("SELECT DISTINCT series FROM purges")}
    for series in sorted(newest.keys() | in_chunks.keys()):
        end_ms, form, last = in_chunks.get(series, (INT64_MIN, BARE, None))
        newest_ms = newest.get(series, INT64_MIN)
        if newest_ms < end_ms and not form & BARE and series not in purged:
            yield series, end_ms, from_column(last)
            continue
        row = _at(connection, series, max(newest_ms, end_ms), waiting.get(series, ((), ())))
        if row is not None:
            yield row


def _at(
    connection: sqlite3.Connection, series: int, newest_ms: int, journal: tuple[Sequence[int], Sequence[Value]]
) -> Row | None:
    """The reading at that time; or, when it is deleted, the last one before it."""
    for start_ms, read in ((newest_ms, pieces), (INT64_MIN, pieces_backwards)):
        wanted = Range(series, start_ms, INT64_MAX)
        piece = next(read(connection, wanted, Over(connection, wanted, journal)), None)
        if piece is not None:
            return series, piece.times[-1], piece.values[-1]
    return None
