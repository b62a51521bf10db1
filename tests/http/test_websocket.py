"""WebSocket handlers on real connections: messages, pace, the ways it ends, and what is refused."""

from __future__ import annotations

import asyncio
import logging

import pytest
from http_client import get, serving, until

from hardpoint.errors import BadInput
from hardpoint.http import Router, WebSocket, WebSocketClosed, WebSocketOptions
from hardpoint.http import websocket as module
from hardpoint.http.streams import YIELD_EVERY_BYTES
from hardpoint.http.websocket import ANY_ORIGIN, MAX_QUEUED_BYTES, MESSAGE_OVERHEAD_BYTES
from hardpoint.testing import WebSocketClient
from hardpoint.wire.websocket import DeflateOptions, HandshakeRefused

UPGRADE = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip


def echo_router(**options) -> Router:
    router = Router()

    @router.websocket("/echo", options=WebSocketOptions(**options))
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    return router


def connecting(served, path="/echo", **options) -> WebSocketClient:
    return WebSocketClient("127.0.0.1", served.port, path, **options)


@pytest.mark.parametrize("compression", [None, DeflateOptions()], ids=["plain", "deflate"])
def test_messages_there_and_back(run, compression):
    async def scene():
        async with serving(echo_router()) as served:
            async with connecting(served, compression=compression) as ws:
                for message in ("hello", "", b"\0\xff", "ä" * 5000, bytes(300_000)):
                    ws.send(message)
                    assert await ws.receive() == message
                ws.ping(b"there?")
                ws.send("x")
                await ws.receive()
                assert ws.pongs == [b"there?"]
                await ws.close(4000, "enough")
                assert ws.close_code == 4000
            assert served.server.responses[1] == 1
            await until(lambda: not served.server.connections)
            assert served.server.websocket_ends == {}

    run(scene())


def test_frames_right_behind_the_handshake(run):
    async def scene():
        async with serving(echo_router()) as served:
            client = await served.client()
            client.send(get("/echo", *UPGRADE) + bytes.fromhex("818537fa213d7f9f4d5158"))
            reply = await client.reply()
            assert reply.status == 101
            assert reply.headers["connection"] == "Upgrade"
            assert reply.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
            assert await client.reader.readexactly(7) == b"\x81\x05Hello"

    run(scene())


def test_a_handler_knows_its_request(anyrun):
    async def scene():
        router = Router()

        @router.websocket("/rooms/{name}", subprotocols=["chat.v2", "chat.v1"])
        async def room(ws: WebSocket) -> None:
            await ws.send_json({"room": ws.request.params["name"], "speaks": ws.subprotocol})
            assert await ws.receive_json(dict[str, int]) == {"a": 1}
            assert await ws.receive_text() == "text"
            assert await ws.receive_bytes() == b"bytes"
            with pytest.raises(BadInput):
                await ws.receive_text()
            with pytest.raises(BadInput):
                await ws.receive_bytes()
            with pytest.raises(BadInput):
                await ws.receive_json()
            ws.ping(b"p")
            await ws.send("done")

        async with (
            serving(router) as served,
            connecting(served, "/rooms/a%20b", subprotocols=["chat.v1", "chat.v2"]) as ws,
        ):
            assert ws.subprotocol == "chat.v1"
            assert await ws.receive() == '{"room":"a b","speaks":"chat.v1"}'
            for message in ('{"a":1}', "text", b"bytes", b"", "", "{"):
                ws.send(message)
            assert await ws.receive() == "done"
            await ws.closed()
            assert ws.pings == [b"p"]
            assert ws.close_code == 1000

    anyrun(scene())


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (426, ()),
        (426, (*UPGRADE[:2], "Sec-WebSocket-Version: 7", UPGRADE[3])),
        (400, UPGRADE[:3]),
        (403, (*UPGRADE, "Origin: http://evil.example")),
        (403, (*UPGRADE, "Origin: null")),
        (101, (*UPGRADE, "Origin: http://x")),
        (101, UPGRADE),
    ],
)
def test_handshakes(anyrun, status, fields):
    async def scene():
        async with serving(echo_router()) as served:
            client = await served.client()
            reply = await client.ask(get("/echo", *fields))
            assert reply.status == status
            if status == 426:
                assert reply.headers["upgrade"] == "websocket"
            if status == 426 and fields:
                assert reply.headers["sec-websocket-version"] == "13"

    anyrun(scene())


