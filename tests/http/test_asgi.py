"""ASGI applications on our server: what they are told, what they may say, and what happens when they fail."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import asynccontextmanager

import pytest
from http_client import Client, get, post, until

from hardpoint.errors import ConfigError
from hardpoint.http import HttpServer, Request, Response, Router
from hardpoint.http.asgi import AsgiHost, is_asgi, load_app
from hardpoint.http.proxies import TrustedProxies
from hardpoint.testing import WebSocketClient
from hardpoint.wire.websocket import HandshakeRefused


class Hosted:
    def __init__(self, host: AsgiHost, server: HttpServer, port: int) -> None:
        self.host, self.server, self.port = host, server, port
        self.clients: list[Client] = []

    async def client(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    async def ask(self, data: bytes):
        return await (await self.client()).ask(data)

    def websocket(self, path: str = "/", **options) -> WebSocketClient:
        return WebSocketClient("127.0.0.1", self.port, path, **options)


@asynccontextmanager
async def hosting(app, **options):
    """The application alone on a free port."""
    host = AsgiHost(app, **options)
    await host.startup()
    server = HttpServer(host.handle, plan=host.plan)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    hosted = Hosted(host, server, listener.sockets[0].getsockname()[1])
    try:
        yield hosted
    finally:
        for client in hosted.clients:
            await client.close()
        listener.close()
        await server.drain(1)
        await host.shutdown()
        await listener.wait_closed()
        assert not server.connections
        assert not host._scopes


def answering(*messages, read: bool = False):
    """An application that sends these messages."""

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            raise ValueError("none here")
        if read:
            while (await receive()).get("more_body"):
                pass
        for message in messages:
            await send(message)

    return app


def start(*headers, status: int = 200, **more):
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def body(data: bytes = b"", more: bool = False):
    return {"type": "http.response.body", "body": data, "more_body": more}


async def chunks_of(client: Client) -> bytes:
    """The whole of an answer that comes in chunks."""
    await client.reply(head_only=True)
    return (await chunks(client))[0]


async def chunks(client: Client) -> tuple[bytes, bytes]:
    """A chunked content, and its trailers."""
    content = b""
    while True:
        size = int(await client.reader.readuntil(b"\r\n"), 16)
        if not size:
            break
        content += await client.reader.readexactly(size)
        await client.reader.readexactly(2)
    trailers = b""
    while (line := await client.reader.readuntil(b"\r\n")) != b"\r\n":
        trailers += line
    return content, trailers


# ---- What it is told


def test_the_scope(anyrun):
    scopes = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["db"] = 1
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return
        scopes.append(scope)
        scope["headers"].append((b"x-added", b"1"))
        scope["state"]["db"] += 1
        await send(start())
        await send(body())

    async def scene():
        async with hosting(app, root_path="/app") as hosted:
            client = await hosted.client()
            for _ in range(2):
                request = get("/app/a%20b%2Fc?x=%C3%A4&y", "X-One: ä".encode("latin-1").decode("latin-1"))
                assert (await client.ask(request)).status == 200
            local = client.writer.get_extra_info("sockname")
            for scope in scopes:  # the second is as the first: what an application changes is its own
                assert scope["type"] == "http"
                assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
                assert scope["http_version"] == "1.1"
                assert scope["method"] == "GET"
                assert scope["scheme"] == "http"
                assert scope["path"] == "/app/a b/c"
                assert scope["raw_path"] == b"/app/a%20b%2Fc"
                assert scope["query_string"] == b"x=%C3%A4&y"
                assert scope["root_path"] == "/app"
                assert scope["headers"][0] == (b"host", b"x")
                assert scope["headers"].count((b"x-added", b"1")) == 1
                assert scope["client"] == local[:2]
                assert scope["server"] == ("127.0.0.1", hosted.port)
                assert scope["state"] == {"db": 2}
                assert "tls" not in scope["extensions"]

    anyrun(scene())


def test_bodies_in_pieces(run):
    received = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            raise ValueError
        content = b""
        while True:
            message = await receive()
            received.append(message)
            content += message["body"]
            if not message["more_body"]:
                break
        await send(start())
        await send(body(content))

    async def scene():
        async with hosting(app) as hosted:
            client = await hosted.client()
            assert (await client.ask(get())).body == b""
            assert (await client.ask(post("/", b"whole"))).body == b"whole"
            received.clear()
            client.send(get("/", "Transfer-Encoding: chunked", "Expect: 100-continue", method="POST"))
            assert (await client.reply()).status == 100
            client.send(b"3\r\nabc\r\n")
            await until(lambda: received)
            client.send(b"2\r\nde\r\n0\r\n\r\n")
            assert (await client.reply()).body == b"abcde"
            assert len(received) > 1
            large = bytes(3_000_000)  # beyond max_body_bytes: a stream has no limit
            assert (await client.ask(post("/", large))).body == large

    run(scene())


def test_a_client_that_leaves_is_told_of(run):
    seen = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            raise ValueError
        seen.append((await receive())["type"])
        seen.append((await receive())["type"])
        try:
            await send(start())
            await send(body(b"late"))
        except OSError:
            seen.append("OSError")

    async def scene():
        async with hosting(app) as hosted:
            client = await hosted.client()
            client.send(get())
            await until(lambda: seen)
            client.writer.transport.abort()
            await until(lambda: len(seen) == 3)
            assert seen == ["http.request", "http.disconnect", "OSError"]
            seen.clear()
            client = await hosted.client()
            client.send(get("/", "Content-Length: 10", method="POST") + b"abc")
            await until(lambda: seen)
            client.writer.transport.abort()
            await until(lambda: len(seen) == 3)
            assert seen == ["http.request", "http.disconnect", "OSError"]

    run(scene())


def test_receive_behind_the_answer(anyrun):
    seen = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            raise ValueError
        await send(start())
        await send(body(b"x"))
        seen.append(await receive())

    async def scene():
        async with hosting(app) as hosted:
            assert (await hosted.ask(get())).body == b"x"
            await until(lambda: seen)
            assert seen == [{"type": "http.disconnect"}]

    anyrun(scene())


# ---- What it may say


def test_fields_that_are_the_servers(anyrun):
    async def scene():
        fields = [
            (b"content-type", b"text/x"), (b"Content-Length", b"2"), (b"date", b"never"), (b"server", b"other"),
            (b"connection", b"x"), (b"transfer-encoding", b"chunked"), (b"set-cookie", b"a=\xe4"),
        ]  # fmt: skip
        async with hosting(answering(start(*fields), body(b"ok"))) as hosted:
            reply = await hosted.ask(get())
            assert reply.body == b"ok"
            assert reply.headers["server"] == "hardpoint"
            assert reply.headers["content-type"] == "text/x"
            assert reply.headers["set-cookie"] == "a=ä"
            assert not {"connection", "transfer-encoding"} & reply.headers.keys()

    anyrun(scene())


def test_streamed_answers(run):
    async def scene():
        app = answering(start(), body(b"a", more=True), body(b"", more=True), body(b"b", more=True), body(b"c"))
        async with hosting(app) as hosted:
            client = await hosted.client()
            for _ in range(2):
                reply = await client.ask(get())
                assert reply.headers["transfer-encoding"] == "chunked"
                assert await chunks(client) == (b"abc", b"")
            assert (await client.ask(get(method="HEAD"))).status == 200
            await client.ask(get())
            assert await chunks(client) == (b"abc", b"")
        app = answering(start((b"content-length", b"3")), body(b"ab", more=True), body(b"c", more=True), body())
        async with hosting(app) as hosted:
            assert (await hosted.ask(get())).body == b"abc"

    run(scene())


def test_a_slow_client_slows_the_application(run):
    sent = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            raise ValueError
        await send(start((b"content-length", b"20000000")))
        for number in range(200):
            await send(body(bytes(100_000), more=number < 199))
            sent.append(number)

    async def scene():
        async with hosting(app) as hosted:
            client = await hosted.client()
            client.send(get())
            await until(lambda: sent)
            before = -1
            while before != len(sent):
                before = len(sent)
                await asyncio.sleep(0.02)
            assert len(sent) < 199
            assert len((await client.reply()).body) == 20_000_000

    run(scene())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_head_and_its_length(anyrun, method):
    async def scene():
        async with hosting(answering(start((b"content-length", b"5")), body(b"12345"))) as hosted:
            client = await hosted.client()
            client.send(get(method=method))
            reply = await client.reply(head_only=method == "HEAD")
            assert reply.headers["content-length"] == "5"
            assert reply.body == (b"" if method == "HEAD" else b"12345")
        # An application that knows of HEAD sends the length alone.
        async with hosting(answering(start((b"content-length", b"5")), body())) as hosted:
            client = await hosted.client()
            client.send(get(method="HEAD"))
            assert (await client.reply(head_only=True)).headers["content-length"] == "5"
        async with hosting(answering(start(status=204), body(b"ignored"))) as hosted:
            assert (await hosted.ask(get())).status == 204
        async with hosting(answering(start(status=304), body(b"a", more=True), body(b"b"))) as hosted:
            assert (await hosted.ask(get())).status == 304

    anyrun(scene())


def test_trailers_and_early_hints(anyrun):
    async def scene():
        app = answering(
            {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]},
            start(trailers=True),
            body(b"ab"),
            {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": True},
            {"type": "http.response.trailers", "headers": [(b"x-end", b"2")]},
        )
        async with hosting(app) as hosted:
            client = await hosted.client()
            hint = await client.ask(get())
            assert (hint.status, hint.headers["link"]) == (103, "</a.css>; rel=preload")
            await client.reply()
            assert await chunks(client) == (b"ab", b"x-sum: 1\r\nx-end: 2\r\n")

    anyrun(scene())


@pytest.mark.parametrize("size", [0, 5, 256 * 1024, 600_000])
def test_files(run, tmp_path, size):
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)

    async def scene():
        fields = [(b"content-length", b"%d" % size)]
        app = answering(start(*fields), {"type": "http.response.pathsend", "path": str(path)})
        async with hosting(app) as hosted:
            assert (await hosted.ask(get())).body == b"x" * size

    run(scene())


def test_background_work_goes_on_behind_the_answer(run):
    done = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            raise ValueError
        await send(start())
        await send(body(b"x"))
        await asyncio.sleep(0.01)
        done.append(True)

    async def scene():
        async with hosting(app) as hosted:
            assert (await hosted.ask(get())).body == b"x"
            assert not done
        assert done == [True]  # the end waits for it

    run(scene())


# ---- How it may fail


async def boom(scope, receive, send):
    raise ZeroDivisionError("secret")


@pytest.mark.parametrize(
    "app",
    [
        boom,
        answering(),
        answering(start()),
        answering(body(b"x")),
        answering(start(), start()),
        answering(start(), {"type": "http.response.trailers"}),
        answering(start((b"content-length", b"x")), body()),
        answering(start((b"content-length", b"3")), body(b"ab")),
        answering(start((b"x", b"a\r\nb: c")), body()),
    ],
)
def test_failures_before_the_answer(anyrun, caplog, app):
    async def scene():
        async with hosting(app) as hosted:
            client = await hosted.client()
            reply = await client.ask(get())
            assert reply.status == 500
            assert b"secret" not in reply.body
            assert (await client.ask(get())).status == 500  # the connection is still good

    anyrun(scene())
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize(
    "app",
    [
        answering(start(), body(b"abc", more=True)),
        answering(start((b"content-length", b"5")), body(b"abc", more=True)),
        answering(start((b"content-length", b"5")), body(b"abc", more=True), body(b"defg", more=True)),
        answering(start((b"content-length", b"5")), body(b"abc", more=True), body(b"")),
    ],
)
def test_failures_within_the_answer_cut_the_connection(run, app):
    """So that nobody takes the part for the whole."""

    async def scene():
        async with hosting(app) as hosted:
            client = await hosted.client()
            client.send(get())
            received = b""
            try:
                while piece := await client.reader.read(1000):
                    received += piece
            except ConnectionError:
                pass
            assert not received.endswith((b"0\r\n\r\n", b"abcde"))

    run(scene())


def test_a_failure_behind_the_answer_is_logged(anyrun, caplog):
    async def app(scope, receive, send):
        await send(start())
        await send(body(b"ok"))
        raise ZeroDivisionError

    async def scene():
        async with hosting(app) as hosted:
            assert (await hosted.ask(get())).body == b"ok"
            await until(lambda: caplog.records)

    anyrun(scene())
    assert caplog.records[-1].levelno == logging.ERROR


@pytest.mark.parametrize("status", [0, 99, 101, 103, 199, 600, 700, "200"])
@pytest.mark.parametrize("more", [False, True])
def test_a_status_that_is_none(anyrun, caplog, status, more):
    app = answering(
        {"type": "http.response.start", "status": status, "headers": []},
        {"type": "http.response.body", "body": b"x", "more_body": more},
    )

    async def scene():
        async with hosting(app) as hosted:
            assert (await hosted.ask(get("/"))).status == 500

    anyrun(scene())
    assert caplog.records


# ---- Its start and its end


def test_an_application_that_cannot_start(anyrun):
    async def failing(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    async def scene():
        with pytest.raises(ConfigError, match="no database"):
            await AsgiHost(failing).startup()

    anyrun(scene())


def test_an_application_that_cannot_end(anyrun, caplog):
    async def failing(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "disk"})

    async def scene():
        host = AsgiHost(failing)
        await host.startup()
        await host.shutdown()
        await host.shutdown()

    anyrun(scene())
    assert "disk" in caplog.text


def test_applications_that_will_not_end_hold_up_nobody(anyrun):
    """Neither a request's work in the background nor a lifespan that take no notice of being cancelled."""

    async def stubborn(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x"})
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                cancelled.append(scope["type"])

    cancelled: list[str] = []

    async def scene():
        nonlocal released
        released = asyncio.Event()
        async with hosting(stubborn) as hosted:
            assert (await hosted.ask(get("/"))).status == 200
            began = asyncio.get_running_loop().time()
            await hosted.host.shutdown(0.1)
            assert asyncio.get_running_loop().time() - began < 60
            assert cancelled == ["http", "lifespan"]
            released.set()
        cancelled.clear()

    released: asyncio.Event
    anyrun(scene())


# ---- WebSocket


def test_websockets(run):
    scopes = []

    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            raise ValueError
        scopes.append(scope)
        assert (await receive()) == {"type": "websocket.connect"}
        await send({"type": "websocket.accept", "subprotocol": "b", "headers": [(b"x-a", b"1")]})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                scopes.append(message)
                return
            if message.get("text") == "bye":
                await send({"type": "websocket.close", "code": 4000, "reason": "you said so"})
            elif message.get("text") is not None:
                await send({"type": "websocket.send", "text": message["text"]})
            else:
                await send({"type": "websocket.send", "bytes": message["bytes"]})

    async def scene():
        async with hosting(app) as hosted:
            async with hosted.websocket("/x?y=1", subprotocols=["a", "b"]) as ws:
                assert ws.subprotocol == "b"
                for message in ("text", b"bytes", ""):
                    ws.send(message)
                    assert await ws.receive() == message
                await ws.close(4001, "done")
            await until(lambda: len(scopes) == 2)
            scope, end = scopes
            assert scope["scheme"] == "ws"
            assert scope["path"] == "/x"
            assert scope["query_string"] == b"y=1"
            assert scope["subprotocols"] == ["a", "b"]
            assert "method" not in scope
            assert end == {"type": "websocket.disconnect", "code": 4001, "reason": "done"}
            async with hosted.websocket(subprotocols=["b"]) as ws:
                ws.send("bye")
                await ws.closed()
                assert (ws.close_code, ws.close_reason) == (4000, "you said so")

    run(scene())


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([{"type": "websocket.close"}], 403),
        ([], 500),
        ([{"type": "websocket.send", "text": "x"}], 500),
        (
            [
                {"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-a", b"1")]},
                {"type": "websocket.http.response.body", "body": b"no", "more_body": True},
                {"type": "websocket.http.response.body", "body": b"pe"},
            ],
            418,
        ),
    ],
)
def test_websockets_that_are_refused(anyrun, messages, status):
    async def scene():
        async with hosting(answering(*messages)) as hosted:
            with pytest.raises(HandshakeRefused) as refused:
                await hosted.websocket().__aenter__()
            assert refused.value.answer == status

    anyrun(scene())


