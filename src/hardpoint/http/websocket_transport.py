"""Any `asyncio.Protocol` over WebSocket: MQTT, or the line dialect, in a browser.

The protocol sees a transport like any other. It is told to pause when the client does not read, and when it pauses
reading the client is made to wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from ..wire.websocket import GOING_AWAY, NORMAL, UNSUPPORTED_DATA, HandshakeRefused
from .websocket import check_handshake, refusal, switch

if TYPE_CHECKING:
    from .messages import Answer, Request
    from .websocket_connection import WebSocketConnection, WebSocketOptions


def protocol_over_websocket(
    request: Request,
    factory: Callable[[], asyncio.Protocol],
    *,
    subprotocols: Sequence[str] = (),
    binary: bool = True,
    origins: Collection[str] | None = None,
    options: WebSocketOptions | None = None,
) -> Answer:
    """Answer a request by making its connection a WebSocket that the protocol of ``factory`` speaks over.

    Args:
        subprotocols: one of them must be what the client asks for; when there is none, it need not ask.
        binary: True for a stream of bytes, cut into binary messages anywhere. False for lines of text, each of them a
            message: the line's end need not be sent, and one within a message counts as a space.
        origins: as for `check_handshake`.
    """
    try:
        accepted = check_handshake(request, subprotocols=subprotocols, origins=origins, options=options)
        if subprotocols and accepted.subprotocol is None:
            raise HandshakeRefused(400, f"the subprotocol spoken here is {' or '.join(subprotocols)}")
    except HandshakeRefused as refused:
        return refusal(refused)
    return switch(request, WebSocketTransport(factory(), binary=binary), accepted, options)


class WebSocketTransport(asyncio.Transport):
    """What the protocol takes for its transport. ``get_extra_info`` knows what the connection below knows."""

    __slots__ = ("_binary", "_connection", "_line", "_protocol", "close_code")

    def __init__(self, protocol: asyncio.Protocol, *, binary: bool) -> None:
        super().__init__()
        self.close_code = NORMAL
        """What `close` tells the client."""
        self._protocol = protocol
        self._binary = binary
        self._connection: WebSocketConnection | None = None
        self._line = b""  # written, and without its end so far

    @property
    def _below(self) -> asyncio.Transport:
        assert self._connection is not None
        return self._connection.transport

    # ---- The connection's side (`Receiver`)

    @property
    def behind(self) -> bool:
        """Never: the protocol handles what it is handed."""
        return False

    def opened(self, connection: WebSocketConnection) -> None:
        """The handshake is out."""
        self._connection = connection
        self._protocol.connection_made(self)

    def message_received(self, message: str | bytes) -> None:
        """A message came: bytes for the protocol."""
        if self._binary:
            if isinstance(message, str):
                self._close(UNSUPPORTED_DATA, "binary messages are spoken here")
            else:
                self._protocol.data_received(message)
            return
        line = message.encode() if isinstance(message, str) else message
        self._protocol.data_received(line.rstrip(b"\r\n").replace(b"\n", b" ") + b"\n")

    def ended(self, code: int, reason: str) -> None:
        """The client has closed. Nothing can be sent any more, so there is no half-closed state to tell of."""

    def lost(self) -> None:
        """The connection is gone."""
        self._protocol.connection_lost(None)

    def pause_writing(self) -> None:
        """The client does not read."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._protocol.resume_writing()

    def drain(self) -> None:
        """The server stops: a protocol that has a ``drain`` of its own finishes first."""
        drain = cast("Callable[[], None] | None", getattr(self._protocol, "drain", None))
        if drain is None:
            self._close(GOING_AWAY, "the server is stopping")
        else:
            drain()

    # ---- The protocol's side (`asyncio.Transport`)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, as one binary message or a text message a line."""
        connection = self._connection
        if connection is None or not data:
            return
        if self._binary:
            connection.send(bytes(data))
            return
        lines = (self._line + bytes(data)).split(b"\n")
        self._line = lines.pop()
        connection.send_all([line.decode("utf-8", "replace") for line in lines])

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """As one write."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Never: a WebSocket has no half."""
        return False

    def write_eof(self) -> None:
        """Raises:
        NotImplementedError: always.
        """
        raise NotImplementedError("a WebSocket closes both ways")

    def get_write_buffer_size(self) -> int:
        """Bytes the client has not taken, frames and all."""
        return self._below.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Low and high water mark of the connection below."""
        return self._below.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Those of the connection below."""
        self._below.set_write_buffer_limits(high, low)

    def pause_reading(self) -> None:
        """Hand the protocol nothing until `resume_reading`."""
        if self._connection is not None:
            self._connection.pause_reading()

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        if self._connection is not None:
            self._connection.resume_reading()

    def is_reading(self) -> bool:
        """Whether the protocol may be handed something."""
        return self._connection is not None and self._connection.is_reading

    def close(self) -> None:
        """Send a close frame with `close_code`, wait for the client's, and close."""
        self._close(self.close_code, "")

    def abort(self) -> None:
        """Cut the connection."""
        if self._connection is not None:
            self._connection.abort()

    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._connection is None or not self._connection.is_open

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the socket to another protocol."""
        self._protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Whoever has it now."""
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the transport below; ``websocket`` is the `WebSocketConnection`."""
        if name == "websocket":
            return self._connection
        return self._below.get_extra_info(name, default)

    def _close(self, code: int, reason: str) -> None:
        if self._connection is not None:
            self._connection.close(code, reason)
