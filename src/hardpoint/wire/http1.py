"""HTTP/1.0 and 1.1 requests in, response heads out (RFC 9110, RFC 9112), without a socket or a clock.

`RequestParser.receive` takes what a read brought and gives the events of at most one request: a `RequestHead`, the
body as ``bytes`` while it arrives, and at the end an `EndOfMessage`. Bytes behind the end stay in the parser until it
is called again, so what a client pipelines costs its bytes and no more.

Request smuggling needs two parsers that read the same bytes differently. So nothing is repaired here: what is not in
the grammar, and what the grammar allows but parsers are known to disagree on (``Content-Length`` beside
``Transfer-Encoding``, repeated lengths, white space around chunk sizes, bare CR or LF, folded lines), is refused and
the connection is closed. Where this is stricter than the RFC demands, the comment says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, TypeAlias
from urllib.parse import unquote_to_bytes

from ..errors import PeerError


@dataclass(slots=True, frozen=True)
class HttpLimits:
    """What one request may weigh. Each has its own answer."""

    max_head_bytes: int = 16 * 1024
    """Request line and header fields: 431. Apache allows 8 KiB a line, nginx 32 KiB in all."""
    max_target_bytes: int = 8000
    """The request target: 414. RFC 9112 §3 asks for at least 8000."""
    max_fields: int = 100
    """Header or trailer fields: 431. Apache's number; browsers send about 20."""
    max_body_bytes: int = 1024 * 1024
    """The content, after the chunks are undone: 413."""
    max_chunk_overhead_bytes: int = 16 * 1024
    """Chunk lines beyond 16 bytes plus twice the chunk's data: 413. One-byte chunks with long extensions cost the
    sender little and the reader much (CVE-2023-39326)."""


MAX_METHOD_BYTES = 32
"""A longer one is 501, as RFC 9112 §3 asks. The longest registered has 17 (UPDATEREDIRECTREF)."""
_LINE_OVERHEAD_BYTES = MAX_METHOD_BYTES + len("  HTTP/1.1")  # what a request line has beside its target
MAX_CHUNK_LINE_BYTES = 256
"""Size and extensions of one chunk. Real ones are under 10 bytes, signed S3 uploads 90."""
MAX_REPEATED_HEAD_BYTES = 2048
"""The longest head a parser keeps to recognise its repetition."""


