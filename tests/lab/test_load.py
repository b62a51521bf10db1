"""The load against a server of the test's own, that answers when it is told to."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from hardpoint.lab import load
from hardpoint.lab.costs import cpu_s, resident_bytes
from hardpoint.lab.crowd import Crowd
from hardpoint.lab.load import Load

MOST_RUNS = 10
"""Each of 0.3 s, of which a busy machine may take half away: one must keep the rate, and none go beyond it."""


class Server:
    """Answers nothing until `open` is set."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.open = threading.Event()
        self.threads: list[threading.Thread] = []

    def serve(self, connections: int) -> None:
        for _ in range(connections):
            connection, _ = self.listener.accept()
            thread = threading.Thread(target=self.converse, args=(connection,))
            thread.start()
            self.threads.append(thread)

    def converse(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1024):
                    self.open.wait(60)
                    connection.sendall(b"1.0\n" * data.count(b"\n"))
            except ConnectionError:
                pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.open.set()
    made.listener.close()
    for thread in made.threads:
        thread.join(60)


@pytest.fixture
def asking(server: Server) -> Iterator[Load]:
    made = Load(os.getpid(), server.port, 2)
    server.serve(2)
    yield made
    made.close()


def test_lines_are_sent_at_the_rate_and_answered(server: Server, asking: Load) -> None:
    server.open.set()
    for _ in range(MOST_RUNS):
        told = asking.run({"rate": 100, "seconds": 0.3})
        assert told["answered"] <= 31
        if told["answered"] >= 20:
            break
    assert told["answered"] >= 20
    assert len(told["waits_us"]) >= told["answered"]
    assert told["seconds"] >= 0.3
    assert told["cpu_s"] > 0


def test_an_answer_that_never_comes_counts_as_a_long_wait(
    server: Server, asking: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "DRAIN_S", 0.1)
    told = asking.run({"rate": 100, "seconds": 0.2})
    assert told["answered"] == 0
    assert len(told["waits_us"]) == 2
    assert min(told["waits_us"]) >= 250_000


def test_a_late_answer_falls_into_no_later_measurement(
    server: Server, asking: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "DRAIN_S", 0.1)
    asking.run({"rate": 100, "seconds": 0.5})
    server.open.set()
    began = time.perf_counter()
    told = asking.run({"rate": 100, "seconds": 0.2})
    assert max(told["waits_us"]) <= (time.perf_counter() - began) * 1e6, "no wait began before this measurement"


def test_a_server_that_closes_is_an_error(server: Server, asking: Load) -> None:
    server.listener.close()
    for asker in asking._askers:
        asker.sock.shutdown(socket.SHUT_RD)
    with pytest.raises(ConnectionResetError):
        asking.run({"rate": 100, "seconds": 0.2})


def test_a_crowd_grows_and_says_why_it_cannot(server: Server) -> None:
    crowd = Crowd(server.port)
    try:
        assert crowd.grow({"hold": 3}) == {"held": 3, "why": None}
        assert crowd.grow({"hold": 2}) == {"held": 3, "why": None}
        server.listener.close()
        told = crowd.grow({"hold": 4})
        assert told["held"] == 3
        assert "refused" in told["why"]
    finally:
        crowd.close()


def test_costs_are_of_the_whole_process() -> None:
    before = cpu_s(os.getpid())
    thread = threading.Thread(target=lambda: sum(range(2_000_000)))
    thread.start()
    thread.join()
    assert cpu_s(os.getpid()) - before > 0.005
    assert resident_bytes(os.getpid()) > 5_000_000
