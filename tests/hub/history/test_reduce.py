"""A range as it was asked for, on readings in pieces of every kind, against a plain list as the model."""

from __future__ import annotations

import math
import random
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.errors import BadInput, TooLarge
from hardpoint.hub.history import reduce as reducing
from hardpoint.hub.history.calendar import Width
from hardpoint.hub.history.query import RangeQuery
from hardpoint.hub.history.reduce import Abandoned, reduce_range

from .pieced import Pieced

NUMBERS = [(0, 1), (10, 3), (20, 2), (55, 10.0), (99, -4)]
MIXED = [(0, 1), (10, "on"), (20, True), (55, 4), (99, {"x": 1})]


def reduced(data, agg, points=2, start_ms=0, end_ms=100, store=None, **options):
    return reduce_range(store or Pieced(data), 1, RangeQuery(start_ms, end_ms, agg, points), **options)


@pytest.mark.parametrize("cuts", [(), (1,), (2, 3), (1, 2, 3, 4)])
@pytest.mark.parametrize(
    ("agg", "numbers", "mixed"),
    [
        ("raw", NUMBERS, MIXED),
        ("avg", [(0, 2.0), (50, 3.0)], [(0, 1.0), (50, 4.0)]),
        ("sum", [(0, 6), (50, 6.0)], [(0, 1), (50, 4)]),
        ("min", [(0, 1), (50, -4)], [(0, 1), (50, 4)]),
        ("max", [(0, 3), (50, 10.0)], [(0, 1), (50, 4)]),
        ("first", [(0, 1), (50, 10.0)], [(0, 1), (50, 4)]),
        ("last", [(0, 2), (50, -4)], [(0, True), (50, {"x": 1})]),
        ("count", [(0, 3), (50, 2)], [(0, 3), (50, 2)]),
        ("minmax", [(55, 10.0), (99, -4)], [(0, 1), (55, 4)]),
    ],
)
def test_buckets(agg, numbers, mixed, cuts):
    assert reduced(NUMBERS, agg, store=Pieced(NUMBERS, cuts)) == (agg, numbers)
    assert reduced(MIXED, agg, store=Pieced(MIXED, cuts)) == (agg, mixed)
    assert reduced([], agg) == (agg, [])


@pytest.mark.parametrize("cuts", [(), (1,), (1, 2, 3)])
@pytest.mark.parametrize("sign", [1, -1])
def test_sums_beyond_the_range_of_floats_are_told_as_none(cuts, sign):
    """JSON has no infinity, and a number of this size would be a lie."""
    huge = [(0, sign * 1e308), (10, sign * 1e308), (60, 2.0), (70, sign * 1e308)]
    for agg, second in (("sum", 2.0 + sign * 1e308), ("avg", (2.0 + sign * 1e308) / 2)):
        assert reduced(huge, agg, store=Pieced(huge, cuts)) == (agg, [(0, None), (50, second)])


def test_empty_buckets_are_left_out_and_every_reading_is_in_one():
    data = [(7, 1), (1007, 1), (9_999, 1)]
    assert reduced(data, "count", 10, 7, 10_000) == ("count", [(7, 1), (1007, 1), (9007, 1)])
    assert reduced([(0, 5)], "max", 10, 0, 1) == ("max", [(0, 5)])
    assert reduced([(0, "x")], "max", 10, 0, 1) == ("max", [])


def test_auto_is_raw_while_few_then_triangles_or_the_last():
    assert reduced(NUMBERS, "auto", 5) == ("raw", NUMBERS)
    agg, points = reduced(NUMBERS, "auto", 4, store=Pieced(NUMBERS, closed_first=False))
    assert (agg, points[0], points[-1], len(points)) == ("lttb", NUMBERS[0], NUMBERS[-1], 4)
    assert reduced(MIXED, "auto", 2) == ("last", [(0, True), (50, {"x": 1})])
    assert reduced(MIXED, "auto", 5) == ("raw", MIXED)
    assert reduced(NUMBERS, "lttb", 9) == ("lttb", NUMBERS)
    assert reduced([], "auto") == ("raw", [])
    assert reduced(NUMBERS, "auto", 5, 200, 300) == ("raw", [])


