"""Schema versions: numbered ``.sql`` files, each applied once and in one transaction, with its checksum kept."""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import SchemaMismatch
from .failpoints import reach
from .folder import FILE_MODE, DataFolder

log = logging.getLogger("hardpoint.store")

_VERSIONS_TABLE = """
CREATE TABLE IF NOT EXISTS schema_version (
    number     INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    checksum   TEXT NOT NULL,
    applied_ms INTEGER NOT NULL
)"""


@dataclass(slots=True, frozen=True)
class Migration:
    """One step from schema ``number - 1`` to ``number``."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def shipped_migrations() -> list[Migration]:
    """Those of this version, in their order: ``migrations/<number>_<name>.sql``."""
    found: list[Migration] = []
    # Not by importlib.resources: it imports zipfile, tempfile and shutil, 15 ms of every start.
    for entry in Path(__file__).with_name("migrations").iterdir():
        number, _, name = entry.name.removesuffix(".sql").partition("_")
        if entry.name.endswith(".sql"):
            found.append(Migration(int(number), name, entry.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.number)


def migrate(connection: sqlite3.Connection, folder: DataFolder, migrations: Sequence[Migration]) -> int:
    """Bring the database to the last of the migrations and return its number.

    A database that already holds data is copied to ``hardpoint.db.v<number>`` first.

    Raises:
        SchemaMismatch: it is newer, was migrated by other files than these, or is not Hardpoint's at all.
        sqlite3.Error: it cannot be read or written; the migration that failed has left no trace.
    """
    applied = _applied(connection, folder)
    for number, (name, checksum) in applied.items():
        known = next((migration for migration in migrations if migration.number == number), None)
        if known is None:
            raise SchemaMismatch(
                f"the data folder {folder.path} has schema {max(applied)}, "
                f"this version of Hardpoint knows {migrations[-1].number}",
                hint="run the newer version, or restore the backup that it made (hardpoint.db.v…)",
            )
        if known.checksum != checksum:
            raise SchemaMismatch(
                f"schema {number} ({name}) in {folder.path} was not made by this Hardpoint: its checksum differs"
            )
    missing = [migration for migration in migrations if migration.number not in applied]
    if missing and applied:
        _back_up(connection, folder, max(applied))
    for migration in missing:
        _apply(connection, migration)
    return migrations[-1].number


def _applied(connection: sqlite3.Connection, folder: DataFolder) -> dict[int, tuple[str, str]]:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "schema_version" not in tables:
        if tables:
            raise SchemaMismatch(f"{folder.database} is a database, but not one of Hardpoint's")
        return {}
    rows = connection.execute("SELECT number, name, checksum FROM schema_version ORDER BY number")
    return {number: (name, checksum) for number, name, checksum in rows}


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    # executescript runs the file as it is; its own BEGIN keeps the file and the note of it in one transaction.
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{_VERSIONS_TABLE};\n{migration.sql}")
        connection.execute(
            "INSERT INTO schema_version VALUES (?, ?, ?, ?)",
            (migration.number, migration.name, migration.checksum, time.time_ns() // 1_000_000),
        )
        reach("migration: before the end")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _back_up(connection: sqlite3.Connection, folder: DataFolder, number: int) -> None:
    path = folder.database.with_name(f"{folder.database.name}.v{number}")
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    try:
        target = sqlite3.connect(partial)
        try:
            connection.backup(target)
        finally:
            target.close()
        partial.replace(path)  # the name means a whole copy
    finally:
        partial.unlink(missing_ok=True)  # half a copy would keep a full disk full
    log.info("schema %d is about to be migrated; it was copied to %s", number, path)
