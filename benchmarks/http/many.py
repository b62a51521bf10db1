"""Many clients at once: what an idle keep-alive connection takes, and 10,000 event streams with an event a second each.

    python benchmarks/http/many.py memory [--connections 5000]
    python benchmarks/http/many.py events [--clients 10000] [--seconds 20]

``memory``: each connection has asked once and is kept; shown is what the server's processes grew by, a connection,
beside nginx, granian and uvicorn (the kernel's socket buffers, some 4 KB a side, are in none). ``events``: our server
writes the same event to every client once a second; shown are its CPU, and how long after the tick the events had been
read. The reader is a Python process on the other core, whose own time is in the delays.
"""

from __future__ import annotations

import argparse
import os
import resource
import select
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from peers import LOAD_CORE, NAMES, SERVER_CORE, Peer, available

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

EVENTS = """
import asyncio, sys, time
from hardpoint.http import EventStream, HttpServer
from hardpoint.loop import run
from hardpoint.wire.sse import encode_event

outlets = set()

def start(outlet):
    outlets.add(outlet)
    outlet.on_close = lambda: outlets.discard(outlet)

async def main():
    loop = asyncio.get_running_loop()
    server = HttpServer(lambda request: EventStream(start))
    await loop.create_server(server, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    while True:
        await asyncio.sleep(1 - time.time() % 1)
        event = encode_event(b"%d" % time.monotonic_ns())
        for outlet in list(outlets):
            outlet.write(event)

run(main())
"""


def connect(port: int, count: int) -> list[socket.socket]:
    sockets = []
    for number in range(count):
        sock = socket.socket()
        # Addresses of 127/8, because one has no more than some 28,000 ports to connect from.
        sock.bind((f"127.0.0.{1 + number // 20000}", 0))
        sock.connect(("127.0.0.1", port))
        sock.sendall(GET)
        sockets.append(sock)
    return sockets


def memory(connections: int) -> None:
    print(f"{connections} connections that have asked once; bytes a connection")
    for name in available([NAMES[0], *NAMES[3:6]]):
        peer = Peer(name)
        try:
            for sock in connect(peer.port, 50):  # what is made once is made now
                sock.recv(1000)
                sock.close()
            before = peer.memory_bytes()
            sockets = connect(peer.port, connections)
            for sock in sockets:
                assert sock.recv(1000).startswith(b"HTTP/1.1 200"), name
            print(f"  {name:14}{(peer.memory_bytes() - before) / connections:9.0f}", flush=True)
            for sock in sockets:
                sock.close()
        finally:
            peer.stop()


def events(clients: int, seconds: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(["taskset", "-c", str(SERVER_CORE), sys.executable, "-c", EVENTS, str(port)])
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise SystemExit("the server did not start") from None
        sockets = {sock.fileno(): sock for sock in connect(port, clients)}
        poller = select.epoll()
        for fd, sock in sockets.items():
            sock.setblocking(False)
            poller.register(fd, select.EPOLLIN)
        until = time.monotonic() + 3
        while time.monotonic() < until:  # heads, and the first ticks
            for fd, _ in poller.poll(0.2):
                sockets[fd].recv(65536)
        schedstat = Path(f"/proc/{server.pid}/schedstat")
        before, began = int(schedstat.read_text().split()[0]), time.monotonic()
        delays: list[float] = []
        while time.monotonic() < began + seconds:
            for fd, _ in poller.poll(0.2):
                lines = sockets[fd].recv(65536).split(b"\n")
                now = time.monotonic_ns()
                delays += [(now - int(line[6:])) / 1e6 for line in lines if line.startswith(b"data: ")]
        took = time.monotonic() - began
        cpu = (int(schedstat.read_text().split()[0]) - before) / 1e9
    finally:
        server.terminate()
        server.wait(10)
    delays.sort()
    print(
        f"{clients} clients, {took:.0f} s: {len(delays) / took / clients:.2f} events a second each, server CPU "
        f"{cpu / took:.0%} of a core ({cpu / len(delays) * 1e6:.1f} µs an event)\n"
        f"  delay ms: median {statistics.median(delays):.0f}, p99 {delays[len(delays) * 99 // 100]:.0f}, "
        f"max {delays[-1]:.0f}"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=("memory", "events"))
    options.add_argument("--connections", type=int, default=5000)
    options.add_argument("--clients", type=int, default=10_000)
    options.add_argument("--seconds", type=int, default=20)
    chosen = options.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if chosen.what == "memory":
        memory(chosen.connections)
    else:
        events(chosen.clients, chosen.seconds)


if __name__ == "__main__":
    main()
