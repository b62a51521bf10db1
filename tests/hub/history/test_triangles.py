"""LTTB, and the readings that stand out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.hub.history.triangles import Candidates, lttb
from hardpoint.model import Stretch
from hardpoint.stores.pieces import summarise

BEGIN_MS = 1_763_880_000_000


def thinned(data, points):
    return lttb(Stretch(*map(list, zip(*data, strict=True))), points)


def test_less_than_three_points_thin_evenly():
    data = [(n, n) for n in range(10)]
    assert thinned(data, 2) == [(0, 0), (5, 5)]
    assert thinned(data, 1) == [(0, 0)]


def test_few_points_stay():
    assert thinned([(0, 1), (5, 2)], 2) == [(0, 1), (5, 2)]


def test_the_corner_is_kept():
    data = [(n, 0) for n in range(50)] + [(50, 9)] + [(n, 0) for n in range(51, 101)]
    assert (50, 9) in thinned(data, 5)


@given(st.lists(st.integers(-1000, 1000), min_size=20, max_size=200), st.integers(3, 19))
def test_each_point_makes_the_largest_triangle_of_its_bucket(values, points):
    data = [(BEGIN_MS + 1000 * n, value) for n, value in enumerate(values)]
    found = thinned(data, points)
    assert [len(found), found[0], found[-1]] == [points, data[0], data[-1]]
    every = (len(data) - 2) / (points - 2)
    for bucket in range(points - 2):
        begin, end = int(bucket * every) + 1, int((bucket + 1) * every) + 1
        after = data[end : min(int((bucket + 2) * every) + 1, len(data))]
        x2, y2 = sum(x for x, _ in after) / len(after), sum(y for _, y in after) / len(after)
        x0, y0 = found[bucket]
        areas = {(x, y): abs((x0 - x2) * (y - y0) - (x0 - x) * (y2 - y0)) for x, y in data[begin:end]}
        assert areas[found[bucket + 1]] == pytest.approx(max(areas.values()), rel=1e-9, abs=1e-3)


def test_a_summary_gives_what_stands_out_of_its_readings():
    times, values = list(range(10, 20)), [3, 9, 1, 4, 4, 4, 4, 4, 4, 2]
    whole, short = Candidates(0, 100, 3), Candidates(0, 100, 3)
    whole.add(Stretch(times, values))
    short.add_summary(summarise(times, values))
    assert list(zip(*whole.columns(), strict=True)) == [(10, 3), (11, 9), (12, 1), (17, 4), (19, 2)]
    assert list(zip(*short.columns(), strict=True)) == [(10, 3), (11, 9), (12, 1), (19, 2)]


def test_nothing_stands_out_of_nothing():
    candidates = Candidates(0, 100, 3)
    candidates.add(Stretch([], []))
    assert candidates.columns() == Stretch([], [])
