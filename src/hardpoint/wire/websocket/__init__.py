"""WebSocket (RFC 6455) with compression (RFC 7692), both ends of it, without a socket or a clock.

`handshake` reads and writes the HTTP part, `frames` is the wire's grammar, `deflate` the compression, and
`WebSocketCodec` turns bytes into messages and messages into bytes::

    codec = WebSocketCodec(limits)                  # a server's; client=True makes the other end
    for event in codec.receive(data):
        event                                       # (TEXT, "…") | (BINARY, b"…") | (PING, b"…") | (PONG, b"…")
                                                    # (CLOSE, code, reason) | (FAILED, code, reason)
    codec.encode_message("…"); codec.encode_close(1000)
"""

from __future__ import annotations

from .codec import FAILED, Event, WebSocketCodec, WebSocketLimits
from .deflate import Agreement, DeflateOptions
from .frames import (
    ABNORMAL,
    BINARY,
    CLOSE,
    GOING_AWAY,
    INTERNAL_ERROR,
    MESSAGE_TOO_BIG,
    NO_STATUS,
    NORMAL,
    PING,
    POLICY_VIOLATION,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    TRY_AGAIN_LATER,
    UNSUPPORTED_DATA,
)
from .handshake import (
    Accepted,
    HandshakeRefused,
    accept,
    asks_for_websocket,
    encode_request,
    new_key,
    read_response,
    same_origin,
)

__all__ = [
    "ABNORMAL",
    "BINARY",
    "CLOSE",
    "FAILED",
    "GOING_AWAY",
    "INTERNAL_ERROR",
    "MESSAGE_TOO_BIG",
    "NORMAL",
    "NO_STATUS",
    "PING",
    "POLICY_VIOLATION",
    "PONG",
    "PROTOCOL_ERROR",
    "TEXT",
    "TRY_AGAIN_LATER",
    "UNSUPPORTED_DATA",
    "Accepted",
    "Agreement",
    "DeflateOptions",
    "Event",
    "HandshakeRefused",
    "WebSocketCodec",
    "WebSocketLimits",
    "accept",
    "asks_for_websocket",
    "encode_request",
    "new_key",
    "read_response",
    "same_origin",
]
