"""One connection: the order of answers, framing, late answers, streams."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from http_client import Client, Waiting, application, get, post, serving, until

from hardpoint.http import Deferred, EventStream, Outlet, Request, Response
from hardpoint.http.answering import MAX_CORKED_BYTES
from hardpoint.wire.http1 import HttpLimits


def test_a_request_and_its_answer(run) -> None:
    async def check() -> None:
        async with serving(application()) as served:
            client = await served.client()
            reply = await client.ask(get())
            assert (reply.status, reply.body) == (200, b"hello")
            assert reply.headers["server"] == "hardpoint"
            assert reply.headers["content-type"] == "text/plain; charset=utf-8"
            assert reply.headers["date"].endswith(" GMT")
            assert "connection" not in reply.headers
            assert (await client.ask(get("/async"))).body == b"async"
            assert (await client.ask(post("/echo", b"a" * 100_000))).body == b"a" * 100_000
            empty = await client.ask(get("/empty"))
            assert (empty.status, empty.headers.get("content-length")) == (204, None)
            peer = client.writer.get_extra_info("sockname")
            assert (await client.ask(get("/peer"))).body.decode() == f"{peer[0]}:{peer[1]}"
            counters = served.server.counters
            assert counters["responses"] == {"1xx": 0, "2xx": 5, "3xx": 0, "4xx": 0, "5xx": 0}
            assert counters["connections"] == counters["accepted"] == 1
            assert served.server.bytes_received > 100_000 < served.server.bytes_sent

    run(check())


def test_head_has_the_fields_and_no_content(anyrun) -> None:
    async def check() -> None:
        async with serving(application()) as served:
            client = await served.client()
            client.send(get(method="HEAD") + get())
            head = await client.reply(head_only=True)
            full = await client.reply()
            assert {**head.headers, "date": ""} == {**full.headers, "date": ""}
            assert full.body == b"hello"

    anyrun(check())


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_pipelined_requests_are_answered_in_order(run, size: int) -> None:
    async def check() -> None:
        async with serving(application()) as served:
            client = await served.client()
            parts = [get("/async"), get(), post("/echo", b"one"), get("/boom2"), get("/async"), post("/echo", b"two")]
            data = b"".join(parts * 20)
            for start in range(0, len(data), size * 50):
                client.send(data[start : start + size * 50])
                await asyncio.sleep(0)
            bodies = [(await client.reply()).body for _ in range(len(parts) * 20)]
            expected = [b"async", b"hello", b"one", None, b"async", b"two"] * 20
            assert [body if want else None for body, want in zip(bodies, expected, strict=True)] == expected

    run(check())


def test_answers_to_pipelined_requests_are_written_together_up_to_a_size(anyrun) -> None:
    async def check() -> None:
        async with serving(application()) as served:
            client = await served.client()
            body = b"a" * 1000
            count = 3 * MAX_CORKED_BYTES // len(body)
            client.send(post("/echo", body) * count)
            for _ in range(count):
                assert (await client.reply()).body == body

    anyrun(check())


@pytest.mark.parametrize(
    ("request_bytes", "connection", "ends"),
    [
        (get(), None, False),
        (get("/", "Connection: close"), "close", True),
        (get(version="HTTP/1.0"), "close", True),
        (get("/", "Connection: keep-alive", version="HTTP/1.0"), "keep-alive", False),
        (get("/boom"), None, False),
    ],
)
def test_keep_alive(anyrun, caplog, request_bytes: bytes, connection: str | None, ends: bool) -> None:
    async def check() -> None:
        async with serving(application()) as served:
            client = await served.client()
            reply = await client.ask(request_bytes)
            assert reply.headers.get("connection") == connection
            if ends:
                assert await client.ended()
            else:
                assert (await client.ask(get())).body == b"hello"

    anyrun(check())


def test_failures_are_answered_without_a_word_of_what_is_inside(run, caplog) -> None:
    async def check() -> None:
        async with serving(application()) as served:
            client = await served.client()
            for target in ("/boom", "/split", "/two-lengths", "/str", "/none", "/type", "/nothing"):
                reply = await client.ask(get(target))
                assert reply.status == 500
                assert b"internal" in reply.body
                assert b"secret" not in reply.body
            conflict = await client.ask(get("/async-boom"))
            assert (conflict.status, conflict.body) == (409, b'{"error":{"code":"conflict","message":"taken"}}')

    run(check())
    failures = [record.exc_info[0] for record in caplog.records if record.exc_info]
    unsendable = [ValueError, ValueError, TypeError, TypeError, ValueError]
    assert failures == [ZeroDivisionError, *unsendable, TypeError]


def test_a_refused_client_reads_why_although_it_goes_on_sending(run, caplog) -> None:
    async def check() -> None:
        async with serving(application(), limits=HttpLimits(max_body_bytes=1000)) as served:
            client = await served.client()
            client.send(get("/echo", "Content-Length: 500000", method="POST") + b"a" * 500_000)
            reply = await client.reply()
            assert (reply.status, reply.headers["connection"]) == (413, "close")
            assert b'"code":"body_too_large"' in reply.body
            assert served.server.refused == {"body-too-large": 1}
            await client.close()
            await until(lambda: not served.server.connections)

    run(check())


def test_a_refusal_comes_behind_the_answers_before_it(anyrun) -> None:
    async def check() -> None:
        async with serving(application()) as served:
            client = await served.client()
            client.send(get() + b"nonsense\r\n\r\n" + get())
            assert (await client.reply()).body == b"hello"
            assert (await client.reply()).status == 400
            assert await client.ended()

    anyrun(check())


def test_expect_continue(run) -> None:
    async def check() -> None:
        async with serving(application()) as served:
            client = await served.client()
            head = get("/echo", "Expect: 100-continue", "Content-Length: 2", method="POST")
            assert (await client.ask(head)).status == 100
            assert (await client.ask(b"hi")).body == b"hi"
            assert (await client.ask(head + b"hi")).body == b"hi"  # it did not wait, so it is not told

    run(check())


@pytest.mark.parametrize(
    "tail", [b"", b"GET / HT", get()[:-2], get("/echo", "Content-Length: 9", method="POST") + b"abc"]
)
def test_a_client_that_ends_its_side_is_answered_what_it_asked(run, tail: bytes) -> None:
    async def check() -> None:
        async with serving(application()) as served:
            client = await served.client()
            client.send(get("/async") + get() + tail)
            client.writer.write_eof()
            assert (await client.reply()).body == b"async"
            assert (await client.reply()).body == b"hello"
            if tail:
                assert (await client.reply()).status == 400
            assert await client.ended()

    run(check())


# ---- Late answers


def test_a_deferred_answer(run) -> None:
    async def check() -> None:
        app = Waiting()
        async with serving(app) as served:
            client = await served.client()
            client.send(get() * 3)
            for number in range(3):
                await until(lambda count=number: len(app.deferred) == count + 1)
                assert app.deferred[number].respond(Response.text(str(number)))
                assert (await client.reply()).body == str(number).encode()
            with pytest.raises(RuntimeError):
                app.deferred[0].respond(Response.text("again"))

    run(check())


def test_an_answer_given_before_the_handler_returns(anyrun) -> None:
    def at_once(request: Request) -> Deferred:
        deferred = request.defer()
        deferred.respond(Response.text(request.path))
        return deferred

    async def check() -> None:
        async with serving(at_once) as served:
            client = await served.client()
            client.send(get("/1") + get("/2"))
            assert [(await client.reply()).body for _ in range(2)] == [b"/1", b"/2"]

    anyrun(check())


@pytest.mark.parametrize("half", [False, True])
def test_a_client_that_leaves_aborts_what_waits_for_it(run, half: bool) -> None:
    async def check() -> None:
        app = Waiting(abortable=True)
        async with serving(app) as served:
            client = await served.client()
            client.send(get())
            await until(lambda: app.deferred)
            if half:
                client.writer.write_eof()
            else:
                client.writer.transport.abort()
            await until(lambda: app.aborted)
            assert app.deferred[0].aborted
            assert app.deferred[0].respond(Response.text("nobody reads this")) is False
            assert app.aborted == 1

    run(check())


def test_a_half_closed_client_is_answered_when_nothing_aborts(run) -> None:
    async def check() -> None:
        app = Waiting()
        async with serving(app) as served:
            client = await served.client()
            client.send(get())
            client.writer.write_eof()
            await until(lambda: app.deferred)
            app.deferred[0].respond(Response.text("late"))
            assert (await client.reply()).body == b"late"
            assert await client.ended()

    run(check())


def reset(client: Client) -> None:
    """Leave with a RST, which unlike a FIN cannot mean that the client still reads."""
    sock = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()


def test_a_coroutine_is_cancelled_when_its_client_leaves(run) -> None:
    async def check() -> None:
        started, cancelled = asyncio.Event(), asyncio.Event()

        async def forever(request: Request) -> Response:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return Response.text("never")

        async with serving(forever) as served:
            client = await served.client()
            client.send(get())
            await started.wait()
            reset(client)
            await cancelled.wait()

    run(check())


def test_a_busy_connection_keeps_one_read_and_then_pauses(run) -> None:
    async def check() -> None:
        app = Waiting()
        async with serving(app, limits=HttpLimits(max_body_bytes=1 << 20)) as served:
            client = await served.client()
            client.send(get())
            await until(lambda: app.deferred)
            connection = next(iter(served.server.connections))
            client.send(post("/", b"a" * 1_000_000))
            await until(lambda: connection._paused)
            held = len(connection._held)
            assert 0 < held <= 256 * 1024  # one read of the largest kind: asyncio's
            app.deferred[0].respond(Response.text("first"))
            assert (await client.reply()).body == b"first"
            await until(lambda: len(app.deferred) == 2)
            app.deferred[1].respond(Response.text("second"))
            assert (await client.reply()).body == b"second"

    run(check())


# ---- Streams


def test_an_event_stream(run) -> None:
    async def check() -> None:
        outlets: list[Outlet] = []
        gone: list[int] = []

        def live(request: Request) -> EventStream:
            def start(outlet: Outlet) -> None:
                outlet.on_close = lambda: gone.append(1)
                outlet.write(b"data: 1\n\n")
                outlets.append(outlet)

            return EventStream(start, headers=[("X-Boot", "b")])

        async with serving(live) as served:
            client = await served.client()
            reply = await client.ask(get())
            assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert (reply.headers["x-boot"], reply.headers["connection"]) == ("b", "close")
            assert await client.reader.readexactly(9) == b"data: 1\n\n"
            client.send(get())  # cannot be answered any more, harms nothing
            outlets[0].write(b"data: 2\n\n")
            assert await client.reader.readexactly(9) == b"data: 2\n\n"
            outlets[0].close()
            assert outlets[0].closed
            outlets[0].write(b"data: 3\n\n")
            assert outlets[0].backlog_bytes == 0
            assert await client.ended()
            assert not gone  # it was the server that ended it

            client = await served.client()
            await client.ask(get())
            await until(lambda: len(outlets) == 2)
            client.writer.transport.abort()
            await until(lambda: gone)
            assert outlets[1].closed

            client = await served.client()
            client.send(get(method="HEAD"))
            assert (await client.reply(head_only=True)).status == 200
            assert await client.ended()
            assert len(outlets) == 2

    run(check())


def test_a_stream_that_cannot_start_ends(anyrun, caplog) -> None:
    def live(request: Request) -> EventStream:
        return EventStream(lambda outlet: 1 // 0)  # type: ignore[arg-type, return-value]

    async def check() -> None:
        async with serving(live) as served:
            client = await served.client()
            assert (await client.ask(get())).status == 200
            assert await client.ended()

    anyrun(check())
    assert "could not start" in caplog.text


def test_a_stream_with_a_field_that_cannot_be_sent_is_a_failure(anyrun, caplog) -> None:
    async def check() -> None:
        async with serving(lambda request: EventStream(lambda outlet: None, [("X", "a\n")])) as served:
            client = await served.client()
            assert (await client.ask(get())).status == 500
            assert (await client.ask(get())).status == 500  # the connection goes on

    anyrun(check())


def test_a_stream_tells_its_backlog(run) -> None:
    async def check() -> None:
        outlets: list[Outlet] = []
        async with serving(lambda request: EventStream(outlets.append)) as served:
            client = await served.client()
            await client.ask(get())
            client.writer.transport.pause_reading()
            outlet = outlets[0]
            while outlet.backlog_bytes < 1 << 20:
                outlet.write(b"a" * 65536)
            client.writer.transport.abort()
            await until(lambda: outlet.closed)

    run(check())
