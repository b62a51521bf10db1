"""What a message costs: server CPU of a 64-byte line echo, against C on epoll, uvloop, rloop and stock asyncio.

    python benchmarks/loop/echo.py                        # 64 connections
    python benchmarks/loop/echo.py --connections 1000

Two tables. *volley*: load and server take turns on one core and every wake-up brings a line on each connection: the
CPU a message to compare (rig.py says why). *stream*: a core each, every client as fast as it can: throughput, and the
CPU a message of a server that finds what happens to be there. Ratios are to the first server of the list.
Not measured here: latency, TLS (tls.py), many idle connections (idle.py), memory (memory.py), tasks (micro.py).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rig import SERVERS, Round, allow_descriptors, available, compare, compile_c, cores, head, play, server, take_turns


def measure(names: list[str], connections: int, rounds: int, round_s: float, pace: str) -> dict[str, list[Round]]:
    """``rounds`` rounds of each server, in turns."""
    server_core, other_core = cores()
    core = server_core if pace == "volley" else other_core
    found: dict[str, list[Round]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        compile_c(folder)

        def one(name: str) -> Round:
            with server(name, folder) as target:
                return play(target, core, [folder / "load", target.port, connections, round_s, pace])

        take_turns(found, rounds, one)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--servers", default=",".join(SERVERS), help="comma-separated (%(default)s)")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--round-s", type=float, default=0.5)
    parser.add_argument("--pace", choices=("volley", "stream", "both"), default="both")
    given = parser.parse_args()
    names = available(given.servers.split(","))
    allow_descriptors(given.connections + 200)
    head()
    for pace in ("volley", "stream") if given.pace == "both" else (given.pace,):
        print(f"\n{pace}, {given.connections} connections, {given.rounds} rounds of {given.round_s:g} s")
        compare(measure(names, given.connections, given.rounds, given.round_s, pace), names[0])


if __name__ == "__main__":
    main()