class RequestRefused(PeerError):
    """The request cannot be read safely: answer with ``answer`` and close, for where the next one starts is unknown.

    ``reason`` is a short slug for a counter.
    """

    def __init__(self, answer: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.answer = answer
        self.reason = reason


class Headers(Mapping[str, str]):
    """Header fields by name in any case. A repeated field reads as one, joined by ``", "`` (RFC 9110 §5.3)."""

    __slots__ = ("fields", "joined")

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        """Names must be in lower case already, values without white space around them."""
        self.fields = fields
        """Every field in the order sent."""
        self.joined = joined = dict(fields)
        """Each name once, for look-ups that need no folding."""
        if len(joined) != len(fields):
            joined.clear()
            for name, value in fields:
                # RFC 6265 §5.4: a comma may stand inside a cookie, so those are joined as cookies are.
                glue = "; " if name == "cookie" else ", "
                joined[name] = f"{joined[name]}{glue}{value}" if name in joined else value

    def __getitem__(self, name: str) -> str:
        return self.joined[name.lower()]

    def get(self, name: str, default: Any = None) -> Any:  # Mapping's own costs an exception for a missing name
        """The field's value, or the default."""
        return self.joined.get(name.lower(), default)

    def __iter__(self) -> Iterator[str]:
        return iter(self.joined)

    def __len__(self) -> int:
        return len(self.joined)

    def put(self, name: str, value: str) -> None:
        """Set the one field of that name, in lower case, whether it was there or not."""
        self.fields = [field for field in self.fields if field[0] != name]
        self.fields.append((name, value))
        self.joined[name] = value

    def get_all(self, name: str) -> list[str]:
        """The values of every field of that name, in order."""
        name = name.lower()
        return [value for key, value in self.fields if key == name]


@dataclass(slots=True)
class RequestHead:
    """A request's line and fields, and what they mean for framing. Shared between repetitions: never changed."""

    method: str
    target: str
    raw_path: str
    """The path as sent, where ``%2F`` is not yet a slash: what a router splits."""
    path: str
    """The path decoded, as UTF-8."""
    query: str
    """What follows the first ``?``, as sent."""
    minor: int
    """The x of HTTP/1.x; more than 1 is read as 1."""
    headers: Headers
    content_length: int | None
    """The body's bytes; 0 for none; None when it comes in chunks."""
    keep_alive: bool
    """Whether the client wants another request on this connection."""
    expect_continue: bool
    """Whether the client waits for ``100 Continue`` before it sends the body."""
    size_bytes: int
    """What the head took on the wire, its blank line included."""


@dataclass(slots=True)
class EndOfMessage:
    """The request is whole. ``trailers`` came behind a chunked body."""

    trailers: Headers


Event: TypeAlias = RequestHead | bytes | EndOfMessage

END = EndOfMessage(Headers([]))
"""The end of a message without trailers: every such message ends with this one object."""

_TCHAR = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"  # RFC 9110 §5.6.2
_VALUE = r"[^\x00-\x08\x0a-\x1f\x7f]*+"  # RFC 9110 §5.5: VCHAR, obs-text, space and tab; never CR, LF, NUL
# The quantifiers are possessive: a head that does not match fails in one pass, whatever was sent.
_FIELD_LINE = rf"{_TCHAR}++:{_VALUE}\r\n"
_METHOD = rf"{_TCHAR}{{1,{MAX_METHOD_BYTES}}}+"
_HEAD = re.compile(rf"({_METHOD}) ([!-~]++) HTTP/1\.([0-9])\r\n((?:{_FIELD_LINE})*+)\r\n")
_LONG_METHOD = re.compile(rf"{_TCHAR}{{{MAX_METHOD_BYTES + 1}}}")
_REQUEST_LINE = re.compile(rf"({_METHOD}) ([!-~]++) HTTP/([0-9])\.([0-9])")
_FIELD_BLOCK = re.compile(rf"(?:{_FIELD_LINE})*+\r\n")
_PARTIAL_LINE = re.compile(rf"{_METHOD}(?: (?:[!-~]++(?: [HTP/0-9.]*+\r?)?)?)?".encode())
_BARE_LF = re.compile(rb"(?<!\r)\n")

# RFC 3986 §3.3 and §3.4, and what browsers send without escaping it (WHATWG URL): | [ ] ^ in a path, also { } ` \ "
# in a query. Never # < > or a space.
_ORIGIN = re.compile(
    r"(/(?:[A-Za-z0-9._~!$&'()*+,;=:@/|\[\]^-]++|%[0-9A-Fa-f]{2})*+)"
    r"(?:\?([A-Za-z0-9._~!$&'()*+,;=:@/|\[\]^?%{}`\\\"-]*+))?"
)
# RFC 9110 §7.2: uri-host [":" port]. An empty one is what §7.2 asks of a client whose target has no authority.
_HOST = re.compile(
    r"(?:\[(?:[0-9A-Fa-f:.]+|v[0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+)\]|"
    r"(?:[A-Za-z0-9._~!$&'()*+,;=-]++|%[0-9A-Fa-f]{2})*+)(?::[0-9]{0,5})?"
)
_ABSOLUTE = re.compile(r"(?i:https?)://([^/?]*+)([^?]*+)(.*)")
_DIGITS = re.compile(r"[0-9]+")
# RFC 9112 §7.1.1. Without the "bad" white space it allows before ";": parsers disagree on it.
_CHUNK_LINE = re.compile(
    rf"([0-9A-Fa-f]++)(?:;{_TCHAR}++(?:=(?:{_TCHAR}++|\"(?:[\t !#-\[\]-~]|\\[\t -~])*+\"))?)*+\r\n".encode()
)
# RFC 9110 §6.5.1: fields that decide framing, routing or who is asking have no business behind the body.
_NEVER_TRAILERS = frozenset(
    {"content-length", "transfer-encoding", "host", "trailer", "te", "connection", "upgrade", "expect",
     "content-encoding", "content-type", "content-range", "authorization", "cookie", "cache-control"}
)  # fmt: skip
# RFC 9110 §5.3: a second one of these has no meaning that all agree on.
_ONCE = ("host", "content-length", "transfer-encoding", "content-type", "authorization", "expect")


# What the parser reads next; the table of steps at the end of the class is indexed by these.
_HEAD_STEP, _LENGTH_STEP, _CHUNK_LINE_STEP, _CHUNK_DATA_STEP, _CHUNK_END_STEP, _TRAILERS_STEP = range(6)


class RequestParser:
    """One connection's requests, read strictly.

    Raises from `receive`: `RequestRefused`, with the status to answer (400, 413, 414, 417, 431, 501, 505); the parser
    then stays failed and refuses whatever comes. Any other exception is a bug here. How the bytes were cut into reads
    changes neither what is accepted nor what it means; of bytes that are malformed and too many, it may decide which
    of the two is told.
    """

    __slots__ = (
        "_blank_skipped", "_body_bytes", "_limits", "_max_body_bytes", "_max_body_bytes_of", "_overhead_bytes", "_pos",
        "_refusal", "_remaining", "_repeat", "_repeat_head", "_scanned", "_step", "buffer",
    )  # fmt: skip

    def __init__(self, limits: HttpLimits, max_body_bytes: Callable[[RequestHead], int] | None = None) -> None:
        """``max_body_bytes`` is asked how large the body behind a head may be, instead of the limits."""
        self._limits = limits
        self._max_body_bytes_of = max_body_bytes
        self._max_body_bytes = limits.max_body_bytes  # of the body that is being read
        self.buffer = b""
        """What no event has told of yet, from `_pos` on; empty when there is nothing."""
        self._pos = 0  # where the unread part of the buffer starts
        self._scanned = 0  # bytes behind _pos that were looked at for the end of the head
        self._blank_skipped = False
        self._step = _HEAD_STEP
        self._remaining = 0  # bytes still to come of the body, or of the chunk
        self._body_bytes = 0  # of a chunked body so far
        self._overhead_bytes = 0  # chunk lines so far, less what the data of the chunks pays for
        self._refusal: RequestRefused | None = None
        self._repeat = b""
        self._repeat_head: RequestHead | None = None

    @property
    def buffered_bytes(self) -> int:
        """How many received bytes no event has told of yet."""
        return len(self.buffer) - self._pos

    @property
    def in_head(self) -> bool:
        """Whether the next event is a `RequestHead`: between two requests, or within a head."""
        return self._step == _HEAD_STEP

    @property
    def remaining_body_bytes(self) -> int | None:
        """What still has to come of the body that is being read; None when only its chunks will tell."""
        return self._remaining if self._step in (_HEAD_STEP, _LENGTH_STEP) else None

    def take_rest(self) -> bytes:
        """What was received behind the last request and told of by no event. It is gone from here: what follows on the
        connection is another protocol's.
        """
        rest = self.buffer[self._pos :]
        self.buffer, self._pos = b"", 0
        return rest

    def receive(self, data: bytes) -> list[Event]:
        """Take the bytes of one read (``b""`` to go on behind a finished request); give what they complete, up to
        the end of one request.

        Raises:
            RequestRefused: what was sent cannot be read safely, or passes a limit.
        """
        buffer = self.buffer
        if not buffer:
            buffer, pos = data, 0
        elif data:
            buffer, pos = buffer[self._pos :] + data, 0
        else:
            pos = self._pos
        # The common case first: a browser polling or a device posting repeats its head byte for byte, so comparing it
        # with the last one (60 ns) saves parsing it (6 µs). It ends in the blank line, so equal means whole.
        if self._step == _HEAD_STEP and self._repeat and buffer.startswith(self._repeat, pos):
            head = self._repeat_head
            assert head is not None
            start = pos + len(self._repeat)
            length = head.content_length
            if length is not None and start + length <= len(buffer):
                end = start + length
                if end == len(buffer):
                    self.buffer = b""
                    self._pos = 0
                else:
                    self.buffer, self._pos = buffer, end
                self._scanned = 0
                self._blank_skipped = False
                return [head, buffer[start:end], END] if length else [head, END]
        if self._refusal is not None:
            raise self._refusal
        self.buffer, self._pos = buffer, pos
        events: list[Event] = []
        try:
            while self._STEPS[self._step](self, events):
                pass
        except RequestRefused as refusal:
            self._refusal = refusal
            self._repeat = self.buffer = b""
            self._pos = 0
            raise
        if self._pos == len(self.buffer):
            self.buffer = b""
            self._pos = 0
        return events

    # Each step reads one element of the grammar. True: another step may follow. False: the bytes ran out, or the
    # request ended.

    def _read_head(self, events: list[Event]) -> bool:
        if not self._blank_skipped and self.buffer.startswith(b"\r\n", self._pos):
            # RFC 9112 §2.2: at least one empty line before a request line is skipped; some clients end a body so.
            # Only one: more would be a way to hold a connection without a request.
            self._pos += 2
            self._scanned = 0
            self._blank_skipped = True
        buffer, pos = self.buffer, self._pos
        end = buffer.find(b"\r\n\r\n", pos + self._scanned) + 4
        if end < 4:
            self._check_partial_head()
            self._scanned = max(0, len(buffer) - pos - 3)
            return False
        raw = buffer[pos:end]
        head = parse_head(raw, self._limits)
        self._limit_body(head)
        if len(raw) <= MAX_REPEATED_HEAD_BYTES:
            self._repeat, self._repeat_head = raw, head
        self._pos = end
        self._scanned = 0
        self._blank_skipped = False
        events.append(head)
        if head.content_length is None:
            self._step = _CHUNK_LINE_STEP
            self._body_bytes = self._overhead_bytes = 0
        elif head.content_length:
            self._step = _LENGTH_STEP
            self._remaining = head.content_length
        else:
            events.append(END)
            return False
        return True

    def _limit_body(self, head: RequestHead) -> None:
        """Find how large this body may be, and refuse the one that says it is larger."""
        limit, length = self._limits.max_body_bytes, head.content_length
        if self._max_body_bytes_of is not None and length != 0:
            limit = self._max_body_bytes_of(head)
        if length is not None and length > limit:
            raise _body_too_large(limit)
        self._max_body_bytes = limit

    def _check_partial_head(self) -> None:
        """Refuse early what no further byte can mend, so that a wrong protocol is answered and not waited out."""
        buffer, pos, limits = self.buffer, self._pos, self._limits
        size = len(buffer) - pos
        if not size:
            return
        line_end = buffer.find(b"\r\n", pos)
        if line_end < 0:
            start = buffer[pos : pos + 64]
            if _PARTIAL_LINE.fullmatch(start) is None and (start != b"\r" or self._blank_skipped):
                raise _bad_request_line(start.decode("latin-1"))
            if size > limits.max_target_bytes + _LINE_OVERHEAD_BYTES:
                raise _target_too_long(limits)
            if _BARE_LF.search(buffer, pos + self._scanned):
                raise _bare_lf()
            return
        if self._scanned <= line_end - pos:  # the line has just become whole
            _check_request_line(buffer[pos:line_end].decode("latin-1"), limits)
        if _BARE_LF.search(buffer, pos + self._scanned, pos + limits.max_head_bytes):
            raise _bare_lf()
        if size > limits.max_head_bytes:
            raise _head_too_large(limits)

    def _read_length(self, events: list[Event]) -> bool:
        """A body of known length."""
        if not self._take(events):
            return False
        self._finish(events, END)
        return False

    def _read_chunk_line(self, events: list[Event]) -> bool:
        buffer, pos = self.buffer, self._pos
        end = buffer.find(b"\n", pos, pos + MAX_CHUNK_LINE_BYTES)
        if end < 0:
            if len(buffer) - pos >= MAX_CHUNK_LINE_BYTES:
                raise RequestRefused(400, "bad-chunk", f"a chunk line is over {MAX_CHUNK_LINE_BYTES} bytes")
            return False
        found = _CHUNK_LINE.fullmatch(buffer, pos, end + 1)
        if found is None:
            raise RequestRefused(400, "bad-chunk", "a chunk line is not a hexadecimal size and extensions")
        limits = self._limits
        digits = found[1]
        size = int(digits, 16) if len(digits) <= 16 else self._max_body_bytes + 1
        self._body_bytes += size
        if self._body_bytes > self._max_body_bytes:
            raise _body_too_large(self._max_body_bytes)
        self._overhead_bytes = max(0, self._overhead_bytes + end + 1 - pos - 16 - 2 * size)
        if self._overhead_bytes > limits.max_chunk_overhead_bytes:
            raise RequestRefused(413, "chunk-overhead", "the chunk lines outweigh their chunks")
        self._pos = end + 1
        self._remaining = size
        self._step = _CHUNK_DATA_STEP if size else _TRAILERS_STEP
        return True

    def _read_chunk_data(self, events: list[Event]) -> bool:
        if not self._take(events):
            return False
        self._step = _CHUNK_END_STEP
        return True

    def _read_chunk_end(self, events: list[Event]) -> bool:
        ending = self.buffer[self._pos : self._pos + 2]
        if ending != b"\r\n":
            if ending in (b"", b"\r"):
                return False
            raise RequestRefused(400, "bad-chunk", "a chunk is longer than its size says")
        self._pos += 2
        self._step = _CHUNK_LINE_STEP
        return True

    def _read_trailers(self, events: list[Event]) -> bool:
        buffer, pos, limits = self.buffer, self._pos, self._limits
        if buffer.startswith(b"\r\n", pos):
            self._pos = pos + 2
            self._finish(events, END)
            return False
        end = buffer.find(b"\r\n\r\n", pos) + 4
        if (len(buffer) if end < 4 else end) - pos > limits.max_head_bytes:
            raise RequestRefused(431, "trailers-too-large", f"the trailers are over {limits.max_head_bytes} bytes")
        if end < 4:
            if _BARE_LF.search(buffer, pos):
                raise _bare_lf()
            return False
        block = buffer[pos:end].decode("latin-1")
        if _FIELD_BLOCK.fullmatch(block) is None:
            raise _bad_fields(block)
        trailers = _read_fields(block)
        if len(trailers.fields) > limits.max_fields:
            raise _too_many_fields(limits)
        if not _NEVER_TRAILERS.isdisjoint(trailers):
            raise RequestRefused(400, "bad-trailer", "a trailer is a field that must stand in the head")
        self._pos = end
        self._finish(events, EndOfMessage(trailers))
        return False

    def _take(self, events: list[Event]) -> bool:
        """Give what is there of the `_remaining` bytes; whether that was all."""
        piece = self.buffer[self._pos : self._pos + self._remaining]
        if piece:
            events.append(piece)
            self._pos += len(piece)
            self._remaining -= len(piece)
        return not self._remaining

    def _finish(self, events: list[Event], end: EndOfMessage) -> None:
        events.append(end)
        self._step = _HEAD_STEP

    _STEPS: ClassVar = (
        _read_head, _read_length, _read_chunk_line, _read_chunk_data, _read_chunk_end, _read_trailers,
    )  # fmt: skip


def parse_head(raw: bytes, limits: HttpLimits) -> RequestHead:
    """Read a whole head, from the request line to the blank line.

    Raises:
        RequestRefused: it is not one, is not safe to act on, or passes a limit.
    """
    text = raw.decode("latin-1")  # RFC 9110 §5.5: octets beyond ASCII are opaque; latin-1 keeps each
    found = _HEAD.fullmatch(text)
    if found is None or len(raw) > limits.max_head_bytes or len(found[2]) > limits.max_target_bytes:
        raise _refusal_of(text, limits)
    method, target, minor, block = found.groups()
    headers = _read_fields(block)
    fields = headers.fields
    joined = headers.joined
    if len(fields) > limits.max_fields:
        raise _too_many_fields(limits)
    if len(fields) != len(joined):
        names = [name for name, _ in fields]
        for name in _ONCE:
            if names.count(name) > 1:
                raise RequestRefused(400, "repeated-field", f"{name} is there more than once")
    raw_path, query, authority = _read_target(method, target)
    _check_host(headers, minor, authority)
    path = _decoded_path(raw_path) if "%" in raw_path else raw_path
    length = _content_length(headers, minor)
    expects = joined.get("expect")
    if expects is not None and expects.lower() != "100-continue":
        raise RequestRefused(417, "bad-expect", "only 100-continue can be expected")
    connection = joined.get("connection")
    keep_alive = minor != "0"
    if connection is not None:
        # RFC 9112 §9.3
        options = {option.strip(" \t") for option in connection.lower().split(",")}
        keep_alive = "close" not in options and (keep_alive or "keep-alive" in options)
    return RequestHead(
        method, target, raw_path, path, query, int(minor), headers, length, keep_alive,
        # RFC 9110 §10.1.1: an HTTP/1.0 client cannot wait for an interim answer, nor one without a body.
        expects is not None and minor != "0" and length != 0,
        len(raw),
    )  # fmt: skip


def _read_fields(block: str) -> Headers:
    """The fields of a block of lines that matches the grammar. Splitting costs half of what a regex's groups do."""
    fields = []
    for line in block.split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            fields.append((name.lower(), value.strip(" \t")))
    return Headers(fields)


def _read_target(method: str, target: str) -> tuple[str, str, str | None]:
    """``(path, query, authority)`` of a target; the authority only of an absolute one (RFC 9112 §3.2)."""
    authority = None
    if method == "CONNECT":
        # RFC 9110 §9.3.6: an origin server need not tunnel. What would follow is not HTTP, so it is refused here.
        raise RequestRefused(501, "connect", "this server is not a proxy")
    if target == "*":
        if method != "OPTIONS":
            raise RequestRefused(400, "bad-target", "only OPTIONS may ask for *")
        return "*", "", None
    if target[0] != "/":
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None or not absolute[1] or _HOST.fullmatch(absolute[1]) is None:
            raise RequestRefused(400, "bad-target", "the target is no path and no http URL")
        authority = absolute[1]
        target = (absolute[2] or "/") + absolute[3]
    origin = _ORIGIN.fullmatch(target)
    if origin is None:
        raise RequestRefused(400, "bad-target", "the target holds what a URL must escape")
    return origin[1], origin[2] or "", authority


def _check_host(headers: Headers, minor: str, authority: str | None) -> None:
    """Refuse a missing or wrong ``Host``; an absolute target's authority takes its place."""
    host = headers.joined.get("host")
    if host is None:
        if minor != "0":  # RFC 9112 §3.2
            raise RequestRefused(400, "bad-host", "an HTTP/1.1 request needs a Host")
    elif _HOST.fullmatch(host) is None:
        raise RequestRefused(400, "bad-host", "the Host is not a host")
    if authority is not None:
        # RFC 9112 §3.2.2: what an absolute target names stands; a Host that says something else is a trick.
        if host is not None and host.lower() != authority.lower():
            raise RequestRefused(400, "bad-host", "the Host is not the target's")
        headers.put("host", authority)


def _decoded_path(raw_path: str) -> str:
    try:
        path = unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        raise RequestRefused(400, "bad-target", "the path is not UTF-8") from None
    if "\0" in path:
        raise RequestRefused(400, "bad-target", "the path holds NUL")
    return path


def _content_length(headers: Headers, minor: str) -> int | None:
    """How long the body is (RFC 9112 §6.3): None for chunked, 0 for none; of absurd ones, no more than that."""
    joined = headers.joined
    coding, length = joined.get("transfer-encoding"), joined.get("content-length")
    if coding is not None:
        if length is not None or minor == "0":
            # RFC 9112 §6.1: both, or a coding from HTTP/1.0, is an attempt at smuggling or a broken peer. Refusing
            # is the stricter of the two answers it allows.
            raise RequestRefused(400, "ambiguous-length", "Transfer-Encoding beside Content-Length or in HTTP/1.0")
        codings = [name.strip(" \t").lower() for name in coding.split(",")]
        if codings[-1] != "chunked" or codings.count("chunked") > 1:
            raise RequestRefused(400, "bad-coding", "chunked must be the last transfer coding, once")
        if len(codings) > 1:
            # RFC 9112 §6.1: 501 for a coding that is not understood.
            raise RequestRefused(501, "unknown-coding", "no transfer coding but chunked is understood")
        return None
    if length is None:
        return 0
    if _DIGITS.fullmatch(length) is None:
        # Also "5, 5", which RFC 9112 §6.3 lets a server mend: parsers differ on it.
        raise RequestRefused(400, "bad-length", "Content-Length is not a number")
    # No more digits than a signed 64-bit number has; Python would take quadratic time for a head full of them.
    return int(length) if len(length) <= 18 else 10**18


def _refusal_of(text: str, limits: HttpLimits) -> RequestRefused:
    """Why a head cannot be used: the first thing wrong with it, in the order a reader would come upon it."""
    line, _, block = text.partition("\r\n")
    try:
        _check_request_line(line, limits)
    except RequestRefused as refusal:
        return refusal
    if re.search(r"(?<!\r)\n", text[: limits.max_head_bytes]):
        return _bare_lf()
    if len(text) > limits.max_head_bytes:
        return _head_too_large(limits)
    return _bad_fields(block)


def _check_request_line(line: str, limits: HttpLimits) -> None:
    """Refuse a request line that is none, asks for another major version, or is too long."""
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        if len(line) > limits.max_target_bytes + _LINE_OVERHEAD_BYTES and _LONG_METHOD.match(line) is None:
            raise _target_too_long(limits)
        raise _bad_request_line(line)
    if found[3] != "1":
        raise RequestRefused(505, "bad-version", "only HTTP/1.0 and HTTP/1.1 are spoken")
    if len(found[2]) > limits.max_target_bytes:
        raise _target_too_long(limits)


def _target_too_long(limits: HttpLimits) -> RequestRefused:
    return RequestRefused(414, "target-too-long", f"the target is over {limits.max_target_bytes} bytes")


def _bare_lf() -> RequestRefused:
    # RFC 9112 §2.2 lets a recipient take it for a line end; not all do, and that is how requests are smuggled.
    return RequestRefused(400, "bare-lf", "a line ends without CR")


def _bad_request_line(line: str) -> RequestRefused:
    if _LONG_METHOD.match(line):
        return RequestRefused(501, "unknown-method", f"no method has over {MAX_METHOD_BYTES} characters")
    if "\n" in line:
        return _bare_lf()
    return RequestRefused(400, "bad-request-line", "a request line is METHOD TARGET HTTP/1.1")


def _bad_fields(block: str) -> RequestRefused:
    """What is wrong with a block of field lines that does not match the grammar."""
    for line in block.split("\r\n"):
        if line and re.fullmatch(_FIELD_LINE, line + "\r\n") is None:
            if line[0] in " \t":
                # RFC 9112 §5.2: folded lines are obsolete; of the two answers a server may give, the strict one.
                return RequestRefused(400, "folded-header", "a header line is folded")
            if re.match(rf"{_TCHAR}+[ \t]+:", line):
                return RequestRefused(400, "space-before-colon", "white space before the colon")  # RFC 9112 §5.1
            break
    return RequestRefused(400, "bad-header", "a header line is not NAME: VALUE")


def _head_too_large(limits: HttpLimits) -> RequestRefused:
    return RequestRefused(431, "head-too-large", f"the head is over {limits.max_head_bytes} bytes")


def _too_many_fields(limits: HttpLimits) -> RequestRefused:
    return RequestRefused(431, "too-many-fields", f"there are more than {limits.max_fields} fields")


def _body_too_large(limit: int) -> RequestRefused:
    return RequestRefused(413, "body-too-large", f"the body is over {limit} bytes")


CONTENT_FREE_STATUSES = frozenset({*range(100, 200), 204, 304})
"""Answers that never have a body (RFC 9112 §6.3 item 1)."""

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
CONTINUE = STATUS_LINES[100] + b"\r\n"


def encode_interim(status: int, fields: Iterable[tuple[str, str]]) -> bytes:
    """The head of an interim response (RFC 9110 §15.2): 103 Early Hints, 102 Processing, 100 Continue.

    Raises:
        ValueError: another status (101 is no interim one: what follows it is not HTTP), or a field cannot be sent.
    """
    if not 100 <= status < 200 or status == 101:
        raise ValueError(f"{status} is not the status of an interim response")
    line = STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n".encode()
    return b"%b%b\r\n" % (line, encode_fields(fields))


_NAME = re.compile(rf"{_TCHAR}+")
_FIELD_VALUE = re.compile(_VALUE)


def encode_fields(fields: Iterable[tuple[str, str]]) -> bytes:
    """Field lines, each with its CRLF.

    Raises:
        ValueError: a name is not a token, or a value holds CR, LF, another control character or what latin-1 lacks:
            written out, it could start a second response.
    """
    lines = []
    for name, value in fields:
        if _NAME.fullmatch(name) is None or _FIELD_VALUE.fullmatch(value) is None:
            raise ValueError(f"{name!r}: {value!r} is not a header field")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("latin-1")
