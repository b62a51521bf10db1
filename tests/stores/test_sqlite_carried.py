"""Firmware in a backup: all of it goes along, and comes out again where the backup is opened as a store."""

from __future__ import annotations

import hashlib
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from storing import commit_and_wait

from hardpoint.errors import StorageError
from hardpoint.model import Delete, Package, Put
from hardpoint.stores.base import Copied
from hardpoint.stores.packages import FOLDER, PackageFiles
from hardpoint.stores.sqlite import SqliteStore, carried, failpoints

SMALL = b"\x00\xff" * 500
LARGE = random.Random(1).randbytes(2 * carried.PIECE_BYTES + 1)
"""Three pieces, the last one byte."""


def files_of(store: SqliteStore) -> PackageFiles:
    return PackageFiles(Path(str(store.describe()["path"])).parent / FOLDER)


def add(store: SqliteStore, package_id: str, data: bytes) -> Package:
    upload = files_of(store).begin()
    upload.write(data)
    package = Package(package_id, "fw", "pump", package_id, len(data), upload.finish(), "p.bin", "", 1)
    assert commit_and_wait(store, [], [Put(package)]) is None
    return package


def remove(store: SqliteStore, package: Package) -> None:
    assert commit_and_wait(store, [], [Delete(package)]) is None
    files_of(store).remove(package.sha256)


def contents(folder: Path) -> set[str]:
    return {path.name for path in (folder / FOLDER).glob("*")}


def opened(copy: Path, folder: Path) -> SqliteStore:
    """A store made of a backup: by hand, without `hardpoint store restore`."""
    folder.mkdir(exist_ok=True)
    shutil.copyfile(copy, folder / "hardpoint.db")
    store = SqliteStore(folder)
    store.open()
    return store


def is_carrying(database: Path) -> bool:
    with closing(sqlite3.connect(database)) as connection:
        return carried.is_carrying(connection)


def test_packages_go_along_and_come_out_as_files(sqlite_store: SqliteStore, tmp_path: Path) -> None:
    small, large = add(sqlite_store, "a", SMALL), add(sqlite_store, "b", LARGE)
    add(sqlite_store, "c", SMALL)  # the same file under another version
    copy, again = tmp_path / "copy.db", tmp_path / "again"
    sqlite_store.backup(copy)
    assert [path.name for path in tmp_path.glob("copy.db*")] == ["copy.db"]
    assert sqlite_store.look_into(copy) == Copied(3, 0)
    opened(copy, again).close()
    for _ in range(2):
        store = SqliteStore(again)
        store.open()
        assert [package.id for package in store.load(Package)] == ["a", "b", "c"]
        assert files_of(store).path(large.sha256).read_bytes() == LARGE
        assert contents(again) == {small.sha256, large.sha256}
        assert store.check().findings == ()
        store.close()
        assert not is_carrying(again / "hardpoint.db")
    assert (again / "hardpoint.db").stat().st_size < copy.stat().st_size - len(LARGE), "their space went back"


def test_without_packages_a_copy_is_the_database_alone(sqlite_store: SqliteStore, tmp_path: Path) -> None:
    sqlite_store.backup(tmp_path / "copy.db")
    assert not is_carrying(tmp_path / "copy.db")
    assert sqlite_store.look_into(tmp_path / "copy.db") == Copied(0, 0)


def test_one_that_is_removed_meanwhile_is_not_in_it(
    sqlite_store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    goes, stays = add(sqlite_store, "goes", LARGE), add(sqlite_store, "stays", SMALL)

    def hook(point: str) -> None:
        if point == "backup: copied":
            remove(sqlite_store, goes)

    monkeypatch.setattr(failpoints, "hook", hook)
    sqlite_store.backup(tmp_path / "copy.db")
    assert sqlite_store.look_into(tmp_path / "copy.db") == Copied(1, 0)
    store = opened(tmp_path / "copy.db", tmp_path / "again")
    assert store.load(Package) == [stays]
    assert contents(tmp_path / "again") == {stays.sha256}
    store.close()
    assert caplog.messages == []


@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_a_file_that_is_no_more_what_it_was_is_said(
    sqlite_store: SqliteStore, tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    harmed, whole = add(sqlite_store, "harmed", LARGE), add(sqlite_store, "whole", SMALL)
    path = files_of(sqlite_store).path(harmed.sha256)
    path.unlink() if harm == "missing" else path.write_bytes(LARGE[:-1] + b"?")
    sqlite_store.backup(tmp_path / "copy.db")
    assert f"the backup is without the package {harmed.sha256}" in caplog.text
    assert sqlite_store.look_into(tmp_path / "copy.db") == Copied(1, 1)
    store = opened(tmp_path / "copy.db", tmp_path / "again")
    assert store.load(Package) == [harmed, whole]
    assert contents(tmp_path / "again") == {whole.sha256}
    store.close()


def test_one_that_is_damaged_in_the_backup_is_left_out(
    sqlite_store: SqliteStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    harmed, whole = add(sqlite_store, "harmed", LARGE), add(sqlite_store, "whole", SMALL)
    copy = tmp_path / "copy.db"
    sqlite_store.backup(copy)
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute(
            "UPDATE carried_files SET data = zeroblob(9) WHERE sha256 = ? AND offset = 0", [harmed.sha256]
        )
    store = opened(copy, tmp_path / "again")
    assert f"the package {harmed.sha256} is damaged in this backup" in caplog.text
    assert contents(tmp_path / "again") == {whole.sha256}
    store.close()


def test_firmware_that_finds_no_room_waits_in_the_database(
    sqlite_store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add(sqlite_store, "a", LARGE)
    sqlite_store.backup(tmp_path / "copy.db")

    def refused(folder: PackageFiles) -> None:
        raise StorageError("no room")

    with monkeypatch.context() as full:
        full.setattr(PackageFiles, "begin", refused)
        store = opened(tmp_path / "copy.db", tmp_path / "again")
        assert commit_and_wait(store, [(1, 1, 1)]) is None, "everything else works meanwhile"
        store.close()
    assert "stays in the database until the next start: no room" in caplog.text
    assert contents(tmp_path / "again") == set()
    store = SqliteStore(tmp_path / "again")
    store.open()
    store.close()
    assert contents(tmp_path / "again") == {hashlib.sha256(LARGE).hexdigest()}


def test_a_copy_of_an_earlier_version_lacks_them(sqlite_store: SqliteStore, tmp_path: Path) -> None:
    add(sqlite_store, "a", SMALL)
    copy = tmp_path / "copy.db"
    sqlite_store.backup(copy)
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("DROP TABLE carried_files")
    assert sqlite_store.look_into(copy) == Copied(0, 1)
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("DROP TABLE packages")  # before schema 11
    assert sqlite_store.look_into(copy) == Copied(0, 0)
    copy.write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError):
        sqlite_store.look_into(copy)