def test_a_few_words_among_many_numbers_still_make_a_chart():
    data = [(n, "error" if n % 10 == 5 else n) for n in range(100)]
    agg, points = reduced(data, "auto", 20)
    assert (agg, len(points)) == ("lttb", 20)
    assert all(type(value) is int for _, value in points)


def test_a_range_far_wider_than_the_readings_keeps_their_shape():
    data = [(10**12 + n * 1000, math.sin(n / 100)) for n in range(5000)]
    _, points = reduced(data, "auto", 100, 0, 2 * 10**12)
    assert len(points) == 100


def test_triangles_need_numbers():
    with pytest.raises(BadInput, match="lttb needs numbers"):
        reduced(MIXED, "lttb", 2)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (RangeQuery(0, 100, "median"), "agg"),
        (RangeQuery(0, 100, ""), "agg"),
        (RangeQuery(0, 100, "avg", 0), "points"),
        (RangeQuery(0, 100, "raw", 10_001), "points"),
        (RangeQuery(100, 100), "from"),
        (RangeQuery(-1, 100), "from"),
        (RangeQuery(0, 300_000_000_000_000), "from"),
        (RangeQuery(0, 100, "lttb", every=Width(1, "days")), "agg"),
    ],
)
def test_what_cannot_be_asked(query, field):
    with pytest.raises(BadInput) as refused:
        query.check()
    assert refused.value.field == field


def test_one_answer_holds_so_much_and_no_more():
    assert reduced(NUMBERS, "raw", room=5) == ("raw", NUMBERS)
    with pytest.raises(TooLarge, match="more than 100000"):
        reduced([*NUMBERS, (100, 1)], "raw", end_ms=101, room=5)


def test_it_stops_between_two_pieces_when_nobody_waits_any_more():
    for agg in ("raw", "avg", "auto"):
        answers = iter([True, True])
        store = Pieced(NUMBERS, (1, 2, 3, 4), closed_first=False)
        with pytest.raises(Abandoned):
            reduced(NUMBERS, agg, store=store, wanted=lambda: next(answers, False))  # noqa: B023 - called at once
        assert store.read <= 3


def test_a_long_range_is_answered_from_summaries_alone():
    data = [(n * 10, math.sin(n / 50)) for n in range(20_000)]
    store = Pieced(data, range(0, 20_000, 125))
    store.parts = [(part, True) for part, _ in store.parts]
    agg, points = reduced(data, "auto", 100, 0, 200_000, store)
    assert (agg, len(points), store.read) == ("lttb", 100, 0)
    _, sums = reduced(data, "sum", 20, 0, 200_000, store)
    assert store.read == 0
    assert math.fsum(value for _, value in sums) == pytest.approx(math.fsum(value for _, value in data), abs=1e-9)


def test_a_summary_that_is_too_wide_for_the_chart_is_read_in_full():
    data = [(n, (n * 7919) % 1000) for n in range(1000)]
    store = Pieced(data, (500,))
    store.parts = [(part, True) for part, _ in store.parts]
    _, points = reduced(data, "auto", 200, 0, 1000, store)
    assert (len(points), store.read) == (200, 1000)


def test_few_readings_in_closed_pieces_come_as_they_are():
    store = Pieced(NUMBERS, (2,))
    store.parts = [(part, True) for part, _ in store.parts]
    assert reduced(NUMBERS, "auto", 5, store=store) == ("raw", NUMBERS)


def test_a_peak_survives():
    chance = random.Random(7)
    data = [(n, chance.random()) for n in range(10_000)]
    data[4321] = (4321, 50.0)
    data[8765] = (8765, -50.0)
    for cuts in ((), range(0, 10_000, 7)):
        _, points = reduced(data, "auto", 200, 0, 10_000, Pieced(data, cuts))
        assert {(4321, 50.0), (8765, -50.0)} <= set(points)


# -- against a plain list

