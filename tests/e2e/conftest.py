"""Servers as processes, each in a folder of its own; what they log must be expected."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Account, Serve, ServerProcess


def servers(base: Path) -> Iterator[Serve]:
    started: list[ServerProcess] = []

    def start(*arguments: str, folder: Path | None = None, **options: Any) -> ServerProcess:
        server = ServerProcess(folder or base / f"data{len(started)}", *arguments, **options)
        started.append(server)
        return server.start()

    try:
        yield start
    finally:
        for server in started:
            server.end()
    for server in started:
        assert server.unexpected_log() == [], "\n".join(server.unexpected_log())


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """``serve(*arguments)`` starts a server. At the end it is ended, and its log holds what the test expected."""
    yield from servers(tmp_path)


@pytest.fixture
def server(serve: Serve) -> ServerProcess:
    """A server with the embedded defaults on free ports, for this test alone."""
    return serve()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server for all tests of a module: a start costs half a second."""
    for start in servers(tmp_path_factory.mktemp("shared")):
        yield start()


@pytest.fixture
def device(shared: ServerProcess) -> Account:
    """A device of the shared server for this test alone."""
    name = f"device-{next(_numbers)}"
    return Account(name, shared.api.add_device(name))


_numbers = itertools.count(1)
