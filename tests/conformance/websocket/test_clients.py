"""Real clients, unmodified: Python's websockets and aiohttp, Node's own WebSocket, and a browser."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hardpoint.http import HttpServer, Response, Router, WebSocket

LARGE = "ä" * 300_000


@asynccontextmanager
async def serving():
    """An echo, on a free port; ``/page`` is a page that talks with it."""
    router = Router()

    @router.websocket("/echo", subprotocols=["chat"])
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            if isinstance(message, str) and message == "close":
                ws.close(4000, "as you say")
            else:
                await ws.send(message)

    @router.get("/page")
    def page(request: Any) -> Response:
        return Response.html("<!doctype html><title>page</title>")

    server = HttpServer(router)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await server.drain(2)
        await listener.wait_closed()


@pytest.mark.parametrize("compression", ["deflate", None])
def test_websockets(run, compression):
    websockets = pytest.importorskip("websockets.asyncio.client", reason="no websockets: make conformance")
    from websockets.exceptions import ConnectionClosed

    async def scene():
        async with (
            serving() as port,
            websockets.connect(f"ws://127.0.0.1:{port}/echo", compression=compression, subprotocols=["chat"]) as ws,
        ):
            assert ws.subprotocol == "chat"
            for message in ("text", b"bytes", "", LARGE):
                await ws.send(message)
                assert await ws.recv() == message
            await ws.send(iter(["in ", "frag", "ments"]))
            assert await ws.recv() == "in fragments"
            await (await ws.ping())
            await ws.send("close")
            with pytest.raises(ConnectionClosed) as closed:
                await ws.recv()
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "as you say")

    run(scene())


@pytest.mark.parametrize("compress", [0, 15])
def test_aiohttp(run, compress):
    aiohttp = pytest.importorskip("aiohttp", reason="aiohttp is not installed: make conformance")

    async def scene():
        async with (
            serving() as port,
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://127.0.0.1:{port}/echo", compress=compress, max_msg_size=0) as ws,
        ):
            for message in ("text", "", LARGE):
                await ws.send_str(message)
                assert await ws.receive_str() == message
            await ws.send_bytes(b"bytes")
            assert await ws.receive_bytes() == b"bytes"
            await ws.send_str("close")
            assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE
            assert ws.close_code == 4000

    run(scene())


SCRIPT = """(url) => new Promise((resolve) => {
    const got = [], ws = new WebSocket(url, ["chat"]);
    ws.binaryType = "arraybuffer";
    ws.onopen = () => { ws.send("text"); ws.send(new Uint8Array([1, 2, 3])); ws.send("ä".repeat(100000)); ws.send("close"); };
    ws.onmessage = ({ data }) => got.push(typeof data === "string" ? data.length : [...new Uint8Array(data)]);
    ws.onclose = ({ code, reason, wasClean }) => resolve({ got, code, reason, wasClean, protocol: ws.protocol });
})"""  # noqa: E501
FLAG = "--experimental-websocket"
"""Node 20 has it behind this flag; 22 has it anyway, and knows the flag."""
EXPECTED = {
    "got": [4, [1, 2, 3], 100_000], "code": 4000, "reason": "as you say", "wasClean": True, "protocol": "chat",
}  # fmt: skip


def test_node(run):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    known = subprocess.run([node, FLAG, "-p", "typeof WebSocket"], capture_output=True, text=True, check=False)
    if known.stdout.strip() != "function":
        pytest.skip("this node has no WebSocket; 20.10 and later do")

    async def scene():
        async with serving() as port:
            code = f"({SCRIPT})('ws://127.0.0.1:{port}/echo').then((told) => console.log(JSON.stringify(told)))"
            process = await asyncio.create_subprocess_exec(node, FLAG, "-e", code, stdout=subprocess.PIPE)
            out, _ = await process.communicate()
            assert json.loads(out) == EXPECTED

    run(scene())
