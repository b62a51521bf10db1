"""Thinning and dropping by age and size: what was planned is done, what is left can be read, and space returns."""

from __future__ import annotations

import math
import random
import shutil
from typing import TYPE_CHECKING

import pytest
from storing import commit_and_wait, wait_until

from hardpoint.errors import StorageError
from hardpoint.hub.history.query import RangeQuery
from hardpoint.hub.history.reduce import reduce_range
from hardpoint.model import Delete, DeleteReadings, Device, Put, Series, Stretch, Summary
from hardpoint.stores.base import Keep, Policy, Step
from hardpoint.stores.pieces import summarise
from hardpoint.stores.sqlite import SqliteStore, compaction, failpoints, fold, retain, work

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVER = (0, 2**62)
COUNT = 6000
NOW = COUNT * 10_000


def value(series: int, place: int) -> float:
    return round(20 + random.Random(series * COUNT + place).gauss(0, 2), 1)


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    """Two series of 6,000 readings, all in chunks of some hundred, and the newest ten in the journal."""
    monkeypatch.setattr(work, "FOLD_AT_READINGS", 500)
    monkeypatch.setattr(compaction, "READINGS_A_SERIES", 300)
    store = SqliteStore(tmp_path)
    store.open()
    records = [Device("d", "d", 0), Series(1, "d", "temp"), Series(2, "d", "hum")]
    rows = [(series, place * 10_000, value(series, place)) for place in range(COUNT - 10) for series in (1, 2)]
    assert commit_and_wait(store, rows, [Put(record) for record in records]) is None
    wait_until(lambda: store._writer is not None and not store._writer.work.due)
    store._do(lambda connection, pending: pending.everything_in_chunks(connection))
    rows = [(series, place * 10_000, value(series, place)) for place in range(COUNT - 10, COUNT) for series in (1, 2)]
    assert commit_and_wait(store, rows) is None
    yield store
    store.close()


def whole(series: int, start: int, end: int) -> Summary:
    places = range(start, end)
    return summarise([place * 10_000 for place in places], [value(series, place) for place in places])


def times(store: SqliteStore, series: int = 1) -> list[int]:
    return [ts for ts, _ in store.readings(series, *EVER)]


def test_what_is_left_of_a_thinned_stretch(held: SqliteStore) -> None:
    policy = Policy((Keep(key="temp", thin_after_s=30_000),))
    plan = held.retain(policy, NOW)
    (step,) = plan.steps
    assert (step.series, step.action, step.reason, step.start_ms) == (1, "thin", "age", 0)
    assert step.end_ms <= NOW - 30_000_000, "only whole chunks"
    thinned = step.readings
    assert step.end_ms == (thinned - 1) * 10_000 + 1
    summaries = [piece for piece in held.overview(1, 0, step.end_ms) if isinstance(piece, Summary)]
    assert sum(summary.count for summary in summaries) == thinned
    place = 0
    for summary in summaries:
        assert summary == whole(1, place, place + summary.count)
        left = list(held.readings(1, summary.start_ms, summary.end_ms + 1))
        named = {(summary.start_ms, summary.first), (summary.min_ms, summary.min)}
        assert left == sorted(named | {(summary.max_ms, summary.max), (summary.end_ms, summary.last)})
        place += summary.count
    assert times(held)[-(COUNT - thinned) :] == [place * 10_000 for place in range(thinned, COUNT)]
    assert len(times(held, 2)) == COUNT
    assert held.plan(policy, NOW).steps == ()
    assert held.check().findings == ()


def test_part_of_a_thinned_stretch_is_read_from_what_is_left(held: SqliteStore) -> None:
    held.retain(Policy((Keep(thin_after_s=30_000),)), NOW)
    summary = next(piece for piece in held.overview(1, *EVER) if isinstance(piece, Summary))
    (piece,) = held.overview(1, summary.start_ms + 1, summary.end_ms + 1)
    assert isinstance(piece, Stretch)
    assert summary.start_ms not in piece.times
    assert set(piece.times) <= {summary.min_ms, summary.max_ms, summary.end_ms}


def test_late_readings_of_a_thinned_stretch_are_added_to_it(held: SqliteStore) -> None:
    held.retain(Policy((Keep(thin_after_s=30_000),)), NOW)
    first = next(piece for piece in held.overview(1, *EVER) if isinstance(piece, Summary))
    late = [(1, first.start_ms + 5, 99.5), (1, first.start_ms, first.first + 1), (1, first.start_ms + 6, "text")]
    assert commit_and_wait(held, late) is None
    held._do(lambda connection, pending: pending.everything_in_chunks(connection))
    now = next(piece for piece in held.overview(1, *EVER) if isinstance(piece, Summary))
    assert (now.count, now.numbers, now.max, now.max_ms) == (first.count + 2, first.count + 1, 99.5, first.start_ms + 5)
    assert now.first == first.first + 1
    assert now.sum == pytest.approx(first.sum + 99.5 + 1)  # type: ignore[operator]
    assert held.check().findings == ()


