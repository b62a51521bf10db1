"""schemathesis against our own OpenAPI document: requests it makes up, answers held to what the document promises."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from hardpoint import Server
from hardpoint.loop import Loop

schemathesis = pytest.importorskip("schemathesis")
pytestmark = pytest.mark.conformance

NOT_CALLED = {
    "/api/live": "never ends",
    "/api/v1/{token}/attributes/updates": "waits for something to happen",
    "/api/v1/{token}/rpc": "waits for something to happen",
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The whole server; the door where everybody is the administrator, on a TCP port."""
    folder: Path = tmp_path_factory.mktemp("data")
    ready, stop = threading.Event(), asyncio.Event()
    found: list[object] = []

    async def serve() -> None:
        async with Server(data=folder, listen=["http://127.0.0.1:0"]) as server:
            loop = asyncio.get_running_loop()
            listener = await loop.create_server(server._running.local_http, "127.0.0.1", 0)
            found.extend([loop, listener.sockets[0].getsockname()[1]])
            ready.set()
            await stop.wait()
            listener.close()

    def run() -> None:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(20)
    yield f"http://127.0.0.1:{found[1]}"
    found[0].call_soon_threadsafe(stop.set)  # type: ignore[attr-defined]
    thread.join(20)


@pytest.mark.slow
def test_every_operation(base: str) -> None:
    schema = schemathesis.openapi.from_url(f"{base}/api/openapi.json")
    called = 0
    failures: list[str] = []
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path in NOT_CALLED:
            continue
        called += 1

        @hypothesis.settings(
            max_examples=15,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def ask(case: object) -> None:
            answer = case.call()  # type: ignore[attr-defined]
            # Whatever is asked: an answer, never a failure of ours.
            assert answer.status_code < 500 or answer.status_code in (501, 503, 504, 507), answer.text

        try:
            ask()
        except AssertionError as error:
            failures.append(f"{operation.method} {operation.path}: {error}")
    assert called > 15
    assert not failures, "\n".join(failures)
