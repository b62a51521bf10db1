"""Bodies that are read while they come, and answers that are sent while they are made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from http_client import Client, get, post, serving, until
from test_connection_limits import Clock

from hardpoint.errors import Forbidden, TooLarge
from hardpoint.http import BodyPlan, Deferred, FramedOutlet, Outlet, Request, Response, Router, StreamResponse
from hardpoint.http.answering import BY_WRITING, MAX_SKIPPED_BYTES, SKIPPING
from hardpoint.http.body import HIGH_WATER_BYTES
from hardpoint.wire.http1 import HttpLimits, RequestRefused, encode_fields

PATIENT = get("/count", "Content-Length: 5", "Expect: 100-continue", method="POST")
LARGE = 1 << 20


def upload(target: str, size: int, *fields: str) -> bytes:
    return get(target, f"Content-Length: {size}", *fields, method="POST")


class Application:
    """Routes that stream, and what they saw."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.errors: list[BaseException] = []
        self.go = asyncio.Event()
        router = self.router = Router()
        router.get("/")(lambda request: Response.text("hello"))

        @router.post("/count", stream=True, max_body_bytes=LARGE)
        async def count(request: Request) -> Response:
            self.requests.append(request)
            total = 0
            try:
                async for piece in request.stream():
                    assert piece
                    total += len(piece)
            except RequestRefused as error:
                self.errors.append(error)
                raise
            return Response.text(f"{total}", headers=[("X-Trailers", str(request_trailers(request)))])

        @router.post("/later", stream=True)
        async def later(request: Request) -> Response:
            self.requests.append(request)
            await self.go.wait()
            return Response.text(str(len(await request.read())))

        @router.post("/refuse", stream=True, max_body_bytes=LARGE)
        def refuse(request: Request) -> Response:
            raise Forbidden("not you")

        @router.post("/at-most", stream=True)
        async def at_most(request: Request) -> Response:
            try:
                return Response.text(str(len(await request.read(10))))
            except TooLarge:
                return Response.text("too large", status=413)

        @router.post("/whole", max_body_bytes=LARGE)
        def whole(request: Request) -> Response:
            return Response.text(str(len(request.body)))

        @router.post("/small", max_body_bytes=10)
        def small(request: Request) -> Response:
            return Response.text(str(len(request.body)))

        @router.post("/echo", stream=True, max_body_bytes=LARGE)
        def echo(request: Request) -> StreamResponse:
            return StreamResponse(request.stream())


def request_trailers(request: Request) -> list[tuple[str, str]]:
    return [] if request.incoming is None else request.incoming.trailers.fields


SMALL = HttpLimits(max_body_bytes=1000)


async def chunks(client: Client) -> bytes:
    """A chunked body, to its end."""
    body = b""
    while size := int(await client.reader.readuntil(b"\r\n"), 16):
        body += await client.reader.readexactly(size)
        assert await client.reader.readexactly(2) == b"\r\n"
    assert await client.reader.readexactly(2) == b"\r\n"
    return body


@pytest.mark.parametrize("cut", [1, 100, 100_000])
def test_a_body_is_read_while_it_comes(run, cut: int) -> None:
    async def check() -> None:
        app = Application()
        async with serving(app.router, limits=SMALL) as served:
            client = await served.client()
            client.send(upload("/count", 300_000))
            await until(lambda: app.requests)  # called before there is any body
            client.send(b"a" * cut)
            await until(lambda: served.server.bytes_received > cut)
            client.send(b"a" * (300_000 - cut))
            assert (await client.reply()).body == b"300000"
            assert (await client.ask(get())).body == b"hello"
            assert served.server.unfinished_bytes == 0
            small = await client.ask(post("/count", b"abc"))  # all in one read
            assert (small.body, app.requests[-1].incoming) == (b"3", None)

    run(check())


def test_chunks_and_trailers(run) -> None:
    async def check() -> None:
        app = Application()
        async with serving(app.router, limits=SMALL) as served:
            client = await served.client()
            client.send(get("/count", "Transfer-Encoding: chunked", method="POST"))
            await until(lambda: app.requests)
            client.send(b"3\r\nabc\r\n" + b"fff\r\n" + b"a" * 0xFFF + b"\r\n0\r\nX-Sum: 1\r\n\r\n" + get())
            reply = await client.reply()
            assert (reply.body, reply.headers["x-trailers"]) == (b"4098", "[('x-sum', '1')]")
            assert (await client.reply()).body == b"hello"

    run(check())


