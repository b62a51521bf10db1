"""llhttp's and h11's own request vectors, sent to a real socket. Where we differ, the case is listed with a reason."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from hardpoint.http import HttpServer

from .serving import Noted, exchange, hosted, statuses

pytestmark = pytest.mark.conformance

VECTORS = Path(__file__).parent / "vectors"
CASES: list[dict[str, Any]] = [
    case for name in ("llhttp", "h11") for case in json.loads((VECTORS / f"{name}.json").read_text())["cases"]
]

STRICTER = {
    "connection: `keep-alive` / CRLF between requests, implicit `keep-alive`": "one empty line is skipped, not two",
    "content-length: Content-Length reset when no body is received": "the second request is the body of the first",
    "method: REPORT request / M-SEARCH request": "RFC 9112 §3.2.4: only OPTIONS may ask for *",
    "method: REPORT request / SOURCE request with ICE": "ICE is not HTTP",
    "method: REPORT request / OPTIONS request with RTSP": "RTSP is not HTTP",
    "method: REPORT request / ANNOUNCE request with RTSP": "RTSP is not HTTP",
    "sample: No HTTP version": "HTTP/0.9 is not spoken",
    "transfer-encoding: `chunked` / Trailing headers": "RFC 9110 §6.5.1: Content-Type must not come behind the content",
    "transfer-encoding: POST with `chunked` as last transfer-encoding": "a coding that is not understood: 501; and #",
    "transfer-encoding: POST with `chunked` as last transfer-encoding (multiple headers)": "one field of it",
    "uri: Quotes in URI": "RFC 3986: a quote in a path must be escaped",
    "uri: Fragment in URI": "RFC 9112 §3.2: a target has no fragment",
    "uri: `host:port` and basic auth": "RFC 9110 §4.2.4: userinfo in a target is to be treated as an error",
    "test_readers_unusual (3)": "RFC 9112 §5.2: folded lines are refused",
    "test_allow_some_garbage_in_cookies (1)": "RFC 9110 §5.5: a control character in a value",
}
"""What they let through and we refuse, and why."""

LOOSER = {
    "connection: `close` / CRLF between requests, explicit `close`": "what follows a close is not read at all",
    "connection: `close` / CRLF between requests, explicit `close` followed by tab": "the same",
    "connection: `upgrade` / Setting a flag and pausing": "RFC 9110 §7.8: an Upgrade nobody takes up is ignored",
    "invalid: ICE protocol and GET method / HTTP protocol and ANNOUNCE method": "any token is a method: the app's 501",
    "invalid: ICE protocol and GET method / Invalid method": "the same",
}
"""What they refuse, or hand to somebody else, and we read as HTTP, and why."""


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_vector(anyrun, case: dict[str, Any]) -> None:
    async def check() -> None:
        app = Noted()
        server = HttpServer(app)
        listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        answer = await exchange(listener.sockets[0].getsockname()[1], hosted(case["request"]))
        listener.close()
        await server.drain(1)
        found = statuses(answer)
        refused = bool(found) and found[-1] >= 400
        # Some vectors are cut in the middle: what llhttp waits for, we refuse when the client ends its side.
        incomplete = b'"incomplete"' in answer
        name = case["name"]
        if case["refused"] is not None and not refused:
            assert name in LOOSER, f"{case['refused']}: we answer {found}, having seen {app.seen}"
        elif case["refused"] is None and ((refused and not incomplete) or len(app.seen) != case["messages"]):
            assert name in STRICTER, f"we answer {answer!r}, having seen {app.seen}"
        else:
            assert name not in {*STRICTER, *LOOSER}

    anyrun(check())
