"""Bytes to messages and back, for one connection after its handshake.

Payload is unmasked, inflated and checked as it arrives: a message that is too large, or text that is not UTF-8, fails
with the byte that makes it so and not at its end, and a frame of a megabyte in a thousand reads is copied once.

A failure is the last event, not an exception: the messages before it in the same read are not lost. The codec then
stays failed and reads nothing more.
"""

from __future__ import annotations

import codecs
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from .deflate import TAIL, Agreement, DeflateOptions, Deflater, Inflater, TooMuch
from .frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    INVALID_DATA,
    MASKED,
    MAX_CONTROL_BYTES,
    MESSAGE_TOO_BIG,
    NO_STATUS,
    PING,
    PONG,
    PROTOCOL_ERROR,
    RSV,
    RSV1,
    TEXT,
    encode_close_payload,
    encode_header,
    is_sendable,
    masked,
)

FAILED = -1
"""The kind of the event that says that the other end broke a rule; it is to be told the code."""

Event: TypeAlias = tuple[Any, ...]

MAX_BURST_BYTES = 256 * 1024
"""Of inflated messages one `WebSocketCodec.receive` returns; it is called again for the rest. A read of 64 KiB may hold
sixty messages of a megabyte each, every one within its limit."""

_utf8_checker = codecs.getincrementaldecoder("utf-8")
_SHORT_HEADERS = {opcode: [bytes((FIN | opcode, size)) for size in range(126)] for opcode in (TEXT, BINARY)}


@dataclass(slots=True, frozen=True)
class WebSocketLimits:
    """What the other end may send."""

    max_message_bytes: int = 1024 * 1024
    """One message, whole and inflated: then 1009. As ``HttpLimits.max_body_bytes``."""


