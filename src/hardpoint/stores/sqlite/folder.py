"""The data folder: made for its owner's eyes only, and held by one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ...errors import FolderTaken, StorageError

FOLDER_MODE = 0o700
FILE_MODE = 0o600
"""Token hashes and people's readings are nobody else's. SQLite gives its ``-wal`` and ``-shm`` the file's own mode."""


class DataFolder:
    """A folder and the right to write in it.

    The right is an ``flock`` on the file ``lock``, which the kernel drops with the process however it ends, so a
    kill -9 leaves nothing to clean up. The file holds the pid only to name the holder in the message.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "hardpoint.db"
        self._lock_fd: int | None = None

    def take(self) -> None:
        """Make the folder where it is missing, and lock it.

        Raises:
            FolderTaken: another store, in this process or another, holds it.
            StorageError: it cannot be made or written.
        """
        try:
            self.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise StorageError(f"the data folder {self.path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            os.close(fd)
            raise FolderTaken(
                f"the data folder {self.path} is held by process {holder or 'unknown'}",
                hint="stop that server first, or give this one another folder with --data",
            ) from None
        except OSError as error:
            os.close(fd)
            raise StorageError(
                f"the data folder {self.path} cannot be locked: {error.strerror}",
                hint="a network file system without locks cannot hold a data folder",
            ) from error
        self._lock_fd = fd
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
            os.close(os.open(self.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
        except OSError as error:
            self.release()
            raise StorageError(f"the data folder {self.path} cannot be written: {error.strerror}") from error

    def release(self) -> None:
        """Let another process have it. Idempotent."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)  # the file stays: removing it would let two processes lock two files of one name
            self._lock_fd = None

    def size_bytes(self) -> int:
        """What the database takes on disk, its write-ahead log included."""
        return _size(self.database) + self.log_bytes()

    def log_bytes(self) -> int:
        """What the write-ahead log takes; 0 where there is none."""
        return _size(self.path / f"{self.database.name}-wal")

    def free_bytes(self) -> int:
        """What an unprivileged process may still write there."""
        free = os.statvfs(self.path)
        return free.f_bavail * free.f_frsize


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
