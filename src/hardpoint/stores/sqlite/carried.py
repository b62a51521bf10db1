"""Firmware in a copy of the store, so that a backup is one file although packages lie in files beside the database.

`carry` puts them into a table of the copy. The first time the copy is opened as a store, `unpack` makes files of them
again and drops the table; so it also works for who copies a backup to ``hardpoint.db`` by hand. The table is no part of
the schema: a copy without packages has none, nor have the copies of earlier versions.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from ...errors import NotFound, StorageError
from ..base import Copied
from .failpoints import reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ..packages import PackageFiles

log = logging.getLogger("hardpoint.store")

PIECE_BYTES = 256 * 1024
"""Of a package, held in memory at a time: one may have 64 MiB."""

_TABLE = """
CREATE TABLE carried_files (
    sha256 TEXT NOT NULL,
    offset INTEGER NOT NULL,
    data   BLOB NOT NULL,
    PRIMARY KEY (sha256, offset)
)"""
_NAMES_SQL = "SELECT DISTINCT sha256 FROM packages ORDER BY sha256"
_HELD_SQL = "SELECT count(*) FROM packages WHERE sha256 IN (SELECT sha256 FROM carried_files)"


def is_carrying(connection: sqlite3.Connection) -> bool:
    """Whether packages are in this database."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'carried_files'").fetchone() is not None


def carry(copy: Path, files: PackageFiles, is_kept: Callable[[str], bool]) -> None:
    """Put the file of every package that the copy tells of into the copy.

    A package may have been removed since the copy's moment. When its file is gone, and the store keeps it no more
    (``is_kept`` of its SHA-256), it is removed from the copy as well. A file that is missing or damaged otherwise is
    left out and said in the log: a backup without one package is better than none.

    Raises:
        sqlite3.Error: the copy cannot be written.
    """
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        names = [sha256 for (sha256,) in connection.execute(_NAMES_SQL)]
        if not names:
            return
        connection.execute("PRAGMA journal_mode = OFF").fetchone()  # a copy that failed is thrown away
        connection.execute("PRAGMA synchronous = OFF")  # it is synced as a whole
        connection.execute("BEGIN")
        connection.execute(_TABLE)
        for sha256 in names:
            try:
                _put(connection, sha256, files)
            except (NotFound, StorageError) as error:
                connection.execute("DELETE FROM carried_files WHERE sha256 = ?", (sha256,))
                if is_kept(sha256):
                    log.warning("the backup is without the package %s: %s", sha256, error.message)
                else:
                    connection.execute("DELETE FROM packages WHERE sha256 = ?", (sha256,))
        connection.execute("COMMIT")


def _put(connection: sqlite3.Connection, sha256: str, files: PackageFiles) -> None:
    """
    Raises:
        NotFound: its file is gone.
        StorageError: something else than the package is in its file.
    """
    found, offset = hashlib.sha256(), 0
    while data := files.read(sha256, offset, PIECE_BYTES):
        connection.execute("INSERT INTO carried_files VALUES (?, ?, ?)", (sha256, offset, data))
        found.update(data)
        offset += len(data)
    if found.hexdigest() != sha256:
        raise StorageError("its file is damaged")


def unpack(connection: sqlite3.Connection, files: PackageFiles) -> None:
    """Make files of the packages that this database carries. A process that is killed meanwhile, or a full disk, leaves
    them in it, and the next start goes on.

    Raises:
        sqlite3.Error: the database cannot be read or written.
    """
    from .retain import free_pages  # no part of other starts

    names = [sha256 for (sha256,) in connection.execute("SELECT DISTINCT sha256 FROM carried_files")]
    try:
        for sha256 in names:
            if not files.path(sha256).exists():  # a name means a whole file
                _take(connection, sha256, files)
                reach("unpack: file written")
    except StorageError as error:
        log.warning("the firmware of a backup stays in the database until the next start: %s", error.message)
        return
    connection.execute("DROP TABLE carried_files")
    reach("unpack: table dropped")
    (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    free_pages(connection, pages)
    log.info("%d packages of firmware were taken out of the backup", len(names))


def _take(connection: sqlite3.Connection, sha256: str, files: PackageFiles) -> None:
    upload = files.begin()
    try:
        for data in _pieces(connection, sha256):
            upload.write(data)
        if upload.digest() == sha256:
            upload.finish()
        else:
            log.error("the package %s is damaged in this backup and left out", sha256)
    finally:
        upload.abort()


def _pieces(connection: sqlite3.Connection, sha256: str) -> Iterator[bytes]:
    pieces = connection.execute("SELECT data FROM carried_files WHERE sha256 = ? ORDER BY offset", (sha256,))
    return (data for (data,) in pieces)


def look_into(copy: Path) -> Copied:
    """See `Store.look_into`."""
    try:
        with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'packages'").fetchone() is None:
                return Copied(0, 0)  # before schema 11
            (known,) = connection.execute("SELECT count(*) FROM packages").fetchone()
            if not is_carrying(connection):
                return Copied(0, known)
            (held,) = connection.execute(_HELD_SQL).fetchone()
    except sqlite3.Error as error:
        raise StorageError(f"{copy} is no backup of a store: {error}") from error
    return Copied(held, known - held)
