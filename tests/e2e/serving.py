"""A real ``hardpoint serve`` in a process of its own, and the administrator's way to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

from hardpoint.model import MAX_TS_MS

DEADLINE_S = 60.0
"""Nothing here takes a second on an idle machine; on a busy one nothing may hang for ever."""
HARDPOINT = (sys.executable, "-bb", "-W", "error", "-m", "hardpoint")
"""A comparison of bytes with text, or a socket that nobody closed, is an error, and shows in the log."""
EVER = (0, MAX_TS_MS + 1)


def wait_until(condition: Callable[[], Any], what: str = "", deadline_s: float = DEADLINE_S) -> Any:
    """What the condition gives once it is true."""
    until = time.monotonic() + deadline_s
    tick = threading.Event()
    while not (result := condition()):
        assert time.monotonic() < until, f"in vain: {what or condition}"
        tick.wait(0.01)
    return result


class Account(NamedTuple):
    """A device that was made for one test."""

    name: str
    token: str


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=DEADLINE_S)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def request_json(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """``(status, what the body says)``."""
    connection.request(method, path, None if body is None else json.dumps(body))
    with connection.getresponse() as response:
        text = response.read()
    is_json = (response.getheader("content-type") or "").startswith("application/json")
    return response.status, json.loads(text) if is_json else text.decode()


class Api:
    """The app API over the administrator's socket, a connection a call."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = UnixConnection(self._path)
        try:
            return request_json(connection, method, path, body)
        finally:
            connection.close()

    def get(self, path: str, **query: Any) -> Any:
        return self._done("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: Any = None) -> Any:
        return self._done("POST", path, body)

    def put(self, path: str, body: Any) -> Any:
        return self._done("PUT", path, body)

    def add_device(self, name: str) -> str:
        """Its token."""
        return str(self.post("/api/devices", {"name": name})["token"])

    def readings(self, device: str, key: str) -> list[tuple[int, Any]]:
        """Every reading of a key; none when it was never sent."""
        query = urlencode({"key": key, "from": EVER[0], "to": EVER[1], "agg": "raw"})
        status, answer = self.request("GET", f"/api/devices/{device}/readings?{query}")
        if status == 404:
            return []
        assert status == 200, answer
        return [(ts, value) for ts, value in answer["points"]]

    def _done(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.request(method, path, body)
        assert 200 <= status < 300, (method, path, status, answer)
        return answer


class ServerProcess:
    """One server's command line; it may be started again after its end, on the same folder."""

    def __init__(self, folder: Path, *arguments: str, descriptors: int | None = None, log: Path | None = None) -> None:
        self.folder = folder
        self.log_path = log or folder.with_name(f"{folder.name}.log")
        self.expected_log: list[str] = []
        """Patterns of lines that may be in the log; any other line fails the test."""
        self.banner = ""
        self.process: subprocess.Popen[str] | None = None
        self.api = Api(folder / "hardpoint.sock")
        self.ports: dict[str, int] = {}
        self._descriptors = descriptors
        self._ports_path = self.log_path.with_suffix(".ports")
        self._command = [
            *HARDPOINT, "serve", "--data", str(folder), "--ports-file", str(self._ports_path),
            "--listen", "line://127.0.0.1:0", "--listen", "http://127.0.0.1:0",
            "--set", "host.enabled=false", *arguments,
        ]  # fmt: skip

    def start(self) -> Self:
        """Start it; returns when it accepts connections."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self._with_descriptor_limit(self._command),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=clean_environment(),
            )
        assert self.process.stdout is not None
        watchdog = threading.Timer(DEADLINE_S, self.process.kill)
        watchdog.start()
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith("  Data "):
                break
        watchdog.cancel()
        self.banner = "".join(lines)
        assert "is ready after" in self.banner, f"{self.banner}{self.log}"
        self.ports = json.loads(self._ports_path.read_bytes())["ports"]
        return self

    def _with_descriptor_limit(self, command: list[str]) -> list[str]:
        if self._descriptors is None:
            return command
        return ["sh", "-c", f'ulimit -n {self._descriptors}; exec "$@"', "sh", *command]

    def keep_ports(self) -> None:
        """Started again, it listens where it did before, as a server that devices know does."""
        for scheme, port in self.ports.items():
            self._command[self._command.index(f"{scheme}://127.0.0.1:0")] = f"{scheme}://127.0.0.1:{port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text() if self.log_path.exists() else ""

    @property
    def first_token(self) -> str:
        """Of the device that is made at the first start."""
        return (self.folder / "first-device.token").read_text().strip()

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        assert self.process is not None
        code = self.process.wait(DEADLINE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def kill(self) -> None:
        """As a power cut would, but for the disk."""
        self.signal(signal.SIGKILL)
        assert self.wait() == -signal.SIGKILL

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def end(self) -> None:
        """Whatever it does, it is gone after this."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.wait()

    def memory_bytes(self) -> int:
        """Resident and private: what it costs the machine."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return 1024 * sum(int(kib) for kib in re.findall(r"^(?:Private_\w+|Swap): +(\d+) kB", text, re.MULTILINE))

    def cpu_s(self) -> float:
        """Processor time it has used so far."""
        # proc(5): user and system time are the 14th and 15th field, the second one (the name) may hold spaces.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        """How many it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def unexpected_log(self) -> list[str]:
        """Lines of the log that no expected pattern covers."""
        return [line for line in self.log.splitlines() if not any(re.search(each, line) for each in self.expected_log)]


Serve = Callable[..., ServerProcess]
"""The fixture ``serve``: what it is called with goes to `ServerProcess`."""


def clean_environment() -> dict[str, str]:
    """Without the settings of whoever runs the tests."""
    # Compiled modules are kept, as where the server is installed: compiling all of it takes as long as starting does.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HARDPOINT_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept


def run_hardpoint(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command that comes to its end."""
    return subprocess.run(
        [*HARDPOINT, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env=clean_environment(),
        **options,
    )


def readable(sock: socket.socket, wait_s: float = 0.0) -> bool:
    """Whether a read would not block."""
    return bool(select.select([sock], [], [], wait_s)[0])
