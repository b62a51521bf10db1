"""Answers that are sent while they are made: `StreamResponse` and, without an end, `EventStream`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, BinaryIO, Self

if TYPE_CHECKING:
    from pathlib import Path

    from .answering import Answering

FILE_PIECE_BYTES = 256 * 1024
"""One read of a file: large enough that the thread it happens in costs little beside it."""
YIELD_EVERY_BYTES = 256 * 1024
"""A writer whose client keeps up lets the loop turn after this much, so that one fast download delays nobody."""


class EventStream:
    """An answer without an end: server-sent events (`hardpoint.wire.sse` encodes them).

    ``start(outlet)`` is called once the head is out. The connection ends with the stream: the bytes of one event are
    the same for every client, so nothing is framed or copied per client.
    """

    __slots__ = ("headers", "start")

    def __init__(self, start: Callable[[Outlet], None], headers: Iterable[tuple[str, str]] = ()) -> None:
        self.start = start
        self.headers = list(headers)


class StreamResponse:
    """An answer whose content is sent while it is made, at the pace of its reader.

    ``content`` is an async iterable of ``bytes``; it is asked for the next piece when the client has room for it, and
    closed when the client goes away. Or it is a function, called with the `Outlet` once the head is written, that
    writes whenever it likes, awaits `Outlet.drain`, and ends with `Outlet.close`.

    With ``length`` the content must have just that many bytes. Without, it is sent in chunks (to an HTTP/1.0 client: to
    the end of the connection), and a client that ends its sending side counts as gone.
    """

    __slots__ = ("content", "content_type", "headers", "length", "status")

    def __init__(
        self,
        content: AsyncIterable[bytes] | Callable[[Outlet], None],
        status: int = 200,
        content_type: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        *,
        length: int | None = None,
    ) -> None:
        self.content = content
        self.status = status
        self.content_type = content_type
        self.headers = list(headers)
        self.length = length


class FileContent:
    """Parts of a file as the content of a `StreamResponse`: an async iterator of what is in them, like any other, which
    a connection may also be told to `send`. The file is opened when it begins, and closed at its end.
    """

    def __init__(self, path: Path, parts: Sequence[tuple[bytes, int, int]], tail: bytes = b"") -> None:
        """Each part is some bytes before it, its first byte and the one behind its last; ``tail`` follows them all."""
        self._path = path
        self._parts = parts
        self._tail = tail
        self._pieces = self._read()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._pieces)

    async def aclose(self) -> None:
        """Nobody wants the rest."""
        await self._pieces.aclose()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        """The content, read in a thread. A file that has become shorter ends it early, which the client sees by the
        length that it was told.
        """
        file = await asyncio.to_thread(self._path.open, "rb", buffering=0)
        try:
            for head, offset, end in self._parts:
                if head:
                    yield head
                while offset < end:
                    piece = await asyncio.to_thread(_read_at, file, offset, min(FILE_PIECE_BYTES, end - offset))
                    if not piece:
                        return
                    offset += len(piece)
                    yield piece
            if self._tail:
                yield self._tail
        finally:
            file.close()

    async def send(self, outlet: FramedOutlet) -> None:
        """The same, written to an outlet.

        Raises:
            ConnectionResetError, OSError: as `FramedOutlet.send_file`.
        """
        file = await asyncio.to_thread(self._path.open, "rb", buffering=0)
        try:
            for head, offset, end in self._parts:
                outlet.write(head)
                await outlet.send_file(file, offset, end - offset)
            outlet.write(self._tail)
        finally:
            file.close()


def _read_at(file: BinaryIO, offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count)


class Outlet:
    """Where an `EventStream` writes. ``on_close`` is called once when the client is gone, not after `close`."""

    __slots__ = ("_connection", "_since_yield", "on_close")

    def __init__(self, connection: Answering) -> None:
        self._connection: Answering | None = connection
        self._since_yield = 0
        self.on_close: Callable[[], object] | None = None

    @property
    def closed(self) -> bool:
        """Whether writing is over, from either side."""
        return self._connection is None

    @property
    def backlog_bytes(self) -> int:
        """What was written and the client has not taken yet, beyond the kernel's buffer. Whoever writes bounds it."""
        return 0 if self._connection is None else self._connection.transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """Send; after the end, nothing happens."""
        if self._connection is not None:
            self._connection.write(data)
            self._since_yield += len(data)

    async def drain(self) -> None:
        """Wait until the client has room for more.

        Raises:
            ConnectionResetError: it is gone.
        """
        if self._connection is None:
            raise ConnectionResetError("the client is gone")
        if self._since_yield > YIELD_EVERY_BYTES:
            self._since_yield = 0
            await asyncio.sleep(0)
        if self._connection is not None:
            await self._connection.writable()
        if self._connection is None:
            raise ConnectionResetError("the client is gone")

    def close(self) -> None:
        """End the stream, after what was written."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def lost(self) -> None:
        """The connection's side: the client is gone."""
        if self._connection is not None:
            self._connection = None
            if self.on_close is not None:
                self.on_close()


