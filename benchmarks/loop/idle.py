"""What idle connections add to a message: CPU a message beside 15,000 of them, against beside 100.

    python benchmarks/loop/idle.py

Two servers of each kind run at once, one with few idle connections and one with many, and take turns under volleys of
64 active ones (rig.py says why). Ratios are to the same server with few.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from pathlib import Path

from rig import (
    Round,
    allow_descriptors,
    available,
    compare,
    compile_c,
    cores,
    head,
    idle_connections,
    play,
    server,
    take_turns,
)

SPARE_DESCRIPTORS = 500


def measure(name: str, counts: tuple[int, int], active: int, rounds: int, round_s: float) -> dict[str, list[Round]]:
    """Rounds of the server beside each number of idle connections, in turns."""
    labels = [f"{name} + {count:,}" for count in counts]
    found: dict[str, list[Round]] = {label: [] for label in labels}
    with tempfile.TemporaryDirectory() as made, contextlib.ExitStack() as stack:
        folder = Path(made)
        compile_c(folder)
        running = {}
        for label, count in zip(labels, counts, strict=True):
            each = stack.enter_context(server(name, folder))
            for connection in idle_connections(each.port, count):
                stack.enter_context(connection)
            running[label] = each

        def one(label: str) -> Round:
            return play(running[label], cores()[0], [folder / "load", running[label].port, active, round_s, "volley"])

        take_turns(found, rounds, one)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--servers", default="hardpoint,asyncio", help="comma-separated (%(default)s)")
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--many", type=int, default=15_000)
    parser.add_argument("--active", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--round-s", type=float, default=0.5)
    given = parser.parse_args()
    names = available(given.servers.split(","))
    allow_descriptors(given.few + given.many + given.active + SPARE_DESCRIPTORS)
    head()
    for name in names:
        print(f"\n{given.active} active connections in volleys, {given.rounds} rounds of {given.round_s:g} s")
        found = measure(name, (given.few, given.many), given.active, given.rounds, given.round_s)
        compare(found, next(iter(found)))


if __name__ == "__main__":
    main()
