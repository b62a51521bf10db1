"""Blocks: what one pass of folding had of some neighbouring series, in one row, until it is compacted.

A pass over ten thousand series has some twenty readings of each. A row for each of them cost 50 µs to compress and 20
to read back, more than everything else that these readings go through. So series share rows, up to sixteen: `Shared`.
Nothing in such a row is compressed, so that the readings of one series are found in it without looking at the others':
narrow columns come to 3 or 4 bytes a reading, for the hours that a block lives.

Layout of shared data, little-endian: crc32 of the rest (4), series (2), form (1), decimals (1), the widths of six
columns in bytes (6 × 1) and their bases (6 × 8), then the columns, each number less the base: series, counts, first
times, and last times less first ones, one each a series; differences of times, one fewer than readings; and values.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from contextlib import suppress
from itertools import accumulate, repeat
from operator import add, sub, truediv
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ...model import INT64_MAX, INT64_MIN
from .columns import (
    TYPECODES,
    Damaged,
    decode,
    encode,
    from_little_endian,
    little_endian,
    narrow,
    packed,
    scaled,
    unpacked,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from ...model import Value

GROUP_SERIES = 16
"""Of neighbouring numbers, compacted together. With more a read of one series looks through longer rows: of sixteen it
finds its own in 10 µs.
"""
_HEAD = Struct("<IHBB6B6q")
_INTEGERS, _DECIMALS, _DOUBLES, _PACKED = range(4)
_CRC_BYTES = 4

COLUMNS = "id, grp, series, start_ms, end_ms, count, members, most, data"
INSERT_SQL = f"INSERT INTO blocks ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own words
DELETE_SQL = "DELETE FROM blocks WHERE id = ?"
VISIBLE = "id <= (SELECT last_block FROM totals)"
"""Those of a pass of folding that is under way say what the journal says."""
_OVER_SQL = f"""
SELECT {COLUMNS} FROM blocks
WHERE grp = ? AND {VISIBLE} AND start_ms < ? AND end_ms >= ? AND (series IS NULL OR series = ?) ORDER BY id
"""  # noqa: S608
_ENDS_SQL = f"""
SELECT start_ms, end_ms, id FROM blocks WHERE grp = ? AND {VISIBLE} AND (series IS NULL OR series = ?)
"""  # noqa: S608
_ONE_SQL = f"SELECT {COLUMNS} FROM blocks WHERE id = ?"  # noqa: S608
_ALL_SQL = f"SELECT {COLUMNS} FROM blocks WHERE {VISIBLE}"  # noqa: S608


class Piece(NamedTuple):
    """Readings of one series by ascending time, at least one."""

    series: int
    times: Sequence[int]
    values: Sequence[Value]


class Extent(NamedTuple):
    """Of a series in a block the times of its first and its last reading."""

    series: int
    start_ms: int
    end_ms: int


class Block(NamedTuple):
    """A row of ``blocks``."""

    id: int
    group: int
    series: int | None
    start_ms: int
    end_ms: int
    count: int  # type: ignore[assignment]  # as in `Summary`
    members: int
    most: int
    data: bytes

    def pieces(self) -> list[Piece]:
        """What it holds, by series.

        Raises:
            Damaged: it is not what was written.
        """
        if self.series is not None:
            return [Piece(self.series, *decode(self.data))]
        shared = Shared(self.data)
        return [Piece(series, *shared.piece(place)) for place, series in enumerate(shared.series)]

    def of_series(self, series: int) -> tuple[list[int], list[Value]]:
        """What it holds of one series, if anything.

        Raises:
            Damaged: it is not what was written.
        """
        if self.series is not None:
            return decode(self.data) if self.series == series else ([], [])
        shared = Shared(self.data)
        return shared.piece(shared.series.index(series)) if series in shared.series else ([], [])

    def extents(self) -> list[Extent]:
        """How far each series reaches in it.

        Raises:
            Damaged: it is not what was written.
        """
        if self.series is not None:
            return [Extent(self.series, self.start_ms, self.end_ms)]
        shared = Shared(self.data)
        return list(map(Extent, shared.series, shared.starts_ms, map(add, shared.starts_ms, shared.durations_ms)))

    @property
    def whose(self) -> str:
        """Of which series it is, for a person."""
        if self.series is not None:
            return f"series {self.series}"
        first = self.group * GROUP_SERIES
        return f"series {first} to {first + GROUP_SERIES - 1}"

    def wrong(self) -> str | None:
        """What is not as it was written, in words; None when nothing is."""
        try:
            pieces = self.pieces()
        except Damaged as error:
            return str(error)
        if {group_of(piece.series) for piece in pieces} != {self.group} or self[2:8] != _figures(pieces):
            return "its readings are not those its row says"
        return None


def group_of(series: int) -> int:
    """Which series it shares blocks with."""
    return series // GROUP_SERIES


def block_of(id_: int, pieces: Sequence[Piece]) -> Block:
    """Readings of one group as a row; of one series or several.

    Raises:
        TypeError, UnicodeEncodeError: a value that no JSON document holds.
    """
    first = pieces[0]
    data = encode(first.times, first.values, lasting=False) if len(pieces) == 1 else encode_shared(pieces)
    return Block(id_, group_of(first.series), *_figures(pieces), data)


def over(connection: sqlite3.Connection, series: int, start_ms: int, end_ms: int) -> list[Block]:
    """Those that may hold readings of a series with ``start_ms <= ts < end_ms``, the oldest pass first."""
    bound = (group_of(series), end_ms, start_ms, series)
    return [Block._make(row) for row in connection.execute(_OVER_SQL, bound).fetchall()]


def holds(connection: sqlite3.Connection, series: int, start_ms: int, end_ms: int) -> bool:
    """Whether a block's readings of a series reach into this range, both ends included; of a damaged one they may."""
    for block in over(connection, series, start_ms, end_ms + 1):
        try:
            found = block.extents()
        except Damaged:
            return True
        if any(each.series == series and each.start_ms <= end_ms and each.end_ms >= start_ms for each in found):
            return True
    return False


