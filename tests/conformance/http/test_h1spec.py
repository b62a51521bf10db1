"""The cases of h1spec and of RFC 9112's own MUSTs, as requests with the statuses that are right for them."""

from __future__ import annotations

import asyncio

import pytest

from hardpoint.http import HttpServer

from .serving import Noted, exchange, statuses

pytestmark = pytest.mark.conformance

# name: (request, statuses in order). Every 4xx and 5xx here ends the connection.
CASES: dict[str, tuple[bytes, list[int]]] = {
    "simple": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", [200]),
    "pipelined": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3, [200, 200, 200]),
    "lower-case host": (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", [200]),
    "upper-case host": (b"GET / HTTP/1.1\r\nHOST: x\r\n\r\n", [200]),
    "no space behind the colon": (b"GET / HTTP/1.1\r\nHost:x\r\n\r\n", [200]),
    "an empty field": (b"GET / HTTP/1.1\r\nHost: x\r\nX-Empty:\r\n\r\n", [200]),
    "an absolute target": (b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", [200]),
    "options of the server": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", [200]),
    "head": (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", [200]),
    "http/1.0": (b"GET / HTTP/1.0\r\n\r\n", [200]),
    "a length": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", [200]),
    "chunks": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", [200]),
    "fragmented method": (b"G", [400]),
    "fragmented line": (b"GET ", [400]),
    "fragmented head": (b"GET / HTTP/1.1\r\nHost: x\r\n", [400]),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", [400]),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", [400]),
    "no line": (b"\r\n\r\n\r\n", [400]),
    "a space before the target": (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", [400]),
    "no method": (b" / HTTP/1.1\r\nHost: x\r\n\r\n", [400]),
    "no target": (b"GET HTTP/1.1\r\nHost: x\r\n\r\n", [400]),
    "lower-case version": (b"GET / hTTP/1.1\r\nHost: x\r\n\r\n", [400]),
    "version 2.0": (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", [505]),
    "version of no digit": (b"GET / HTTP/1.x\r\nHost: x\r\n\r\n", [400]),
    "no colon": (b"GET / HTTP/1.1\r\nHost: x\r\nX\r\n\r\n", [400]),
    "space before the colon": (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", [400]),
    "space before the name": (b"GET / HTTP/1.1\r\nHost: x\r\n X: y\r\n\r\n", [400]),
    "a name with (": (b"GET / HTTP/1.1\r\nHost: x\r\nX(: y\r\n\r\n", [400]),
    "a name with {": (b"GET / HTTP/1.1\r\nHost: x\r\nX{: y\r\n\r\n", [400]),
    "a value with nul": (b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", [400]),
    "a negative length": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello", [400]),
    "a length of letters": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\nhello", [400]),
    "two lengths": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", [400]),
    "a length and chunks": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        [400],
    ),
    "a chunk size of letters": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        [400],
    ),
    "a coding nobody knows": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: br, chunked\r\n\r\n0\r\n\r\n", [501]),
    "chunks not last": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, br\r\n\r\n0\r\n\r\n", [400]),
    "no length in http/1.0": (b"POST / HTTP/1.0\r\n\r\n", [411]),
    "an expectation": (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: cake\r\nContent-Length: 1\r\n\r\na", [417]),
    "a long target": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", [414]),
    "a large head": (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20000 + b"\r\n\r\n", [431]),
    "many fields": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n", [431]),
    "a large body": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", [413]),
    "a proxy's method": (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", [501]),
    "good, then bad": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n", [200, 400]),
    "good with close, then more": (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" * 2, [200]),
    "a blank line before": (b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", [200]),
    "ssh": (b"SSH-2.0-OpenSSH_9.2\r\n", [400]),
}


UNFINISHED = [CASES[name][0] for name in ("fragmented method", "fragmented line", "fragmented head")]


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize(("request_bytes", "expected"), CASES.values(), ids=CASES)
def test_a_case(anyrun, request_bytes: bytes, expected: list[int], end: bool) -> None:
    if not end and (expected[-1] == 200 or request_bytes in UNFINISHED):
        return  # the server waits for more, as it should

    async def check() -> None:
        server = HttpServer(Noted())
        listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        answer = await exchange(listener.sockets[0].getsockname()[1], request_bytes, end=end)
        listener.close()
        await server.drain(1)
        assert statuses(answer) == expected, answer
        last = answer[answer.rindex(b"HTTP/1.1 %d" % expected[-1]) :]
        if expected[-1] >= 400:
            assert b"\r\nConnection: close\r\n" in last

    anyrun(check())
