"""Servers as processes, each in a folder of its own; what they log must be expected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import ServerProcess

Serve = Callable[..., ServerProcess]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """``serve(*arguments)`` starts a server. At the end it is ended, and its log holds what the test expected."""
    started: list[ServerProcess] = []

    def start(*arguments: str, folder: Path | None = None, **options: object) -> ServerProcess:
        server = ServerProcess(folder or tmp_path / f"data{len(started)}", *arguments, **options)  # type: ignore[arg-type]
        started.append(server)
        return server.start()

    try:
        yield start
    finally:
        for server in started:
            server.end()
    for server in started:
        assert server.unexpected_log() == []


@pytest.fixture
def server(serve: Serve) -> ServerProcess:
    """A server with the embedded defaults on free ports."""
    return serve()