class _Broken(Exception):
    """The other end broke a rule."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class WebSocketCodec:
    """One end of a connection. How the bytes were cut into reads changes neither the events nor their order; of a
    compressed message that breaks two rules, it may decide which of the two is told.
    """

    __slots__ = (
        "_body", "_checker", "_client", "_compressed", "_deflater", "_final", "_inflater", "_key", "_kind", "_limit",
        "_new_key", "_opcode", "_over", "_payload", "_remaining", "buffer", "min_compressed_bytes", "more",
    )  # fmt: skip

    def __init__(
        self,
        limits: WebSocketLimits,
        *,
        client: bool = False,
        agreement: Agreement | None = None,
        options: DeflateOptions | None = None,
        new_key: Callable[[], bytes] | None = None,
    ) -> None:
        """``agreement`` is what the handshake settled on compression. ``new_key`` makes a client's masks, which nobody
        may be able to foretell (§10.3): tests give another than the system's randomness.
        """
        options = options or DeflateOptions()
        self._limit = limits.max_message_bytes
        self._client = client
        self._new_key = new_key or partial(os.urandom, 4)
        self._deflater: Deflater | None = None
        self._inflater: Inflater | None = None
        self.min_compressed_bytes = options.min_bytes
        if agreement is not None:
            server = (agreement.server_window_bits, agreement.server_takeover)
            theirs = (agreement.client_window_bits, agreement.client_takeover)
            self._deflater = Deflater(*(theirs if client else server), options)
            self._inflater = Inflater(*(server if client else theirs))
        self.buffer = b""
        """Received and not looked at: part of a header, or what a burst has left."""
        self.more = False
        """Whether a burst has left something (`MAX_BURST_BYTES`)."""
        self._over = False  # a close frame or a failure was the last event
        # The frame that is being read: its payload goes on when _remaining is not 0.
        self._opcode = 0
        self._final = False
        self._remaining = 0
        self._key = b""
        self._payload = bytearray()  # of a control frame
        # The message that is being read.
        self._kind = 0
        self._compressed = False
        self._body = bytearray()
        self._checker: codecs.IncrementalDecoder | None = None

    # ---- Bytes in

    @property
    def buffered_bytes(self) -> int:
        """What is kept of messages that are not whole."""
        return len(self.buffer) + len(self._body)

    def receive(self, data: bytes) -> list[Event]:
        """The events that these bytes complete, or, where `more` is true afterwards, the first of them: then call
        again with ``b""``.
        """
        self.more = False
        if self._over:
            return []
        if self.buffer:
            data = self.buffer + data
            self.buffer = b""
        events: list[Event] = []
        try:
            self._read(data, events)
        except _Broken as broken:
            self.stop()
            events.append((FAILED, broken.code, broken.reason))
        return events

    def stop(self) -> None:
        """Read nothing more, and keep nothing of what was."""
        self._over = True
        self.more = False
        self.buffer = b""
        self._body = bytearray()
        self._remaining = 0

    def _read(self, data: bytes, events: list[Event]) -> None:
        position, size, burst = 0, len(data), 0
        client, limit = self._client, self._limit
        while position < size:
            if not self._remaining:
                start = position + 2
                if size < start:
                    break
                first, second = data[position], data[position + 1]
                length = second & 0x7F
                if length > 125:
                    self._check_header(first, second)
                    start += 2 if length == 126 else 8
                    if size < start:
                        break
                    length = _long_length(data[position + 2 : start])
                if not client:
                    start += 4
                end = start + length
                # The common case first: a message in one frame, and all of it is here.
                if (
                    (first == 0x81 or first == 0x82)
                    and end <= size
                    and not self._kind
                    and length <= limit
                    and (second < MASKED) is client
                ):
                    payload = data[start:end] if client else masked(data[start:end], data[start - 4 : start])
                    events.append((TEXT, _text(payload)) if first == 0x81 else (BINARY, payload))
                    position = end
                    continue
                self._check_header(first, second)
                if size < start:
                    break
                self._begin(first, length, b"" if client else data[start - 4 : start])
                position = start
            if self._remaining:
                piece = data[position : position + self._remaining]
                position += len(piece)
                self._take(piece)
            if not self._remaining:
                burst += self._finish_frame(events)
                if self._over:
                    return
                if burst >= MAX_BURST_BYTES:
                    self.more = position < size
                    break
        self.buffer = data[position:]

    def _check_header(self, first: int, second: int) -> None:
        """Refuse what no payload could make right."""
        opcode = first & 0x0F
        reserved = first & RSV
        # §5.2, RFC 7692 §6: RSV1 on the first frame of a message, if that was agreed on; nothing else.
        if reserved and not (reserved == RSV1 and opcode in (TEXT, BINARY) and self._inflater is not None):
            raise _Broken(PROTOCOL_ERROR, "a reserved bit is set")
        if (second & MASKED == 0) is not self._client:
            # §5.1: a client masks every frame, a server none.
            raise _Broken(PROTOCOL_ERROR, "a frame is masked" if self._client else "a frame is not masked")
        if opcode >= CLOSE:
            if opcode > PONG:
                raise _Broken(PROTOCOL_ERROR, f"opcode {opcode} is not in use")
            if not first & FIN:
                raise _Broken(PROTOCOL_ERROR, "a control frame is fragmented")  # §5.5
            if second & 0x7F > MAX_CONTROL_BYTES:
                raise _Broken(PROTOCOL_ERROR, "a control frame is too long")  # §5.5
            return
        if opcode > BINARY:
            raise _Broken(PROTOCOL_ERROR, f"opcode {opcode} is not in use")
        if opcode == CONTINUATION and not self._kind:
            raise _Broken(PROTOCOL_ERROR, "there is no message to continue")  # §5.4
        if opcode != CONTINUATION and self._kind:
            raise _Broken(PROTOCOL_ERROR, "a message begins within another")  # §5.4

    def _begin(self, first: int, length: int, key: bytes) -> None:
        opcode = self._opcode = first & 0x0F
        self._final = bool(first & FIN)
        self._remaining = length
        self._key = key
        if opcode in (TEXT, BINARY):
            self._kind = opcode
            self._compressed = bool(first & RSV1)
            self._checker = _utf8_checker() if opcode == TEXT else None
        if opcode < CLOSE and not self._compressed and len(self._body) + length > self._limit:
            raise self._too_big()

    def _take(self, piece: bytes) -> None:
        """Some of a frame's payload."""
        self._remaining -= len(piece)
        key = self._key
        if key:
            turn = len(piece) & 3
            piece = masked(piece, key)
            if turn:
                self._key = key[turn:] + key[:turn]
        if self._opcode >= CLOSE:
            self._payload += piece
        elif self._compressed:
            self._inflate(piece)
        else:
            self._append(piece)

    def _append(self, piece: bytes, *, final: bool = False) -> None:
        self._body += piece
        if self._checker is not None:
            try:
                self._checker.decode(piece, final)
            except UnicodeDecodeError:
                raise _not_utf8() from None

    def _inflate(self, piece: bytes) -> None:
        inflater = self._inflater
        assert inflater is not None
        room = self._limit - len(self._body)
        try:
            self._append(inflater.finish(room) if piece is TAIL else inflater.inflate(piece, room))
        except TooMuch:
            raise self._too_big() from None
        except zlib.error:
            raise _Broken(INVALID_DATA, "a message cannot be inflated") from None

    def _too_big(self) -> _Broken:
        return _Broken(MESSAGE_TOO_BIG, f"a message may have at most {self._limit} bytes")

    def _finish_frame(self, events: list[Event]) -> int:
        """A frame has ended, and perhaps with it a message. The bytes of what was inflated."""
        opcode = self._opcode
        if opcode >= CLOSE:
            payload = bytes(self._payload)
            self._payload.clear()
            if opcode == CLOSE:
                events.append(_read_close(payload))
                self.stop()
            else:
                events.append((opcode, payload))
            return 0
        if not self._final:
            return 0
        if self._compressed:
            self._inflate(TAIL)
        self._append(b"", final=True)
        body, kind = self._body, self._kind
        self._body, self._kind = bytearray(), 0
        self._checker = None
        events.append((TEXT, body.decode()) if kind == TEXT else (BINARY, bytes(body)))
        return len(body) if self._compressed else 0

    # ---- Messages out

    def encode_message(self, message: str | bytes) -> bytes:
        """A text or a binary message, in one frame."""
        if isinstance(message, str):
            opcode, payload = TEXT, message.encode()
        else:
            opcode, payload = BINARY, message
        size = len(payload)
        deflater = self._deflater
        if deflater is not None and size >= self.min_compressed_bytes:
            return self._encode(FIN | RSV1 | opcode, deflater.compress(payload))
        if size < 126 and not self._client:
            return _SHORT_HEADERS[opcode][size] + payload
        return self._encode(FIN | opcode, payload)

    def encode_ping(self, payload: bytes = b"") -> bytes:
        """A ping.

        Raises:
            ValueError: the payload is longer than `MAX_CONTROL_BYTES`.
        """
        return self._encode_control(PING, payload)

    def encode_pong(self, payload: bytes) -> bytes:
        """The answer to a ping, with its payload (§5.5.3). Raises as `encode_ping`."""
        return self._encode_control(PONG, payload)

    def encode_close(self, code: int = NO_STATUS, reason: str = "") -> bytes:
        """A close frame; the reason is cut to what fits.

        Raises:
            ValueError: the code may not be sent.
        """
        return self._encode_control(CLOSE, encode_close_payload(code, reason))

    def _encode_control(self, opcode: int, payload: bytes) -> bytes:
        if len(payload) > MAX_CONTROL_BYTES:
            raise ValueError(f"a control frame holds at most {MAX_CONTROL_BYTES} bytes")
        return self._encode(FIN | opcode, payload)

    def _encode(self, first: int, payload: bytes) -> bytes:
        if not self._client:
            return encode_header(first, len(payload)) + payload
        key = self._new_key()
        return encode_header(first, len(payload), MASKED) + key + masked(payload, key)


def _long_length(data: bytes) -> int:
    """A length of two or eight bytes (§5.2)."""
    length = int.from_bytes(data, "big")
    if length >> 63:
        raise _Broken(PROTOCOL_ERROR, "a length has its highest bit set")
    if length < (126 if len(data) == 2 else 1 << 16):
        raise _Broken(PROTOCOL_ERROR, "a length is written in more bytes than it needs")
    return length


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise _not_utf8() from None


def _not_utf8() -> _Broken:
    return _Broken(INVALID_DATA, "a text message is not UTF-8")  # §8.1


def _read_close(payload: bytes) -> Event:
    """What a close frame says (§5.5.1)."""
    if not payload:
        return (CLOSE, NO_STATUS, "")
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not is_sendable(code):
        raise _Broken(PROTOCOL_ERROR, "a close frame has no valid code")
    try:
        return (CLOSE, code, payload[2:].decode())
    except UnicodeDecodeError:
        raise _Broken(INVALID_DATA, "the reason to close is not UTF-8") from None
