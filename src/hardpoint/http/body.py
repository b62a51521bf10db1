"""A request's content while it still arrives, for a handler that asked for it in pieces."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..wire.http1 import Headers

if TYPE_CHECKING:
    from ..wire.http1 import RequestRefused
    from .connection import HttpConnection

HIGH_WATER_BYTES = 64 * 1024
"""What waits for the handler before the client is made to wait: with one read more, the most that is kept."""

NO_TRAILERS = Headers([])


class Body:
    """The content of one request, from a client that is no faster than its reader.

    The connection feeds it; `receive` takes from it and, where nothing is left, lets the connection read on. Nothing is
    read ahead of the handler beyond `HIGH_WATER_BYTES`.
    """

    __slots__ = ("_buffer", "_connection", "_error", "_waiter", "ended", "trailers", "wanted")

    def __init__(self, connection: HttpConnection) -> None:
        self._connection: HttpConnection | None = connection
        self._buffer = b""
        self._error: RequestRefused | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.ended = False
        """Whether all of it has arrived; some of it may wait here."""
        self.wanted = False
        """Whether anybody has begun to read: ``100 Continue`` is sent then, and not before."""
        self.trailers = NO_TRAILERS
        """The fields that came behind it, once it has ended."""

    async def receive(self) -> bytes:
        """The next piece, of any size; ``b""`` at the end, and from then on.

        Raises:
            RequestRefused: it will never be whole: malformed, too large, too late, or its client has gone. Left
                unhandled, it is answered with its own status.
            RuntimeError: somebody else waits for the next piece already.
        """
        if not self.wanted:
            self.wanted = True
            if self._connection is not None:
                self._connection.body_wanted()
        if self._waiter is not None:
            raise RuntimeError("one reader at a time")
        while not self._buffer:
            if self._error is not None:
                raise self._error
            if self.ended:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        piece, self._buffer = self._buffer, b""
        if self._connection is not None:
            self._connection.body_taken(len(piece))
        return piece

    # ---- The connection's side

    @property
    def failed(self) -> bool:
        """Whether the rest will never come."""
        return self._error is not None

    @property
    def buffered_bytes(self) -> int:
        """What has arrived and was not received yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Some of it has arrived."""
        self._buffer = self._buffer + data if self._buffer else data
        self._wake()

    def end(self, trailers: Headers) -> None:
        """All of it has arrived."""
        self.ended = True
        self.trailers = trailers
        self._wake()

    def fail(self, error: RequestRefused) -> None:
        """The rest will never come. What has arrived can still be received first."""
        if not self.ended and self._error is None:
            self._error = error
            self._wake()

    def detach(self) -> None:
        """The connection has gone on, or is gone: it wants to hear no more of this."""
        self._connection = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
