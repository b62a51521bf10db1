"""Deleting readings: at once for every reader, and from the tables in slices that commits can go between.

A device's readings may be many millions, and deleting them in one transaction takes a second in which no other device
gets its answer. So the transaction only notes the range in ``purges``; readers leave out what lies in one, and the
writer empties it bit by bit. A reading that comes for a range that is not empty yet makes its way first.

The journal loses what lies in a range at once (`Journal.forget`). What a pass of folding had taken out of it by then
goes to blocks and chunks still, so a range is emptied only between two passes. The others wait for none: a commit that
deletes readings takes no longer than any.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from .blocks import DELETE_SQL as DELETE_BLOCK_SQL
from .blocks import Piece, block_of, over
from .chunks import THINNED, Chunk, delete, overlapping, read_data, write
from .columns import Damaged
from .compaction import done_so_far
from .failpoints import reach
from .merge import quarantine, quarantine_block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...model import Row, Value

SLICE_CHUNKS = 64
"""Chunks a slice: about 2 ms that a commit may have to wait."""
SLICE_ROWS = 2048
"""Rows of schema 1 a slice."""
ALL = 2**62

_RANGES_SQL = "SELECT id, series, start_ms, end_ms FROM purges ORDER BY id"
_BOUNDARY_SQL = "SELECT ts FROM legacy_readings WHERE series = ? AND ts >= ? AND ts < ? ORDER BY ts LIMIT 1 OFFSET ?"
_DELETE_SQL = "DELETE FROM legacy_readings WHERE series = ? AND ts >= ? AND ts < ?"
_UPDATE_BLOCK_SQL = """
UPDATE blocks SET series = ?, start_ms = ?, end_ms = ?, count = ?, members = ?, most = ?, data = ? WHERE id = ?
"""
_COUNT_SQL = "UPDATE totals SET readings = max(0, readings - ?)"
_FORGET_SQL = "DELETE FROM purges WHERE id = ?"


class PassUnderWay(Exception):
    """A range cannot be emptied before a pass of folding has ended."""


class Purge(NamedTuple):
    """A range that is deleted for every reader."""

    id: int
    series: int
    start_ms: int
    end_ms: int

    def contains(self, rows: Sequence[Row]) -> bool:
        """Whether one of these readings lies in it."""
        return any(series == self.series and self.start_ms <= ts < self.end_ms for series, ts, _ in rows)


class Purges:
    """The ranges in ``purges``, as the writer's thread knows them after its last transaction."""

    def __init__(self) -> None:
        self.waiting: list[Purge] = []
        """Oldest first."""

    def load(self, connection: sqlite3.Connection) -> None:
        """Look again, after a transaction that may have changed them."""
        self.waiting = [Purge._make(row) for row in connection.execute(_RANGES_SQL)]

    def touched_by(self, rows: Sequence[Row]) -> bool:
        """Whether one of these readings lies in a range that is not empty yet: then `make_way` for them."""
        return any(purge.contains(rows) for purge in self.waiting)

    def added(self, connection: sqlite3.Connection) -> list[tuple[int, int, int]]:
        """``(series, start_ms, end_ms)`` of those that the transaction has added so far."""
        known = {purge.id for purge in self.waiting}
        return [(series, start, end) for id_, series, start, end in connection.execute(_RANGES_SQL) if id_ not in known]

    def make_way(self, connection: sqlite3.Connection, rows: Sequence[Row], *, pass_under_way: bool) -> None:
        """Empty the ranges that these readings lie in, as part of the transaction that will hold them.

        Raises:
            PassUnderWay: there are some, and what a pass of folding writes now would fill them again: end it first.
        """
        for row in connection.execute(_RANGES_SQL).fetchall():
            purge = Purge._make(row)
            if purge.contains(rows):
                if pass_under_way:
                    raise PassUnderWay
                _empty(connection, purge, ALL)

    def step(self, connection: sqlite3.Connection) -> int:
        """Delete a slice in one transaction, and return about how many pages it wrote.

        Raises:
            sqlite3.Error: nothing of this slice is done; calling again tries it again.
        """
        connection.execute("BEGIN IMMEDIATE")
        try:
            left = SLICE_CHUNKS
            for purge in self.waiting:
                left -= _empty(connection, purge, left)
                if left <= 0:
                    break
            reach("purge: before the end")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        reach("purge: done")
        self.load(connection)
        return 2 * (SLICE_CHUNKS - left) + 4


