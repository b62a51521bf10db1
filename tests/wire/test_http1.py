"""The HTTP/1 parser: each case whole, byte by byte and with bytes behind it; what is refused; the oracles' opinion."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import h11
import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.wire.http1 import (
    END,
    MAX_CHUNK_LINE_BYTES,
    EndOfMessage,
    Headers,
    HttpLimits,
    RequestHead,
    RequestParser,
    RequestRefused,
    encode_fields,
)
from properties import examples

SMALL = HttpLimits(
    max_head_bytes=512, max_target_bytes=100, max_fields=8, max_body_bytes=64, max_chunk_overhead_bytes=64
)


@dataclass
class Message:
    """One whole request, as everything that reads the parser puts it together."""

    head: RequestHead
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)

    def facts(self) -> tuple[Any, ...]:
        head = self.head
        return (
            head.method, head.target, head.path, head.query, head.minor, head.headers.fields, head.content_length,
            head.keep_alive, head.expect_continue, self.body, self.trailers,
        )  # fmt: skip


def drive(parser: RequestParser, pieces: list[bytes]) -> tuple[list[Message], RequestRefused | None]:
    """Feed the pieces; give the whole messages and how it was refused, if it was."""
    messages: list[Message] = []
    current: Message | None = None
    for piece in pieces:
        data = piece
        while True:
            try:
                events = parser.receive(data)
            except RequestRefused as refusal:
                return messages, refusal
            for event in events:
                if isinstance(event, RequestHead):
                    assert current is None
                    current = Message(event)
                elif isinstance(event, bytes):
                    assert current is not None
                    assert event
                    current.body += event
                else:
                    assert current is not None
                    assert event is events[-1]
                    current.trailers = event.trailers.fields
                    messages.append(current)
                    current = None
            data = b""
            if not events or not isinstance(events[-1], EndOfMessage) or not parser.buffered_bytes:
                break
    return messages, None


def parse(data: bytes, limits: HttpLimits = SMALL) -> tuple[list[Message], RequestRefused | None]:
    return drive(RequestParser(limits), [data])


def one(data: bytes, limits: HttpLimits = SMALL) -> Message:
    messages, refusal = parse(data, limits)
    assert refusal is None, refusal.message
    assert len(messages) == 1
    return messages[0]


HOST = b"Host: x\r\n"


def get(target: str = "/", fields: bytes = HOST, version: str = "HTTP/1.1", method: str = "GET") -> bytes:
    return f"{method} {target} {version}\r\n".encode("latin-1") + fields + b"\r\n"


def post(framing: bytes, body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"

GOOD: dict[str, bytes] = {
    "get": get(),
    "query": get("/a/b?x=1&y=%20"),
    "odd query": get('/?a={b}|"c"[]^`\\'),
    "escaped path": get("/a%20b/%E4%BD%A0"),
    "double slash": get("//a//"),
    "absolute": get("http://x/y?z"),
    "absolute without path": get("HTTP://x", b"Host: X\r\n"),
    "absolute with query only": get("http://x?z"),
    "asterisk": get("*", method="OPTIONS"),
    "longest method": get(method="M" * 32),
    "any token is a method": get(method="M-SEARCH"),
    "host with port": get(fields=b"Host: example.org:8080\r\n"),
    "host v6": get(fields=b"Host: [::1]:80\r\n"),
    "empty host": get(fields=b"Host:\r\n"),
    "1.0 without host": get(version="HTTP/1.0", fields=b""),
    "1.0 keep-alive": get(version="HTTP/1.0", fields=b"Connection: Keep-Alive\r\n"),
    "1.2 is read as 1.1": get(version="HTTP/1.2"),
    "close": get(fields=HOST + b"Connection: foo, Close\r\n"),
    "empty value": get(fields=HOST + b"X-Empty:\r\nX-Blank: \t \r\n"),
    "values keep inner space": get(fields=HOST + b"X:  a  b\t c \r\n"),
    "obs-text": get(fields=HOST + b"X: \xe4\xff\r\n"),
    "repeated field": get(fields=HOST + b"Accept: a\r\naccept: b\r\n"),
    "length": post(b"Content-Length: 5\r\n", b"hello"),
    "length 0": post(b"Content-Length: 0\r\n", b""),
    "length with zeros": post(b"Content-Length: 0005\r\n", b"hello"),
    "post without length": post(b"", b""),
    "get with body": get(fields=HOST + b"Content-Length: 2\r\n") + b"hi",
    "chunked": post(CHUNKED, b"5\r\nhello\r\n00b\r\n hello worl\r\n0\r\n\r\n"),
    "chunked, any case": post(b"transfer-encoding:  Chunked\r\n", b"A\r\n0123456789\r\n0\r\n\r\n"),
    "chunked, empty": post(CHUNKED, b"0\r\n\r\n"),
    "chunk extensions": post(CHUNKED, b'2;a;b=c;d="e \\" ;"\r\nhi\r\n0;z\r\n\r\n'),
    "trailers": post(CHUNKED, b"2\r\nhi\r\n0\r\nX-Sum: 1\r\nX-Sum: 2 \r\n\r\n"),
    "expect": get(method="PUT", fields=HOST + b"Expect: 100-Continue\r\nContent-Length: 2\r\n") + b"hi",
    "blank line first": b"\r\n" + get(),
    "pipelined": get()
    + post(b"Content-Length: 5\r\n", b"hello")
    + get()
    + post(CHUNKED, b"1\r\na\r\n0\r\n\r\n")
    + get(),
    "repeated heads": post(b"Content-Length: 3\r\n", b"abc") + post(b"Content-Length: 3\r\n", b"def") + get() + get(),
    "repeated fields": get("/1")
    + get("/2?x")
    + get("/3", method="HEAD")
    + get("/%41")
    + get("*", method="OPTIONS")
    + get(),
    "repeated fields behind an absolute target": get("http://x/") + get("/1") + get("http://x/2") + get("/3"),
    "repeated fields, other version": get("/1") + get("/2", version="HTTP/1.2") + get("/3", version="HTTP/1.0"),
    "repeated fields with bodies": post(b"Content-Length: 1\r\n", b"a")
    + post(b"Content-Length: 1\r\n", b"b").replace(b"POST /", b"PUT /x"),
    "1.0 with a length": b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
    "repeated chunked": 2 * post(CHUNKED, b"1\r\na\r\n0\r\n\r\n"),
}

BAD: dict[str, tuple[int, str, bytes]] = {
    # The request line
    "no version": (400, "bad-request-line", b"GET /\r\n\r\n"),
    "only a line": (400, "bad-request-line", b"hello\r\n"),
    "tls": (400, "tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "nul": (400, "bad-request-line", b"\0" * 10),
    "two spaces": (400, "bad-request-line", b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "tab": (400, "bad-request-line", b"GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n"),
    "leading space": (400, "bad-request-line", b" GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "trailing space": (400, "bad-request-line", b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n"),
    "bad method": (400, "bad-request-line", b"GE(T / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "space in the target": (400, "bad-request-line", b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"),
    "raw utf-8 in the target": (400, "bad-request-line", "GET /ü HTTP/1.1\r\nHost: x\r\n\r\n".encode()),
    "lower case http": (400, "bad-request-line", b"GET / http/1.1\r\nHost: x\r\n\r\n"),
    "version with two digits": (400, "bad-request-line", b"GET / HTTP/1.10\r\nHost: x\r\n\r\n"),
    "bare lf": (400, "bare-lf", b"GET / HTTP/1.1\nHost: x\n\n"),
    "bare cr": (400, "bad-request-line", b"GET / HTTP/1.1\rHost: x\r\n\r\n"),
    "two blank lines": (400, "bad-request-line", b"\r\n\r\n" + get()),
    "bare lf first": (400, "bare-lf", b"\n" + get()),
    "http/2": (505, "bad-version", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "http/0.9": (505, "bad-version", b"GET / HTTP/0.9\r\nHost: x\r\n\r\n"),
    "long target": (414, "target-too-long", get("/" + "a" * 100)),
    "endless target": (414, "target-too-long", b"GET /" + b"a" * 400),
    "endless method": (501, "unknown-method", b"G" * 400),
    "long method": (501, "unknown-method", get(method="G" * 33)),
    # The target
    "fragment": (400, "bad-target", get("/#a")),
    "angle": (400, "bad-target", get("/<a>")),
    "quote in the path": (400, "bad-target", get('/"')),
    "bad escape": (400, "bad-target", get("/%zz")),
    "cut escape": (400, "bad-target", get("/%a")),
    "escaped nul": (400, "bad-target", get("/%00")),
    "escaped latin-1": (400, "bad-target", get("/%ff")),
    "relative": (400, "bad-target", get("a")),
    "other scheme": (400, "bad-target", get("ftp://x/")),
    "absolute without host": (400, "bad-target", get("http:///")),
    "absolute with user": (400, "bad-target", get("http://a@x/")),
    "asterisk for get": (400, "bad-target", get("*")),
    "connect": (501, "connect", get("x:443", method="CONNECT")),
    # Host
    "no host": (400, "bad-host", get(fields=b"")),
    "two hosts": (400, "repeated-field", get(fields=HOST + HOST)),
    "host with a path": (400, "bad-host", get(fields=b"Host: x/y\r\n")),
    "host with user": (400, "bad-host", get(fields=b"Host: a@x\r\n")),
    "host list": (400, "bad-host", get(fields=b"Host: x y\r\n")),
    "host with bad port": (400, "bad-host", get(fields=b"Host: x:http\r\n")),
    "host against target": (400, "bad-host", get("http://y/")),
    # Fields
    "space before colon": (400, "space-before-colon", get(fields=b"Host : x\r\n")),
    "folded": (400, "folded-header", get(fields=HOST + b"X: a\r\n b\r\n")),
    "first line folded": (400, "folded-header", get(fields=b" Host: x\r\n")),
    "no colon": (400, "bad-header", get(fields=HOST + b"X\r\n")),
    "no name": (400, "bad-header", get(fields=HOST + b": x\r\n")),
    "bad name": (400, "bad-header", get(fields=HOST + b"X(): x\r\n")),
    "raw utf-8 name": (400, "bad-header", get(fields=HOST + "Ü: x\r\n".encode())),
    "nul in a value": (400, "bad-header", get(fields=HOST + b"X: a\0b\r\n")),
    "cr in a value": (400, "bad-header", get(fields=HOST + b"X: a\rb\r\n")),
    "lf line": (400, "bare-lf", get(fields=HOST + b"X: a\nY: b\r\n")),
    "del in a value": (400, "bad-header", get(fields=HOST + b"X: \x7f\r\n")),
    "too many": (431, "too-many-fields", get(fields=HOST + b"".join(b"X%d: 1\r\n" % i for i in range(8)))),
    "too large": (431, "head-too-large", get(fields=HOST + b"X: " + b"a" * 512 + b"\r\n")),
    "endless": (431, "head-too-large", get(fields=HOST)[:-2] + b"X: " + b"a" * 512),
    "twice a content type": (400, "repeated-field", get(fields=HOST + 2 * b"Content-Type: a/b\r\n")),
    "other expectation": (417, "bad-expect", get(fields=HOST + b"Expect: 200-ok\r\n")),
    # Framing
    "two lengths": (400, "repeated-field", post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello")),
    "differing lengths": (400, "repeated-field", post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello!")),
    "length list": (400, "bad-length", post(b"Content-Length: 5, 5\r\n", b"hello")),
    "signed": (400, "bad-length", post(b"Content-Length: +5\r\n", b"hello")),
    "negative": (400, "bad-length", post(b"Content-Length: -5\r\n", b"hello")),
    "hex length": (400, "bad-length", post(b"Content-Length: 0x5\r\n", b"hello")),
    "underscore": (400, "bad-length", post(b"Content-Length: 1_0\r\n", b"hellohello")),
    "empty length": (400, "bad-length", post(b"Content-Length:\r\n", b"")),
    "superscript": (400, "bad-length", post(b"Content-Length: \xb2\r\n", b"he")),
    "too long": (413, "body-too-large", post(b"Content-Length: 65\r\n", b"")),
    "absurd": (413, "body-too-large", post(b"Content-Length: " + b"9" * 60 + b"\r\n", b"")),
    "cl.te": (400, "ambiguous-length", post(b"Content-Length: 5\r\n" + CHUNKED, b"0\r\n\r\n")),
    "no length in 1.0": (411, "length-required", b"POST / HTTP/1.0\r\n\r\n"),
    "target of repeated fields": (400, "bad-target", get("/%zz")),
    "long target of repeated fields": (414, "target-too-long", get("/" + "b" * 100)),
    "te in 1.0": (400, "ambiguous-length", b"POST / HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n"),
    "te twice": (400, "repeated-field", post(CHUNKED + CHUNKED, b"0\r\n\r\n")),
    "chunked twice": (400, "bad-coding", post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n")),
    "chunked not last": (400, "bad-coding", post(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n")),
    "identity": (400, "bad-coding", post(b"Transfer-Encoding: identity\r\n", b"")),
    "xchunked": (400, "bad-coding", post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n")),
    "vertical tab": (400, "bad-header", post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n")),
    "gzip": (501, "unknown-coding", post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n")),
    # Chunks
    "chunk without size": (400, "bad-chunk", post(CHUNKED, b"\r\nhi\r\n")),
    "chunk size 0x": (400, "bad-chunk", post(CHUNKED, b"0x2\r\nhi\r\n0\r\n\r\n")),
    "chunk size signed": (400, "bad-chunk", post(CHUNKED, b"+2\r\nhi\r\n0\r\n\r\n")),
    "chunk size _": (400, "bad-chunk", post(CHUNKED, b"1_0\r\nhi\r\n0\r\n\r\n")),
    "chunk size space": (400, "bad-chunk", post(CHUNKED, b"2 \r\nhi\r\n0\r\n\r\n")),
    "chunk bare lf": (400, "bad-chunk", post(CHUNKED, b"2\nhi\r\n0\r\n\r\n")),
    "chunk cr in extension": (400, "bad-chunk", post(CHUNKED, b"2;a\rb\r\nhi\r\n0\r\n\r\n")),
    "chunk too long for its size": (400, "bad-chunk", post(CHUNKED, b"2\r\nhip\r\n0\r\n\r\n")),
    "chunk ends with lf": (400, "bad-chunk", post(CHUNKED, b"2\r\nhi\n0\r\n\r\n")),
    "chunk line endless": (400, "bad-chunk", post(CHUNKED, b"2;" + b"a" * MAX_CHUNK_LINE_BYTES)),
    "chunks too large": (413, "body-too-large", post(CHUNKED, b"20\r\n" + b"a" * 32 + b"\r\n21\r\n")),
    "chunk size absurd": (413, "body-too-large", post(CHUNKED, b"f" * 17 + b"\r\n")),
    "chunk overhead": (413, "chunk-overhead", post(CHUNKED, (b"1;" + b"a" * 60 + b"\r\nx\r\n") * 3)),
    "framing trailer": (400, "bad-trailer", post(CHUNKED, b"0\r\nContent-Length: 5\r\n\r\n")),
    "bad trailer": (400, "bad-header", post(CHUNKED, b"0\r\nX(: 5\r\n\r\n")),
    "trailer lf": (400, "bare-lf", post(CHUNKED, b"0\r\nX: 5\n\r\n")),
    "too many trailers": (431, "too-many-fields", post(CHUNKED, b"0\r\n" + b"X: 1\r\n" * 9 + b"\r\n")),
    "trailers too large": (431, "trailers-too-large", post(CHUNKED, b"0\r\nX: " + b"a" * 512)),
}  # fmt: skip


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
def test_good_is_the_same_however_it_arrives(data: bytes) -> None:
    whole, refusal = parse(data)
    assert refusal is None, refusal.message
    assert whole
    parser = RequestParser(SMALL)
    bytewise, refusal = drive(parser, [data[i : i + 1] for i in range(len(data))])
    assert refusal is None
    assert [m.facts() for m in bytewise] == [m.facts() for m in whole]
    assert parser.buffered_bytes == 0
    assert parser.in_head
    trailing, refusal = parse(data + b"GET /next HT")
    assert refusal is None
    assert [m.facts() for m in trailing] == [m.facts() for m in whole]


@pytest.mark.parametrize(("status", "reason", "data"), BAD.values(), ids=BAD)
def test_bad_is_refused_for_its_reason(status: int, reason: str, data: bytes) -> None:
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))], [get(), data]):
        parser = RequestParser(SMALL)
        messages, refusal = drive(parser, pieces)
        assert refusal is not None, f"accepted as {messages}"
        assert (refusal.answer, refusal.reason) == (status, reason)
        assert len(messages) == (1 if pieces[0] == get() else 0)
        with pytest.raises(RequestRefused):  # and stays refused
            parser.receive(get())


def test_what_a_head_says() -> None:
    head = one(get("/a%2Fb%20?q=%41", HOST + b"Accept: a\r\nCookie: a=1\r\naccept: b\r\ncookie: b=2\r\n")).head
    assert (head.method, head.raw_path, head.path, head.query) == ("GET", "/a%2Fb%20", "/a/b ", "q=%41")
    assert head.headers["ACCEPT"] == "a, b"
    assert head.headers["cookie"] == "a=1; b=2"  # RFC 6265: never a comma
    assert head.headers.get_all("Accept") == ["a", "b"]
    assert head.headers.get("nope") is None
    assert head.headers.get("nope", "x") == "x"
    assert "HOST" in head.headers
    assert list(head.headers) == ["host", "accept", "cookie"]
    assert len(head.headers) == 3


def test_an_absolute_target_names_the_host() -> None:
    head = one(b"GET http://Example.org:80/x HTTP/1.0\r\n\r\n").head
    assert head.headers["host"] == "Example.org:80"
    assert (head.path, head.target) == ("/x", "http://Example.org:80/x")


@pytest.mark.parametrize(
    ("version", "connection", "expected"),
    [
        ("HTTP/1.1", None, True),
        ("HTTP/1.1", "close", False),
        ("HTTP/1.1", "keep-alive, CLOSE", False),
        ("HTTP/1.1", "upgrade", True),
        ("HTTP/1.0", None, False),
        ("HTTP/1.0", "keep-alive", True),
        ("HTTP/1.0", "keep-alive, close", False),
    ],
)
def test_keep_alive(version: str, connection: str | None, expected: bool) -> None:
    fields = HOST if connection is None else HOST + f"Connection: {connection}\r\n".encode()
    assert one(get(version=version, fields=fields)).head.keep_alive is expected


def test_only_a_client_that_can_wait_for_100_is_told_to_go_on() -> None:
    expect = HOST + b"Expect: 100-continue\r\n"
    assert one(get(fields=expect + b"Content-Length: 1\r\n") + b"x").head.expect_continue
    assert not one(get(fields=expect)).head.expect_continue
    assert not one(get(fields=expect + b"Content-Length: 1\r\n", version="HTTP/1.0") + b"x").head.expect_continue


def test_a_body_is_told_of_while_it_arrives() -> None:
    parser = RequestParser(SMALL)
    head, piece = parser.receive(post(b"Content-Length: 5\r\n", b"he"))
    assert isinstance(head, RequestHead)
    assert piece == b"he"
    assert not parser.in_head
    assert parser.receive(b"l") == [b"l"]
    assert parser.receive(b"loGET") == [b"lo", END]
    assert parser.buffered_bytes == 3


def test_a_request_behind_another_waits_in_the_parser() -> None:
    parser = RequestParser(SMALL)
    assert len(parser.receive(get("/1") + get("/2") + get("/3"))) == 2
    assert parser.buffered_bytes == 2 * len(get("/1"))
    second = parser.receive(b"")[0]
    third = parser.receive(b"")[0]
    assert isinstance(second, RequestHead)
    assert isinstance(third, RequestHead)
    assert (second.target, third.target) == ("/2", "/3")
    assert parser.buffered_bytes == 0


def test_a_repeated_head_is_recognised_but_only_whole() -> None:
    parser = RequestParser(SMALL)
    request = post(b"Content-Length: 3\r\n", b"abc")
    first = parser.receive(request)
    again = parser.receive(request)
    assert again[0] is first[0]
    assert again[1:] == [b"abc", END]
    cut, refusal = drive(parser, [request[:-1], b"d" + request[:-5], request[-5:]])
    assert refusal is None
    assert [m.body for m in cut] == [b"abd", b"abc"]
    longer = parser.receive(request.replace(b"\r\n\r\nabc", b"\r\nX: 1\r\n\r\nabc"))
    assert isinstance(longer[0], RequestHead)
    assert longer[0].headers["x"] == "1"


def test_a_limit_is_met_exactly() -> None:
    assert one(get("/" + "a" * 99)).head.path == "/" + "a" * 99
    fill = 512 - len(get(fields=HOST + b"X: \r\n"))
    assert one(get(fields=HOST + b"X: " + b"a" * fill + b"\r\n"))
    _, refusal = parse(get(fields=HOST + b"X: " + b"a" * (fill + 1) + b"\r\n"))
    assert refusal is not None
    assert refusal.answer == 431
    assert one(post(b"Content-Length: 64\r\n", b"a" * 64)).body == b"a" * 64
    assert one(post(CHUNKED, b"40\r\n" + b"a" * 64 + b"\r\n0\r\n\r\n")).body == b"a" * 64


def test_fields_are_encoded_or_refused() -> None:
    assert encode_fields([("X-A", "1"), ("X-B", "ü")]) == b"X-A: 1\r\nX-B: \xfc\r\n"
    for name, value in [("X", "a\r\nSet-Cookie: b"), ("X", "a\n"), ("X", "\0"), ("X Y", "a"), ("", "a"), ("X", "你")]:
        with pytest.raises(ValueError):
            encode_fields([(name, value)])


# ---- Properties

tokens = st.text("abcXYZ019-_~!", min_size=1, max_size=8)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
# Not st.binary: hypothesis compares its choices with integers, which `python -bb` takes for an error.
bodies = st.lists(st.integers(0, 255), max_size=40).map(bytes)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    head = f"{draw(tokens)} /{draw(st.text('abc/.%41', max_size=4)).replace('%', '')} HTTP/1.1\r\nHost: x\r\n"
    for name in draw(st.lists(tokens, max_size=4)):
        head += f"x-{name}: {draw(values)}\r\n"
    body = draw(bodies)
    if draw(st.booleans()):
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    chunks = b""
    while body:
        size = draw(st.integers(1, len(body)))
        chunks += b"%x\r\n%b\r\n" % (size, body[:size])
        body = body[size:]
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n"


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


ROOMY = HttpLimits()


@given(st.lists(requests(), min_size=1, max_size=4), st.lists(st.integers(0, 2000), max_size=8))
def test_any_split_gives_the_same_messages(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    whole, refusal = parse(data, ROOMY)
    assert refusal is None
    assert len(whole) == len(parts)
    pieces, refusal = drive(RequestParser(ROOMY), split(data, cuts))
    assert refusal is None
    assert [m.facts() for m in pieces] == [m.facts() for m in whole]


GRAINS = [
    b"GET ", b"POST ", b"/", b"*", b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"Host: x", b":",
    b" ", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"abc", b"3\r\nabc\r\n", b"0\r\n\r\n", b"0", b"\0",
    b"\t", b"Connection: close", b"Expect: 100-continue", b";a=b", b"X: y", b"GET / HTTP/1.1\r\nHost: x\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
]  # fmt: skip
soups = st.lists(st.sampled_from(GRAINS) | st.integers(0, 255).map(lambda byte: bytes([byte])), max_size=25).map(
    b"".join
)


@examples(400)
@given(soups, st.lists(st.integers(0, 200), max_size=6))
def test_anything_is_read_or_refused_alike_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    whole, refused = parse(data)
    pieces, refused_too = drive(RequestParser(SMALL), split(data, cuts))
    assert [m.facts() for m in pieces] == [m.facts() for m in whole]
    assert (refused is None) == (refused_too is None)
    if refused is not None and refused_too is not None and not {414, 431} & {refused.answer, refused_too.answer}:
        assert refused.answer == refused_too.answer


# ---- Against the oracles: where they disagree with us, we are the stricter


def by_h11(data: bytes) -> list[tuple[bytes, bytes, bytes]] | None:
    """``(method, target, body)`` of each whole message, or None where h11 refuses."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    messages: list[tuple[bytes, bytes, bytes]] = []
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                if connection.their_state is not h11.DONE or connection.our_state is h11.DONE:
                    return messages
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return messages
                connection.start_next_cycle()
            elif isinstance(event, h11.Request):
                method, target, body = event.method, event.target, b""
                if method == b"CONNECT":
                    return [*messages, (method, target, b"")]
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                messages.append((method, target, body))
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return messages
                connection.start_next_cycle()
            else:
                return messages
    except h11.RemoteProtocolError:
        return None


