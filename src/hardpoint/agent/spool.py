"""Lines on disk until the server has them on its own: a queue in one SQLite file.

`Spool.append` returns when the lines would survive a power cut. A removal may be lost with the process: the lines are
then sent again, which is harmless, because a reading is known by its device, key and time and comes to the same row.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import FolderTaken, StorageError, StorageFull

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

logger = logging.getLogger("hardpoint.agent")

FILE_NAME = "agent-spool.sqlite"
ROW_OVERHEAD_BYTES = 16
"""SQLite's cell and key for one line, so that many short lines count as what they take."""

# AUTOINCREMENT: a number is never used again, so that the answer to an old line cannot remove a new one.
_SCHEMA = "CREATE TABLE IF NOT EXISTS lines (seq INTEGER PRIMARY KEY AUTOINCREMENT, line BLOB NOT NULL)"
_REMOVE = "DELETE FROM lines WHERE seq = ? RETURNING length(line)"
_DROP_OLDEST = "DELETE FROM lines WHERE seq = (SELECT min(seq) FROM lines) RETURNING length(line)"


class Spool:
    """A bounded queue of lines, oldest first. Used by one thread at a time; every method may block on the disk.

    Each method raises `StorageFull` when the disk has no room and `StorageError` when it fails otherwise; the queue is
    then as it was before, and may be used on.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Opens the spool of this folder, or makes it; both for their owner only.

        A file that is no database (a card that lost power while it wrote) is moved aside and logged: an agent that
        nobody watches shall go on with what is to come.

        Raises:
            FolderTaken: another agent has it open.
            StorageError: the folder cannot be used.
        """
        self._path = folder / FILE_NAME
        self._max_bytes = max_bytes
        self.dropped = 0
        """Lines given up, oldest first, because the spool was full."""
        self.lines = 0
        """Lines in the queue."""
        self.size_bytes = 0
        """What they take, as ``max_bytes`` counts it."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_file()
            self._db = self._open()
        except OSError as error:
            raise StorageError(f"the agent's folder cannot be used: {error}") from error

    def _make_file(self) -> None:
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite would ask the umask

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise FolderTaken(f"another agent uses {self._path}", hint="give each agent its own --data") from None
            raise _storage_error(error, self._path) from error
        except sqlite3.DatabaseError as error:
            aside = self._path.with_suffix(".damaged")
            logger.error("%s is damaged (%s): moved to %s, its readings are not sent", self._path, error, aside)  # noqa: TRY400 - the message says all
            self._path.replace(aside)
            self._path.with_name(self._path.name + "-wal").unlink(missing_ok=True)
            self._make_file()
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            # Exclusive: the lock of the first access is kept until the end and shuts out a second agent.
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute(_SCHEMA)
            self.lines, size = db.execute("SELECT count(*), coalesce(sum(length(line)), 0) FROM lines").fetchone()
        except BaseException:
            db.close()
            raise
        self.size_bytes = size + self.lines * ROW_OVERHEAD_BYTES
        return db

    def append(self, lines: Sequence[bytes], remove: Iterable[int] = ()) -> None:
        """Makes the lines durable and removes those numbers, in one commit; then drops the oldest beyond the bound."""
        size_bytes = self.size_bytes + sum(map(len, lines)) + len(lines) * ROW_OVERHEAD_BYTES
        count = self.lines + len(lines)
        dropped = 0
        with self._transaction():
            self._db.executemany("INSERT INTO lines (line) VALUES (?)", ((line,) for line in lines))
            for seq in remove:
                # None when it was dropped before its answer came.
                for (length,) in self._db.execute(_REMOVE, (seq,)).fetchall():
                    size_bytes -= length + ROW_OVERHEAD_BYTES
                    count -= 1
            while size_bytes > self._max_bytes and count:
                (length,) = self._db.execute(_DROP_OLDEST).fetchone()
                size_bytes -= length + ROW_OVERHEAD_BYTES
                count -= 1
                dropped += 1
        if dropped and not self.dropped:
            logger.warning("the spool is full (%d bytes): the oldest readings are dropped", self._max_bytes)
        self.lines, self.size_bytes = count, size_bytes
        self.dropped += dropped

    def after(self, seq: int, limit: int) -> list[tuple[int, bytes]]:
        """At most ``limit`` lines that come after number ``seq`` (0: the oldest), each with its number."""
        try:
            return self._db.execute(
                "SELECT seq, line FROM lines WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit)
            ).fetchall()
        except sqlite3.Error as error:
            raise _storage_error(error, self._path) from error

    def close(self) -> None:
        """Lets the next agent in. The lines stay."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise _storage_error(error, self._path) from error


def _storage_error(error: sqlite3.Error, path: Path) -> StorageError:
    kind = StorageFull if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL else StorageError
    return kind(f"{path}: {error}")
