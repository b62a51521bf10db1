"""Compaction: from blocks to chunks, group by group, in slices that commits can go between.

Of all groups of series the one of which most waits is next, whenever blocks hold more than they should in all. So the
groups take turns by themselves: what waits stays the same, a reading is encoded into chunks as often whatever the
number of series, and no pass over everything comes at once. A group's blocks are read once, and deleted with the last
of its series; how far a group is that takes more than a slice stands in one row that readers heed.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from dataclasses import dataclass
from heapq import nlargest
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ...model import INT64_MIN
from .blocks import COLUMNS, GROUP_SERIES, VISIBLE, Block, Shared, extent_of, group_of
from .columns import Damaged, decode
from .failpoints import reach
from .merge import merge, quarantine_block

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...model import Value

log = logging.getLogger("hardpoint.store")

READINGS_A_SERIES = 1024
"""A group is due when blocks hold this many on the average of all: most chunks are then written once."""
MAX_BLOCKS = 64
"""Or when a read of one of its series has to look at so many: a look is 10 µs."""
MAX_READINGS_OF_ONE_SERIES = 16_384
"""Or when one series has so many: a read of its last hour decodes them all, in 5 ms."""
QUEUE = 32
"""Groups chosen at a time: looking for the fullest looks at all."""

_STATE_SQL = "SELECT grp, last_block, series FROM compaction"
_WAITING_SQL = f"""
SELECT grp, sum(series IS NULL), count(series), sum(count), max(members), sum(most) FROM blocks WHERE {VISIBLE}
"""  # noqa: S608 - our own words
_OF_GROUP_SQL = f"SELECT {COLUMNS} FROM blocks WHERE grp = ? AND id <= ? ORDER BY id"  # noqa: S608
# Whatever takes readings out of a block changes one of these.
_ROWS_SQL = "SELECT id, series, start_ms, end_ms, count FROM blocks WHERE grp = ? AND id <= ? ORDER BY id"
_DELETE_SQL = "DELETE FROM blocks WHERE grp = ? AND id <= ?"
_LAST_SQL = "SELECT last_block FROM totals"


Held: TypeAlias = "dict[int, list[tuple[Block, Shared | None]]]"
"""By series, the blocks that hold it, opened where they are of several."""


class Done(NamedTuple):
    """What is in chunks already of blocks that are there still, and readers must leave out."""

    group: int
    last_block: int
    series: int

    def covers(self, block: Block, series: int) -> bool:
        """Whether what this block holds of a series is in chunks."""
        return block.group == self.group and block.id <= self.last_block and series < self.series


NOTHING = Done(-1, -1, INT64_MIN)


def done_so_far(connection: sqlite3.Connection) -> Done:
    """As the connection's transaction sees it.

    Raises:
        sqlite3.DatabaseError: its row is damaged. Readings could be read twice, or not at all.
    """
    row = connection.execute(_STATE_SQL).fetchone()
    if row is not None and not all(isinstance(number, int) for number in row):
        raise sqlite3.DatabaseError("the note of how far compaction is was torn")
    return NOTHING if row is None else Done._make(row)


@dataclass(slots=True)
class Waiting:
    """What blocks hold of a group."""

    shared: int = 0
    alone: int = 0
    """Blocks of several series, and of one."""
    readings: int = 0
    members: int = 0
    """The most series that one block has."""
    most: int = 0
    """The readings of the one series that has most, or somewhat more."""
    series: set[int] | None = None
    """None: nobody has looked yet, since the process began."""

    def with_one_more(self, block: Block) -> Waiting:
        """The same and this block."""
        return Waiting(
            self.shared + (block.series is None),
            self.alone + (block.series is not None),
            self.readings + block.count,
            max(self.members, block.members),
            self.most + block.most,
            self.series,
        )

    @property
    def pressure(self) -> float:
        """How much it is, as a part of what makes this group due by itself."""
        blocks = self.shared + self.alone / GROUP_SERIES
        return max(blocks / MAX_BLOCKS, self.most / MAX_READINGS_OF_ONE_SERIES)

    @property
    def fullness(self) -> tuple[bool, float]:
        """By what the next group is chosen."""
        return self.pressure >= 1.0, self.readings / self.members


class Compaction:
    """When a group is due, and bringing it into chunks. Belongs to the writer's thread."""

    def __init__(self) -> None:
        self._waiting: dict[int, Waiting] = {}
        self._pressing: set[int] = set()
        self._readings = 0
        self._members = 0
        self._queue: list[int] = []
        self.last_block = 0
        """That counts."""
        self.running = False
        self._stale = False
        self._opened: tuple[list[tuple[int, ...]], Held] | None = None
        self.wanted = False
        """Somebody waits for all blocks to be in chunks."""

    def load(self, connection: sqlite3.Connection) -> None:
        """Take over what the last process left."""
        self._waiting, self._pressing, self._readings, self._members, self._queue = {}, set(), 0, 0, []
        (self.last_block,) = connection.execute(_LAST_SQL).fetchone()
        for group, *counted in connection.execute(f"{_WAITING_SQL} GROUP BY grp"):
            self._note(group, Waiting(*counted))
        self.running = done_so_far(connection) != NOTHING
        self._stale = False

    def folded(self, blocks: Iterable[Block], in_blocks: Iterable[int], last_block: int) -> None:
        """A pass of folding is through: these are its blocks, of these series."""
        self.last_block = last_block
        for block in blocks:
            known = self._waiting.get(block.group, Waiting(series=set()))
            self._note(block.group, known.with_one_more(block))
        for series in in_blocks:
            found = self._waiting[group_of(series)].series
            if found is not None:
                found.add(series)

    def holds(self, connection: sqlite3.Connection, series: int) -> bool:
        """Whether blocks of this series wait, or did when compaction of its group began."""
        waiting = self._waiting.get(group_of(series))
        if waiting is None:
            return False
        if waiting.series is None:
            first = group_of(series) * GROUP_SERIES
            members = range(first, first + GROUP_SERIES)
            waiting.series = {each for each in members if extent_of(connection, each) is not None}
        return series in waiting.series

    @property
    def due(self) -> bool:
        """Whether there is something to do."""
        return self.running or bool(self._waiting and (self.wanted or self.pressure >= 1.0))

    @property
    def pressure(self) -> float:
        """How much waits in blocks, as a part of what makes a group due."""
        if not self._waiting:
            return 0.0
        pressing = [self._waiting[group].pressure for group in self._pressing]
        return max(self._readings / (READINGS_A_SERIES * self._members), *pressing, 0.0)

    def step(self, connection: sqlite3.Connection, budget_s: float) -> int:
        """Go on for about that long in one transaction, and return about how many pages it wrote.

        Raises:
            sqlite3.Error: nothing of this slice is done; calling again tries it again.
        """
        if self._stale:
            self.load(connection)
            if not self.due:
                return 0
        until_s = time.perf_counter() + budget_s
        pages = 3
        connection.execute("BEGIN IMMEDIATE")
        try:
            done = done_so_far(connection)
            connection.execute("DELETE FROM compaction")
            while True:
                if done == NOTHING:
                    done = Done(self._fullest(), self.last_block, INT64_MIN)
                group = done.group
                more, done = self._compact(connection, done, until_s)
                pages += more
                self.running = done != NOTHING
                if not self.running:
                    self._recount(connection, group)
                if time.perf_counter() > until_s or not self.due:
                    break
            if self.running:
                connection.execute("INSERT INTO compaction VALUES (?, ?, ?)", done)
            reach("compaction: before the end")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self.running = self._stale = True
            self._opened = None
            raise
        reach("compaction: done" if not self.running else "compaction: slice done")
        return pages

    def _fullest(self) -> int:
        while True:
            if not self._queue:
                self._queue = nlargest(QUEUE, self._waiting, key=lambda group: self._waiting[group].fullness)[::-1]
            group = self._queue.pop()
            if group in self._waiting:
                return group

    def _recount(self, connection: sqlite3.Connection, group: int) -> None:
        row = connection.execute(f"{_WAITING_SQL} AND grp = ? GROUP BY grp", (group,)).fetchone()
        self._note(group, None if row is None else Waiting(*row[1:]))

    def _note(self, group: int, waiting: Waiting | None) -> None:
        """Take over what a group has now, in the place of what it had; None is nothing."""
        had = self._waiting.pop(group, None)
        if had is not None:
            self._readings -= had.readings
            self._members -= had.members
            self._pressing.discard(group)
        if waiting is not None:
            self._waiting[group] = waiting
            self._readings += waiting.readings
            self._members += waiting.members
            if waiting.pressure >= 1.0:
                self._pressing.add(group)

    def _compact(self, connection: sqlite3.Connection, done: Done, until_s: float) -> tuple[int, Done]:
        """Go on with a group for about that long; about how many pages that wrote, and how far it is: `NOTHING` at its
        end.
        """
        held = self._open(connection, done)
        pages = doubled = 0
        for series in sorted(series for series in held if series >= done.series):
            if pages and time.perf_counter() > until_s:
                done = done._replace(series=series)
                break
            times, values, seen = _joined(connection, series, held[series])
            if times:
                doubled += seen - merge(connection, series, times, values)
            pages += 3
        else:
            pages += connection.execute(_DELETE_SQL, done[:2]).rowcount // 2
            done, self._opened = NOTHING, None
            reach("compaction: blocks deleted")
        if doubled:
            connection.execute("UPDATE totals SET readings = max(0, readings - ?)", (doubled,))
        reach("compaction: chunks written")
        return pages, done

    def _open(self, connection: sqlite3.Connection, done: Done) -> Held:
        """The group's blocks by series, as the slice before has opened them, unless one was changed meanwhile."""
        rows = connection.execute(_ROWS_SQL, done[:2]).fetchall()
        if self._opened is not None and self._opened[0] == rows:
            return self._opened[1]
        held: Held = {}
        for row in connection.execute(_OF_GROUP_SQL, done[:2]).fetchall():
            block = Block._make(row)
            try:
                shared = Shared(block.data) if block.series is None else None
            except Damaged as error:
                quarantine_block(connection, block, str(error))
                continue
            for series in shared.series if shared is not None else [row[2]]:
                held.setdefault(series, []).append((block, shared))
        self._opened = (rows, held)
        return held


def _joined(
    connection: sqlite3.Connection, series: int, held: Sequence[tuple[Block, Shared | None]]
) -> tuple[list[int], list[Value], int]:
    """What these blocks have of a series, by time and each time once, the last one's; and how many readings it was."""
    merged: dict[int, Value] = {}
    times: list[int] = []
    values: list[Value] = []
    seen = 0
    for block, shared in held:
        try:
            piece = decode(block.data) if shared is None else shared.piece(shared.series.index(series))
        except Damaged as error:
            quarantine_block(connection, block, str(error))
            continue
        seen += len(piece[0])
        if not merged and (not times or piece[0][0] > times[-1]):
            times += piece[0]
            values += piece[1]
        else:
            merged = merged or dict(zip(times, values, strict=True))
            merged.update(zip(*piece, strict=True))
    if merged:
        times = sorted(merged)
        values = list(map(merged.__getitem__, times))
    return times, values, seen
