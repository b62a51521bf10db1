"""What `Store` promises of pieces, summaries, retention, copies and checks, on every implementation."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from storing import Commit, commit_and_wait

from hardpoint.errors import StorageError
from hardpoint.model import Device, Put, Series, Value
from hardpoint.stores.base import Keep, Policy, Stretch, Summary
from hardpoint.stores.pieces import PIECE_READINGS, summarise, total

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hardpoint.stores.base import Store

EVER = (0, 2**62)
DAY_MS = 86_400_000


def joined(stretches: Iterable[Stretch]) -> list[tuple[int, Value]]:
    return [row for stretch in stretches for row in zip(stretch.times, stretch.values, strict=True)]


class TestStretches:
    @pytest.fixture(autouse=True)
    def _some(self, store: Store, commit: Commit) -> None:
        commit(store, [(1, ts, ts / 2) for ts in range(2 * PIECE_READINGS + 10)])
        commit(store, [(1, 7, "seven"), (2, 1, "other")])

    def expected(self, start: int, end: int) -> list[tuple[int, Value]]:
        return [(ts, "seven" if ts == 7 else ts / 2) for ts in range(start, min(end, 2 * PIECE_READINGS + 10))]

    @pytest.mark.parametrize(("start", "end"), [(0, 2**62), (5, 9), (4000, 4200), (8, 8), (9, 8), (-5, 1)])
    def test_are_the_readings_in_bounded_pieces(self, store: Store, start: int, end: int) -> None:
        pieces = list(store.stretches(1, start, end))
        assert joined(pieces) == self.expected(max(start, 0), end)
        assert all(0 < len(piece.times) <= PIECE_READINGS for piece in pieces)
        assert all(len(piece.times) == len(piece.values) for piece in pieces)

    def test_newest_first_turns_the_pieces_round_and_not_what_is_in_them(self, store: Store) -> None:
        pieces = list(store.stretches(1, *EVER, newest_first=True))
        assert len(pieces) > 1
        assert joined(reversed(pieces)) == self.expected(*EVER)

    def test_may_be_left_early(self, store: Store, commit: Commit) -> None:
        pieces = store.stretches(1, *EVER)
        assert next(pieces).times[0] == 0
        del pieces
        assert commit(store, [(1, 0, "again")]) is None

    def test_the_extent(self, store: Store) -> None:
        assert store.extent(1) == (0, 2 * PIECE_READINGS + 9)
        assert store.extent(2) == (1, 1)
        assert store.extent(3) is None


@pytest.mark.parametrize("edges", [(), (0,), (3000, 3001), tuple(range(0, 9000, 500)), (2**62,)])
def test_an_overview_accounts_for_every_reading_once(store: Store, commit: Commit, edges: tuple[int, ...]) -> None:
    for start in range(0, 9000, 1000):
        commit(store, [(1, ts, ts % 100) for ts in range(start, start + 1000)])
    count, total, last = 0, 0.0, -1
    for piece in store.overview(1, 100, 8900, edges):
        if isinstance(piece, Summary):
            start_ms, end_ms = piece.start_ms, piece.end_ms
            count, total = count + piece.count, total + (piece.sum or 0)
            assert not any(start_ms < edge <= end_ms for edge in edges), "a summary lies between two edges"
            assert piece == summarise(*next(store.stretches(1, start_ms, end_ms + 1)))
        else:
            start_ms, end_ms = piece.times[0], piece.times[-1]
            count, total = count + len(piece.times), total + sum(piece.values)
        assert start_ms > last
        last = end_ms
    assert (count, total, last) == (8800, sum(ts % 100 for ts in range(100, 8900)), 8899)


@pytest.mark.parametrize("widest_ms", [0, 1, 3, 400, 2**62])
def test_a_fine_overview_has_only_narrow_summaries_of_numbers(store: Store, commit: Commit, widest_ms: int) -> None:
    for start in range(0, 6000, 1000):
        commit(store, [(1, ts, "text" if ts % 1000 == 7 else ts) for ts in range(start, start + 1000)])
    counts = []
    for piece in store.overview(1, *EVER, widest_ms=widest_ms):
        if isinstance(piece, Summary):
            assert piece.end_ms - piece.start_ms <= widest_ms
            assert piece.numbers == piece.count
            counts.append(piece.count)
        else:
            counts.append(len(piece.times))
    assert sum(counts) == 6000


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.5, 0.5, 0.5, 9.0, 9.0], (5, 5, 0.5, 11, 9.0, 13, 20.5)),
        ([3, 1, 2**62], (3, 3, 1, 11, 2**62, 12, 2**62 + 4)),
        (["a", True, 2, 1.5], (4, 2, 1.5, 13, 2, 12, 3.5)),
        (["a", False, None, {}], (4, 0, None, None, None, None, None)),
        ([1.7e308, 1.7e308], (2, 2, 1.7e308, 10, 1.7e308, 10, float("inf"))),
    ],
)
def test_a_summary(values: list[Value], expected: tuple[object, ...]) -> None:
    made = summarise(range(10, 10 + len(values)), values)
    assert made[2:9] == expected
    assert (made.start_ms, made.end_ms, made.first, made.last) == (10, 9 + len(values), values[0], values[-1])


def test_a_clock_that_jumps_back_an_hour_loses_nothing(store: Store, commit: Commit) -> None:
    hour = 3_600_000
    before = [(1, hour + place * 1000, place) for place in range(1000)]
    again = [(1, place * 1000 + 500 * (place % 2), -place) for place in range(5000)]
    for start in range(0, 1000, 250):
        commit(store, before[start : start + 250])
    for start in range(0, 5000, 500):
        commit(store, again[start : start + 500])
    expected = {ts: value for _, ts, value in [*before, *again]}
    assert dict(store.readings(1, *EVER)) == expected
    assert store.extent(1) == (0, max(expected))
    assert list(store.latest(1)) == [(1, max(expected), expected[max(expected)])]


class TestRetention:
    NOW = 100 * DAY_MS

    @pytest.fixture(autouse=True)
    def _some(self, store: Store, commit: Commit) -> None:
        records = [
            Device("north", "n", 0),
            Series(1, "north", "temp"),
            Series(2, "north", "hum"),
            Series(3, "s", "temp"),
        ]
        rows = [(series, day * DAY_MS, day) for series in (1, 2, 3) for day in range(100)]
        assert commit(store, rows, [Put(record) for record in records]) is None

    POLICY = Policy((Keep("nor*", "hum"), Keep("n*", drop_after_s=30 * 86400), Keep(drop_after_s=10.5 * 86400)))

    def test_a_plan_says_what_would_be_dropped_and_drops_nothing(self, store: Store) -> None:
        plan = store.plan(self.POLICY, self.NOW)
        assert [(step.series, step.device_id, step.key, step.action, step.readings) for step in plan.steps] == [
            (1, "north", "temp", "drop", 70),
            (3, "s", "temp", "drop", 90),
        ]
        assert [(step.start_ms, step.end_ms) for step in plan.steps] == [(0, 70 * DAY_MS), (0, round(89.5 * DAY_MS))]
        assert [len(list(store.readings(series, *EVER))) for series in (1, 2, 3)] == [100, 100, 100]

    def test_retaining_does_what_the_plan_said(self, store: Store) -> None:
        plan = store.plan(self.POLICY, self.NOW)
        assert store.retain(self.POLICY, self.NOW).steps == plan.steps
        assert [day for _, day in store.readings(1, *EVER)] == list(range(70, 100))
        assert [day for _, day in store.readings(2, *EVER)] == list(range(100))
        assert [day for _, day in store.readings(3, *EVER)] == list(range(90, 100))
        assert store.plan(self.POLICY, self.NOW).steps == ()

    def test_no_rule_keeps_all(self, store: Store) -> None:
        assert store.retain(Policy(), self.NOW).steps == ()
        assert store.retain(Policy((Keep("nobody", drop_after_s=1),)), self.NOW).steps == ()
        assert [len(list(store.readings(series, *EVER))) for series in (1, 2, 3)] == [100, 100, 100]


def test_checking_a_sound_store_finds_nothing(store: Store, commit: Commit) -> None:
    commit(store, [(series, ts, ts) for series in (1, 2) for ts in range(20)])
    for repair in (False, True):
        report = store.check(repair=repair)
        assert (report.readings, report.findings) == (40, ())


def test_a_backup_is_one_whole_file(store: Store, tmp_path: Path) -> None:
    commit_and_wait(store, [(1, ts, ts) for ts in range(20)], [Put(Device("d", "d", 0))])
    target = tmp_path / "copy.db"
    if store.describe()["kind"] == "memory":
        with pytest.raises(StorageError, match="in memory"):
            store.backup(target)
        return
    store.backup(target)
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["copy.db"]
    copy = sqlite3.connect(target)
    assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert copy.execute("SELECT id FROM devices").fetchall() == [("d",)]
    copy.close()
    with pytest.raises(StorageError, match="exists already"):
        store.backup(target)
    with pytest.raises(StorageError, match="cannot be written"):
        store.backup(tmp_path / "nowhere" / "copy.db")


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([1e308, 1e308], math.inf),
        ([-1e308, -1e308], -math.inf),
        ([1e308, 1e308, -1e308, -1e308], 0.0),
        ([1.5e308, 1e308, 1.0, -1e308, -1.5e308], 1.0),
        ([1e308, 1e308, -1.5e308], 5e307),
    ],
)
def test_a_sum_at_the_end_of_the_range_of_floats(numbers, expected):
    assert total(numbers, integers=False) == pytest.approx(expected)
