"""One connection's limits: slow clients, time-outs, crowds, draining, and what happens at the end."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from http_client import Client, Waiting, application, get, post, serving, until

from hardpoint.http import Deferred, EventStream, HttpServer, Outlet, Request, Response, StreamResponse
from hardpoint.http.answering import BY_WRITING


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
    sock.setblocking(False)  # a test that waits in it would keep the server, on the same loop, from writing
    return sock


@pytest.mark.parametrize("size", [30_000, 1_000_000])
def test_a_client_that_does_not_read_is_asked_nothing_more_and_cut(run, size: int) -> None:
    served_count = 0

    def big(request: Request) -> Response:
        nonlocal served_count
        served_count += 1
        return Response(200, b"a" * size)

    async def check() -> None:
        async with serving(big) as served:
            with slow_client(served.port) as sock:
                await until(lambda: served.server.connections)
                connection = next(iter(served.server.connections))
                # So that one read lets a little of an answer out, on any kernel: not all of it, and the next ones too.
                theirs = connection.transport.get_extra_info("socket")
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
                sock.sendall(get() * 50)
                await until(lambda: connection._paused & BY_WRITING)
                count = served_count
                assert count < 20  # what the kernel and one high-water mark take, then no more
                clock = Clock(served.server)
                stalled = connection.transport.get_write_buffer_size()
                while connection.transport.get_write_buffer_size() == stalled:
                    await asyncio.get_running_loop().sock_recv(sock, 1 << 12)
                assert connection._paused & BY_WRITING
                clock.at(61)
                assert served.server.timed_out["send"] == 0  # it reads, slowly
                clock.at(122)
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
            with slow_client(served.port) as sock:
                sock.sendall(b"".join(get(f"/{n}") for n in range(9)) + get("/9", "Connection: close"))
                while data := await asyncio.get_running_loop().sock_recv(sock, 1 << 16):
                    got += data
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
            reply = await third.reply()
            assert (reply.status, reply.headers["retry-after"]) == (503, "10")
            assert await third.ended()
            await first.close()
            await until(lambda: len(served.server.connections) == 1)
            assert (await (await served.client()).ask(get())).status == 200

    run(check())


@pytest.mark.parametrize("path", ["/", "/async", "/stream"])
def test_the_last_request_of_a_connection(run, path: str) -> None:
    """It is told with the answer, whichever way that goes out, and what is pipelined behind it is not answered."""

    async def check() -> None:
        app = application()

        @app.get("/stream")
        def stream(request: Request) -> StreamResponse:
            async def pieces() -> AsyncIterator[bytes]:
                yield b"piece"

            return StreamResponse(pieces())

        async with serving(app, max_requests_per_connection=3) as served:
            client = await served.client()
            client.send(get() * 2 + get(path) + get())
            assert ["connection" in (await client.reply()).headers for _ in range(2)] == [False, False]
            last = await client.reply()
            assert (last.status, last.headers["connection"]) == (200, "close")
            if "content-length" in last.headers:
                assert await client.ended()
            else:
                assert (await client.reader.read()).endswith(b"0\r\n\r\n")
            assert served.server.responses[2] == 3
            again = await served.client()
            assert "connection" not in (await again.ask(get())).headers

    run(check())


def test_no_limit_of_requests(anyrun) -> None:
    async def check() -> None:
        async with serving(application(), max_requests_per_connection=0) as served:
            client = await served.client()
            assert ["connection" in (await client.ask(get())).headers for _ in range(5)] == [False] * 5

    anyrun(check())


# ---- Requests that are not whole


def upload(size: int) -> bytes:
    return get("/echo", f"Content-Length: {size}", method="POST")


@pytest.mark.parametrize(
    "part",
    [
        upload(9000) + b"a" * 4000,
        get("/echo", "Transfer-Encoding: chunked", method="POST") + b"fa0\r\n" + b"a" * 4000 + b"\r\n",
        get("/echo", "X: " + "a" * 4000, "Content-Length: 9", method="POST"),
        get("/echo", "X: " + "a" * 4000)[:-2],
    ],
    ids=["length", "chunked", "head-then-body", "head"],
)
def test_requests_that_are_not_whole_share_one_budget(run, part: bytes) -> None:
    async def check() -> None:
        async with serving(application(), max_unfinished_bytes=8500) as served:
            server = served.server
            first, second, third = [await served.client() for _ in range(3)]
            for client in (first, second):
                client.send(part)
            await until(lambda: server.bytes_received == 2 * len(part))
            assert 8000 <= server.counters["unfinished_bytes"] <= 2 * len(part)
            reply = await third.ask(part)
            assert (reply.status, reply.headers["retry-after"], reply.headers["connection"]) == (503, "10", "close")
            assert b'"no_room"' in reply.body
            assert server.refused == {"no-room": 1}
            # Whoever sends a whole request at once needs no room. It is more than is left, and one segment everywhere.
            assert (await (await served.client()).ask(post("/echo", b"b" * 1000))).body == b"b" * 1000
            await first.close()
            await until(lambda: server.unfinished_bytes < 4500)
            fourth = await served.client()
            fourth.send(part)
            await until(lambda: server.unfinished_bytes > 8000)
            assert server.refused["no-room"] == 1
        assert server.unfinished_bytes == 0

    run(check())


@pytest.mark.parametrize("cut", [3, len(upload(5)), len(upload(5)) + 2])
@pytest.mark.parametrize("ending", ["whole", "refused", "late", "gone"])
def test_room_is_given_back_however_a_request_ends(anyrun, cut: int, ending: str) -> None:
    async def check() -> None:
        server, sink = HttpServer(application()), Sink()
        connection = server()
        connection.connection_made(sink)
        sent = upload(5) + b"12345"
        connection.data_received(sent[:cut])
        assert server.unfinished_bytes == cut
        if ending == "whole":
            connection.data_received(sent[cut:] + get() + b"GET")
            assert sink.written.count(b"HTTP/1.1 200 OK") == 2
            assert server.unfinished_bytes == 3  # of the next one
        elif ending == "refused":
            connection.eof_received()
            assert b"HTTP/1.1 400 " in sink.written
        elif ending == "late":
            Clock(server).at(61)
            assert b"HTTP/1.1 408 " in sink.written
        if ending in ("refused", "late"):
            assert server.unfinished_bytes == 0
        connection.connection_lost(None)
        assert server.unfinished_bytes == 0

    anyrun(check())


def test_a_body_in_tiny_chunks_costs_what_it_weighs(anyrun) -> None:
    async def check() -> None:
        server, sink = HttpServer(application()), Sink()
        connection = server()
        connection.connection_made(sink)
        connection.data_received(get("/echo", "Transfer-Encoding: chunked", method="POST"))
        tracemalloc.start()
        try:
            for _ in range(100):
                connection.data_received(b"2\r\nab\r\n" * 1000)
            assert tracemalloc.get_traced_memory()[0] < 300_000  # for 200,000 bytes
        finally:
            tracemalloc.stop()
        connection.data_received(b"0\r\n\r\n")
        assert sink.written.endswith(b"ab" * 100_000)
        connection.connection_lost(None)

    anyrun(check())


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


def test_a_tls_client_gets_an_alert_and_the_log_a_hint(anyrun, caplog) -> None:
    async def scene() -> None:
        async with serving(application()) as served:
            for _ in range(2):
                client = await served.client()
                client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
                assert await client.reader.read() == b"\x15\x03\x03\x00\x02\x02\x46"
            assert served.server.refused == {"tls": 2}

    anyrun(scene())
    (record,) = [each for each in caplog.records if each.levelname == "WARNING"]
    assert "tries TLS at a port for plain HTTP: https:// is for that" in record.getMessage()
