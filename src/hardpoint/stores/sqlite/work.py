"""What the writer does between commits, in slices: folding, purging, what somebody waits for, migrating, compacting.

A slice is short while nothing presses, so that a commit hardly waits for it, and longer the more is waiting: a stream
of commits that never pauses still has its readings folded and compacted as fast as they come.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from .compaction import Compaction
from .fold import Fold
from .legacy import Legacy
from .purge import Purges

if TYPE_CHECKING:
    from collections.abc import Generator

    from ...errors import StorageError
    from .journal import Journal

T = TypeVar("T")

FOLD_AT_READINGS = 4096
"""The least that makes a pass of folding due: a reader decodes none of them, and they take 160 KB of memory."""
FOLD_AT_READINGS_A_SERIES = 1024
"""With several series a pass waits for enough of each to go to chunks at once …"""
FOLD_AT_READINGS_IN_ALL = 65_536
"""… but for no more than these: 2.6 MB of memory, and after a crash the next start reads them in 0.1 s."""
FOLD_AT_LEAST_A_SERIES = 32
"""With very many series it waits for more all the same: a block of a few readings costs as much as one of many."""
FOLD_AT_READINGS_AT_MOST = 262_144
"""10 MB of memory, and as much again while a pass goes through them."""
SLICE_S = 0.002
"""A slice when nothing presses."""
FOLD_ALL_S = 1.0
"""A slice when somebody waits for all of it: a commit into a range that is being deleted, or the end of the process."""
STEEP = 8.0
"""How much faster slices of compaction grow: what waits in blocks levels out at a quarter more than it should be."""
MAX_SLICE_S = 0.25
"""A slice when far too much waits. Commits of 10,000 readings, one after another, need some 30 ms of slices each: were
slices shorter, blocks would pile up and reading would become slow, instead of writing a little slower.
"""


class Task(Generic[T]):
    """Work that somebody waits for: a generator that does one transaction a step and returns a result."""

    def __init__(self, steps: Generator[int, None, T]) -> None:
        self._steps = steps
        self._finished = threading.Event()
        self._result: T | None = None
        self._error: BaseException | None = None

    def step(self) -> int:
        """Go on; about how many pages that wrote. Raises StopIteration when there is nothing left."""
        try:
            return next(self._steps)
        except StopIteration as stop:
            self._result = stop.value
            self._finished.set()
            raise
        except BaseException as error:
            self.fail(error)
            raise

    def fail(self, error: BaseException) -> None:
        """It will not go on. For the thread that does its steps, which may be left in the middle of them."""
        self._steps.close()
        self._error = error
        self._finished.set()

    def wait(self) -> T:
        """Its result, when it is there. Raises what made it fail."""
        self._finished.wait()
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]


class Work:
    """All of it. Belongs to the writer's thread, but for `ask`."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.purges = Purges()
        self.legacy = Legacy()
        self.compaction = Compaction()
        self.tasks: deque[Task[object]] = deque()
        self._fold: Fold | None = None

    @classmethod
    def load(cls, connection: sqlite3.Connection, journal: Journal) -> Work:
        """What the last process left to do."""
        work = cls(journal)
        work.purges.load(connection)
        work.legacy.load(connection)
        work.compaction.load(connection)
        return work

    @property
    def fold_at(self) -> int:
        """So many readings in the journal make a pass of folding due."""
        series = len(self.journal.active.by_series)
        return max(
            FOLD_AT_READINGS,
            min(FOLD_AT_READINGS_A_SERIES * series, FOLD_AT_READINGS_IN_ALL),
            min(FOLD_AT_LEAST_A_SERIES * series, FOLD_AT_READINGS_AT_MOST),
        )

    @property
    def folding_due(self) -> bool:
        """Whether a pass is under way or should begin."""
        return self.journal.frozen is not None or self.journal.active.readings >= self.fold_at

    @property
    def due(self) -> bool:
        """Whether there is a slice to do now."""
        return bool(self.folding_due or self.purges.waiting or self.tasks or self.legacy.waiting or self.compaction.due)

    def step(self, connection: sqlite3.Connection) -> int:
        """One slice of what presses most, and about how many pages it wrote. Without anything due it folds.

        Raises:
            sqlite3.Error: nothing of this slice is done; calling again tries it again.
        """
        if self.folding_due:
            pages = self._fold_step(connection)
            if self.compaction.due and not self.legacy.waiting:
                pages += self.compaction.step(connection, self._budget_s(STEEP * (self.compaction.pressure - 1.0)))
            return pages
        if self.purges.waiting:
            return self.purges.step(connection)
        if self.tasks:
            return self._task_step()
        if self.legacy.waiting:
            return self.legacy.step(connection)
        if self.compaction.due:
            return self.compaction.step(connection, self._budget_s(STEEP * (self.compaction.pressure - 1.0)))
        return self._fold_step(connection)

    def fold_all(self, connection: sqlite3.Connection) -> int:
        """Fold until the journal is empty."""
        pages = 0
        while self.journal.readings or self.journal.frozen is not None:
            pages += self._fold_step(connection, FOLD_ALL_S)
        return pages

    def end_pass(self, connection: sqlite3.Connection) -> int:
        """End the pass of folding that is under way."""
        pages = 0
        while self.journal.frozen is not None:
            pages += self._fold_step(connection, FOLD_ALL_S)
        return pages

    def everything_in_chunks(self, connection: sqlite3.Connection) -> Generator[int]:
        """For tasks: fold, migrate and compact all there is, step by step."""
        while self.journal.readings or self.journal.frozen is not None:
            yield self._fold_step(connection)
        while self.purges.waiting:
            yield self.purges.step(connection)
        while self.legacy.waiting:
            yield self.legacy.step(connection)
        self.compaction.wanted = True
        try:
            while self.compaction.due:
                yield self.compaction.step(connection, SLICE_S)
        finally:
            self.compaction.wanted = False

    def fail_tasks(self, error: StorageError) -> None:
        """Let nobody wait for what will not be done."""
        while self.tasks:
            self.tasks.popleft().fail(error)

    def _task_step(self) -> int:
        try:
            return self.tasks[0].step()
        except StopIteration:
            self.tasks.popleft()
            return 0
        except sqlite3.Error:
            self.tasks.popleft()
            raise
        except Exception:  # noqa: BLE001 - whoever waits for it is told, and the writer goes on
            self.tasks.popleft()
            return 0

    def _fold_step(self, connection: sqlite3.Connection, budget_s: float | None = None) -> int:
        if self._fold is None:
            self._fold = Fold(self.journal, self.compaction.last_block + 1, self._may_skip_blocks)
        fold = self._fold
        if budget_s is None:
            budget_s = self._budget_s(self.journal.readings / self.fold_at - 1.0)
        pages = fold.step(connection, budget_s)
        if fold.finished:
            self._fold = None
            self.compaction.folded(fold.written, fold.in_blocks, fold.next_block - 1)
        return pages

    def _may_skip_blocks(self, connection: sqlite3.Connection, series: int) -> bool:
        return not self.legacy.waiting and not self.compaction.holds(connection, series)

    @staticmethod
    def _budget_s(pressure: float) -> float:
        return min(MAX_SLICE_S, SLICE_S * (1.0 + 7.0 * max(0.0, pressure)))
