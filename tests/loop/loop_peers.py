"""What the loop's tests talk to: recording protocols and raw peers."""

from __future__ import annotations

import asyncio
import functools
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

READ_MORE_BYTES = 1 << 20


class Recorder(asyncio.Protocol):
    """Keeps what happened, in order, and lets a test wait for it."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.received = bytearray()
        self.transport: Any = None
        self.error: BaseException | None = None
        self.lost = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self.changed = asyncio.Event()
        self.keep_open = False

    def _note(self, event: str) -> None:
        self.events.append(event)
        self.changed.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._note("made")

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._note("data")

    def eof_received(self) -> bool:
        self._note("eof")
        self.ended.set()
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self._note("lost")
        self.lost.set_result(None)

    def pause_writing(self) -> None:
        self._note("pause")

    def resume_writing(self) -> None:
        self._note("resume")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what was recorded makes the condition true."""
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    async def until_received(self, count: int) -> bytes:
        await self.until(lambda: len(self.received) >= count)
        return bytes(self.received)


@asynccontextmanager
async def connected(
    factory: Callable[[], Any] = Recorder, *, small_buffers: bool = False
) -> AsyncIterator[tuple[Any, socket.socket]]:
    """A server-side protocol over TCP, and the plain non-blocking socket at its other end."""
    loop = asyncio.get_running_loop()
    made: asyncio.Future[Any] = loop.create_future()

    def build() -> Any:
        protocol = factory()
        made.set_result(protocol)
        return protocol

    listening = socket.create_server(("127.0.0.1", 0))
    peer = socket.socket()
    if small_buffers:
        # Before listen and connect: the window is agreed on then.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    server = await loop.create_server(build, sock=listening)
    peer.setblocking(False)
    try:
        await loop.sock_connect(peer, listening.getsockname())
        protocol = await made
        while protocol.transport is None:  # asyncio calls connection_made in a later turn than the factory
            await asyncio.sleep(0)
        yield protocol, peer
        peer.close()
        if not protocol.lost.done():
            protocol.transport.abort()
        await protocol.lost
    finally:
        peer.close()
        server.close()
        await server.wait_closed()


async def read_exactly(peer: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = bytearray()
    while len(data) < count:
        chunk = await loop.sock_recv(peer, min(READ_MORE_BYTES, count - len(data)))
        assert chunk, f"the connection ended after {len(data)} of {count} bytes"
        data += chunk
    return bytes(data)


async def read_to_end(peer: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    data = bytearray()
    while chunk := await loop.sock_recv(peer, READ_MORE_BYTES):
        data += chunk
    return bytes(data)


def reset(peer: socket.socket) -> None:
    """Close with a RST instead of a FIN."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


@functools.cache
def pattern(count: int) -> bytes:
    """Bytes that show a loss, a repetition or a swap: 4-byte counters."""
    return struct.pack(f">{count // 4}I", *range(count // 4))