def test_a_sum_beyond_the_range_of_floats_stays_there(held: SqliteStore) -> None:
    """Infinity less infinity is no number: kept as NULL it would be told as a sum of 0."""
    rows = [(3, place * 10_000, 1e308) for place in range(COUNT)]
    assert commit_and_wait(held, rows, [Put(Series(3, "d", "huge"))]) is None
    held.retain(Policy((Keep(key="huge", thin_after_s=30_000),)), NOW)
    assert commit_and_wait(held, [(3, 0, 1e308), (3, 5000, 1e308)]) is None
    held._do(lambda connection, pending: pending.everything_in_chunks(connection))
    first = next(piece for piece in held.overview(3, *EVER) if isinstance(piece, Summary))
    assert (first.first, first.sum) == (1e308, math.inf)
    assert held.check().findings == ()


def test_deleting_part_of_a_thinned_stretch_leaves_what_is_left_outside(held: SqliteStore) -> None:
    held.retain(Policy((Keep(thin_after_s=30_000),)), NOW)
    first = next(piece for piece in held.overview(1, *EVER) if isinstance(piece, Summary))
    left = [ts for ts in times(held) if ts <= first.end_ms]
    assert commit_and_wait(held, [], [DeleteReadings(1, 0, left[1])]) is None
    wait_until(lambda: held._writer is not None and not held._writer.work.due)
    assert [ts for ts in times(held) if ts <= first.end_ms] == left[1:]
    piece = next(held.overview(1, *EVER))
    assert isinstance(piece, Summary)
    assert piece.count == len(left) - 1


def test_ages_hold_to_the_millisecond(held: SqliteStore) -> None:
    policy = Policy((Keep(drop_after_s=20_005),))
    plan = held.plan(policy, NOW)
    assert [(step.action, step.end_ms) for step in plan.steps] == [("drop", NOW - 20_005_000)] * 2
    assert held.retain(policy, NOW) == plan
    kept = [place * 10_000 for place in range(COUNT) if place * 10_000 >= NOW - 20_005_000]
    assert times(held) == times(held, 2) == kept
    assert [step.readings for step in plan.steps] == [COUNT - len(kept)] * 2


def test_a_stretch_is_thinned_when_its_last_reading_is_old_enough(held: SqliteStore) -> None:
    def thinned_until(before_ms: int) -> int:
        (step,) = held.plan(Policy((Keep(key="temp", thin_after_s=(NOW - before_ms) / 1000),)), NOW).steps
        return step.end_ms

    end_ms = thinned_until(NOW - 20_000_000)
    assert thinned_until(end_ms) == end_ms
    assert thinned_until(end_ms - 1) < end_ms, "its last reading is just as old as may stay"


def test_thin_and_drop_meet(held: SqliteStore) -> None:
    policy = Policy((Keep(thin_after_s=20_000, drop_after_s=40_000),))
    plan = held.retain(policy, NOW)
    assert [(step.series, step.action) for step in plan.steps] == [(s, a) for s in (1, 2) for a in ("drop", "thin")]
    assert plan.steps[0].end_ms <= plan.steps[1].start_ms
    assert min(times(held)) >= NOW - 40_000_000
    assert held.plan(policy, NOW).steps == ()


def test_what_is_old_is_dropped_though_it_came_just_now(held: SqliteStore) -> None:
    assert commit_and_wait(held, [(1, 5, 1.5), (2, NOW, 2.5)]) is None
    plan = held.retain(Policy((Keep(drop_after_s=NOW / 1000 - 1),)), NOW)
    assert [step.readings for step in plan.steps] == [2, 1]
    assert times(held)[0] == 10_000


