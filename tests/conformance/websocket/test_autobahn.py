"""The cases of the Autobahn test suite, run by kosoku (Autobahn's own runner needs Python 2), against both ends.

All of them take half an hour, most of it spent in the 1000 messages of each case of compression. ``AUTOBAHN=all`` runs
every one; without it, one case in six of those is run.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from hardpoint.http import HttpServer, Router, WebSocket, WebSocketOptions
from hardpoint.testing import WebSocketClient
from hardpoint.wire.websocket import DeflateOptions

kosoku = pytest.importorskip("kosoku", reason="kosoku is not installed: make conformance")

pytestmark = [  # kosoku's own
    pytest.mark.filterwarnings("ignore::BytesWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
LARGEST_BYTES = 16 * 1024 * 1024
"""What the cases 9.* send."""
PLAIN = [f"{section}.*" for section in (1, 2, 3, 4, 5, 6, 7, 10)]
LIMITS = [f"9.{part}.{size}" for part in range(1, 7) for size in range(1, 7)] + ["9.7.*", "9.8.*"]
COMPRESSED = [f"{section}.{size}" for section in ("12.1", "12.2", "13.1", "13.3", "13.7") for size in (2, 5)]

UNSPECIFIED = {"7.1.6", "7.13.1", "7.13.2"}
"""What a peer does there is only noted: a close behind a large message, close codes beyond every range."""
STRICT, ACCEPTED = {"OK"}, {"OK", "NON-STRICT"}


def chosen() -> list[str] | None:
    return None if os.environ.get("AUTOBAHN") == "all" else [*PLAIN, *LIMITS, *COMPRESSED]


def judge(results, verdicts: set[str]) -> None:
    wrong = {
        result.case_id: (result.behavior.value, result.behavior_close.value)
        for result in results
        if not (result.passed and (result.behavior.value in verdicts or result.case_id in UNSPECIFIED))
    }
    assert not wrong
    assert len(results) > 280


def test_our_server() -> None:
    router = Router()
    options = WebSocketOptions(max_message_bytes=LARGEST_BYTES, compression=DeflateOptions(max_window_bits=15, level=1))

    @router.websocket("/", options=options)
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    async def scene() -> Any:
        server = HttpServer(router)
        listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        results = await kosoku.run_fuzzingclient(f"ws://127.0.0.1:{port}/", chosen())
        listener.close()
        await server.drain(1)
        return results

    judge(asyncio.run(scene()), STRICT)


def test_our_client() -> None:
    """Its close frame may overtake the echo of a message before it: it is for tests, and reads before it is asked."""

    async def scene() -> Any:
        async with kosoku.run_fuzzingserver(chosen(), port=0) as server:
            async with connecting(server.port, "/getCaseCount") as ws:
                count = int(await ws.receive())
            for case in range(1, count + 1):
                async with connecting(server.port, f"/runCase?case={case}&agent=hardpoint") as ws:
                    try:
                        while True:
                            ws.send(await ws.receive())
                            await ws.drain()
                    except ConnectionError:
                        pass
            async with connecting(server.port, "/updateReports?agent=hardpoint") as ws:
                await ws.closed()
            return await server.get_result()

    judge(asyncio.run(scene()), ACCEPTED)


def connecting(port: int, path: str) -> WebSocketClient:
    options = DeflateOptions(max_window_bits=15, level=1)
    return WebSocketClient("127.0.0.1", port, path, compression=options, timeout_s=60)
