"""What schema 1 kept, one row a reading: moved into chunks in slices that commits can go between.

Compaction waits until this is through. So of each series the chunks hold what is before its first row here, and nothing
has to be merged when they are read; new readings stay in blocks, over both, for as long as it takes.
"""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING

from .columns import from_column
from .failpoints import reach
from .merge import merge

if TYPE_CHECKING:
    from ...model import Value
    from .folder import DataFolder

log = logging.getLogger("hardpoint.store")

SLICE_ROWS = 1024
"""Rows a slice: about 3 ms that a commit may have to wait."""

_FIRST_SQL = "SELECT series FROM legacy_readings LIMIT 1"
_ROWS_SQL = "SELECT ts, value FROM legacy_readings WHERE series = ? ORDER BY ts LIMIT ?"
_DELETE_SQL = "DELETE FROM legacy_readings WHERE series = ? AND ts <= ?"


class Legacy:
    """The rows that are left. Belongs to the writer's thread."""

    def __init__(self) -> None:
        self.waiting = False
        self.moved = 0

    def load(self, connection: sqlite3.Connection) -> None:
        """Look whether there are any."""
        self.waiting = connection.execute(_FIRST_SQL).fetchone() is not None
        if self.waiting:
            log.info("readings of an earlier version are being moved into compressed chunks in the background")

    def step(self, connection: sqlite3.Connection) -> int:
        """Move a slice in one transaction, and return about how many pages it wrote.

        Raises:
            sqlite3.Error: nothing of this slice is done; calling again tries it again.
        """
        connection.execute("BEGIN IMMEDIATE")
        try:
            moved = _move(connection)
            reach("migration: slice before the end")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        reach("migration: slice done")
        self.moved += moved
        if moved == 0:
            self.waiting = False
            log.info(
                "%d readings of an earlier version are in compressed chunks now; "
                "the space they took goes back to the disk at the next start",
                self.moved,
            )
        return moved // 128 + 4


def reclaim(connection: sqlite3.Connection, folder: DataFolder) -> None:
    """Give the space that the rows took back to the disk, once they have all been moved. Called when the store opens.

    What is left is copied, so it takes about as long as writing a tenth of the old file. On a full disk nothing
    happens: the free pages stay in the file and are used for new readings.
    """
    (auto_vacuum,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if auto_vacuum or connection.execute(_FIRST_SQL).fetchone() is not None:
        return
    before = folder.size_bytes()
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        log.warning("the space of an earlier version's readings stays in the file: %s", error)
        return
    log.info("the data file was %d bytes and is %d now", before, folder.size_bytes())


def _move(connection: sqlite3.Connection) -> int:
    first = connection.execute(_FIRST_SQL).fetchone()
    if first is None:
        return 0
    (series,) = first
    rows = connection.execute(_ROWS_SQL, (series, SLICE_ROWS)).fetchall()
    times: list[int] = [ts for ts, _ in rows]
    values: list[Value] = [from_column(column) for _, column in rows]
    merge(connection, series, times, values)
    connection.execute(_DELETE_SQL, (series, times[-1]))
    return len(rows)