def test_other_methods_and_old_versions(anyrun):
    async def scene():
        async with serving(echo_router()) as served:
            client = await served.client()
            assert (await client.ask(get("/echo", *UPGRADE, method="POST"))).status == 405
            client = await served.client()
            assert (await client.ask(get("/echo", *UPGRADE, version="HTTP/1.0"))).status == 400

    anyrun(scene())


def test_pages_that_may_connect(anyrun):
    async def scene():
        router = Router()

        async def wait(ws: WebSocket) -> None:
            await ws.receive()

        router.websocket("/listed", origins=["https://a.example"])(wait)
        router.websocket("/open", origins=ANY_ORIGIN)(wait)
        async with serving(router) as served:
            for path, origin, may in (
                ("/listed", "https://a.example", True),
                ("/listed", f"http://127.0.0.1:{served.port}", False),
                ("/open", "https://b.example", True),
            ):
                ws = connecting(served, path, headers=[("Origin", origin)])
                if may:
                    async with ws:
                        pass
                else:
                    with pytest.raises(HandshakeRefused) as refused:
                        await ws.__aenter__()
                    assert refused.value.answer == 403

    anyrun(scene())


def failing_router() -> Router:
    router = Router()

    @router.websocket("/boom")
    async def boom(ws: WebSocket) -> None:
        raise ZeroDivisionError("secret")

    @router.websocket("/bad")
    async def bad(ws: WebSocket) -> None:
        raise BadInput("that is no order")

    @router.websocket("/gone")
    async def gone(ws: WebSocket) -> None:
        ws.close(4001, "gone")
        await ws.send("late")

    return router


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [
        ("/boom", 1011, "the server failed; its log says why"),
        ("/bad", 1008, "that is no order"),
        ("/gone", 4001, "gone"),
    ],
)
def test_how_a_handler_ends(anyrun, caplog, path, code, reason):
    async def scene():
        async with serving(failing_router()) as served, connecting(served, path) as ws:
            await ws.closed()
            assert (ws.close_code, ws.close_reason) == (code, reason)

    anyrun(scene())
    assert [record.exc_info is not None for record in caplog.records if record.levelno >= logging.ERROR] == (
        [True] if path == "/boom" else []
    )


@pytest.mark.parametrize(
    ("code", "frame"),
    [(1002, b"\x83\x80abcd"), (1007, b"\x81\x81\0\0\0\0\xff"), (1009, b"\x82\xff\0\0\0\0\x01\0\0\0abcd")],
)
def test_a_broken_rule_is_told_behind_the_answers(run, code, frame):
    """What came before it in the same read is still answered."""

    async def scene():
        async with serving(echo_router()) as served, connecting(served) as ws:
            ws.write(ws._codec.encode_message("a") + ws._codec.encode_message("b") + frame + bytes(100_000))
            assert [await ws.receive(), await ws.receive()] == ["a", "b"]
            await ws.closed()
            assert ws.close_code == code
            assert await ws._reader.read() == b""  # a clean end: no reset, though more was sent
            assert served.server.websocket_ends == {str(code): 1}

    run(scene())


def test_the_answer_goes_out_before_the_close(run):
    async def scene():
        async with serving(echo_router()) as served, connecting(served) as ws:
            ws.write(ws._codec.encode_message("last") + ws._codec.encode_close(1000))
            assert await ws.receive() == "last"
            await ws.closed()
            assert ws.close_code == 1000

    run(scene())


