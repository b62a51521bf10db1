"""Listeners: the addresses a server is bound to, and what speaks on each of them."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Protocol

from .arrivals import Arrivals, Dialect, Entrance
from .config import ListenUrl
from .errors import AddressTaken

BACKLOG = 1024
"""Connections the kernel completes for us while the loop is busy. Linux cuts it to net.core.somaxconn."""
KEEP_ALIVE_IDLE_S = 60
KEEP_ALIVE_GAP_S = 15
KEEP_ALIVE_TRIES = 4
"""A device that vanished is noticed after two minutes; a phone's network drops silent connections after five."""


class ProtocolFactory(Dialect, Protocol):
    """What speaks on a listener. One may serve several of them; its connections are those of all."""

    async def drain(self, timeout_s: float) -> None:
        """Finish what was begun and close; what is still there after ``timeout_s`` is cut. The listeners are closed
        already.
        """
        ...


class Listener:
    """One bound address. Made by `listen`."""

    def __init__(
        self, url: ListenUrl, server: asyncio.AbstractServer, factory: ProtocolFactory, entrance: Entrance | None
    ) -> None:
        self.url = url
        self._server = server
        self._entrance = entrance
        self._factory = factory
        sockets = getattr(server, "sockets", ())
        self.port: int | None = sockets[0].getsockname()[1] if url.scheme != "unix" and sockets else None

    @property
    def bound(self) -> ListenUrl:
        """The URL with its real port."""
        return self.url if self.port is None else ListenUrl(self.url.scheme, self.url.host, self.port)

    @property
    def label(self) -> str:
        """How the metrics call it, which anybody may read: a socket's path is the data folder's."""
        return "unix" if self.url.scheme == "unix" else str(self.bound)

    @property
    def connections(self) -> int:
        """Open connections of its factory."""
        return len(self._factory.connections)

    def close(self) -> None:
        """Accept nobody more."""
        self._server.close()
        if self._entrance is not None:
            self._entrance.close()

    async def wait_closed(self) -> None:
        """Until the last connection is gone. A Unix socket's file goes with it."""
        await self._server.wait_closed()
        if self.url.scheme == "unix":
            Path(self.url.path).unlink(missing_ok=True)


async def listen(
    url: ListenUrl, factory: ProtocolFactory, arrivals: Arrivals | None = None, *, proxy_protocol: bool = False
) -> Listener:
    """Bind the address and accept. ``arrivals`` and ``proxy_protocol`` say who is let in, of those from the network.

    Raises:
        AddressTaken: it is in use, or not ours to bind.
    """
    loop = asyncio.get_running_loop()
    entrance = None
    if arrivals is not None and url.scheme != "unix":
        entrance = arrivals.before(factory, proxy_protocol=proxy_protocol)
    try:
        if url.scheme == "unix":
            server = await _listen_unix(loop, factory, Path(url.path))
        else:
            server = await loop.create_server(entrance or factory, url.host or None, url.port, backlog=BACKLOG)
            for sock in server.sockets:
                _keep_alive(sock)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise AddressTaken(
            f"cannot listen on {url}: {reason}",
            hint="another --listen address, or 'hardpoint doctor' for who has it",
        ) from error
    return Listener(url, server, factory, entrance)


def _keep_alive(sock: socket.socket) -> None:
    """Have the kernel ask a silent peer whether it is there, so that a device that lost its power does not stay
    connected for ever: after `KEEP_ALIVE_IDLE_S`, then every `KEEP_ALIVE_GAP_S`, `KEEP_ALIVE_TRIES` times. Accepted
    sockets inherit it from the listening one.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEP_ALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEP_ALIVE_GAP_S),
        ("TCP_KEEPCNT", KEEP_ALIVE_TRIES),
    ):
        if hasattr(socket, name):  # macOS calls the first one differently; its default is two hours
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _listen_unix(loop: asyncio.AbstractEventLoop, factory: ProtocolFactory, path: Path) -> asyncio.AbstractServer:
    """Whoever may open the file is the administrator, so nobody but its owner may from the first moment on."""
    if path.is_socket():  # left by a server that was killed; anything else there is not ours to remove
        path.unlink()
    before = os.umask(0o177)
    try:
        return await loop.create_unix_server(factory, path, backlog=BACKLOG)
    finally:
        os.umask(before)