def test_a_client_that_waits_is_told_when_somebody_reads(run) -> None:
    async def check() -> None:
        app = Application()
        async with serving(app.router) as served:
            client = await served.client()
            assert (await client.ask(PATIENT)).status == 100
            assert (await client.ask(b"12345")).body == b"5"
            client.send(PATIENT.replace(b"/count", b"/later"))
            await until(lambda: len(app.requests) == 2)
            for _ in range(20):
                await asyncio.sleep(0)
            assert not client.reader._buffer  # nobody has read yet
            app.go.set()
            assert (await client.reply()).status == 100
            assert (await client.ask(b"12345")).body == b"5"
            # Refused: it never sends the body, so the connection cannot go on.
            reply = await client.ask(PATIENT.replace(b"/count", b"/refuse"))
            assert (reply.status, reply.headers["connection"]) == (403, "close")
            assert await client.ended()

    run(check())


def test_a_client_is_no_faster_than_its_reader(run) -> None:
    async def check() -> None:
        app = Application()
        async with serving(app.router, limits=HttpLimits(max_body_bytes=8 * LARGE)) as served:
            client = await served.client()
            size = 8 * LARGE
            client.send(upload("/later", size) + b"a" * size)
            await until(lambda: app.requests)
            body = app.requests[0].incoming
            assert body is not None
            connection = next(iter(served.server.connections))
            await until(lambda: connection._paused)
            assert HIGH_WATER_BYTES <= body.buffered_bytes <= HIGH_WATER_BYTES + 256 * 1024
            assert served.server.unfinished_bytes == body.buffered_bytes
            app.go.set()
            assert (await client.reply()).body == str(size).encode()
            assert served.server.unfinished_bytes == 0

    run(check())


def test_an_echo_goes_on_while_the_body_comes(run) -> None:
    async def check() -> None:
        async with serving(Application().router) as served:
            client = await served.client()
            reply = await client.ask(upload("/echo", 6) + b"ab")
            assert reply.headers["transfer-encoding"] == "chunked"
            for piece in (b"ab", b"cd", b"ef"):
                assert await client.reader.readexactly(7) == b"2\r\n" + piece + b"\r\n"
                client.send({b"ab": b"cd", b"cd": b"ef", b"ef": get()}[piece])
            assert await client.reader.readexactly(5) == b"0\r\n\r\n"
            assert (await client.reply()).body == b"hello"

    run(check())


@pytest.mark.parametrize(
    ("target", "size", "status"),
    [
        ("/count", LARGE + 1, 413),
        ("/whole", LARGE, 200),
        ("/whole", LARGE + 1, 413),
        ("/small", 10, 200),
        ("/small", 11, 413),
        ("/", 1, 405),
    ],
)
def test_a_route_has_its_own_limit(anyrun, target: str, size: int, status: int) -> None:
    async def check() -> None:
        for framing in (
            upload(target, size) + b"a" * size,
            get(target, "Transfer-Encoding: chunked", method="POST") + b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"a" * size),
        ):
            async with serving(Application().router, limits=HttpLimits(max_body_bytes=100)) as served:
                client = await served.client()
                assert (await client.ask(framing)).status == status

    anyrun(check())


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (get("/count", "Transfer-Encoding: chunked", method="POST") + b"1\r\nab", 400, "bad-chunk"),
        (
            get("/count", "Transfer-Encoding: chunked", method="POST") + b"1\r\na\r\n%x\r\n" % LARGE,
            413,
            "body-too-large",
        ),
    ],
)
def test_what_goes_wrong_behind_the_head_reaches_the_handler(run, sent: bytes, status: int, reason: str) -> None:
    async def check() -> None:
        app = Application()
        async with serving(app.router) as served:
            client = await served.client()
            start = sent.index(b"\r\n\r\n") + 4
            client.send(sent[:start])
            await until(lambda: app.requests)
            client.send(sent[start:])
            reply = await client.reply()
            assert (reply.status, reply.headers["connection"]) == (status, "close")
            assert await client.ended()
            assert served.server.refused == {reason: 1}
            assert len(app.errors) == 1

    run(check())


