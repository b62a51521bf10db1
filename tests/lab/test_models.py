"""Each model serves in a process of its own: the same service, answered the same way."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hardpoint.lab.children import Child
from hardpoint.lab.models import MODELS

DEADLINE_S = 60.0


@contextmanager
def serving(model: str) -> Iterator[tuple[Child, int]]:
    with Child("server", model) as server:
        yield server, server.ask()["port"]


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)


def read_lines(connection: socket.socket, count: int) -> list[bytes]:
    data = b""
    while data.count(b"\n") < count:
        more = connection.recv(4096)
        assert more, "the server closed"
        data += more
    return data.splitlines()


def until(server: Child, **wanted: Any) -> dict[str, Any]:
    end = time.monotonic() + DEADLINE_S
    while True:
        told: dict[str, Any] = server.ask()
        if all(told[key] == value for key, value in wanted.items()):
            return told
        assert time.monotonic() < end, told


@pytest.mark.parametrize("model", MODELS)
def test_each_model_answers_every_line_of_every_connection(model: str) -> None:
    with serving(model) as (server, port), dial(port) as one, dial(port) as other:
        one.sendall(b"temp?\ntemp?\nte")
        other.sendall(b"x\n")
        assert len(read_lines(one, 2)) == 2
        assert len(read_lines(other, 1)) == 1
        one.sendall(b"mp?\n")
        (answer,) = read_lines(one, 1)
        assert -100 < float(answer) < 150
        until(server, served=2, refused=0, why=None)


@pytest.mark.parametrize("model", MODELS)
def test_a_peer_that_goes_harms_no_other(model: str) -> None:
    with serving(model) as (server, port), dial(port) as stays:
        dial(port).close()
        reset = dial(port)
        reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        reset.close()
        until(server, served=3)
        stays.sendall(b"temp?\n")
        assert read_lines(stays, 1)
        assert server.ask()["refused"] == 0
