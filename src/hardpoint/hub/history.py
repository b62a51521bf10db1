"""A range of readings as a chart wants it: raw, reduced to buckets, or to the points the eye would miss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from ..errors import BadInput, TooLarge

if TYPE_CHECKING:
    from ..model import Value

Point: TypeAlias = "tuple[int, Value]"

AGGREGATIONS = ("auto", "raw", "avg", "min", "max", "last", "count", "lttb")
DEFAULT_POINTS = 600
"""About one a pixel pair of a chart on a phone or in a card."""
MAX_POINTS = 10_000
MAX_RAW_POINTS = 100_000
"""In one answer; whoever wants more asks by ranges."""


def reduce_points(
    readings: Iterator[Point], agg: str, points: int, start_ms: int, end_ms: int
) -> tuple[str, list[Point]]:
    """``(agg as it was done, points)`` of readings that come by ascending time.

    ``auto`` is ``raw`` while there are at most ``points`` readings, else ``lttb`` if they are numbers, else ``last``.
    Buckets are ``points`` equal parts of ``[start_ms, end_ms)``, stamped with their beginning; empty ones are left out.

    Raises:
        BadInput: no such aggregation, or one of numbers asked of a series of something else.
        TooLarge: more raw readings than one answer may hold.
    """
    if agg not in AGGREGATIONS:
        raise BadInput(f"agg is one of {', '.join(AGGREGATIONS)}", field="agg")
    if not 1 <= points <= MAX_POINTS:
        raise BadInput(f"points is between 1 and {MAX_POINTS}", field="points")
    if agg == "raw":
        return agg, _raw(readings)
    if agg in ("auto", "lttb"):
        return _auto(readings, agg, points, start_ms, end_ms)
    return agg, _buckets(readings, _BUCKETS[agg], points, start_ms, end_ms)


def _raw(readings: Iterator[Point]) -> list[Point]:
    found: list[Point] = []
    for point in readings:
        found.append(point)
        if len(found) > MAX_RAW_POINTS:
            raise TooLarge(
                f"more than {MAX_RAW_POINTS} readings in this range: ask for a shorter one, or for fewer points"
            )
    return found


def _auto(readings: Iterator[Point], agg: str, points: int, start_ms: int, end_ms: int) -> tuple[str, list[Point]]:
    """Few readings are returned as they are. Many are first thinned to the least and the greatest of 4 × ``points``
    buckets, which keeps memory bounded whatever the range, and then to ``points`` by largest triangles: MinMaxLTTB.
    """
    head: list[Point] = []
    for point in readings:
        head.append(point)
        if len(head) > points:
            break
    else:
        return ("raw" if agg == "auto" else agg), head
    numeric = all(_is_number(value) for _, value in head)

    def rest() -> Iterator[Point]:
        yield from head
        yield from readings

    if not numeric:
        if agg == "lttb":
            raise BadInput("lttb needs numbers: ask for last or count", field="agg")
        return "last", _buckets(rest(), _Last, points, start_ms, end_ms)
    return "lttb", lttb(_min_max(rest(), points * 4, start_ms, end_ms), points)


def _min_max(readings: Iterator[Point], buckets: int, start_ms: int, end_ms: int) -> list[Point]:
    width = max(1, -(-(end_ms - start_ms) // buckets))
    found: list[Point] = []
    current = -1
    low = high = (0, 0.0)
    for ts, value in readings:
        if not _is_number(value):
            continue
        bucket = (ts - start_ms) // width
        if bucket != current:
            if current >= 0:
                found.extend(sorted({low, high}))
            current, low, high = bucket, (ts, value), (ts, value)
        elif value < low[1]:
            low = (ts, value)
        elif value > high[1]:
            high = (ts, value)
    if current >= 0:
        found.extend(sorted({low, high}))
    return found


def lttb(data: list[Point], points: int) -> list[Point]:
    """Largest-Triangle-Three-Buckets (Steinarsson 2013): of each bucket the point that makes the largest triangle with
    the one kept before it and the mean of the bucket after it. First and last are always kept.
    """
    if len(data) <= points or points < 3:
        return data[:: max(1, -(-len(data) // points))] if len(data) > points else data
    every = (len(data) - 2) / (points - 2)
    kept = [data[0]]
    x0, y0 = data[0]
    for bucket in range(points - 2):
        begin, end = int(bucket * every) + 1, int((bucket + 1) * every) + 1
        after = data[end : min(int((bucket + 2) * every) + 1, len(data))]
        x2 = sum(point[0] for point in after) / len(after)
        y2 = sum(point[1] for point in after) / len(after)
        best, best_area = data[begin], -1.0
        for point in data[begin:end]:
            area = abs((x0 - x2) * (point[1] - y0) - (x0 - point[0]) * (y2 - y0))
            if area > best_area:
                best, best_area = point, area
        kept.append(best)
        x0, y0 = best
    kept.append(data[-1])
    return kept


class _Bucket:
    """Folds the values of one bucket. ``numbers_only`` skips what is not a number."""

    __slots__ = ("count", "value")
    numbers_only = True

    def __init__(self) -> None:
        self.count = 0
        self.value: Value = None

    def add(self, value: Value) -> None:
        raise NotImplementedError

    def result(self) -> Value:
        return self.value


class _Average(_Bucket):
    __slots__ = ()

    def add(self, value: Value) -> None:
        self.count += 1
        self.value = value if self.count == 1 else self.value + value

    def result(self) -> Value:
        return self.value / self.count


class _Min(_Bucket):
    __slots__ = ()

    def add(self, value: Value) -> None:
        self.value = value if self.value is None else min(self.value, value)


class _Max(_Bucket):
    __slots__ = ()

    def add(self, value: Value) -> None:
        self.value = value if self.value is None else max(self.value, value)


class _Last(_Bucket):
    __slots__ = ()
    numbers_only = False

    def add(self, value: Value) -> None:
        self.value = value


class _Count(_Bucket):
    __slots__ = ()
    numbers_only = False

    def add(self, value: Value) -> None:
        self.count += 1

    def result(self) -> Value:
        return self.count


_BUCKETS: dict[str, Callable[[], _Bucket]] = {
    "avg": _Average,
    "min": _Min,
    "max": _Max,
    "last": _Last,
    "count": _Count,
}


def _buckets(
    readings: Iterator[Point], make: Callable[[], _Bucket], points: int, start_ms: int, end_ms: int
) -> list[Point]:
    width = max(1, -(-(end_ms - start_ms) // points))
    found: list[Point] = []
    current, bucket = -1, make()
    for ts, value in readings:
        if bucket.numbers_only and not _is_number(value):
            continue
        number = (ts - start_ms) // width
        if number != current:
            if current >= 0:
                found.append((start_ms + current * width, bucket.result()))
            current, bucket = number, make()
        bucket.add(value)
    if current >= 0:
        found.append((start_ms + current * width, bucket.result()))
    return found


def _is_number(value: Value) -> bool:
    return type(value) is float or type(value) is int
