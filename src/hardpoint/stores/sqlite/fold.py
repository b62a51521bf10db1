"""Folding: from the journal's columns to blocks, one a series and pass, in slices that commits can go between.

A series that has enough readings for a chunk of its own goes to chunks at once, where nothing of it lies between the
two: no block of it waits, and all its chunks are older. A reading of a busy series is then encoded once, not twice.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...model import INT64_MAX
from .chunks import overlapping
from .columns import encode, fitting
from .failpoints import reach
from .merge import merge

if TYPE_CHECKING:
    from ...model import Value
    from .journal import Columns, Journal

MAX_BLOCK_READINGS = 2048
"""Encoded in half a millisecond."""
DIRECT_READINGS = 512
"""From so many in one pass on, the readings of a series go to chunks at once: what `merge` lets a chunk end after."""
MAX_DIRECT_READINGS = 4096
"""Brought into chunks in one go: about 2 ms."""
CHUNK_PAGES = 4
"""About what a chunk writes: its row, its data, and those of the open one before it."""

_BLOCK_SQL = "INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?, ?)"
_COUNT_SQL = "UPDATE totals SET readings = readings + ?"
_COUNT_DIRECT_SQL = "UPDATE totals SET readings = readings + ?, in_journal = in_journal + ?"


class _Ordered(NamedTuple):
    """The readings of the series that a pass is at, by time, how many of them are written, and whether to chunks."""

    times: Sequence[int]
    values: Sequence[Value]
    written: int
    direct: bool


class Fold:
    """One pass over what the journal held when it began.

    Blocks are written slice by slice and count for nobody until the last slice, in one transaction, notes the fold and
    deletes the journal's rows. A pass that a crash ends leaves blocks without a fold, which the next start deletes.

    What goes to chunks counts at once, while it is in the journal still, which lies over them and says the same. After
    a crash it is folded again, as what it is then: readings that the chunks have already.
    """

    def __init__(self, journal: Journal, number: int, may_skip_blocks: Callable[[int], bool] = lambda _: False) -> None:
        """``may_skip_blocks`` says of a series whether no layer between journal and chunks holds anything of it."""
        self._journal = journal
        self.number = number
        self._may_skip_blocks = may_skip_blocks
        self._columns: Columns = journal.frozen if journal.frozen is not None else journal.freeze()
        self._waiting = sorted(self._columns.by_series, reverse=True)
        self._ordered: _Ordered | None = None  # of the series at the end of `_waiting`
        self.counts: dict[int, int] = {}
        """Readings by series, each time once, as far as they are written to blocks."""
        self.finished = False

    def step(self, connection: sqlite3.Connection, budget_s: float) -> int:
        """Write blocks and chunks for about that long in one transaction, and return about how many pages it wrote.

        Raises:
            sqlite3.Error: nothing of this slice is done; calling again tries it again.
        """
        before = self._ordered
        done: list[int] = []
        connection.execute("BEGIN IMMEDIATE")
        try:
            pages = self._write(connection, time.perf_counter() + budget_s, done)
            reach("fold: blocks written")
            last = not self._waiting
            if last:
                self._end(connection)
                reach("fold: before the end")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._waiting += reversed(done)
            self._ordered = before
            raise
        reach("fold: done" if last else "fold: slice done")
        if last:
            self._journal.drop_frozen()
            self.finished = True
        return pages + 3

    def _write(self, connection: sqlite3.Connection, until_s: float, done: list[int]) -> int:
        """The next pieces, and about how many pages; series that are through with them go from `_waiting` to done."""
        blocks: list[tuple[int, int, int, int, int, bytes]] = []
        block_bytes = chunk_pages = in_chunks = in_journal = 0
        while self._waiting:
            series = self._waiting[-1]
            times, values, start, direct = self._ordered or self._begin(connection, series)
            end = fitting(values, start, MAX_DIRECT_READINGS if direct else MAX_BLOCK_READINGS)
            if end == len(values):
                self._ordered = None
                done.append(self._waiting.pop())
            else:
                self._ordered = _Ordered(times, values, end, direct)
            if not values:
                continue
            if start > 0 or end < len(values):
                times, values = times[start:end], values[start:end]
            if direct:
                in_chunks += merge(connection, series, times, values)
                in_journal += len(times)
                chunk_pages += CHUNK_PAGES
            else:
                data = encode(times, values, lasting=False)
                block_bytes += len(data) + 30
                blocks.append((self.number, series, times[0], times[-1], len(times), data))
            if time.perf_counter() > until_s:
                break
        connection.executemany(_BLOCK_SQL, blocks)
        if in_journal:
            connection.execute(_COUNT_DIRECT_SQL, (in_chunks, in_journal))
        return block_bytes // 4000 + chunk_pages

    def _begin(self, connection: sqlite3.Connection, series: int) -> _Ordered:
        column = self._columns.by_series.get(series)
        if column is None:  # all of it was deleted since
            return _Ordered((), (), 0, direct=False)
        times, values = in_order(*column)
        direct = (
            len(times) >= DIRECT_READINGS
            and self._may_skip_blocks(series)
            and not overlapping(connection, series, times[0], INT64_MAX)
        )
        if not direct:
            self.counts[series] = len(times)
        return _Ordered(times, values, 0, direct)

    def _end(self, connection: sqlite3.Connection) -> None:
        if self.counts:
            readings = sum(self.counts.values())
            connection.execute("INSERT INTO folds VALUES (?, ?)", (self.number, readings))
            connection.execute(_COUNT_SQL, (readings,))
        connection.execute("UPDATE totals SET in_journal = 0")
        connection.execute("DELETE FROM journal WHERE seq <= ?", (self._journal.frozen_seq,))


def in_order(times: Sequence[int], values: Sequence[Value]) -> tuple[list[int], list[Value]]:
    """The same readings by ascending time, each time once; of several with one time the last."""
    listed = list(times)
    ordered = sorted(listed)
    if ordered == listed and len(set(ordered)) == len(ordered):
        return listed, list(values)
    last = dict(zip(listed, values, strict=True))
    ordered = sorted(last)
    return ordered, list(map(last.__getitem__, ordered))
