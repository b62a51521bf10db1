"""Real libraries, as they come from the index, on our loop: nothing in them or in us is adapted to the other."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hardpoint.loop import Loop

HERE = Path(__file__).parent
CERTIFICATE = HERE.parent.parent / "loop" / "localhost.pem"
DEADLINE_S = 60.0

T = TypeVar("T")
OnOurs = Callable[[Coroutine[Any, Any, T]], T]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.conformance)


@pytest.fixture
def ours() -> OnOurs[Any]:
    """Run a coroutine on our loop. Anything that reaches the loop's exception handler fails the test."""
    complaints: list[dict[str, Any]] = []

    def made() -> Loop:
        loop = Loop()
        loop.set_exception_handler(lambda _loop, context: complaints.append(context))
        return loop

    def run(coro: Coroutine[Any, Any, T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(DEADLINE_S):
                return await coro

        with asyncio.Runner(loop_factory=made) as runner:
            result = runner.run(bounded())
        assert complaints == []
        return result

    return run


@pytest.fixture
def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


@pytest.fixture
def client_tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=CERTIFICATE)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def program(name: str, *folders: Path) -> str:
    """The path of a program; the test is skipped where there is none."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", *map(str, folders)])
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextmanager
def running(command: list[str], port: int, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A server's process, from when it accepts on the port on."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, **more)
        try:
            end = time.monotonic() + DEADLINE_S
            while not accepts(port):
                if process.poll() is not None or time.monotonic() > end:
                    said.seek(0)
                    pytest.fail(f"{command[0]} does not accept: {said.read().decode(errors='replace')[-2000:]}")
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
    except OSError:
        return False
    return True
