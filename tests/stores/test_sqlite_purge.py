"""Deleting many readings: at once for readers, slice by slice in the table, and never the ones that came after."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from storing import commit_and_wait, wait_until

from hardpoint.model import Delete, DeleteReadings, Device, Put, Series
from hardpoint.stores.sqlite import SqliteStore, fold, purge, work, writer
from hardpoint.stores.sqlite.chunks import write

EVER = (0, 2**62)
COUNT = 1000


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqliteStore:
    """A store with a device of two series whose purges do not go on by themselves."""
    store = SqliteStore(tmp_path)
    store.open()
    changes = [Put(Device("d", "d", 0)), Put(Series(1, "d", "a")), Put(Series(2, "d", "b"))]
    rows = [(1 + n % 2, n // 2, n) for n in range(2 * COUNT)] + [(3, 0, "another device's")]
    assert commit_and_wait(store, rows, changes) is None
    store._do(folded)
    wait_until(lambda: store._writer is not None and not store._writer.work.due)
    monkeypatch.setattr(writer.Writer, "_slice", lambda *_, **__: True)
    monkeypatch.setattr(writer.Writer, "_patience_s", lambda _: None)
    return store


def folded(connection: sqlite3.Connection, pending: work.Work) -> Iterator[int]:
    """For `SqliteStore._do`: everything in blocks or chunks."""
    yield pending.fold_all(connection)


def in_table(store: SqliteStore) -> int:
    connection = store._connections[0]
    in_blocks = "SELECT coalesce(sum(count), 0) FROM blocks"
    in_chunks = "SELECT coalesce(sum(count), 0) FROM chunks"
    return int(connection.execute(f"SELECT ({in_blocks}) + ({in_chunks})").fetchone()[0])


def purges(store: SqliteStore) -> int:
    assert store._writer is not None
    return len(store._writer.work.purges.waiting)


def end(store: SqliteStore) -> None:
    """Close it without folding, which is held here."""
    store._journal._reset()
    store.close()


def test_readers_see_nothing_of_what_is_still_in_the_table(held: SqliteStore) -> None:
    assert commit_and_wait(held, [], [Delete(Device("d", "d", 0))]) is None
    assert in_table(held) == 2 * COUNT + 1
    assert list(held.readings(1, *EVER)) == []
    assert list(held.latest()) == [(3, 0, "another device's")]
    assert list(held.latest(2)) == []
    end(held)


def test_latest_is_what_is_left_before_a_deleted_end(held: SqliteStore) -> None:
    assert commit_and_wait(held, [], [DeleteReadings(1, COUNT - 10, COUNT)]) is None
    assert list(held.latest(1)) == [(1, COUNT - 11, 2 * (COUNT - 11))]
    assert next(iter(held.latest())) == (1, COUNT - 11, 2 * (COUNT - 11))
    assert len(list(held.readings(1, *EVER))) == COUNT - 10
    end(held)


def test_a_reading_that_comes_later_makes_its_way(held: SqliteStore) -> None:
    assert commit_and_wait(held, [], [DeleteReadings(1, 0, 500), DeleteReadings(2, 0, 500)]) is None
    assert purges(held) == 2
    assert commit_and_wait(held, [(1, 600, "outside")]) is None
    assert purges(held) == 2
    assert commit_and_wait(held, [(1, 499, "inside")]) is None
    assert purges(held) == 1
    assert in_table(held) == 2 * COUNT + 1 - 500
    assert list(held.readings(1, 490, 501)) == [(499, "inside"), (500, 1000)]
    end(held)


def test_slices_delete_what_they_say(held: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "SLICE_CHUNKS", 3)
    connection = held._connections[0]
    for start in range(0, COUNT, 100):  # as if compacted so
        write(connection, 4, list(range(start, start + 100)), [0.5] * 100)
    commit_and_wait(held, [], [DeleteReadings(4, 150, 850), DeleteReadings(1, 0, 50), DeleteReadings(9, 0, 50)])
    pending = purge.Purges()
    pending.load(connection)
    left = []
    while pending.waiting:
        pending.step(connection)
        left.append((3 * COUNT + 1 - in_table(held), len(pending.waiting)))
    assert left == [(250, 3), (550, 3), (700, 2), (750, 0)]
    assert [ts for ts, _ in held.readings(4, *EVER)] == [*range(150), *range(850, COUNT)]
    assert len(list(held.readings(1, *EVER))) == COUNT - 50
    end(held)


def test_goes_on_between_commits_and_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "SLICE_ROWS", 10)
    store = SqliteStore(tmp_path)
    store.open()
    commit_and_wait(store, [(1, ts, ts) for ts in range(5 * COUNT)])
    commit_and_wait(store, [(2, 0, "stays")], [DeleteReadings(1, *EVER)])
    for ts in range(5):
        assert commit_and_wait(store, [(2, ts, "stays")]) is None
    store.close()
    again = SqliteStore(tmp_path)
    again.open()
    assert list(again.readings(1, *EVER)) == []
    wait_until(lambda: again.describe()["readings"] == 5)
    assert [value for _, value in again.readings(2, *EVER)] == ["stays"] * 5
    again.close()


def copied(store: SqliteStore, target: Path) -> SqliteStore:
    """As it would be after kill -9 now."""
    target.mkdir()
    for name in ("hardpoint.db-wal", "hardpoint.db"):
        shutil.copy(Path(str(store.describe()["path"])).with_name(name), target / name)
    return SqliteStore(target)


class TestInTheJournal:
    """Deleting waits for no folding: the journal itself loses the readings."""

    ROWS = tuple((1 + n % 3, n // 3, n) for n in range(900))

    def expected(self, series: int, *more: tuple[int, object]) -> list[tuple[int, object]]:
        rows = [(ts, value) for one, ts, value in self.ROWS if one == series and not (one == 1 and 100 <= ts < 200)]
        return sorted([*rows, *more])

    def assert_deleted(self, store: SqliteStore, *more: tuple[int, object]) -> None:
        assert list(store.readings(1, *EVER)) == self.expected(1, *more)
        assert list(store.readings(2, *EVER)) == []
        assert store.extent(2) is None
        assert list(store.latest(2)) == []
        assert list(store.readings(3, *EVER)) == self.expected(3)
        assert [series for series, _, _ in store.latest()] == [1, 3]

    @pytest.mark.parametrize("batch", [30, 900])
    def test_no_commit_folds(self, tmp_path: Path, batch: int) -> None:
        store = SqliteStore(tmp_path / "running")
        store.open()
        for start in range(0, 900, batch):
            assert commit_and_wait(store, self.ROWS[start : start + batch]) is None
        # A reading of the same commit comes after what it deletes.
        gone = [DeleteReadings(1, 100, 200), DeleteReadings(2, 0, 1000)]
        assert commit_and_wait(store, [(1, 150, "new")], gone) is None
        assert in_table(store) == 0
        self.assert_deleted(store, (150, "new"))
        assert commit_and_wait(store, [(1, 151, "newer")]) is None
        assert store.check().readings == 500 + 2
        killed = copied(store, tmp_path / "killed")
        for each in (store, killed):
            if each is killed:
                each.open()
            self.assert_deleted(each, (150, "new"), (151, "newer"))
            each._do(lambda connection, pending: pending.everything_in_chunks(connection))
            self.assert_deleted(each, (150, "new"), (151, "newer"))
            assert each.check()[1:] == (502, ())
            each.close()

    def test_a_commit_that_fails_deletes_nothing(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path)
        store.open()
        assert commit_and_wait(store, self.ROWS) is None
        bad = [(1, 1000, 1), (1, 1001, object())]
        assert commit_and_wait(store, bad, [DeleteReadings(1, 0, 1000)]) is not None
        assert len(list(store.readings(1, *EVER))) == 300
        assert commit_and_wait(store, [(1, 1000, 1)]) is None
        assert len(list(store.readings(1, *EVER))) == 301
        store.close()

    @pytest.mark.parametrize("direct", [2, 10_000])
    @pytest.mark.parametrize("slices", [1, 3, 7])
    def test_while_a_pass_of_folding_is_under_way(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slices: int, direct: int
    ) -> None:
        monkeypatch.setattr(fold, "MAX_BLOCK_READINGS", 90)
        monkeypatch.setattr(fold, "MAX_DIRECT_READINGS", 90)
        monkeypatch.setattr(fold, "DIRECT_READINGS", direct)
        store = SqliteStore(tmp_path / "running")
        store.open()
        assert commit_and_wait(store, self.ROWS) is None

        def some_slices(connection: sqlite3.Connection, pending: work.Work) -> Iterator[int]:
            for _ in range(slices):
                pending._fold_step(connection, 0.0)
            # Nothing goes on by itself from here.
            monkeypatch.setattr(writer.Writer, "_slice", lambda *_, **__: True)
            monkeypatch.setattr(writer.Writer, "_patience_s", lambda _: None)
            yield from ()

        store._do(some_slices)
        assert store._journal.frozen is not None
        gone = [DeleteReadings(1, 100, 200), DeleteReadings(2, 0, 1000)]
        assert commit_and_wait(store, [(3, 5, 17)], gone) is None
        assert store._journal.frozen is not None, "the pass goes on as slowly as it was"
        self.assert_deleted(store)
        killed = copied(store, tmp_path / "killed")
        assert commit_and_wait(store, [(1, 150, "new")]) is None
        assert store._journal.frozen is None, "this one had to wait for it"
        self.assert_deleted(store, (150, "new"))
        monkeypatch.undo()
        killed.open()
        assert commit_and_wait(killed, [(1, 150, "new")]) is None
        for each in (store, killed):
            self.assert_deleted(each, (150, "new"))
            each._do(lambda connection, pending: pending.everything_in_chunks(connection))
            self.assert_deleted(each, (150, "new"))
            assert each.check()[1:] == (501, ())
            each.close()
