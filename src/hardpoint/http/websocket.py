"""WebSocket for handlers: ``@router.websocket("/path")`` over ``async def handler(ws)``.

::

    @router.websocket("/echo")
    async def echo(ws: WebSocket) -> None:
        async for message in ws:             # str or bytes; ends when the socket does
            await ws.send(message)           # waits while the client does not read

A handler that returns closes the socket (1000), one that raises fails it (1011, and a traceback in the log). A handler
that does not receive makes its client wait: at most `MAX_QUEUED_BYTES` are read ahead of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

import msgspec

from ..errors import BadInput, Forbidden, HardpointError
from ..wire.websocket import (
    ABNORMAL,
    GOING_AWAY,
    INTERNAL_ERROR,
    NORMAL,
    POLICY_VIOLATION,
    HandshakeRefused,
    accept,
    same_origin,
)
from .errors import problem
from .messages import Response
from .streams import YIELD_EVERY_BYTES
from .websocket_connection import WebSocketConnection, WebSocketOptions

if TYPE_CHECKING:
    from ..wire.websocket import Accepted
    from .messages import Answer, Handler, Request
    from .upgrade import Switch
    from .websocket_connection import Receiver

log = logging.getLogger("hardpoint.http.websocket")

T = TypeVar("T")

MAX_QUEUED_BYTES = 64 * 1024
"""Of messages that no handler has received yet; with more, reading pauses. A read, or a burst of inflated messages, may
go beyond it once."""
MESSAGE_OVERHEAD_BYTES = 64
"""What a message counts beside its length: empty ones take memory too."""
HANDLER_GRACE_S = 10.0
"""How long a handler may go on after its connection is gone, with what it had received; then it is cancelled."""
ANY_ORIGIN = frozenset({"*"})
"""For sockets whose secret is not a cookie: a token in the path, say, which a foreign page does not have."""


class WebSocketClosed(Exception):
    """The socket is over. ``code`` and ``reason`` are the close frame's: 1005 for one without a code, 1006 for none."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class WebSocket:
    """One client's socket, as its handler sees it. `receive` is for one task at a time, `send` for any number."""

    __slots__ = (
        "_connection", "_queue", "_queued_bytes", "_received", "_room", "_since_yield", "_waiter", "close_code",
        "close_reason", "on_lost", "on_open", "request", "subprotocol",
    )  # fmt: skip

    def __init__(self, request: Request, subprotocol: str | None = None) -> None:
        self.request = request
        self.subprotocol = subprotocol
        """The one that was chosen of the client's."""
        self.close_code: int | None = None
        """Set when it is over."""
        self.close_reason = ""
        self.on_open: Callable[[], None] | None = None
        """Called once when the handshake is out."""
        self.on_lost: Callable[[], None] | None = None
        """Called once when the connection under it is gone."""
        self._connection: WebSocketConnection | None = None
        self._queue: deque[str | bytes] = deque()
        self._queued_bytes = 0
        self._received = False  # the handler has taken a message at least once
        self._waiter: asyncio.Future[None] | None = None  # receive waits
        self._room: asyncio.Future[None] | None = None  # send waits
        self._since_yield = 0  # bytes sent without waiting

    # ---- Messages in

    async def receive(self) -> str | bytes:
        """The next message: text as str, binary as bytes.

        Raises:
            WebSocketClosed: there will be none; all that came were received.
            RuntimeError: another task is receiving.
        """
        while not self._queue:
            if self.close_code is not None:
                raise WebSocketClosed(self.close_code, self.close_reason)
            if self._waiter is not None:
                raise RuntimeError("one task at a time may receive")
            if self._received and self._connection is not None:
                self._received = False
                self._connection.caught_up()
                if self.close_code is not None:
                    continue
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message = self._queue.popleft()
        self._received = True
        self._queued_bytes -= len(message) + MESSAGE_OVERHEAD_BYTES
        if self._queued_bytes <= MAX_QUEUED_BYTES // 4 and self._connection is not None:
            self._connection.resume_reading()
        return message

    async def receive_text(self) -> str:
        """The next message, which has to be text.

        Raises:
            BadInput: it was binary.
            WebSocketClosed, RuntimeError: as `receive`.
        """
        message = await self.receive()
        if isinstance(message, bytes):
            raise BadInput("a text message is expected")
        return message

    async def receive_bytes(self) -> bytes:
        """The next message, which has to be binary. Raises as `receive_text`."""
        message = await self.receive()
        if isinstance(message, str):
            raise BadInput("a binary message is expected")
        return message

    @overload
    async def receive_json(self) -> Any: ...
    @overload
    async def receive_json(self, type: type[T]) -> T: ...
    async def receive_json(self, type: Any = Any) -> Any:  # noqa: A002 - the name msgspec gives it
        """The next message, text or binary, as JSON of a type msgspec understands.

        Raises:
            BadInput: it is not JSON, or not of that type.
            WebSocketClosed, RuntimeError: as `receive`.
        """
        try:
            return msgspec.json.decode(await self.receive(), type=type)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadInput(f"the message is not the JSON expected: {error}") from None

    def __aiter__(self) -> WebSocket:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except WebSocketClosed:
            raise StopAsyncIteration from None

    # ---- Messages out

    async def send(self, message: str | bytes) -> None:
        """Send a message, and wait while the client has too much unread.

        Raises:
            WebSocketClosed: the socket is over.
        """
        connection = self._connection
        if self.close_code is not None or connection is None or not connection.is_open:
            raise WebSocketClosed(ABNORMAL if self.close_code is None else self.close_code, self.close_reason)
        connection.send(message)
        self._since_yield += len(message) + MESSAGE_OVERHEAD_BYTES
        if self._since_yield > YIELD_EVERY_BYTES:
            # For a client that takes all at once, and for one that is gone, which the loop tells at its next turn: a
            # handler that only sends would never let it come.
            self._since_yield = 0
            await asyncio.sleep(0)
        while self._room is not None:
            await asyncio.shield(self._room)

    async def send_json(self, obj: Any) -> None:
        """Send anything msgspec encodes, as text. Raises as `send`."""
        await self.send(msgspec.json.encode(obj).decode())

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping. The server sends its own to a client that is silent; a pong needs no handling."""
        if self._connection is not None:
            self._connection.ping(payload)

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Begin the closing handshake: messages that still come are thrown away. Idempotent.

        Raises:
            ValueError: the code may not be sent.
        """
        if self._connection is not None:
            self._connection.close(code, reason)

    @property
    def closed(self) -> bool:
        """Whether it is over, or about to be: nothing can be sent."""
        return self._connection is None or not self._connection.is_open

    # ---- The connection's side (`Receiver`)

    @property
    def behind(self) -> bool:
        """Whether a message waits, or its handler is at work on one."""
        return bool(self._queue) or (self._received and self._waiter is None)

    def opened(self, connection: WebSocketConnection) -> None:
        """The handshake is out."""
        self._connection = connection
        on_open, self.on_open = self.on_open, None
        if on_open is not None:
            on_open()

    def message_received(self, message: str | bytes) -> None:
        """A message came."""
        self._queue.append(message)
        self._queued_bytes += len(message) + MESSAGE_OVERHEAD_BYTES
        if self._queued_bytes > MAX_QUEUED_BYTES and self._connection is not None:
            self._connection.pause_reading()
        self._wake()

    def ended(self, code: int, reason: str) -> None:
        """No message will come any more."""
        self.close_code, self.close_reason = code, reason
        self._wake()
        self.resume_writing()

    def lost(self) -> None:
        """The connection is gone."""
        on_lost, self.on_lost = self.on_lost, None
        if on_lost is not None:
            on_lost()

    def pause_writing(self) -> None:
        """The client does not read."""
        if self._room is None:
            self._room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """It has caught up, or is gone."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def drain(self) -> None:
        """The server stops."""
        self.close(GOING_AWAY, "the server is stopping")

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


WebSocketHandler: TypeAlias = Callable[[WebSocket], Awaitable[None]]


def check_handshake(
    request: Request,
    *,
    subprotocols: Sequence[str] = (),
    origins: Collection[str] | None = None,
    options: WebSocketOptions | None = None,
) -> Accepted:
    """Whether this request may become a WebSocket, and what its handshake settles.

    Args:
        subprotocols: those that are spoken; the first of the client's among them is chosen.
        origins: the pages that may connect, as ``https://host:port``; None for those of this host, `ANY_ORIGIN` for
            all. A browser sends the cookies of ours from any page (RFC 6455 §10.2). Other clients send no Origin.

    Raises:
        Forbidden: the page is not one of those.
        HandshakeRefused: it is no handshake that can be accepted.
    """
    options = options or WebSocketOptions()
    headers = request.head.headers.joined
    accepted = accept(request.method, headers, subprotocols=subprotocols, options=options.compression)
    origin = headers.get("origin")
    if origin is not None and origins is not ANY_ORIGIN:
        known = same_origin(origin, request.host) if origins is None else origin in origins
        if not known:
            raise Forbidden(f"pages of {origin[:200]} may not connect here")
    return accepted


def switch(request: Request, receiver: Receiver, accepted: Accepted, options: WebSocketOptions | None = None) -> Switch:
    """The answer that makes a WebSocket of the request's connection; ``receiver`` is told when it is out."""
    server = None if request.connection is None else request.connection.server
    connection = WebSocketConnection(receiver, accepted, options or WebSocketOptions(), server)
    return Response.switch(connection, accepted.headers)


