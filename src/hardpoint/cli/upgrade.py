"""``hardpoint doctor --upgrade``: what the next start will do to the stored data, done to a copy of it first."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from ..checks import Check
from ..errors import HardpointError
from .output import size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..config import Config

DATABASE = "hardpoint.db"
ROOM = 2.2
"""Free space that is needed, as a multiple of the store: the copy, and the copy that a migration makes of it."""


def rehearse(config: Config) -> Iterator[Check]:
    """Copy the store, also a running server's, migrate the copy to this version's schema, verify it, remove it."""
    database = config.data / DATABASE
    if not database.exists():
        yield Check("upgrade", "skip", f"there is no store in {config.data} yet")
        return
    needed, free = int(database.stat().st_size * ROOM), shutil.disk_usage(config.data).free
    if free < needed:
        yield Check("upgrade", "fail", f"{size(free)} free, a rehearsal needs {size(needed)}", "free some space")
        return
    with tempfile.TemporaryDirectory(prefix="rehearsal-", dir=config.data) as made:
        try:
            yield from _rehearse(database, Path(made))
        except (HardpointError, sqlite3.Error, OSError) as error:
            yield Check(
                "upgrade", "fail", f"the copy could not be migrated: {error}", "stay with the version that runs"
            )


def _rehearse(database: Path, folder: Path) -> Iterator[Check]:
    from ..stores.sqlite import SqliteStore

    before = _copy(database, folder / DATABASE)
    began = time.monotonic()
    store = SqliteStore(folder)
    store.open()
    try:
        took_s = time.monotonic() - began
        found = store.describe()
        report = store.check()
    finally:
        store.close()
    if before == found["schema"]:
        yield Check("upgrade", "ok", f"the store has this version's schema, {before}: nothing will be changed")
    else:
        seen = f"a copy went from schema {before} to {found['schema']} in {took_s:.1f} s"
        yield Check("upgrade", "ok", f"{seen}; the start keeps {DATABASE}.v{before} to go back to")
    if report.findings:
        seen = f"of the copy's {report.readings} readings {len(report.findings)} places are damaged"
        yield Check("upgrade", "warn", seen, "hardpoint store check tells which")
    else:
        yield Check("upgrade", "ok", f"all {report.readings} readings of the copy were read and verified")


def _copy(database: Path, target: Path) -> int:
    """Copy a database as it is at one moment; returns the schema that it has."""
    with (
        closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        # In one step: in pieces it would begin anew whenever the running server has written between two of them. The
        # server's commits do not wait for it.
        source.backup(copy)
        (number,) = copy.execute("SELECT max(number) FROM schema_version").fetchone()
    target.chmod(0o600)
    return int(number)
