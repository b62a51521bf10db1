"""Packages of firmware on disk: one file each in a folder of its own, named by the SHA-256 of what is in it.

A file is written under another name and renamed when it is whole and on disk, so a name means a whole file. Only the
upload's pieces are written on the caller's thread, into the page cache; the rest blocks and is for a thread.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import secrets
from collections.abc import Collection
from pathlib import Path

from ..errors import NotFound, StorageError, StorageFull

log = logging.getLogger("hardpoint.store")

FOLDER = "packages"
"""In the data folder."""
PARTIAL = ".partial"
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SHA256 = re.compile(r"[0-9a-f]{64}")


class PackageFiles:
    """The folder. It is made with the first package."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def without_leftovers(cls, folder: Path, kept: Collection[str]) -> PackageFiles:
        """For a start: remove what a crash has left, of uploads that it broke off, and of packages that were not stored
        yet, or not removed with their last file. ``kept`` are the SHA-256 of those there are. An upload under way would
        be gone, too. What has another name is somebody else's, and stays.
        """
        left = 0
        for path in folder.iterdir() if folder.is_dir() else ():
            nobodys = _SHA256.fullmatch(path.name) is not None and path.name not in kept
            if nobodys or path.name.endswith(PARTIAL):
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:  # it only takes space
                    log.warning("%s is of no package, and cannot be removed: %s", path, error.strerror)
                else:
                    left += 1
        if left:
            log.info("%d files in %s were of no package, and are removed", left, folder)
        return cls(folder)

    def begin(self) -> Upload:
        """A new one.

        Raises:
            StorageError: it cannot be written.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return Upload(self._folder)
        except OSError as error:
            raise _not_stored(error) from error

    def path(self, sha256: str) -> Path:
        """Where it lies."""
        return self._folder / sha256

    def read(self, sha256: str, offset: int, size: int) -> bytes:
        """A part of it, shorter at its end. Blocks.

        Raises:
            NotFound: there is no such file.
        """
        try:
            with self.path(sha256).open("rb") as file:
                return os.pread(file.fileno(), size, offset)
        except OSError:
            raise NotFound("the package's file is gone") from None

    def remove(self, sha256: str) -> None:
        """Delete it, if it is there."""
        self.path(sha256).unlink(missing_ok=True)


class Upload:
    """A package that is being written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / f"{secrets.token_hex(8)}{PARTIAL}"
        self._file = self._path.open("xb")
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """The next piece.

        Raises:
            StorageError: the disk is full, for example.
        """
        try:
            self._file.write(data)
        except OSError as error:
            raise _not_stored(error) from error
        self._hash.update(data)
        self.size += len(data)

    def digest(self) -> str:
        """The SHA-256 in hex of what was written so far."""
        return self._hash.hexdigest()

    def finish(self) -> str:
        """Put it on disk under its name, which is returned: its SHA-256 in hex. Blocks.

        Raises:
            StorageError: it cannot be.
        """
        name = self.digest()
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._path.rename(self._folder / name)
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise _not_stored(error) from error
        return name

    def abort(self) -> None:
        """Leave nothing behind. Does nothing to one that is finished."""
        with contextlib.suppress(OSError):  # what is still to be written may find the disk full again
            self._file.close()
        self._path.unlink(missing_ok=True)


def _not_stored(error: OSError) -> StorageError:
    if error.errno in NO_SPACE:
        return StorageFull("no space left for the package")
    return StorageError(f"a package cannot be stored: {error.strerror}")
