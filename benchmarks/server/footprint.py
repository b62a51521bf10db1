"""What the server weighs: time to readiness, idle memory, and memory an attached idle line device.

    python benchmarks/server/footprint.py [--devices 15000] [--starts 5]

Readiness is from the start of the process to the ports file, written once it accepts: the best and the median of
several starts on a data folder that exists. Idle memory is the resident size of the process with its default listeners
and the host's sensors mounted, after the pages were served once. A device's memory is what resident size grows by when
devices attach, divided by their number: first of the connections and sessions alone (the devices exist), and then of
all that a device costs, its record included.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import resource
import socket
import statistics
import tempfile
import time
from pathlib import Path

from running import Hardpoint, hardpoint, rss_bytes

BATCH = 500


def attach(port: int, tokens: list[str]) -> list[socket.socket]:
    """Every device over a connection of its own, greeted and answered."""
    attached = []
    for begin in range(0, len(tokens), BATCH):
        batch = []
        for number, token in enumerate(tokens[begin : begin + BATCH], begin):
            # A source address has some 28,000 ports.
            client = socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.0.{2 + number % 8}", 0))
            client.sendall(b"HELLO %b\n" % token.encode())
            batch.append(client)
        for client in batch:
            answer = b""
            while answer.count(b"\n") < 2:
                answer += client.recv(256)
            assert b"\nOK " in answer, answer
        attached += batch
    return attached


def measure_devices(count: int) -> tuple[float, float, float]:
    """Idle bytes of the process, bytes an attached device of a known one, and bytes of a device in all."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with hardpoint(folder, "--set", "host.enabled=true", "--set", "limits.max_connections=100000") as server:
            serve_pages(server)
            time.sleep(1.0)  # the host's sensors are mounted and read
            idle = rss_bytes(server.pid)
            tokens = server.make_devices(count)
            made_devices = rss_bytes(server.pid)
            attached = attach(server.ports["line"], tokens)
            grown = rss_bytes(server.pid)
            for client in attached:
                client.close()
    return idle, (grown - made_devices) / count, (grown - idle) / count


def serve_pages(server: Hardpoint) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.ports["http"])) as client:
        for path in ("/", "/api/health"):
            client.request("GET", path)
            client.getresponse().read()


def measure_start(starts: int) -> list[float]:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        found = []
        for _ in range(starts + 1):  # the first makes the folder, and compiles what was not compiled yet
            with hardpoint(folder) as server:
                found.append(server.ready_s)
            (folder / "ports.json").unlink()
    return found[1:]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--devices", type=int, default=15_000)
    arguments.add_argument("--starts", type=int, default=5)
    given = arguments.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    starts = measure_start(given.starts)
    print(f"ready after            {min(starts):.3f} s at best, {statistics.median(starts):.3f} s in the median")
    idle, connection, device = measure_devices(min(given.devices, hard - 200))
    print(f"idle process           {idle / 1e6:.1f} MB")
    print(f"an attached device     {connection:,.0f} bytes for its session, {device:,.0f} with its record")


if __name__ == "__main__":
    main()
