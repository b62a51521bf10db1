"""Damage is found wherever it is, says what it hit, and is repaired or kept aside; the rest stays readable."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from storing import commit_and_wait, wait_until

from hardpoint.model import DeleteReadings, Summary
from hardpoint.stores.sqlite import SqliteStore, check, compaction, work

if TYPE_CHECKING:
    from pathlib import Path

    from hardpoint.stores.base import Finding

EVER = (0, 2**62)
COUNT = 4000

Damage = Callable[[sqlite3.Connection], object]


def flip(table: str, key: str = "id") -> Damage:
    """One bit of the data of a table's first row."""

    def damage(connection: sqlite3.Connection) -> None:
        row = connection.execute(f"SELECT {key}, data FROM {table} LIMIT 1").fetchone()
        data = bytearray(row[-1])
        data[len(data) // 2] ^= 4
        where = " AND ".join(f"{name.strip()} = ?" for name in key.split(","))
        connection.execute(f"UPDATE {table} SET data = ? WHERE {where}", (bytes(data), *row[:-1]))

    return damage


def run(sql: str) -> Damage:
    return lambda connection: connection.execute(sql)


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    """A series in chunks, the last of them open; another in blocks; and one in the journal."""
    monkeypatch.setattr(work, "FOLD_AT_READINGS", 100)
    monkeypatch.setattr(work, "FOLD_AT_READINGS_A_SERIES", 1)
    monkeypatch.setattr(compaction, "READINGS_A_SERIES", 10**6)
    store = SqliteStore(tmp_path)
    store.open()
    assert commit_and_wait(store, [(1, place * 1000, place % 50 / 10) for place in range(COUNT)]) is None
    wait_until(lambda: store._writer is not None and not store._writer.work.due)
    store._do(lambda connection, pending: pending.everything_in_chunks(connection))
    for start in (0, 200):
        assert commit_and_wait(store, [(2, place, place / 2) for place in range(start, start + 200)]) is None
        wait_until(lambda: store._writer is not None and not store._writer.work.due)
    assert commit_and_wait(store, [(3, 1, "x")]) is None
    assert store.check().findings == ()
    yield store
    store.close()


def do(store: SqliteStore, damage: Damage) -> None:
    """Damage it on the writer's thread."""

    def steps(connection: sqlite3.Connection, _: object) -> Iterator[int]:
        damage(connection)
        yield 0

    store._do(steps)  # type: ignore[arg-type]


CASES = [
    (flip("chunk_data"), "chunk", "checksum does not fit", "quarantined"),
    (flip("open_data"), "chunk", "checksum does not fit", "quarantined"),
    (run("DELETE FROM chunk_data WHERE id = 1"), "chunk", "cannot be read|does not fit", "quarantined"),
    (run("UPDATE chunks SET sum = sum + 1 WHERE start_ms = 0"), "chunk", "checksum of its summary", "repaired"),
    (run("UPDATE chunks SET checksum = 7 WHERE start_ms = 0"), "chunk", "checksum of its summary", "repaired"),
    (flip("blocks"), "block", "checksum does not fit", "quarantined"),
    (run("UPDATE blocks SET count = 7 WHERE start_ms = 0"), "block", "not those its row says", "quarantined"),
]


@pytest.mark.parametrize(("damage", "place", "problem", "done"), CASES)
def test_damage_is_found_and_repaired_or_kept_aside(
    held: SqliteStore, damage: Damage, place: str, problem: str, done: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "BATCH", 2)
    do(held, damage)
    (found,) = held.check().findings
    assert (found.place, found.done) == (place, "reported")
    assert re.search(problem, found.problem)
    (mended,) = held.check(repair=True).findings
    assert mended == found._replace(done=mended.done)
    assert mended.done == done
    assert held.check().findings == ()
    kept = held._connections[0].execute("SELECT place, series, start_ms, end_ms FROM quarantine").fetchall()
    expected = [] if done == "repaired" else [(place, found.series, found.start_ms, found.end_ms)]
    assert kept == expected
    outside = [ts for ts, _ in held.readings(1, *EVER) if not (found.series == 1 and _within(ts, found))]
    assert len(outside) == COUNT - (found.readings if found.series == 1 else 0)
    assert list(held.readings(3, *EVER)) == [(1, "x")]


def _within(ts: int, found: Finding) -> bool:
    assert found.start_ms is not None
    assert found.end_ms is not None
    return found.start_ms <= ts <= found.end_ms


def test_a_whole_summary_stands_for_damaged_readings(held: SqliteStore) -> None:
    before = [piece for piece in held.overview(1, *EVER) if isinstance(piece, Summary)]
    do(held, flip("chunk_data"))
    assert [piece for piece in held.overview(1, *EVER) if isinstance(piece, Summary)] == before
    held.check(repair=True)
    assert [piece for piece in held.overview(1, *EVER) if isinstance(piece, Summary)] == before
    (found,) = held._connections[0].execute("SELECT start_ms FROM chunks WHERE form = 1").fetchall()
    summary = next(piece for piece in before if piece.start_ms == found[0])
    left = {ts for ts, _ in held.readings(1, summary.start_ms, summary.end_ms + 1)}
    assert left == {summary.start_ms, summary.min_ms, summary.max_ms, summary.end_ms}


@pytest.mark.parametrize("table", ["chunk_data", "open_data"])
def test_readers_leave_out_what_is_damaged_and_say_so_once(
    held: SqliteStore, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    do(held, flip(table))
    (found,) = held.check().findings
    for _ in range(3):
        assert len(list(held.readings(1, *EVER))) == COUNT - found.readings
    assert held.extent(1) is not None
    assert caplog.text.count("are damaged and left out") <= 1


def test_writing_into_damage_sets_it_aside(held: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    do(held, flip("chunk_data"))
    do(held, flip("blocks"))
    (chunk, block) = held.check().findings
    assert commit_and_wait(held, [(1, chunk.start_ms + 1, "late")]) is None  # type: ignore[operator]
    held._do(lambda connection, pending: pending.everything_in_chunks(connection))
    assert (chunk.start_ms + 1, "late") in list(held.readings(1, *EVER))  # type: ignore[operator]
    assert caplog.text.count("kept in quarantine") == 2
    assert held._connections[0].execute("SELECT count(*), sum(readings) FROM quarantine").fetchone() == (
        2,
        chunk.readings + block.readings,
    )
    assert held.check().findings == ()
    assert held.describe()["readings"] == COUNT + 400 + 1 + 1 - chunk.readings - block.readings


def test_deleting_damage_is_possible(held: SqliteStore) -> None:
    do(held, flip("chunk_data"))
    do(held, flip("blocks"))
    changes = [DeleteReadings(series, 5, 10**9) for series in (1, 2)]
    assert commit_and_wait(held, [], changes) is None  # type: ignore[arg-type]
    wait_until(lambda: held._writer is not None and not held._writer.work.due)
    assert held.check().findings == ()
    assert [ts for ts, _ in held.readings(1, *EVER)] == []
    assert [ts for ts, _ in held.readings(2, *EVER)] == []
    assert held._connections[0].execute("SELECT place FROM quarantine ORDER BY place").fetchall() == [
        ("block",),
        ("chunk",),
    ], "they were only partly to be deleted"


def test_what_sqlite_finds_wrong_is_told(held: SqliteStore, tmp_path: Path) -> None:
    held.close()
    database = sqlite3.connect(tmp_path / "hardpoint.db")
    (root,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'commands_of_device'").fetchone()
    database.close()
    with (tmp_path / "hardpoint.db").open("r+b") as file:
        file.seek((root - 1) * 4096 + 3)
        file.write(b"\xff")
    held.open()
    assert [finding.place for finding in held.check().findings] == ["database"]
