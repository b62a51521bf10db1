"""Devices over WebSocket: the line dialect, a message a line, on real connections."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from hardpoint.dialects.websocket import WebSocketDialect, mqtt_over_websocket
from hardpoint.http import HttpServer, Router
from hardpoint.testing import WebSocketClient
from hardpoint.wire.websocket import HandshakeRefused
from hub.hubs import HeldStore, open_hub, until


@contextlib.asynccontextmanager
async def serving(store=None, clock=None, **settings):
    """The hub, the dialect, and a function that connects: ``connect(token)``."""
    async with open_hub(store, clock, **settings) as hub:
        router = Router()
        dialect = WebSocketDialect(hub, "1")
        dialect.register(router)
        server = HttpServer(router)
        listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        try:
            yield hub, dialect, lambda token: WebSocketClient("127.0.0.1", port, f"/api/v1/{token}/ws")
        finally:
            listener.close()
            await asyncio.gather(dialect.drain(1), server.drain(1))
            await listener.wait_closed()
            assert not dialect.connections


def test_a_device_on_every_loop(run):
    async def scene():
        async with serving() as (hub, _, connect):
            device, token = await hub.create_device("dev")
            async with connect(token) as ws:
                await until(lambda: device.sessions)
                presence = hub.describe(device)["presence"]["connected"]
                assert presence["dialect"] == "websocket"
                for line, answer in (
                    ("temp=21.5 door=true", "OK 2"),
                    ('{"temp": 22,\n "hum": 60}', "OK 2"),
                    (b"temp=23", "OK 1"),
                    ("#7 temp=24 @1000", "#7 OK 1"),
                    ("PING", "PONG"),
                    ("GET temp", "temp=23 @"),
                    ("ATTR fw=1.2", "OK 1"),
                    ("nonsense", "ERR unknown-verb"),
                    ("x" * 9000, "ERR too-long"),
                    (f"HELLO {token}", f"OK {device.id}"),
                ):
                    ws.send(line)
                    assert (await ws.receive()).startswith(answer)

                command = await hub.ledger.queue(device, "led", {"on": True})
                assert await ws.receive() == f'!{command.id} led {{"on":true}}'
                ws.send(f'!{command.id} OK {{"done":1}}')
                await until(lambda: command.state == "done")
                assert command.result == {"done": 1}
                hub.set_attributes(device, "shared", {"rate": 5})
                assert await ws.receive() == 'ATTR {"rate":5}'
            await until(lambda: not device.sessions)
            assert hub.describe(device)["presence"]["connected"] is None

    run(scene())


def test_a_command_that_waits_is_the_first_message(anyrun):
    async def scene():
        async with serving() as (hub, _, connect):
            device, token = await hub.create_device("dev")
            command = await hub.ledger.queue(device, "led", 1)
            async with connect(token) as ws:
                assert await ws.receive() == f"!{command.id} led 1"

    anyrun(scene())


def test_a_wrong_token_is_refused_before_the_upgrade(anyrun):
    async def scene():
        async with serving(sign_in_failures_per_min=2) as (hub, _, connect):
            _, token = await hub.create_device("dev")
            for status in (401, 401, 429):
                with pytest.raises(HandshakeRefused) as refused:
                    await connect("nonsense").__aenter__()
                assert refused.value.answer == status
            assert hub.refused_total["unauthorized"] == 2
            async with connect(token) as ws:  # a right token always opens
                ws.send("PING")
                assert await ws.receive() == "PONG"

    anyrun(scene())


def test_too_many(anyrun):
    async def scene():
        async with serving(max_connections=1) as (hub, _, connect):
            _, token = await hub.create_device("dev")
            async with connect(token) as one, connect(token) as two:
                assert (await two.receive()).startswith("ERR rate-limited")
                await two.closed()
                one.send("PING")
                assert await one.receive() == "PONG"

    anyrun(scene())


def test_a_message_far_too_long_ends_the_connection(anyrun):
    async def scene():
        async with serving() as (hub, _, connect):
            _, token = await hub.create_device("dev")
            async with connect(token) as ws:
                ws.send("x" * 100_000)
                await ws.closed()
                assert ws.close_code == 1009

    anyrun(scene())


def test_a_removed_device_is_told(anyrun):
    async def scene():
        async with serving() as (hub, _, connect):
            device, token = await hub.create_device("dev")
            async with connect(token) as ws:
                await until(lambda: device.sessions)
                await hub.remove_device(device)
                assert (await ws.receive()).startswith("BYE ")
                await ws.closed()
                assert ws.close_code == 1001

    anyrun(scene())


def test_what_is_due_goes_out_before_the_server_stops(anyrun):
    async def scene():
        store = HeldStore()
        async with serving(store) as (hub, dialect, connect):
            device, token = await hub.create_device("dev")
            async with connect(token) as ws:
                store.held = True
                ws.send("temp=1")
                await until(lambda: store.waiting)
                for session in list(device.sessions):
                    session.end("the server is stopping")
                draining = asyncio.ensure_future(dialect.drain(5))
                await asyncio.sleep(0)
                store.held = False
                store.release()
                assert [await ws.receive(), await ws.receive()] == ["OK 1", "BYE the server is stopping"]
                await ws.closed()
                assert ws.close_code == 1001
                await draining

    anyrun(scene())


def test_mqtt_over_websocket(run):
    async def scene():
        class Parrot(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport

            def data_received(self, data):
                self.transport.write(data)

        router = Router()
        router.get("/mqtt", head=False)(mqtt_over_websocket(Parrot, 1000))
        server = HttpServer(router)
        listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        page = [("Origin", "https://elsewhere.example")]
        async with WebSocketClient("127.0.0.1", port, "/mqtt", subprotocols=["mqtt"], headers=page) as ws:
            assert ws.subprotocol == "mqtt"
            ws.send(b"\xc0\x00")
            assert await ws.receive() == b"\xc0\x00"
            ws.send(bytes(1001))
            await ws.closed()
            assert ws.close_code == 1009
        listener.close()
        await server.drain(1)
        await listener.wait_closed()

    run(scene())
