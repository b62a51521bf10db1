"""Deleting readings: at once for every reader, and from the table in slices that commits can go between.

A device's readings may be millions, and deleting a million in one transaction takes a second in which no other device
gets its answer. So the transaction only notes the range in ``purges``; readers leave out what lies in one, and the
writer empties it bit by bit. A reading that comes for a range that is not empty yet makes its way first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from ...model import Row

SLICE_ROWS = 2048
"""Rows a slice: about 2 ms that a commit may have to wait."""

_RANGES_SQL = "SELECT id, series, start_ms, end_ms FROM purges ORDER BY id"
_BOUNDARY_SQL = "SELECT ts FROM readings WHERE series = ? AND ts >= ? AND ts < ? ORDER BY ts LIMIT 1 OFFSET ?"
_DELETE_SQL = "DELETE FROM readings WHERE series = ? AND ts >= ? AND ts < ?"
_COUNT_SQL = "UPDATE totals SET readings = max(0, readings - ?)"
_FORGET_SQL = "DELETE FROM purges WHERE id = ?"


class Purges:
    """The ranges in ``purges``, as the writer's thread knows them after its last transaction."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, int, int, int]] = []
        """``(id, series, start_ms, end_ms)``, oldest first."""

    def load(self, connection: sqlite3.Connection) -> None:
        """Look again, after a transaction that may have changed them."""
        self.waiting = connection.execute(_RANGES_SQL).fetchall()

    def touched_by(self, rows: Sequence[Row]) -> bool:
        """Whether one of these readings lies in a range that is not empty yet: then `make_way` for them."""
        return any(_contains(purge, rows) for purge in self.waiting)

    def make_way(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        """Empty the ranges that these readings lie in, as part of the transaction that will hold them."""
        for purge in connection.execute(_RANGES_SQL).fetchall():
            if _contains(purge, rows):
                deleted = connection.execute(_DELETE_SQL, purge[1:]).rowcount
                connection.execute(_COUNT_SQL, (deleted,))
                connection.execute(_FORGET_SQL, purge[:1])

    def step(self, connection: sqlite3.Connection) -> int:
        """Delete up to `SLICE_ROWS` in one transaction, and return about how many pages it wrote.

        Raises:
            sqlite3.Error: nothing of this slice is done; calling again tries it again.
        """
        left = SLICE_ROWS
        connection.execute("BEGIN IMMEDIATE")
        try:
            for number, series, start_ms, end_ms in self.waiting:
                boundary = connection.execute(_BOUNDARY_SQL, (series, start_ms, end_ms, left)).fetchone()
                stop_ms = end_ms if boundary is None else boundary[0]
                left -= connection.execute(_DELETE_SQL, (series, start_ms, stop_ms)).rowcount
                if boundary is not None:
                    break
                connection.execute(_FORGET_SQL, (number,))
            connection.execute(_COUNT_SQL, (SLICE_ROWS - left,))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self.load(connection)
        return (SLICE_ROWS - left) // 128 + 4


def _contains(purge: tuple[int, int, int, int], rows: Sequence[Row]) -> bool:
    _, series, start_ms, end_ms = purge
    return any(series == row_series and start_ms <= ts < end_ms for row_series, ts, _ in rows)
