"""Request ids, CORS, compression, the access log, and who is asking behind a proxy."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from http_client import Client, get, serving, until
from test_connection import reset
from test_connection_limits import Clock
from test_streaming import chunks

from hardpoint.errors import ConfigError
from hardpoint.http import (
    AccessLog,
    Deferred,
    EventStream,
    Request,
    Response,
    Router,
    StreamResponse,
    TrustedProxies,
    with_compression,
    with_cors,
    with_request_ids,
)
from hardpoint.http.compression import MAX_INLINE_BYTES, is_compressible
from hardpoint.http.files import send_file

TEXT = b"hello " * 1000


def application() -> Router:
    router = Router()

    @router.get("/plain")
    def plain(request: Request) -> Response:
        return Response.text(request.id)

    @router.get("/later")
    def later(request: Request) -> Deferred:
        deferred = request.defer()
        asyncio.get_running_loop().call_soon(deferred.respond, Response.text("later"))
        return deferred

    @router.get("/text/{size:int}")
    def text(request: Request) -> Response:
        return Response(200, (TEXT * 1000)[: request.params["size"]], "text/plain", [("ETag", '"x"')])

    @router.get("/async")
    async def async_text(request: Request) -> Response:
        return Response(200, TEXT, "application/json")

    @router.get("/big-async")
    async def big_async_text(request: Request) -> Response:
        return Response(200, TEXT * 20, "application/json")

    @router.get("/image")
    def image(request: Request) -> Response:
        return Response(200, TEXT, "image/png")

    @router.get("/pieces")
    def stream(request: Request) -> StreamResponse:
        return StreamResponse(pieces(), content_type="text/plain", length=len(TEXT) * 3)

    @router.get("/async-pieces")
    async def async_stream(request: Request) -> StreamResponse:
        return StreamResponse(pieces(), content_type="text/plain")

    @router.get("/api/v1/{token}/x")
    def secret(request: Request) -> Response:
        return Response.empty()

    @router.get("/events")
    def events(request: Request) -> EventStream:
        return EventStream(lambda outlet: outlet.close())

    @router.get("/wait")
    async def wait(request: Request) -> Response:
        await asyncio.Event().wait()
        return Response.empty()

    @router.get("/who")
    def who(request: Request) -> Response:
        return Response.text(f"{request.peer} {request.address} {request.scheme} {request.host}")

    return router


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(3):
        yield TEXT


def test_request_ids(anyrun) -> None:
    async def check() -> None:
        for trust in (False, True):
            async with serving(with_request_ids(application().handle, trust=trust)) as served:
                client = await served.client()
                seen = set()
                for target in ("/plain", "/later", "/nope", "/plain"):
                    reply = await client.ask(get(target))
                    assert re.fullmatch("[0-9a-f]{16}", reply.headers["x-request-id"])
                    seen.add(reply.headers["x-request-id"])
                assert len(seen) == 4
                reply = await client.ask(get("/plain", "X-Request-ID: from.proxy"))
                assert (reply.body == b"from.proxy") == trust
                assert (await client.ask(get("/plain", "X-Request-ID: <script>"))).body != b"<script>"

    anyrun(check())


def test_cors(anyrun) -> None:
    page = "Origin: https://a.example"
    ask_first = "Access-Control-Request-Method: PUT"

    async def check() -> None:
        app = with_cors(application().handle, origins=["https://a.example"], credentials=True, exposed=["X-Boot"])
        async with serving(app) as served:
            client = await served.client()
            allowed = await client.ask(get("/plain", page))
            assert allowed.headers["access-control-allow-origin"] == "https://a.example"
            assert allowed.headers["access-control-allow-credentials"] == "true"
            assert allowed.headers["access-control-expose-headers"] == "X-Boot"
            assert allowed.headers["vary"] == "Origin"
            assert (await client.ask(get("/nope", page))).headers["access-control-allow-origin"] == "https://a.example"
            preflight = await client.ask(get("/plain", page, ask_first, method="OPTIONS"))
            assert preflight.status == 204
            assert "PUT" in preflight.headers["access-control-allow-methods"]
            assert preflight.headers["access-control-max-age"] == "600"
            plain_options = await client.ask(get("/plain", page, method="OPTIONS"))
            assert plain_options.headers["allow"] == "GET, HEAD, OPTIONS"
            other = await client.ask(get("/plain", "Origin: https://b.example"))
            assert "access-control-allow-origin" not in other.headers
            assert other.headers["vary"] == "Origin"
        async with serving(with_cors(application().handle)) as served:
            client = await served.client()
            assert (await client.ask(get("/plain", page))).headers["access-control-allow-origin"] == "*"
            assert "access-control-allow-origin" not in (await client.ask(get("/plain"))).headers

    anyrun(check())
    with pytest.raises(ValueError):
        with_cors(application().handle, credentials=True)


@pytest.mark.parametrize(
    ("target", "packed"),
    [
        ("/text/5000", True),
        ("/text/100", False),
        (f"/text/{MAX_INLINE_BYTES * 3}", True),
        ("/async", True),
        ("/big-async", True),
        ("/image", False),
        ("/nope", False),
    ],
)
def test_compression(anyrun, target: str, packed: bool) -> None:
    async def check() -> None:
        async with serving(with_compression(application().handle)) as served:
            client = await served.client()
            plain = await client.ask(get(target))
            assert "content-encoding" not in plain.headers
            reply = await client.ask(get(target, "Accept-Encoding: gzip, br"))
            assert (reply.headers.get("content-encoding") == "gzip") == packed
            if packed:
                assert gzip.decompress(reply.body) == plain.body
                assert len(reply.body) < len(plain.body) / 10
                assert reply.headers["vary"] == "Accept-Encoding"
                assert reply.headers.get("etag") in ('W/"x"', None)

    anyrun(check())


@pytest.mark.parametrize("target", ["/pieces", "/async-pieces"])
def test_streams_are_compressed_piece_by_piece(anyrun, target: str) -> None:
    async def check() -> None:
        async with serving(with_compression(application().handle)) as served:
            client = await served.client()
            reply = await client.ask(get(target, "Accept-Encoding: gzip"))
            assert reply.headers["content-encoding"] == "gzip"
            assert gzip.decompress(await chunks(client)) == TEXT * 3
            later = await client.ask(get("/later", "Accept-Encoding: gzip"))
            assert later.body == b"later"

    anyrun(check())


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/html; charset=utf-8", True),
        ("application/problem+json", True),
        ("image/svg+xml", True),
        ("text/event-stream", False),
        ("application/zip", False),
        (None, False),
    ],
)
def test_what_is_worth_compressing(content_type: str | None, expected: bool) -> None:
    assert is_compressible(content_type, []) is expected
    assert not is_compressible(content_type, [("content-encoding", "br")])


# ---- The access log


def test_the_access_log(run, tmp_path: Path) -> None:
    path = tmp_path / "access.log"

    async def check() -> None:
        log = AccessLog.to_file(path, secret_prefixes=["/api/v1/"])
        async with serving(with_request_ids(application().handle), access_log=log) as served:
            client = await served.client()
            for target in ("/text/10?secret=1", "/nope", "/later", "/api/v1/s3cret/x"):
                await client.ask(get(target, 'User-Agent: a"b\xff'))
            await client.ask(get("/pieces"))
            received = served.server.bytes_received
            client.send(get("/wait"))
            await until(lambda: served.server.bytes_received > received)
            reset(client)
            gone = await served.client()
            await gone.ask(get("/events"))
            await until(lambda: len(log._lines) == 7)
            Clock(served.server).at(1)
        lines = path.read_text().splitlines()
        pattern = re.compile(
            r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET (\S+) HTTP/1\.1" (\d+) (\d+) '
            r'"(.*)" \d+\.\d [0-9a-f]{16}'
        )
        found = [pattern.fullmatch(line) for line in lines]
        assert sorted(each[1] + " " + each[2] for each in found if each) == [
            "/api/v1/-/x 204", "/events 200", "/later 200", "/nope 404", "/pieces 200", "/text/10 200", "/wait 499",
        ]  # fmt: skip
        sizes = {each[1]: each[3] for each in found if each}
        assert (sizes["/text/10"], sizes["/pieces"]) == ("10", str(len(TEXT) * 3))
        assert found[0] is not None
        assert found[0][4] == r"a\x22b\xc3\xbf"
        assert "secret" not in path.read_text()

    run(check())


def test_a_log_that_cannot_be_written_costs_its_lines_and_no_more(anyrun, caplog, monkeypatch, tmp_path: Path) -> None:
    async def check() -> None:
        log = AccessLog.to_file(tmp_path / "no" / "such")
        async with serving(application(), access_log=log) as served:
            client = await served.client()
            for _ in range(3):
                await client.ask(get("/text/1"))
        assert log.dropped == 3
        monkeypatch.setattr("hardpoint.http.access.MAX_WAITING_LINES", 2)
        async with serving(application(), access_log=log) as served:
            client = await served.client()
            for _ in range(3):
                await client.ask(get("/text/1"))
            assert log.dropped == 4

    anyrun(check())
    assert "the access log cannot be written" in caplog.text


# ---- Behind a proxy


async def asked(served: Any, *fields: str, first: bytes = b"") -> str:
    client: Client = await served.client()
    reply = await client.ask(first + get("/who", *fields))
    return reply.body.decode()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["X-Forwarded-For: 203.0.113.9"], "203.0.113.9:0 203.0.113.9 http x"),
        (["X-Forwarded-For: 1.1.1.1, 203.0.113.9", "X-Forwarded-Proto: https"], "203.0.113.9:0 203.0.113.9 https x"),
        (["X-Forwarded-For: 203.0.113.9, 10.1.1.1"], "203.0.113.9:0 203.0.113.9 http x"),
        (
            ["X-Forwarded-For: 203.0.113.9:5", "X-Forwarded-Host: a.example"],
            "203.0.113.9:5 203.0.113.9 http a.example",
        ),
        (['Forwarded: for="[2001:db8::1]:4";proto=https;host=h'], "[2001:db8::1]:4 2001:db8::1 https h"),
        (["Forwarded: for=_x, for=10.1.1.1"], "10.1.1.1:0 10.1.1.1 http x"),
        (["Forwarded: for=_x, for=10.1.1.1", "X-Forwarded-For: 1.1.1.1"], None),  # one of them is the client's own
        (["X-Forwarded-For: junk"], None),
        ([], None),
    ],
)
def test_the_client_behind_a_proxy(anyrun, fields: list[str], expected: str | None) -> None:
    async def check() -> None:
        trusted = TrustedProxies(["127.0.0.0/8", "10.0.0.0/8"])
        async with serving(application(), proxies=trusted) as served:
            told = await asked(served, *fields)
            assert told == expected if expected else told.startswith("127.0.0.1:")
        # Of anybody else, nothing is believed.
        async with serving(application(), proxies=TrustedProxies(["10.0.0.1"])) as served:
            assert (await asked(served, *fields)).startswith("127.0.0.1:")

    anyrun(check())


def test_proxies_are_named() -> None:
    assert not TrustedProxies([])
    assert TrustedProxies(["unix"]).trusts_peer("")
    assert not TrustedProxies(["::1"]).trusts_peer("")
    assert TrustedProxies(["::1"]).trusts_peer(("::1%lo", 1, 0, 0))
    assert TrustedProxies(["10.0.0.0/8"]).trusts_peer(("::ffff:10.0.0.1", 1, 0, 0))
    assert not TrustedProxies(["10.0.0.0/8"]).trusts_peer(("junk", 1))
    assert not TrustedProxies(["10.0.0.0/8"]).trusts_peer(None)
    with pytest.raises(ConfigError):
        TrustedProxies(["localhost"])


def test_a_file_that_is_compressed_while_it_is_sent_has_no_strong_tag(anyrun, tmp_path: Path) -> None:
    """Else a client would ask for ranges of the plain bytes, to put behind what it has of the packed ones."""
    file = tmp_path / "log.txt"
    file.write_bytes(TEXT * 100)

    async def check() -> None:
        async def handle(request: Request) -> Response | StreamResponse:
            return await send_file(request, file, content_type="text/plain")

        async with serving(with_compression(handle)) as served:
            client = await served.client()
            plain = await client.ask(get())
            tag = plain.headers["etag"]
            assert plain.headers["accept-ranges"] == "bytes"
            packed = await client.ask(get("/", "Accept-Encoding: gzip"))
            assert gzip.decompress(await chunks(client)) == plain.body
            assert packed.headers["content-encoding"] == "gzip"
            assert packed.headers["etag"] == f"W/{tag}"
            assert "accept-ranges" not in packed.headers
            ranged = await client.ask(get("/", "Accept-Encoding: gzip", "Range: bytes=0-4", f"If-Range: W/{tag}"))
            assert ranged.status == 200
            await chunks(client)

    anyrun(check())
