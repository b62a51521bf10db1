"""Each check of the doctor, on a machine that is well and on one that is not."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from free_ports import free_port
from hardpoint import __version__, checks
from hardpoint.checks import Check
from hardpoint.config import Config, configure
from hardpoint.errors import ServerUnreachable
from hardpoint.tls.authority import make_authority, make_certificate

HEALTH = {"status": "ok", "version": __version__, "listeners": []}
AWAY = ServerUnreachable("nothing answers")


def one(found: Iterator[Check]) -> Check:
    (check,) = found
    return check


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configure(data=tmp_path / "data", listen=["line://127.0.0.1:0"], host={"enabled": False})


class TestAll:
    def test_a_fresh_machine_is_well(self, config: Config) -> None:
        found = list(checks.run_checks(config, AWAY))
        # What disk the tests run on is not ours to judge.
        failed = {check.id for check in found if check.status == "fail"} - {"filesystem", "space"}
        assert failed == set()
        assert {check.id for check in found} >= {"python", "sqlite", "data", "server", "listener", "descriptors"}

    def test_what_needs_fixing_says_how(self, config: Config, tmp_path: Path) -> None:
        (tmp_path / "data").write_text("a file where the folder should be")
        found = list(checks.run_checks(config, AWAY))
        assert all(check.seen for check in found)
        wrong = [check for check in found if check.status in ("warn", "fail")]
        assert "data" in {check.id for check in wrong}
        assert all(check.fix for check in wrong), wrong

    def test_a_check_that_breaks_is_a_warning_and_the_others_go_on(
        self, config: Config, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken() -> Iterator[Check]:
            raise ZeroDivisionError("x")

        monkeypatch.setattr(checks, "sqlite", broken)
        found = {check.id: check for check in checks.run_checks(config, AWAY)}
        assert found["sqlite"] == Check("sqlite", "warn", "could not be checked: ZeroDivisionError: x")
        assert found["data"].status == "ok"


class TestSoftware:
    def test_python(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert one(checks.python()).status == "ok"
        monkeypatch.setattr(sys, "version_info", (3, 10, 0))
        assert one(checks.python()).status == "fail"

    def test_sqlite(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert one(checks.sqlite()) == Check("sqlite", "ok", sqlite3.sqlite_version)
        monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 30, 1))
        assert one(checks.sqlite()).status == "fail"

    def test_loop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert one(checks.loop(configure())) == Check("loop", "ok", "hardpoint")
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        missing = one(checks.loop(configure(loop="uvloop")))
        assert (missing.status, missing.seen) == ("fail", "uvloop is not installed")

    def test_config(self) -> None:
        assert one(checks.configuration(configure(loop="asyncio"))).seen == "no file; 1 settings are not the default"
        odd = Config(warnings=("X is not a setting",))
        assert [check.status for check in checks.configuration(odd)] == ["ok", "warn"]


class TestFolder:
    def test_one_that_will_be_made(self, tmp_path: Path) -> None:
        check = one(checks.folder(tmp_path / "a" / "b"))
        assert (check.status, check.seen) == ("ok", f"{tmp_path / 'a' / 'b'} will be made at the first start")

    def test_private_or_not(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        assert one(checks.folder(tmp_path)).status == "ok"
        tmp_path.chmod(0o755)
        assert one(checks.folder(tmp_path)).fix == f"chmod 700 {tmp_path}"

    def test_not_ours(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        assert one(checks.folder(tmp_path / "a")).seen == f"{tmp_path} is not writable"

    def test_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "x").touch()
        assert one(checks.folder(tmp_path / "x" / "y")).seen == f"{tmp_path / 'x'} is not a folder"

    @pytest.mark.parametrize(("free", "status"), [(2**40, "ok"), (2**29, "warn"), (2**20, "fail")])
    def test_space(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
        assert one(checks.space(tmp_path / "a")).status == status


class TestFilesystem:
    @pytest.mark.parametrize(
        ("line", "status", "seen"),
        [
            ("/dev/sda1 / ext4 rw 0 0", "ok", "ext4 on /dev/sda1"),
            ("/dev/mmcblk0p2 / ext4 rw 0 0", "ok", "ext4 on /dev/mmcblk0p2: an SD card, keep a backup"),
            ("nas:/x {there} nfs4 rw 0 0", "fail", "nfs4 on nas:/x"),
            ("tmpfs {there} tmpfs rw 0 0", "warn", "tmpfs on tmpfs, which a restart of the machine empties"),
            ("tmpfs {there}/other tmpfs rw 0 0", "ok", "ext4 on /dev/sda1"),
            ("tmpfs {spaced} tmpfs rw 0 0", "warn", "tmpfs on tmpfs, which a restart of the machine empties"),
        ],
    )
    def test_by_the_nearest_mount(self, tmp_path: Path, line: str, status: str, seen: str) -> None:
        there = tmp_path / "a b"
        there.mkdir()
        mounts = tmp_path / "mounts"
        spaced = str(there).replace(" ", r"\040")
        mounts.write_text("/dev/sda1 / ext4 rw 0 0\n" + line.format(there=tmp_path, spaced=spaced) + "\n")
        check = one(checks.filesystem(there / "data", mounts))
        assert (check.status, check.seen) == (status, seen)

    def test_no_mount_at_all(self, tmp_path: Path) -> None:
        (tmp_path / "mounts").write_text("")
        assert one(checks.filesystem(tmp_path, tmp_path / "mounts")).status == "skip"


class TestServer:
    def test_one_that_is_well(self, config: Config) -> None:
        assert one(checks.server(config, HEALTH)) == Check("server", "ok", f"ok, version {__version__}")

    def test_one_that_is_not(self, config: Config) -> None:
        assert one(checks.server(config, {**HEALTH, "status": "degraded"})).status == "fail"

    def test_one_of_another_version(self, config: Config) -> None:
        assert [check.status for check in checks.server(config, {**HEALTH, "version": "9.9"})] == ["ok", "warn"]

    def test_none(self, config: Config) -> None:
        assert one(checks.server(config, AWAY)).status == "skip"
        config.data.mkdir()
        for stale in ("", "not a number", str(2**22 + 1)):  # above Linux's greatest pid
            (config.data / "lock").write_text(stale)
            assert one(checks.server(config, AWAY)).status == "skip"

    def test_one_that_hangs(self, config: Config) -> None:
        config.data.mkdir()
        (config.data / "lock").write_text(f"{os.getpid()}\n")
        check = one(checks.server(config, AWAY))
        assert (check.status, check.seen) == (
            "fail",
            f"process {os.getpid()} holds the folder but does not answer",
        )


class TestCertificates:
    @pytest.fixture
    def config(self, tmp_path: Path) -> Config:
        return configure(data=tmp_path, listen=["https://127.0.0.1:0"])

    def test_none_is_needed(self, tmp_path: Path) -> None:
        assert one(checks.certificates(configure(data=tmp_path, listen=["http://127.0.0.1:0"]))).status == "skip"

    def test_none_is_there(self, config: Config) -> None:
        check = one(checks.certificates(config))
        assert (check.status, check.fix) == ("fail", "hardpoint tls init")

    @pytest.mark.parametrize(
        ("days", "status", "seen"),
        [
            (0, "ok", "824 days left"),
            (794, "ok", "30 days left"),
            (795, "warn", "29 days left"),
            (825, "fail", "has ended"),
        ],
    )
    def test_how_long_it_lasts(self, config: Config, monkeypatch, days: int, status: str, seen: str) -> None:
        make_authority(config.tls_folder)
        make_certificate(config.tls_folder, ["localhost"])
        now = time.time()
        monkeypatch.setattr(checks.time, "time", lambda: now + days * 86_400 - 60)
        check = one(checks.certificates(config))
        assert (check.status, check.fix) == (status, "hardpoint tls renew")
        assert check.seen.endswith(seen)


class TestListeners:
    def test_a_free_address(self, config: Config) -> None:
        assert one(checks.listeners(config, AWAY)).seen == "line://127.0.0.1:0 is free"

    def test_a_taken_one_names_who_has_it(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            config = configure(data=tmp_path, listen=[f"http://127.0.0.1:{port}"])
            check = one(checks.listeners(config, AWAY))
        assert check.status == "fail"
        assert check.seen.startswith(f"http://127.0.0.1:{port}: Address already in use, by ")
        assert check.seen.endswith(f"(process {os.getpid()})")

    def test_a_running_servers_are_dialled(self, config: Config) -> None:
        nobody_there = free_port()
        with socket.create_server(("127.0.0.1", 0)) as open_one:
            doors = [
                {"url": "line://127.0.0.1:1", "port": open_one.getsockname()[1], "connections": 0},
                {"url": "http://127.0.0.1:1", "port": nobody_there, "connections": 0},
                {"url": "unix:/x", "port": None, "connections": 0},
            ]
            answers, refuses = checks.listeners(config, {**HEALTH, "listeners": doors})
        assert (answers.status, refuses.status) == ("ok", "fail")
        assert refuses.fix == f"is a firewall between? try: nc -vz 127.0.0.1 {nobody_there}"


class TestMachine:
    @pytest.mark.parametrize(
        ("hard", "status"), [(resource.RLIM_INFINITY, "ok"), (1_000_000, "ok"), (1063, "warn"), (1064, "ok")]
    )
    def test_descriptors(self, monkeypatch: pytest.MonkeyPatch, hard: int, status: str) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, hard))
        assert one(checks.descriptors(1000)).status == status

    @pytest.mark.parametrize(("answer", "status"), [("yes\n", "ok"), ("no\n", "warn"), ("", "skip")])
    def test_clock(self, monkeypatch: pytest.MonkeyPatch, answer: str, status: str) -> None:
        monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
        ended = subprocess.CompletedProcess([], 0, stdout=answer)
        monkeypatch.setattr(subprocess, "run", lambda *args, **options: ended)
        assert one(checks.clock()).status == status

    def test_a_clock_that_nobody_can_vouch_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "which", lambda name: None)
        assert one(checks.clock()).status == "skip"
        monkeypatch.setattr(time, "time", lambda: 1000.0)
        assert one(checks.clock()).status == "fail"

    def test_hardware(self, monkeypatch: pytest.MonkeyPatch) -> None:
        mount = SimpleNamespace(mounted=("load",), left_out={"thermal": "no thermal zone"})
        monkeypatch.setattr("hardpoint.hardware.mount.mount_host", lambda: mount)
        assert list(checks.hardware(configure())) == [
            Check("hardware", "ok", "mounted: load"),
            Check("hardware", "skip", "thermal is left out: no thermal zone"),
        ]
        assert one(checks.hardware(configure(host={"enabled": False}))).status == "skip"

    def test_hardware_that_is_in_use_is_not_looked_for_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hardpoint.hardware.mount.mount_host", None)
        mount = SimpleNamespace(mounted=("load",), left_out={})
        assert one(checks.hardware(configure(), mount)).seen == "mounted: load"
