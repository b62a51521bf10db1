"""A scripted server for the client commands: what it answers is a table, what it was asked is a list."""

from __future__ import annotations

import json
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from hardpoint.cli.main import run


@dataclass
class Asked:
    method: str
    target: str
    body: Any
    headers: dict[str, str]


@dataclass
class Script:
    """``answers[METHOD PATH]`` is ``(status, JSON)``, or a list of byte strings: each a live stream of its own."""

    path: Path
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    """A live stream's last piece is followed by silence until this is set, or by the end when it is set already."""

    @property
    def url(self) -> str:
        return f"unix:{self.path}"

    def last(self, method: str) -> Asked:
        return [asked for asked in self.asked if asked.method == method][-1]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        script: Script = self.server.script  # type: ignore[attr-defined]
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        asked = Asked(self.command, self.path, json.loads(data) if data else None, dict(self.headers))
        script.asked.append(asked)
        answer = script.answers.get(f"{self.command} {path}", (404, error("not_found", f"no {path}")))
        if isinstance(answer, list):
            self.stream(script, answer)
            return
        status, body = answer
        encoded = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def stream(self, script: Script, streams: list[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(streams.pop(0))
        self.wfile.flush()
        if not streams:
            script.hold.wait(120)
        self.close_connection = True

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_any  # noqa: N815 - the names http.server calls

    def log_message(self, format: str, *args: object) -> None:
        pass

    def address_string(self) -> str:
        return "unix"


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is what some tests do."""


def error(code: str, message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, **more}}


def serve_script(server: Any) -> Iterator[Script]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.script
    finally:
        server.script.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """A server on a Unix socket, as the one of the data folder that ``HARDPOINT_DATA`` names."""
    # Not tmp_path: a Unix socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="hp") as folder:
        monkeypatch.setenv("HARDPOINT_DATA", folder)
        server = UnixServer(f"{folder}/hardpoint.sock", Handler)
        server.script = Script(Path(folder, "hardpoint.sock"))  # type: ignore[attr-defined]
        yield from serve_script(server)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine that runs the tests: no file, no variable, no colour."""
    for name in ("HARDPOINT_CONFIG", "HARDPOINT_TOKEN", "HARDPOINT_SERVER", "HARDPOINT_DEBUG", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HARDPOINT_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def hardpoint(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command in this process."""

    def call(*argv: str) -> Result:
        capsys.readouterr()
        code = run(argv)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


DEVICE: dict[str, Any] = {
    "id": "greenhouse",
    "name": "greenhouse",
    "labels": {"place": "garden"},
    "created": 1_763_880_000_000,
    "presence": {
        "connected": {"dialect": "line", "since": 1_763_880_001_000, "from": "192.168.1.23:51000", "encrypted": True},
        "last_seen": 1_763_880_002_000,
        "last_reading": 1_763_880_002_000,
        "expected_every_s": 10.0,
        "expected_set": True,
        "late": False,
        "silent": False,
    },
    "latest": {
        "temp": {"value": 21.5, "ts": 1_763_880_002_000},
        "note": {"value": "dry\x1b[31m", "ts": 1_763_880_001_000},
    },
}
AWAY: dict[str, Any] = {
    **DEVICE,
    "id": "pump",
    "name": "[red]pump",
    "labels": {},
    "presence": {
        "connected": None,
        "last_seen": None,
        "last_reading": None,
        "expected_every_s": None,
        "expected_set": False,
        "late": False,
        "silent": False,
    },
    "latest": {},
}
HEALTH: dict[str, Any] = {
    "status": "ok",
    "version": "0.1.0",
    "uptime_s": 200.0,
    "loop": "hardpoint",
    "listeners": [
        {"url": "line://0.0.0.0:9000", "port": 9000, "connections": 2},
        {"url": "http://127.0.0.1:8080", "port": 8080, "connections": 1},
        {"url": "unix:/x/hardpoint.sock", "port": None, "connections": 1},
    ],
    "store": {"kind": "sqlite", "size_bytes": 4096, "free_bytes": None},
}
COMMAND: dict[str, Any] = {
    "id": 7,
    "device": "greenhouse",
    "method": "blink",
    "params": {"times": 3},
    "state": "done",
    "created": 1_763_880_000_000,
    "expires": 1_763_880_060_000,
    "result": {"ok": True},
    "steps": [{"state": "queued", "at": 1_763_880_000_000, "reason": None}],
}