def extents(connection: sqlite3.Connection) -> Iterator[Extent]:
    """How far each series reaches in each block; of a damaged one nobody knows."""
    for block in map(Block._make, connection.execute(_ALL_SQL)):
        with suppress(Damaged):
            yield from block.extents()


def extent_of(connection: sqlite3.Connection, series: int) -> tuple[int, int] | None:
    """The least and the greatest time that blocks hold of a series; what is damaged counts as if it were all of it."""
    ends = connection.execute(_ENDS_SQL, (group_of(series), series)).fetchall()
    first_ms = last_ms = None
    for start_ms, _, id_ in sorted(ends):
        if first_ms is not None and start_ms >= first_ms:
            break
        found = _reach(connection, id_, series)
        if found is not None:
            first_ms = found.start_ms if first_ms is None else min(first_ms, found.start_ms)
    for _, end_ms, id_ in sorted(ends, key=lambda end: end[1], reverse=True):
        if first_ms is None or (last_ms is not None and end_ms <= last_ms):
            break
        found = _reach(connection, id_, series)
        if found is not None:
            last_ms = found.end_ms if last_ms is None else max(last_ms, found.end_ms)
    return None if first_ms is None or last_ms is None else (first_ms, last_ms)


def _reach(connection: sqlite3.Connection, id_: int, series: int) -> Extent | None:
    block = Block._make(connection.execute(_ONE_SQL, (id_,)).fetchone())
    try:
        return next((extent for extent in block.extents() if extent.series == series), None)
    except Damaged:
        return Extent(series, block.start_ms, block.end_ms)


def _figures(pieces: Sequence[Piece]) -> tuple[int | None, int, int, int, int, int]:
    """Of a row what stands between its group and its data."""
    counts = [len(piece.times) for piece in pieces]
    return (
        pieces[0].series if len(pieces) == 1 else None,
        min(piece.times[0] for piece in pieces),
        max(piece.times[-1] for piece in pieces),
        sum(counts),
        len(pieces),
        max(counts),
    )


# -- several series in one row


