"""Deleting many readings: at once for readers, slice by slice in the table, and never the ones that came after."""

from __future__ import annotations

from pathlib import Path

import pytest
from storing import commit_and_wait, wait_until

from hardpoint.model import Delete, DeleteReadings, Device, Put, Series
from hardpoint.stores.sqlite import SqliteStore, purge, writer
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
    wait_until(lambda: store._writer is not None and not store._writer.work.due)
    monkeypatch.setattr(writer.Writer, "_slice", lambda *_, **__: True)
    monkeypatch.setattr(writer.Writer, "_patience_s", lambda _: None)
    return store


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