class TestSize:
    def test_thins_the_oldest_of_all_series_first(self, held: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retain, "UNDERCUT", 10**6)
        size = held.plan(Policy(), NOW).size_bytes
        plan = held.retain(Policy(max_bytes=size - 2000), NOW)
        assert {step.action for step in plan.steps} == {"thin"}
        assert {step.reason for step in plan.steps} == {"size"}
        assert [step.series for step in plan.steps] == [1, 2]
        assert abs(plan.steps[0].end_ms - plan.steps[1].end_ms) <= 1536 * 10_000, "alike, but for a chunk"
        assert plan.freed_bytes >= 2000
        assert len(times(held)) < COUNT - 1000
        assert times(held)[-10:] == [place * 10_000 for place in range(COUNT - 10, COUNT)]

    def test_drops_only_when_all_is_thinned(self, held: SqliteStore) -> None:
        plan = held.retain(Policy(max_bytes=1), NOW)
        assert {step.action for step in plan.steps} == {"thin", "drop"}
        assert sum(step.readings for step in plan.steps if step.action == "thin") > COUNT
        assert times(held) == [place * 10_000 for place in range(COUNT - 10, COUNT)], "the journal is not old"

    def test_a_store_that_is_small_enough_is_left_alone(self, held: SqliteStore) -> None:
        size = held.plan(Policy(), NOW).size_bytes
        assert held.retain(Policy(max_bytes=size), NOW).steps == ()

    def test_space_goes_back_to_the_disk(self, held: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retain, "SPARE_PAGES", 0)
        monkeypatch.setattr(retain, "VACUUM_PAGES", 2)
        commit_and_wait(held, [(2, place, str(random.Random(place).random()) * 50) for place in range(1000)])
        held._do(lambda connection, pending: pending.everything_in_chunks(connection))
        (before,) = held._connections[0].execute("PRAGMA page_count").fetchone()
        reached: list[str] = []
        monkeypatch.setattr(failpoints, "hook", reached.append)
        held.retain(Policy((Keep(key="hum", drop_after_s=1),)), NOW)
        (after,) = held._connections[0].execute("PRAGMA page_count").fetchone()
        (free,) = held._connections[0].execute("PRAGMA freelist_count").fetchone()
        assert after < before / 2
        assert free <= 2
        # Also pages of the free list itself and of the pointer map go, so a slice of 2 may shorten the file by more.
        assert 0 < reached.count("vacuum: done") <= (before - after) / 2 + 1


def test_large_and_mixed_values_are_thinned_too(held: SqliteStore) -> None:
    rows = [(7, ts, "x" * 100 if ts % 2 else {"a": ts}) for ts in range(40)]
    assert commit_and_wait(held, rows, [Put(Series(7, "d", "notes"))]) is None
    plan = held.retain(Policy((Keep(key="notes", thin_after_s=1),)), NOW)
    assert [(step.key, step.action, step.readings) for step in plan.steps] == [("notes", "thin", 40)]
    assert list(held.readings(7, *EVER)) == [(0, {"a": 0}), (39, "x" * 100)]
    assert held.check().findings == ()


def test_a_closed_store_says_so(held: SqliteStore) -> None:
    held.close()
    with pytest.raises(StorageError, match="closed"):
        held.retain(Policy(max_bytes=1), NOW)


def test_a_deleted_device_is_no_ones_concern(held: SqliteStore) -> None:
    assert commit_and_wait(held, [], [Delete(Device("d", "d", 0))]) is None
    wait_until(lambda: held._writer is not None and not held._writer.work.due)
    assert held.retain(Policy((Keep(drop_after_s=1),), max_bytes=1), NOW).steps == ()


def test_a_step_names_what_it_concerns(held: SqliteStore) -> None:
    (step,) = held.plan(Policy((Keep(key="hum", drop_after_s=0),)), 15_000).steps
    assert step == Step(2, "d", "hum", "drop", "age", 0, 15_000, 2, 0)


def settled_count(store: SqliteStore, series: int = 1) -> int:
    """How many readings the store counts once everything is in chunks."""
    store._do(lambda connection, pending: pending.everything_in_chunks(connection))
    pieces = store.overview(series, *EVER)
    return sum(piece.count if isinstance(piece, Summary) else len(piece.times) for piece in pieces)