@pytest.mark.parametrize("field", [(b"Upgrade\r\nx", b"1"), (b"date", b"today")])
def test_a_websocket_that_cannot_be_opened_is_over(anyrun, caplog, field):
    """The client is told 500: nobody waits for a handshake that will never be out."""
    seen = []

    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            raise ValueError
        asked = asyncio.ensure_future(receive())
        assert await asked == {"type": "websocket.connect"}
        listening = asyncio.ensure_future(receive())
        try:
            await send({"type": "websocket.accept", "headers": [field]})
        except OSError as error:
            seen.append(type(error))
        seen.append((await listening)["type"])
        await send({"type": "websocket.send", "text": "x"})

    async def scene():
        async with hosting(app) as hosted:
            with pytest.raises(HandshakeRefused) as refused:
                await hosted.websocket().__aenter__()
            assert refused.value.answer == 500
            await until(lambda: not hosted.host._tasks)
        assert seen == [ConnectionResetError, "websocket.disconnect"]

    anyrun(scene())
    assert [record.name for record in caplog.records] == ["hardpoint.http"]


def test_a_websocket_asked_for_while_the_server_stops(anyrun):
    ended = []

    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            raise ValueError
        hosted.server.draining = True
        try:
            await send({"type": "websocket.accept"})
        except OSError:
            ended.append(True)

    async def scene():
        nonlocal hosted
        async with hosting(app) as hosted:
            with pytest.raises(HandshakeRefused) as refused:
                await hosted.websocket().__aenter__()
            assert refused.value.answer == 503
            await until(lambda: ended)

    hosted: Hosted
    anyrun(scene())


