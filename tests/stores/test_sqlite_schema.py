"""Schema versions: applied once, whole, with a copy of what was there; never backwards."""

from __future__ import annotations

import dataclasses
import sqlite3
import stat
from pathlib import Path

import pytest
from storing import commit_and_wait

from hardpoint.errors import SchemaMismatch, StorageError
from hardpoint.model import COMMAND_FINAL_STATES, RECORD_TYPES
from hardpoint.stores.sqlite import SqliteStore, store
from hardpoint.stores.sqlite.records import TABLES
from hardpoint.stores.sqlite.schema import Migration, shipped_migrations

SHIPPED = len(shipped_migrations())
ADD_COLOUR = Migration(
    SHIPPED + 1, "colour", "ALTER TABLE devices ADD COLUMN colour TEXT;\nCREATE TABLE colours (name TEXT);"
)
BROKEN = Migration(SHIPPED + 1, "broken", "CREATE TABLE half (name TEXT);\nINSERT INTO nowhere VALUES (1);")


def use(patch: pytest.MonkeyPatch, *more: Migration) -> None:
    patch.setattr(store, "shipped_migrations", lambda: [*shipped_migrations(), *more])


def tables(folder: Path) -> set[str]:
    connection = sqlite3.connect(folder / "hardpoint.db")
    try:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        connection.close()


@pytest.fixture
def current_version(tmp_path: Path) -> Path:
    """A data folder of this version that holds a reading."""
    made = SqliteStore(tmp_path)
    made.open()
    assert commit_and_wait(made, [(1, 1, "kept")]) is None
    made.close()
    return tmp_path


def test_the_shipped_ones_are_numbered_without_gaps() -> None:
    assert [migration.number for migration in shipped_migrations()] == [*range(1, len(shipped_migrations()) + 1)]


def test_a_released_migration_is_never_changed() -> None:
    assert {migration.number: migration.checksum[:16] for migration in shipped_migrations()} == {
        1: "10ed77bee1c2721e",
        2: "7bbc567d90d27939",
        3: "f83d43be0880246d",
        4: "c18129c0e5863408",
        5: "5dfaab882204b0e0",
        6: "bad4b856c0b4714a",
        7: "226b94220a438e7e",
        8: "5960bdf2a7d8a63c",
        9: "68f065b85c5b5338",
        10: "2bda83691477d9cb",
        11: "ff27438874a17d07",
        12: "31d3eb8f8c1632f6",
        13: "433e813f33f057fb",
    }


def test_the_tables_have_the_fields_of_the_model(sqlite_store: SqliteStore, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "data" / "hardpoint.db")
    for kind in RECORD_TYPES:
        columns = connection.execute(f"PRAGMA table_info({TABLES[kind].name})").fetchall()
        assert [column[1] for column in columns] == [field.name for field in dataclasses.fields(kind)]
        assert [c[1] for c in sorted(columns, key=lambda c: c[5]) if c[5]] == list(kind.KEY)
    connection.close()


def test_open_commands_are_found_by_their_index(sqlite_store: SqliteStore, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "data" / "hardpoint.db")
    assert COMMAND_FINAL_STATES, "the partial index lists them"
    plan = connection.execute(
        f"EXPLAIN QUERY PLAN {TABLES[RECORD_TYPES[3]].select_sql} "
        f"WHERE state NOT IN ({store._FINAL_STATES_SQL}) ORDER BY id DESC LIMIT 10"
    ).fetchall()
    connection.close()
    assert "open_commands" in plan[0][3]


def test_an_old_folder_is_copied_and_brought_up(current_version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, ADD_COLOUR)
    made = SqliteStore(current_version)
    made.open()
    assert made.describe()["schema"] == SHIPPED + 1
    assert list(made.latest()) == [(1, 1, "kept")]
    made.close()
    assert "colours" in tables(current_version)
    backup = current_version / f"hardpoint.db.v{SHIPPED}"
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert not (current_version / f"hardpoint.db.v{SHIPPED}.partial").exists()
    copy = sqlite3.connect(backup)
    assert copy.execute("SELECT max(number) FROM schema_version").fetchone() == (SHIPPED,)
    assert copy.execute("SELECT count FROM blocks").fetchone() == (1,)
    copy.close()


def test_each_is_applied_once(current_version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, ADD_COLOUR)
    for _ in range(2):
        made = SqliteStore(current_version)
        made.open()
        made.close()


def test_a_new_folder_needs_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, ADD_COLOUR)
    made = SqliteStore(tmp_path)
    made.open()
    made.close()
    assert {path.name for path in tmp_path.iterdir()} == {"lock", "hardpoint.db"}


def test_one_that_fails_leaves_no_trace(current_version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        use(patch, BROKEN)
        with pytest.raises(StorageError, match="nowhere"):
            SqliteStore(current_version).open()
    assert "half" not in tables(current_version)
    made = SqliteStore(current_version)
    made.open()
    assert list(made.latest()) == [(1, 1, "kept")]
    made.close()


def test_a_newer_folder_is_refused(current_version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        use(patch, ADD_COLOUR)
        made = SqliteStore(current_version)
        made.open()
        made.close()
    with pytest.raises(
        SchemaMismatch, match=f"has schema {SHIPPED + 1}, this version of Hardpoint knows {SHIPPED}"
    ) as refused:
        SqliteStore(current_version).open()
    assert refused.value.exit_code == 78


def test_a_changed_migration_is_refused(current_version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = dataclasses.replace(shipped_migrations()[0], sql="-- another text")
    monkeypatch.setattr(store, "shipped_migrations", lambda: [changed])
    with pytest.raises(SchemaMismatch, match="checksum differs"):
        SqliteStore(current_version).open()


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "hardpoint.db")
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(SchemaMismatch, match="not one of Hardpoint's"):
        SqliteStore(tmp_path).open()
    assert tables(tmp_path) == {"theirs"}


@pytest.mark.parametrize("content", [b"not a database, but long enough to have a header" * 100, bytes(8192)])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "hardpoint.db").write_bytes(content)
    with pytest.raises(StorageError, match="not a database"):
        SqliteStore(tmp_path).open()
    assert (tmp_path / "hardpoint.db").read_bytes() == content


def test_a_journal_that_cannot_be_read(current_version: Path) -> None:
    connection = sqlite3.connect(current_version / "hardpoint.db")
    connection.execute("INSERT INTO journal VALUES (1, x'c1')")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match="journal"):
        SqliteStore(current_version).open()
