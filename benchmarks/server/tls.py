"""What TLS adds over the line dialect: a durable reading, a handshake, and an idle connection, beside the same without.

    python benchmarks/server/tls.py [--rounds 8] [--seconds 2] [--connections 64] [--idle 1000]

Server CPU (user and system time of all threads) on one core; the load, one process of Python with blocking sockets, on
the other. A message is a reading on each of the connections, sent to all of them and then waited for. A handshake is a
connection made, greeted and closed: *full* by a client that was never here, *resumed* by one with a ticket (TLS 1.3).
Memory is what the resident size grows by when connections attach, divided by their number. What is *not* measured: the
client's cost, which on a microcontroller is what decides, and bulk, where OpenSSL's ciphers are all there is.
"""

from __future__ import annotations

import argparse
import os
import socket
import ssl
import statistics
import tempfile
import time
from pathlib import Path

from running import LOAD_CORE, Hardpoint, cpu_s, hardpoint, rss_bytes

READING = b"temp=21.5\n"


def attach(port: int, token: str, context: ssl.SSLContext | None) -> socket.socket:
    """A device, greeted and answered."""
    client = connect(port, context)
    client.sendall(b"HELLO %b\n" % token.encode())
    read_lines(client, 2)
    return client


def connect(port: int, context: ssl.SSLContext | None, session: ssl.SSLSession | None = None) -> socket.socket:
    raw = socket.create_connection(("127.0.0.1", port))
    if context is None:
        return raw
    return context.wrap_socket(raw, server_hostname="localhost", session=session)


def read_lines(client: socket.socket, count: int) -> None:
    answer = b""
    while answer.count(b"\n") < count:
        answer += client.recv(4096)


def message_us(server: Hardpoint, clients: list[socket.socket], seconds: float) -> float:
    before, messages, until = cpu_s(server.pid), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        for client in clients:
            client.sendall(READING)
        for client in clients:
            read_lines(client, 1)
        messages += len(clients)
    return (cpu_s(server.pid) - before) / messages * 1e6


def handshake_us(server: Hardpoint, context: ssl.SSLContext | None, seconds: float, *, resumed: bool = False) -> float:
    port = server.ports["line" if context is None else "lines"]
    session = None
    before, made, until = cpu_s(server.pid), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        with connect(port, context, session) as client:
            read_lines(client, 1)
            if resumed and isinstance(client, ssl.SSLSocket):
                session = client.session
        made += 1
    return (cpu_s(server.pid) - before) / made * 1e6


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--rounds", type=int, default=8)
    arguments.add_argument("--seconds", type=float, default=2.0)
    arguments.add_argument("--connections", type=int, default=64)
    arguments.add_argument("--idle", type=int, default=1000)
    arguments.add_argument("--serve", default="", help="further arguments of hardpoint serve")
    given = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory() as made,
        hardpoint(Path(made), "--listen", "lines://127.0.0.1:0", *given.serve.split()) as server,
    ):
        os.sched_setaffinity(0, {LOAD_CORE})
        context = ssl.create_default_context(cafile=server.data / "tls" / "ca.pem")
        tokens = server.make_devices(given.connections)
        contexts = {"line": None, "lines": context}
        clients = {
            scheme: [attach(server.ports[scheme], token, contexts[scheme]) for token in tokens] for scheme in contexts
        }
        costs: dict[str, list[float]] = {}
        for _ in range(given.rounds):
            for scheme, used in contexts.items():
                costs.setdefault(f"{scheme}: reading", []).append(message_us(server, clients[scheme], given.seconds))
                costs.setdefault(f"{scheme}: connection", []).append(handshake_us(server, used, given.seconds))
            resumed = handshake_us(server, context, given.seconds, resumed=True)
            costs.setdefault("lines: connection, resumed", []).append(resumed)
        print(f"{'':<28} {'µs min':>8} {'median':>8}")
        for name, values in costs.items():
            print(f"{name:<28} {min(values):>8.1f} {statistics.median(values):>8.1f}")
        for scheme, used in contexts.items():
            before = rss_bytes(server.pid)
            idle = [connect(server.ports[scheme], used) for _ in range(given.idle)]
            for client in idle:
                read_lines(client, 1)
            print(
                f"{scheme + ': idle connection':<28} {(rss_bytes(server.pid) - before) / given.idle / 1024:>8.1f} KiB"
            )
            for client in idle:
                client.close()
        for each in clients.values():
            for client in each:
                client.close()


if __name__ == "__main__":
    main()
