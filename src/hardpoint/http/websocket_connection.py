"""A connection after its upgrade to WebSocket: bytes to messages, pings, and the two ways it ends.

::

    OPEN ──close()──▶ CLOSING (our close frame is out) ──theirs──▶ ENDED (the transport closes)
      │ ──their close frame, answered──────────────────────────▶ ENDED
      └──a rule broken, told──▶ LINGERING (what still comes is thrown away) ──their end──▶ ENDED

One timer a connection, which says what it waits for when it fires: it is moved when the state changes, never by a
message.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

from ..wire.websocket import (
    ABNORMAL,
    BINARY,
    CLOSE,
    FAILED,
    NORMAL,
    PING,
    TEXT,
    TRY_AGAIN_LATER,
    DeflateOptions,
    WebSocketCodec,
    WebSocketLimits,
)

if TYPE_CHECKING:
    from ..wire.websocket import Accepted, Event
    from .server import HttpServer

log = logging.getLogger("hardpoint.http.websocket")

OPEN, CLOSING, LINGERING, ENDED = range(4)

LINGER_S = 2.0
"""How long a client that broke a rule may go on sending. Closing with bytes unread would make TCP reset the connection,
and the client might never see the close frame that says why."""


@dataclass(slots=True, frozen=True)
class WebSocketOptions:
    """What the sockets of one route share."""

    max_message_bytes: int = 1024 * 1024
    """One message from the client, whole and inflated: then 1009."""
    compression: DeflateOptions | None = field(default_factory=DeflateOptions)
    """None declines it. It takes some 45 KB a connection with the default window."""
    ping_interval_s: float = 30.0
    """A client that has sent nothing for so long is asked whether it is there. nginx and many phone networks drop a
    connection that is silent for a minute."""
    ping_timeout_s: float = 20.0
    """How long it may take to send anything then; after it the connection is cut."""
    close_timeout_s: float = 10.0
    """How long it may take to answer a close frame."""
    send_timeout_s: float = 60.0
    """Without the client taking a byte of what waits for it: then the connection is cut."""


class Receiver(Protocol):
    """Whoever is at the application's end of a `WebSocketConnection`."""

    @property
    def behind(self) -> bool:
        """Whether messages wait here that nobody has handled. The end, whichever it is, waits behind them, so that
        their answers go out before it; `WebSocketConnection.caught_up` says when.
        """
        ...

    def opened(self, connection: WebSocketConnection) -> None:
        """The handshake is out."""

    def message_received(self, message: str | bytes) -> None:
        """A message came."""

    def ended(self, code: int, reason: str) -> None:
        """No message will come, and none can be sent: once, the last call but for `lost`."""

    def lost(self) -> None:
        """The connection under it is gone: the last call."""

    def pause_writing(self) -> None:
        """The client does not read."""

    def resume_writing(self) -> None:
        """It has caught up."""

    def drain(self) -> None:
        """The server stops: close the connection, at once or soon."""


