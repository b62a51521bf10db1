"""One HTTP request and its answer, between the connection and an ASGI application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ..wire.http1 import CONTENT_FREE_STATUSES, RequestRefused, encode_fields
from .errors import error_response
from .messages import Deferred, EncodedFields, Response
from .streams import FramedOutlet, Outlet, StreamResponse

if TYPE_CHECKING:
    from .asgi import AsgiApp, Message, Scope
    from .messages import Request

log = logging.getLogger("hardpoint.http.asgi")

FILE_PIECE_BYTES = 256 * 1024
MAX_REMEMBERED = 1024
MAX_REMEMBERED_BYTES = 1024
"""Sets of fields that are kept as they were encoded: an application sends the same few with nearly every answer, but
for their Content-Length. With the number above, 3 MB at most, and 0.5 MB in practice."""
_known: dict[tuple[tuple[bytes, bytes], ...], tuple[EncodedFields, int | None]] = {}
_SERVERS_OWN = frozenset({b"connection", b"date", b"server", b"transfer-encoding"})
"""Of an application's fields: left out, for how the connection goes on and how content is framed is decided here."""


class HttpExchange(Deferred):
    """What an application's ``receive`` and ``send`` are bound to; to the connection, the answer that comes later."""

    __slots__ = (
        "_body_received", "_broken", "_discarding", "_finished", "_first", "_gone", "_outlet", "_request", "_start",
        "_taken", "_trailers", "_waiter",
    )  # fmt: skip

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request
        self._body_received = False
        self._broken: RequestRefused | None = None  # the body will never be whole
        self._start: Message | None = None  # http.response.start, held until the body says how it is framed
        self._first = b""  # of a streamed body: goes out with the head
        self._outlet: FramedOutlet | None = None
        self._discarding = False  # nobody wants the content: HEAD, 204, 304
        self._trailers: list[tuple[str, str]] | None = None
        self._finished = False  # the answer is whole
        self._gone = False  # the client is
        self._taken = False  # by the connection, which sends the answer, or another where it cannot
        self._waiter: asyncio.Future[None] | None = None  # of `receive`, or of `send` for the outlet

    async def run(self, app: AsgiApp, scope: Scope, ended: Callable[[], None]) -> None:
        """Call the application, and answer for it when it does not. ``ended`` is called from the same task."""
        try:
            await app(scope, self.receive, self.send)
            if not (self._finished or self._gone):
                self._failed(self._broken or RuntimeError("the application returned before its answer was whole"))
        except Exception as error:  # noqa: BLE001 - whatever an application raises is answered, and logged
            self._failed(error)
        finally:
            ended()

    def abort(self) -> None:
        """The connection's side: the client is gone before the answer."""
        super().abort()
        self._disconnected()

    def taken(self) -> None:
        """The connection's side: the answer is begun, or cannot be."""
        self._taken = True
        self._wake()

    async def receive(self) -> Message:
        """ASGI's ``receive``: the body in pieces, then, once the client is gone or answered, ``http.disconnect``."""
        if not (self._body_received or self._finished):
            request = self._request
            body = request.incoming
            if body is None:
                self._body_received = True
                return {"type": "http.request", "body": request.body, "more_body": False}
            try:
                piece = await body.receive()
            except RequestRefused as refused:  # malformed, or its client gone
                self._body_received = True
                self._broken = refused
                return {"type": "http.disconnect"}
            more = bool(piece) and not (body.ended and not body.buffered_bytes)
            self._body_received = not more
            return {"type": "http.request", "body": piece, "more_body": more}
        self.on_abort = self._disconnected  # from now on, a client that ends its sending side counts as gone
        while not (self._finished or self._gone or self._broken):
            await self._wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """ASGI's ``send``. Waits while the client does not read.

        Raises:
            OSError: the client is gone.
            RuntimeError: the message is out of place, or the answer is not what its Content-Length says.
        """
        kind = message["type"]
        if self._gone or self._broken:
            raise ConnectionResetError("the client is gone")
        start = self._start
        if start is None:
            if kind == "http.response.start":
                status = message["status"]
                if not isinstance(status, int) or not 200 <= status <= 599:  # RFC 9110 §15: 1xx are no answers
                    raise RuntimeError(f"{status!r} is not the status of an answer")
                self._start = message
            elif kind == "http.response.early_hint":
                links = [("Link", bytes(link).decode("latin-1")) for link in message["links"]]
                self._request.inform(103, links)
            else:
                raise RuntimeError(f"{kind} came before http.response.start")
        elif self._finished:
            raise RuntimeError(f"{kind} came behind the end of the answer")
        elif kind == "http.response.body" and self._trailers is None:
            body = message.get("body", b"")
            if type(body) is not bytes:
                body = bytes(body)
            if self.response is None and not message.get("more_body") and not start.get("trailers"):
                self._respond_whole(start, body)  # the common case: an answer in two messages
            else:
                await self._send_body(body, message.get("more_body", False))
        elif kind == "http.response.pathsend" and self._outlet is None:
            await self._send_file(message["path"])
        elif kind == "http.response.trailers" and self._trailers is not None:
            self._trailers += _decoded(message.get("headers", ()))
            if not message.get("more_trailers", False):
                self._end()
        else:
            raise RuntimeError(f"{kind} is out of place")

    # ---- Inside

    async def _send_body(self, body: bytes, more: bool) -> None:
        start = self._start
        assert start is not None
        if self._outlet is None and not self._discarding:
            await self._open(start, body)
        elif self._outlet is not None:
            self._outlet.write(body)
        if more:
            if self._outlet is not None:
                await self._outlet.drain()
        elif start.get("trailers", False):
            self._trailers = []
        else:
            self._end()

    def _respond_whole(self, start: Message, body: bytes) -> None:
        status = start["status"]
        headers, length = _own(start.get("headers", ()))
        if self._request.method == "HEAD" and length is not None:
            self.respond(StreamResponse(_nothing, status, None, headers, length=length))
        elif length is not None and length != len(body) and status not in CONTENT_FREE_STATUSES:
            raise RuntimeError(f"Content-Length says {length}, the content has {len(body)} bytes")
        else:
            response = Response(status, body)
            response.headers = headers
            self.respond(response)
        self._finished = True
        self._wake()

    async def _open(self, start: Message, first: bytes) -> None:
        """Send the head of a streamed answer, with what its content begins with."""
        status = start["status"]
        headers, length = _own(start.get("headers", ()))
        if self._request.method == "HEAD" or status in CONTENT_FREE_STATUSES:
            self._discarding = True
            self.respond(StreamResponse(_nothing, status, None, headers, length=length))
            return
        self._first = first
        self.respond(StreamResponse(self._opened, status, None, headers, length=length))
        while self._outlet is None:  # the handler has not returned yet
            if self._gone:
                raise ConnectionResetError("the client is gone")
            if self._taken:  # a field that cannot be sent: the client was told of a failure
                self._disconnected()
                raise ConnectionResetError("the answer could not be sent; the log says why")
            await self._wait()

    def _opened(self, outlet: Outlet) -> None:
        assert isinstance(outlet, FramedOutlet)
        self._outlet = outlet
        outlet.on_close = self._disconnected
        first, self._first = self._first, b""
        outlet.write(first)
        self._wake()

    async def _send_file(self, path: str) -> None:
        """``http.response.pathsend``: the file is the content."""
        loop = asyncio.get_running_loop()
        file = cast("BinaryIO", await loop.run_in_executor(None, open, path, "rb"))
        try:
            piece = await loop.run_in_executor(None, file.read, FILE_PIECE_BYTES)
            while True:
                following = await loop.run_in_executor(None, file.read, FILE_PIECE_BYTES) if piece else b""
                await self._send_body(piece, bool(following))
                if not following:
                    return
                piece = following
        finally:
            file.close()

    def _end(self) -> None:
        self._finished = True
        if self._outlet is not None:
            self._outlet.on_close = None
            self._outlet.close(encode_fields(self._trailers or ()))
        self._wake()

    def _failed(self, error: Exception) -> None:
        if isinstance(error, OSError):  # what `send` told it
            if self._gone:
                return
            error = self._broken or error
        if self._finished or self._gone:
            log.error("an application failed behind its answer", exc_info=error)
        elif self.response is None:
            self._finished = True
            self.respond(error_response(error))
        else:
            log.error("an application failed within its answer", exc_info=error)
            self._finished = True
            if self._outlet is not None:
                self._outlet.abort()
        self._wake()

    def _disconnected(self) -> None:
        self._gone = True
        self._wake()

    async def _wait(self) -> None:
        if self._waiter is None or self._waiter.done():
            self._waiter = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._waiter)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _nothing(outlet: Outlet) -> None:
    """The content of an answer whose reader wants none."""


def _decoded(headers: Iterable[tuple[Any, Any]]) -> list[tuple[str, str]]:
    return [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in headers]


def _own(headers: Iterable[tuple[bytes, bytes]]) -> tuple[EncodedFields, int | None]:
    """An application's fields without those that are the server's, and its Content-Length.

    Raises:
        RuntimeError: Content-Length is no number.
        ValueError: a field cannot be sent.
    """
    key = tuple(headers)
    try:
        known = _known.get(key)
    except TypeError:  # fields that are lists
        key = tuple((bytes(name), bytes(value)) for name, value in key)
        known = _known.get(key)
    if known is not None:
        return known
    own: list[tuple[bytes, bytes]] = []
    length: int | None = None
    for name, value in key:
        lowered = name.lower()
        if lowered == b"content-length":
            if not value.isdigit():
                raise RuntimeError(f"Content-Length is {bytes(value)!r}")
            length = int(value)
        elif lowered not in _SERVERS_OWN:
            own.append((name, value))
    fields = EncodedFields(_decoded(own))
    if len(fields.lines) <= MAX_REMEMBERED_BYTES:
        if len(_known) >= MAX_REMEMBERED:
            _known.clear()
        _known[key] = fields, length
    return fields, length
