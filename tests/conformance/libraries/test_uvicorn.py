"""uvicorn serving an ASGI application on our loop, chosen by the option that it has for that."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from hardpoint.loop import Loop

from .conftest import free_port, running

uvicorn = pytest.importorskip(
    "uvicorn", minversion="0.36", reason="no uvicorn whose --loop takes a factory (0.36): make conformance"
)
httpx = pytest.importorskip("httpx")
websockets = pytest.importorskip("websockets")
from websockets.asyncio.client import connect  # noqa: E402

APPLICATION = '''
import asyncio


async def app(scope, receive, send):
    """Says which loop it runs on, gives a body back, echoes WebSocket messages."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
    else:
        body = type(asyncio.get_running_loop()).__module__.encode() + b" "
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
'''
LOOP = "hardpoint.loop:Loop"


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_its_command_serves_on_our_loop_and_ends_on_a_signal(ours, tmp_path: Path, http: str):
    (tmp_path / "application.py").write_text(APPLICATION)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "application:app", "--loop", LOOP, "--http", http]
    with running([*command, "--port", str(port), "--app-dir", str(tmp_path)], port) as process:

        async def main():
            async with httpx.AsyncClient() as client:
                answers = await asyncio.gather(
                    *(client.post(f"http://127.0.0.1:{port}/", content=b"x" * number * 1000) for number in range(50))
                )
            async with connect(f"ws://127.0.0.1:{port}/") as socket:
                await socket.send("hello")
                message = await socket.recv()
            return [answer.text for answer in answers], message

        answers, message = ours(main())
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    assert answers == ["hardpoint.loop.loop " + "x" * number * 1000 for number in range(50)]
    assert message == "hello"
    # uvicorn raises the signal that ended it again, once it has shut down.
    assert process.returncode in (0, -signal.SIGTERM)


def test_its_config_takes_our_loop_as_a_factory():
    async def app(scope, receive, send):
        raise AssertionError("never called")

    assert uvicorn.Config(app, loop=LOOP).get_loop_factory() is Loop


def test_its_server_runs_inside_a_program_on_our_loop(ours):
    space = {}
    exec(APPLICATION, space)
    port = free_port()

    async def main():
        server = uvicorn.Server(uvicorn.Config(space["app"], port=port, log_config=None))
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0)
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{port}/")
        server.should_exit = True
        await serving
        return answer.text

    assert ours(main()) == "hardpoint.loop.loop "