def _empty(connection: sqlite3.Connection, purge: Purge, most: int) -> int:
    """Delete up to so many pieces of what lies in the range, and the note of it with the last; how many it were."""
    _, series, start_ms, end_ms = purge
    gone = _empty_legacy(connection, purge, ALL if most == ALL else SLICE_ROWS)
    deleted = 1 + gone // 32
    if gone < SLICE_ROWS or most == ALL:
        gone += _empty_blocks(connection, purge)
        for chunk in overlapping(connection, series, start_ms, end_ms):
            if deleted > most:
                break
            gone += _empty_chunk(connection, purge, chunk)
            deleted += 1
        else:
            connection.execute(_FORGET_SQL, (purge.id,))
    connection.execute(_COUNT_SQL, (gone,))
    return deleted


def _empty_legacy(connection: sqlite3.Connection, purge: Purge, most: int) -> int:
    _, series, start_ms, end_ms = purge
    boundary = connection.execute(_BOUNDARY_SQL, (series, start_ms, end_ms, most)).fetchone()
    return connection.execute(_DELETE_SQL, (series, start_ms, end_ms if boundary is None else boundary[0])).rowcount


def _empty_blocks(connection: sqlite3.Connection, purge: Purge) -> int:
    """Also of blocks whose readings are in chunks already, while their group is being compacted: these count once."""
    _, series, start_ms, end_ms = purge
    gone = 0
    for block in over(connection, series, start_ms, end_ms):
        try:
            pieces = block.pieces()
        except Damaged as error:
            quarantine_block(connection, block, str(error))
            continue
        kept = [_piece_outside(piece, start_ms, end_ms) if piece.series == series else piece for piece in pieces]
        kept = [piece for piece in kept if piece.times]
        if not kept:
            connection.execute(DELETE_BLOCK_SQL, (block.id,))
        elif kept != pieces:
            connection.execute(_UPDATE_BLOCK_SQL, (*block_of(block.id, kept)[2:], block.id))
        if not done_so_far(connection).covers(block, series):
            gone += block.count - sum(len(piece.times) for piece in kept)
    return gone


def _piece_outside(piece: Piece, start_ms: int, end_ms: int) -> Piece:
    return Piece(piece.series, *_outside(piece.times, piece.values, start_ms, end_ms))


def _empty_chunk(connection: sqlite3.Connection, purge: Purge, chunk: Chunk) -> int:
    """Of a thinned chunk the readings left outside the range stay; what they stood for is gone with the rest."""
    _, series, start_ms, end_ms = purge
    if start_ms <= chunk.start_ms and chunk.end_ms < end_ms:
        delete(connection, series, chunk)
        return chunk.count
    try:
        times, values = read_data(connection, chunk)
    except Damaged as error:
        quarantine(connection, series, chunk, str(error))
        return 0
    kept_times, kept_values = _outside(times, values, start_ms, end_ms)
    if len(kept_times) == len(times) and not chunk.form & THINNED:
        return 0  # the range lies in a gap
    delete(connection, series, chunk)
    if kept_times:
        write(connection, series, kept_times, kept_values, is_open=bool(chunk.open))
    return chunk.count - len(kept_times)


def _outside(
    times: Sequence[int], values: Sequence[Value], start_ms: int, end_ms: int
) -> tuple[list[int], list[Value]]:
    start, end = bisect_left(times, start_ms), bisect_left(times, end_ms)
    return [*times[:start], *times[end:]], [*values[:start], *values[end:]]
