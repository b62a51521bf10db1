"""One connection: the order of answers, framing, late answers, streams, time-outs, flow control, the end."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import struct
import threading
from typing import Any

import pytest
from http_client import Client, get, post, serving, until

from hardpoint.errors import Conflict
from hardpoint.http import Deferred, EventStream, HttpServer, Outlet, Request, Response, Router
from hardpoint.http.connection import MAX_CORKED_BYTES
from hardpoint.wire.http1 import HttpLimits


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

    @router.get("/nothing")
    def nothing(request: Request) -> Response:
        return None  # type: ignore[return-value]

    @router.get("/peer")
    def peer(request: Request) -> Response:
        return Response.text(request.peer)

    return router


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
            for target in ("/boom", "/split", "/two-lengths", "/str", "/nothing"):
                reply = await client.ask(get(target))
                assert reply.status == 500
                assert b"internal" in reply.body
                assert b"secret" not in reply.body
            conflict = await client.ask(get("/async-boom"))
            assert (conflict.status, conflict.body) == (409, b'{"error":{"code":"conflict","message":"taken"}}')

    run(check())
    failures = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert failures == [ZeroDivisionError, ValueError, ValueError, TypeError, TypeError]


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


# ---- Flow control and time


class Clock:
    """A loop's clock that stands where it is put, for `HttpServer._sweep`."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.start = server.now
        if server._timer is not None:
            server._timer.cancel()

    def at(self, seconds: float) -> None:
        self.now = self.start + seconds
        self.server._sweep(self)  # type: ignore[arg-type]

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: object, *args: object) -> None:
        return None


@pytest.mark.parametrize(
    ("sent", "seconds", "status", "kind"),
    [
        (b"", 75, None, "keep-alive"),
        (get(), 75, None, "keep-alive"),
        (b"GE", 10, 408, "head"),
        (get() + b"GE", 10, 408, "head"),
        (get("/echo", "Content-Length: 3", method="POST") + b"a", 60, 408, "body"),
        (get("/echo", "Transfer-Encoding: chunked", method="POST") + b"1\r\na", 60, 408, "body"),
    ],
)
def test_time_outs(run, sent: bytes, seconds: float, status: int | None, kind: str) -> None:
    async def check() -> None:
        async with serving(application()) as served:
            client = await served.client()
            await until(lambda: served.server.connections)
            client.send(sent)
            await until(lambda: served.server.bytes_received == len(sent))
            if sent.startswith(get()):
                await client.reply()
            clock = Clock(served.server)
            clock.at(seconds - 0.01)
            assert served.server.timed_out[kind] == 0
            clock.at(seconds + 0.01)
            assert served.server.timed_out[kind] == 1
            if status is not None:
                assert (await client.reply()).status == status
            assert await client.ended()

    run(check())


def test_a_trickle_does_not_extend_the_time_for_a_head(anyrun) -> None:
    async def check() -> None:
        async with serving(application()) as served:
            client = await served.client()
            await until(lambda: served.server.connections)
            clock = Clock(served.server)
            for number, byte in enumerate(b"GET / HTTP"):
                client.send(bytes([byte]))
                await until(lambda count=number: served.server.bytes_received > count)
                clock.at(number)
                assert not served.server.refused
            clock.at(10.1)
            assert served.server.refused == {"head-timeout": 1}

    anyrun(check())


def test_a_request_in_hand_has_all_the_time_it_needs(anyrun) -> None:
    async def check() -> None:
        app = Waiting()
        async with serving(app) as served:
            client = await served.client()
            client.send(get())
            await until(lambda: app.deferred)
            Clock(served.server).at(100_000)
            app.deferred[0].respond(Response.text("late"))
            assert (await client.reply()).body == b"late"

    anyrun(check())


def test_a_refused_client_that_never_ends_is_cut(run) -> None:
    async def check() -> None:
        async with serving(application()) as served:
            client = await served.client()
            assert (await client.ask(b"nonsense\r\n\r\n")).status == 400
            Clock(served.server).at(10)
            await until(lambda: not served.server.connections)

    run(check())


def slow_client(port: int) -> socket.socket:
    """A client with a tiny receive buffer that reads only when told."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    return sock


def test_a_client_that_does_not_read_is_asked_nothing_more_and_cut(run) -> None:
    served_count = 0

    def big(request: Request) -> Response:
        nonlocal served_count
        served_count += 1
        return Response(200, b"a" * 1_000_000)

    async def check() -> None:
        async with serving(big) as served:
            with slow_client(served.port) as sock:
                sock.sendall(get() * 50)
                await until(lambda: served.server.connections)
                connection = next(iter(served.server.connections))
                await until(lambda: connection._paused)
                count = served_count
                assert count < 20  # what the kernel and one high-water mark take, then no more
                clock = Clock(served.server)
                stalled = connection.transport.get_write_buffer_size()
                sock.recv(1 << 16)
                while connection.transport.get_write_buffer_size() == stalled:
                    sock.recv(1 << 16)
                    await asyncio.sleep(0.001)
                clock.at(61)
                assert served.server.timed_out["send"] == 0  # it reads, slowly
                clock.at(130)
                assert served.server.timed_out["send"] == 1
                await until(lambda: not served.server.connections)

    run(check())


class Sink(asyncio.Transport):
    """A transport that takes everything and tells what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.calls: list[str] = []

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.written += data

    def get_write_buffer_size(self) -> int:
        return len(self.written)

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return "close" in self.calls

    def __getattribute__(self, name: str) -> Any:
        if name in ("close", "abort", "write_eof", "pause_reading", "resume_reading"):
            return lambda: self.calls.append(name)
        return super().__getattribute__(name)


