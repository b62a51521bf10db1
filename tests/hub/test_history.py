"""A range of readings as a chart wants it."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardpoint.errors import BadInput, TooLarge
from hardpoint.hub import history
from hardpoint.hub.history import lttb, reduce_points

NUMBERS = [(0, 1), (10, 3), (20, 2), (55, 10.0), (99, -4)]
MIXED = [(0, 1), (10, "on"), (20, True), (55, 4), (99, {"x": 1})]


def reduced(data, agg, points=2, start_ms=0, end_ms=100):
    return reduce_points(iter(data), agg, points, start_ms, end_ms)


@pytest.mark.parametrize(
    ("agg", "numbers", "mixed"),
    [
        ("raw", NUMBERS, MIXED),
        ("avg", [(0, 2.0), (50, 3.0)], [(0, 1.0), (50, 4.0)]),
        ("min", [(0, 1), (50, -4)], [(0, 1), (50, 4)]),
        ("max", [(0, 3), (50, 10.0)], [(0, 1), (50, 4)]),
        ("last", [(0, 2), (50, -4)], [(0, True), (50, {"x": 1})]),
        ("count", [(0, 3), (50, 2)], [(0, 3), (50, 2)]),
    ],
)
def test_buckets(agg, numbers, mixed):
    assert reduced(NUMBERS, agg) == (agg, numbers)
    assert reduced(MIXED, agg) == (agg, mixed)
    assert reduced([], agg) == (agg, [])


def test_empty_buckets_are_left_out_and_every_reading_is_in_one():
    data = [(7, 1), (1007, 1), (9_999, 1)]
    assert reduced(data, "count", 10, 7, 10_000) == ("count", [(7, 1), (1007, 1), (9007, 1)])
    assert reduced([(0, 5)], "max", 10, 0, 1) == ("max", [(0, 5)])


def test_auto_is_raw_while_few_then_triangles_or_the_last():
    assert reduced(NUMBERS, "auto", 5) == ("raw", NUMBERS)
    agg, points = reduced(NUMBERS, "auto", 4)
    assert (agg, points[0], points[-1], len(points)) == ("lttb", NUMBERS[0], NUMBERS[-1], 4)
    assert reduced(MIXED, "auto", 2) == ("last", [(0, True), (50, {"x": 1})])
    assert reduced(MIXED, "auto", 5) == ("raw", MIXED)
    assert reduced(NUMBERS, "lttb", 9) == ("lttb", NUMBERS)


@pytest.mark.parametrize(
    ("agg", "points", "field"), [("sum", 5, "agg"), ("", 5, "agg"), ("avg", 0, "points"), ("raw", 10_001, "points")]
)
def test_what_cannot_be_asked(agg, points, field):
    with pytest.raises(BadInput) as refused:
        reduced(NUMBERS, agg, points)
    assert refused.value.field == field


def test_triangles_need_numbers():
    with pytest.raises(BadInput, match="lttb needs numbers"):
        reduced(MIXED, "lttb", 2)


def test_one_answer_holds_so_much_and_no_more(monkeypatch):
    monkeypatch.setattr(history, "MAX_RAW_POINTS", 5)
    assert reduced(NUMBERS, "raw") == ("raw", NUMBERS)
    with pytest.raises(TooLarge, match="more than 5 readings"):
        reduced([*NUMBERS, (100, 1)], "raw")


def test_memory_is_bounded_whatever_the_range():
    kept = []

    def endless():
        for n in range(200_000):
            kept.append(n)
            yield n, math.sin(n / 1000)

    agg, points = reduced(endless(), "auto", 100, 0, 200_000)
    assert (agg, len(points), len(kept)) == ("lttb", 100, 200_000)


def test_a_peak_survives():
    chance = random.Random(7)
    data = [(n, chance.random()) for n in range(10_000)]
    data[4321] = (4321, 50.0)
    data[8765] = (8765, -50.0)
    _, points = reduced(data, "auto", 200, 0, 10_000)
    assert {(4321, 50.0), (8765, -50.0)} <= set(points)


@given(
    st.lists(st.tuples(st.integers(0, 999), st.one_of(st.integers(-(2**63), 2**63), st.floats(-1e300, 1e300)))).map(
        lambda found: sorted(dict(found).items())
    ),
    st.integers(1, 60),
)
@settings(max_examples=200)
def test_reduced_points_are_some_of_the_readings_in_order(data, points):
    agg, found = reduced(data, "auto", points, 0, 1000)
    assert len(found) <= points or agg == "raw"
    assert [ts for ts, _ in found] == sorted({ts for ts, _ in found})
    assert set(found) <= set(data)
    if data and points >= 3:
        assert (found[0], found[-1]) == (data[0], data[-1])


def test_lttb_with_less_than_three_points_thins_evenly():
    data = [(n, n) for n in range(10)]
    assert lttb(data, 2) == [(0, 0), (5, 5)]
    assert lttb(data, 1) == [(0, 0)]
