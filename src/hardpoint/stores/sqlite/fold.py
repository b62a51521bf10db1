"""Folding: from the journal's columns to blocks, one a series and pass, in slices that commits can go between."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .columns import encode, fitting
from .failpoints import reach

if TYPE_CHECKING:
    from ...model import Value
    from .journal import Columns, Journal

MAX_BLOCK_READINGS = 2048
"""Encoded in half a millisecond."""

_BLOCK_SQL = "INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?, ?)"


class Fold:
    """One pass over what the journal held when it began.

    Blocks are written slice by slice and count for nobody until the last slice, in one transaction, notes the fold and
    deletes the journal's rows. A pass that a crash ends leaves blocks without a fold, which the next start deletes.
    """

    def __init__(self, journal: Journal, number: int) -> None:
        self._journal = journal
        self.number = number
        self._columns: Columns = journal.frozen if journal.frozen is not None else journal.freeze()
        self._waiting = sorted(self._columns.by_series, reverse=True)
        # Of the series at the end of `_waiting`: its readings in order, and how many of them are written.
        self._ordered: tuple[list[int], list[Value]] | None = None
        self._written = 0
        self.counts: dict[int, int] = {}
        """Readings by series, each time once, as far as they are written."""
        self.finished = False

    def step(self, connection: sqlite3.Connection, budget_s: float) -> int:
        """Write blocks for about that long in one transaction, and return about how many pages it wrote.

        Raises:
            sqlite3.Error: nothing of this slice is done; calling again tries it again.
        """
        before = self._ordered, self._written
        done: list[int] = []
        blocks, size_bytes = self._blocks(time.perf_counter() + budget_s, done)
        last = not self._waiting
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(_BLOCK_SQL, blocks)
            reach("fold: blocks written")
            if last:
                readings = sum(self.counts.values())
                connection.execute("INSERT INTO folds VALUES (?, ?)", (self.number, readings))
                connection.execute("UPDATE totals SET readings = readings + ?", (readings,))
                connection.execute("DELETE FROM journal WHERE seq <= ?", (self._journal.frozen_seq,))
                reach("fold: before the end")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._waiting += reversed(done)
            self._ordered, self._written = before
            raise
        reach("fold: done" if last else "fold: slice done")
        if last:
            self._journal.drop_frozen()
            self.finished = True
        return size_bytes // 4000 + 3

    def _blocks(self, until_s: float, done: list[int]) -> tuple[list[tuple[int, int, int, int, int, bytes]], int]:
        """The next blocks, and about their size; the series that are through with them go from `_waiting` to done."""
        blocks: list[tuple[int, int, int, int, int, bytes]] = []
        size_bytes = 0
        while self._waiting:
            series = self._waiting[-1]
            if self._ordered is None:
                self._ordered = in_order(*self._columns.by_series[series])
                self._written = 0
                self.counts[series] = len(self._ordered[0])
            times, values = self._ordered
            start = self._written
            self._written = fitting(values, start, MAX_BLOCK_READINGS)
            if start > 0 or self._written < len(values):
                times, values = times[start : self._written], values[start : self._written]
            if self._written == len(self._ordered[0]):
                self._ordered = None
                done.append(self._waiting.pop())
            data = encode(times, values, lasting=False)
            size_bytes += len(data) + 30
            blocks.append((self.number, series, times[0], times[-1], len(times), data))
            if time.perf_counter() > until_s:
                break
        return blocks, size_bytes


def in_order(times: Sequence[int], values: Sequence[Value]) -> tuple[list[int], list[Value]]:
    """The same readings by ascending time, each time once; of several with one time the last."""
    listed = list(times)
    ordered = sorted(listed)
    if ordered == listed and len(set(ordered)) == len(ordered):
        return listed, list(values)
    last = dict(zip(listed, values, strict=True))
    ordered = sorted(last)
    return ordered, list(map(last.__getitem__, ordered))
