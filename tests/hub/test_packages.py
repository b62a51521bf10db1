"""Packages of firmware, and which of them a device is to have."""

from __future__ import annotations

import asyncio

import pytest

from hardpoint.errors import BadInput, Conflict, NotFound, StorageError, TooLarge
from hardpoint.hub import packages as packages_module
from hardpoint.hub.packages import MAX_CHUNK_BYTES, Packages
from hardpoint.model import Package
from hardpoint.stores.packages import PackageFiles

from .hubs import FULL, HeldStore, open_hub


def stored(packages, data=b"0123456789", title="pump", version="1.0", kind="fw"):
    upload = packages.files.begin()
    upload.write(data)
    sha256 = upload.finish()
    return Package(f"{kind}-{title}-{version}", kind, title, version, len(data), sha256, "pump.bin", "a/b", 1)


def test_a_device_is_given_one_and_reads_it_in_chunks(anyrun, tmp_path):
    async def scene():
        async with open_hub() as hub:
            packages = Packages(hub, PackageFiles(tmp_path))
            device, _ = await hub.create_device("box")
            assert packages.assigned(device, "fw") is None
            package = stored(packages)
            await packages.add(package)
            packages.assign(device, "fw", package)
            shared = hub.attributes(device, "shared")
            assert shared == {
                "fw_title": "pump",
                "fw_version": "1.0",
                "fw_tag": "pump 1.0",
                "fw_size": 10,
                "fw_checksum": package.sha256,
                "fw_checksum_algorithm": "SHA256",
            }
            assert packages.assigned(device, "fw") is package
            assert packages.assigned(device, "sw") is None
            assert [await packages.chunk(package, 4, n) for n in range(4)] == [b"0123", b"4567", b"89", b""]
            assert await packages.chunk(package, 0, 0) == b"0123456789"
            with pytest.raises(TooLarge):
                await packages.chunk(package, MAX_CHUNK_BYTES + 1, 0)
            with pytest.raises(BadInput):
                packages.assign(device, "sw", package)
            packages.assign(device, "fw", None)
            assert hub.attributes(device, "shared") == {}

    anyrun(scene())


def test_names(anyrun, tmp_path, monkeypatch):
    async def scene():
        async with open_hub() as hub:
            packages = Packages(hub, PackageFiles(tmp_path))
            await packages.add(stored(packages))
            for kind, title, version in (("xx", "a", "1"), ("fw", "", "1"), ("fw", "a", " 1"), ("fw", "a" * 129, "1")):
                with pytest.raises(BadInput):
                    packages.check_new(kind, title, version)
            with pytest.raises(Conflict):
                packages.check_new("fw", "pump", "1.0")
            packages.check_new("sw", "pump", "1.0")
            monkeypatch.setattr(packages_module, "MAX_PACKAGES", 1)
            with pytest.raises(TooLarge):
                packages.check_new("fw", "pump", "1.1")

    anyrun(scene())


def test_survive_a_restart_and_share_a_file(anyrun, make_store, tmp_path):
    async def scene():
        files = PackageFiles(tmp_path / "packages")
        async with open_hub(make_store()) as hub:
            packages = Packages(hub, files)
            first, second = stored(packages), stored(packages, version="1.1")
            for each in (first, second):
                await packages.add(each)
        async with open_hub(make_store()) as hub:
            packages = Packages(hub, files)
            assert [each.version for each in packages.all()] == ["1.0", "1.1"]
            await packages.remove(packages.find(first.id))
            assert await packages.chunk(second, 0, 0) == b"0123456789"
            with pytest.raises(NotFound):
                packages.find(first.id)
            await packages.remove(packages.find(second.id))
            with pytest.raises(NotFound):
                await packages.chunk(second, 0, 0)
        async with open_hub(make_store()) as hub:
            assert Packages(hub, files).all() == []

    anyrun(scene())


def test_what_could_not_be_stored_is_not_there(anyrun, tmp_path):
    async def scene():
        store = HeldStore()
        async with open_hub(store) as hub:
            packages = Packages(hub, PackageFiles(tmp_path))
            store.error = FULL
            with pytest.raises(StorageError):
                await packages.add(stored(packages))
            assert packages.all() == []
            store.error = None

    anyrun(scene())


def uploaded(packages, data=b"0123456789"):
    upload = packages.files.begin()
    upload.write(data)
    return upload


def named(version):
    return Package(f"fw-{version}", "fw", "pump", version, 0, "", "pump.bin", "a/b", 1)


def test_an_upload_that_cannot_be_kept_leaves_no_file(anyrun, tmp_path):
    async def scene():
        store = HeldStore()
        async with open_hub(store) as hub:
            packages = Packages(hub, PackageFiles(tmp_path))
            first = named("1.0")
            await packages.keep(uploaded(packages), first)
            assert (first.size, packages.files.path(first.sha256).read_bytes()) == (10, b"0123456789")
            with pytest.raises(Conflict):
                await packages.keep(uploaded(packages, b"other"), named("1.0"))
            store.error = FULL
            with pytest.raises(StorageError):
                await packages.keep(uploaded(packages, b"third"), named("1.1"))
            with pytest.raises(StorageError):
                await packages.keep(uploaded(packages), named("1.2"))
            store.error = None
            assert [path.name for path in tmp_path.iterdir()] == [first.sha256]

    anyrun(scene())


def test_a_file_stays_that_comes_anew_while_its_last_package_goes(anyrun, tmp_path):
    async def scene():
        async with open_hub() as hub:
            packages = Packages(hub, PackageFiles(tmp_path))
            first, second = named("1.0"), named("1.1")
            await packages.keep(uploaded(packages), first)
            await asyncio.gather(packages.remove(first), packages.keep(uploaded(packages), second))
            assert packages.all() == [second]
            assert packages.files.path(second.sha256).read_bytes() == b"0123456789"

    anyrun(scene())