class WebSocketConnection(asyncio.Protocol):
    """The server's end. Made before the upgrade, for `Response.switch`."""

    __slots__ = (
        "_codec", "_delivering", "_heard", "_held", "_kept_bytes", "_options", "_paused", "_pinged", "_pong",
        "_receiver", "_server", "_stalled_bytes", "_state", "_timer", "_told", "_writing_paused", "transport",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(
        self, receiver: Receiver, accepted: Accepted, options: WebSocketOptions, server: HttpServer | None = None
    ) -> None:
        """``accepted`` is what the handshake settled. The ``server`` counts what is kept of unfinished messages."""
        self._receiver = receiver
        self._options = options
        self._server = server
        self._codec = WebSocketCodec(
            WebSocketLimits(options.max_message_bytes), agreement=accepted.agreement, options=options.compression
        )
        self._held: list[Event] = []  # received, and not handled because the receiver has paused or is behind
        self._delivering = False
        self._state = OPEN
        self._told = False  # the receiver knows that it is over
        self._paused = False
        self._writing_paused = False
        self._stalled_bytes = 0
        self._kept_bytes = 0  # of an unfinished message: this connection's share of the server's
        self._heard = True  # something came since the timer was set
        self._pinged = False  # a ping of ours is out
        self._pong: bytes | None = None  # due, while the client does not read
        self._timer: asyncio.TimerHandle | None = None

    # ---- What the application may do

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._state == OPEN

    @property
    def is_reading(self) -> bool:
        """Whether messages are handed on."""
        return self._state == OPEN and not self._paused

    def send(self, message: str | bytes) -> None:
        """Send a message; behind the end it is lost. Who sends much looks at `Receiver.pause_writing`."""
        if self._state == OPEN:
            self.transport.write(self._codec.encode_message(message))

    def send_all(self, messages: list[str]) -> None:
        """Several messages in one write."""
        if self._state == OPEN and messages:
            self.transport.write(b"".join([self._codec.encode_message(message) for message in messages]))

    def ping(self, payload: bytes = b"") -> None:
        """Ask whether the client is there."""
        if self._state == OPEN:
            self.transport.write(self._codec.encode_ping(payload))

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Begin the closing handshake; messages that still come are thrown away. Idempotent.

        Raises:
            ValueError: the code may not be sent.
        """
        if self._state != OPEN:
            return
        self.transport.write(self._codec.encode_close(code, reason))
        self._state = CLOSING
        self._arm(self._options.close_timeout_s)
        self.resume_reading()
        self.caught_up()

    def abort(self) -> None:
        """Cut the connection."""
        self.transport.abort()

    def drain(self) -> None:
        """The server stops."""
        self._receiver.drain()

    def pause_reading(self) -> None:
        """Hand no more messages to the receiver until `resume_reading`; TCP tells the client so."""
        if not self._paused and self._state == OPEN:
            self._paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Undo `pause_reading`; what was held comes first, and may pause it again."""
        if self._paused:
            self._paused = False
            if self._delivering:  # further up on the stack, where it goes on by itself
                self.transport.resume_reading()
                return
            held, self._held = self._held, []
            self._deliver(held)
            if not self._paused and not self.transport.is_closing():
                self.transport.resume_reading()

    def caught_up(self) -> None:
        """The receiver is not `Receiver.behind` any more."""
        if self._held and not self._paused and not self._delivering:
            held, self._held = self._held, []
            self._deliver(held)

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The 101 is out."""
        self.transport = cast("asyncio.Transport", transport)
        self._arm(self._options.ping_interval_s)
        self._receiver.opened(self)

    def data_received(self, data: bytes) -> None:
        """A read brought bytes."""
        self._heard = True
        if self._pinged:
            self._arm(self._options.ping_interval_s)
        if self._state <= CLOSING:
            events = self._codec.receive(data)
            if self._held:
                self._held += events  # one read more behind `pause_reading`; behind an end there are none
            else:
                self._deliver(events)
            if self._codec.buffered_bytes != self._kept_bytes:
                self._count_kept()

    def eof_received(self) -> bool:
        """The client sends no more: the transport closes, for a WebSocket has no half."""
        return False

    def pause_writing(self) -> None:
        """The client does not read."""
        self._writing_paused = True
        self._stalled_bytes = self.transport.get_write_buffer_size()
        if self._state == OPEN:
            self._arm(self._options.send_timeout_s)
        self._receiver.pause_writing()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._writing_paused = False
        if self._state == OPEN:
            self._arm(self._options.ping_interval_s)
            pong, self._pong = self._pong, None
            if pong is not None:
                self.transport.write(self._codec.encode_pong(pong))
        self._receiver.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._state = ENDED
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._release_kept()
        self._held.clear()
        self._tell(ABNORMAL, "")
        self._receiver.lost()

    # ---- Inside

    def _deliver(self, events: list[Event]) -> None:
        """Hand on what was received, for as long as the receiver wants it."""
        pongs: list[bytes] = []
        self._delivering = True
        while True:
            for position, event in enumerate(events):
                if self._paused or (event[0] in (CLOSE, FAILED) and self._state == OPEN and self._receiver.behind):
                    self._held = events[position:]
                    break
                if event[0] in (TEXT, BINARY):
                    if self._state == OPEN:
                        self._receiver.message_received(event[1])
                else:
                    self._control(event, pongs)
            if self._held or not self._codec.more:
                break
            events = self._codec.receive(b"")
        self._delivering = False
        if pongs and self._state == OPEN:
            self.transport.write(b"".join(pongs))

    def _control(self, event: Event, pongs: list[bytes]) -> None:
        kind = event[0]
        if kind == PING:
            if self._writing_paused:
                self._pong = event[1]  # §5.5.3: it is enough to answer the latest
            else:
                pongs.append(self._codec.encode_pong(event[1]))
        elif kind == CLOSE:
            self._closed_by_client(event[1], event[2])
        elif kind == FAILED:
            self._fail(event[1], event[2])
        # A pong needs no handling: like anything else that comes, it has shown that somebody is there.

    def _closed_by_client(self, code: int, reason: str) -> None:
        if self._state == OPEN:
            self.transport.write(self._codec.encode_close(code))  # §5.5.1: answered with the code received
        # §7.1.1: the server is the first to close the TCP connection, so that the client's port is free at once.
        self._end(code, reason)
        self.transport.close()

    def _fail(self, code: int, reason: str) -> None:
        """The client broke a rule, or passed a limit (§7.1.7): tell it, and take no more of what it sends."""
        self._count_end(str(code))
        log.info("%s: %s", self.transport.get_extra_info("peername"), reason)
        if self._state == OPEN:
            self.transport.write(self._codec.encode_close(code, reason))
        self._end(code, reason)
        if self.transport.can_write_eof():
            self._state = LINGERING
            self._arm(LINGER_S)
            self.transport.write_eof()
        else:
            self.transport.close()

    def _end(self, code: int, reason: str) -> None:
        self._state = ENDED
        self._codec.stop()
        self._release_kept()
        self._arm(self._options.send_timeout_s)  # for what was written
        self._stalled_bytes = self.transport.get_write_buffer_size()
        self._tell(code, reason)

    def _tell(self, code: int, reason: str) -> None:
        if not self._told:
            self._told = True
            self._receiver.ended(code, reason)

    def _count_kept(self) -> None:
        """Bring the server's sum of unfinished requests and messages up to date."""
        kept, server = self._codec.buffered_bytes, self._server
        if server is None:
            return
        server.unfinished_bytes += kept - self._kept_bytes
        grown, self._kept_bytes = kept > self._kept_bytes, kept
        if grown and server.unfinished_bytes > server.max_unfinished_bytes:
            self._fail(TRY_AGAIN_LATER, "too many messages are being received; come again")

    def _release_kept(self) -> None:
        if self._server is not None:
            self._server.unfinished_bytes -= self._kept_bytes
        self._kept_bytes = 0

    def _count_end(self, reason: str) -> None:
        if self._server is not None:
            ends = self._server.websocket_ends
            ends[reason] = ends.get(reason, 0) + 1

    def _arm(self, delay_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)
        self._heard = self._pinged = False

    def _on_timer(self) -> None:
        options = self._options
        if self._writing_paused or self._state == ENDED:
            unsent = self.transport.get_write_buffer_size()
            if unsent >= self._stalled_bytes:
                self._cut("send-timeout")
            else:  # slow, but it reads
                self._stalled_bytes = unsent
                self._arm(options.send_timeout_s)
        elif self._state == CLOSING:
            self._cut("close-timeout")
        elif self._state == LINGERING:
            self.transport.abort()
        elif self._heard or self._paused:  # what is paused by us cannot be heard
            self._arm(options.ping_interval_s)
        elif not self._pinged:
            self.ping()
            self._arm(options.ping_timeout_s)
            self._pinged = True
        else:
            self._cut("ping-timeout")

    def _cut(self, reason: str) -> None:
        self._count_end(reason)
        self.transport.abort()
