"""A store of one series whose readings lie in pieces as a test wants them: some closed, with a summary, some not."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

from hardpoint.model import Stretch
from hardpoint.stores.pieces import summarise


class Pieced:
    """``data`` is ``[(ts, value), …]`` by time; ``cuts`` are places in it; every second piece is closed."""

    def __init__(self, data, cuts=(), closed_first=True):
        self.data = sorted(data)
        bounds = [0, *sorted({cut for cut in cuts if 0 < cut < len(self.data)}), len(self.data)]
        parts = [self.data[a:b] for a, b in pairwise(bounds) if b > a]
        self.parts = [(part, (number % 2 == 0) is closed_first) for number, part in enumerate(parts)]
        self.read = 0
        self.summaries = 0

    def stretches(self, series, start_ms, end_ms, *, newest_first=False):
        for part, _ in self.parts:
            found = [(ts, value) for ts, value in part if start_ms <= ts < end_ms]
            if found:
                self.read += len(found)
                yield Stretch([ts for ts, _ in found], [value for _, value in found])

    def overview(self, series, start_ms, end_ms, edges=(), *, widest_ms=None):
        for part, closed in self.parts:
            times = [ts for ts, _ in part]
            within = start_ms <= times[0] and times[-1] < end_ms
            uncut = all(bisect_left(times, edge) in (0, len(times)) for edge in edges)
            summary = summarise(times, [value for _, value in part])
            fine = widest_ms is None or (times[-1] - times[0] <= widest_ms and summary.numbers == summary.count)
            if closed and within and uncut and fine:
                self.summaries += 1
                yield summary
            else:
                yield from self.stretches(series, max(start_ms, times[0]), min(end_ms, times[-1] + 1))

    def extent(self, series):
        return (self.data[0][0], self.data[-1][0]) if self.data else None
