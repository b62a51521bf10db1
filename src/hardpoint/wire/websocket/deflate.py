"""permessage-deflate (RFC 7692): what both ends agree on, and one connection's compressor and decompressor."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    Parameters = Iterable[tuple[str, str | None]]

EXTENSION = "permessage-deflate"
TAIL = b"\x00\x00\xff\xff"
"""What a sender cuts off behind each message, and a receiver puts back (§7.2.1)."""
MAX_FINAL_BLOCKS = 16
"""Deflate streams that may end within one message. The RFC allows a final block (§7.2.3.4), real senders use one at
most; an empty one takes two bytes, and each costs us a new decompressor of several microseconds."""


class TooMuch(Exception):
    """The message inflates to more than allowed."""


@dataclass(slots=True, frozen=True)
class DeflateOptions:
    """What this end is ready for."""

    max_window_bits: int = 12
    """The window, as a power of two, of each direction the other end lets us choose: 9 to 15. 15 takes some 300 KB a
    connection, 12 takes 45 KB and loses a few per cent of what is saved."""
    context_takeover: bool = True
    """Whether a message may refer to those before it; without, nothing is kept between messages."""
    level: int = 6
    memory_level: int = 5
    """zlib's; 8 would take 128 KB."""
    min_bytes: int = 64
    """Smaller messages go as they are: they hardly shrink, and a compressor takes 10 µs to be asked."""


@dataclass(slots=True, frozen=True)
class Agreement:
    """What the handshake has settled (§7.1)."""

    server_window_bits: int = 15
    client_window_bits: int = 15
    server_takeover: bool = True
    client_takeover: bool = True


def _window_bits(value: str | None) -> int | None:
    """8 to 15 without leading zeros (§7.1.2.1), or None."""
    return int(value) if value in ("8", "9", "10", "11", "12", "13", "14", "15") else None


def _read(parameters: Parameters) -> dict[str, str | None] | None:
    """By name; None where one is unknown, repeated, or has a value it cannot have (§7.1: decline then)."""
    found: dict[str, str | None] = {}
    for name, value in parameters:
        if name in found:
            return None
        if name in ("server_no_context_takeover", "client_no_context_takeover"):
            if value is not None:
                return None
        elif name == "client_max_window_bits":
            if value is not None and _window_bits(value) is None:
                return None
        elif name != "server_max_window_bits" or _window_bits(value) is None:
            return None
        found[name] = value
    return found


def answer_offer(offer: Parameters, options: DeflateOptions) -> tuple[Agreement, str] | None:
    """A server's answer to one offer: the agreement, and the element of ``Sec-WebSocket-Extensions`` that says so.
    None: it cannot be taken.
    """
    asked = _read(offer)
    if asked is None:
        return None
    server_bits = min(options.max_window_bits, _window_bits(asked.get("server_max_window_bits")) or 15)
    if server_bits < 9:  # zlib cannot compress with a window of 256 bytes
        return None
    client_bits = 15
    element = EXTENSION
    server_takeover = options.context_takeover and "server_no_context_takeover" not in asked
    client_takeover = options.context_takeover and "client_no_context_takeover" not in asked
    if not server_takeover:
        element += "; server_no_context_takeover"
    if not client_takeover:
        element += "; client_no_context_takeover"
    if server_bits < 15 or "server_max_window_bits" in asked:
        element += f"; server_max_window_bits={server_bits}"
    if "client_max_window_bits" in asked:  # §7.1.2.2: only a client that mentions it can be told
        client_bits = min(options.max_window_bits, _window_bits(asked["client_max_window_bits"]) or 15)
        element += f"; client_max_window_bits={client_bits}"
    return Agreement(server_bits, client_bits, server_takeover, client_takeover), element


def encode_offer(options: DeflateOptions) -> str:
    """A client's offer."""
    element = f"{EXTENSION}; client_max_window_bits"
    if options.max_window_bits < 15:
        element += f"={options.max_window_bits}; server_max_window_bits={options.max_window_bits}"
    if not options.context_takeover:
        element += "; server_no_context_takeover; client_no_context_takeover"
    return element


def read_answer(answer: Parameters, options: DeflateOptions) -> Agreement | None:
    """What a server's answer to `encode_offer` means; None where it is not one to that offer (§7.1: fail then)."""
    told = _read(answer)
    if told is None or ("client_max_window_bits" in told and told["client_max_window_bits"] is None):
        return None
    server_bits = _window_bits(told.get("server_max_window_bits")) or 15
    client_bits = min(options.max_window_bits, _window_bits(told.get("client_max_window_bits")) or 15)
    server_takeover = "server_no_context_takeover" not in told
    if server_bits > options.max_window_bits or (server_takeover and not options.context_takeover):
        return None
    if client_bits < 9:
        return None
    client_takeover = options.context_takeover and "client_no_context_takeover" not in told
    return Agreement(server_bits, client_bits, server_takeover, client_takeover)


class Deflater:
    """One direction out. The compressor is made by the first message that needs it."""

    __slots__ = ("_bits", "_compressor", "_options", "_takeover")

    def __init__(self, bits: int, takeover: bool, options: DeflateOptions) -> None:
        self._bits = bits
        self._takeover = takeover
        self._options = options
        self._compressor: zlib._Compress | None = None

    def compress(self, payload: bytes) -> bytes:
        """One whole message (§7.2.1)."""
        compressor = self._compressor
        if compressor is None:
            options = self._options
            compressor = zlib.compressobj(options.level, zlib.DEFLATED, -self._bits, options.memory_level)
            if self._takeover:
                self._compressor = compressor
        return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Inflater:
    """One direction in. ``bits`` is a bound: a larger window than the sender's reads the same."""

    __slots__ = ("_bits", "_decompressor", "_final_blocks", "_takeover")

    def __init__(self, bits: int, takeover: bool) -> None:
        self._bits = max(bits, 9)
        self._takeover = takeover
        self._decompressor: zlib._Decompress | None = None
        self._final_blocks = 0

    def inflate(self, data: bytes, max_bytes: int) -> bytes:
        """A piece of a message.

        Raises:
            TooMuch: it inflates to more than ``max_bytes``; no more than one byte beyond it was made.
            zlib.error: it is not deflated data.
        """
        made = b""
        while True:
            decompressor = self._decompressor
            if decompressor is None:
                decompressor = self._decompressor = zlib.decompressobj(-self._bits)
            made += decompressor.decompress(data, max_bytes + 1 - len(made))
            if len(made) > max_bytes:
                raise TooMuch
            if not decompressor.eof:
                return made
            data = decompressor.unused_data  # a final block has ended the stream, not the message (§7.2.3.4)
            self._decompressor = None
            self._final_blocks += 1
            if self._final_blocks > MAX_FINAL_BLOCKS:
                raise zlib.error("too many final blocks in a message")
            if not data:
                return made

    def finish(self, max_bytes: int) -> bytes:
        """The end of a message: what was still inside. Raises as `inflate`."""
        made = self.inflate(TAIL, max_bytes)
        self._final_blocks = 0
        if not self._takeover:
            self._decompressor = None
        return made
