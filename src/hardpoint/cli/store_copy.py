"""``hardpoint store backup`` and ``restore``: one file with everything, and back."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import BadInput, StorageError
from .command import Command
from .connection import data_option, with_client
from .output import say, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..model import Package
    from .client import Client

COPY_TIMEOUT_S = 6 * 3600.0
"""Until the server has made its copy and begins to send it."""
PIECE_BYTES = 2**20
DATABASE = "hardpoint.db"


@click.command(
    "backup",
    cls=Command,
    examples="""
    hardpoint store backup /media/usb/hardpoint.db
    hardpoint store backup backups/hardpoint-$(date +%F).db --quiet
    """,
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--quiet", is_flag=True, help="Show no progress.")
@with_client
def backup(client: Client, file: Path, quiet: bool) -> None:
    """Write one consistent copy of everything the running server keeps to FILE, which must not exist.

    Readings, devices, people, rules, dashboards and firmware are in it; the keys of TLS and hardpoint.toml are not. The
    server goes on working meanwhile. It makes the copy in its data folder first, so as much space must be free there.
    """
    from ..stores.sqlite.carried import look_into
    from .progress import Progress

    if file.exists():
        raise BadInput(f"{file} exists already", hint="name another file, or remove that one")
    with (
        client.stream("POST", "/api/store/backup", timeout_s=COPY_TIMEOUT_S) as content,
        Progress("backing up", content.length, quiet=quiet) as progress,
    ):
        written = write_whole(file, content, lambda done: progress.to(done, size(done)))
    copied = look_into(file)
    firmware = f", {_counted(copied.packages)} in it" if copied.packages else ""
    say(f"{file}: {size(written)}{firmware}. 'hardpoint store restore {file} --data DIR' makes a data folder of it")
    if copied.missing:
        say(f"{_counted(copied.missing)} without a file, or with a damaged one, in the server as in the copy")


@click.command(
    "restore",
    cls=Command,
    examples="""
    hardpoint store restore /media/usb/hardpoint.db --data ./restored
    """,
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@data_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
def restore(file: Path, data: Path | None, quiet: bool) -> None:
    """Make a data folder of the backup FILE. No server may run on the folder, and it may hold no store yet.

    Backups of earlier versions are brought to this one's schema.
    """
    from ..config import load
    from ..model import Package
    from ..stores.sqlite import SqliteStore
    from ..stores.sqlite.folder import DataFolder
    from .progress import Progress

    folder = load({"data": data}).data
    database = folder / DATABASE
    if database.exists() and database.stat().st_size:
        raise StorageError(
            f"{folder} holds a store already: nothing was changed",
            hint=f"name another folder with --data, or move {database} and its -wal file away first",
        )
    check_backup(file)
    holder = DataFolder(folder)
    holder.take()
    try:
        with file.open("rb") as source, Progress("restoring", file.stat().st_size, quiet=quiet) as progress:
            pieces = iter(lambda: source.read(PIECE_BYTES), b"")
            for left in (f"{DATABASE}-wal", f"{DATABASE}-shm"):
                (folder / left).unlink(missing_ok=True)
            write_whole(database, pieces, lambda done: progress.to(done, size(done)))
    finally:
        holder.release()
    store = SqliteStore(folder)
    store.open()  # brings it to this version's schema, and takes the firmware out
    try:
        found, packages = store.describe(), store.load(Package)
    finally:
        store.close()
    firmware = f", {_counted(len(packages))}" if packages else ""
    say(
        f"{folder}: {found['readings']} readings{firmware}, schema {found['schema']}. "
        f"Start it: hardpoint serve --data {folder}"
    )
    _tell_missing(file, folder, packages)


def _counted(packages: int) -> str:
    return f"{packages} firmware package{'' if packages == 1 else 's'}"


def _tell_missing(file: Path, folder: Path, packages: list[Package]) -> None:
    """
    Raises:
        StorageError: firmware that is in the backup is not in the folder yet.
    """
    from ..stores.packages import FOLDER, PackageFiles
    from ..stores.sqlite.carried import look_into

    files = PackageFiles(folder / FOLDER)
    missing = [f"{each.title} {each.version}" for each in packages if not files.path(each.sha256).exists()]
    if len(missing) > look_into(file).missing:
        raise StorageError(
            f"no room in {folder} for {_counted(len(missing))}; everything else is there",
            hint="free some space: the next start of the server takes them out of the database",
        )
    if missing:
        say(f"{file} is without the firmware {', '.join(missing)}: add it again, or copy packages/ from the old folder")


def check_backup(file: Path) -> None:
    """Whether the file is a whole database of ours: one whose last commits are in it, and not in a log beside it.

    Raises:
        StorageError: it is not; nothing was changed.
    """
    import sqlite3

    beside = file.with_name(f"{file.name}-wal")
    if beside.exists() and beside.stat().st_size:
        raise StorageError(
            f"{file} is a store and no backup: what was written last is in {beside.name} beside it",
            hint="copy the whole folder and start a server on the copy: hardpoint serve --data COPY",
        )
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            ours = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone()
    except sqlite3.DatabaseError as error:
        raise StorageError(f"{file} is no backup of a store: {error}") from error
    if verdict != "ok":
        raise StorageError(f"{file} is damaged: {verdict}")
    if ours is None:
        raise StorageError(f"{file} is a database, but not one of Hardpoint's")


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_whole(file: Path, pieces: Iterable[bytes], tell: Callable[[int], None]) -> int:
    """Write the pieces to a file that exists under its name only when it is whole and on disk; returns its size.

    Raises:
        StorageError: it cannot be written.
    """
    partial = file.with_name(f".{file.name}.partial")
    written = 0
    try:
        # What a killed process has left, or somebody else has put there: its mode, or where it leads, is not ours.
        partial.unlink(missing_ok=True)
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as target:
            for piece in pieces:
                target.write(piece)
                written += len(piece)
                tell(written)
            target.flush()
            os.fsync(target.fileno())
        partial.replace(file)
        _sync_folder(file.parent)
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return written
