"""Packages' files: whole or not there, by what is in them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hardpoint.errors import NotFound, StorageError
from hardpoint.stores.packages import PackageFiles

DATA = bytes(range(256)) * 10


def stored(files, data=DATA):
    upload = files.begin()
    for at in range(0, len(data), 1000):
        upload.write(data[at : at + 1000])
    assert upload.size == len(data)
    return upload.finish()


def test_a_file_is_found_by_its_hash_and_read_in_parts(tmp_path):
    files = PackageFiles(tmp_path / "packages")
    name = stored(files)
    assert name == hashlib.sha256(DATA).hexdigest()
    assert files.path(name).read_bytes() == DATA
    assert files.read(name, 0, 100) == DATA[:100]
    assert files.read(name, 2500, 100) == DATA[2500:]
    assert files.read(name, 9999, 100) == b""
    assert stored(files) == name  # again: nothing but itself
    files.remove(name)
    files.remove(name)
    with pytest.raises(NotFound):
        files.read(name, 0, 1)


def test_what_is_not_finished_leaves_nothing(tmp_path):
    files = PackageFiles(tmp_path)
    upload = files.begin()
    upload.write(b"x")
    assert len(list(tmp_path.iterdir())) == 1
    upload.abort()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "0123.partial").write_bytes(b"x")  # the process was killed
    PackageFiles.without_leftovers(tmp_path, ())
    assert list(tmp_path.iterdir()) == []


def test_what_a_crash_left_of_no_package_goes_at_the_start(tmp_path, caplog):
    folder = tmp_path / "packages"
    PackageFiles.without_leftovers(folder, ())  # before there is any
    assert not folder.exists()
    files = PackageFiles(folder)
    kept, lost = stored(files), stored(files, b"another")
    (folder / "readme.txt").write_bytes(b"of a person")
    (folder / ("f" * 64)).mkdir()  # cannot be removed, and stops nothing
    with caplog.at_level("INFO", "hardpoint.store"):
        PackageFiles.without_leftovers(folder, {kept})
    assert sorted(path.name for path in folder.iterdir()) == sorted([kept, "readme.txt", "f" * 64])
    assert lost not in {path.name for path in folder.iterdir()}
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert files.path(kept).read_bytes() == DATA


def test_a_finished_one_stays(tmp_path):
    upload = PackageFiles(tmp_path).begin()
    upload.write(b"x")
    name = upload.finish()
    upload.abort()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_disk_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        PackageFiles(tmp_path / "file").begin()
    upload = PackageFiles(tmp_path).begin()
    upload.write(b"x")
    for path in tmp_path.glob("*.partial"):
        path.unlink()
    with pytest.raises(StorageError):
        upload.finish()


def test_an_upload_that_the_disk_refuses_leaves_nothing(tmp_path):
    """What waits in its buffer cannot be written when it is closed either."""
    upload = PackageFiles(tmp_path).begin()
    upload._file.close()
    upload._file = Path("/dev/full").open("wb")  # noqa: SIM115 - the upload closes it
    upload.write(b"x")
    with pytest.raises(StorageError, match="no space left"):
        upload.finish()
    upload.abort()
    assert list(tmp_path.iterdir()) == []