def test_a_handler_that_does_not_receive_makes_the_client_wait(run):
    async def scene():
        router = Router()
        sockets, go = [], asyncio.Event()

        @router.websocket("/slow")
        async def slow(ws: WebSocket) -> None:
            sockets.append(ws)
            await go.wait()
            total = 0
            async for message in ws:
                total += len(message)
                if total == 200 * 100_000:
                    await ws.send(str(total))

        async with serving(router) as served, connecting(served, "/slow", timeout_s=60) as ws:
            for _ in range(200):
                ws.send(bytes(100_000))
            await until(lambda: sockets and sockets[0]._queued_bytes > MAX_QUEUED_BYTES)
            await until(lambda: not sockets[0]._connection.is_reading)
            assert sockets[0]._queued_bytes < MAX_QUEUED_BYTES + 500_000
            go.set()
            assert await ws.receive() == "20000000"

    run(scene())


def test_send_waits_for_a_client_that_does_not_read(run):
    async def scene():
        router = Router()
        sent = []

        @router.websocket("/fast")
        async def fast(ws: WebSocket) -> None:
            for number in range(200):
                await ws.send(bytes(100_000))
                sent.append(number)

        async with serving(router) as served, connecting(served, "/fast", timeout_s=60) as ws:
            await until(lambda: sent)
            before = -1
            while before != len(sent):  # it stands still: the kernel's buffers are full
                before = len(sent)
                await asyncio.sleep(0.02)
            assert len(sent) < 200
            for _ in range(200):
                assert len(await ws.receive()) == 100_000
            await ws.closed()
            assert ws.close_code == 1000

    run(scene())


class Taking(asyncio.Transport):
    """A transport that takes everything at once: of a client that keeps up, or of one whose loss is not told yet."""

    def write(self, data: bytes) -> None:  # type: ignore[override]
        pass


@pytest.mark.parametrize("size", [0, 1_000, 1_000_000])
def test_a_handler_that_only_sends_lets_others_have_their_turn(run, size: int):
    async def scene():
        router = Router()
        ended = asyncio.get_running_loop().create_future()

        @router.websocket("/fast")
        async def fast(ws: WebSocket) -> None:
            assert ws._connection is not None
            transport, ws._connection.transport = ws._connection.transport, Taking()
            others: list[int] = []
            asyncio.get_running_loop().call_soon(others.append, 1)
            sent = 0
            while not others and sent < 10_000:
                await ws.send(bytes(size))
                sent += 1
            ws._connection.transport = transport
            ended.set_result(sent)

        async with serving(router) as served, connecting(served, "/fast"):
            assert await ended <= 1 + YIELD_EVERY_BYTES // (size + MESSAGE_OVERHEAD_BYTES)

    run(scene())


def test_only_the_latest_ping_is_answered_to_a_client_that_does_not_read(anyrun):
    async def scene():
        router = Router()
        sockets = []

        @router.websocket("/echo")
        async def echo(ws: WebSocket) -> None:
            sockets.append(ws)
            async for message in ws:
                await ws.send(message)

        async with serving(router) as served, connecting(served) as ws:
            await until(lambda: sockets)
            connection = sockets[0]._connection
            # What the transport calls. A client that really does not read is not told apart for good: the kernel's
            # buffers still grow after they were full for the first time.
            connection.pause_writing()
            for number in range(50):
                ws.ping(b"%d" % number)
            await until(lambda: connection._pong == b"49")
            connection.resume_writing()
            ws.send("behind them")
            assert await ws.receive() == "behind them"
            assert ws.pongs == [b"49"]

    anyrun(scene())


def test_a_silent_client_is_asked_and_stays_when_it_answers(run):
    async def scene():
        async with serving(echo_router(ping_interval_s=0.01, ping_timeout_s=60)) as served, connecting(served) as ws:
            while len(ws.pings) < 3:
                await ws._read()
            ws.send("still here")
            assert await ws.receive() == "still here"

    run(scene())


def test_a_client_that_does_not_answer_is_cut(run):
    async def scene():
        async with serving(echo_router(ping_interval_s=0.01, ping_timeout_s=0.01)) as served:
            async with connecting(served) as ws:
                ws.answers_pings = False
                await ws.closed()
                assert ws.close_code == 1006
            assert served.server.websocket_ends == {"ping-timeout": 1}

    run(scene())


