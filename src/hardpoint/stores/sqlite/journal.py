"""The journal: committed readings that are not folded yet, on disk as one row a commit and here as columns a series.

The columns are what folding and readers use; the rows on disk are read once, when the store opens after a crash.
Readings are added **before** the transaction that holds them commits, since a reader may see it there at once; so a
reader cuts off what its own transaction does not see. It asks SQLite, in one step inside its read transaction, which
``seq`` the journal spans, and the rows of the last few commits tell how much of each column is newer than that.

Folding freezes what there is and goes through it in slices; new readings go to columns of their own meanwhile. A
column takes some 40 bytes a reading; kept as rows it would be 130.

A commit that deletes readings is a row of its own, a `Purged`: whoever reads the journal again leaves out what the rows
before it have of these ranges, and the columns lose it as soon as the commit is durable.
"""

from __future__ import annotations

import threading
from array import array
from collections import deque
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from ...model import INT64_MAX, Row, Value
from .columns import from_column, to_column

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

BYTES_A_READING = 64
"""Of a batch's blob, at most, before its readings count as more than their number."""
REMEMBERED_BATCHES = 16
"""Of the newest commits the rows are kept as they came. A reader that is slower than this many commits between two
steps of its own begins again.
"""
APPEND_SQL = "INSERT INTO journal (seq, batch) VALUES (?, ?)"
_SPAN_SQL = "SELECT (SELECT min(seq) FROM journal), (SELECT max(seq) FROM journal)"
# One SELECT with both would scan the table: SQLite's shortcut to either end holds for a lone min or max only.

Column: TypeAlias = "tuple[array[int], list[Value]]"
"""Times and values in the order in which they came."""


Ranges: TypeAlias = "Sequence[tuple[int, int, int]]"
"""``(series, start_ms, end_ms)`` each."""


class Purged(msgspec.Struct):
    """What a commit deleted of the readings before it."""

    ranges: list[tuple[int, int, int]]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[tuple[int, int, Value]] | Purged)


class Columns:
    """The readings of some commits in a row, by series."""

    def __init__(self) -> None:
        self.by_series: dict[int, Column] = {}
        self.readings = 0
        """Large values counted as several: what folding is due by."""

    def add(self, rows: Sequence[Row]) -> None:
        """Put them behind what there is."""
        by_series = self.by_series
        for series, ts, value in rows:
            try:
                times, values = by_series[series]
            except KeyError:
                times, values = by_series[series] = (array("q"), [])
            times.append(ts)
            values.append(value)

    def take_back(self, rows: Sequence[Row]) -> None:
        """Undo the last `add`, which was of these."""
        for series, _, _ in rows:
            times, values = self.by_series[series]
            times.pop()
            values.pop()
            if not values:
                del self.by_series[series]

    def forget(self, ranges: Ranges) -> None:
        """Leave out what lies in the ranges. Columns that readers hold already stay as they are."""
        for series, start_ms, end_ms in ranges:
            times, values = self.by_series.get(series, (array("q"), []))
            kept = [not start_ms <= ts < end_ms for ts in times]
            if any(kept):
                self.by_series[series] = (array("q", compress(times, kept)), list(compress(values, kept)))
            else:
                self.by_series.pop(series, None)


class Span(NamedTuple):
    """The first and last ``seq`` that a read transaction sees in the journal; None in an empty one."""

    first: int | None
    last: int | None


class Gone(Exception):
    """The columns have moved on since the transaction began. It sees the readings; begin another to see them here."""


