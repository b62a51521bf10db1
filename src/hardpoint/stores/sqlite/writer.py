"""The writer's thread: commits batches one after another, and folds the journal in between."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from ...errors import StorageError, StorageFull
from .connections import storage_error
from .fold import Fold
from .journal import APPEND_SQL, Journal, encode_batch

if TYPE_CHECKING:
    from ...model import Row
    from ..base import Done
    from .checkpoint import Checkpointer
    from .folder import DataFolder
    from .purge import Purges
    from .records import Statement

log = logging.getLogger("hardpoint.store")

FOLD_AT_READINGS = 4096
"""A pass is due. A reader looks through this many rows in 0.2 ms, and they take half a megabyte of memory."""
FOLD_SLICE_ROWS = 1024
"""A slice's rows: 2 to 4 ms that a commit may have to wait."""
FOLD_IDLE_S = 30.0
"""A pass is also due after this long without a commit. Longer than the 10 s at which sensors are commonly read: on a
quiet server with a shorter time every round of readings would be folded by itself, and each is 20 pages then.
"""
RETRY_S = 5.0
"""After a slice failed, on a full disk as a rule."""
MAX_UNFOLDED_READINGS = 262_144
"""Beyond it commits are refused: the journal cannot be folded, and its copy in memory would go on growing (40 MB)."""

PAGE_BYTES = 4000  # of 4096, what a row can use


class Job(NamedTuple):
    """One batch."""

    rows: Sequence[Row]
    statements: Sequence[Statement]
    removes_readings: bool
    done: Done


class Writer:
    """One thread around one connection."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        folder: DataFolder,
        journal: Journal,
        purges: Purges,
        checkpointer: Checkpointer,
        *,
        fold_idle_s: float = FOLD_IDLE_S,
    ) -> None:
        self._connection = connection
        self._folder = folder
        self._journal = journal
        self._checkpointer = checkpointer
        self._fold_idle_s = fold_idle_s
        self._fold: Fold | None = None
        self._purges = purges
        self._slice_failed_s: float | None = None
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="hardpoint-store", daemon=True)
        self.commits = 0
        self.failures = 0

    def start(self) -> None:
        """From here on the connection belongs to the thread."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Commit it when those before it are."""
        self._jobs.put(job)

    def stop(self) -> None:
        """Commit what was submitted, fold what can be folded, and end the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._patience_s())
            except Empty:
                self._slice()
                continue
            if job is None:
                break
            error = self._commit(job)
            try:
                job.done(error)
            except Exception:
                log.exception("the caller's done() failed; the store goes on")
            # Also when the next job is there already: a writer that is never idle must fold as well.
            if self._patience_s() == 0.0:
                self._slice()
            if self._checkpointer.unfinished:
                self._checkpointer.finish(self._connection)
        # Purging may take long, and goes on at the next start.
        self._purges.waiting.clear()
        while self._journal.batches and self._slice():
            pass

    def _patience_s(self) -> float | None:
        """How long to wait for a job before the next slice: 0 when one is due, None when there is none to come."""
        if self._slice_failed_s is not None:
            return max(0.0, self._slice_failed_s + RETRY_S - time.monotonic())
        if self._fold is not None or self._journal.readings >= FOLD_AT_READINGS or self._purges.waiting:
            return 0.0
        return self._fold_idle_s if self._journal.batches else None

    # -- committing

    def _commit(self, job: Job) -> StorageError | None:
        try:
            if self._journal.readings > MAX_UNFOLDED_READINGS:
                raise StorageFull(f"{self._journal.readings} readings in {self._folder.path} wait for space")
            if job.removes_readings:
                self._fold_all()
            if job.statements or self._purges.touched_by(job.rows):
                self._commit_changes(job)
            elif job.rows:
                self._append(job.rows)
        except StorageError as error:
            return self._failed(error)
        except sqlite3.Error as error:
            return self._failed(storage_error(error, self._folder))
        except Exception as error:
            log.exception("a batch could not be encoded; none of it is stored")
            return self._failed(StorageError(f"a batch could not be stored: {type(error).__name__}"))
        self.commits += 1
        return None

    def _append(self, rows: Sequence[Row]) -> None:
        """Outside a transaction this is one: the common commit is a single step."""
        blob = encode_batch(rows)
        seq = self._journal.next_seq
        self._journal.add(seq, rows, len(blob))
        try:
            self._connection.execute(APPEND_SQL, (seq, blob))
        except BaseException:
            self._journal.take_back(seq)
            raise
        self._checkpointer.wrote(1 + len(blob) // PAGE_BYTES)

    def _commit_changes(self, job: Job) -> None:
        blob = encode_batch(job.rows) if job.rows else None
        seq = self._journal.next_seq
        purging = job.removes_readings or bool(self._purges.waiting)
        if blob is not None:
            self._journal.add(seq, job.rows, len(blob))
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for sql, parameters in job.statements:
                self._connection.execute(sql, parameters)
            if blob is not None:
                if purging:
                    self._purges.make_way(self._connection, job.rows)
                self._connection.execute(APPEND_SQL, (seq, blob))
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if blob is not None:
                self._journal.take_back(seq)
            raise
        if purging:
            self._purges.load(self._connection)
        self._checkpointer.wrote(1 + 2 * len(job.statements))

    def _failed(self, error: StorageError) -> StorageError:
        self.failures += 1
        if isinstance(error, StorageFull):
            self._checkpointer.want()  # what is in the file already frees the log's blocks for the next commit
        return error

    # -- between commits

    def _slice(self) -> bool:
        """A slice of folding or purging; False when it failed: nothing is lost, and another try is due later."""
        # A slice that a power cut takes back is still in the journal, or in `purges`, so it needs no fsync of its
        # own. The next commit's covers it: the log is one file, and recovery stops at the first hole.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        try:
            if self._purges.waiting and self._fold is None and self._journal.readings < FOLD_AT_READINGS:
                self._checkpointer.wrote(self._purges.step(self._connection))
            else:
                self._fold_step()
        except sqlite3.Error as error:
            if self._slice_failed_s is None:
                log.warning("readings stay in the journal for now: %s", storage_error(error, self._folder))
            self._slice_failed_s = time.monotonic()
            return False
        finally:
            self._connection.execute("PRAGMA synchronous = FULL")
        self._slice_failed_s = None
        return True

    def _fold_all(self) -> None:
        while self._journal.batches:
            self._fold_step()

    def _fold_step(self) -> None:
        if self._fold is None:
            self._fold = Fold(self._journal)
        # A quarter of what waits, where that is more: slices then keep up with batches of any size.
        max_rows = max(FOLD_SLICE_ROWS, self._journal.readings // 4)
        pages = self._fold.step(self._connection, max_rows)
        if self._fold.finished:
            self._fold = None
        self._checkpointer.wrote(pages)
