"""Requests a second, server CPU a request and p99 of small answers and of a file, beside nginx, granian and uvicorn.

    python benchmarks/http/hello.py                        # everything, some four minutes
    python benchmarks/http/hello.py get --servers hardpoint nginx --rounds 10

One core for the server, one for wrk; the servers take turns in short rounds, so what else the machine does meets all
alike. Shown are the median and the best round, and the median of the ratios to the yardstick, taken round by round. CPU
a request is the scheduler's time of the server's processes divided by wrk's count: unlike requests a second it does not
depend on how fast wrk is. p99 is of a server that is full, but for ``paced``: there all have the same to do, far below
what each can. uvicorn and granian (one worker, one thread of its runtime) run the smallest ASGI application, on uvloop,
without access log. What is *not* measured: TLS, a network, a framework.
"""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
from dataclasses import dataclass, field

from peers import CORES, LOAD_CORE, NAMES, Peer, available

CONNECTIONS = 64

POST_SCRIPT = """
wrk.method = "POST"
wrk.body = '{"temp":21.5,"hum":60,"note":"%s"}'
wrk.headers["Content-Type"] = "application/json"
""" % ("x" * 990)

# Each of the 64 connections rests between two requests, so that every server has the same to do.
PACED_SCRIPT = "function delay() return math.random(16, 48) end"

# name: (title, path, wrk script, servers, the yardstick)
CASES = {
    "get": ('GET, 13 bytes back ("Hello, world!")', "/", "", NAMES[:6], "nginx"),
    "post": ("POST, 1 KB of JSON decoded and encoded", "/echo", POST_SCRIPT, (*NAMES[:3], *NAMES[4:6]), "uvicorn"),
    "asgi": ("GET, 13 bytes back, of the same ASGI application", "/", "", NAMES[4:], "uvicorn"),
    "asgi-post": ("POST, 1 KB of JSON, of the same ASGI application", "/echo", POST_SCRIPT, NAMES[4:], "uvicorn"),
    "paced": ("GET, 13 bytes back, at most 2,000 a second", "/", PACED_SCRIPT, NAMES, "nginx"),
    "file": ("GET of a file of 1 MB", "/file", "", NAMES[:4], "nginx"),
}


@dataclass
class Rounds:
    """What one server did: requests a second, CPU µs a request, p99 in ms."""

    rates: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)
    p99s: list[float] = field(default_factory=list)


def milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if found is None:  # wrk has no percentile of a round without answers
        return float("nan")
    number, unit = found.groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]


def one_round(peer: Peer, rounds: Rounds, seconds: int, path: str, script: str | None) -> None:
    before = peer.cpu_s()
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    command += ["-s", script] if script else []
    output = subprocess.check_output([*command, f"http://127.0.0.1:{peer.port}{path}"], text=True)
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"{peer.name}: {output}")
    count = int(re.search(r"(\d+) requests in", output)[1])
    rounds.rates.append(float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]))
    rounds.cpus.append((peer.cpu_s() - before) / count * 1e6)
    rounds.p99s.append(milliseconds(re.search(r"99%\s+(\S+)", output)[1]))


def measure(case: str, servers: list[str], count: int, seconds: int) -> None:
    title, path, script, able, yardstick = CASES[case]
    names = [name for name in servers if name in able]
    yardstick = yardstick if yardstick in names else names[-1]
    peers = [Peer(name) for name in names]
    results = {name: Rounds() for name in names}
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        try:
            for peer in peers:
                one_round(peer, Rounds(), 1, path, file.name if script else None)
            for _ in range(count):
                for peer in peers:
                    one_round(peer, results[peer.name], seconds, path, file.name if script else None)
        finally:
            for peer in peers:
                peer.stop()
    print(f"\n{title}: {CONNECTIONS} connections, ratios to {yardstick}")
    print(f"{'':22}{'req/s':>9}{'best':>9}{'ratio':>7}{'CPU µs':>9}{'best':>8}{'ratio':>7}{'p99 ms':>9}")
    for name, mine in results.items():
        their = results[yardstick]
        rate = statistics.median(a / b for a, b in zip(mine.rates, their.rates, strict=True))
        cpu = statistics.median(a / b for a, b in zip(mine.cpus, their.cpus, strict=True))
        print(
            f"{name:22}{statistics.median(mine.rates):9.0f}{max(mine.rates):9.0f}{rate:7.2f}"
            f"{statistics.median(mine.cpus):9.1f}{min(mine.cpus):8.1f}{cpu:7.2f}{statistics.median(mine.p99s):9.2f}",
            flush=True,
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("cases", nargs="*", metavar="CASE", help=f"which ones: {', '.join(CASES)}")
    options.add_argument("--servers", nargs="+", choices=NAMES, default=NAMES)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=2, help="of one round")
    chosen = options.parse_args()
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is not here: apt-get install wrk util-linux")
    print(f"{platform.platform()}, Python {platform.python_version()}, {len(CORES)} cores")
    for case in chosen.cases or CASES:
        measure(case, available(list(chosen.servers)), chosen.rounds, chosen.seconds)


if __name__ == "__main__":
    main()