class Journal:
    """The writer's thread changes it; readers take from it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        self.active = Columns()
        self.frozen: Columns | None = None
        self.frozen_seq = 0
        """The last of the frozen, or else of the folded commits."""
        self._frozen_first = 0  # the first of the frozen ones, or else of those that were folded last
        self.next_seq = 1
        self._purged_seq = 0  # of the last `Purged`
        self._newest: deque[tuple[int, Sequence[Row], int]] = deque(maxlen=REMEMBERED_BATCHES)

    @property
    def readings(self) -> int:
        """What waits for folding, frozen or not, large values counted as several."""
        return self.active.readings + (self.frozen.readings if self.frozen is not None else 0)

    def oldest_ms(self, series: int | None = None) -> int:
        """The least time of all that is here, or of one series; `INT64_MAX` of nothing."""
        with self._lock:
            parts = [self.active] if self.frozen is None else [self.frozen, self.active]
            columns = [part.by_series for part in parts]
            if series is not None:
                columns = [{series: found[series]} for found in columns if series in found]
            return min((min(times) for found in columns for times, _ in found.values()), default=INT64_MAX)

    def count(self, span: Span) -> int:
        """How many readings a transaction sees here, about: duplicates count."""
        with self._lock:
            parts = self._parts(span)
            newer = sum(len(rows) for rows in self._newer_than(span))
            return sum(len(values) for part in parts for _, values in part.by_series.values()) - newer

    def load(self, connection: sqlite3.Connection) -> None:
        """Forget everything, and take over what the last process left.

        Raises:
            msgspec.DecodeError: a row is no batch.
        """
        with self._lock:
            self._reset()
        for seq, blob in connection.execute("SELECT seq, batch FROM journal ORDER BY seq"):
            entry = decode_batch(blob)
            if isinstance(entry, Purged):
                self.add(seq, ())
                self.forget(seq, entry.ranges)
            else:
                self.add(seq, entry, len(blob))

    def add(self, seq: int, rows: Sequence[Row], blob_bytes: int = 0) -> None:
        """Note a batch **before** its transaction commits."""
        # A plain reading is some 20 bytes of its blob; what is far larger counts as several.
        weight = max(len(rows), blob_bytes // BYTES_A_READING)
        with self._lock:
            self.active.add(rows)
            self.active.readings += weight
            self._newest.append((seq, rows, weight))
            self.next_seq = seq + 1

    def take_back(self, seq: int) -> None:
        """The transaction of the newest batch failed."""
        with self._lock:
            _, rows, weight = self._newest.pop()
            self.active.take_back(rows)
            self.active.readings -= weight
            self.next_seq = seq

    def forget(self, seq: int, ranges: Ranges) -> None:
        """Leave out what the commits before this one have of the ranges, **after** its transaction.

        What a pass of folding has taken out already goes to blocks and chunks still, where the range is purged later.
        """
        with self._lock:
            newer = [rows for number, rows, _ in self._newest if number > seq]
            for rows in reversed(newer):
                self.active.take_back(rows)
            for part in (self.active, self.frozen):
                if part is not None:
                    part.forget(ranges)
            for rows in newer:
                self.active.add(rows)
            remembered = [
                (number, rows if number > seq else _outside(rows, ranges), weight)
                for number, rows, weight in self._newest
            ]
            self._newest = deque(remembered, maxlen=REMEMBERED_BATCHES)
            self._purged_seq = seq

    def freeze(self) -> Columns:
        """Let what there is be folded; what comes from now on is kept apart."""
        with self._lock:
            self.frozen, self.active = self.active, Columns()
            self._frozen_first, self.frozen_seq = self.frozen_seq + 1, self.next_seq - 1
            return self.frozen

    def drop_frozen(self) -> None:
        """Forget it, **after** the transaction that folded it."""
        with self._lock:
            self.frozen = None

    # -- as a read transaction sees it

    def seen_by(self, connection: sqlite3.Connection) -> Span:
        """What the read transaction that this connection is in, or begins here, sees."""
        return Span(*connection.execute(_SPAN_SQL).fetchone())

    def of_series(self, span: Span, series: int) -> Column:
        """The readings of one series, in the order in which they came.

        Raises:
            Gone: begin another transaction.
        """
        times, values = array("q"), list[Value]()
        with self._lock:
            for part in self._parts(span):
                column = part.by_series.get(series)
                if column is not None:
                    times += column[0]
                    values += column[1]
            newer = sum(1 for rows in self._newer_than(span) for row in rows if row[0] == series)
        if newer:
            del times[-newer:], values[-newer:]
        return times, values

    def of_all(self, span: Span) -> Iterator[tuple[int, Column]]:
        """The same for every series that has any.

        Raises:
            Gone: begin another transaction.
        """
        newer: dict[int, int] = {}
        with self._lock:
            # Columns only grow, or lose what no transaction saw: their lengths now are all that must be noted here.
            parts = [
                (column, len(column[1]), series)
                for part in self._parts(span)
                for series, column in part.by_series.items()
            ]
            for rows in self._newer_than(span):
                for series, _, _ in rows:
                    newer[series] = newer.get(series, 0) + 1
        found: dict[int, Column] = {}
        for (times, values), length, series in parts:
            whole = found.setdefault(series, (array("q"), []))
            whole[0].extend(times[:length])
            whole[1].extend(values[:length])
        for series, count in newer.items():
            del found[series][0][-count:], found[series][1][-count:]
        return iter(sorted(item for item in found.items() if item[1][1]))

    def _parts(self, span: Span) -> list[Columns]:
        if span.first is None or span.last is None:
            return []
        if span.last < self._purged_seq:
            raise Gone  # it sees readings that were deleted since
        if span.first > self.frozen_seq:
            return [self.active]
        if self.frozen is None or span.first < self._frozen_first:
            # What the transaction sees was folded since; what is frozen now may be the next that came.
            raise Gone
        return [self.frozen, self.active]

    def _newer_than(self, span: Span) -> list[Sequence[Row]]:
        if span.last is None:
            return []
        newer = [rows for seq, rows, _ in self._newest if seq > span.last]
        if len(newer) != self.next_seq - 1 - span.last:
            raise Gone
        return newer


def encode_batch(rows: Sequence[Row]) -> bytes:
    """Rows as the journal keeps them.

    Raises:
        TypeError, UnicodeEncodeError: a value that no JSON document holds.
    """
    try:
        return _encoder.encode(rows)
    except OverflowError:
        # An integer beyond 64 bits inside an object or array: msgpack has none, JSON spells it out.
        return _encoder.encode([(series, ts, to_column(value)) for series, ts, value in rows])


def encode_purged(ranges: Ranges) -> bytes:
    """What was deleted, as the journal keeps it."""
    return _encoder.encode(Purged(list(ranges)))


def decode_batch(blob: bytes) -> list[Row] | Purged:
    """What `encode_batch` or `encode_purged` was given.

    Raises:
        msgspec.MsgspecError: it is neither.
    """
    entry = _decoder.decode(blob)
    return entry if isinstance(entry, Purged) else [(series, ts, from_column(value)) for series, ts, value in entry]


def _outside(rows: Sequence[Row], ranges: Ranges) -> Sequence[Row]:
    for series, start_ms, end_ms in ranges:
        rows = [row for row in rows if row[0] != series or not start_ms <= row[1] < end_ms]
    return rows
