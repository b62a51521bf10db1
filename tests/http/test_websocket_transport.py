"""Any protocol over WebSocket: what it is handed, what it sends, and its pace both ways."""

from __future__ import annotations

import asyncio

import pytest
from http_client import serving, until

from hardpoint.http import Request, Router
from hardpoint.http.websocket import ANY_ORIGIN
from hardpoint.http.websocket_transport import WebSocketTransport, protocol_over_websocket
from hardpoint.testing import WebSocketClient
from hardpoint.wire.websocket import HandshakeRefused


class Recorder(asyncio.Protocol):
    """Keeps what it is told."""

    transport: WebSocketTransport

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.told: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, WebSocketTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received.append(data)

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")


class Finisher(Recorder):
    """Has something left to say when the server stops."""

    def drain(self) -> None:
        self.transport.write(b"bye")
        self.transport.close()


def router_for(made: list[Recorder], kind: type[Recorder] = Recorder, **options) -> Router:
    router = Router()

    def factory() -> Recorder:
        made.append(kind())
        return made[-1]

    @router.get("/", head=False)
    def connect(request: Request):
        return protocol_over_websocket(request, factory, origins=ANY_ORIGIN, **options)

    return router


def connecting(served, **options) -> WebSocketClient:
    return WebSocketClient("127.0.0.1", served.port, **options)


def test_bytes_both_ways(run):
    async def scene():
        made: list[Recorder] = []
        async with serving(router_for(made, subprotocols=["mqtt"])) as served:
            async with connecting(served, subprotocols=["mqtt"]) as ws:
                ws.send(b"\0\1")
                ws.send(b"\2")
                await until(lambda: made[0].received == [b"\0\1", b"\2"])
                transport = made[0].transport
                transport.write(b"")
                transport.write(bytearray(b"a"))
                transport.writelines([b"b", b"c"])
                assert [await ws.receive(), await ws.receive()] == [b"a", b"bc"]
                assert transport.get_extra_info("peername")[0] == "127.0.0.1"
                assert transport.get_extra_info("websocket").is_open
                assert transport.get_protocol() is made[0]
                assert transport.get_write_buffer_size() == 0
                assert not transport.can_write_eof()
                with pytest.raises(NotImplementedError):
                    transport.write_eof()
                assert not transport.is_closing()
                transport.close()
                assert transport.is_closing()
                await ws.closed()
                assert ws.close_code == 1000
            await until(lambda: made[0].told == ["lost"])

    run(scene())


def test_text_where_bytes_are_spoken(anyrun):
    async def scene():
        made: list[Recorder] = []
        async with serving(router_for(made)) as served, connecting(served) as ws:
            ws.send("text")
            await ws.closed()
            assert ws.close_code == 1003
            assert made[0].received == []

    anyrun(scene())


def test_the_subprotocol_has_to_be_asked_for(anyrun):
    async def scene():
        async with serving(router_for([], subprotocols=["mqtt"])) as served:
            for offered in ((), ("other",)):
                with pytest.raises(HandshakeRefused) as refused:
                    await connecting(served, subprotocols=offered).__aenter__()
                assert refused.value.answer == 400

    anyrun(scene())


def test_lines_are_messages(anyrun):
    async def scene():
        made: list[Recorder] = []
        async with serving(router_for(made, binary=False)) as served, connecting(served) as ws:
            for message in ("a", b"b", "c\n", "d\r\n", '{"e":\n1}', ""):
                ws.send(message)
            expected = [b"a\n", b"b\n", b"c\n", b"d\n", b'{"e": 1}\n', b"\n"]
            await until(lambda: made[0].received == expected)
            transport = made[0].transport
            transport.write(b"one\ntwo\nthr")
            transport.write(b"ee\n")
            assert [await ws.receive() for _ in range(3)] == ["one", "two", "three"]

    anyrun(scene())


def test_a_protocol_that_pauses_is_handed_nothing(run):
    async def scene():
        made: list[Recorder] = []
        async with serving(router_for(made)) as served, connecting(served) as ws:
            await until(lambda: made)
            transport = made[0].transport
            made[0].data_received = lambda data: (made[0].received.append(data), transport.pause_reading())
            for number in range(5):
                ws.send(b"%d" % number)
            for number in range(5):
                await until(lambda count=number + 1: len(made[0].received) == count)
                assert not transport.is_reading()
                transport.resume_reading()
            assert made[0].received == [b"0", b"1", b"2", b"3", b"4"]

    run(scene())


def test_a_protocol_may_pause_and_resume_at_once(anyrun):
    async def scene():
        made: list[Recorder] = []
        async with serving(router_for(made)) as served, connecting(served) as ws:
            await until(lambda: made)
            transport = made[0].transport

            def received(data: bytes) -> None:
                made[0].received.append(data)
                transport.pause_reading()
                transport.resume_reading()

            made[0].data_received = received
            ws.write(b"".join(ws._codec.encode_message(b"%d" % number) for number in range(5)))
            await until(lambda: len(made[0].received) == 5)
            assert made[0].received == [b"0", b"1", b"2", b"3", b"4"]

    anyrun(scene())


def test_a_protocol_is_told_when_the_client_does_not_read(run):
    async def scene():
        made: list[Recorder] = []
        async with serving(router_for(made)) as served, connecting(served, timeout_s=60) as ws:
            await until(lambda: made)
            transport = made[0].transport
            transport.set_write_buffer_limits(high=10_000)
            assert transport.get_write_buffer_limits() == (2_500, 10_000)
            count = 0
            while not made[0].told:
                transport.write(bytes(100_000))
                count += 1
            assert made[0].told == ["pause"]
            for _ in range(count):
                await ws.receive()
            await until(lambda: made[0].told == ["pause", "resume"])

    run(scene())


def test_the_end_of_the_server(anyrun):
    async def scene():
        for kind, message, code in ((Recorder, None, 1001), (Finisher, b"bye", 1000)):
            made: list[Recorder] = []
            async with serving(router_for(made, kind)) as served, connecting(served) as ws:
                await until(lambda made=made: made)
                draining = asyncio.ensure_future(served.server.drain(5))
                if message is not None:
                    assert await ws.receive() == message
                await ws.closed()
                assert ws.close_code == code
                await draining

    anyrun(scene())


def test_abort_and_another_protocol(anyrun):
    async def scene():
        made: list[Recorder] = []
        async with serving(router_for(made)) as served, connecting(served) as ws:
            await until(lambda: made)
            other = Recorder()
            made[0].transport.set_protocol(other)
            ws.send(b"x")
            await until(lambda: other.received == [b"x"])
            made[0].transport.abort()
            await ws.closed()
            assert ws.close_code == 1006
            await until(lambda: other.told == ["lost"])

    anyrun(scene())