@pytest.mark.parametrize(
    ("first", "status"),
    [
        ({"status": 418, "headers": [(b"x a", b"1")]}, 500),
        ({"status": 100}, 500),
        ({"status": 304}, 304),
    ],
)
def test_a_refusal_whose_body_nobody_takes(anyrun, caplog, first, status):
    messages = [{"type": "websocket.http.response.start", **first}]
    messages += [{"type": "websocket.http.response.body", "body": b"no", "more_body": True}] * 10
    messages += [{"type": "websocket.http.response.body"}]

    async def scene():
        async with hosting(answering(*messages)) as hosted:
            with pytest.raises(HandshakeRefused) as refused:
                await hosted.websocket().__aenter__()
            assert refused.value.answer == status
            await until(lambda: not hosted.host._tasks)

    anyrun(scene())
    assert len(caplog.records) == (status == 500)


def test_a_client_that_leaves_within_a_refusal(anyrun):
    """What it does not take, its application does not wait for."""
    ended = []

    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            raise ValueError
        await send({"type": "websocket.http.response.start", "status": 403})
        try:
            while True:
                await send({"type": "websocket.http.response.body", "body": b"n" * 65_536, "more_body": True})
        except OSError:
            ended.append(True)

    async def scene():
        async with hosting(app) as hosted:
            client = await hosted.client()
            client.send(
                b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            await client.reader.readuntil(b"\r\n\r\n")
            client.writer.transport.abort()
            await until(lambda: ended)

    anyrun(scene())


@pytest.mark.parametrize("turns", [0, 2])
def test_a_streamed_answer_that_cannot_begin(anyrun, caplog, turns):
    """A field of the wrapper around it cannot be sent: the client is told 500, and the application that it is gone."""
    seen = []

    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise ValueError
        for _ in range(turns):  # 0: before the handler has returned, where tasks begin eagerly
            await asyncio.sleep(0)
        await send(start())
        try:
            await send(body(b"a", more=True))
        except OSError as error:
            seen.append(type(error))

    async def scene():
        async with hosting(app) as hosted:

            def wrapped(request):
                request.add_header("x a", "1")
                return hosted.host.handle(request)

            hosted.server.handle = wrapped
            assert (await hosted.ask(get())).status == 500
            await until(lambda: not hosted.host._tasks)

    anyrun(scene())
    assert seen == [ConnectionResetError]
    assert caplog.records[0].message == "a handler failed"


@pytest.mark.parametrize(("messages", "code"), [([], 1000), ([{"type": "http.response.start"}], 1011)])
def test_an_application_that_leaves_its_websocket(anyrun, messages, code):
    async def scene():
        app = answering({"type": "websocket.accept"}, *messages)
        async with hosting(app) as hosted, hosted.websocket() as ws:
            await ws.closed()
            assert ws.close_code == code

    anyrun(scene())


def test_sending_to_who_is_gone(anyrun):
    seen = []

    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            raise ValueError
        await send({"type": "websocket.accept"})
        await receive()
        seen.append(await receive())
        try:
            await send({"type": "websocket.send", "text": "x"})
        except OSError:
            seen.append("OSError")

    async def scene():
        async with hosting(app) as hosted, hosted.websocket() as ws:
            await ws.hang_up()
            await until(lambda: len(seen) == 2)
            assert seen == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}, "OSError"]

    anyrun(scene())