def test_a_client_that_leaves_within_its_body(run) -> None:
    async def check() -> None:
        app = Application()
        async with serving(app.router) as served:
            for leave in (Client.close, half_close):
                client = await served.client()
                client.send(upload("/count", 10) + b"a")
                await until(lambda: app.requests)
                await leave(client)
                app.requests.clear()
                if leave is half_close:
                    assert (await client.reply()).status == 400
                    assert await client.ended()
            assert [error.reason for error in app.errors if isinstance(error, RequestRefused)][-1:] == ["incomplete"]
            assert served.server.unfinished_bytes == 0

    run(check())


async def half_close(client: Client) -> None:
    client.writer.write_eof()


def test_a_body_that_stalls(anyrun) -> None:
    async def check() -> None:
        app = Application()
        async with serving(app.router) as served:
            client = await served.client()
            client.send(upload("/count", 10))
            await until(lambda: app.requests)
            client.send(b"a")
            await until(lambda: served.server.bytes_received == len(upload("/count", 10)) + 1)
            clock = Clock(served.server)
            clock.at(59)
            assert not app.errors
            clock.at(61)
            reply = await client.reply()
            assert (reply.status, served.server.timed_out["body"]) == (408, 1)
            assert await client.ended()

    anyrun(check())


def test_bodies_in_pieces_share_the_room_for_unfinished_requests(anyrun) -> None:
    async def check() -> None:
        app = Application()
        async with serving(app.router, max_unfinished_bytes=1000) as served:
            client = await served.client()
            client.send(upload("/later", 5000))
            await until(lambda: app.requests)
            client.send(b"a" * 2000)
            await until(lambda: served.server.refused)
            app.go.set()
            assert (await client.reply()).status == 503
            assert await client.ended()

    anyrun(check())


@pytest.mark.parametrize(("size", "goes_on"), [(100, True), (MAX_SKIPPED_BYTES + 100, False)])
def test_a_body_nobody_wants_is_skipped_when_it_is_short(run, size: int, goes_on: bool) -> None:
    async def check() -> None:
        async with serving(Application().router) as served:
            client = await served.client()
            client.send(upload("/refuse", size))
            reply = await client.reply()
            assert (reply.status, reply.headers.get("connection")) == (403, None if goes_on else "close")
            if goes_on:
                client.send(b"a" * 50)
                client.send(b"a" * 50 + get())
                assert (await client.reply()).body == b"hello"
            else:
                client.send(b"a" * size)
                assert await client.ended()

    run(check())


def test_skipping_ends_too(anyrun, caplog) -> None:
    async def check() -> None:
        async with serving(Application().router) as served:
            client = await served.client()
            await client.ask(upload("/refuse", 100))
            clock = Clock(served.server)
            clock.at(61)
            assert served.server.timed_out["body"] == 1
            assert await client.ended()

    anyrun(check())


def test_reading_no_more_than_asked_for(anyrun) -> None:
    async def check() -> None:
        async with serving(Application().router) as served:
            client = await served.client()
            assert (await client.ask(post("/at-most", b"a" * 10))).body == b"10"
            assert (await client.ask(upload("/at-most", 20) + b"a" * 19)).body == b"too large"

    anyrun(check())


def test_one_reader_at_a_time(anyrun) -> None:
    async def check() -> None:
        results: list[object] = []

        async def twice(request: Request) -> Response:
            body = request.incoming
            assert body is not None
            results.extend(await asyncio.gather(body.receive(), body.receive(), return_exceptions=True))
            return Response.empty()

        async with serving(twice, plan=lambda head: BodyPlan(stream=True, max_bytes=None)) as served:
            client = await served.client()
            client.send(upload("/", 1))
            await until(lambda: served.server.bytes_received)
            client.send(b"a")
            assert (await client.reply()).status == 204
            assert results[0] == b"a"
            assert isinstance(results[1], RuntimeError)

    anyrun(check())


# ---- Answers


async def pieces(count: int = 3) -> AsyncIterator[bytes]:
    for number in range(count):
        yield b"piece %d\n" % number
        await asyncio.sleep(0)


WHOLE = b"piece 0\npiece 1\npiece 2\n"