@pytest.mark.parametrize("where", ["journal", "blocks"])
def test_readings_that_came_again_are_not_counted_twice_by_a_thinned_stretch(
    held: SqliteStore, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(retain, "UNDERCUT", 10**6)
    again = [(1, place * 10_000, value(1, place)) for place in range(200, 260)]
    assert commit_and_wait(held, again) is None
    if where == "blocks":
        monkeypatch.setattr(work, "FOLD_AT_READINGS", 1)
        monkeypatch.setattr(work, "FOLD_AT_READINGS_A_SERIES", 0)
        monkeypatch.setattr(work, "FOLD_AT_LEAST_A_SERIES", 0)
        assert commit_and_wait(held, [(1, COUNT * 10_000, 1.5)]) is None
        wait_until(lambda: not held._journal.readings)
    plan = held.retain(Policy(max_bytes=held.plan(Policy(), NOW).size_bytes - 2000), NOW)
    assert [(step.action, step.start_ms) for step in plan.steps if step.series == 1] == [("thin", 0)]
    assert settled_count(held) == COUNT + (where == "blocks")


def test_what_a_killed_pass_of_folding_left_is_not_counted_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its chunks are there, and the journal they came from is there too."""
    monkeypatch.setattr(work, "SLICE_S", 0.0)
    monkeypatch.setattr(fold, "MAX_DIRECT_READINGS", 2000)
    monkeypatch.setattr(retain, "UNDERCUT", 10**6)
    copy = tmp_path / "killed"
    copy.mkdir()

    def keep(point: str) -> None:
        if point == "fold: slice done" and not (copy / "hardpoint.db").exists():
            for name in ("hardpoint.db-wal", "hardpoint.db"):
                shutil.copy(tmp_path / "running" / name, copy / name)

    monkeypatch.setattr(failpoints, "hook", keep)
    running = SqliteStore(tmp_path / "running")
    running.open()
    rows = [(1, place * 10_000, value(1, place)) for place in range(COUNT)]
    assert commit_and_wait(running, rows, [Put(Device("d", "d", 0)), Put(Series(1, "d", "temp"))]) is None
    wait_until((copy / "hardpoint.db").exists)
    assert settled_count(running) == COUNT
    settled_bytes = running.plan(Policy(), NOW).size_bytes
    running.close()
    store = SqliteStore(copy)
    monkeypatch.setattr(work, "FOLD_AT_READINGS", 1_000_000)
    store.open()
    try:
        assert times(store) == [place * 10_000 for place in range(COUNT)]
        plan = store.retain(Policy(max_bytes=settled_bytes - 2000), NOW)
        assert {step.action for step in plan.steps} == {"thin"}
        assert settled_count(store) == COUNT
    finally:
        store.close()


def test_readings_deleted_while_their_series_is_thinned_stay_deleted(
    held: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is to be thinned was looked up before the commits that go between the slices."""
    monkeypatch.setattr(retain, "SLICE_CHUNKS", 1)
    deleted_from = COUNT // 2 * 10_000
    outcomes: list[StorageError | None] = []

    def hook(name: str) -> None:
        if name == "thin: done" and not waiting:
            waiting.append(name)
            held.commit([], [DeleteReadings(1, deleted_from, 2**62)], outcomes.append)

    waiting: list[str] = []
    monkeypatch.setattr(failpoints, "hook", hook)
    held.retain(Policy((Keep(key="temp", thin_after_s=30),)), NOW)
    assert outcomes == [None]
    wait_until(lambda: held._writer is not None and not held._writer.work.due)
    assert [ts for ts in times(held) if ts >= deleted_from] == []
    assert held.check().findings == ()


def test_a_late_reading_that_comes_while_its_series_is_thinned_is_in_the_summary(
    held: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retain, "SLICE_CHUNKS", 1)
    monkeypatch.setattr(work, "FOLD_AT_READINGS", 1)
    monkeypatch.setattr(work, "FOLD_AT_READINGS_A_SERIES", 1)
    monkeypatch.setattr(work, "FOLD_AT_LEAST_A_SERIES", 1)
    monkeypatch.setattr(compaction, "READINGS_A_SERIES", 1)
    late = COUNT // 2 * 10_000 + 5_000

    def hook(name: str) -> None:
        if name == "thin: done" and not waiting:
            waiting.append(name)
            held.commit([(1, late, 1000.0)], [], lambda _: None)

    waiting: list[str] = []
    monkeypatch.setattr(failpoints, "hook", hook)
    held.retain(Policy((Keep(key="temp", thin_after_s=30),)), NOW)
    wait_until(lambda: held._writer is not None and not held._writer.work.due)
    assert dict(held.readings(1, late, late + 1)) == {late: 1000.0}
    assert held.check().findings == ()


def test_a_thinned_stretch_whose_last_numbers_are_replaced_by_text_says_so(held: SqliteStore) -> None:
    """Numbers without a least one would be asked for it by every chart."""
    held.retain(Policy((Keep(key="temp", thin_after_s=30_000),)), NOW)
    first = next(piece for piece in held.overview(1, *EVER) if isinstance(piece, Summary))
    left = list(held.readings(1, first.start_ms, first.end_ms + 1))
    assert commit_and_wait(held, [(1, ts, "n/a") for ts, _ in left]) is None
    held._do(lambda connection, pending: pending.everything_in_chunks(connection))
    now = next(piece for piece in held.overview(1, *EVER) if isinstance(piece, Summary))
    assert (now.count, now.numbers, now.min, now.max, now.sum) == (first.count, 0, None, None, None)
    for agg in ("minmax", "min", "avg"):
        assert reduce_range(held, 1, RangeQuery(first.start_ms, first.end_ms + 1, agg, 2)) == (agg, [])