# ---- Beside our own routes, and found by name


def test_mounted_beside_routes(anyrun):
    paths = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            raise ValueError
        paths.append((scope["root_path"], scope["path"]))
        await send(start())
        await send(body(scope["method"].encode()))

    async def scene():
        host = AsgiHost(app, root_path="/app")
        router = Router()
        router.mount("/app", host.handle, **host.meta)

        @router.get("/app/ours")
        def ours(request: Request) -> Response:
            return Response.text("ours")

        server = HttpServer(router)
        listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        client = Client(*await asyncio.open_connection("127.0.0.1", listener.sockets[0].getsockname()[1]))
        for request, expected in (
            (get("/app"), b"GET"),
            (get("/app/"), b"GET"),
            (get("/app/x/y", method="PATCH"), b"PATCH"),
            (get("/app/x", method="OPTIONS"), b"OPTIONS"),
            (get("/app/ours"), b"ours"),
        ):
            assert (await client.ask(request)).body == expected
        assert (await client.ask(get("/other"))).status == 404
        assert paths[:3] == [("/app", "/app"), ("/app", "/app/"), ("/app", "/app/x/y")]
        await client.close()
        listener.close()
        await server.drain(1)
        await host.shutdown()
        await listener.wait_closed()

    anyrun(scene())


