"""Accepting connections: the watcher of a listening socket."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from .pollers import READ
from .stdlib import transport_socket
from .transport import SocketTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from .loop import Loop

logger = logging.getLogger("hardpoint.loop")

MAX_ACCEPTS_A_TURN = 64
"""A storm of new connections must not starve the old ones; the rest is reported by the next poll."""
ACCEPT_RETRY_S = 1.0
"""How long a listener rests when descriptors have run out, as in asyncio: the kernel reports it ready all the time."""
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Tls(NamedTuple):
    """What a TLS connection is made with."""

    context: Any
    handshake_timeout_s: float | None
    shutdown_timeout_s: float | None


class Listener:
    """Accepts at most `MAX_ACCEPTS_A_TURN` connections a turn and makes a transport and a protocol for each.

    The protocol's ``connection_made`` is called at once: no task, no handle. When descriptors run out it rests for
    `ACCEPT_RETRY_S`, says so once, and says so again only after it has accepted something in between.
    """

    __slots__ = ("_closed", "_exhausted", "_factory", "_fd", "_interest", "_loop", "_server", "_sock", "_tls")

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        tls: Tls | None,
        server: Any,
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._fd = sock.fileno()
        self._factory = protocol_factory
        self._tls = tls
        self._server = server
        self._interest = 0
        self._closed = False
        self._exhausted = False
        loop.watch(self._fd, self)
        # A turn later, so that nobody is accepted before the caller of create_server has the server.
        loop.call_soon(self._resume)

    def on_readable(self) -> None:
        """Accept what waits."""
        for _ in range(MAX_ACCEPTS_A_TURN):
            if self._closed:  # by a protocol that has just been made
                return
            try:
                connection, _address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                self._rest(exc)
                return
            self._exhausted = False
            self._loop.count_accepted()
            self._admit(connection)

    def on_writable(self) -> None:
        """Never asked for."""

    def close(self) -> None:
        """Stop listening and close the socket."""
        self._closed = True
        self._set_interest(0)
        self._loop.unwatch(self._fd, self)
        self._sock.close()

    def _admit(self, connection: socket.socket) -> None:
        """Make the protocol and the transport. A factory that raises costs its own connection only."""
        protocol: asyncio.BaseProtocol | None = None
        try:
            connection.setblocking(False)
            protocol = self._factory()
            if self._closed:  # by the factory: the server counts no more connections
                connection.close()
            elif self._tls is None:
                SocketTransport(self._loop, connection, protocol, self._server).start()
            else:
                self._loop.accept_tls(connection, protocol, self._tls, self._server)
        except (SystemExit, KeyboardInterrupt):
            connection.close()
            raise
        except BaseException as exc:  # noqa: BLE001 - whatever a factory raises
            connection.close()
            self._loop.call_exception_handler(
                {
                    "message": "Error on transport creation for incoming connection",
                    "exception": exc,
                    "protocol": protocol,
                }
            )

    def _rest(self, exc: OSError) -> None:
        """Accept has failed: pause when a resource has run out, report anything else and go on."""
        if exc.errno not in _EXHAUSTED:
            self._loop.call_exception_handler(
                {"message": "socket.accept() failed", "exception": exc, "socket": transport_socket(self._sock)}
            )
            return
        self._loop.count_accept_pause()
        if not self._exhausted:
            self._exhausted = True
            self._loop.call_exception_handler(
                {
                    "message": "socket.accept() out of system resource",
                    "exception": exc,
                    "socket": transport_socket(self._sock),
                }
            )
        self._set_interest(0)
        self._loop.call_later(ACCEPT_RETRY_S, self._resume)

    def _resume(self) -> None:
        if not self._closed:
            self._set_interest(READ)

    def _set_interest(self, interest: int) -> None:
        self._loop.set_interest(self._fd, self._interest, interest)
        self._interest = interest
