"""Compaction: from blocks to chunks, series by series, in slices that commits can go between.

A pass takes the folds that there are when it begins. What it has done is one row in the table ``compaction``, which
changes in the same transaction as the chunks, and by which readers know which readings of a block to leave out: a pass
that a crash ends goes on where it was, and the blocks of all folds are deleted together when it is through. Deleting
each as it is merged would write every page of them again for every slice.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from typing import NamedTuple

from ...model import INT64_MAX, INT64_MIN, Value
from .columns import Damaged, decode
from .failpoints import reach
from .merge import merge, quarantine_block

log = logging.getLogger("hardpoint.store")

READINGS_A_SERIES = 1024
"""A pass is due when blocks hold this many on the average: then most chunks are written once or twice."""
MAX_FOLDS = 64
"""Or when a read has to look at so many: a look is some microseconds."""
MAX_READINGS_OF_ONE_SERIES = 16_384
"""Or when one series has so many: a read of its last hour decodes them all, in 5 ms."""
MAX_PIECE_READINGS = 4096
"""Merged in one go: about 4 ms."""
DELETED_AT_ONCE = 2000
"""Blocks deleted in one transaction: about 2 ms."""

_STATE_SQL = "SELECT last_fold, series, before_ms FROM compaction"
_NEXT_SERIES_SQL = """
SELECT min(series) FROM (
    SELECT (SELECT min(series) FROM blocks WHERE fold = folds.id AND series >= ?) AS series FROM folds WHERE id <= ?
)
"""
_SIZES_SQL = """
SELECT start_ms, count FROM folds CROSS JOIN blocks ON fold = folds.id
WHERE folds.id <= ? AND series = ? AND end_ms >= ? ORDER BY start_ms
"""
_BLOCKS_SQL = """
SELECT fold, start_ms, end_ms, count, data FROM folds CROSS JOIN blocks ON fold = folds.id
WHERE folds.id <= ? AND series = ? AND end_ms >= ? AND start_ms < ? ORDER BY fold, start_ms
"""
_ORPHANS_SQL = """
DELETE FROM blocks WHERE (fold, series, start_ms) IN (
    SELECT fold, series, start_ms FROM blocks WHERE fold = ? LIMIT ?
)
"""


class Done(NamedTuple):
    """What a pass has done already, and readers must leave out of blocks."""

    last_fold: int
    series: int
    before_ms: int

    def covers(self, fold: int, series: int) -> int:
        """Readings of this series in blocks of this fold are in chunks when they are before this time."""
        if fold > self.last_fold or series > self.series:
            return INT64_MIN
        return self.before_ms if series == self.series else INT64_MAX


NOTHING = Done(-1, -1, INT64_MIN)


def done_so_far(connection: sqlite3.Connection) -> Done:
    """As the connection's transaction sees it."""
    row = connection.execute(_STATE_SQL).fetchone()
    return NOTHING if row is None else Done._make(row)