def test_applications_by_name(tmp_path, monkeypatch):
    (tmp_path / "their_site.py").write_text(
        "async def app(scope, receive, send): ...\nclass Box:\n    inner = app\nplain = 5\ndef one(request): ...\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert is_asgi(load_app("their_site:app"))
    assert load_app("their_site:Box.inner") is load_app("their_site:app")
    names = ("", "none", "plain", "one")
    for reference in ("their_site", ":app", "nowhere:app", *(f"their_site:{name}" for name in names)):
        with pytest.raises(ConfigError):
            load_app(reference)
    sys.modules.pop("their_site")


def test_what_is_asgi():
    class Callable:
        async def __call__(self, scope, receive, send): ...

    async def defaulted(scope, receive, send, extra=None): ...

    assert is_asgi(Callable())
    assert is_asgi(defaulted)
    assert not is_asgi(lambda request: None)
    assert not is_asgi(5)
    assert not is_asgi(dict)


def test_the_client_behind_a_proxy_that_is_trusted(anyrun):
    scopes = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            raise ValueError
        scopes.append(scope)
        await send(start())
        await send(body())

    async def scene():
        async with hosting(app) as hosted:
            hosted.server.proxies = TrustedProxies(["127.0.0.1"])
            fields = ("X-Forwarded-For: 2001:db8::1", "X-Forwarded-Proto: https")
            assert (await hosted.ask(get("/", *fields))).status == 200
            assert scopes[0]["client"] == ("2001:db8::1", 0)
            assert scopes[0]["scheme"] == "https"

    anyrun(scene())


def test_a_client_that_ends_its_side_before_a_stream_begins_keeps_no_application(anyrun):
    """Content without a length is not begun for it: it counts as gone, and the application is told so."""
    told = []

    async def check() -> None:
        asked = asyncio.Event()

        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                raise ValueError("none here")
            await asked.wait()
            await send(start())
            try:
                await send(body(b"a", more=True))
                await send(body(b"b"))
            except OSError as error:
                told.append(type(error))

        async with hosting(app) as hosted:
            client = await hosted.client()
            client.send(get())
            client.writer.write_eof()
            await until(lambda: any(each._eof for each in hosted.server.connections))
            asked.set()
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await chunks_of(client)
            await until(lambda: not hosted.host._tasks)

    anyrun(check())
    assert told == [ConnectionResetError]
