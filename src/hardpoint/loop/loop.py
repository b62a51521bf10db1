"""The loop put together: the turn, its calls by subject, and the hooks through which asyncio reaches our transports."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .datagram import DatagramTransport
from .listener import Listener, Tls
from .pipes import ReadPipeTransport, WritePipeTransport
from .processes import Processes
from .signals import SignalHandlers
from .stdlib import SSLProtocol
from .transport import SocketTransport
from .unix import UnixSockets

if TYPE_CHECKING:
    from .counters import LoopCounters


class Loop(SignalHandlers, UnixSockets, Processes):
    """The event loop. ``Loop(poller="poll")`` chooses the kernel interface; the default is the best one here."""

    @property
    def poller(self) -> str:
        """The kernel interface in use: ``epoll``, ``kqueue``, ``poll`` or ``select``."""
        return self._poller.name

    @property
    def counters(self) -> LoopCounters:
        """What this loop has done so far. Summed over the open connections when asked, so that counting costs them
        little; some milliseconds with 15,000 of them.
        """
        sums = replace(self._totals)
        for watcher in map(self.watcher_of, range(len(self._watchers))):
            if isinstance(watcher, SocketTransport | DatagramTransport):
                sums.add(watcher.counters)
                sums.connections += isinstance(watcher, SocketTransport)
        return sums

    def count_accepted(self) -> None:
        """A listener has accepted a connection."""
        self._totals.accepted += 1

    def count_accept_pause(self) -> None:
        """A listener pauses for want of descriptors or memory."""
        self._totals.accept_pauses += 1

    def accept_tls(self, sock: socket.socket, protocol: asyncio.BaseProtocol, tls: Tls, server: Any) -> None:
        """Begin the server's side of a TLS connection over an accepted socket."""
        self._make_ssl_transport(
            sock,
            protocol,
            tls.context,
            server_side=True,
            server=server,
            ssl_handshake_timeout=tls.handshake_timeout_s,
            ssl_shutdown_timeout=tls.shutdown_timeout_s,
        )

    # Hooks that BaseEventLoop and its Server call --------------------------------------------------------------------

    def _make_socket_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        *,
        extra: dict[str, Any] | None = None,
        server: Any = None,
    ) -> SocketTransport:
        transport = SocketTransport(self, sock, protocol, server, extra)
        self.call_soon(transport.start, waiter)
        return transport

    def _make_ssl_transport(
        self,
        rawsock: socket.socket,
        protocol: asyncio.BaseProtocol,
        sslcontext: Any,
        waiter: asyncio.Future[None] | None = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: dict[str, Any] | None = None,
        server: Any = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        call_connection_made: bool = True,
    ) -> Any:
        tls = SSLProtocol(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side,
            server_hostname,
            call_connection_made=call_connection_made,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        self._make_socket_transport(rawsock, tls, extra=extra, server=server)
        return tls._app_transport  # noqa: SLF001 - see stdlib.py

    def _make_datagram_transport(
        self,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        address: Any = None,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> DatagramTransport:
        transport = DatagramTransport(self, sock, protocol, address, extra)
        self.call_soon(transport.start, waiter)
        return transport

    def _make_read_pipe_transport(
        self,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> ReadPipeTransport:
        transport = ReadPipeTransport(self, pipe, protocol, extra)
        self.call_soon(transport.start, waiter)
        return transport

    def _make_write_pipe_transport(
        self,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> WritePipeTransport:
        transport = WritePipeTransport(self, pipe, protocol, extra)
        self.call_soon(transport.start, waiter)
        return transport

    def _start_serving(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        sock: socket.socket,
        sslcontext: Any = None,
        server: Any = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        tls = Tls(sslcontext, ssl_handshake_timeout, ssl_shutdown_timeout) if sslcontext else None
        Listener(self, sock, protocol_factory, tls, server)

    def _stop_serving(self, sock: socket.socket) -> None:
        self.remove_socket_file(sock)
        listener = self.watcher_of(sock.fileno())
        if isinstance(listener, Listener):
            listener.close()
        else:  # the server never began to serve
            sock.close()
