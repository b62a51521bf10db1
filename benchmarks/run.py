"""Every benchmark, one after another, for ``make bench``. Some ten minutes; each also runs alone, and explains itself.

python benchmarks/run.py [NAME …] [--quick]
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# Name → script and arguments, and the arguments of a quick look.
BENCHMARKS: dict[str, tuple[list[str], list[str]]] = {
    "loop": (["loop/echo.py"], ["--rounds", "3"]),
    "loop-1000": (["loop/echo.py", "--connections", "1000"], ["--rounds", "3"]),
    "loop-idle": (["loop/idle.py"], ["--rounds", "3"]),
    "loop-tls": (["loop/tls.py"], ["--rounds", "3"]),
    "loop-micro": (["loop/micro.py"], ["--rounds", "3"]),
    "loop-memory": (["loop/memory.py"], ["--idle", "3000", "--rounds", "1"]),
    "http": (["http/hello.py", "get", "post", "file", "paced"], ["--rounds", "2"]),
    "asgi": (["http/hello.py", "asgi", "asgi-post"], ["--rounds", "2"]),
    "http-cpu": (["http/memory.py"], ["--rounds", "5"]),
    "http-memory": (["http/many.py", "memory"], ["--connections", "1000"]),
    "http-events": (["http/many.py", "events"], ["--clients", "2000", "--seconds", "5"]),
    "store": (["store/commits.py"], ["--seconds", "1"]),
    "history": (["store/history.py"], ["--readings", "500000", "--series", "100", "--peer-readings", "200000"]),
    "lines": (["server/lines.py"], ["--rounds", "4"]),
    "tls": (["server/tls.py"], ["--rounds", "2"]),
    "telemetry": (["server/telemetry.py"], ["--rounds", "2"]),
    "rules": (["server/rules.py"], ["--rounds", "2", "--devices", "1000"]),
    "rules-micro": (["server/rules.py", "--micro"], ["--rounds", "2", "--devices", "1000"]),
    "commands": (
        ["server/commands.py"],
        ["--devices", "500", "--rules", "100", "--queued", "2000", "--trips", "100"],
    ),
    "mqtt": (["mqtt/brokers.py"], ["--rounds", "1", "--seconds", "1", "--idle", "2000"]),
    "pages": (["web/list.py"], ["--seconds", "10"]),
    "streams": (["web/streams.py"], ["--seconds", "10"]),
    "footprint": (["server/footprint.py"], ["--devices", "2000"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, not a figure")
    given = parser.parse_args()
    unknown = set(given.names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    print(f"Python {platform.python_version()}, {platform.system()} {platform.release()}, {platform.machine()}")
    failed = []
    for name, (command, quick) in BENCHMARKS.items():
        if given.names and name not in given.names:
            continue
        print(f"\n== {name}: {' '.join(command)}", flush=True)
        arguments = [sys.executable, HERE / command[0], *command[1:], *(quick if given.quick else [])]
        if subprocess.run(arguments, check=False).returncode:
            failed.append(name)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