def test_an_answer_in_pieces(run) -> None:
    async def check() -> None:
        app = {
            "/chunked": lambda: StreamResponse(pieces(), content_type="text/plain", headers=[("X", "1")]),
            "/length": lambda: StreamResponse(pieces(), length=len(WHOLE)),
            "/204": lambda: StreamResponse(pieces(), 204),
        }
        async with serving(lambda request: app[request.path]()) as served:
            client = await served.client()
            client.send(
                get("/chunked") + get("/length") + get("/chunked", method="HEAD") + get("/204") + get("/length")
            )
            reply = await client.reply()
            assert (reply.headers["x"], reply.headers["transfer-encoding"]) == ("1", "chunked")
            assert await chunks(client) == WHOLE
            assert (await client.reply()).body == WHOLE
            assert (await client.reply(head_only=True)).headers["transfer-encoding"] == "chunked"
            assert (await client.reply()).status == 204
            assert (await client.reply()).body == WHOLE
            client.send(get("/chunked", "Connection: keep-alive", version="HTTP/1.0"))
            old = await client.reply()
            assert "transfer-encoding" not in old.headers
            assert old.headers["connection"] == "close"
            assert await client.reader.read() == WHOLE

    run(check())


def test_an_answer_by_hand(run) -> None:
    async def check() -> None:
        outlets: list[Outlet] = []
        answers: list[Deferred] = []

        def handle(request: Request) -> Deferred | StreamResponse:
            if request.path == "/now":
                return StreamResponse(write_at_once)
            answers.append(request.defer())
            return answers[-1]

        def write_at_once(outlet: Outlet) -> None:
            assert isinstance(outlet, FramedOutlet)
            outlet.write(b"ab")
            outlet.close(trailers=encode_fields([("X-Sum", "1")]))
            outlet.write(b"nothing")
            outlet.close()

        async with serving(handle) as served:
            client = await served.client()
            client.send(get("/now") * 2 + get("/late") + get("/now"))
            for _ in range(2):
                await client.reply()
                assert await client.reader.readexactly(22) == b"2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n"
            await until(lambda: answers)
            answers[0].respond(StreamResponse(outlets.append, 201))
            assert (await client.reply()).status == 201
            outlets[0].write(b"cd")
            assert await client.reader.readexactly(7) == b"2\r\ncd\r\n"
            outlets[0].close()
            assert await client.reader.readexactly(5) == b"0\r\n\r\n"
            await client.reply()
            assert await client.reader.readexactly(22) == b"2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n"

    run(check())


def test_an_answer_is_made_no_faster_than_it_is_read(run) -> None:
    async def check() -> None:
        made = 0
        closed = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            nonlocal made
            try:
                while True:
                    made += 1
                    yield b"a" * 65536
            finally:
                closed.set()

        async with serving(lambda request: StreamResponse(endless())) as served:
            client = await served.client()
            client.writer.transport.pause_reading()
            client.send(get())
            await until(lambda: made)
            connection = next(iter(served.server.connections))
            await until(lambda: connection._paused)
            before = made
            for _ in range(50):
                await asyncio.sleep(0)
            assert made == before < 1000
            client.writer.transport.resume_reading()
            await client.reply()
            await client.reader.readexactly(before * 65536)
            assert made > before
            client.writer.transport.abort()
            await closed.wait()

    run(check())


def test_a_client_that_is_gone_ends_a_writer(run) -> None:
    async def check() -> None:
        outlets: list[Outlet] = []
        gone: list[int] = []
        async with serving(lambda request: StreamResponse(outlets.append)) as served:
            for half in (False, True):
                client = await served.client()
                await client.ask(get())
                outlet = outlets[-1]
                outlet.on_close = lambda: gone.append(1)
                await outlet.drain()
                if half:
                    client.writer.write_eof()
                else:
                    client.writer.transport.abort()
                await until(lambda outlet=outlet: outlet.closed)
                with pytest.raises(ConnectionResetError):
                    await outlet.drain()
            assert len(gone) == 2

    run(check())


@pytest.mark.parametrize("length", [None, 3, 100])
def test_an_answer_that_fails_in_the_middle_is_seen_to(run, caplog, length: int | None) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"cd" if length == 3 else b""
        if length == 100:
            return
        raise ZeroDivisionError

    async def check() -> None:
        async with serving(lambda request: StreamResponse(failing(), length=length)) as served:
            client = await served.client()
            client.send(get())
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):  # noqa: PT012 - in either
                await client.reply()
                await client.reader.readexactly(100)

    run(check())
    assert ("a streamed answer failed" in caplog.text) == (length != 100)


