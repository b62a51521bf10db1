"""The other end of a WebSocket, for tests of handlers and of firmware."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from ..wire.websocket import (
    BINARY,
    CLOSE,
    FAILED,
    NORMAL,
    PING,
    PONG,
    TEXT,
    HandshakeRefused,
    WebSocketCodec,
    WebSocketLimits,
    encode_request,
    new_key,
    read_response,
)
from .device import ANSWER_TIMEOUT_S

if TYPE_CHECKING:
    from ..wire.websocket import DeflateOptions

READ_BYTES = 64 * 1024


class WebSocketClient:
    """One socket.

    ::

        async with WebSocketClient("127.0.0.1", 8080, f"/api/v1/{token}/ws") as ws:
            ws.send("temp=21.5")
            assert await ws.receive() == "OK 1"
    """

    def __init__(
        self,
        host: str,
        port: int,
        path: str = "/",
        *,
        subprotocols: Sequence[str] = (),
        compression: DeflateOptions | None = None,
        headers: Sequence[tuple[str, str]] = (),
        max_message_bytes: int = 16 * 1024 * 1024,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        """Connect with ``async with``: `HandshakeRefused` is raised there when the server does not upgrade."""
        self._address = (host, port)
        self._path = path
        self._subprotocols = subprotocols
        self._compression = compression
        self._headers = headers
        self._limits = WebSocketLimits(max_message_bytes)
        self._timeout_s = timeout_s
        self._codec = WebSocketCodec(self._limits, client=True)
        self._messages: deque[str | bytes] = deque()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.answers_pings = True
        """False plays dead: pings get no pong."""
        self.subprotocol: str | None = None
        """What the server chose."""
        self.pings: list[bytes] = []
        """The payloads of the server's pings so far."""
        self.pongs: list[bytes] = []
        self.close_code: int | None = None
        """The server's close frame's, or 1006 when it has cut the connection; None while it is open."""
        self.close_reason = ""

    async def __aenter__(self) -> Self:
        host, port = self._address
        self._reader, self._writer = await asyncio.open_connection(host, port)
        key = new_key()
        try:
            self.write(
                encode_request(
                    self._path,
                    f"{host}:{port}",
                    key,
                    subprotocols=self._subprotocols,
                    options=self._compression,
                    headers=self._headers,
                )
            )
            head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), self._timeout_s)).decode("latin-1")
            status_line, *lines = head.rstrip("\r\n").split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            accepted = read_response(
                int(status_line.split(" ", 2)[1]),
                fields,
                key,
                subprotocols=self._subprotocols,
                options=self._compression,
            )
        except asyncio.IncompleteReadError:
            await self.hang_up()
            raise ConnectionError("the server closed without an answer") from None
        except (HandshakeRefused, TimeoutError):
            await self.hang_up()
            raise
        self.subprotocol = accepted.subprotocol
        self._codec = WebSocketCodec(self._limits, client=True, agreement=accepted.agreement, options=self._compression)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if exc[0] is None and self.close_code is None:
            await self.close()
        await self.hang_up()

    def send(self, message: str | bytes) -> None:
        """Send a message."""
        self.write(self._codec.encode_message(message))

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping; the server's pong is added to `pongs` by the next `receive`."""
        self.write(self._codec.encode_ping(payload))

    def write(self, data: bytes) -> None:
        """Send any bytes, frames or not."""
        assert self._writer is not None, "use it with `async with`"
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the server has taken what was sent."""
        assert self._writer is not None
        await self._writer.drain()

    async def receive(self) -> str | bytes:
        """The next message.

        Raises:
            ConnectionError: there is none: the server has closed, `close_code` says with what.
            TimeoutError: none came.
        """
        async with asyncio.timeout(self._timeout_s):
            while not self._messages:
                if self.close_code is not None:
                    raise ConnectionError(f"closed: {self.close_code} {self.close_reason}".rstrip())
                await self._read()
        return self._messages.popleft()

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close, and wait until the server has closed too. Messages that still come are thrown away."""
        if self.close_code is None:
            self.write(self._codec.encode_close(code, reason))
        await self.closed()

    async def closed(self) -> None:
        """Wait until the server has closed. Messages that still come are thrown away."""
        async with asyncio.timeout(self._timeout_s):
            while self.close_code is None:
                await self._read()

    async def hang_up(self) -> None:
        """End the connection below, without a word. Idempotent."""
        if self.close_code is None:
            self.close_code = 1006
        if self._writer is not None:
            self._writer.close()
            try:
                await self._writer.wait_closed()
            except OSError:
                pass  # the server was faster

    async def _read(self) -> None:
        assert self._reader is not None
        try:
            data = await self._reader.read(READ_BYTES)
        except ConnectionError:
            data = b""
        if not data:
            self.close_code = 1006
            return
        events = self._codec.receive(data)
        while self._codec.more:
            events += self._codec.receive(b"")
        for event in events:
            kind = event[0]
            if kind in (TEXT, BINARY):
                self._messages.append(event[1])
            elif kind == PING:
                self.pings.append(event[1])
                if self.answers_pings:
                    self.write(self._codec.encode_pong(event[1]))
            elif kind == PONG:
                self.pongs.append(event[1])
            elif kind in (CLOSE, FAILED):
                self.close_code, self.close_reason = event[1], event[2]
                self.write(self._codec.encode_close(event[1]))
