"""The head of an HTTP/1 request: its line and its fields, and what they mean for the body (RFC 9110, RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
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
LINE_OVERHEAD_BYTES = MAX_METHOD_BYTES + len("  HTTP/1.1")  # what a request line has beside its target


TLS_REASON = "tls"
"""`RequestRefused.reason` of a client that has begun a TLS handshake: what it understands is an alert."""


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
    plain: bool
    """Whether its answer says nothing of the connection and has content: HTTP/1.1, kept alive, not HEAD."""


TCHAR = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"  # RFC 9110 §5.6.2
VALUE = r"[^\x00-\x08\x0a-\x1f\x7f]*+"  # RFC 9110 §5.5: VCHAR, obs-text, space and tab; never CR, LF, NUL
# The quantifiers are possessive: a head that does not match fails in one pass, whatever was sent.
FIELD_LINE = rf"{TCHAR}++:{VALUE}\r\n"
METHOD = rf"{TCHAR}{{1,{MAX_METHOD_BYTES}}}+"
_HEAD = re.compile(rf"({METHOD}) ([!-~]++) HTTP/1\.([0-9])\r\n((?:{FIELD_LINE})*+)\r\n")
_LONG_METHOD = re.compile(rf"{TCHAR}{{{MAX_METHOD_BYTES + 1}}}")
_REQUEST_LINE = re.compile(rf"({METHOD}) ([!-~]++) HTTP/([0-9])\.([0-9])")
BARE_LF = re.compile(rb"(?<!\r)\n")

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
_WITH_CONTENT = frozenset({"POST", "PUT", "PATCH"})
# RFC 9110 §5.3: a second one of these has no meaning that all agree on.
_ONCE = ("host", "content-length", "transfer-encoding", "content-type", "authorization", "expect")


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
    headers = read_fields(block)
    fields = headers.fields
    joined = headers.joined
    if len(fields) > limits.max_fields:
        raise too_many_fields(limits)
    if len(fields) != len(joined):
        names = [name for name, _ in fields]
        for name in _ONCE:
            if names.count(name) > 1:
                raise RequestRefused(400, "repeated-field", f"{name} is there more than once")
    raw_path, query, authority = _read_target(method, target)
    _check_host(headers, minor, authority)
    path = _decoded_path(raw_path) if "%" in raw_path else raw_path
    length = _content_length(method, headers, minor)
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
        len(raw), keep_alive and minor != "0" and method != "HEAD",
    )  # fmt: skip


def with_fields_of(known: RequestHead, raw: bytes, line_bytes: int, limits: HttpLimits) -> RequestHead | None:
    """A head whose fields are those of a known one, byte for byte; None where its line is not of the plainest kind, on
    which the meaning of the fields does not depend.

    Raises:
        RequestRefused: the target is not safe to act on.
    """
    found = _REQUEST_LINE.fullmatch(raw[:line_bytes].decode("latin-1"))
    if found is None or len(raw) > limits.max_head_bytes or known.minor == 0 or known.target[0] != "/":
        return None
    method, target, major, minor = found.groups()
    if target[0] != "/" or major != "1" or int(minor) != known.minor or len(target) > limits.max_target_bytes:
        return None
    raw_path, query, _ = _read_target(method, target)
    path = _decoded_path(raw_path) if "%" in raw_path else raw_path
    return RequestHead(
        method, target, raw_path, path, query, known.minor, known.headers, known.content_length, known.keep_alive,
        known.expect_continue, len(raw), known.keep_alive and method != "HEAD",
    )  # fmt: skip


def read_fields(block: str) -> Headers:
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


def _content_length(method: str, headers: Headers, minor: str) -> int | None:
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
        if minor == "0" and method in _WITH_CONTENT:
            # RFC 1945 §8.3: a POST must say its length. Some clients of old send it without, to the end of the
            # connection; read as no content, it would be taken for the next request.
            raise RequestRefused(411, "length-required", f"{method} in HTTP/1.0 needs a Content-Length")
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
        check_request_line(line, limits)
    except RequestRefused as refusal:
        return refusal
    if re.search(r"(?<!\r)\n", text[: limits.max_head_bytes]):
        return bare_lf()
    if len(text) > limits.max_head_bytes:
        return head_too_large(limits)
    return bad_fields(block)


def check_request_line(line: str, limits: HttpLimits) -> None:
    """Refuse a request line that is none, asks for another major version, or is too long."""
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        if len(line) > limits.max_target_bytes + LINE_OVERHEAD_BYTES and _LONG_METHOD.match(line) is None:
            raise target_too_long(limits)
        raise bad_request_line(line)
    if found[3] != "1":
        raise RequestRefused(505, "bad-version", "only HTTP/1.0 and HTTP/1.1 are spoken")
    if len(found[2]) > limits.max_target_bytes:
        raise target_too_long(limits)


def target_too_long(limits: HttpLimits) -> RequestRefused:
    """414."""
    return RequestRefused(414, "target-too-long", f"the target is over {limits.max_target_bytes} bytes")


def bare_lf() -> RequestRefused:
    """400: a line that ends in LF alone."""
    # RFC 9112 §2.2 lets a recipient take it for a line end; not all do, and that is how requests are smuggled.
    return RequestRefused(400, "bare-lf", "a line ends without CR")


def bad_request_line(line: str) -> RequestRefused:
    """What is wrong with a request line that does not match the grammar."""
    if line.startswith("\x16"):
        return RequestRefused(400, TLS_REASON, "this is TLS, and the port speaks plain HTTP")
    if _LONG_METHOD.match(line):
        return RequestRefused(501, "unknown-method", f"no method has over {MAX_METHOD_BYTES} characters")
    if "\n" in line:
        return bare_lf()
    return RequestRefused(400, "bad-request-line", "a request line is METHOD TARGET HTTP/1.1")


def bad_fields(block: str) -> RequestRefused:
    """What is wrong with a block of field lines that does not match the grammar."""
    for line in block.split("\r\n"):
        if line and re.fullmatch(FIELD_LINE, line + "\r\n") is None:
            if line[0] in " \t":
                # RFC 9112 §5.2: folded lines are obsolete; of the two answers a server may give, the strict one.
                return RequestRefused(400, "folded-header", "a header line is folded")
            if re.match(rf"{TCHAR}+[ \t]+:", line):
                return RequestRefused(400, "space-before-colon", "white space before the colon")  # RFC 9112 §5.1
            break
    return RequestRefused(400, "bad-header", "a header line is not NAME: VALUE")


def head_too_large(limits: HttpLimits) -> RequestRefused:
    """431, for the bytes."""
    return RequestRefused(431, "head-too-large", f"the head is over {limits.max_head_bytes} bytes")


def too_many_fields(limits: HttpLimits) -> RequestRefused:
    """431, for their number."""
    return RequestRefused(431, "too-many-fields", f"there are more than {limits.max_fields} fields")


def body_too_large(limit: int) -> RequestRefused:
    """413."""
    return RequestRefused(413, "body-too-large", f"the body is over {limit} bytes")