def encode_shared(pieces: Sequence[Piece]) -> bytes:
    """Readings of several series."""
    starts_ms = [piece.times[0] for piece in pieces]
    spans_ms = [piece.times[-1] - piece.times[0] for piece in pieces]
    gaps_ms: list[int] = []
    for piece in pieces:
        gaps_ms += map(sub, piece.times[1:], piece.times)
    form, decimals, values, width, base = _encode_values([value for piece in pieces for value in piece.values])
    columns, widths, bases = [], [], []
    for column in (
        [piece.series for piece in pieces],
        [len(piece.times) for piece in pieces],
        starts_ms,
        spans_ms,
        gaps_ms,
    ):
        low, high = (min(column), max(column)) if column else (0, 0)
        stored, column_width = narrow(column, low, high)
        columns.append(stored)
        widths.append(column_width)
        bases.append(low)
    head = _HEAD.pack(0, len(pieces), form, decimals, *widths, width, *bases, base)
    rest = b"".join((head[_CRC_BYTES:], *columns, values))
    return zlib.crc32(rest).to_bytes(_CRC_BYTES, "little") + rest


def _encode_values(values: list[Value]) -> tuple[int, int, bytes, int, int]:
    """Form, decimals, data, and width and base of what is in columns of integers."""
    kinds = set(map(type, values))
    if kinds == {float}:
        found = scaled(values)
        if found is None:
            return _DOUBLES, 0, little_endian(array("d", values)), 0, 0
        return _DECIMALS, found.decimals, *narrow(found.integers, found.low, found.high), found.low
    if kinds == {int}:
        low, high = min(values), max(values)
        if low >= INT64_MIN and high <= INT64_MAX:
            return _INTEGERS, 0, *narrow(values, low, high), low
    return _PACKED, 0, packed(values), 0, 0


class Shared:
    """The data of a block of several series, opened."""

    def __init__(self, data: bytes) -> None:
        """
        Raises:
            Damaged: they are not what `encode_shared` returned.
        """
        self._data = data
        try:
            checksum, members, self._form, self._decimals, *rest = _HEAD.unpack_from(data)
            if zlib.crc32(memoryview(data)[_CRC_BYTES:]) != checksum:
                raise Damaged("the checksum does not fit")
            self._widths, self._bases = rest[:6], rest[6:]
            self._place = _HEAD.size
            self.series, self.counts, self.starts_ms, self.durations_ms = (
                self._next_column(number, members) for number in range(4)
            )
        except (struct.error, ValueError, LookupError) as error:
            raise Damaged(f"the contents cannot be read: {error}") from error
        self._unpacked: list[Value] | None = None
        self._values_at = self._place + (sum(self.counts) - members) * self._widths[4]

    def piece(self, place: int) -> tuple[list[int], list[Value]]:
        """Times and values of the series that is at this place.

        Raises:
            Damaged: they cannot be read.
        """
        count, before = self.counts[place], sum(self.counts[:place])
        try:
            gaps_ms = self._column(4, self._place, before - place, count - 1)
            times = list(accumulate(gaps_ms, initial=self.starts_ms[place]))
            values = self._values(before, count)
        except (struct.error, msgspec.MsgspecError, ValueError, LookupError) as error:
            raise Damaged(f"the contents cannot be read: {error}") from error
        if len(times) != count or len(values) != count:
            raise Damaged(f"it holds {len(times)} times and {len(values)} values of a series instead of {count}")
        return times, values

    def _values(self, before: int, count: int) -> list[Value]:
        if self._form == _PACKED:
            if self._unpacked is None:
                self._unpacked = unpacked(self._data[self._values_at :])
            return self._unpacked[before : before + count]
        if self._form == _DOUBLES:
            start = self._values_at + before * 8
            return from_little_endian("d", self._data[start : start + count * 8]).tolist()
        integers = self._column(5, self._values_at, before, count)
        if self._form == _DECIMALS:
            return list(map(truediv, integers, repeat(10.0**self._decimals)))
        return list(integers)

    def _next_column(self, number: int, count: int) -> list[int]:
        start = self._place
        self._place += count * self._widths[number]
        return list(self._column(number, start, 0, count))

    def _column(self, number: int, start: int, before: int, count: int) -> Iterator[int]:
        """So many numbers of a column, behind the ones ``before``."""
        width, base = self._widths[number], self._bases[number]
        if width == 0:
            return repeat(base, count)
        start += before * width
        return map(add, from_little_endian(TYPECODES[width], self._data[start : start + count * width]), repeat(base))
