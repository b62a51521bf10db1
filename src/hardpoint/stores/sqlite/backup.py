"""One consistent copy of a running store, in one file."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

from ...errors import StorageError, StorageFull
from .carried import carry
from .failpoints import reach
from .folder import FILE_MODE

if TYPE_CHECKING:
    from pathlib import Path

    from ..packages import PackageFiles
    from .reader import Readers


def back_up(readers: Readers, files: PackageFiles, target: Path) -> None:
    """Copy everything that was committed before the call to ``target``, which must not exist; packages go along.

    ``VACUUM INTO`` and not SQLite's online backup: it reads one snapshot in one call without the interpreter lock, and
    free pages are not copied. Commits go on; the write-ahead log grows by them until the copy is done, because its
    pages before the snapshot's end cannot be overwritten while it is read.

    Raises:
        StorageFull: there is no room for it.
        StorageError: ``target`` exists or cannot be written.
    """
    partial = target.with_name(f"{target.name}.partial")
    if target.exists():
        raise StorageError(f"{target} exists already", hint="name a file that does not")
    try:
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror}") from error
    try:
        with readers.connection() as connection:
            _copy(connection, partial)
            reach("backup: copied")
            try:
                carry(partial, files, lambda sha256: _is_kept(connection, sha256))
            except sqlite3.Error as error:
                raise _refused(error, partial) from error
        _sync(partial)
        reach("backup: whole")
        partial.replace(target)  # not a hard link, which would refuse an existing file: a USB stick's FAT has none
        reach("backup: named")
        _sync(target.parent)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def _copy(connection: sqlite3.Connection, partial: Path) -> None:
    connection.execute("PRAGMA query_only = OFF")  # it would hold for the copy too
    try:
        connection.execute("VACUUM INTO ?", (str(partial),))
    except sqlite3.Error as error:
        raise _refused(error, partial) from error
    finally:
        connection.execute("PRAGMA query_only = ON")


def _is_kept(connection: sqlite3.Connection, sha256: str) -> bool:
    return connection.execute("SELECT 1 FROM packages WHERE sha256 = ?", (sha256,)).fetchone() is not None


def _refused(error: sqlite3.Error, partial: Path) -> StorageError:
    """Made here, where it is known that it is the copy's disk that is full and not the store's."""
    if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
        return StorageFull(f"no space left in {partial.parent} for a copy")
    return StorageError(f"{partial} cannot be written: {error}")


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