def refusal(refused: HandshakeRefused) -> Response:
    """The answer to a handshake that cannot be accepted."""
    code = {405: "method_not_allowed", 426: "upgrade_required"}.get(refused.answer, "bad_request")
    response = problem(refused.answer, code, refused.message)
    response.headers.extend(refused.headers)
    return response


def websocket_route(
    handler: WebSocketHandler,
    *,
    subprotocols: Sequence[str] = (),
    origins: Collection[str] | None = None,
    options: WebSocketOptions | None = None,
) -> Handler:
    """A handler of GET requests that upgrades them for ``handler``; the arguments are those of `check_handshake`."""

    def upgrade(request: Request) -> Answer:
        try:
            accepted = check_handshake(request, subprotocols=subprotocols, origins=origins, options=options)
        except HandshakeRefused as refused:
            return refusal(refused)
        socket = WebSocket(request, accepted.subprotocol)
        run_when_open(socket, lambda: _handle(handler, socket))
        return switch(request, socket, accepted, options)

    return upgrade


def run_when_open(socket: WebSocket, work: Callable[[], Awaitable[None]]) -> None:
    """Begin a task once the handshake is out; it is cancelled `HANDLER_GRACE_S` after its connection is gone."""

    def begin() -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(_finished(work()), name=f"websocket {socket.request.path}")

        def lost() -> None:
            if not task.done():
                timer = loop.call_later(HANDLER_GRACE_S, task.cancel)
                task.add_done_callback(lambda _: timer.cancel())

        socket.on_lost = lost

    socket.on_open = begin


async def _finished(work: Awaitable[None]) -> None:
    await work


async def _handle(handler: WebSocketHandler, socket: WebSocket) -> None:
    try:
        await handler(socket)
    except WebSocketClosed:
        socket.close()
    except HardpointError as error:
        socket.close(POLICY_VIOLATION if error.status < 500 else INTERNAL_ERROR, error.message)
    except Exception:
        log.exception("the handler of %s failed", socket.request.path)
        socket.close(INTERNAL_ERROR, "the server failed; its log says why")
    else:
        socket.close()
