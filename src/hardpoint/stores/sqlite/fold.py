"""Folding: from the journal's columns to blocks, one a group of series and pass, in slices that commits can go between.

A series that has enough readings for a chunk of its own goes to chunks at once, where nothing of it lies between the
two: no block of it waits, and all its chunks are older. A reading of a busy series is then encoded once, not twice.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...model import INT64_MAX
from .blocks import INSERT_SQL, Block, Piece, block_of, group_of
from .chunks import overlapping
from .columns import fitting
from .failpoints import reach
from .merge import merge

if TYPE_CHECKING:
    from ...model import Value
    from .journal import Columns, Journal

MAX_BLOCK_READINGS = 2048
"""Encoded in half a millisecond."""
MAX_SHARED_READINGS = 256
"""What a series may have to share a block with others: sixteen of them are encoded in two milliseconds."""
DIRECT_READINGS = 512
"""From so many in one pass on, the readings of a series go to chunks at once: what `merge` lets a chunk end after."""
MAX_DIRECT_READINGS = 4096
"""Brought into chunks in one go: about 2 ms."""
CHUNK_PAGES = 4
"""About what a chunk writes: its row, its data, and those of the open one before it."""

_PLAIN = frozenset({float, int, bool})
_KINDS = {frozenset({float}): 0, frozenset({int}): 1}
"""Floats share a block with floats, and integers with integers: the columns of both are narrow."""
_OTHERS = 2
_END_SQL = "UPDATE totals SET readings = readings + ?, in_journal = 0, last_block = ?"
_COUNT_DIRECT_SQL = "UPDATE totals SET readings = readings + ?, in_journal = in_journal + ?"
_ORPHANS_SQL = "DELETE FROM blocks WHERE id >= ?"


class _Ordered(NamedTuple):
    """The readings of the series that a pass is at, by time, how many of them are written, and whether to chunks."""

    times: Sequence[int]
    values: Sequence[Value]
    written: int
    direct: bool


class Fold:
    """One pass over what the journal held when it began.

    Blocks are written slice by slice and count for nobody until the last slice, in one transaction, notes the last of
    them and deletes the journal's rows. What a pass that a crash ended leaves behind that one, the next pass deletes.

    What goes to chunks counts at once, while it is in the journal still, which lies over them and says the same. After
    a crash it is folded again, as what it is then: readings that the chunks have already.
    """

    def __init__(
        self,
        journal: Journal,
        first_block: int,
        may_skip_blocks: Callable[[sqlite3.Connection, int], bool] = lambda _, __: False,
    ) -> None:
        """``may_skip_blocks`` says of a series whether no layer between journal and chunks holds anything of it."""
        self._journal = journal
        self._first_block = first_block
        self._may_skip_blocks = may_skip_blocks
        self._columns: Columns = journal.frozen if journal.frozen is not None else journal.freeze()
        self._waiting = sorted(self._columns.by_series, reverse=True)
        self._ordered: _Ordered | None = None  # of the series at the end of `_waiting`
        self.written: list[Block] = []
        """Without their data."""
        self.in_blocks: set[int] = set()
        """The series that they are of."""
        self.finished = False

    @property
    def next_block(self) -> int:
        """The id of the block that comes next."""
        return self._first_block + len(self.written)

    def step(self, connection: sqlite3.Connection, budget_s: float) -> int:
        """Write blocks and chunks for about that long in one transaction, and return about how many pages it wrote.

        Raises:
            sqlite3.Error: nothing of this slice is done; calling again tries it again.
        """
        before, written = self._ordered, len(self.written)
        done: list[int] = []
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not written:
                connection.execute(_ORPHANS_SQL, (self._first_block,))
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
            del self.written[written:]
            raise
        reach("fold: done" if last else "fold: slice done")
        if last:
            self._journal.drop_frozen()
            self.finished = True
        return pages + 3

    def _write(self, connection: sqlite3.Connection, until_s: float, done: list[int]) -> int:
        """The next pieces, and about how many pages; series that are through with them go from `_waiting` to done."""
        shared: tuple[list[Piece], list[Piece], list[Piece]] = ([], [], [])
        pages = in_chunks = in_journal = 0
        while self._waiting:
            series = self._waiting[-1]
            times, values, start, direct = self._ordered or self._begin(connection, series)
            kinds = frozenset(map(type, values))
            if not direct and len(values) <= MAX_SHARED_READINGS and kinds <= _PLAIN:
                end = len(values)  # the common case, and all that `fitting` would say
            else:
                end = fitting(values, start, MAX_DIRECT_READINGS if direct else MAX_BLOCK_READINGS)
            if end == len(values):
                self._ordered = None
                done.append(self._waiting.pop())
            else:
                self._ordered = _Ordered(times, values, end, direct)
            alone = direct or end < len(values) or end - start > MAX_SHARED_READINGS
            if values:
                whole = end - start == len(values)
                piece = Piece(series, times, values) if whole else Piece(series, times[start:end], values[start:end])
                if direct:
                    in_chunks += merge(connection, *piece)
                    in_journal += end - start
                    pages += CHUNK_PAGES
                elif alone:
                    pages += self._insert(connection, [piece])
                else:
                    shared[_KINDS.get(kinds, _OTHERS)].append(piece)
            whole_group = not self._waiting or group_of(self._waiting[-1]) != group_of(series)
            if whole_group:
                pages += self._insert_shared(connection, shared)
            if (whole_group or alone) and time.perf_counter() > until_s:
                break
        pages += self._insert_shared(connection, shared)
        if in_journal:
            connection.execute(_COUNT_DIRECT_SQL, (in_chunks, in_journal))
        return pages

    def _insert_shared(self, connection: sqlite3.Connection, shared: Sequence[list[Piece]]) -> int:
        pages = 0
        for pieces in shared:
            if pieces:
                pages += self._insert(connection, pieces)
                pieces.clear()
        return pages

    def _insert(self, connection: sqlite3.Connection, pieces: Sequence[Piece]) -> int:
        block = block_of(self.next_block, pieces)
        connection.execute(INSERT_SQL, block)
        self.written.append(block._replace(data=b""))
        self.in_blocks.update(piece.series for piece in pieces)
        return 1 + len(block.data) // 4000

    def _begin(self, connection: sqlite3.Connection, series: int) -> _Ordered:
        column = self._columns.by_series.get(series)
        if column is None:  # all of it was deleted since
            return _Ordered((), (), 0, direct=False)
        times, values = in_order(*column)
        direct = (
            len(times) >= DIRECT_READINGS
            and self._may_skip_blocks(connection, series)
            and not overlapping(connection, series, times[0], INT64_MAX)
        )
        return _Ordered(times, values, 0, direct)

    def _end(self, connection: sqlite3.Connection) -> None:
        readings = sum(block.count for block in self.written)
        connection.execute(_END_SQL, (readings, self.next_block - 1))
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
