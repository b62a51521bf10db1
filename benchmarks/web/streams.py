"""What open dashboards cost the server while devices report.

    python benchmarks/web/streams.py [--streams 200] [--shared 0] [--devices 500] [--per-s 200] [--seconds 30]

First without anybody looking, then with so many live streams open; the difference is what they cost, as a share of a
core. ``--shared`` of them are a shared dashboard's, which get the eight series on it and are chosen event by event; the
others get everything, as every signed-in page does. A stream here reads all it is sent and looks at none of it.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import tempfile
import threading
import time
from pathlib import Path

from devices import make_devices, reporting
from running import Hardpoint, cpu_s, hardpoint


class Streams:
    """Open live streams that are read on a thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._open: list[socket.socket] = []
        self.received_bytes = 0

    def add(self, port: int, path: str, header: str) -> None:
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode())
        head = connection.recv(4096)
        if b" 200 " not in head.splitlines()[0]:
            raise SystemExit(f"{path}: {head.decode()}")
        self._selector.register(connection, selectors.EVENT_READ)
        self._open.append(connection)

    def _run(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.2):
                self.received_bytes += len(key.fileobj.recv(1 << 16))  # type: ignore[union-attr]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        for connection in self._open:
            connection.close()


def share_of_core(server: Hardpoint, seconds: float) -> float:
    """Percent of a core that the server takes."""
    before, began = cpu_s(server.pid), time.perf_counter()
    time.sleep(seconds)
    return 100 * (cpu_s(server.pid) - before) / (time.perf_counter() - began)


def open_streams(server: Hardpoint, count: int, shared: int) -> Streams:
    """``count`` streams, ``shared`` of them a shared dashboard's."""
    streams, port = Streams(), server.ports["http"]
    token = server.call("POST", "/api/tokens", {"name": "bench", "role": "viewer"})["token"]
    cards = [{"kind": "value", "id": f"c{n}", "device": f"device-{n:03}", "key": "temp"} for n in range(8)]
    board = server.call("POST", "/api/dashboards", {"name": "bench", "cards": cards})
    link = server.call("POST", f"/api/dashboards/{board['id']}/links", {})
    for n in range(count):
        if n < shared:
            streams.add(port, f"/api/shared/{link['id']}/live", f"Cookie: hardpoint_link={link['secret']}")
        else:
            streams.add(port, "/api/live", f"Authorization: Bearer {token}")
    return streams


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--shared", type=int, default=0)
    parser.add_argument("--devices", type=int, default=500)
    parser.add_argument("--per-s", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=30)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, hardpoint(Path(made)) as server:
        tokens = make_devices(server, args.devices)
        with reporting(server, tokens, args.per_s):
            time.sleep(2)
            alone = share_of_core(server, args.seconds)
            streams = open_streams(server, args.streams, args.shared)
            streams.start()
            time.sleep(2)
            received = streams.received_bytes
            watched = share_of_core(server, args.seconds)
            each_s = (streams.received_bytes - received) / args.seconds / max(1, args.streams)
            streams.stop()
        print(
            f"{args.devices} devices, {args.per_s:g} readings/s; {args.streams} streams, {args.shared} of them shared"
        )
        print(f"nobody looks {alone:.1f} % of a core, all look {watched:.1f} %: they cost {watched - alone:.1f} %")
        print(f"a stream is sent {each_s / 1000:.1f} kB/s")


if __name__ == "__main__":
    main()
