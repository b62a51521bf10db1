"""A full disk: a clear answer, nothing lost, and on as soon as there is space."""

from __future__ import annotations

import random
import shutil
import sqlite3
from base64 import b85encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from storing import commit_and_wait, wait_until

from hardpoint.errors import StorageFull
from hardpoint.model import Device, Keep, Package, Policy, Put, Series
from hardpoint.stores.packages import FOLDER, PackageFiles
from hardpoint.stores.sqlite import SqliteStore, connections, legacy, store, work, writer
from hardpoint.stores.sqlite.folder import DataFolder
from hardpoint.stores.sqlite.schema import migrate, shipped_migrations
from small_disks import resize, small_disk

if TYPE_CHECKING:
    from collections.abc import Callable

EVER = (0, 2**62)


def text(number: int) -> str:
    """A kilobyte that no compression makes much smaller."""
    return f"{number} {b85encode(random.Random(number).randbytes(800)).decode()}"


class Disk(NamedTuple):
    folder: Path
    make_space: Callable[[], None]


@pytest.fixture
def tmpfs() -> Iterator[Disk]:
    """A real file system of 2 MiB, two thirds of it taken by a file that can be removed. Where none can be mounted, the
    limited database stands in for it.
    """
    with small_disk(2048) as point:
        ballast = point / "ballast"
        ballast.write_bytes(bytes(1400 * 1024))
        yield Disk(point / "data", ballast.unlink)


@pytest.fixture
def limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A database that may have 60 pages: SQLite says the same as on a full disk, without being root."""
    max_pages = [60]
    opened: list[SqliteStore] = []

    def connect(folder: connections.DataFolder) -> sqlite3.Connection:
        connection = connections.connect_writer(folder)
        connection.execute(f"PRAGMA max_page_count = {max_pages[0]}")
        return connection

    def remember(one: SqliteStore) -> None:
        opened.append(one)
        open_store(one)

    def make_space() -> None:
        max_pages[0] = 100_000
        for connection in opened[-1]._connections[:1]:
            connection.execute(f"PRAGMA max_page_count = {max_pages[0]}")

    open_store = SqliteStore.open
    monkeypatch.setattr(store, "connect_writer", connect)
    monkeypatch.setattr(SqliteStore, "open", remember)
    return Disk(tmp_path / "data", make_space)


@pytest.fixture(params=["tmpfs", "limited"])
def disk(request: pytest.FixtureRequest) -> Disk:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def fill(filled: SqliteStore) -> int:
    """Commit until it is full; how many commits went in."""
    for number in range(5000):
        error = commit_and_wait(filled, [(1, number, text(number))])
        if error is not None:
            assert type(error) is StorageFull, error
            assert (error.status, error.line_code) == (507, "storage-full")
            return number
    raise AssertionError("the disk did not get full")


def stored(read: SqliteStore) -> list[int]:
    rows = list(read.readings(1, *EVER))
    assert all(value == text(ts) for ts, value in rows)
    return [ts for ts, _ in rows]


def test_goes_on_when_space_returns(disk: Disk) -> None:
    filled = SqliteStore(disk.folder)
    filled.open()
    count = fill(filled)
    assert count > 10
    for _ in range(3):  # it stays full, it stays alive, and it can be read
        error = commit_and_wait(filled, [(1, 9_000_000 + n, text(n)) for n in range(100)], [Put(Device("d", "d", 0))])
        assert type(error) is StorageFull
        assert stored(filled) == list(range(count))
        assert filled.load(Device) == []
    assert filled.describe()["failed_commits"] == 4
    disk.make_space()
    assert commit_and_wait(filled, [(1, count, text(count))], [Put(Device("d", "d", 0))]) is None
    assert stored(filled) == list(range(count + 1))
    filled.close()
    again = SqliteStore(disk.folder)
    again.open()
    assert stored(again) == list(range(count + 1))
    assert again.load(Device) == [Device("d", "d", 0)]
    again.close()


def test_folding_that_finds_no_space_is_tried_again(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    filled = SqliteStore(disk.folder)
    filled.open()
    count = fill(filled)
    monkeypatch.setattr(work, "FOLD_AT_READINGS", 1)
    monkeypatch.setattr(work, "FOLD_AT_READINGS_A_SERIES", 1)
    assert type(commit_and_wait(filled, [(1, 9_000_000 + n, text(n)) for n in range(100)])) is StorageFull
    wait_until(lambda: "readings stay in the journal" in caplog.text)
    assert stored(filled) == list(range(count))
    disk.make_space()
    wait_until(lambda: not filled._journal.readings)
    assert stored(filled) == list(range(count))
    assert caplog.text.count("readings stay in the journal") == 1, "said once, not at every try"
    filled.close()


def test_closing_on_a_full_disk_loses_nothing(disk: Disk) -> None:
    filled = SqliteStore(disk.folder)
    filled.open()
    count = fill(filled)
    filled.close()
    disk.make_space()
    again = SqliteStore(disk.folder)
    again.open()
    assert stored(again) == list(range(count))
    again.close()


def test_a_journal_that_cannot_be_folded_is_bounded(limited: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_UNFOLDED_READINGS", 100)
    held = SqliteStore(limited.folder)
    held.open()
    assert commit_and_wait(held, [(1, ts, 0) for ts in range(101)]) is None
    error = commit_and_wait(held, [(1, 500, 0)])
    assert type(error) is StorageFull
    assert "101 readings" in error.message
    held.close()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again at once, not after seconds."""
    monkeypatch.setattr(writer, "RETRY_S", 0.01)


