"""Requests a second and server CPU a request of small answers, beside uvicorn (uvloop, httptools), under wrk.

    python benchmarks/http/hello.py                  # GET "Hello, world!" and POST of a small JSON, 64 connections

One core for the server, one for wrk; the servers take turns in short rounds, so what else the machine does meets all
alike, and the median and the best round are shown. CPU a request is the scheduler's time of the server process divided
by wrk's count: unlike requests a second it does not depend on how fast wrk is. Ours is shown on our loop, on uvloop and
on stock asyncio. uvicorn runs the smallest ASGI application, without access log. What is *not* measured: TLS, latency
under a fixed load, many connections.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
CONNECTIONS = 64

OURS = """
import sys
from hardpoint.http import Response, Router, run
router = Router()

@router.get("/")
def hello(request):
    return Response.text("Hello, world!")

@router.post("/echo")
def echo(request):
    return Response.json(request.json())

run(router, port=int(sys.argv[1]), loop=sys.argv[2])
"""

UVICORN = """
import sys
import uvicorn

HELLO = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"13")]

async def app(scope, receive, send):
    if scope["path"] == "/echo":
        import msgspec
        body = msgspec.json.encode(msgspec.json.decode((await receive())["body"]))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    else:
        headers, body = HELLO, b"Hello, world!"
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning",
            lifespan="off")
"""

POST_SCRIPT = """
wrk.method = "POST"
wrk.path = "/echo"
wrk.body = '{"temp":21.5,"hum":60}'
wrk.headers["Content-Type"] = "application/json"
"""

SERVERS = {
    "hardpoint": (OURS, "hardpoint"),
    "hardpoint on uvloop": (OURS, "uvloop"),
    "hardpoint on asyncio": (OURS, "asyncio"),
    "uvicorn": (UVICORN, ""),
}


@dataclass
class Server:
    """One server process on its core, and its rounds: ``(requests a second, CPU µs a request)``."""

    name: str
    rounds: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        code, argument = SERVERS[self.name]
        self.process = subprocess.Popen([sys.executable, "-c", code, str(self.port), argument])
        os.sched_setaffinity(self.process.pid, {SERVER_CORE})
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{self.name} did not start") from None
                time.sleep(0.02)

    def cpu_s(self) -> float:
        """The scheduler's nanoseconds of every thread, not /proc/PID/stat's ticks."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def round(self, seconds: float, script: str | None) -> None:
        before = self.cpu_s()
        command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
        command += ["-s", script] if script else []
        output = subprocess.check_output([*command, f"http://127.0.0.1:{self.port}/"], text=True)
        if "Non-2xx" in output or "Socket errors" in output:
            raise SystemExit(f"{self.name}: {output}")
        count = int(re.search(r"(\d+) requests in", output)[1])
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
        self.rounds.append((rate, (self.cpu_s() - before) / count * 1e6))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def measure(title: str, rounds: int, seconds: float, script: str | None) -> None:
    servers = [Server(name) for name in SERVERS]
    try:
        for server in servers:
            server.round(1, script)
            server.rounds.clear()
        for _ in range(rounds):
            for server in servers:
                server.round(seconds, script)
    finally:
        for server in servers:
            server.stop()
    peer = servers[-1].rounds
    peer_rate = statistics.median(rate for rate, _ in peer)
    peer_cpu = statistics.median(cpu for _, cpu in peer)
    print(f"\n{title}")
    print(f"{'':22}{'req/s':>9}{'best':>9}{'x uvicorn':>11}{'CPU µs':>9}{'best':>7}{'x uvicorn':>11}")
    for server in servers:
        rates = [rate for rate, _ in server.rounds]
        cpus = [cpu for _, cpu in server.rounds]
        rate, cpu = statistics.median(rates), statistics.median(cpus)
        print(
            f"{server.name:22}{rate:9.0f}{max(rates):9.0f}{rate / peer_rate:11.2f}"
            f"{cpu:9.1f}{min(cpus):7.1f}{cpu / peer_cpu:11.2f}"
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=2, help="of one round")
    chosen = options.parse_args()
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is not here: apt-get install wrk util-linux")
    print(f"{platform.platform()}, Python {platform.python_version()}, {len(CORES)} cores, {CONNECTIONS} connections")
    measure('GET, 13 bytes back ("Hello, world!")', chosen.rounds, chosen.seconds, None)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(POST_SCRIPT)
        script.flush()
        measure("POST, 22 bytes of JSON decoded and encoded", chosen.rounds, chosen.seconds, script.name)


if __name__ == "__main__":
    main()
