"""The commands against the real server, each in a process of its own, as people run them."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hardpoint.cli.connection import make_client

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A data folder with a short path: a Unix socket's has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="hp") as made:
        yield Path(made)


@pytest.fixture(scope="module")
def environ(folder: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HARDPOINT_")}
    return {**inherited, "HOME": str(folder), "HARDPOINT_DATA": str(folder / "data"), "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="module")
def ports(folder: Path, environ: dict[str, str]) -> Iterator[dict[str, int]]:
    """A running server's ports by dialect. It listens on every address, as by default."""
    ports_file = folder / "ports.json"
    argv = ["serve", "--listen", "line://0.0.0.0:0", "--listen", "http://0.0.0.0:0"]
    for scheme in ("mqtt", "lines", "https", "mqtts"):
        argv += ["--listen", f"{scheme}://0.0.0.0:0"]
    argv += ["--ports-file", str(ports_file)]
    with start(environ, *argv) as server:
        try:
            wait_until(ports_file.exists, server)
            yield json.loads(ports_file.read_text())["ports"]
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=DEADLINE_S)
        assert server.returncode == 0


@contextmanager
def start(environ: dict[str, str], *argv: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, which is killed where the block did not see it end."""
    command = [sys.executable, "-m", "hardpoint", *argv]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environ, cwd=environ["HOME"])
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for what the process will bring about; at most `DEADLINE_S`, and not beyond its end."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def call(environ: dict[str, str], ports: dict[str, int]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*argv: str, **more: str) -> subprocess.CompletedProcess[str]:
        with start({**environ, **more}, *argv) as process:
            out, err = process.communicate(timeout=DEADLINE_S)
        return subprocess.CompletedProcess(argv, process.returncode, out, err)

    return run


def speak(ports: dict[str, int], *lines: str) -> list[str]:
    """A line client that sends everything, says that it is done, and reads to the end."""
    with socket.create_connection(("127.0.0.1", ports["line"]), timeout=DEADLINE_S) as connection:
        connection.sendall("".join(f"{line}\n" for line in lines).encode())
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile(encoding="utf-8").read().splitlines()


class TestDevices:
    def test_a_life(self, call, ports: dict[str, int]) -> None:
        token = call("device", "add", "life", "--label", "a=b").stdout.strip()
        assert speak(ports, f"HELLO {token}", "temp=21.5 door=true", "temp=22")[1:] == ["OK life", "OK 2", "OK 1"]
        shown = json.loads(call("device", "show", "life", "--json").stdout)
        assert {key: reading["value"] for key, reading in shown["latest"].items()} == {"temp": 22, "door": True}
        assert shown["labels"] == {"a": "b"}
        listed = json.loads(call("device", "ls", "--label", "a=b", "--json").stdout)["items"]
        assert [device["name"] for device in listed] == ["life"]
        read = json.loads(call("readings", "life", "--key", "temp", "--agg", "raw", "--json").stdout)
        assert [value for _, value in read["series"][0]["points"]] == [21.5, 22]

        renamed = call("device", "token", "life")
        assert speak(ports, f"HELLO {token}")[1].startswith("ERR unauthorized")
        assert speak(ports, f"HELLO {renamed.stdout.strip()}")[1] == "OK life"
        assert call("device", "rename", "life", "second life").returncode == 0
        assert call("device", "add", "second life").returncode == 1
        assert call("device", "rm", "second life", "--confirm", "second life").returncode == 0
        assert call("device", "show", "life").returncode == 1

    def test_every_page_of_a_long_list(self, call, monkeypatch: pytest.MonkeyPatch, environ) -> None:
        from hardpoint.cli import device

        client = make_client(None, Path(environ["HARDPOINT_DATA"]), None)
        for number in range(5):
            client.call("POST", "/api/devices", body={"name": f"page-{number}"})
        monkeypatch.setattr(device, "PAGE", 2)
        found = [each["name"] for each in device.every_device(client, {"search": "page-"})]
        assert found == [f"page-{number}" for number in range(5)]


PROGRAMS = {
    "nc": "nc",
    "curl": "curl",
    "python": sys.executable,
    "micropython": sys.executable,
    "mqtt": "mosquitto_pub",
    "arduino": "g++",
    "paho": sys.executable,
    "node": "node",
    "agent": sys.executable,
}
"""Kind of snippet → what runs it here. What is written for MicroPython is Python; websocket is run by a browser, and
what takes a program of its own by tests/conformance/test_snippets.py.
"""
NEEDED_FOR_TLS = {"nc": "openssl", "arduino": "openssl"}


def program(kind: str, made: str, folder: Path) -> list[str]:
    """The command that runs a snippet."""
    if kind == "node":
        return ["node", "-e", made]
    if kind in ("python", "micropython", "paho"):
        return [shutil.which("micropython") or sys.executable if kind == "micropython" else sys.executable, "-c", made]
    if kind == "agent":
        return [sys.executable, "-m", *shlex.split(made)]
    if kind != "arduino":
        return ["bash", "-c", made]
    shim = Path(__file__).parent / "arduino"
    (folder / "sketch.cpp").write_text(f"{made}\nint main() {{\n  setup();\n  for (;;) loop();\n}}\n")
    compile_it = ["g++", "-std=c++17", f"-I{shim}", str(folder / "sketch.cpp"), "-o", str(folder / "sketch")]
    subprocess.run(compile_it, check=True)
    return [str(folder / "sketch")]


class TestConnect:
    @pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
    @pytest.mark.parametrize("kind", PROGRAMS)
    def test_each_snippet_sends_the_first_reading(
        self, environ, ports, call, tmp_path: Path, kind: str, tls: bool
    ) -> None:
        needed = NEEDED_FOR_TLS.get(kind, PROGRAMS[kind]) if tls else PROGRAMS[kind]
        if shutil.which(PROGRAMS[kind]) is None or shutil.which(needed) is None:
            pytest.skip(f"{PROGRAMS[kind]} or {needed} is not installed")
        name = f"by-{kind}-{tls}"
        client = make_client(None, Path(environ["HARDPOINT_DATA"]), None)
        found = json.loads(call("connect", name, "--json", *(["--tls"] if tls else [])).stdout)
        assert ("BEGIN CERTIFICATE" in found["ca"], "ca.pem" in found["snippets"]["curl"]) == (True, tls)
        (tmp_path / "ca.pem").write_text(found["ca"])
        sender = subprocess.Popen(
            program(kind, found["snippets"][kind], tmp_path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=tmp_path,
            env={**environ, "HOME": str(tmp_path), "HARDPOINT_DATA": str(tmp_path)},
        )
        try:
            deadline = time.monotonic() + DEADLINE_S
            while not (latest := client.get("/api/devices", name, "latest")):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            if kind != "agent":  # which sends its own machine's sensors
                assert latest["temp"]["value"] == 21.5
            if kind == "nc":
                assert sender.wait(DEADLINE_S) == 0, "every kind of nc ends, with and without half-closing"
            if kind in ("python", "micropython", "arduino", "paho", "node"):
                answer = call("send", name, "blink", "times=3")
                assert (answer.returncode, answer.stdout) == (0, "true\n")
        finally:
            # The whole group; gone already where the snippet ends by itself.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(sender.pid, signal.SIGKILL)
            sender.wait(DEADLINE_S)

    def test_home_assistants_command_is_one_request(self, call, ports: dict[str, int]) -> None:
        yaml = pytest.importorskip("yaml", reason="PyYAML, which apprise brings, is not installed")
        found = json.loads(call("connect", "by-homeassistant", "--json").stdout)
        made = yaml.safe_load(found["snippets"]["homeassistant"])
        command = made["rest_command"]["hardpoint"]
        (action,) = made["automation hardpoint"][0]["actions"]
        assert action["action"] == "rest_command.hardpoint"
        ((variable, _),) = action["data"].items()
        body = command["payload"].replace("{{ " + variable + " }}", "19.5").encode()
        headers = {"Content-Type": command["content_type"]}
        request = urllib.request.Request(command["url"], body, headers, method=command["method"].upper())
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            assert answer.status == 200
        latest = json.loads(call("device", "show", "by-homeassistant", "--json").stdout)["latest"]
        assert latest["temp"]["value"] == 19.5

    def test_it_waits_for_the_first_reading(self, environ, ports) -> None:
        with start(environ, "connect", "awaited", "--with", "nc") as waiting:
            assert waiting.stderr is not None
            assert waiting.stdout is not None
            assert waiting.stderr.readline().startswith("waiting for its first reading")
            printed = [waiting.stdout.readline() for _ in range(5)]
            assert printed[2] == "In a terminal:\n"
            token = printed[4].split("HELLO ")[1].split("\\n")[0]
            assert speak(ports, f"HELLO {token}", "temp=21.5")[-1] == "OK 1"
            _, err = waiting.communicate(timeout=DEADLINE_S)
        assert err.splitlines()[-1] == "first reading: temp = 21.5"
        assert waiting.returncode == 0

    def test_ctrl_c_ends_the_waiting_well(self, environ, ports, call) -> None:
        with start(environ, "connect", "patience") as waiting:
            assert waiting.stderr is not None
            waiting.stderr.readline()
            waiting.send_signal(signal.SIGINT)
            _, err = waiting.communicate(timeout=DEADLINE_S)
        assert waiting.returncode == 0
        assert "hardpoint tail patience" in err
        assert call("device", "show", "patience").returncode == 0


class TestCommands:
    def test_the_host_answers(self, call) -> None:
        answer = call("send", "host", "ping")
        assert (answer.returncode, answer.stdout) == (0, "pong\n")
        unknown = call("send", "host", "fly", "--json")
        assert unknown.returncode == 1
        assert json.loads(unknown.stdout)["state"] == "failed"

    def test_a_device_that_is_away(self, call) -> None:
        call("device", "add", "absent")
        late = call("send", "absent", "ping", "--wait", "0.1")
        assert late.returncode == 75
        assert "it is not attached" in late.stderr

    def test_what_is_not_there(self, call) -> None:
        assert call("send", "nobody", "ping").returncode == 1


class TestLive:
    def test_tail_shows_what_arrives(self, environ, ports, call) -> None:
        token = call("device", "add", "live").stdout.strip()
        with start(environ, "tail", "live", "--key", "temp", "--json", "--count", "2") as tail:
            # The stream is open once the server counts it; a reading sent before it would not be shown.
            wait_until(lambda: live_clients(environ) > 0, tail)
            speak(ports, f"HELLO {token}", "temp=1 hum=5", "temp=2")
            out, _ = tail.communicate(timeout=DEADLINE_S)
        assert [(line["device"], line["key"], line["value"]) for line in map(json.loads, out.splitlines())] == [
            ("live", "temp", 1),
            ("live", "temp", 2),
        ]


def live_clients(environ: dict[str, str]) -> float:
    """How many live streams are open, from ``/metrics``."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE_S)
        connection.connect(f"{environ['HARDPOINT_DATA']}/hardpoint.sock")
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = connection.makefile(encoding="utf-8").read()
    found = [line for line in text.splitlines() if line.startswith("hardpoint_live_clients ")]
    return float(found[0].split()[-1])


class TestState:
    def test_status_health_and_doctor(self, call, ports: dict[str, int]) -> None:
        assert call("health").stdout == "ok\n"
        status = json.loads(call("status", "--json").stdout)
        assert {listener["port"] for listener in status["listeners"]} >= set(ports.values())
        doctor = json.loads(call("doctor", "--json").stdout)
        seen = [check["seen"] for check in doctor["checks"] if check["status"] == "ok"]
        for dialect in ("line", "http"):
            assert any(text.startswith(f"{dialect} answers at ") for text in seen)

    def test_over_the_network_without_a_token(self, call, ports: dict[str, int]) -> None:
        server = ("--server", f"http://127.0.0.1:{ports['http']}")
        assert call("health", *server).returncode == 0, "health is open"
        refused = call("device", "ls", *server)
        assert refused.returncode == 77
        assert "HARDPOINT_TOKEN" in refused.stderr

    def test_over_the_network_with_one(self, call, ports: dict[str, int], environ) -> None:
        client = make_client(None, Path(environ["HARDPOINT_DATA"]), None)
        made = client.call("POST", "/api/tokens", body={"name": "viewer", "role": "viewer"})
        server = ("--server", f"http://127.0.0.1:{ports['http']}")
        assert call("device", "ls", *server, HARDPOINT_TOKEN=made["token"]).returncode == 0
        forbidden = call("device", "add", "x", *server, HARDPOINT_TOKEN=made["token"])
        assert forbidden.returncode == 77

    def test_a_second_server_on_the_folder_and_on_the_port(self, call, folder: Path, ports: dict[str, int]) -> None:
        second = call("serve", "--listen", "line://127.0.0.1:0")
        assert second.returncode == 73
        elsewhere = str(folder / "other")
        taken = call("serve", "--data", elsewhere, "--listen", f"line://127.0.0.1:{ports['line']}")
        assert taken.returncode == 73
        assert "line://127.0.0.1" in taken.stderr
