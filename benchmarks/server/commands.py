"""How long a command takes to a device and back over lines, idle and under load, and what 100,000 queued ones change.

    python benchmarks/server/commands.py [--devices 5000] [--rules 1000] [--queued 100000] [--trips 1000]

A trip is ``POST /api/devices/{id}/commands`` with ``wait_s`` over a kept connection, from the first byte sent to the
last one received: stored, sent to the device, answered by it, stored again. The load is that of `rules.py`: every
device sends four readings a second in one line (5,000 devices: 20,000 readings/s) under 1,000 rules. The server has a
core; the load, which is a process of its own, and the two ends of the trip share the other, so the machine's own
delays are in the figures: read the median and the 99th percentile together. What waits is queued to absent devices,
and the same trips are made again; the CPU of a reading stands beside them. What is *not* measured: a network.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import socket
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rules import Crowd, rule
from running import LOAD_CORE, Hardpoint, cpu_s, hardpoint

PER_DEVICE = 1000
"""Commands queued to one absent device."""
QUEUERS = 16
"""Callers at a time that queue them: they share commits."""


class Trip:
    """A device that answers at once, and a caller."""

    def __init__(self, server: Hardpoint) -> None:
        token = server.call("POST", "/api/devices", {"name": "obeys"})["token"]
        self._device = socket.create_connection(("127.0.0.1", server.ports["line"]))
        self._device.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self._device.makefile("rb")
        self._device.sendall(f"HELLO {token}\n".encode())
        self._lines.readline(), self._lines.readline()
        self._caller = caller(server)
        threading.Thread(target=self._obey, daemon=True).start()

    def _obey(self) -> None:
        for line in self._lines:
            if line.startswith(b"!"):
                self._device.sendall(line.split(b" ", 1)[0] + b" OK 1\n")

    def times_ms(self, trips: int) -> list[float]:
        """So many trips, one after another, a few milliseconds apart: the load comes in between."""
        found = []
        for _ in range(trips):
            begun = time.perf_counter()
            answer = post(self._caller, "obeys", {"method": "go", "wait_s": 30})
            found.append(1000 * (time.perf_counter() - begun))
            if answer["state"] != "done":
                raise SystemExit(f"a command ended {answer['state']}")
            time.sleep(0.003)
        return sorted(found)


def caller(server: Hardpoint) -> http.client.HTTPConnection:
    """A kept connection of this machine's administrator."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(server.data / "hardpoint.sock"))
    return connection


def post(connection: http.client.HTTPConnection, device: str, body: dict[str, object]) -> dict[str, object]:
    connection.request("POST", f"/api/devices/{device}/commands", json.dumps(body))
    response = connection.getresponse()
    answer: dict[str, object] = json.loads(response.read())
    if response.status >= 300:
        raise SystemExit(f"POST commands: {answer}")
    return answer


def load(crowd: Crowd, devices: int, stop: multiprocessing.synchronize.Event, readings: multiprocessing.Queue) -> None:
    """The crowd, in a process of its own, until it is to stop; what it has sent since."""
    count = 0
    while not stop.is_set():
        count += crowd.round(0.5, devices)
    readings.put(count)


def measure(name: str, server: Hardpoint, crowd: Crowd, trip: Trip, given: argparse.Namespace) -> None:
    """Trips without and with the load."""
    show(f"{name}, idle", trip.times_ms(given.trips), "")
    stop, readings = multiprocessing.Event(), multiprocessing.Queue()
    process = multiprocessing.Process(target=load, args=(crowd, given.devices, stop, readings))
    before, begun = cpu_s(server.pid), time.monotonic()
    process.start()
    times = trip.times_ms(given.trips)
    stop.set()
    sent = readings.get()
    process.join()
    cpu_us = (cpu_s(server.pid) - before) / sent * 1e6
    rate = sent / (time.monotonic() - begun)
    show(f"{name}, under load", times, f"{rate:>7.0f} readings/s at {cpu_us:.2f} µs (trips included)")


def show(name: str, times_ms: list[float], more: str) -> None:
    p99 = times_ms[int(len(times_ms) * 0.99)]
    median = statistics.median(times_ms)
    print(f"{name:<28} {median:>6.2f} ms median {p99:>6.2f} ms p99 {times_ms[-1]:>7.2f} ms max  {more}", flush=True)


def queue(server: Hardpoint, count: int) -> None:
    """Commands to devices that are never there."""
    names = [f"absent-{number}" for number in range(-(-count // PER_DEVICE))]
    for name in names:
        server.call("POST", "/api/devices", {"name": name})
    begun = time.monotonic()

    def fill(part: int) -> None:
        connection = caller(server)
        for number in range(part, count, QUEUERS):
            post(connection, names[number // PER_DEVICE], {"method": "go", "params": number, "ttl_s": 86_400})
        connection.close()

    with ThreadPoolExecutor(QUEUERS) as pool:
        list(pool.map(fill, range(QUEUERS)))
    print(f"{count} commands queued in {time.monotonic() - begun:.1f} s")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--devices", type=int, default=5000)
    arguments.add_argument("--rules", type=int, default=1000)
    arguments.add_argument("--queued", type=int, default=100_000)
    arguments.add_argument("--trips", type=int, default=1000)
    given = arguments.parse_args()
    multiprocessing.set_start_method("fork")  # the crowd's connections go with it
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        limits = ("--set", f"limits.max_open_commands_per_device={PER_DEVICE}")
        with hardpoint(folder, *limits) as server:
            os.sched_setaffinity(0, {LOAD_CORE})
            crowd = Crowd(server, given.devices)
            for number in range(given.rules):
                server.call("POST", "/api/rules", rule(number))
            trip = Trip(server)
            trip.times_ms(50)
            measure("nothing queued", server, crowd, trip, given)
            queue(server, given.queued)
            measure(f"{given.queued} queued", server, crowd, trip, given)
            crowd.close()
        (folder / "ports.json").unlink()
        with hardpoint(folder, *limits) as server:
            print(f"ready again with them after {server.ready_s:.2f} s")


if __name__ == "__main__":
    main()
