"""Durable telemetry over HTTP beside uvicorn's ``Hello, world!``: requests a second and CPU a request, under wrk.

    python benchmarks/server/telemetry.py [--rounds 6] [--seconds 3]

``POST`` of ``{"temp":21.5}`` over 64 keep-alive connections, each answered 200 when it is on disk, against ``GET`` of
13 bytes from memory on uvicorn with uvloop and httptools, without access log. One core for the server, one for wrk; the
servers take turns. wrk runs the same Lua hook for both, so that its own cost is the same.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from running import LOAD_CORE, SERVER_CORE, cpu_s, hardpoint

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
HELLO_LUA = """
local path = "/"
function request() return wrk.format(nil, path) end
function response(status) if status ~= 200 then wrk.thread:stop() end end
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wrk(port: int, script: Path, seconds: int, tokens: Path) -> int:
    """Requests answered."""
    output = subprocess.run(
        [
            "taskset",
            "-c",
            str(LOAD_CORE),
            "wrk",
            "-t1",
            "-c64",
            f"-d{seconds}s",
            "-s",
            script,
            f"http://127.0.0.1:{port}",
        ],
        env=os.environ | {"TOKENS": str(tokens)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(output)
    found = re.search(r"(\d+) requests in", output)
    assert found is not None, output
    return int(found[1])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--rounds", type=int, default=6)
    arguments.add_argument("--seconds", type=int, default=3)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        hello = folder / "hello.lua"
        hello.write_text(HELLO_LUA)
        tokens = folder / "tokens"
        port = free_port()
        uvicorn = subprocess.Popen([sys.executable, "-c", UVICORN, str(port)])
        os.sched_setaffinity(uvicorn.pid, {SERVER_CORE})
        rates: dict[str, list[float]] = {"uvicorn hello": [], "hardpoint telemetry": []}
        costs: dict[str, list[float]] = {name: [] for name in rates}
        try:
            while not answers(port):
                time.sleep(0.01)
            with hardpoint(folder) as server:
                tokens.write_text("\n".join(server.make_devices(64)) + "\n")
                for _ in range(given.rounds):
                    for name, pid, at, script in (
                        ("uvicorn hello", uvicorn.pid, port, hello),
                        ("hardpoint telemetry", server.pid, server.ports["http"], HERE / "telemetry.lua"),
                    ):
                        before = cpu_s(pid)
                        count = wrk(at, script, given.seconds, tokens)
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
