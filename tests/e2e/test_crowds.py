"""Many at once: 15,000 idle devices, and more connections than there are descriptors."""

from __future__ import annotations

import contextlib
import resource
import selectors
import socket
from typing import TYPE_CHECKING

import pytest
from serving import DEADLINE_S, wait_until
from talking import HttpDevice, LineDevice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving import Serve, ServerProcess

CROWD = 15_000
SPARE_DESCRIPTORS = 500
"""For everything else this process and the server have open."""
SOURCES = [f"127.0.0.{number}" for number in range(2, 10)]
"""Each address has 28,000 ports of its own, some of them still waiting after the test before."""
MOST_BYTES_EACH = 1536
"""Of process memory an attached idle line device."""


def crowd_size() -> int:
    """As many as descriptors allow, after asking for as many as one may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(CROWD, hard - SPARE_DESCRIPTORS)


@contextlib.contextmanager
def attached(server: ServerProcess, count: int) -> Iterator[list[socket.socket]]:
    """So many devices, ``d0``, ``d1`` …, each of which was told that it is attached."""
    socks: list[socket.socket] = []
    try:
        for number in range(count):
            sock = socket.socket()
            sock.bind((SOURCES[number % len(SOURCES)], 0))
            sock.connect(("127.0.0.1", server.ports["line"]))
            sock.sendall(b"HELLO d%d\n" % number)
            socks.append(sock)
        for number, sock in enumerate(socks):
            sock.settimeout(DEADLINE_S)
            received = b""
            while not received.endswith(b"OK d%d\n" % number):
                received += (data := sock.recv(4096))
                assert data, received
        yield socks
    finally:
        for sock in socks:
            sock.close()


def make_devices(server: ServerProcess, count: int) -> None:
    """One connection is each of them in turn: an anonymous device is made when it first says HELLO."""
    with LineDevice(server.ports["line"], "d0") as device:
        for first in range(1, count, 1000):
            names = [f"d{number}" for number in range(first, min(first + 1000, count))]
            device.send(*(f"HELLO {name}" for name in names))
            for name in names:
                assert device.read() == f"OK {name}"


def devices_connected(server: ServerProcess) -> int:
    for line in server.api.get("/metrics").splitlines():
        if line.startswith("hardpoint_devices_connected "):
            return int(float(line.split()[1]))
    raise AssertionError("no such metric")


@pytest.mark.slow
def test_fifteen_thousand_idle_devices(serve: Serve) -> None:
    count = crowd_size()
    server = serve("--allow-anonymous")
    make_devices(server, count)
    # Started anew, so that what it costs to know a device is not counted as what it costs to be connected to one.
    assert server.stop() == 0
    server.start()
    devices_connected(server)  # imports what it needs before memory is compared
    before, cpu_s = server.memory_bytes(), server.cpu_s()
    with attached(server, count) as socks:
        wait_until(lambda: devices_connected(server) == count)
        each = (server.memory_bytes() - before) / count
        print(f"{each:.0f} bytes a device, {(server.cpu_s() - cpu_s) / count * 1e6:.0f} µs to attach one")
        assert each <= MOST_BYTES_EACH
        # Among all of them, one that says something is heard at once, and so is one that comes now.
        socks[count // 2].sendall(b"temp=21.5\n")
        assert socks[count // 2].recv(100) == b"OK 1\n"
        with LineDevice(server.ports["line"], "late", source=SOURCES[0]) as late:
            assert late.ask("temp=1") == "OK 1"
        with HttpDevice(server.ports["http"], "late") as late_http:
            assert late_http.post("telemetry", {"temp": 2})[0] == 200
    wait_until(lambda: devices_connected(server) == 0)
    assert server.stop() == 0


def test_running_out_of_descriptors(serve: Serve) -> None:
    server = serve(descriptors=64)
    server.expected_log = [r"ERROR hardpoint: no descriptor is left"]
    with LineDevice(server.ports["line"], server.first_token) as device, selectors.DefaultSelector() as selector:
        assert device.ask("n=0") == "OK 1"
        crowd = [socket.create_connection(("127.0.0.1", server.ports["line"]), DEADLINE_S) for _ in range(100)]
        wait_until(lambda: server.descriptors() >= 64, "every descriptor is in use")
        for sock in crowd:
            selector.register(sock, selectors.EVENT_READ)
        greeted = len(selector.select(DEADLINE_S))
        assert 0 < greeted < 100, "some were accepted, the others wait in the kernel's queue"
        for number in range(1, 50):
            assert device.ask(f"n={number}") == "OK 1", "who is there goes on"
        for sock in crowd[:60]:
            sock.close()
        # Those that waited are accepted now, and so is a new one.
        for sock in crowd[60:]:
            assert sock.recv(1024).startswith(b"hardpoint ")
            sock.close()
        with LineDevice(server.ports["line"], server.first_token) as late:
            assert late.ask("n=50") == "OK 1"
    assert [value for _, value in server.api.readings("first-device", "n")] == list(range(51))
    assert server.log.count("\n") == 1, "said once, however long it lasts"
