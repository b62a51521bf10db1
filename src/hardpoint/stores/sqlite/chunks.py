"""Chunks: compressed pieces of a series that never overlap: of each a narrow row, its summary, and apart its readings.

A row with a form of `THINNED` stands for readings that retention let go: its data are the few that are left.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ...model import INT64_MAX, Summary
from ..pieces import summarise
from .columns import decode, encode, from_column, to_column

if TYPE_CHECKING:
    from ...model import Value

MAX_SUMMARY_BYTES = 64
"""Of a value in a summary, encoded. Text and JSON may be a thousand times as long, and summaries are read by the
thousand.
"""
THINNED, BARE = 1, 2
"""Bits of ``form``: the readings are thinned; first and last value are too large to be in the summary."""

COLUMNS = (
    "start_ms, end_ms, form, open, count, numbers, min, min_ms, max, max_ms, sum, first, last, "
    "data_id, parts, bytes, checksum"
)
INSERT_SQL = f"INSERT INTO chunks (series, {COLUMNS}) VALUES ({', '.join('?' * 18)})"  # noqa: S608 - our own words
PAGE_BYTES = 4080
"""Of SQLite's page of 4,096 what rows may fill; each takes some bytes more than its data."""
ROW_BYTES = 6
MAX_PART_BYTES = 1000

_DATA_TABLES = ("chunk_data", "open_data")
_INSERT_DATA_SQL = tuple(f"INSERT INTO {table} (data) VALUES (?)" for table in _DATA_TABLES)  # noqa: S608
_DELETE_DATA_SQL = tuple(f"DELETE FROM {table} WHERE id >= ? AND id < ?" for table in _DATA_TABLES)  # noqa: S608
_DATA_SQL = tuple(f"SELECT data FROM {table} WHERE id >= ? AND id < ? ORDER BY id" for table in _DATA_TABLES)  # noqa: S608
DELETE_SQL = "DELETE FROM chunks WHERE series = ? AND start_ms = ?"
# The one that begins at or before the range, if it reaches into it, and all that begin inside it.
OVERLAPPING_SQL = f"""
SELECT {COLUMNS} FROM chunks WHERE series = :series AND start_ms < :end_ms AND start_ms >= coalesce(
    (SELECT max(start_ms) FROM chunks WHERE series = :series AND start_ms <= :start_ms), :start_ms
) AND end_ms >= :start_ms ORDER BY start_ms
"""  # noqa: S608
_AT_SQL = f"SELECT {COLUMNS} FROM chunks WHERE series = ? AND start_ms = ?"  # noqa: S608
_BEFORE_SQL = f"SELECT {COLUMNS} FROM chunks WHERE series = ? AND start_ms < ? ORDER BY start_ms DESC LIMIT 1"  # noqa: S608

_summary_encoder = msgspec.msgpack.Encoder()


class Chunk(NamedTuple):
    """A row of ``chunks`` without its series; values of readings in their column's form."""

    start_ms: int
    end_ms: int
    form: int
    open: int
    count: int  # type: ignore[assignment]  # as in `Summary`
    numbers: int
    min: float | None
    min_ms: int | None
    max: float | None
    max_ms: int | None
    sum: float | None
    first: Any
    last: Any
    data_id: int
    parts: int
    bytes: int
    checksum: int

    def summary(self) -> Summary:
        """What it says of its readings. Not of a bare one, which does not know its first and last value."""
        return Summary(
            self.start_ms, self.end_ms, self.count, self.numbers, self.min, self.min_ms, self.max, self.max_ms,
            self.sum, from_column(self.first), from_column(self.last),
        )  # fmt: skip

    @property
    def is_sound(self) -> bool:
        """Whether the row is as it was written."""
        return self.checksum == checksum_of(self[:-1])


class Written(NamedTuple):
    """What a merge did: by how many readings the chunks hold more, and about how many pages it wrote."""

    readings: int
    pages: int


def checksum_of(fields: tuple[Any, ...]) -> int:
    """Of all columns of a chunk from ``start_ms`` to ``bytes``."""
    return zlib.crc32(_summary_encoder.encode(fields))


