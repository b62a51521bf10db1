"""One WebSocket, between its connection and an ASGI application."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ..wire.websocket import INTERNAL_ERROR, NO_STATUS, NORMAL
from .asgi_http import _decoded
from .errors import error_response, problem
from .messages import Deferred
from .streams import FramedOutlet, Outlet, StreamResponse
from .websocket import WebSocket, WebSocketClosed, switch

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..wire.websocket import Accepted
    from .asgi import AsgiApp, Message, Scope
    from .messages import Request
    from .websocket_connection import WebSocketOptions

log = logging.getLogger("hardpoint.http.asgi")

ASKED, OPEN, REFUSING, ENDED = range(4)


class WebSocketExchange(Deferred):
    """What an application's ``receive`` and ``send`` are bound to; to the connection, the answer that comes later."""

    __slots__ = (
        "_accepted", "_connect_told", "_options", "_outlet", "_request", "_socket", "_state", "_taken", "_waiter",
    )  # fmt: skip

    def __init__(self, request: Request, accepted: Accepted, options: WebSocketOptions) -> None:
        super().__init__()
        self._request = request
        self._accepted = accepted
        self._options = options
        self._socket = WebSocket(request)
        self._state = ASKED
        self._taken = False
        self._connect_told = False
        self._outlet: FramedOutlet | None = None  # of a refusal's body
        self._waiter: asyncio.Future[None] | None = None

    def complete(self, scope: dict[str, Any]) -> None:
        """Make a WebSocket's scope of a request's."""
        offered = self._request.headers.get("sec-websocket-protocol", "")
        scope["type"] = "websocket"
        scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
        scope["subprotocols"] = [name for name in (each.strip(" \t") for each in offered.split(",")) if name]
        extensions: dict[str, Any] = {"websocket.http.response": {}}
        if "tls" in scope["extensions"]:
            extensions["tls"] = scope["extensions"]["tls"]
        scope["extensions"] = extensions
        del scope["method"]

    async def run(self, app: AsgiApp, scope: Scope, ended: Callable[[], None]) -> None:
        """Call the application; answer, or close, for it when it does not. ``ended`` is called from the same task."""
        try:
            await app(scope, self.receive, self.send)
        except Exception as error:  # noqa: BLE001 - whatever an application raises is answered, and logged
            self._failed(error)
        else:
            if self._state == ASKED and not self.aborted:
                self._failed(RuntimeError("the application returned without accepting or refusing a WebSocket"))
            elif self._state == REFUSING:
                self._failed(RuntimeError("the application returned before its refusal was whole"))
            self._socket.close()
        finally:
            ended()

    def abort(self) -> None:
        """The connection's side: the client is gone before the answer."""
        super().abort()
        self._wake()

    def taken(self) -> None:
        """The connection's side: the socket is open or the refusal begun, or the client was told that neither can be:
        the server stops, or a field cannot be sent.
        """
        self._taken = True
        if self._state == ASKED:
            self.aborted = True
        self._wake()

    async def receive(self) -> Message:
        """ASGI's ``receive``."""
        if not self._connect_told:
            self._connect_told = True
            return {"type": "websocket.connect"}
        while self._state == ASKED and not self.aborted:
            await self._wait()
        if self._state != OPEN:
            return {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        try:
            message = await self._socket.receive()
        except WebSocketClosed as closed:
            return {"type": "websocket.disconnect", "code": closed.code, "reason": closed.reason}
        if isinstance(message, str):
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    async def send(self, message: Message) -> None:
        """ASGI's ``send``. Waits while the client does not read.

        Raises:
            OSError: the socket is over.
            RuntimeError: the message is out of place.
        """
        kind = message["type"]
        if self.aborted:
            raise ConnectionResetError("the client is gone")
        if self._state == OPEN and kind == "websocket.send":
            data = message.get("bytes")
            try:
                await self._socket.send(message["text"] if data is None else bytes(data))
            except WebSocketClosed as closed:
                raise ConnectionResetError(f"the socket is closed: {closed}") from None
        elif self._state == OPEN and kind == "websocket.close":
            if self._socket.closed:
                raise ConnectionResetError("the socket is closed")
            code = message.get("code", NORMAL)
            self._socket.close(NORMAL if code == NO_STATUS else code, message.get("reason") or "")
            self._state = ENDED
        elif self._state == ASKED and kind == "websocket.accept":
            await self._accept(message)
        elif self._state == ASKED and kind == "websocket.close":
            self._state = ENDED
            self.respond(problem(403, "forbidden", "the application refused the WebSocket"))
        elif self._state == ASKED and kind == "websocket.http.response.start":
            self._state = REFUSING
            headers = [
                field for field in _decoded(message.get("headers", ())) if field[0].lower() not in _NOT_OF_A_REFUSAL
            ]
            self.respond(StreamResponse(self._begin_refusal, message["status"], None, headers))
        elif self._state == REFUSING and kind == "websocket.http.response.body":
            await self._send_refusal(bytes(message.get("body", b"")), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} is out of place")

    async def _accept(self, message: Message) -> None:
        accepted = self._accepted
        subprotocol = message.get("subprotocol")
        if subprotocol is not None:
            accepted.headers.append(("Sec-WebSocket-Protocol", subprotocol))
        accepted.headers += _decoded(message.get("headers", ()))
        self._socket.on_open = self._opened
        self.respond(switch(self._request, self._socket, accepted, self._options))
        while self._state == ASKED:
            if self.aborted:
                raise ConnectionResetError("the WebSocket could not be opened")
            await self._wait()

    def _opened(self) -> None:
        self._state = OPEN
        self._wake()

    def _begin_refusal(self, outlet: Outlet) -> None:
        assert isinstance(outlet, FramedOutlet)
        self._outlet = outlet

    async def _send_refusal(self, piece: bytes, *, more: bool) -> None:
        while not (self._taken or self.aborted):
            await self._wait()
        if self._outlet is not None:  # else it has no body, or could not be sent
            self._outlet.write(piece)
            if more:
                await self._outlet.drain()
            else:
                self._outlet.close()
        if not more:
            self._state = ENDED

    def _failed(self, error: Exception) -> None:
        if self._state == ASKED and not self.aborted and self.response is None:
            self._state = ENDED
            self.respond(error_response(error))
            return
        gone = self.aborted or (self._socket.close_code is not None and isinstance(error, OSError))
        if not gone:
            log.error("an application failed with a WebSocket", exc_info=error)
        if self._outlet is not None:
            self._outlet.abort()
        self._socket.close(INTERNAL_ERROR, "the application failed")

    async def _wait(self) -> None:
        if self._waiter is None or self._waiter.done():
            self._waiter = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._waiter)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


_NOT_OF_A_REFUSAL = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})
