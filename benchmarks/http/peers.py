"""The servers that are measured, each started on one core: ours on three loops and as an ASGI host, nginx, uvicorn and
granian.

Every one answers ``GET /`` with 13 bytes, ``POST /echo`` with the JSON it was sent, decoded and encoded anew (nginx has
no handler for it), and, where it serves files itself, ``GET /file`` with 1 MB.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
FILE_BYTES = 1_000_000

OURS = """
import sys
from pathlib import Path
from hardpoint.http import Response, Router, StaticFiles, run
router = Router()

@router.get("/")
def hello(request):
    return Response.text("Hello, world!")

@router.post("/echo")
def echo(request):
    return Response.json(request.json())

router.get("/{rest:path}")(StaticFiles(Path(sys.argv[3])))
run(router, port=int(sys.argv[1]), loop=sys.argv[2])
"""

APP = """
import msgspec

async def app(scope, receive, send):
    if scope["path"] == "/echo":
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message.get("more_body", False)
        body = msgspec.json.encode(msgspec.json.decode(body))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    else:
        headers, body = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"13")], b"Hello, world!"
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""

OURS_AS_HOST = """
import sys
from app import app
from hardpoint.http import run
run(app, port=int(sys.argv[1]))
"""

NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 20000; }}
http {{
    access_log off; keepalive_requests 1000000000; sendfile on; tcp_nopush on;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port} backlog=4096; root {files};
        location = / {{ default_type text/plain; return 200 "Hello, world!"; }}
    }}
}}
"""

UVICORN = [
    "-m", "uvicorn", "app:app", "--port", "{port}", "--loop", "uvloop", "--http", "httptools", "--no-access-log",
    "--log-level", "warning", "--lifespan", "off", "--backlog", "4096",
]  # fmt: skip
GRANIAN = [
    "-m", "granian", "--interface", "asginl", "--port", "{port}", "--workers", "1", "--runtime-threads", "1",
    "--no-access-log", "--log-level", "warning", "--loop", "uvloop", "app:app",
]  # fmt: skip

NAMES = ("hardpoint", "hardpoint on uvloop", "hardpoint on asyncio", "nginx", "granian", "uvicorn", "hardpoint, ASGI")


class Peer:
    """One server process, with its children, on its core."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        (folder / "app.py").write_text(APP)
        files = folder / "files"
        files.mkdir()
        (files / "file").write_bytes(os.urandom(FILE_BYTES))
        folder.chmod(0o755)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        self._process = subprocess.Popen(self._command(folder, files), cwd=folder, start_new_session=True)
        os.sched_setaffinity(self._process.pid, {SERVER_CORE})
        self._wait_until_it_answers()

    def _command(self, folder: Path, files: Path) -> list[str]:
        pinned = ["taskset", "-c", str(SERVER_CORE)]
        if self.name == "hardpoint, ASGI":
            return [*pinned, sys.executable, "-c", OURS_AS_HOST, str(self.port)]
        if self.name.startswith("hardpoint"):
            loop = self.name.rpartition(" ")[2]
            return [*pinned, sys.executable, "-c", OURS, str(self.port), loop, str(files)]
        if self.name == "nginx":
            config = folder / "nginx.conf"
            user = "user root; " if os.getuid() == 0 else ""
            config.write_text(user + NGINX.format(folder=folder, files=files, port=self.port))
            return [*pinned, shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(config), "-e", f"{folder}/error.log"]
        template = UVICORN if self.name == "uvicorn" else GRANIAN
        return [*pinned, sys.executable, *(part.format(port=self.port) for part in template)]

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as sock:
                    sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                    if sock.recv(100).startswith(b"HTTP/1.1 200"):
                        return
            except OSError:
                pass
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{self.name} did not start")
            time.sleep(0.05)

    def _pids(self) -> list[int]:
        pids = [self._process.pid]
        for pid in pids:
            for task in Path(f"/proc/{pid}/task").iterdir():
                pids += [int(child) for child in (task / "children").read_text().split()]
        return pids

    def cpu_s(self) -> float:
        """The scheduler's time of every thread of every process, which unlike /proc/PID/stat has no ticks."""
        tasks = [task for pid in self._pids() for task in Path(f"/proc/{pid}/task").iterdir()]
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def memory_bytes(self) -> int:
        """What the processes hold for themselves: shared pages count by their share."""
        total = 0
        for pid in self._pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total

    def stop(self) -> None:
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(10)
        self._folder.cleanup()


def available(names: list[str]) -> list[str]:
    """Those that can be started here; the others are named."""
    import importlib.util

    found = []
    for name in names:
        there = importlib.util.find_spec(name) if name in ("uvicorn", "granian") else True
        if name == "nginx":
            there = shutil.which("nginx") or Path("/usr/sbin/nginx").exists()
        if there:
            found.append(name)
        else:
            print(f"{name} is not here: apt-get install nginx-light, or the group bench")
    return found
