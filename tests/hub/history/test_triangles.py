"""LTTB, and the readings that stand out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hardpoint.hub.history.triangles import Candidates, lttb
from hardpoint.model import Stretch
from hardpoint.stores.pieces import summarise


def test_less_than_three_points_thin_evenly():
    data = [(n, n) for n in range(10)]
    assert lttb(data, 2) == [(0, 0), (5, 5)]
    assert lttb(data, 1) == [(0, 0)]


def test_few_points_stay():
    assert lttb([(0, 1), (5, 2)], 2) == [(0, 1), (5, 2)]


def test_the_corner_is_kept():
    data = [(n, 0) for n in range(50)] + [(50, 9)] + [(n, 0) for n in range(51, 101)]
    assert (50, 9) in lttb(data, 5)


def plain_lttb(data, points):
    """As the paper's pseudocode has it."""
    every = (len(data) - 2) / (points - 2)
    kept = [data[0]]
    for bucket in range(points - 2):
        begin, end = int(bucket * every) + 1, int((bucket + 1) * every) + 1
        after = data[end : min(int((bucket + 2) * every) + 1, len(data))]
        x2, y2 = sum(x for x, _ in after) / len(after), sum(y for _, y in after) / len(after)
        x0, y0 = kept[-1]
        areas = [abs((x0 - x2) * (y - y0) - (x0 - x) * (y2 - y0)) for x, y in data[begin:end]]
        kept.append(data[begin + areas.index(max(areas))])
    return [*kept, data[-1]]


@given(st.lists(st.integers(-1000, 1000), min_size=20, max_size=200), st.integers(3, 19))
def test_it_is_the_papers(values, points):
    data = list(enumerate(values))
    assert lttb(data, points) == plain_lttb(data, points)


def test_a_summary_gives_what_stands_out_of_its_readings():
    times, values = list(range(10, 20)), [3, 9, 1, 4, 4, 4, 4, 4, 4, 2]
    whole, short = Candidates(0, 100, 3), Candidates(0, 100, 3)
    whole.add(Stretch(times, values))
    short.add_summary(summarise(times, values))
    assert whole.points() == [(10, 3), (11, 9), (12, 1), (17, 4), (19, 2)]
    assert short.points() == [(10, 3), (11, 9), (12, 1), (19, 2)]


def test_nothing_stands_out_of_nothing():
    candidates = Candidates(0, 100, 3)
    candidates.add(Stretch([], []))
    assert candidates.points() == []
