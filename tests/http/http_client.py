"""A server on a free port, the applications it runs, and a client that sees every byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from hardpoint.errors import Conflict
from hardpoint.http import Deferred, HttpServer, Request, Response, Router


@dataclass
class Reply:
    """A response as a client reads it."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection. Reading is bounded by the time limit of the test's runner."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def reply(self, *, head_only: bool = False) -> Reply:
        """The next response: by its length, or to the end of the connection."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        fields = [line.split(": ", 1) for line in lines[1:-2]]
        headers = {name.lower(): value for name, value in fields}
        assert len(headers) == len(fields), f"a field twice in {fields}"
        if head_only or status < 200 or status in (204, 304):
            assert "content-length" not in headers or head_only
            return Reply(status, headers, b"")
        if "content-length" in headers:
            return Reply(status, headers, await self.reader.readexactly(int(headers["content-length"])))
        return Reply(status, headers, b"")

    async def ask(self, data: bytes) -> Reply:
        self.send(data)
        return await self.reply()

    async def ended(self) -> bool:
        """Whether the server has ended the connection, with nothing more sent."""
        try:
            return await self.reader.read() == b""
        except ConnectionResetError:
            return True

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass


@dataclass
class Served:
    server: HttpServer
    port: int
    clients: list[Client]

    async def client(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client


@asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[Served]:
    """The application on a free port; afterwards every connection is gone."""
    server = HttpServer(app, **options)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    served = Served(server, listener.sockets[0].getsockname()[1], [])
    try:
        yield served
    finally:
        for client in served.clients:
            await client.close()
        listener.close()
        await server.drain(1.0)
        assert not server.connections
        await listener.wait_closed()


async def until(condition: Any) -> None:
    """Let the loop turn until the condition holds; the runner's time limit ends a test whose never does."""
    while not condition():
        await asyncio.sleep(0.001)


def get(target: str = "/", *fields: str, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    return "\r\n".join([f"{method} {target} {version}", "Host: x", *fields, "", ""]).encode()


def post(target: str, body: bytes, *fields: str) -> bytes:
    return get(target, *fields, f"Content-Length: {len(body)}", method="POST") + body


def application() -> Router:
    router = Router()

    @router.get("/")
    def hello(request: Request) -> Response:
        return Response.text("hello")

    @router.post("/echo")
    def echo(request: Request) -> Response:
        return Response(200, request.body, request.headers.get("content-type"))

    @router.get("/async")
    async def later(request: Request) -> Response:
        await asyncio.sleep(0)
        return Response.text("async")

    @router.get("/boom")
    def boom(request: Request) -> Response:
        raise ZeroDivisionError("secret")

    @router.get("/async-boom")
    async def async_boom(request: Request) -> Response:
        raise Conflict("taken")

    @router.get("/empty")
    def empty(request: Request) -> Response:
        return Response.empty()

    @router.get("/split")
    def split(request: Request) -> Response:
        return Response(200, headers=[("X", "a\r\nSet-Cookie: b")])

    @router.get("/two-lengths")
    def two_lengths(request: Request) -> Response:
        return Response(200, b"a", headers=[("content-LENGTH", "0")])

    @router.get("/str")
    def no_bytes(request: Request) -> Response:
        return Response(200, "text")  # type: ignore[arg-type]

    @router.get("/none")
    def no_content(request: Request) -> Response:
        return Response(200, None)  # type: ignore[arg-type]

    @router.get("/type")
    def no_type(request: Request) -> Response:
        return Response(200, b"x", "text/plain\r\nX: y")

    @router.get("/nothing")
    def nothing(request: Request) -> Response:
        return None  # type: ignore[return-value]

    @router.get("/peer")
    def peer(request: Request) -> Response:
        return Response.text(request.peer)

    return router


class Waiting:
    """An application that defers every request and keeps the promises."""

    def __init__(self, abortable: bool = False) -> None:
        self.deferred: list[Deferred] = []
        self.aborted = 0
        self.abortable = abortable

    def __call__(self, request: Request) -> Deferred:
        deferred = request.defer()
        if self.abortable:
            deferred.on_abort = self.note
        self.deferred.append(deferred)
        return deferred

    def note(self) -> None:
        self.aborted += 1
