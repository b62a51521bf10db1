"""Files that go from the disk to a socket inside the kernel: ``loop.sendfile`` and ``loop.sock_sendfile``.

A file is sent in pieces, each when the socket has room: back-pressure is the kernel's own, and nothing waits in memory.
What cannot be sent so (TLS, a file that is none of the kernel's) raises SendfileNotAvailableError, and
`asyncio.BaseEventLoop` reads and writes it instead.
"""
# ruff: noqa: SLF001 - for as long as it lasts, a file is a part of its transport

from __future__ import annotations

import asyncio
import errno
import io
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from .pollers import WRITE
from .sockets import SocketCalls

if TYPE_CHECKING:
    import socket

    from .transport import SocketTransport

MAX_FILE_BYTES_A_TURN = 256 * 1024
"""The kernel reads the disk inside the call: a slow one must not hold the turn for longer than this takes."""


class SendFile(SocketCalls):
    """The two hooks behind ``loop.sendfile`` and ``loop.sock_sendfile``, which check their arguments.

    Both return the number of bytes sent and leave the file's position behind them, also when they fail.
    """

    sendfile_keeps_position = True
    """For who must know, after a time-out, how much is out: asyncio's own leaves the position as it was."""

    async def _sendfile_native(self, transp: SocketTransport, file: Any, offset: int, count: int | None) -> int:
        file_fd = _regular_file(file)
        sending = FileSending(transp, file_fd, offset, count)
        try:
            return await sending.done
        finally:
            sending.end()
            file.seek(offset + sending.sent)

    async def _sock_sendfile_native(self, sock: socket.socket, file: Any, offset: int, count: int | None) -> int:
        file_fd = _regular_file(file)
        total = 0
        wait = self._when_ready
        try:
            while size := _piece(total, count):
                send = partial(os.sendfile, sock.fileno(), file_fd, offset + total, size)
                sent = await wait(sock, WRITE, send)
                if not sent:
                    break
                total += sent
                wait = self._when_told  # the others first, also when this peer reads as fast as we send
            return total
        except OSError as exc:
            raise _told_apart(exc, total) from exc
        finally:
            file.seek(offset + total)


class FileSending(asyncio.Protocol):
    """Takes the place of a transport's protocol, and of the transport as the watcher, until the file is sent.

    As the watcher it hears of room in the kernel's buffer; as the protocol, of the connection's end. What was written
    before goes out before the file, and ``write`` raises meanwhile (see `SocketTransport.write`).
    """

    def __init__(self, transport: SocketTransport, file_fd: int, offset: int, count: int | None) -> None:
        """Begin. ``done`` gets the number of bytes, or the error; `end` must follow."""
        loop = transport._loop
        self.done: asyncio.Future[int] = loop.create_future()
        self.sent = 0
        self._transport = transport
        self._protocol = transport.get_protocol()
        self._file_fd = file_fd
        self._offset = offset
        self._count = count
        self._was_reading = transport.is_reading()
        transport.pause_reading()
        transport.set_protocol(self)
        transport._blocked = True
        loop.watch(transport._fd, self)
        transport._set_interest(transport._interest | WRITE)

    def end(self) -> None:
        """Give the connection back to its protocol. Again does nothing, and after the connection's end neither."""
        transport = self._transport
        if transport.get_protocol() is not self:
            return
        transport._loop.watch(transport._fd, transport)
        transport.set_protocol(self._protocol)
        if transport._backlog is None and not transport._lost:
            transport._set_interest(transport._interest & ~WRITE)
            transport._blocked = transport._eof_written or transport._closing
        if self._was_reading:
            transport.resume_reading()

    # As the watcher ------------------------------------------------------------------------------------------------

    def on_readable(self) -> None:
        """Reading is paused; an error shows in `on_writable`, which is called as well."""

    def on_writable(self) -> None:
        """There is room: for what waits before the file, then for the next piece of it."""
        transport = self._transport
        if self.done.done():
            return
        if transport._backlog is not None:
            transport.on_writable()
            if transport._backlog is not None or transport._lost or self.done.done():
                return
            transport._blocked = True
            transport._set_interest(transport._interest | WRITE)
        size = _piece(self.sent, self._count)
        try:
            sent = os.sendfile(transport._fd, self._file_fd, self._offset + self.sent, size) if size else 0
        except (BlockingIOError, InterruptedError):
            return
        except OSError as exc:
            self._fail(_told_apart(exc, self.sent))
            return
        self.sent += sent
        transport._bytes_out += sent
        if not sent:
            self.done.set_result(self.sent)

    # As the protocol -----------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """Nothing is written meanwhile, so nobody calls this; what was paused before stays so."""

    def resume_writing(self) -> None:
        """What was written before the file is out."""
        self._transport._blocked = True
        self._protocol.resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection has ended under the file."""
        transport = self._transport
        transport._loop.watch(transport._fd, transport)
        self._fail(exc or ConnectionError("Connection closed while a file was being sent"))
        self._protocol.connection_lost(exc)

    def _fail(self, exc: BaseException) -> None:
        if not self.done.done():
            self.done.set_exception(exc)


def _piece(sent: int, count: int | None) -> int:
    """How many bytes to offer next; 0 when the count is reached. Without a count the file's end ends it."""
    return MAX_FILE_BYTES_A_TURN if not count else min(MAX_FILE_BYTES_A_TURN, count - sent)


def _regular_file(file: Any) -> int:
    """The file's descriptor.

    Raises:
        SendfileNotAvailableError: it has none, or this platform has no ``sendfile`` for sockets.
    """
    if not hasattr(os, "sendfile"):
        raise asyncio.SendfileNotAvailableError("os.sendfile() is not available")
    try:
        file_fd: int = file.fileno()
        os.fstat(file_fd)
    except (AttributeError, io.UnsupportedOperation, OSError) as exc:
        raise asyncio.SendfileNotAvailableError("not a regular file") from exc
    return file_fd


def _told_apart(exc: OSError, sent: int) -> Exception:
    """Before the first byte the kernel may refuse the file, and reading it may still work; later it is the network."""
    if not sent:
        return asyncio.SendfileNotAvailableError("os.sendfile call failed")
    if exc.errno == errno.ENOTCONN:  # what BSDs say where Linux says EPIPE
        return ConnectionError(errno.ENOTCONN, "socket is not connected")
    return exc
