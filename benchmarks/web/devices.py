"""Devices that report while pages are open: what both benchmarks of the pages share."""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "server"))  # for `running`

if TYPE_CHECKING:
    from running import Hardpoint

LABELS = ("north", "south", "east", "west")


def make_devices(server: Hardpoint, count: int) -> list[str]:
    """Their tokens; a quarter of them has each label."""
    return [
        str(
            server.call(
                "POST", "/api/devices", {"name": f"device-{n:03}", "labels": {"site": LABELS[n % len(LABELS)]}}
            )["token"]
        )
        for n in range(count)
    ]


class Reports:
    """Every device over a line connection of its own; together they send ``per_s`` readings a second, evenly."""

    def __init__(self, port: int, tokens: list[str], per_s: float) -> None:
        self._connections = []
        for token in tokens:
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(b"HELLO %b\n" % token.encode())
            self._connections.append(connection)
        self._gap_s = 1 / per_s
        self._stop = threading.Event()
        self.sent = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        due = time.perf_counter()
        while not self._stop.is_set():
            connection = self._connections[self.sent % len(self._connections)]
            connection.sendall(b"temp=%.1f\n" % (20 + self.sent % 97 / 10))
            self.sent += 1
            if self.sent % 100 == 0:
                self._drain()
            due += self._gap_s
            self._stop.wait(max(0.0, due - time.perf_counter()))

    def _drain(self) -> None:
        for connection in select.select(self._connections, [], [], 0)[0]:
            connection.recv(65536)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        for connection in self._connections:
            connection.close()


@contextlib.contextmanager
def reporting(server: Hardpoint, tokens: list[str], per_s: float) -> Iterator[Reports]:
    """They report while the block runs."""
    reports = Reports(server.ports["line"], tokens, per_s)
    reports.start()
    try:
        yield reports
    finally:
        reports.stop()
