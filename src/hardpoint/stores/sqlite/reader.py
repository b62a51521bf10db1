"""Reading: a pool of connections, and snapshots that merge the table of readings with the journal."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...errors import StorageError
from .connections import connect_reader, storage_error
from .journal import Journal, from_column

if TYPE_CHECKING:
    from ...model import Row, Value
    from .folder import DataFolder

MAX_IDLE_CONNECTIONS = 4
"""Kept for the next read. More are opened when more threads read at once, and closed when they are done."""
CHUNK_ROWS = 4096
"""Readings fetched at a time. What fits in one chunk holds no snapshot while it is consumed."""

# What was deleted is still in the table until the writer comes round to it. The look into `purges`, empty as a rule,
# is 0.1 µs a row.
_NOT_PURGED = """NOT EXISTS (
    SELECT 1 FROM purges WHERE purges.series = r.series AND purges.start_ms <= r.ts AND r.ts < purges.end_ms
)"""

_READINGS_SQL = f"""
SELECT ts, value FROM readings AS r WHERE series = ? AND ts >= ? AND ts < ? AND {_NOT_PURGED} ORDER BY ts LIMIT ?
"""  # noqa: S608 - our own words

_LATEST_OF_SERIES_SQL = f"""
SELECT series, ts, value FROM readings AS r WHERE series = ? AND {_NOT_PURGED} ORDER BY ts DESC LIMIT 1
"""  # noqa: S608

# One seek a series and one for its newest row; a plain GROUP BY would read the whole table.
_LATEST_SQL = f"""
WITH RECURSIVE known(series) AS (
    SELECT min(series) FROM readings
    UNION ALL
    SELECT (SELECT min(series) FROM readings WHERE series > known.series) FROM known WHERE known.series IS NOT NULL
)
SELECT readings.series, readings.ts, readings.value
FROM known JOIN readings ON readings.series = known.series
    AND readings.ts = (
        SELECT ts FROM readings AS r WHERE series = known.series AND {_NOT_PURGED} ORDER BY ts DESC LIMIT 1
    )
WHERE known.series IS NOT NULL
"""  # noqa: S608


class Readers:
    """Read transactions for any thread."""

    def __init__(self, folder: DataFolder, journal: Journal) -> None:
        self._folder = folder
        self._journal = journal
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = True

    def open(self) -> None:
        """From here on there is something to read."""
        self._closed = False

    @contextmanager
    def connection(self) -> Generator[sqlite3.Connection]:
        """A connection outside of any transaction.

        Raises:
            StorageError: the store is not open.
        """
        connection = self._borrow()
        try:
            yield connection
        finally:
            self._give_back(connection)

    @contextmanager
    def snapshot(self) -> Generator[tuple[sqlite3.Connection, list[Sequence[Row]]]]:
        """A connection in a read transaction, and the journal's batches as that transaction sees them.

        Raises:
            StorageError: the store is not open, or the file cannot be read.
        """
        connection = self._borrow()
        try:
            yield connection, self._begin(connection)
        except sqlite3.Error as error:
            raise storage_error(error, self._folder) from error
        finally:
            self._give_back(connection)

    def latest(self, series: int | None) -> Iterator[Row]:
        """Of one series, or of every one in their order, the row with the greatest time, in one snapshot."""
        rows = self._latest(series)
        next(rows)  # begins the snapshot now, and lets close() end it from now on
        return rows  # type: ignore[return-value]

    def readings(self, series: int, start_ms: int, end_ms: int, limit: int | None) -> Iterator[tuple[int, Value]]:
        """One series from ``start_ms`` to before ``end_ms`` by time, at most ``limit``, in one snapshot."""
        rows = self._readings(series, start_ms, end_ms, -1 if limit is None else limit)
        next(rows)
        return rows  # type: ignore[return-value]

    def close(self) -> None:
        """Close the idle connections now and the others when their readers are done. Idempotent."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    # -- snapshots

    def _borrow(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise StorageError("the store is closed")
            if self._idle:
                return self._idle.pop()
        try:
            return connect_reader(self._folder)
        except sqlite3.Error as error:
            raise storage_error(error, self._folder) from error

    def _begin(self, connection: sqlite3.Connection) -> list[Sequence[Row]]:
        while True:
            connection.execute("BEGIN")
            try:
                return self._journal.as_seen_by(connection)
            except KeyError:
                # Folded between the look at the journal's span and the look into it: some microseconds wide.
                connection.execute("ROLLBACK")

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        with self._lock:
            if not self._closed and len(self._idle) < MAX_IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    # -- merging

    def _readings(self, series: int, start_ms: int, end_ms: int, limit: int) -> Generator[tuple[int, Value] | None]:
        with self.snapshot() as (connection, batches):
            newer = {
                ts: from_column(value)
                for rows in batches
                for row_series, ts, value in rows
                if row_series == series and start_ms <= ts < end_ms
            }
            cursor = connection.execute(_READINGS_SQL, (series, start_ms, end_ms, limit))
            chunk = cursor.fetchmany(CHUNK_ROWS)
            whole = len(chunk) < CHUNK_ROWS
            if not whole:
                yield None
                yield from _limited(_merged(_chunks(cursor, chunk), newer), limit)
                return
        yield None
        yield from _limited(_merged(iter(chunk), newer), limit)

    def _latest(self, only: int | None) -> Generator[Row | None]:
        with self.snapshot() as (connection, batches):
            newer: dict[int, tuple[int, Value]] = {}
            for rows in batches:
                for series, ts, value in rows:
                    if (only is None or series == only) and (series not in newer or ts >= newer[series][0]):
                        newer[series] = (ts, from_column(value))
            waiting = sorted(newer, reverse=True)
            if only is None:
                cursor = connection.execute(_LATEST_SQL)
            else:
                cursor = connection.execute(_LATEST_OF_SERIES_SQL, (only,))
            yield None
            for series, ts, column in cursor:
                while waiting and waiting[-1] < series:
                    yield (waiting[-1], *newer[waiting.pop()])
                if waiting and waiting[-1] == series:
                    waiting.pop()
                    if newer[series][0] >= ts:
                        yield (series, *newer[series])
                        continue
                yield series, ts, from_column(column)
            while waiting:
                yield (waiting[-1], *newer[waiting.pop()])


def _chunks(cursor: sqlite3.Cursor, chunk: list[tuple[int, Value]]) -> Iterator[tuple[int, Value]]:
    while chunk:
        yield from chunk
        chunk = cursor.fetchmany(CHUNK_ROWS)


def _merged(older: Iterator[tuple[int, Value]], newer: dict[int, Value]) -> Iterator[tuple[int, Value]]:
    """Two series of readings as one by time; of two with the same time the newer one."""
    waiting = sorted(newer, reverse=True)
    for ts, column in older:
        while waiting and waiting[-1] <= ts:
            newer_ts = waiting.pop()
            yield newer_ts, newer[newer_ts]
        if ts not in newer:
            yield ts, from_column(column)
    while waiting:
        ts = waiting.pop()
        yield ts, newer[ts]


def _limited(rows: Iterator[tuple[int, Value]], limit: int) -> Iterator[tuple[int, Value]]:
    if limit < 0:
        yield from rows
        return
    for _ in range(limit):
        row = next(rows, None)
        if row is None:
            return
        yield row