class Compaction:
    """When a pass is due, and the pass. Belongs to the writer's thread."""

    def __init__(self) -> None:
        self.folds: list[int] = []
        self._counts: dict[int, int] = {}
        self._readings = 0
        self._most = 0  # of one series
        self._orphans: list[int] = []
        self.next_fold = 1
        self.running = False
        self.wanted = False
        """Somebody waits for all blocks to be in chunks."""

    def load(self, connection: sqlite3.Connection) -> None:
        """Take over what the last process left."""
        self.folds = [number for (number,) in connection.execute("SELECT id FROM folds ORDER BY id")]
        self._count(connection, -1)
        known = set(self.folds)
        numbers = [number for (number,) in connection.execute("SELECT DISTINCT fold FROM blocks")]
        self._orphans = [number for number in numbers if number not in known]
        self.next_fold = max([0, *self.folds, *numbers]) + 1
        self.running = done_so_far(connection) != NOTHING

    def folded(self, number: int, counts: dict[int, int]) -> None:
        """A pass of folding is through."""
        self.folds.append(number)
        self.next_fold = number + 1
        known = self._counts
        for series, count in counts.items():
            known[series] = known.get(series, 0) + count
        self._readings += sum(counts.values())
        self._most = max(self._most, max(map(known.__getitem__, counts), default=0))

    def holds(self, series: int) -> bool:
        """Whether blocks of this series wait, or did when the pass that is under way began."""
        return series in self._counts

    @property
    def due(self) -> bool:
        """Whether there is something to do."""
        if self.running or self._orphans:
            return True
        if not self.folds:
            return False
        return self.wanted or self.pressure >= 1.0

    @property
    def pressure(self) -> float:
        """How much waits in blocks, as a part of what makes a pass due."""
        if not self._counts:
            return 0.0
        return max(
            self._readings / (READINGS_A_SERIES * len(self._counts)),
            len(self.folds) / MAX_FOLDS,
            self._most / MAX_READINGS_OF_ONE_SERIES,
        )

    def step(self, connection: sqlite3.Connection, budget_s: float) -> int:
        """Go on for about that long in one transaction, and return about how many pages it wrote.

        Raises:
            sqlite3.Error: nothing of this slice is done; calling again tries it again.
        """
        if not self.running and self._orphans:
            return self._delete_orphans(connection)
        until_s = time.perf_counter() + budget_s
        connection.execute("BEGIN IMMEDIATE")
        try:
            done = done_so_far(connection)
            if done == NOTHING:
                done = Done(self.folds[-1], INT64_MIN, INT64_MAX)
                connection.execute("INSERT INTO compaction VALUES (?, ?, ?)", done)
            pages, finished = self._slice(connection, done, until_s)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self.running = not finished
        reach("compaction: done" if finished else "compaction: slice done")
        if finished:
            compacted = [number for number in self.folds if number <= done.last_fold]
            self._orphans += compacted
            self.folds = self.folds[len(compacted) :]
            self._count(connection, done.last_fold)
        return pages

    def _count(self, connection: sqlite3.Connection, after_fold: int) -> None:
        """What waits in the folds after this one."""
        if not self.folds:
            self._counts, self._readings, self._most = {}, 0, 0
            return
        sql = "SELECT series, sum(count) FROM folds JOIN blocks ON fold = folds.id WHERE fold > ? GROUP BY series"
        self._counts = dict(connection.execute(sql, (after_fold,)).fetchall())
        self._readings = sum(self._counts.values())
        self._most = max(self._counts.values(), default=0)

    def _slice(self, connection: sqlite3.Connection, done: Done, until_s: float) -> tuple[int, bool]:
        pages = 3
        lost = 0
        while True:
            if done.before_ms == INT64_MAX:
                (series,) = connection.execute(_NEXT_SERIES_SQL, (done.series + 1, done.last_fold)).fetchone()
                if series is None:
                    connection.execute("DELETE FROM compaction")
                    connection.execute("DELETE FROM folds WHERE id <= ?", (done.last_fold,))
                    _uncount(connection, lost)
                    reach("compaction: before the end")
                    return pages, True
                done = Done(done.last_fold, series, INT64_MIN)
            doubled, before_ms = _compact(connection, done)
            lost += doubled
            pages += 3
            done = done._replace(before_ms=before_ms)
            if time.perf_counter() > until_s:
                break
        connection.execute("UPDATE compaction SET series = ?, before_ms = ?", done[1:])
        _uncount(connection, lost)
        reach("compaction: chunks written")
        return pages, False

    def _delete_orphans(self, connection: sqlite3.Connection) -> int:
        deleted = connection.execute(_ORPHANS_SQL, (self._orphans[-1], DELETED_AT_ONCE)).rowcount
        if deleted < DELETED_AT_ONCE:
            self._orphans.pop()
        reach("compaction: blocks deleted")
        return deleted // 8 + 2


def _compact(connection: sqlite3.Connection, done: Done) -> tuple[int, int]:
    """Merge a piece of a series; how many readings were there twice, and the time that it is done up to."""
    last_fold, series, from_ms = done
    before_ms, count = INT64_MAX, 0
    for start_ms, readings in connection.execute(_SIZES_SQL, done):
        if count > 0 and count + readings > MAX_PIECE_READINGS and start_ms > from_ms:
            before_ms = start_ms
            break
        count += readings
    merged: dict[int, Value] = {}
    times: list[int] = []
    values: list[Value] = []
    seen = 0
    for fold, *block in connection.execute(_BLOCKS_SQL, (last_fold, series, from_ms, before_ms)).fetchall():
        try:
            block_times, block_values = decode(block[-1])
        except Damaged as error:
            quarantine_block(connection, fold, series, *block, problem=str(error))
            continue
        if block_times[0] < from_ms or block_times[-1] >= before_ms:
            chosen = [
                (ts, value) for ts, value in zip(block_times, block_values, strict=True) if from_ms <= ts < before_ms
            ]
            block_times, block_values = [ts for ts, _ in chosen], [value for _, value in chosen]
        seen += len(block_times)
        if not block_times:
            continue
        if not merged and (not times or block_times[0] > times[-1]):
            times += block_times
            values += block_values
        else:
            if not merged:
                merged = dict(zip(times, values, strict=True))
            merged.update(zip(block_times, block_values, strict=True))
    if merged:
        times = sorted(merged)
        values = list(map(merged.__getitem__, times))
    return (seen - merge(connection, series, times, values) if times else 0), before_ms


def _uncount(connection: sqlite3.Connection, readings: int) -> None:
    if readings:
        connection.execute("UPDATE totals SET readings = max(0, readings - ?)", (readings,))
