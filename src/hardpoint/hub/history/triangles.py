"""The points an eye would miss: MinMaxLTTB (Van Der Donckt et al. 2023), which is LTTB (Steinarsson 2013) on the least
and the greatest readings of more buckets than there will be points.

The first step keeps memory bounded whatever the range: it folds columns in C loops, and takes a store's summaries as
they are. It pays above some thirty readings a point; below, triangles alone are faster. The result is some of the
readings, the first and the last among them.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from ...model import Stretch

if TYPE_CHECKING:
    from ...model import Summary
    from .buckets import Point

BUCKETS_A_POINT = 2
"""Two readings of each go on, so that triangles choose among four times as many points as are asked for: the ratio
which the paper found to be no worse than more.
"""
WIDE_BUCKETS = 8
"""A summary that spans more of these buckets is read in full: it would stand for more than four points of the chart,
and has four of its own, the first, the least, the greatest and the last.
"""


class Candidates:
    """Of a range the readings that stand out: of each of ``points`` × `BUCKETS_A_POINT` equal buckets the least and the
    greatest, and the first and the last of all.
    """

    def __init__(self, start_ms: int, end_ms: int, points: int) -> None:
        self._start_ms = start_ms
        self._width_ms = max(1, -(-(end_ms - start_ms) // (points * BUCKETS_A_POINT)))
        self._low: dict[int, Point] = {}
        self._high: dict[int, Point] = {}
        self._first: Point | None = None
        self._last: Point | None = None
        self.widest_ms = self._width_ms * WIDE_BUCKETS
        """The longest time that a summary may span to be taken by `add_summary`."""

    def add(self, stretch: Stretch) -> None:
        """Numbers, later than all before them."""
        times, values = stretch
        start_ms, width_ms = self._start_ms, self._width_ms
        begin, end = 0, len(times)
        if not end:
            return
        low_of, high_of = self._low, self._high
        while begin < end:
            ts = times[begin]
            bucket = (ts - start_ms) // width_ms
            cut = bisect_left(times, start_ms + (bucket + 1) * width_ms, begin + 1)
            if cut - begin == 1:
                low = high = values[begin]
                low_ts = high_ts = ts
            else:
                piece = values[begin:cut]
                low, high = min(piece), max(piece)
                low_ts, high_ts = times[begin + piece.index(low)], times[begin + piece.index(high)]
            if bucket not in low_of or low < low_of[bucket][1]:
                low_of[bucket] = (low_ts, low)
            if bucket not in high_of or high > high_of[bucket][1]:
                high_of[bucket] = (high_ts, high)
            begin = cut
        if self._first is None:
            self._first = (times[0], values[0])
        self._last = (times[-1], values[-1])

    def add_summary(self, summary: Summary) -> None:
        """What stands for numbers alone, later than all before them."""
        assert summary.min_ms is not None
        assert summary.max_ms is not None
        first, last = (summary.start_ms, summary.first), (summary.end_ms, summary.last)
        for point in (first, (summary.min_ms, summary.min), (summary.max_ms, summary.max), last):
            bucket = (point[0] - self._start_ms) // self._width_ms
            if bucket not in self._low or point[1] < self._low[bucket][1]:
                self._low[bucket] = point
            if bucket not in self._high or point[1] > self._high[bucket][1]:
                self._high[bucket] = point
        if self._first is None:
            self._first = first
        self._last = last

    def columns(self) -> Stretch:
        """All of them by time, each once."""
        found = dict(self._low.values())
        found.update(self._high.values())
        for point in (self._first, self._last):
            if point is not None:
                found[point[0]] = point[1]
        times = sorted(found)
        return Stretch(times, [found[ts] for ts in times])


def lttb(data: Stretch, points: int) -> list[Point]:
    """Largest-Triangle-Three-Buckets: of each bucket the point that makes the largest triangle with the one kept before
    it and the mean of the bucket after it. First and last are always kept; below three points it thins evenly.
    """
    times, values = data
    count = len(times)
    if count <= points:
        return list(zip(times, values, strict=True))
    if points < 3:
        every = -(-count // points)
        return list(zip(times[::every], values[::every], strict=True))
    share = (count - 2) / (points - 2)
    bounds = [int(bucket * share) + 1 for bucket in range(points - 1)] + [count]
    kept = [0]
    x0, y0 = times[0], values[0]
    for bucket in range(points - 2):
        begin, end, after = bounds[bucket], bounds[bucket + 1], bounds[bucket + 2]
        rest = after - end
        dx, dy = x0 - sum(times[end:after]) / rest, sum(values[end:after]) / rest - y0
        best, best_area = begin, -1.0
        # A plain loop: over slices, with max() and index(), the few points of a bucket take half as long again.
        for place in range(begin, end):
            area = abs(dx * (values[place] - y0) - (x0 - times[place]) * dy)
            if area > best_area:
                best, best_area = place, area
        kept.append(best)
        x0, y0 = times[best], values[best]
    kept.append(count - 1)
    return [(times[place], values[place]) for place in kept]
