"""Durable telemetry over HTTP beside uvicorn's ``Hello, world!``: requests a second and CPU a request.

    python benchmarks/server/telemetry.py [--rounds 6] [--seconds 3]

``POST`` of ``{"temp":21.5}`` by 64 devices, each over a keep-alive connection of its own and answered 200 when it is on
disk, against ``GET`` of 13 bytes from memory on uvicorn with uvloop and httptools, without access log. One core for the
server, one for the load, which is the same C program for both; the servers take turns.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from running import LOAD_CORE, SERVER_CORE, compile_c, cpu_s, hardpoint

HERE = Path(__file__).parent
UVICORN = """
import sys, uvicorn
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"13")]

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"Hello, world!"})

quiet = {"access_log": False, "log_level": "error", "lifespan": "off"}
uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", **quiet)
"""
HELLO = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
TELEMETRY = (
    "POST /api/v1/{token}/telemetry HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    'Content-Length: 13\r\n\r\n{{"temp":21.5}}'
)
CONNECTIONS = 64


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--rounds", type=int, default=6)
    arguments.add_argument("--seconds", type=int, default=3)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        load = compile_c(HERE / "http_load.c", folder)
        hello, telemetry = folder / "hello", folder / "telemetry"
        hello.write_text(f"{HELLO}\0" * CONNECTIONS)
        port = free_port()
        uvicorn = subprocess.Popen([sys.executable, "-c", UVICORN, str(port)])
        os.sched_setaffinity(uvicorn.pid, {SERVER_CORE})
        rates: dict[str, list[float]] = {"uvicorn hello": [], "hardpoint telemetry": []}
        costs: dict[str, list[float]] = {name: [] for name in rates}
        try:
            while not answers(port):
                time.sleep(0.01)
            with hardpoint(folder) as server:
                tokens = server.make_devices(CONNECTIONS)
                telemetry.write_text("".join(TELEMETRY.format(token=token) + "\0" for token in tokens))
                for _ in range(given.rounds):
                    for name, pid, at, requests in (
                        ("uvicorn hello", uvicorn.pid, port, hello),
                        ("hardpoint telemetry", server.pid, server.ports["http"], telemetry),
                    ):
                        before = cpu_s(pid)
                        command = ["taskset", "-c", str(LOAD_CORE), load, str(at), str(given.seconds), requests]
                        count = int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                        rates[name].append(count / given.seconds)
                        costs[name].append((cpu_s(pid) - before) / count * 1e6)
        finally:
            uvicorn.terminate()
            uvicorn.wait()
    base = rates["uvicorn hello"]
    print(f"{'server':<20} {'requests/s median':>18} {'best':>9} {'ratio':>6} {'CPU µs/request':>15}")
    for name, values in rates.items():
        ratio = statistics.median(value / other for value, other in zip(values, base, strict=True))
        print(
            f"{name:<20} {statistics.median(values):>18,.0f} {max(values):>9,.0f} {ratio:>6.2f} "
            f"{statistics.median(costs[name]):>15.1f}"
        )


if __name__ == "__main__":
    main()
