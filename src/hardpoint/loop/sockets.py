"""The ``sock_*`` calls: coroutines over a plain non-blocking socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, TypeVar

from .core import Turn
from .pollers import READ, WRITE
from .stdlib import check_not_tls

T = TypeVar("T")


class SocketCalls(Turn):
    """Each tries at once and, when the socket is not ready, again whenever the poller says so.

    Raises, all of them: TypeError for an `ssl.SSLSocket`, RuntimeError when a transport uses the descriptor, and in
    debug mode ValueError for a blocking socket.
    """

    async def sock_recv(self, sock: socket.socket, nbytes: int) -> bytes:
        """At most ``nbytes``; empty at the end of the stream."""
        return await self._when_ready(sock, READ, lambda: sock.recv(nbytes))

    async def sock_recv_into(self, sock: socket.socket, buf: Any) -> int:
        """Read into the buffer; how many bytes."""
        return await self._when_ready(sock, READ, lambda: sock.recv_into(buf))

    async def sock_recvfrom(self, sock: socket.socket, bufsize: int) -> tuple[bytes, Any]:
        """One datagram and its sender."""
        return await self._when_ready(sock, READ, lambda: sock.recvfrom(bufsize))

    async def sock_recvfrom_into(self, sock: socket.socket, buf: Any, nbytes: int = 0) -> tuple[int, Any]:
        """One datagram into the buffer; its length and its sender."""
        return await self._when_ready(sock, READ, lambda: sock.recvfrom_into(buf, nbytes or len(buf)))

    async def sock_sendto(self, sock: socket.socket, data: Any, address: Any) -> int:
        """Send one datagram; how many bytes went."""
        return await self._when_ready(sock, WRITE, lambda: sock.sendto(data, address))

    async def sock_sendall(self, sock: socket.socket, data: Any) -> None:
        """Send everything. After an error or a cancellation nobody can tell how much was sent."""
        view = memoryview(data).cast("B")
        sent = await self._when_ready(sock, WRITE, lambda: sock.send(view))
        while view := view[sent:]:
            # The others first, also when this peer reads as fast as we send. A closure over this round's view: it is
            # awaited before the next one is made.
            sent = await self._when_told(sock, WRITE, lambda: sock.send(view))

    async def sock_accept(self, sock: socket.socket) -> tuple[socket.socket, Any]:
        """The next connection, non-blocking, and its peer's address."""
        connection, address = await self._when_ready(sock, READ, sock.accept)
        connection.setblocking(False)
        return connection, address

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect; a host name is looked up first."""
        self._check_socket(sock)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            resolved = await self._ensure_resolved(
                address, family=sock.family, type=sock.type, proto=sock.proto, loop=self
            )
            address = resolved[0][4]
        try:
            sock.connect(address)
            return
        except (BlockingIOError, InterruptedError):
            pass  # under way, also after EINTR: the socket is writable when the answer is there

        def outcome() -> None:
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, f"Connect call failed {address}: {os.strerror(error)}")

        await self._when_told(sock, WRITE, outcome)

    async def _when_ready(self, sock: socket.socket, kind: int, attempt: Callable[[], T]) -> T:
        """The result of ``attempt``, tried now and then whenever the socket is ready."""
        self._check_socket(sock)
        try:
            return attempt()
        except (BlockingIOError, InterruptedError):
            return await self._when_told(sock, kind, attempt)

    async def _when_told(self, sock: socket.socket, kind: int, attempt: Callable[[], T]) -> T:
        """The result of ``attempt``, tried whenever the poller reports the socket."""
        future: Any = self.create_future()
        fd = sock.fileno()

        def retry() -> None:
            if future.done():
                return
            try:
                result = attempt()
            except (BlockingIOError, InterruptedError):
                return
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as exc:  # noqa: BLE001 - belongs to whoever awaits
                future.set_exception(exc)
            else:
                future.set_result(result)
            if not handle.cancelled():
                self.remove_callback(fd, kind)

        handle = self.add_callback(fd, kind, retry)
        try:
            result: T = await future
            return result
        finally:
            if not handle.cancelled():  # cancelled from outside, and nobody has replaced our callback
                self.remove_callback(fd, kind)
            future = None  # its exception refers to this frame: without this they would wait for the collector

    def _check_socket(self, sock: socket.socket) -> None:
        check_not_tls(sock)
        if self._debug and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")