class _Collector:
    def __init__(self) -> None:
        self.messages: list[tuple[bytes, bytes, bytes]] = []

    def on_message_begin(self) -> None:
        self.target, self.body = b"", b""

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.messages.append((self.parser.get_method(), self.target, self.body))


def by_llhttp(data: bytes) -> list[tuple[bytes, bytes, bytes]] | None:
    """The same from llhttp. For httptools a request that asks for an upgrade ends at its head, whatever follows; so it
    is not among them, unless it is CONNECT, which has no content.
    """
    collector = _Collector()
    collector.parser = httptools.HttpRequestParser(collector)
    try:
        collector.parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        if collector.messages[-1:] and collector.messages[-1][0] != b"CONNECT":
            collector.messages.pop()
        return collector.messages or None
    except httptools.HttpParserError:
        return None
    return collector.messages


def by_us(data: bytes) -> list[tuple[bytes, bytes, bytes]] | None:
    messages, refusal = parse(data, ROOMY)
    if refusal is not None:
        return None
    found = []
    for message in messages:
        found.append((message.head.method.encode(), message.head.target.encode("latin-1"), message.body))
        if not message.head.keep_alive:
            break
    return found


@examples(400)
@given(soups)
@pytest.mark.conformance
def test_what_we_accept_the_oracles_read_the_same(data: bytes) -> None:
    ours = by_us(data)
    if not ours:
        return
    for oracle in (by_h11, by_llhttp):
        theirs = oracle(data)
        # An oracle may stop early (h11 at a request it answers, either at bytes behind that we have not judged yet),
        # but never read another message where we read this one.
        if theirs is not None:
            shared = min(len(theirs), len(ours))
            assert theirs[:shared] == ours[:shared], oracle.__name__


