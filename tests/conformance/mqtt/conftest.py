"""Servers that real MQTT clients, unmodified, talk to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "e2e"))

from serving import ServerProcess  # noqa: E402 - found by the line above


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.conformance)


def started(folder: Path, *arguments: str) -> Iterator[ServerProcess]:
    server = ServerProcess(folder / "data", "--listen", "mqtt://127.0.0.1:0", *arguments)
    try:
        yield server.start()
    finally:
        server.end()
    assert server.log == ""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One where devices sign in."""
    yield from started(tmp_path_factory.mktemp("closed"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A plain open broker."""
    yield from started(tmp_path_factory.mktemp("open"), "--allow-anonymous", "--set", "mqtt.max_keep_alive_s=60")
