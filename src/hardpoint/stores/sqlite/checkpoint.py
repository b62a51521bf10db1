"""Checkpoints on a thread of their own: moving the write-ahead log's pages into the file must not delay a commit."""

from __future__ import annotations

import logging
import sqlite3
import threading
from queue import SimpleQueue

log = logging.getLogger("hardpoint.store")

CHECKPOINT_PAGES = 1000
"""4 MiB, SQLite's own default. The log then stays small enough to be read through at the next start in milliseconds."""

_PASSIVE_SQL = "PRAGMA wal_checkpoint(PASSIVE)"  # waits for nobody, neither readers nor the writer


class Checkpointer:
    """Asked for by the writer, done by its own thread over its own connection.

    SQLite begins the log again at its start only when *all* of it was moved, and a writer that never pauses adds to it
    while the thread moves it: measured, the log then grew to its limit (32 MiB), and one commit had to wait until
    that was moved. So the thread moves the bulk, and the writer itself the few pages that came in the meantime.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._pages = 0
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="hardpoint-checkpoint", daemon=True)
        self.unfinished = False
        """The bulk was moved, and pages came in the meantime: the writer should call `finish`."""

    def start(self) -> None:
        """From here on the connection belongs to the thread."""
        self._thread.start()

    def wrote(self, pages: int) -> None:
        """About so many pages went into the log. Called by the writer, on its thread."""
        self._pages += pages
        if self._pages >= CHECKPOINT_PAGES:
            self.want()

    def want(self) -> None:
        """Begin a checkpoint, whatever was written. Called by the writer, on its thread."""
        self._pages = 0
        self._wanted.put(True)

    def finish(self, connection: sqlite3.Connection) -> None:
        """Move what came in the meantime. Called by the writer, with its own connection, between two commits."""
        self.unfinished = False
        _checkpoint(connection)

    def stop(self) -> None:
        """End the thread, after the checkpoint that is under way."""
        self._wanted.put(False)
        self._thread.join()

    def _run(self) -> None:
        while self._wanted.get():
            # What SQLite reports is the log as it was at the beginning; only the writer knows what came since.
            self.unfinished = _checkpoint(self._connection) and self._pages > 0


def _checkpoint(connection: sqlite3.Connection) -> bool:
    """Move what is in the log now; False when it could not be done."""
    try:
        busy, _, _ = connection.execute(_PASSIVE_SQL).fetchone()
    except sqlite3.Error as error:
        # A full disk, as a rule. Nothing is lost: the pages are in the log, and the next checkpoint tries again.
        log.debug("checkpoint put off: %s", error)
        return False
    return not busy
