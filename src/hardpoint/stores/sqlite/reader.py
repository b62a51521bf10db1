"""Reading: a pool of connections, snapshots for any thread, and what the contract asks of them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from ...errors import StorageError
from ...model import Stretch, Summary
from ..pieces import cut
from .connections import connect_reader, storage_error
from .journal import Gone, Journal, Span
from .layers import Over, Range, overview, pieces, pieces_backwards
from .newest import extent_of, latest_of, latest_of_all

if TYPE_CHECKING:
    from ...model import Row
    from .folder import DataFolder

T = TypeVar("T")
P = TypeVar("P", bound="Stretch | Summary")

MAX_IDLE_CONNECTIONS = 4
"""Kept for the next read. More are opened when more threads read at once, and closed when they are done."""
AHEAD_PIECES = 4
"""Read before the first is handed out. What fits in these holds no snapshot while it is consumed."""


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
            StorageError: the store is not open, or the file cannot be read.
        """
        connection = self._borrow()
        try:
            yield connection
        except sqlite3.Error as error:
            raise storage_error(error, self._folder) from error
        finally:
            self._give_back(connection)

    @contextmanager
    def snapshot(self, of_journal: Callable[[Span], T]) -> Generator[tuple[sqlite3.Connection, T]]:
        """A connection in a read transaction, and what this function finds in the journal as that transaction sees it.

        Raises:
            StorageError: the store is not open, or the file cannot be read.
        """
        with self.connection() as connection:
            while True:
                connection.execute("BEGIN")
                try:
                    found = of_journal(self._journal.seen_by(connection))
                    break
                except Gone:
                    # Folded between the look at the journal's span and the look into it: some microseconds wide.
                    connection.execute("ROLLBACK")
            yield connection, found

    def latest(self, series: int | None) -> Iterator[Row]:
        """Of one series, or of every one in their order, the row with the greatest time, in one snapshot."""
        if series is None:
            with self.snapshot(self._journal.of_all) as (connection, columns):
                return iter(list(latest_of_all(connection, columns)))
        with self.snapshot(lambda span: self._journal.of_series(span, series)) as (connection, column):
            row = latest_of(connection, series, column)
        return iter(() if row is None else (row,))

    def stretches(self, wanted: Range, *, newest_first: bool) -> Iterator[Stretch]:
        """See `Store.stretches`."""
        read = pieces_backwards if newest_first else pieces
        whole = self._read(wanted, read)
        return (part for piece in whole for part in cut(*piece, newest_first=newest_first))

    def overview(self, wanted: Range, edges: Sequence[int], widest_ms: int | None) -> Iterator[Stretch | Summary]:
        """See `Store.overview`."""

        def read(connection: sqlite3.Connection, wanted: Range, over: Over) -> Iterator[Stretch | Summary]:
            return overview(connection, wanted, edges, widest_ms, over)

        return _cut_stretches(self._read(wanted, read))

    def extent(self, series: int) -> tuple[int, int] | None:
        """See `Store.extent`."""
        with self.snapshot(lambda span: self._journal.of_series(span, series)) as (connection, column):
            return extent_of(connection, series, column)

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

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        with self._lock:
            if not self._closed and len(self._idle) < MAX_IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    def _read(self, wanted: Range, read: Callable[[sqlite3.Connection, Range, Over], Iterator[P]]) -> Iterator[P]:
        found = self._pieces(wanted, read)
        next(found)  # begins the snapshot now, and lets close() end it from now on
        return found  # type: ignore[return-value]

    def _pieces(
        self, wanted: Range, read: Callable[[sqlite3.Connection, Range, Over], Iterator[P]]
    ) -> Generator[P | None]:
        with self.snapshot(lambda span: self._journal.of_series(span, wanted.series)) as (connection, column):
            rest = read(connection, wanted, Over(connection, wanted, column))
            ahead = list(islice(rest, AHEAD_PIECES))
            if len(ahead) == AHEAD_PIECES:
                yield None
                yield from ahead
                yield from rest
                return
        yield None
        yield from ahead


def _cut_stretches(found: Iterator[Stretch | Summary]) -> Iterator[Stretch | Summary]:
    for piece in found:
        if isinstance(piece, Stretch):
            yield from cut(*piece)
        else:
            yield piece
