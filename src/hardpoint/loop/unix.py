"""Unix stream sockets: clients and servers by path."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import stat
import sys
from typing import Any

from .core import Turn
from .stdlib import StockServer

logger = logging.getLogger("asyncio")


class UnixSockets(Turn):
    """``create_unix_connection`` and ``create_unix_server``, with the arguments and errors of asyncio."""

    def __init__(self, poller: Any = None) -> None:
        super().__init__(poller)
        self._socket_files: dict[socket.socket, int] = {}

    async def create_unix_connection(
        self,
        protocol_factory: Any,
        path: str | bytes | os.PathLike[str] | None = None,
        *,
        ssl: Any = None,
        sock: socket.socket | None = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[asyncio.Transport, Any]:
        """Connect to the socket file, or take over a connected socket.

        Raises:
            ValueError: arguments that exclude or need each other, or a socket of another kind.
            OSError: nobody listens there.
        """
        if ssl and server_hostname is None:
            raise ValueError("you have to pass server_hostname when using ssl")
        if not ssl:
            if server_hostname is not None:
                raise ValueError("server_hostname is only meaningful with ssl")
            _check_tls_arguments(ssl_handshake_timeout, ssl_shutdown_timeout)
        if path is not None:
            if sock is not None:
                raise ValueError("path and sock can not be specified at the same time")
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.setblocking(False)
                await self.sock_connect(sock, os.fspath(path))
            except BaseException:
                sock.close()
                raise
        elif sock is None:
            raise ValueError("no path and sock were specified")
        else:
            _check_unix_stream(sock)
        transport, protocol = await self._create_connection_transport(
            sock,
            protocol_factory,
            ssl,
            server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        return transport, protocol

    async def create_unix_server(
        self,
        protocol_factory: Any,
        path: str | bytes | os.PathLike[str] | None = None,
        *,
        sock: socket.socket | None = None,
        backlog: int = 100,
        ssl: Any = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
        cleanup_socket: bool = sys.version_info >= (3, 13),
    ) -> asyncio.Server:
        """Listen on the socket file; a stale one is replaced. ``cleanup_socket`` removes it again when the server is
        closed, unless another process has put its own there since. By default as asyncio does: from Python 3.13 on.

        Raises:
            ValueError, TypeError: arguments that exclude or need each other, or a socket of another kind.
            OSError: the address is taken, or the folder not ours.
        """
        if isinstance(ssl, bool):
            raise TypeError("ssl argument must be an SSLContext or None")
        if not ssl:
            _check_tls_arguments(ssl_handshake_timeout, ssl_shutdown_timeout)
        if path is not None:
            if sock is not None:
                raise ValueError("path and sock can not be specified at the same time")
            sock = _bound(os.fspath(path))
        elif sock is None:
            raise ValueError("path was not specified, and no sock specified")
        else:
            _check_unix_stream(sock)
        if cleanup_socket:
            bound_path = sock.getsockname()
            if bound_path and not _is_abstract(bound_path):
                try:
                    self._socket_files[sock] = os.stat(bound_path).st_ino
                except FileNotFoundError:
                    pass
        sock.setblocking(False)
        server = StockServer(self, [sock], protocol_factory, ssl, backlog, ssl_handshake_timeout, ssl_shutdown_timeout)
        if start_serving:
            server._start_serving()  # noqa: SLF001 - see stdlib.py
        assert isinstance(server, asyncio.Server)
        return server

    def remove_socket_file(self, sock: socket.socket) -> None:
        """Remove the file that ``sock`` was bound to, if it is still the same one. Before the socket is closed."""
        inode = self._socket_files.pop(sock, None)
        if inode is None:
            return
        path = sock.getsockname()
        try:
            if os.stat(path).st_ino == inode:
                os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as exc:
            logger.warning("Unable to clean up listening UNIX socket %r: %r", path, exc)


def _is_abstract(path: str | bytes) -> bool:
    """Whether it is a name in Linux's abstract space, which no file stands for."""
    return os.fsencode(path).startswith(b"\0")


def _bound(path: str | bytes) -> socket.socket:
    """A socket bound to the path, in place of a stale one.

    Raises:
        OSError: the path is taken by something that is no socket, or cannot be written.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if not _is_abstract(path):
            try:
                if stat.S_ISSOCK(os.stat(path).st_mode):
                    os.remove(path)
            except FileNotFoundError:
                pass
            except OSError as exc:  # the folder may allow making a socket but not removing one
                logger.warning("Unable to check or remove stale UNIX socket %r: %r", path, exc)
        sock.bind(path)
    except OSError as exc:
        sock.close()
        if exc.errno == errno.EADDRINUSE:
            raise OSError(errno.EADDRINUSE, f"Address {path!r} is already in use") from None
        raise
    except BaseException:
        sock.close()
        raise
    return sock


def _check_unix_stream(sock: socket.socket) -> None:
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A UNIX Domain Stream Socket was expected, got {sock!r}")


def _check_tls_arguments(handshake_timeout_s: float | None, shutdown_timeout_s: float | None) -> None:
    if handshake_timeout_s is not None:
        raise ValueError("ssl_handshake_timeout is only meaningful with ssl")
    if shutdown_timeout_s is not None:
        raise ValueError("ssl_shutdown_timeout is only meaningful with ssl")
