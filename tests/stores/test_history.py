"""Ranges as `hub.history` reduces them, on every store: what a plain list says, whatever form the readings are in."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from storing import KINDS, Commit, commit_and_wait, fold_eagerly, make_store

from hardpoint.hub.history.buckets import FOLDS
from hardpoint.hub.history.calendar import Width, zone
from hardpoint.hub.history.pages import read_page
from hardpoint.hub.history.query import RangeQuery
from hardpoint.hub.history.reduce import reduce_range

if TYPE_CHECKING:
    from hardpoint.stores.base import Store

DAY_MS = 86_400_000
BEGIN_MS = 1_761_260_400_000  # 2025-10-24 in Berlin: two days later the clocks are set back
BERLIN = zone("Europe/Berlin")
Model = dict[int, object]


def value_of(chance: random.Random, kind: str) -> object:
    match kind:
        case "number":
            return round(chance.uniform(-50, 50), 1)
        case "integer":
            return chance.randrange(-(2**62), 2**62)
        case _:
            return chance.choice([chance.randrange(100), round(chance.random(), 2), True, "on", {"x": [1]}])


@pytest.fixture(params=["number", "integer", "mixed"])
def filled(request: pytest.FixtureRequest, store: Store, commit: Commit) -> tuple[Store, Model]:
    """Four days of a reading every ten minutes or so: in order, then some late, some in the place of others."""
    chance = random.Random(request.param)
    model: Model = {}
    times = sorted(BEGIN_MS + chance.randrange(4 * DAY_MS) for _ in range(600))
    late = [chance.choice(times) + chance.randrange(3) for _ in range(60)]
    for begin in range(0, 660, 60):
        rows = [(1, ts, value_of(chance, request.param)) for ts in (times + late)[begin : begin + 60]]
        assert commit(store, [*rows, (2, begin, "another series")]) is None
        model.update((ts, value) for _, ts, value in rows)
    return store, dict(sorted(model.items()))


def plain(model: Model, query: RangeQuery) -> list[tuple[int, object]]:
    return [(ts, value) for ts, value in model.items() if query.start_ms <= ts < query.end_ms]


def numbers(rows: list[tuple[int, object]]) -> list[tuple[int, float]]:
    return [(ts, value) for ts, value in rows if type(value) in (int, float)]  # type: ignore[misc]


EXPECTED: dict[str, Callable[[list[tuple[int, object]]], object]] = {
    "avg": lambda rows: sum(value for _, value in numbers(rows)) / len(numbers(rows)),
    "sum": lambda rows: sum(value for _, value in numbers(rows)),
    "min": lambda rows: min(value for _, value in numbers(rows)),
    "max": lambda rows: max(value for _, value in numbers(rows)),
    "first": lambda rows: rows[0][1],
    "last": lambda rows: rows[-1][1],
    "count": len,
}


def test_buckets_of_every_width(filled: tuple[Store, Model]) -> None:
    store, model = filled
    widths = [Width.parse(text) for text in ("1h", "6h", "1d")]
    for start_ms, end_ms in ((BEGIN_MS, BEGIN_MS + 4 * DAY_MS), (BEGIN_MS + 12_345_678, BEGIN_MS + 3 * DAY_MS + 1)):
        for agg in EXPECTED:
            by_points = [RangeQuery(start_ms, end_ms, agg, points) for points in (1, 7, 200)]
            by_width = [RangeQuery(start_ms, end_ms, agg, 1, width, BERLIN) for width in widths]
            for query in by_points + by_width:
                same(reduce_range(store, 1, query), buckets(model, query), agg)


def buckets(model: Model, query: RangeQuery) -> list[tuple[int, object]]:
    found: list[tuple[int, object]] = []
    for begin, end in pairwise(query.edges()):
        rows = [row for row in plain(model, query) if begin <= row[0] < end]
        if numbers(rows) or (rows and query.agg in ("first", "last", "count")):
            found.append((begin, EXPECTED[query.agg](rows)))
    return found


def same(answer: tuple[str, list[tuple[int, object]]], expected: list[tuple[int, object]], agg: str) -> None:
    done, found = answer
    assert done == agg
    assert [ts for ts, _ in found] == [ts for ts, _ in expected]
    for (_, one), (_, other) in zip(found, expected, strict=True):
        assert one == (pytest.approx(other, rel=1e-9, abs=1e-6) if agg in ("avg", "sum") else other)


def test_least_and_greatest_are_where_they_are(filled: tuple[Store, Model]) -> None:
    store, model = filled
    query = RangeQuery(BEGIN_MS, BEGIN_MS + 4 * DAY_MS, "minmax", 40)
    edges = query.edges()
    expected = []
    for begin, end in pairwise(edges):
        rows = numbers([row for row in plain(model, query) if begin <= row[0] < end])
        low, high = (next(row for row in rows if row[1] == most(v for _, v in rows)) for most in (min, max))
        expected += sorted({low, high})
    assert reduce_range(store, 1, query) == ("minmax", expected)


def test_raw_and_pages_give_every_reading_once(filled: tuple[Store, Model]) -> None:
    store, model = filled
    query = RangeQuery(BEGIN_MS + DAY_MS, BEGIN_MS + 3 * DAY_MS, "raw")
    expected = plain(model, query)
    assert reduce_range(store, 1, query)[1] == expected
    found, next_ms = [], query.start_ms
    while next_ms is not None:
        page = read_page(store, 1, next_ms, query.end_ms)
        found += [row for stretch in page.stretches for row in zip(*stretch, strict=True)]
        next_ms = page.next_ms
    assert found == expected


def test_a_chart_is_of_readings(filled: tuple[Store, Model]) -> None:
    store, model = filled
    for points in (3, 50, 400):
        query = RangeQuery(0, BEGIN_MS + 40 * DAY_MS, "auto", points)
        rows = plain(model, query)
        agg, found = reduce_range(store, 1, query)
        if agg == "last":
            assert len(numbers(rows)) * 2 <= len(rows)
            continue
        assert agg == "lttb"
        assert len(found) <= points
        assert set(found) <= set(numbers(rows))
        assert (found[0], found[-1]) == (numbers(rows)[0], numbers(rows)[-1])


@pytest.mark.parametrize("agg", [*FOLDS, "raw"])
def test_every_store_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agg: str) -> None:
    """Not only what is right, but the same of what would be: ``minmax`` of equal readings. (``lttb`` may choose
    others among the readings that stand out, where a store has summaries.)
    """
    chance = random.Random(agg)
    rows = [(1, n * 60_000 + chance.randrange(1000), chance.randrange(10)) for n in range(500)]
    answers = []
    for kind in KINDS:
        if kind == "sqlite-folding":
            fold_eagerly(monkeypatch)
        store = make_store(kind, tmp_path / kind)
        store.open()
        try:
            for begin in range(0, 500, 50):
                assert commit_and_wait(store, rows[begin : begin + 50]) is None
            answers.append(reduce_range(store, 1, RangeQuery(0, 30_000_000, agg, 40)))
        finally:
            store.close()
    assert answers[1:] == answers[:-1]
