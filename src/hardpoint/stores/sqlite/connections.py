"""SQLite connections as this store needs them, and what SQLite's errors mean to it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from ...errors import StorageError, StorageFull

if TYPE_CHECKING:
    from .folder import DataFolder

BUSY_TIMEOUT_S = 10.0
"""Nobody else writes (the folder's lock): only recovery and a checkpoint's last step are waited for."""

WRITER_CACHE_KIB = 4096
READER_CACHE_KIB = 1024
NO_SPACE_BYTES = 64 * 1024
"""With less than this free an I/O error is a full disk: SQLite grows the ``-shm`` file by 32 KiB at a time and reports
that failure as ``SQLITE_IOERR_SHMSIZE``, not as ``SQLITE_FULL``.
"""

WAL_LIMIT_PAGES = 8192
"""32 MiB: past it SQLite checkpoints inside the commit. The checkpoint thread keeps below it, unless the writer never
pauses for as long as a checkpoint takes.
"""


def connect_writer(folder: DataFolder) -> sqlite3.Connection:
    """The one connection that writes. Used by one thread at a time, opened and closed by another.

    Raises:
        sqlite3.Error: it cannot be opened.
        StorageError: the file system cannot hold a write-ahead log.
    """
    connection = _connect(folder)
    try:
        # Or free pages never go back to the disk. Of a new file only; an old one takes it over when it is vacuumed.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StorageError(
                f"the file system of {folder.path} cannot hold a write-ahead log",
                hint="put the data folder on a local disk",
            )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone does not reach the platter there
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_LIMIT_PAGES}")
        # Debian's SQLite overwrites what is deleted, others do not: everywhere the same, where it costs no page more.
        connection.execute("PRAGMA secure_delete = FAST").fetchone()
        connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(folder: DataFolder) -> sqlite3.Connection:
    """A connection that only reads."""
    connection = _connect(folder)
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
    return connection


def connect_checkpointer(folder: DataFolder) -> sqlite3.Connection:
    """A connection that moves pages from the write-ahead log into the file, and nothing else."""
    connection = _connect(folder)
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA cache_size = -64")
    return connection


def _connect(folder: DataFolder) -> sqlite3.Connection:
    return sqlite3.connect(
        folder.database,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,  # the transactions are ours: one INSERT is one step, without a BEGIN and a COMMIT
        check_same_thread=False,
    )


def storage_error(error: sqlite3.Error, folder: DataFolder) -> StorageError:
    """What to tell whoever handed in the batch. The message is for a person, without SQL."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code of an extended one
    if code == sqlite3.SQLITE_FULL or (
        code in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN} and folder.free_bytes() < NO_SPACE_BYTES
    ):
        return StorageFull(f"no space left in {folder.path}")
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return StorageError(f"the database in {folder.path} failed: {error} ({name})")
