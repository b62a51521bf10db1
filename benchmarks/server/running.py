"""What the server benchmarks share: starting the server on one core, its devices, its CPU time and its memory."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]


class Hardpoint:
    """A server process with everything it does by default, but for the host's own sensors."""

    def __init__(self, folder: Path, *extra: str) -> None:
        self.data = folder / "data"
        ports_file = folder / "ports.json"
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [
                Path(sys.executable).with_name("hardpoint"),
                "serve",
                *("--data", self.data, "--ports-file", ports_file, "--set", "host.enabled=false"),
                *("--listen", "line://127.0.0.1:0", "--listen", "http://127.0.0.1:0", *extra),
            ],
            stdout=subprocess.DEVNULL,
        )
        os.sched_setaffinity(self.process.pid, {SERVER_CORE})
        while not ports_file.exists():
            if self.process.poll() is not None:
                raise SystemExit("the server did not start")
            time.sleep(0.002)
        self.ready_s = time.perf_counter() - self.began
        self.ports: dict[str, int] = json.loads(ports_file.read_text())["ports"]
        self.pid = self.process.pid

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """A call of the app API as this machine's administrator."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        with connection.sock:
            connection.sock.connect(str(self.data / "hardpoint.sock"))
            connection.request(method, path, json.dumps(body) if body is not None else None)
            response = connection.getresponse()
            answer = json.loads(response.read())
        if response.status >= 300:
            raise SystemExit(f"{method} {path}: {answer}")
        return answer

    def make_devices(self, count: int) -> list[str]:
        """Their tokens."""
        return [str(self.call("POST", "/api/devices", {"name": f"device-{n}"})["token"]) for n in range(count)]


@contextlib.contextmanager
def hardpoint(folder: Path, *extra: str) -> Iterator[Hardpoint]:
    server = Hardpoint(folder, *extra)
    try:
        yield server
    finally:
        server.stop()


def cpu_s(pid: int) -> float:
    """User and system time of all threads of a process: the scheduler's nanoseconds, not /proc/PID/stat's ticks."""
    spent = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            spent += int((task / "schedstat").read_text().split()[0])
    return spent / 1e9


def rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def compile_c(source: Path, folder: Path) -> Path:
    program = folder / source.stem
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", program, source], check=True)
    return program
