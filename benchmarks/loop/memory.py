"""What an idle connection weighs: resident bytes of the server process for each, protocol included.

    python benchmarks/loop/memory.py

A process for each server and round, because memory that was once freed is reused. The kernel's own for a socket is
not in it.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import tempfile
import time
from pathlib import Path

from rig import allow_descriptors, available, compile_c, head, idle_connections, server

SETTLE_S = 0.2
WARM_CONNECTIONS = 64
SPARE_DESCRIPTORS = 200


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def settled(pid: int, clients: list[socket.socket]) -> int:
    """Resident memory once the server has answered on the last of ``clients``, so that all are accepted."""
    for client in (clients[-1], clients[0]):
        client.sendall(b"x\n")
        client.recv(2)
    time.sleep(SETTLE_S)
    return resident_bytes(pid)


def weigh(name: str, connections: int, folder: Path) -> float:
    """Bytes that each of so many idle connections adds to a new process of the server."""
    with server(name, folder) as target:
        warm = idle_connections(target.port, WARM_CONNECTIONS)
        before = settled(target.pid, warm)
        idle = idle_connections(target.port, connections)
        after = settled(target.pid, idle)
        for client in warm + idle:
            client.close()
    return (after - before) / connections


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--servers", default="hardpoint,uvloop,rloop,asyncio", help="comma-separated (%(default)s)")
    parser.add_argument("--idle", type=int, default=15_000, help="connections (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    names = available(given.servers.split(","))
    allow_descriptors(given.idle + WARM_CONNECTIONS + SPARE_DESCRIPTORS)
    head()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        compile_c(folder)
        found = {name: [weigh(name, given.idle, folder) for _ in range(given.rounds)] for name in names}
    print(f"\n{'server':<12}{'min bytes':>12}{'median bytes':>15}   an idle connection, of {given.idle:,}")
    for name, figures in found.items():
        print(f"{name:<12}{min(figures):>12,.0f}{statistics.median(figures):>15,.0f}")


if __name__ == "__main__":
    main()
