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
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from .http_head import (
    BARE_LF,
    FIELD_LINE,
    LINE_OVERHEAD_BYTES,
    METHOD,
    TCHAR,
    Headers,
    HttpLimits,
    RequestHead,
    RequestRefused,
    bad_fields,
    bad_request_line,
    bare_lf,
    body_too_large,
    check_request_line,
    head_too_large,
    parse_head,
    read_fields,
    target_too_long,
    too_many_fields,
    with_fields_of,
)
from .http_response import CONTENT_FREE_STATUSES, CONTINUE, STATUS_LINES, encode_fields, encode_interim

__all__ = [
    "CONTENT_FREE_STATUSES",
    "CONTINUE",
    "END",
    "STATUS_LINES",
    "EndOfMessage",
    "Event",
    "Headers",
    "HttpLimits",
    "RequestHead",
    "RequestParser",
    "RequestRefused",
    "encode_fields",
    "encode_interim",
    "parse_head",
]

MAX_CHUNK_LINE_BYTES = 256
"""Size and extensions of one chunk. Real ones are under 10 bytes, signed S3 uploads 90."""
MAX_REPEATED_HEAD_BYTES = 2048
"""The longest head a parser keeps to recognise its repetition."""


@dataclass(slots=True)
class EndOfMessage:
    """The request is whole. ``trailers`` came behind a chunked body."""

    trailers: Headers


Event: TypeAlias = RequestHead | bytes | EndOfMessage

END = EndOfMessage(Headers([]))
"""The end of a message without trailers: every such message ends with this one object."""

_FIELD_BLOCK = re.compile(rf"(?:{FIELD_LINE})*+\r\n")
_PARTIAL_LINE = re.compile(rf"{METHOD}(?: (?:[!-~]++(?: [HTP/0-9.]*+\r?)?)?)?".encode())
# RFC 9112 §7.1.1. Without the "bad" white space it allows before ";": parsers disagree on it.
_CHUNK_LINE = re.compile(
    rf"([0-9A-Fa-f]++)(?:;{TCHAR}++(?:=(?:{TCHAR}++|\"(?:[\t !#-\[\]-~]|\\[\t -~])*+\"))?)*+\r\n".encode()
)
# RFC 9110 §6.5.1: fields that decide framing, routing or who is asking have no business behind the body.
_NEVER_TRAILERS = frozenset(
    {"content-length", "transfer-encoding", "host", "trailer", "te", "connection", "upgrade", "expect",
     "content-encoding", "content-type", "content-range", "authorization", "cookie", "cache-control"}
)  # fmt: skip

# What the parser reads next; the table of steps at the end of the class is indexed by these.
_HEAD_STEP, _LENGTH_STEP, _CHUNK_LINE_STEP, _CHUNK_DATA_STEP, _CHUNK_END_STEP, _TRAILERS_STEP = range(6)


class RequestParser:
    """One connection's requests, read strictly.

    Raises from `receive`: `RequestRefused`, with the status to answer (400, 411, 413, 414, 417, 431, 501, 505); the
    parser then stays failed and refuses whatever comes. Any other exception is a bug here. How the bytes were cut into
    reads changes neither what is accepted nor what it means; of bytes that are malformed and too many, it may decide
    which of the two is told.
    """

    __slots__ = (
        "_blank_skipped", "_body_bytes", "_limits", "_max_body_bytes", "_max_body_bytes_of", "_overhead_bytes", "_pos",
        "_refusal", "_remaining", "_repeat", "_repeat_fields", "_repeat_head", "_scanned", "_step", "again",
        "again_head", "buffer",
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
        self._repeat_fields = b""  # of the last head, what follows the request line
        self.again = b""
        """Between two requests, when the last one had no body: a read that equals this is that request once more, and
        means `again_head`. `receive` would say so too; whoever compares first saves the call. Empty at other times."""
        self.again_head: RequestHead | None = None

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
                    self._expect_again()
                else:
                    self.buffer, self._pos = buffer, end
                    self.again = b""
                self._scanned = 0
                self._blank_skipped = False
                return [head, buffer[start:end], END] if length else [head, END]
        if self._refusal is not None:
            raise self._refusal
        self.again = b""
        self.buffer, self._pos = buffer, pos
        events: list[Event] = []
        try:
            while self._STEPS[self._step](self, events):
                pass
        except RequestRefused as refusal:
            self._refusal = refusal
            self._repeat = self._repeat_fields = self.buffer = b""
            self._pos = 0
            raise
        if self._pos == len(self.buffer):
            self.buffer = b""
            self._pos = 0
            if self._step == _HEAD_STEP and self._repeat and events and events[0] is self._repeat_head:
                self._expect_again()
        return events

    def _expect_again(self) -> None:
        head = self._repeat_head
        if head is not None and head.content_length == 0:
            self.again, self.again_head = self._repeat, head

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
        head = self._parse_head(raw)
        self._limit_body(head)
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

    def _parse_head(self, raw: bytes) -> RequestHead:
        """Read a head, and keep it to recognise what repeats of it. A browser asks for one thing after another with the
        same fields; these were read and judged before, and a line alone takes a quarter of the time.
        """
        fields = raw[raw.find(b"\r\n") :]
        head = None
        if fields == self._repeat_fields and self._repeat_head is not None:
            head = with_fields_of(self._repeat_head, raw, len(raw) - len(fields), self._limits)
        if head is None:
            head = parse_head(raw, self._limits)
        if len(raw) <= MAX_REPEATED_HEAD_BYTES:
            self._repeat, self._repeat_head, self._repeat_fields = raw, head, fields
        return head

    def _limit_body(self, head: RequestHead) -> None:
        """Find how large this body may be, and refuse the one that says it is larger."""
        limit, length = self._limits.max_body_bytes, head.content_length
        if self._max_body_bytes_of is not None and length != 0:
            limit = self._max_body_bytes_of(head)
        if length is not None and length > limit:
            raise body_too_large(limit)
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
                raise bad_request_line(start.decode("latin-1"))
            if size > limits.max_target_bytes + LINE_OVERHEAD_BYTES:
                raise target_too_long(limits)
            if BARE_LF.search(buffer, pos + self._scanned):
                raise bare_lf()
            return
        if self._scanned <= line_end - pos:  # the line has just become whole
            check_request_line(buffer[pos:line_end].decode("latin-1"), limits)
        if BARE_LF.search(buffer, pos + self._scanned, pos + limits.max_head_bytes):
            raise bare_lf()
        if size > limits.max_head_bytes:
            raise head_too_large(limits)

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
            raise body_too_large(self._max_body_bytes)
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
            if BARE_LF.search(buffer, pos):
                raise bare_lf()
            return False
        block = buffer[pos:end].decode("latin-1")
        if _FIELD_BLOCK.fullmatch(block) is None:
            raise bad_fields(block)
        trailers = read_fields(block)
        if len(trailers.fields) > limits.max_fields:
            raise too_many_fields(limits)
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