def in_chunks(held: SqliteStore) -> None:
    held._do(lambda connection, pending: pending.everything_in_chunks(connection))


@pytest.mark.usefixtures("soon")
def test_compaction_that_finds_no_space_loses_nothing(disk: Disk) -> None:
    filled = SqliteStore(disk.folder)
    filled.open()
    count = fill(filled)
    with pytest.raises(StorageFull):
        in_chunks(filled)
    assert stored(filled) == list(range(count))
    disk.make_space()
    in_chunks(filled)
    assert stored(filled) == list(range(count))
    report = filled.check()
    assert (report.readings, report.findings) == (count, ())
    filled.close()


@pytest.mark.usefixtures("soon")
def test_retention_on_a_full_disk(disk: Disk) -> None:
    """It needs some space to make more: when there is none it says so, and does it all later."""
    filled = SqliteStore(disk.folder)
    filled.open()
    records = [Put(Device("d", "d", 0)), Put(Series(1, "d", "k"))]
    assert commit_and_wait(filled, [], records) is None
    count = fill(filled)
    policy = Policy((Keep(drop_after_s=(count - 20) / 1000),))
    try:
        filled.retain(policy, count)
    except StorageFull:
        left = stored(filled)
        assert left in (list(range(count)), list(range(20, count)))
        disk.make_space()
        filled.retain(policy, count)
    assert stored(filled) == list(range(20, count))
    assert filled.check().findings == ()
    filled.close()


def test_a_backup_without_room_leaves_nothing_behind(tmpfs: Disk, tmp_path: Path) -> None:
    held = SqliteStore(tmp_path / "data")
    held.open()
    for number in range(600):
        assert commit_and_wait(held, [(1, number, text(number))]) is None
    tmpfs.folder.mkdir()
    with pytest.raises(StorageFull) as refused:
        held.backup(tmpfs.folder / "copy.db")
    assert str(tmpfs.folder) in refused.value.message
    assert list(tmpfs.folder.iterdir()) == []
    assert commit_and_wait(held, [(1, 600, text(600))]) is None
    assert stored(held) == list(range(601))
    tmpfs.make_space()
    held.backup(tmpfs.folder / "copy.db")
    held.close()


