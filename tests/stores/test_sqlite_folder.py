"""The data folder: whose it is, who may look in, and what is said when it cannot be had."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from storing import commit_and_wait

from hardpoint.errors import FolderTaken, StorageError
from hardpoint.stores.sqlite import SqliteStore
from hardpoint.stores.sqlite.folder import DataFolder


def test_is_made_with_its_parents_for_its_owner_only(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a" / "b")
    store.open()
    assert commit_and_wait(store, [(1, 1, 1)]) is None
    assert list(store.latest()) == [(1, 1, 1)]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a" / "b").iterdir()}
    store.close()
    assert modes == {"lock": 0o600, "hardpoint.db": 0o600, "hardpoint.db-wal": 0o600, "hardpoint.db-shm": 0o600}
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_two_stores_in_one_process(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path)
    first.open()
    with pytest.raises(FolderTaken, match=rf"held by process {os.getpid()}$") as refused:
        SqliteStore(tmp_path).open()
    assert refused.value.exit_code == 73
    assert refused.value.hint is not None
    assert commit_and_wait(first, [(1, 1, 1)]) is None, "the first is unharmed"
    first.close()
    second = SqliteStore(tmp_path)
    second.open()
    second.close()


def test_two_processes_and_a_kill(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from hardpoint.stores.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
store.open()
print("open", flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"open\n"
        with pytest.raises(FolderTaken, match=f"held by process {child.pid}"):
            SqliteStore(tmp_path).open()
        child.kill()
    store = SqliteStore(tmp_path)
    store.open()
    store.close()


def test_a_store_can_be_opened_again(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    for round_ in range(3):
        store.open()
        assert commit_and_wait(store, [(1, round_, round_)]) is None
        assert len(list(store.readings(1, 0, 10))) == round_ + 1
        store.close()


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StorageError, match="cannot be used: File exists"):
        SqliteStore(tmp_path / "data").open()


def test_a_folder_in_the_databases_place(tmp_path: Path) -> None:
    (tmp_path / "hardpoint.db").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        SqliteStore(tmp_path).open()
    (tmp_path / "hardpoint.db").rmdir()
    store = SqliteStore(tmp_path)  # the failed attempt let go of the lock
    store.open()
    store.close()


def test_sizes(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert folder.size_bytes() == 0
    folder.database.write_bytes(bytes(10))
    Path(f"{folder.database}-wal").write_bytes(bytes(5))
    assert folder.size_bytes() == 15
    assert folder.free_bytes() > 0
