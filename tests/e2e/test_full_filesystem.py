"""A full disk: a clear answer on every dialect, a server that lives, and on as soon as there is space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from serving import ServerProcess, wait_until
from talking import HttpDevice, LineDevice

from small_disks import resize, small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving import Serve

TEXT = "x" * 2000
SAID = [
    r"ERROR hardpoint\.hub: commits fail, ",
    r"WARNING hardpoint\.hub: commits work again",
    r"WARNING hardpoint\.store: readings stay in the journal for now",
    r"WARNING hardpoint\.store: the write-ahead log stays",
]


@pytest.fixture
def disk() -> Iterator[Path]:
    """A real file system of 3 MiB; tests/stores has the same without."""
    with small_disk(3 * 1024) as point:
        yield point


def fill(server: ServerProcess, token: str) -> tuple[list[int], str]:
    """The numbers that were acknowledged until the first refusal, and that refusal."""
    with LineDevice(server.ports["line"], token) as device:
        for number in range(10_000):
            answer = device.ask(f'n={number} note="{TEXT}" @{1_732_320_000_000 + number}')
            if answer != "OK 2":
                return list(range(number)), answer
    raise AssertionError("the disk did not get full")


def test_a_full_disk_is_said_and_survived(serve: Serve, disk: Path, tmp_path: Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(1024 * 1024))
    server = serve(folder=disk / "data", log=tmp_path / "server.log")
    server.expected_log = SAID
    token = server.first_token
    acknowledged, refusal = fill(server, token)
    assert refusal.startswith("ERR storage-full "), refusal
    assert len(acknowledged) > 100

    with LineDevice(server.ports["line"], token) as line, HttpDevice(server.ports["http"], token) as http:
        big = {f"key{number}": TEXT for number in range(200)}
        status, answer = http.post("telemetry", big)
        assert (status, answer["error"]["code"]) == (507, "storage_full")
        labels = {f"label{number}": TEXT[:100] for number in range(16)}
        status, answer = server.api.request("POST", "/api/devices", {"name": "late", "labels": labels})
        assert (status, answer["error"]["code"]) == (507, "storage_full")
        status, health = server.api.request("GET", "/api/health")
        assert (status, health["status"]) == (503, "degraded"), "a load balancer is told as well"
        # What needs no disk goes on: reading, asking, being there.
        assert line.ask("PING") == "PONG"
        assert line.ask("GET n").startswith(f"n={acknowledged[-1]} @")
        assert [value for _, value in server.api.readings("first-device", "n")] == acknowledged
        assert server.api.get("/api/devices")["total"] == 1, "a device that could not be stored does not exist"

        ballast.unlink()
        # And more, or what is folded meanwhile may fill it again, and the start behind the kill would find no room.
        resize(disk, 8 * 1024)
        assert line.ask(f"n={len(acknowledged)} @{1_732_320_000_000 + len(acknowledged)}") == "OK 1"
        assert http.post("telemetry", big)[0] == 200
        assert wait_until(lambda: server.api.request("GET", "/api/health"))[0] == 200
        acknowledged.append(len(acknowledged))

    server.kill()
    server.start()
    assert [value for _, value in server.api.readings("first-device", "n")] == acknowledged
    assert [value for _, value in server.api.readings("first-device", "key199")] == [TEXT]
    assert server.stop() == 0


def test_devices_that_keep_sending_do_not_fill_the_log(serve: Serve, disk: Path, tmp_path: Path) -> None:
    """A refusal each is an answer; a line of the log each would fill the next disk."""
    server = serve(folder=disk / "data", log=tmp_path / "server.log")
    server.expected_log = SAID
    fill(server, server.first_token)
    with LineDevice(server.ports["line"], server.first_token) as device:
        for _ in range(200):
            assert device.ask(f'note="{TEXT}{TEXT}"').startswith("ERR storage-full ")
    assert server.log.count("commits fail") == 1
