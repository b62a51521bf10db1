"""Buckets of a range, folded column by column: a slice of a stretch at a time, never a reading at a time.

A bucket is a run of readings between two neighbouring edges. `Summary` pieces lie whole in one; a `Stretch` is cut at
the edges by bisection, so that what is left to do for each cut are C loops over slices (``sum``, ``min``, ``len``).
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from ...model import Stretch, Summary

if TYPE_CHECKING:
    from ...model import Value

Point: TypeAlias = "tuple[int, Value]"
Piece: TypeAlias = "Stretch | Summary"

_NUMBERS = frozenset({int, float})


def numeric(stretch: Stretch) -> Stretch:
    """Of a stretch what is a number: the stretch itself where everything is."""
    times, values = stretch
    if isinstance(values, array) or _NUMBERS.issuperset(map(type, values)):
        return stretch
    kept = [type(value) in _NUMBERS for value in values]
    return Stretch(
        [ts for ts, keep in zip(times, kept, strict=True) if keep],
        [value for value, keep in zip(values, kept, strict=True) if keep],
    )


def fold(pieces: Iterable[Piece], edges: Sequence[int], agg: str) -> list[Point]:
    """One point a bucket that has something to say, stamped with its beginning. ``agg`` is a key of `FOLDS`."""
    kind = FOLDS[agg]
    found: list[Point] = []
    bucket, current = kind(), -1
    for number, piece in _cut(pieces, edges, kind.numbers_only):
        if number != current:
            if bucket.filled:
                found.extend(bucket.points(edges[current]))
            bucket, current = kind(), number
        if isinstance(piece, Summary):
            bucket.add_summary(piece)
        else:
            bucket.add(piece)
    if bucket.filled:
        found.extend(bucket.points(edges[current]))
    return found


def _cut(pieces: Iterable[Piece], edges: Sequence[int], numbers_only: bool) -> Iterator[tuple[int, Piece]]:
    """``(bucket, piece)`` by time, each piece within one bucket."""
    number = 0
    for piece in pieces:
        if isinstance(piece, Summary):
            if piece.numbers or not numbers_only:
                number = bisect_right(edges, piece.start_ms, number) - 1
                yield number, piece
            continue
        times, values = numeric(piece) if numbers_only else piece
        begin, end = 0, len(times)
        while begin < end:
            number = bisect_right(edges, times[begin], number) - 1
            cut = bisect_left(times, edges[number + 1], begin)
            yield number, Stretch(times[begin:cut], values[begin:cut])
            begin = cut


class _Bucket:
    """Folds what lies in one bucket. ``numbers_only`` ones are given numbers alone."""

    __slots__ = ("filled",)
    numbers_only: ClassVar[bool] = True

    def __init__(self) -> None:
        self.filled = False

    def add(self, stretch: Stretch) -> None:
        """Readings of this bucket, at least one."""
        raise NotImplementedError

    def add_summary(self, summary: Summary) -> None:
        """What stands for readings of this bucket, at least one."""
        raise NotImplementedError

    def points(self, begin_ms: int) -> Sequence[Point]:
        """What the bucket that begins then comes to."""
        raise NotImplementedError


class _Sum(_Bucket):
    """None where it is beyond the range of floats, for JSON has no infinity."""

    __slots__ = ("numbers", "total")

    def __init__(self) -> None:
        self.filled = False
        self.numbers = 0
        self.total: float = 0

    def add(self, stretch: Stretch) -> None:
        self.filled = True
        self.numbers += len(stretch.values)
        self.total += sum(stretch.values)

    def add_summary(self, summary: Summary) -> None:
        self.filled = True
        self.numbers += summary.numbers
        self.total += summary.sum or 0

    def points(self, begin_ms: int) -> Sequence[Point]:
        return [(begin_ms, self.total if math.isfinite(self.total) else None)]


class _Average(_Sum):
    __slots__ = ()

    def points(self, begin_ms: int) -> Sequence[Point]:
        return [(begin_ms, self.total / self.numbers if math.isfinite(self.total) else None)]


class _Count(_Bucket):
    __slots__ = ("count",)
    numbers_only = False

    def __init__(self) -> None:
        self.filled = False
        self.count = 0

    def add(self, stretch: Stretch) -> None:
        self.filled = True
        self.count += len(stretch.times)

    def add_summary(self, summary: Summary) -> None:
        self.filled = True
        self.count += summary.count

    def points(self, begin_ms: int) -> Sequence[Point]:
        return [(begin_ms, self.count)]


class _Value(_Bucket):
    """One value of the bucket."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.filled = False
        self.value: Value = None

    def points(self, begin_ms: int) -> Sequence[Point]:
        return [(begin_ms, self.value)]


class _Min(_Value):
    __slots__ = ()

    def add(self, stretch: Stretch) -> None:
        self._take(min(stretch.values))

    def add_summary(self, summary: Summary) -> None:
        self._take(summary.min)

    def _take(self, value: Value) -> None:
        if not self.filled or value < self.value:
            self.filled, self.value = True, value


class _Max(_Value):
    __slots__ = ()

    def add(self, stretch: Stretch) -> None:
        self._take(max(stretch.values))

    def add_summary(self, summary: Summary) -> None:
        self._take(summary.max)

    def _take(self, value: Value) -> None:
        if not self.filled or value > self.value:
            self.filled, self.value = True, value


class _First(_Value):
    __slots__ = ()
    numbers_only = False

    def add(self, stretch: Stretch) -> None:
        if not self.filled:
            self.filled, self.value = True, stretch.values[0]

    def add_summary(self, summary: Summary) -> None:
        if not self.filled:
            self.filled, self.value = True, summary.first


class _Last(_Value):
    __slots__ = ()
    numbers_only = False

    def add(self, stretch: Stretch) -> None:
        self.filled, self.value = True, stretch.values[-1]

    def add_summary(self, summary: Summary) -> None:
        self.filled, self.value = True, summary.last


class _MinMax(_Bucket):
    """The least and the greatest reading where they are, in the order of their times; of equal ones the first."""

    __slots__ = ("high", "low")

    def __init__(self) -> None:
        self.filled = False
        self.low: Point = (0, 0)
        self.high: Point = (0, 0)

    def add(self, stretch: Stretch) -> None:
        times, values = stretch
        low, high = min(values), max(values)
        self._take((times[values.index(low)], low), (times[values.index(high)], high))

    def add_summary(self, summary: Summary) -> None:
        assert summary.min_ms is not None  # it holds numbers, or it would not have been given to this bucket
        assert summary.max_ms is not None
        self._take((summary.min_ms, summary.min), (summary.max_ms, summary.max))

    def _take(self, low: Point, high: Point) -> None:
        if not self.filled or low[1] < self.low[1]:
            self.low = low
        if not self.filled or high[1] > self.high[1]:
            self.high = high
        self.filled = True

    def points(self, begin_ms: int) -> Sequence[Point]:
        if self.low[0] == self.high[0]:
            return [self.low]
        return [self.low, self.high] if self.low[0] < self.high[0] else [self.high, self.low]


FOLDS: dict[str, type[_Bucket]] = {
    "avg": _Average,
    "sum": _Sum,
    "min": _Min,
    "max": _Max,
    "first": _First,
    "last": _Last,
    "count": _Count,
    "minmax": _MinMax,
}
"""What a bucket can come to. ``count``, ``first`` and ``last`` are of every reading, the others of numbers."""
