"""Connections that are given to another protocol."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from http_client import get, serving, until

from hardpoint.http import BodyPlan, Request, Response, Switch

UPGRADE = ("Connection: keep-alive, Upgrade", "Upgrade: Shout, other")


class Shout(asyncio.Protocol):
    """Says everything back, louder."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.half_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())

    def eof_received(self) -> bool:
        self.events.append("eof")
        return self.half_open

    def pause_writing(self) -> None:
        self.events.append("full")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")


class PoliteShout(Shout):
    def drain(self) -> None:
        self.transport.write(b"BYE")
        self.transport.close()


class Application:
    def __init__(self, protocol: type[Shout] = Shout, *, later: bool = False) -> None:
        self.protocol = protocol
        self.made: list[Shout] = []
        self.ended = 0
        self.later = later

    def __call__(self, request: Request):
        if request.path == "/hello":
            return Response.text("hello")
        if self.later:
            return self.switch_later(request)
        return self.switch(request)

    async def switch_later(self, request: Request) -> Switch:
        await asyncio.sleep(0)
        return self.switch(request)

    def switch(self, request: Request) -> Switch:
        assert request.upgrades == (["shout", "other"] if request.head.minor else [])
        self.made.append(self.protocol())
        assert request.connection is not None
        request.connection.on_close.append(self.note_end)
        return Response.switch(self.made[-1], [("Upgrade", "Shout")])

    def note_end(self) -> None:
        self.ended += 1


@pytest.mark.parametrize("later", [False, True])
def test_a_connection_is_given_away(run, later: bool) -> None:
    async def check() -> None:
        app = Application(later=later)
        async with serving(app) as served:
            client = await served.client()
            client.send(get("/hello") + get("/", *UPGRADE) + b"behind")
            assert (await client.reply()).body == b"hello"
            reply = await client.reply()
            assert (reply.status, reply.headers["upgrade"], reply.headers["connection"]) == (101, "Shout", "Upgrade")
            assert await client.reader.readexactly(6) == b"BEHIND"
            client.send(b"more")
            assert await client.reader.readexactly(4) == b"MORE"
            assert len(served.server.connections) == 1
            assert served.server.counters["responses"]["1xx"] == 1  # type: ignore[index]
            client.writer.write_eof()
            assert await client.ended()
            await until(lambda: not served.server.connections)
            assert app.made[0].events == ["made", "eof", "lost"]
            assert app.ended == 1

    run(check())


@pytest.mark.parametrize(("protocol", "last"), [(Shout, b""), (PoliteShout, b"BYE")])
def test_draining_reaches_it(run, protocol: type[Shout], last: bytes) -> None:
    async def check() -> None:
        app = Application(protocol)
        async with serving(app) as served:
            client = await served.client()
            assert (await client.ask(get("/", *UPGRADE))).status == 101
            await served.server.drain()
            assert await client.reader.read() == last
            assert app.made[0].events == ["made", "lost"]

    run(check())


def test_what_was_sent_before_a_half_close_is_read(run) -> None:
    async def check() -> None:
        app = Application(later=True)
        async with serving(app) as served:
            client = await served.client()
            client.send(get("/", *UPGRADE) + b"last words")
            client.writer.write_eof()
            assert (await client.reply()).status == 101
            assert await client.reader.read() == b"LAST WORDS"

    run(check())


def test_what_cannot_be_switched(anyrun, caplog) -> None:
    async def check() -> None:
        async with serving(Application()) as served:
            client = await served.client()
            reply = await client.ask(get("/", *UPGRADE, version="HTTP/1.0"))
            assert reply.status == 400
        streaming = {"plan": lambda head: BodyPlan(stream=True, max_bytes=None)}
        async with serving(Application(), **streaming) as served:
            client = await served.client()
            client.send(get("/", *UPGRADE, "Content-Length: 5", method="POST") + b"ab")
            assert (await client.reply()).status == 500

    anyrun(check())


def test_a_protocol_that_cannot_begin_ends_its_connection(run, caplog) -> None:
    class Broken(Shout):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            raise ZeroDivisionError

        def connection_lost(self, exc: Exception | None) -> None:
            pass

    async def check() -> None:
        async with serving(Application(Broken)) as served:
            client = await served.client()
            client.send(get("/", *UPGRADE))
            await until(lambda: served.server.accepted and not served.server.connections)

    run(check())
    assert "could not begin" in caplog.text


def test_a_field_that_cannot_be_sent(anyrun, caplog) -> None:
    async def check() -> None:
        async with serving(lambda request: Response.switch(Shout(), [("Upgrade", "a\n")])) as served:
            client = await served.client()
            assert (await client.ask(get("/", *UPGRADE))).status == 500
            assert (await client.ask(get("/", *UPGRADE))).status == 500

    anyrun(check())


def test_a_callback_that_fails_at_the_end_harms_no_other(anyrun, caplog) -> None:
    async def check() -> None:
        app = Application()
        async with serving(app) as served:
            client = await served.client()
            await client.ask(get("/", *UPGRADE))
            switched = next(iter(served.server.connections))
            switched._on_close.insert(0, lambda: 1 // 0)
            await client.close()
            await until(lambda: app.ended)

    anyrun(check())
    assert "a callback at the end" in caplog.text
