"""Request smuggling: whatever a front server may have made of these, what they hide never reaches a handler.

The mutations are those that tools for finding such pairs of servers try: of the name, the value and the line around
``Transfer-Encoding`` and ``Content-Length``, and of the chunks behind.
"""

from __future__ import annotations

import asyncio

import pytest

from hardpoint.http import HttpServer

from .serving import Noted, exchange, statuses

pytestmark = pytest.mark.conformance

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
CONTROLS = [bytes([number]) for number in (*range(0x21), 0x7F, 0x85, 0xA0, 0xFF)]

CODING_LINES = {
    **{f"before the name {c!r}": c + b"Transfer-Encoding: chunked" for c in CONTROLS},
    **{f"behind the name {c!r}": b"Transfer-Encoding" + c + b": chunked" for c in CONTROLS},
    **{f"before the value {c!r}": b"Transfer-Encoding:" + c + b"chunked" for c in CONTROLS if c not in b" \t"},
    **{f"behind the value {c!r}": b"Transfer-Encoding: chunked" + c for c in CONTROLS if c not in b" \t"},
    **{f"within the value {c!r}": b"Transfer-Encoding: chu" + c + b"nked" for c in CONTROLS},
    "plain": b"Transfer-Encoding: chunked",
    "tab": b"Transfer-Encoding:\tchunked",
    "upper case": b"TRANSFER-ENCODING: CHUNKED",
    "no space": b"Transfer-Encoding:chunked",
    "quoted": b'Transfer-Encoding: "chunked"',
    "single quotes": b"Transfer-Encoding: 'chunked'",
    "identity first": b"Transfer-Encoding: identity, chunked",
    "identity last": b"Transfer-Encoding: chunked, identity",
    "empty first": b"Transfer-Encoding: , chunked",
    "semicolon": b"Transfer-Encoding: chunked;q=1",
    "x": b"Transfer-Encoding: xchunked",
    "twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "twice, other": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    "twice, other first": b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    "folded": b"Transfer-Encoding:\r\n chunked",
    "folded before": b"X: y\r\n Transfer-Encoding: chunked",
    "underscore": b"Transfer_Encoding: chunked",
    "behind a bare lf": b"X: y\nTransfer-Encoding: chunked",
    "behind a bare cr": b"X: y\rTransfer-Encoding: chunked",
    "behind a nul": b"X: y\0Transfer-Encoding: chunked",
    "in the name of another": b"X-Transfer-Encoding: chunked",
}

LENGTH_LINES = [
    b"+%d", b"-%d", b"0x%x", b"%d,%d", b"%d %d", b"%d.0", b"%de0", b"0b%d", b"%d\0", b"\x0b%d", b"%d\x0c", b"_%d",
    b"'%d'", b'"%d"', b"%d;", b"\xa0%d", b"%d\r\nContent-Length: 0", b"0\r\nContent-Length: %d", b"%d\r\n %d",
]  # fmt: skip

CHUNKS = {
    "size with sign": b"+%x\r\n%b\r\n0\r\n\r\n",
    "size with 0x": b"0x%x\r\n%b\r\n0\r\n\r\n",
    "size with space": b"%x \r\n%b\r\n0\r\n\r\n",
    "space before": b" %x\r\n%b\r\n0\r\n\r\n",
    "size ends in lf": b"%x\n%b\r\n0\r\n\r\n",
    "size ends in cr": b"%x\r%b\r\n0\r\n\r\n",
    "data ends in lf": b"%x\r\n%b\n0\r\n\r\n",
    "data ends in nothing": b"%x\r\n%b0\r\n\r\n",
    "extension with lf": b"%x;a\nb\r\n%b\r\n0\r\n\r\n",
    "extension with cr": b"%x;a\rb\r\n%b\r\n0\r\n\r\n",
    "last chunk with lf": b"%x\r\n%b\r\n0\n\n",
    "underscore": b"_%x\r\n%b\r\n0\r\n\r\n",
    "comma": b"%x,0\r\n%b\r\n0\r\n\r\n",
    "overflow": b"1000000000000000%x\r\n%b\r\n0\r\n\r\n",
}


async def served(app: Noted, data: bytes) -> bytes:
    server = HttpServer(app)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    answer = await exchange(listener.sockets[0].getsockname()[1], data)
    listener.close()
    await server.drain(1)
    assert server.unfinished_bytes == 0
    return answer


def reached(app: Noted) -> list[str]:
    return [path for _, path, _ in app.seen if path == "/hidden"]


@pytest.mark.parametrize("line", CODING_LINES.values(), ids=CODING_LINES)
def test_a_coding_beside_a_length(anyrun, line: bytes) -> None:
    """A front that goes by the one of the two, and a back that goes by the other."""

    async def check() -> None:
        for order in (b"%(length)b\r\n%(coding)b", b"%(coding)b\r\n%(length)b"):
            # By the length, what is hidden is content; by the chunks, it is the next request.
            body = b"0\r\n\r\n" + HIDDEN
            fields = order % {b"length": b"Content-Length: %d" % len(body), b"coding": line}
            app = Noted()
            answer = await served(app, b"POST /front HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n\r\n" + body)
            assert not reached(app), answer
            # By the chunks it is content; by the length, the next request.
            chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
            fields = order % {b"length": b"Content-Length: %d" % len(b"%x\r\n" % len(HIDDEN)), b"coding": line}
            app = Noted()
            answer = await served(app, b"POST /front HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n\r\n" + chunk)
            if line.lower().replace(b" ", b"").replace(b"\t", b"") not in HARMLESS:
                assert not reached(app), answer

    anyrun(check())


HARMLESS = {b"transfer_encoding:chunked", b"x-transfer-encoding:chunked"}
"""These are fields of another name to every server, and the length alone counts: then what follows is a request."""


@pytest.mark.parametrize("value", LENGTH_LINES)
def test_a_length_that_is_none(anyrun, value: bytes) -> None:
    async def check() -> None:
        size = len(HIDDEN)
        made = value % tuple(size for _ in range(value.count(b"%d") + value.count(b"%x")))
        app = Noted()
        answer = await served(app, b"POST /front HTTP/1.1\r\nHost: x\r\nContent-Length: " + made + b"\r\n\r\n" + HIDDEN)
        assert not app.seen, answer
        assert statuses(answer) == [400]

    anyrun(check())


@pytest.mark.parametrize("form", CHUNKS.values(), ids=CHUNKS)
def test_chunks_that_are_none(anyrun, form: bytes) -> None:
    async def check() -> None:
        app = Noted()
        head = b"POST /front HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = await served(app, head + form % (len(HIDDEN), HIDDEN) + HIDDEN)
        assert not app.seen, answer
        assert statuses(answer)[0] in (400, 413)

    anyrun(check())


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"TRACE"])
def test_content_of_methods_that_have_none_is_content(anyrun, method: bytes) -> None:
    async def check() -> None:
        app = Noted()
        await served(app, method + b" / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN)
        assert [(path, body) for _, path, body in app.seen] == [("/", HIDDEN)]

    anyrun(check())
