"""A server on a port that notes what reaches its handler, and a client that sends bytes and reads what comes."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hardpoint.http import HttpServer, Request, Response, Router, StreamResponse
from hardpoint.loop import Loop


class Noted:
    """An application that answers everything with 200 and remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bytes]] = []

    def __call__(self, request: Request) -> Response:
        self.seen.append((request.method, request.path, request.body))
        return Response.text("ok")


async def exchange(port: int, data: bytes, *, end: bool = True) -> bytes:
    """Everything the server sends for these bytes; ``end`` closes our side behind them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        if end:
            writer.write_eof()
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"(?:\A|ok|\}\}|\r\n\r\n)HTTP/1\.1 (\d{3}) ", answer)]


def hosted(text: str) -> bytes:
    """A vector with the Host that HTTP/1.1 demands, where it has none: llhttp's do without."""

    def add(found: re.Match[str]) -> str:
        authority = re.match(r"\S+ http://([^/?# ]*)", found[0])
        return f"{found[0]}Host: {authority[1] if authority else 'x'}\r\n"

    line = r"(?m)^[A-Z-]+ [^\r\n]* HTTP/\d\.\d\r\n(?!(?:[^\r\n]+\r\n)*?(?i:host):)"
    return re.sub(line, add, text).encode("latin-1")


def application() -> Router:
    """What real clients are sent to."""
    router = Router()

    @router.get("/hello")
    def hello(request: Request) -> Response:
        return Response.text("Hello, world!")

    @router.post("/echo", stream=True, max_body_bytes=1 << 24)
    async def echo(request: Request) -> Response:
        return Response(200, await request.read(), request.headers.get("content-type"))

    @router.get("/stream")
    def stream(request: Request) -> StreamResponse:
        async def pieces():  # type: ignore[no-untyped-def]
            for number in range(100):
                yield b"%d\n" % number

        return StreamResponse(pieces(), content_type="text/plain")

    @router.post("/upload", stream=True, max_body_bytes=1 << 24)
    async def upload(request: Request) -> Response:
        with await request.form() as form:
            given = form.upload("file")
            size = 0 if given is None else given.size
            return Response.json({"name": form.get("name"), "size": size})

    @router.get("/peer")
    def peer(request: Request) -> Response:
        return Response.text(request.address)

    return router


@contextmanager
def in_a_thread(server: HttpServer) -> Iterator[int]:
    """The server on a loop of its own, for clients that block; gives its port."""
    ready: list[int] = []
    started, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        listener = await loops[0].create_server(server, "127.0.0.1", 0)
        ready.append(listener.sockets[0].getsockname()[1])
        started.set()
        await stop.wait()
        listener.close()
        await server.drain(2)

    def run() -> None:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(10)
    try:
        yield ready[0]
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive()