def test_a_streamed_answer_that_cannot_be_sent(anyrun, caplog) -> None:
    closed: list[int] = []

    async def content() -> AsyncIterator[bytes]:
        try:
            yield b""
        finally:
            closed.append(1)

    async def check() -> None:
        answers = {
            "/field": lambda: StreamResponse(content(), headers=[("X", "\n")]),
            "/length": lambda: StreamResponse(content(), headers=[("Content-Length", "3")]),
            "/start": lambda: StreamResponse(lambda outlet: 1 // 0),  # type: ignore[arg-type, return-value]
        }
        async with serving(lambda request: answers[request.path]()) as served:
            client = await served.client()
            assert (await client.ask(get("/field"))).status == 500
            assert (await client.ask(get("/length"))).status == 500
            client.send(get("/start"))
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionResetError):
                await client.reply()
            assert await client.ended()

    anyrun(check())


def test_draining_lets_an_answer_finish(run) -> None:
    async def check() -> None:
        outlets: list[Outlet] = []
        async with serving(lambda request: StreamResponse(outlets.append)) as served:
            client = await served.client()
            await client.ask(get())
            draining = asyncio.ensure_future(served.server.drain(5))
            await asyncio.sleep(0)
            outlets[0].write(b"end")
            outlets[0].close()
            assert await chunks(client) == b"end"
            assert await client.ended()
            client.writer.close()  # until then, what it may have sent meanwhile is waited for
            await draining

    run(check())


def test_early_hints(anyrun) -> None:
    def hinting(request: Request) -> Response:
        request.inform(103, [("Link", "</a.css>; rel=preload")])
        with pytest.raises(ValueError):
            request.inform(101, [])
        return Response.text("end")

    async def check() -> None:
        async with serving(hinting) as served:
            client = await served.client()
            hint = await client.ask(get())
            assert (hint.status, hint.headers) == (103, {"link": "</a.css>; rel=preload"})
            assert (await client.reply()).body == b"end"
            assert (await client.ask(get(version="HTTP/1.0"))).status == 200

    anyrun(check())


def test_a_client_that_ended_its_side_before_takes_no_empty_answer_for_the_whole(run) -> None:
    """Of an iterable nothing is read, a writer is told that its client is gone, and what is whole at once is sent."""
    outlets: list[Outlet] = []
    gone: list[str] = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"readings"

    def late(outlet: Outlet) -> None:
        outlet.on_close = lambda: gone.append("late")
        outlets.append(outlet)

    def at_once(outlet: Outlet) -> None:
        outlet.write(b"all")
        outlet.close()

    async def check() -> None:
        waiting: list[Deferred] = []

        def handle(request: Request) -> Deferred:
            waiting.append(request.defer())
            return waiting[-1]

        async with serving(handle) as served:
            for content in (pieces(), late, at_once):
                client = await served.client()
                client.send(get())
                client.writer.write_eof()
                await until(lambda: any(each._eof for each in served.server.connections))
                waiting.pop().respond(StreamResponse(content))
                if content is at_once:
                    assert (await client.reader.read()).endswith(b"\r\n\r\n3\r\nall\r\n0\r\n\r\n")
                else:
                    with contextlib.suppress(ConnectionResetError):
                        assert not (await client.reader.read()).endswith(b"0\r\n\r\n")
                await until(lambda: not served.server.connections)
            assert outlets[0].closed
            assert gone == ["late"]

    run(check())


def test_a_rest_of_a_body_that_is_skipped_has_its_time_also_behind_a_large_answer(run) -> None:
    """The client reads the answer late and never sends what its length has promised."""
    large = b"x" * 16_000_000
    router = Router()
    router.post("/large", stream=True)(lambda request: Response(200, large))

    async def check() -> None:
        async with serving(router) as served:
            client = await served.client()
            client.send(get("/large", "Content-Length: 5", method="POST") + b"a")
            await until(lambda: any(each._paused & BY_WRITING for each in served.server.connections))
            assert (await client.reply()).body == large
            (connection,) = served.server.connections
            await until(lambda: not connection._paused & BY_WRITING)
            assert connection._phase == SKIPPING
            clock = Clock(served.server)
            clock.at(61)
            assert served.server.timed_out["body"] == 1
            assert await client.ended()

    run(check())