class FramedOutlet(Outlet):
    """Where a `StreamResponse` writes: the connection goes on with the next request behind its end."""

    __slots__ = ("_chunked", "remaining")

    def __init__(self, connection: Answering, *, chunked: bool, length: int | None) -> None:
        super().__init__(connection)
        self._chunked = chunked
        self.remaining = length
        """Bytes still to come, when their number was promised."""

    def write(self, data: bytes) -> None:
        """Send a piece; after the end, nothing happens.

        Raises:
            ValueError: more than the length that was promised; the connection is cut, for the client would read the
                rest as another answer.
        """
        if self._connection is None or not data:
            return
        size = len(data)
        if self.remaining is not None:
            self.remaining -= size
            if self.remaining < 0:
                self.abort()
                raise ValueError("the content is longer than its length says")
        self._since_yield += size
        self._connection.count_content(size)
        # RFC 9112 §7.1
        self._connection.write(b"%x\r\n%b\r\n" % (size, data) if self._chunked else data)

    async def send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        """Send a part of a file, unbuffered and at the client's pace: inside the kernel where that can be (on a plain
        connection of our loop), which takes a third of the CPU of reading and writing. A file that ends early leaves
        `remaining`.

        Raises:
            ConnectionResetError: the client is gone, or took nothing for the server's ``send_timeout_s``.
            OSError: the file cannot be read.
        """
        end = offset + count
        while offset < end and self._connection is not None:
            sent = await self._send_in_kernel(self._connection, file, offset, end - offset)
            if sent is None:
                break
            if not sent:
                return
            offset += sent
        while offset < end:
            piece = await asyncio.to_thread(_read_at, file, offset, min(FILE_PIECE_BYTES, end - offset))
            if not piece:
                return
            offset += len(piece)
            self.write(piece)
            await self.drain()

    async def _send_in_kernel(self, connection: Answering, file: BinaryIO, offset: int, count: int) -> int | None:
        """How many bytes went; None when they have to be read and written."""
        loop = asyncio.get_running_loop()
        # asyncio's own does not tell how much of a file is out: a slow client could not be told from a dead one.
        tells = getattr(loop, "sendfile_keeps_position", False)
        if self._chunked or not tells or not isinstance(connection.transport, asyncio.Transport):
            return None
        file.seek(offset)
        try:
            async with asyncio.timeout(connection.server.send_timeout_s):
                sent = await loop.sendfile(connection.transport, file, offset, count, fallback=False)
        except TimeoutError:
            sent = file.tell() - offset
            if not sent:
                connection.server.timed_out["send"] += 1
                self.abort()
                raise ConnectionResetError("the client took nothing of a file") from None
        except ConnectionError as error:
            self.abort()
            raise ConnectionResetError("the client is gone") from error
        except RuntimeError:  # this transport or this file cannot
            return None
        if self.remaining is not None:
            self.remaining -= sent
        connection.count_file(sent)
        return sent

    def close(self, trailers: bytes = b"") -> None:
        """The answer is whole. ``trailers`` are encoded field lines (`hardpoint.wire.http1.encode_fields`), sent where
        the content goes in chunks. Content that is shorter than was promised ends with the connection cut: the client
        has to learn that something is missing.
        """
        connection = self._connection
        if connection is None:
            return
        if self.remaining:
            self.abort()
            return
        self._connection = None
        if self._chunked:
            connection.write(b"0\r\n%b\r\n" % trailers)
        connection.stream_ended()

    def abort(self) -> None:
        """The answer cannot be finished: cut the connection, so that nobody takes the part for the whole."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.transport.abort()
