"""A data folder of schema 1: everything is there at once, moves while the store is used, and its space returns."""

from __future__ import annotations

import functools
import random
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from storing import commit_and_wait, wait_until
from test_contract import VALUES, same

from hardpoint.model import DeleteReadings, Device, Series
from hardpoint.stores.sqlite import SqliteStore, legacy
from hardpoint.stores.sqlite.columns import to_column
from hardpoint.stores.sqlite.folder import DataFolder
from hardpoint.stores.sqlite.journal import encode_batch
from hardpoint.stores.sqlite.schema import migrate, shipped_migrations
from hardpoint.stores.sqlite.writer import Writer

if TYPE_CHECKING:
    from hardpoint.model import Row

EVER = (0, 2**62)
LONG = 20_000


def rows_of_schema_1() -> list[Row]:
    chance = random.Random(3)
    kinds: list[Row] = [(1, 10 * place, value) for place, value in enumerate(VALUES)]
    return [*kinds, *((2, 1000 * place, round(chance.gauss(20, 2), 1)) for place in range(LONG))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As the first version left it when it was killed: rows, a purge under way, and a journal."""
    data = DataFolder(tmp_path / "data")
    data.take()
    connection = sqlite3.connect(data.database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    assert migrate(connection, data, shipped_migrations()[:1]) == 1
    connection.execute("BEGIN")
    rows = [(series, ts, to_column(value)) for series, ts, value in rows_of_schema_1()]
    connection.executemany("INSERT INTO readings VALUES (?, ?, ?)", rows)
    connection.execute("UPDATE totals SET readings = ?", (len(rows),))
    connection.execute("INSERT INTO devices VALUES ('d', 'd', 0, '{}', NULL, '')")
    connection.executemany("INSERT INTO series VALUES (?, 'd', ?)", [(1, "a"), (2, "b")])
    connection.execute("INSERT INTO purges (series, start_ms, end_ms) VALUES (2, 0, 5000)")
    connection.execute("INSERT INTO journal VALUES (1, ?)", (encode_batch([(2, 7000, "newer"), (3, 1, True)]),))
    connection.execute("COMMIT")
    connection.close()
    data.release()
    return data.path


@functools.cache
def expected(series: int) -> list[tuple[int, object]]:
    rows = {ts: value for one, ts, value in rows_of_schema_1() if one == series}
    if series == 2:
        rows = {ts: value for ts, value in rows.items() if ts >= 5000}
        rows[7000] = "newer"
    return sorted(rows.items()) if series < 3 else [(1, True)]


def assert_all_there(store: SqliteStore) -> None:
    for series in (1, 2, 3):
        found = list(store.readings(series, *EVER))
        assert [ts for ts, _ in found] == [ts for ts, _ in expected(series)]
        assert all(same(value, wanted) for (_, value), (_, wanted) in zip(found, expected(series), strict=True))
        backwards = [ts for piece in store.stretches(series, *EVER, newest_first=True) for ts in reversed(piece.times)]
        assert backwards[::-1] == [ts for ts, _ in found]
        assert store.extent(series) == (found[0][0], found[-1][0])
    assert [(series, ts) for series, ts, _ in store.latest()] == [(s, expected(s)[-1][0]) for s in (1, 2, 3)]


def left(store: SqliteStore) -> int:
    return int(store._connections[0].execute("SELECT count(*) FROM legacy_readings").fetchone()[0])


def test_is_read_before_during_and_after(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_patience_s", lambda _: None)  # nothing moves by itself
        store = SqliteStore(folder)
        store.open()
        assert store.describe()["schema"] == shipped_migrations()[-1].number
        assert store.load(Device) == [Device("d", "d", 0)]
        assert store.load(Series) == [Series(1, "d", "a"), Series(2, "d", "b")]
        assert_all_there(store)
        work = store._writer.work  # type: ignore[union-attr]
        while work.due:
            work.step(store._connections[0])
            assert_all_there(store)
        assert left(store) == 0
        store.close()


def test_moves_by_itself_and_its_space_returns(folder: Path) -> None:
    store = SqliteStore(folder)
    store.open()
    assert commit_and_wait(store, [(2, 8000, "late")], [DeleteReadings(1, 0, 2**62)]) is None
    wait_until(lambda: store._writer is not None and not store._writer.work.due)
    assert left(store) == 0
    assert (folder / "hardpoint.db.v1").exists()
    wanted = [(ts, "late" if ts == 8000 else value) for ts, value in expected(2)]
    assert list(store.readings(2, *EVER)) == wanted
    assert list(store.readings(1, *EVER)) == []
    store.close()
    before = (folder / "hardpoint.db").stat().st_size
    again = SqliteStore(folder)
    again.open()
    assert list(again.readings(2, *EVER)) == wanted
    assert again._connections[0].execute("PRAGMA auto_vacuum").fetchone() == (2,)
    again.close()
    assert (folder / "hardpoint.db").stat().st_size < before / 2


def test_a_move_that_was_cut_off_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legacy, "SLICE_ROWS", 700)
    for _ in range(4):
        with monkeypatch.context() as patch:
            patch.setattr(Writer, "_patience_s", lambda _: None)
            store = SqliteStore(folder)
            store.open()
            for _ in range(9):
                store._writer.work.step(store._connections[0])  # type: ignore[union-attr]
            assert_all_there(store)
            store.close()
    store = SqliteStore(folder)
    store.open()
    wait_until(lambda: left(store) == 0)
    assert_all_there(store)
    store.close()
