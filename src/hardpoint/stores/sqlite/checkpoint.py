"""Checkpoints on a thread of their own: moving the write-ahead log's pages into the file must not delay a commit."""

from __future__ import annotations

import logging
import sqlite3
import threading
from queue import SimpleQueue

log = logging.getLogger("hardpoint.store")

CHECKPOINT_PAGES = 1000
"""4 MiB, SQLite's own default. The log then stays small enough to be read through at the next start in milliseconds."""


class Checkpointer:
    """Asked for by the writer, done by its own thread over its own connection.

    PASSIVE never waits for readers or the writer. What it could not move is moved the next time; SQLite begins the log
    again from its start, in the same blocks of the disk, once all of it was moved.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._pages = 0
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="hardpoint-checkpoint", daemon=True)

    def start(self) -> None:
        """From here on the connection belongs to the thread."""
        self._thread.start()

    def wrote(self, pages: int) -> None:
        """So many pages went into the log. Called by the writer, on its thread."""
        self._pages += pages
        if self._pages >= CHECKPOINT_PAGES:
            self._pages = 0
            self._wanted.put(True)

    def stop(self) -> None:
        """End the thread, after the checkpoint that is under way."""
        self._wanted.put(False)
        self._thread.join()

    def _run(self) -> None:
        while self._wanted.get():
            try:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.Error as error:
                # A full disk, as a rule. Nothing is lost: the pages are in the log, and the next one tries again.
                log.debug("checkpoint put off: %s", error)