def test_a_backup_whose_firmware_finds_no_room(tmpfs: Disk, tmp_path: Path) -> None:
    """The copy's database fits, the packages beside it do not; and likewise where it is restored."""
    held = SqliteStore(tmp_path / "data")
    held.open()
    upload = PackageFiles(tmp_path / "data" / FOLDER).begin()
    upload.write(random.Random(2).randbytes(200 * 1024))
    package = Package("p", "fw", "t", "1", upload.size, upload.finish(), "", "", 0)
    assert commit_and_wait(held, [], [Put(package)]) is None
    held.backup(tmp_path / "copy.db")
    tmpfs.folder.mkdir()
    more = tmpfs.folder / "more"
    room_bytes = (tmp_path / "copy.db").stat().st_size - 100 * 1024
    more.write_bytes(bytes(shutil.disk_usage(tmpfs.folder).free - room_bytes))
    with pytest.raises(StorageFull):
        held.backup(tmpfs.folder / "copy.db")
    assert list(tmpfs.folder.iterdir()) == [more]
    held.close()

    more.unlink()
    shutil.copyfile(tmp_path / "copy.db", tmpfs.folder / "hardpoint.db")
    more.write_bytes(bytes(shutil.disk_usage(tmpfs.folder).free - 160 * 1024))
    for room in (False, True):
        restored = SqliteStore(tmpfs.folder)
        restored.open()
        assert restored.load(Package) == [package]
        restored.close()
        assert PackageFiles(tmpfs.folder / FOLDER).path(package.sha256).exists() is room
        (tmpfs.folder.parent / "ballast").unlink(missing_ok=True)
    assert [path.name for path in (tmpfs.folder / FOLDER).iterdir()] == [package.sha256]


def old_folder(disk: Disk, rows: int, left_bytes: int) -> Disk:
    """One of schema 1, on a disk that has so much left."""
    disk.make_space()
    data = DataFolder(disk.folder)
    data.take()
    connection = sqlite3.connect(data.database, isolation_level=None)
    migrate(connection, data, shipped_migrations()[:1])
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO readings VALUES (9, ?, ?)", ((n, text(n)) for n in range(rows)))
    connection.execute("UPDATE totals SET readings = ?", (rows,))
    connection.execute("COMMIT")
    connection.close()
    data.release()

    point = disk.folder.parent
    resize(point, (shutil.disk_usage(disk.folder).used + left_bytes) // 1024)
    return Disk(disk.folder, lambda: resize(point, 8 * 1024))


def test_an_upgrade_without_room_for_the_copy_changes_nothing(tmpfs: Disk) -> None:
    full = old_folder(tmpfs, 60, 96 * 1024)
    held = SqliteStore(full.folder)
    with pytest.raises(StorageFull):
        held.open()
    with closing(sqlite3.connect(full.folder / "hardpoint.db")) as connection:
        assert connection.execute("SELECT max(number) FROM schema_version").fetchone() == (1,)
    assert not list(full.folder.glob("*.v1*")), "what was copied so far would keep the disk full"
    full.make_space()
    held.open()
    assert list(held.readings(9, *EVER)) == [(number, text(number)) for number in range(60)]
    held.close()


@pytest.mark.usefixtures("soon")
def test_rows_of_an_earlier_version_that_find_no_space_stay(tmpfs: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legacy, "SLICE_ROWS", 1)
    full = old_folder(tmpfs, 60, 1000 * 1024)
    old = [(number, text(number)) for number in range(60)]
    held = SqliteStore(full.folder)
    held.open()
    count = fill(held)
    assert list(held.readings(9, *EVER)) == old
    assert stored(held) == list(range(count))
    full.make_space()
    in_chunks(held)
    assert list(held.readings(9, *EVER)) == old
    assert stored(held) == list(range(count))
    report = held.check()
    assert (report.readings, report.findings) == (count + 60, ())
    held.close()
