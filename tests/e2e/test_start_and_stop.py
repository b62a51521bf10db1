"""How a server starts and how it ends: what it prints, whom it turns away, and that draining loses nothing."""

from __future__ import annotations

import re
import signal
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from serving import DEADLINE_S, ServerProcess, run_hardpoint, wait_until
from talking import HttpDevice, LineDevice, flood

from hardpoint.app import DRAIN_S

if TYPE_CHECKING:
    from serving import Serve

LOOPS = ("hardpoint", "asyncio", "uvloop")
MOST_STOPPING_S = 10.0
"""SPEC §8."""


def refuses_connections(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


def test_a_first_start_prints_what_a_newcomer_needs(server: ServerProcess) -> None:
    banner = server.banner
    assert re.search(r"Dashboard  http://127\.0\.0\.1:\d+/welcome#\S{20,}", banner)
    for url in (f"line://127.0.0.1:{server.ports['line']}", f"http://127.0.0.1:{server.ports['http']}"):
        assert url in banner
    assert str(server.folder) in banner
    (line,) = re.findall(r"Try it     (printf .*)", banner)
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    assert done.stdout.splitlines()[1:] == ["OK first-device", "OK 1", "BYE"]
    assert [value for _, value in server.api.readings("first-device", "temp")] == [21.5]
    assert server.api.get("/api/health")["status"] == "ok"


def test_a_second_start_shows_the_same_token_and_what_is_held(server: ServerProcess) -> None:
    with LineDevice(server.ports["line"], server.first_token) as device:
        assert device.ask("temp=1 hum=2") == "OK 2"
    token = server.first_token
    assert server.stop() == 0
    server.start()
    assert f"HELLO {token}" in server.banner
    assert "1 device, 2 readings" in server.banner
    assert server.stop() == 0


def test_what_it_keeps_is_for_its_owner_only(server: ServerProcess) -> None:
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in (server.folder, *server.folder.iterdir())}
    assert modes.pop(server.folder.name) == 0o700
    assert set(modes.values()) == {0o600}, modes


def test_a_second_server_on_the_folder_names_the_first(server: ServerProcess) -> None:
    refused = run_hardpoint("serve", "--data", str(server.folder), "--listen", "line://127.0.0.1:0")
    assert refused.returncode == 73
    assert f"process {server.pid}" in refused.stderr
    assert refused.stderr.startswith("error: ")
    assert "Traceback" not in refused.stderr
    with LineDevice(server.ports["line"], server.first_token) as device:
        assert device.ask("temp=1") == "OK 1", "the first one has not noticed"
    assert server.api.get("/api/health")["status"] == "ok", "nor has its socket been taken away"


@pytest.mark.parametrize("scheme", ["line", "http"])
def test_a_taken_port_is_named_and_nothing_is_left_behind(serve: Serve, tmp_path: Path, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"{scheme}://127.0.0.1:{taken.getsockname()[1]}"
        folder = tmp_path / "refused"
        refused = run_hardpoint("serve", "--data", str(folder), "--listen", "line://127.0.0.1:0", "--listen", url)
        assert refused.returncode == 73
        assert url in refused.stderr
        assert "Traceback" not in refused.stderr
    assert serve(folder=folder).stop() == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_sigterm_drains_and_loses_nothing_acknowledged(serve: Serve, loop: str) -> None:
    server = serve("--loop", loop)
    assert server.api.get("/api/health")["loop"] == loop
    token = server.first_token
    acknowledged = []
    started, ended = threading.Event(), threading.Event()

    def send_on() -> None:
        with LineDevice(server.ports["line"], token) as device:
            try:
                for number in range(1_000_000):
                    device.send(f"#{number} n={number} @{1_732_320_000_000 + number}")
                    if number >= 16:
                        tag, verdict = device.read().split()[:2]
                        if verdict == "OK":
                            acknowledged.append(int(tag[1:]))
                        started.set()
            except (OSError, EOFError):
                ended.set()

    thread = threading.Thread(target=send_on)
    thread.start()
    assert started.wait(DEADLINE_S)
    with HttpDevice(server.ports["http"], token) as waiting:
        waiting.connection.request("GET", f"/api/v1/{token}/rpc?timeout=60000")
        wait_until(lambda: server.api.get("/api/devices/first-device")["presence"]["connected"]["dialect"] == "http")
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < MOST_STOPPING_S
        with waiting.connection.getresponse() as answer:
            assert answer.status == 408, "whoever waits is told to poll again"
    thread.join(DEADLINE_S)
    assert ended.is_set()
    server.start()
    stored = {value for _, value in server.api.readings("first-device", "n")}
    assert stored.issuperset(acknowledged)


@pytest.mark.slow
def test_a_client_that_does_not_read_cannot_hold_up_the_end(server: ServerProcess) -> None:
    with LineDevice(server.ports["line"], server.first_token, buffer_bytes=4096) as deaf:
        flood(deaf.sock, b"HELP\n" * 1000)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < MOST_STOPPING_S


def test_a_second_signal_ends_at_once(server: ServerProcess) -> None:
    with LineDevice(server.ports["line"], server.first_token, buffer_bytes=4096) as deaf:
        assert deaf.ask("temp=1") == "OK 1"
        flood(deaf.sock, b"HELP\n" * 1000)
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        wait_until(lambda: refuses_connections(server.ports["line"]))
        server.signal(signal.SIGTERM)
        assert server.wait() == 128 + signal.SIGTERM
        assert time.monotonic() - began < DRAIN_S, "so long the first signal alone waits for who does not read"
    server.start()
    assert [value for _, value in server.api.readings("first-device", "temp")] == [1]


def test_ctrl_c_ends_it_like_sigterm(server: ServerProcess) -> None:
    server.signal(signal.SIGINT)
    assert server.wait() == 0
    assert not (server.folder / "hardpoint.sock").exists()
