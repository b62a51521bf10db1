"""What a durable reading costs over the line dialect: 64 connections, one reading a line, each waiting for its ``OK``.

    python benchmarks/server/lines.py [--rounds 12] [--seconds 2] [--connections 64]

Beside it, in turns on the same core, the 40 lines of C on epoll that only echo the same lines. The ratio is server CPU
(user and system time of all threads) a message; both servers run on one core, the load on the other. What is *not*
measured: latency of the disk (it is waited for, not computed with), and the host's own sensors.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from running import LOAD_CORE, SERVER_CORE, compile_c, cpu_s, hardpoint

HERE = Path(__file__).parent


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--rounds", type=int, default=12)
    arguments.add_argument("--seconds", type=float, default=2.0)
    arguments.add_argument("--connections", type=int, default=64)
    arguments.add_argument("--serve", default="", help="further arguments of hardpoint serve")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        load = compile_c(HERE / "line_load.c", folder)
        echo = subprocess.Popen(
            [compile_c(HERE.parent / "loop" / "epoll_echo.c", folder)], stdout=subprocess.PIPE, text=True
        )
        os.sched_setaffinity(echo.pid, {SERVER_CORE})
        assert echo.stdout is not None
        echo_port = int(echo.stdout.readline())
        costs: dict[str, list[float]] = {"c epoll echo": [], "hardpoint, durable": []}
        rates: dict[str, list[float]] = {name: [] for name in costs}
        try:
            with hardpoint(folder, *given.serve.split()) as server:
                tokens = folder / "tokens"
                tokens.write_text("\n".join(server.make_devices(given.connections)) + "\n")
                for _ in range(given.rounds):
                    for name, pid, port, extra in (
                        ("c epoll echo", echo.pid, echo_port, []),
                        ("hardpoint, durable", server.pid, server.ports["line"], [tokens]),
                    ):
                        before = cpu_s(pid)
                        output = subprocess.run(
                            [
                                "taskset",
                                "-c",
                                str(LOAD_CORE),
                                load,
                                str(port),
                                str(given.connections),
                                str(given.seconds),
                                *extra,
                            ],
                            check=True,
                            stdout=subprocess.PIPE,
                        ).stdout
                        costs[name].append((cpu_s(pid) - before) / int(output) * 1e6)
                        rates[name].append(int(output) / given.seconds)
        finally:
            echo.kill()
            echo.wait()
    base = costs["c epoll echo"]
    print(f"{'server':<20} {'µs/message min':>15} {'median':>8} {'ratio':>7} {'messages/s':>11}")
    for name, values in costs.items():
        ratio = statistics.median(value / c for value, c in zip(values, base, strict=True))
        print(
            f"{name:<20} {min(values):>15.2f} {statistics.median(values):>8.2f} {ratio:>7.2f} "
            f"{statistics.median(rates[name]):>11,.0f}"
        )


if __name__ == "__main__":
    main()