def test_a_client_that_does_not_answer_the_close_is_cut(anyrun):
    async def scene():
        router = Router()

        @router.websocket("/bye", options=WebSocketOptions(close_timeout_s=0.01))
        async def bye(ws: WebSocket) -> None:
            pass

        async with serving(router) as served:
            client = await served.client()
            assert (await client.ask(get("/bye", *UPGRADE))).status == 101
            assert await client.reader.readexactly(4) == b"\x88\x02\x03\xe8"
            assert await client.ended()
            assert served.server.websocket_ends == {"close-timeout": 1}

    anyrun(scene())


def test_a_client_that_takes_nothing_is_cut(anyrun):
    async def scene():
        router = Router()
        ended = []

        @router.websocket("/fast", options=WebSocketOptions(send_timeout_s=0.02))
        async def fast(ws: WebSocket) -> None:
            try:
                while True:
                    await ws.send(bytes(1_000_000))
            finally:
                ended.append(ws.close_code)

        async with serving(router) as served, connecting(served, "/fast") as ws:
            await until(lambda: ended)
            assert ended == [1006]
            assert served.server.websocket_ends == {"send-timeout": 1}
            await ws.hang_up()

    anyrun(scene())


def test_unfinished_messages_share_the_servers_room(anyrun):
    async def scene():
        async with (
            serving(echo_router(), max_unfinished_bytes=100_000) as served,
            connecting(served) as one,
            connecting(served) as two,
        ):
            frame = two._codec.encode_message(bytes(90_000))
            one.write(frame[:60_000])
            await until(lambda: served.server.unfinished_bytes > 50_000)
            two.write(frame[:60_000])
            await two.closed()
            assert two.close_code == 1013
            one.write(frame[60_000:])
            assert len(await one.receive()) == 90_000
            assert served.server.unfinished_bytes == 0

    anyrun(scene())


def test_a_stopping_server_says_so(run):
    async def scene():
        router = Router()
        ended = []

        @router.websocket("/wait")
        async def wait(ws: WebSocket) -> None:
            with pytest.raises(WebSocketClosed) as closed:
                await ws.receive()
            ended.append((closed.value.code, ws.closed))

        async with serving(router) as served, connecting(served, "/wait") as ws:
            draining = asyncio.ensure_future(served.server.drain(5))
            await ws.closed()
            assert (ws.close_code, ws.close_reason) == (1001, "the server is stopping")
            await draining
            assert ended == [(1001, True)]

    run(scene())


def test_a_handler_gets_what_came_before_the_connection_was_lost(run):
    async def scene():
        router = Router()
        got, go = [], asyncio.Event()

        @router.websocket("/late")
        async def late(ws: WebSocket) -> None:
            await go.wait()
            got.extend([message async for message in ws])
            got.append(ws.close_code)
            with pytest.raises(WebSocketClosed):
                await ws.send("x")

        async with serving(router) as served, connecting(served, "/late") as ws:
            ws.send("a")
            ws.send("b")
            await ws.drain()
            await ws.hang_up()
            await until(lambda: not served.server.connections)
            go.set()
            await until(lambda: len(got) == 3)
            assert got == ["a", "b", 1006]

    run(scene())


def test_a_handler_that_goes_on_for_nobody_is_cancelled(anyrun, monkeypatch):
    monkeypatch.setattr(module, "HANDLER_GRACE_S", 0.01)

    async def scene():
        router = Router()
        ended = []

        @router.websocket("/forever")
        async def forever(ws: WebSocket) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        async with serving(router) as served, connecting(served, "/forever") as ws:
            await ws.hang_up()
            await until(lambda: ended)

    anyrun(scene())


def test_one_task_at_a_time_receives(anyrun):
    async def scene():
        router = Router()
        raised = []

        @router.websocket("/two")
        async def two(ws: WebSocket) -> None:
            first = asyncio.ensure_future(ws.receive())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError):
                await ws.receive()
            raised.append(await first)

        async with serving(router) as served, connecting(served, "/two") as ws:
            ws.send("x")
            await ws.closed()
            assert raised == ["x"]

    anyrun(scene())