@pytest.mark.parametrize(
    "name", [n for n in GOOD if n not in {"longest method", "any token is a method", "1.2 is read as 1.1"}]
)
@pytest.mark.conformance
def test_the_oracles_agree_on_the_good_cases(name: str) -> None:
    data = GOOD[name]
    ours = by_us(data)
    assert by_h11(data) in (ours, None)
    assert by_llhttp(data) in (ours, None)


@pytest.mark.parametrize("name", BAD)
@pytest.mark.conformance
def test_what_an_oracle_accepts_of_the_bad_cases_is_known(name: str) -> None:
    """Where we are the stricter, by name. A change here is a change of what is let through."""
    data = BAD[name][2]
    assert bool(by_h11(data)) == (name in H11_ACCEPTS)
    assert bool(by_llhttp(data)) == (name in LLHTTP_ACCEPTS)


# Neither judges targets, the host's grammar, expectations or sizes: that is their caller's.
BOTH_ACCEPT = {
    "http/0.9", "long target", "fragment", "angle", "quote in the path", "bad escape", "cut escape", "escaped nul",
    "escaped latin-1", "other scheme", "absolute without host", "absolute with user", "asterisk for get", "connect",
    "host with a path", "host with user", "host list", "host with bad port", "host against target", "too many",
    "too large", "twice a content type", "other expectation", "te in 1.0", "too many trailers", "no length in 1.0",
    "target of repeated fields", "long target of repeated fields",
}  # fmt: skip
H11_ACCEPTS = BOTH_ACCEPT | {
    "long method", "relative",
    # It mends what RFC 9112 lets a server mend: bare LF (§2.2), folded lines (§5.2), equal lengths and
    # Transfer-Encoding over Content-Length (§6.3), white space behind a chunk's size (§7.1.1).
    "bare lf", "lf line", "trailer lf", "folded", "two lengths", "length list", "cl.te", "chunk size space",
    "chunk cr in extension", "framing trailer", "del in a value",
}  # fmt: skip
LLHTTP_ACCEPTS = BOTH_ACCEPT | {
    "no version", "two spaces", "two blank lines", "bare lf first", "no host", "two hosts", "gzip",
}  # fmt: skip


def test_headers_can_be_made_and_changed() -> None:
    headers = Headers([("a", "1"), ("a", "2")])
    assert headers["A"] == "1, 2"
    headers.put("a", "3")
    assert headers.fields == [("a", "3")]
    assert headers["A"] == "3"