@pytest.mark.parametrize("request_bytes", [get("/", "Connection: close"), b"nonsense\r\n\r\n"])
def test_catching_up_does_not_give_an_ending_connection_for_ever(anyrun, request_bytes: bytes) -> None:
    async def check() -> None:
        server, sink = HttpServer(application()), Sink()
        connection = server()
        connection.connection_made(sink)
        connection.data_received(request_bytes)
        connection.pause_writing()
        connection.resume_writing()
        assert connection.deadline < math.inf
        clock = Clock(server)
        clock.at(61)
        assert sink.calls[-1] == "abort"

    anyrun(check())


def test_a_slow_reader_gets_everything_in_order(run) -> None:
    async def check() -> None:
        async with serving(lambda request: Response(200, request.path.encode() * 100_000)) as served:
            got = bytearray()

            def read_all(sock: socket.socket) -> None:
                while data := sock.recv(1 << 16):
                    got.extend(data)

            with slow_client(served.port) as sock:
                sock.sendall(b"".join(get(f"/{n}") for n in range(9)) + get("/9", "Connection: close"))
                reader = threading.Thread(target=read_all, args=(sock,))
                reader.start()
                await until(lambda: not reader.is_alive())
            bodies = bytes(got).split(b"\r\n\r\n")[1:]
            assert [body[:200_000] for body in bodies] == [f"/{n}".encode() * 100_000 for n in range(10)]

    run(check())


def test_a_dialect_may_pause_a_connection(run) -> None:
    async def check() -> None:
        async with serving(application()) as served:
            client = await served.client()
            await client.ask(get())
            connection = next(iter(served.server.connections))
            closed: list[int] = []
            connection.on_close.append(lambda: closed.append(1))
            connection.context = "mine"
            connection.pause_reading()
            before = served.server.bytes_received
            client.send(get())
            for _ in range(20):
                await asyncio.sleep(0)
            assert served.server.bytes_received == before
            connection.resume_reading()
            assert (await client.reply()).body == b"hello"
            await client.close()
            await until(lambda: closed)
            connection.pause_reading()  # the dialect may not know yet that it is over
            connection.resume_reading()

    run(check())


# ---- The end


def test_draining_finishes_what_was_begun(run) -> None:
    async def check() -> None:
        app = Waiting()
        outlets: list[Outlet] = []

        def handle(request: Request) -> Deferred | EventStream:
            return EventStream(outlets.append) if request.path == "/live" else app(request)

        async with serving(handle) as served:
            idle, busy, live, stuck = [await served.client() for _ in range(4)]
            await live.ask(get("/live"))
            busy.send(get())
            await until(lambda: len(app.deferred) == 1)
            stuck.send(get())
            await until(lambda: len(app.deferred) == 2)
            draining = asyncio.ensure_future(served.server.drain(0.2))
            assert await idle.ended()
            assert await live.ended()
            assert outlets[0].closed
            app.deferred[0].respond(Response.text("done"))
            reply = await busy.reply()
            assert (reply.body, reply.headers["connection"]) == (b"done", "close")
            await draining
            assert app.deferred[1].aborted
            late = await served.client()
            assert (await late.reply()).status == 503

    run(check())


def test_more_connections_than_there_is_room_for(run) -> None:
    async def check() -> None:
        async with serving(application(), max_connections=2) as served:
            first, second, third = [await served.client() for _ in range(3)]
            assert (await first.ask(get())).status == 200
            assert (await second.ask(get())).status == 200
            assert (await third.reply()).status == 503
            assert await third.ended()
            await first.close()
            await until(lambda: len(served.server.connections) == 1)
            assert (await (await served.client()).ask(get())).status == 200

    run(check())


def test_a_callback_that_fails_at_the_end_harms_no_other(anyrun, caplog) -> None:
    async def check() -> None:
        async with serving(application()) as served:
            client = await served.client()
            await client.ask(get())
            closed: list[int] = []
            next(iter(served.server.connections)).on_close.extend([lambda: 1 // 0, lambda: closed.append(1)])
            await client.close()
            await until(lambda: closed)

    anyrun(check())
    assert [r.levelno for r in caplog.records] == [logging.ERROR]


def test_over_a_unix_socket(run, tmp_path) -> None:
    async def check() -> None:
        server = HttpServer(lambda request: Response.text(f"{request.peer} {request.connection.is_unix}"))
        path = str(tmp_path / "s")
        listener = await asyncio.get_running_loop().create_unix_server(server, path)
        client = Client(*await asyncio.open_unix_connection(path))
        assert (await client.ask(get())).body == b"unix True"
        await client.close()
        listener.close()
        await server.drain()
        await listener.wait_closed()

    run(check())