def data_of(connection: sqlite3.Connection, chunk: Chunk) -> bytes:
    """The data as they are on disk, damaged or not."""
    parts = connection.execute(_DATA_SQL[chunk.open], (chunk.data_id, chunk.data_id + chunk.parts)).fetchall()
    # Where a page is torn a part is NULL: what is left fits no checksum.
    return b"".join([part for (part,) in parts if isinstance(part, bytes)])


def read_data(connection: sqlite3.Connection, chunk: Chunk) -> tuple[list[int], list[Value]]:
    """The readings of a chunk.

    Raises:
        Damaged: they are not there, or not as they were written.
    """
    return decode(data_of(connection, chunk))


def part_size(size: int) -> int:
    """Into parts of which size this many bytes are cut, for pages to be full."""
    fewest = -(-size // MAX_PART_BYTES)
    sizes = [-(-size // parts) for parts in range(fewest, fewest + 3)]
    return max(sizes, key=lambda part: PAGE_BYTES // (part + ROW_BYTES) * part)


def write(
    connection: sqlite3.Connection,
    series: int,
    times: Sequence[int],
    values: Sequence[Value],
    *,
    thinned: Summary | None = None,
    is_open: bool = False,
) -> int:
    """Write one chunk, and return the bytes of its data. With ``thinned`` these readings stand for that summary."""
    data = encode(times, values, lasting=not is_open)
    summary = thinned if thinned is not None else summarise(times, values)
    first, last = to_column(summary.first), to_column(summary.last)
    form = 0 if thinned is None else THINNED
    if _size(first) > MAX_SUMMARY_BYTES or _size(last) > MAX_SUMMARY_BYTES:
        form, first, last = form | BARE, None, None
    fields = (
        summary.start_ms, summary.end_ms, form, int(is_open), summary.count, summary.numbers,
        _number(summary.min), summary.min_ms, _number(summary.max), summary.max_ms, _number(summary.sum), first, last,
    )  # fmt: skip
    size = part_size(len(data))
    last_id: int | None = None
    for start in range(0, len(data), size):
        last_id = connection.execute(_INSERT_DATA_SQL[is_open], (data[start : start + size],)).lastrowid
    assert last_id is not None
    parts = -(-len(data) // size)
    row = (*fields, last_id - parts + 1, parts, len(data))
    connection.execute(INSERT_SQL, (series, *row, checksum_of(row)))
    return len(data)


def delete(connection: sqlite3.Connection, series: int, chunk: Chunk) -> None:
    """Remove it, and its data."""
    connection.execute(DELETE_SQL, (series, chunk.start_ms))
    connection.execute(_DELETE_DATA_SQL[chunk.open], (chunk.data_id, chunk.data_id + chunk.parts))


def overlapping(connection: sqlite3.Connection, series: int, start_ms: int, end_ms: int) -> list[Chunk]:
    """Those that hold a reading with ``start_ms <= ts < end_ms``, or span it, by time."""
    bound = {"series": series, "start_ms": start_ms, "end_ms": end_ms}
    return [Chunk._make(row) for row in connection.execute(OVERLAPPING_SQL, bound)]


def at(connection: sqlite3.Connection, series: int, start_ms: int) -> Chunk | None:
    """The one that begins at this very time."""
    row = connection.execute(_AT_SQL, (series, start_ms)).fetchone()
    return None if row is None else Chunk._make(row)


def before(connection: sqlite3.Connection, series: int, start_ms: int) -> Chunk | None:
    """The last one that begins before this time."""
    row = connection.execute(_BEFORE_SQL, (series, start_ms)).fetchone()
    return None if row is None else Chunk._make(row)


def _size(column: Any) -> int:
    return len(column) if type(column) in (str, bytes) else 8


def _number(number: Any) -> float | None:
    # A sum of integers may be longer than SQLite's; it is only rounded then.
    return float(number) if type(number) is int and abs(number) > INT64_MAX else number