VALUES = st.one_of(
    st.integers(-(2**53), 2**53),
    st.floats(-1e12, 1e12),
    st.booleans(),
    st.sampled_from(["on", "off"]),
    st.just({"x": 1}),
)
NUMERIC = st.one_of(st.integers(-(2**53), 2**53), st.floats(-1e12, 1e12))


def series_of(values):
    return st.lists(st.tuples(st.integers(0, 999), values), max_size=60).map(
        lambda found: list(dict(sorted(found, key=lambda row: row[0])).items())
    )


def is_number(value):
    return type(value) in (int, float)


def model(data, agg, edges, start_ms, end_ms):
    """What the documentation says, in the plainest way."""
    buckets = {}
    for ts, value in data:
        if start_ms <= ts < end_ms and (is_number(value) or agg in ("count", "first", "last")):
            buckets.setdefault(edges[bisect_right(edges, ts) - 1], []).append((ts, value))
    found = []
    for begin, points in sorted(buckets.items()):
        values = [value for _, value in points]
        if agg == "minmax":
            low = next(point for point in points if point[1] == min(values))
            high = next(point for point in points if point[1] == max(values))
            found.extend(sorted({low[0]: low, high[0]: high}.values()))
        else:
            found.append((begin, FUNCTIONS[agg](values)))
    return found


FUNCTIONS = {
    "avg": lambda values: math.fsum(values) / len(values),
    "sum": math.fsum,
    "min": min,
    "max": max,
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "count": len,
}


def close(found, expected):
    assert [ts for ts, _ in found] == [ts for ts, _ in expected]
    for (_, one), (_, other) in zip(found, expected, strict=True):
        assert one == (pytest.approx(other, rel=1e-9, abs=1e-2) if is_number(other) else other)


@given(
    series_of(VALUES),
    st.lists(st.integers(0, 60)),
    st.booleans(),
    st.sampled_from([*FUNCTIONS, "minmax"]),
    st.integers(1, 40),
    st.integers(0, 500),
    st.integers(501, 1100),
)
def test_folds_are_what_a_plain_list_says(data, cuts, closed_first, agg, points, start_ms, end_ms):
    query = RangeQuery(start_ms, end_ms, agg, points)
    store = Pieced(data, cuts, closed_first)
    expected = model(data, agg, query.edges(), start_ms, end_ms)
    found = reduce_range(store, 1, query)
    assert found[0] == agg
    close(found[1], expected)
    assert len(found[1]) <= max(points, 2)


@given(series_of(NUMERIC), st.lists(st.integers(0, 60)), st.booleans(), st.integers(1, 60))
def test_reduced_points_are_some_of_the_readings_in_order(data, cuts, closed_first, points):
    agg, found = reduced(data, "auto", points, 0, 1000, Pieced(data, cuts, closed_first))
    assert agg == ("raw" if len(data) <= points else "lttb")
    assert len(found) <= points or agg == "raw"
    assert [ts for ts, _ in found] == sorted({ts for ts, _ in found})
    assert set(found) <= set(data)
    if data and points >= 3:
        assert (found[0], found[-1]) == (data[0], data[-1])


@given(series_of(VALUES), st.lists(st.integers(0, 60)), st.booleans(), st.integers(1, 60))
def test_auto_does_the_same_however_the_readings_lie(data, cuts, closed_first, points):
    expected = "raw"
    if len(data) > points:
        expected = "lttb" if sum(is_number(value) for _, value in data) * 2 > len(data) else "last"
    assert reduced(data, "auto", points, 0, 1000, Pieced(data, cuts, closed_first))[0] == expected


def test_memory_is_bounded_whatever_the_range(monkeypatch):
    held = []

    class Watched(reducing.Candidates):
        def columns(self):
            found = super().columns()
            held.append(len(found.times))
            return found

    monkeypatch.setattr(reducing, "Candidates", Watched)
    data = [(n, math.sin(n / 1000)) for n in range(100_000)]
    agg, points = reduced(data, "auto", 100, 0, 100_000, Pieced(data, range(0, 100_000, 1000), closed_first=False))
    assert (agg, len(points)) == ("lttb", 100)
    assert held[0] <= 2 * 2 * 100 + 2
