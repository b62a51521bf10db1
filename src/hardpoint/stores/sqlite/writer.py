"""The writer's thread: commits batches one after another, and folds the journal in between."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import StorageError, StorageFull
from .connections import storage_error
from .failpoints import reach
from .journal import APPEND_SQL, Journal, encode_batch, encode_purged
from .purge import PassUnderWay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...model import Row
    from ..base import Done
    from .checkpoint import Checkpointer
    from .folder import DataFolder
    from .records import Statement
    from .work import Task, Work

log = logging.getLogger("hardpoint.store")

FOLD_IDLE_S = 300.0
"""A pass of folding is also due after this long without a commit. Much longer than the 10 s at which sensors are
commonly read: on a quiet server with a shorter time every round of readings would be folded by itself.
"""
RETRY_S = 5.0
"""After a slice failed, on a full disk as a rule."""
MAX_UNFOLDED_READINGS = 1_048_576
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
        work: Work,
        checkpointer: Checkpointer,
        *,
        fold_idle_s: float = FOLD_IDLE_S,
    ) -> None:
        self.connection = connection
        """Belongs to the thread once that has begun."""
        self._folder = folder
        self._journal = journal
        self._checkpointer = checkpointer
        self._fold_idle_s = fold_idle_s
        self.work = work
        self._slice_failed_s: float | None = None
        self._jobs: SimpleQueue[Job | Task[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="hardpoint-store", daemon=True)
        self._stopped = False
        self._door = threading.Lock()
        """Held to queue something or to stop: nothing comes behind the end, where nobody would answer for it."""
        self.commits = 0
        self.failures = 0
        self.failed_slices = 0
        """Of the work between commits: one that keeps failing counts up every `RETRY_S`."""

    def start(self) -> None:
        """From here on the connection belongs to the thread."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Commit it when those before it are. After `stop` its ``done`` is told so at once, on the caller's thread."""
        if not self._put(job):
            job.done(StorageError("the store is closed"))

    def ask(self, task: Task[Any]) -> None:
        """Do this between commits; whoever asks waits with `Task.wait`."""
        if not self._put(task):
            task.fail(StorageError("the store is closed"))

    def stop(self) -> None:
        """Commit what was submitted, fold what can be folded, and end the thread."""
        with self._door:
            self._stopped = True
            self._jobs.put(None)
        self._thread.join()

    def _put(self, job: Job | Task[Any]) -> bool:
        with self._door:
            if not self._stopped:
                self._jobs.put(job)
            return not self._stopped

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._patience_s())
            except Empty:
                self._slice()
                continue
            if job is None:
                break
            if not isinstance(job, Job):
                self.work.tasks.append(job)
                continue
            error = self._commit(job)
            try:
                job.done(error)
            except Exception:
                log.exception("the caller's done() failed; the store goes on")
            # Also when the next job is there already: a writer that is never idle must fold as well.
            if self._patience_s() == 0.0:
                self._slice()
            if self._checkpointer.unfinished:
                self._checkpointer.finish(self.connection)
        self.work.fail_tasks(StorageError("the store was closed meanwhile"))
        # Purging and compacting may take long, and go on at the next start.
        self.work.purges.waiting.clear()
        while self._journal.readings and self._slice(fold_only=True):
            pass

    def _patience_s(self) -> float | None:
        """How long to wait for a job before the next slice: 0 when one is due, None when there is none to come."""
        if self._slice_failed_s is not None:
            return max(0.0, self._slice_failed_s + RETRY_S - time.monotonic())
        if self.work.due:
            return 0.0
        return self._fold_idle_s if self._journal.readings else None

    # -- committing

    def _commit(self, job: Job) -> StorageError | None:
        try:
            if self._journal.readings > MAX_UNFOLDED_READINGS:
                raise StorageFull(f"{self._journal.readings} readings in {self._folder.path} wait for space")
            if job.statements or self.work.purges.touched_by(job.rows):
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
        reach("append: noted")
        try:
            self.connection.execute(APPEND_SQL, (seq, blob))
        except BaseException:
            self._journal.take_back(seq)
            raise
        reach("append: durable")
        self._checkpointer.wrote(1 + len(blob) // PAGE_BYTES)

    def _commit_changes(self, job: Job) -> None:
        try:
            self._try_changes(job)
        except PassUnderWay:
            self._checkpointer.wrote(self.work.end_pass(self.connection))
            self._try_changes(job)

    def _try_changes(self, job: Job) -> None:
        """
        Raises:
            PassUnderWay: nothing is done; see `Purges.make_way`.
        """
        journal, purges = self._journal, self.work.purges
        purging = job.removes_readings or bool(purges.waiting)
        purged: list[tuple[int, int, int]] = []
        first_seq = journal.next_seq
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            reach("commit: begun")
            for sql, parameters in job.statements:
                self.connection.execute(sql, parameters)
            if job.removes_readings and journal.readings:
                purged = purges.added(self.connection)
                journal.add(first_seq, ())
                self.connection.execute(APPEND_SQL, (first_seq, encode_purged(purged)))
            if job.rows:
                if purging:
                    purges.make_way(self.connection, job.rows, pass_under_way=journal.frozen is not None)
                blob = encode_batch(job.rows)
                seq = journal.next_seq
                journal.add(seq, job.rows, len(blob))
                self.connection.execute(APPEND_SQL, (seq, blob))
            reach("commit: before the end")
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            while journal.next_seq > first_seq:
                journal.take_back(journal.next_seq - 1)
            raise
        reach("commit: durable")
        if purged:
            journal.forget(first_seq, purged)
        if purging:
            purges.load(self.connection)
        self._checkpointer.wrote(1 + 2 * len(job.statements))

    def _failed(self, error: StorageError) -> StorageError:
        self.failures += 1
        if isinstance(error, StorageFull):
            self._checkpointer.want()  # what is in the file already frees the log's blocks for the next commit
        return error

    # -- between commits

    def _slice(self, *, fold_only: bool = False) -> bool:
        """A slice of the work; False when it failed: nothing is lost, and another try is due later."""
        # A slice that a power cut takes back is still in the journal, or noted to be done, so it needs no fsync of its
        # own. The next commit's covers it: the log is one file, and recovery stops at the first hole.
        self.connection.execute("PRAGMA synchronous = NORMAL")
        try:
            step = self.work.fold_all if fold_only else self.work.step
            self._checkpointer.wrote(step(self.connection))
        except Exception as error:  # of a damaged row as well: commits must go on
            self.failed_slices += 1
            if self._slice_failed_s is not None:
                self._not_again(error)
            elif isinstance(error, sqlite3.Error):
                log.warning("readings stay in the journal for now: %s", storage_error(error, self._folder))
            else:
                log.exception("readings stay in the journal for now: what is in %s is damaged", self._folder.path)
            self._slice_failed_s = time.monotonic()
            return False
        finally:
            self.connection.execute("PRAGMA synchronous = FULL")
        self._slice_failed_s = None
        return True

    def _not_again(self, error: Exception) -> None:
        """A slice has failed a second time, so it may fail for ever: whoever waits for a task behind it is told."""
        if isinstance(error, sqlite3.Error):
            self.work.fail_tasks(storage_error(error, self._folder))
        else:
            self.work.fail_tasks(StorageError(f"what is in {self._folder.path} is damaged: {type(error).__name__}"))
