"""Giving a connection to another protocol (RFC 9110 §7.8): `Switch`, and what the server keeps of it afterwards."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from math import inf
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from .server import HttpServer

log = logging.getLogger("hardpoint.http")


class Switch:
    """The answer ``101 Switching Protocols``; `Response.switch` makes it.

    Once it is written, ``protocol.connection_made(transport)`` is called, and ``data_received`` with what the client
    has sent behind its request. The server still counts the connection and drains it: it calls the protocol's
    ``drain()`` where there is one, and closes the transport where there is none. Time-outs are the protocol's own.
    """

    __slots__ = ("headers", "protocol")

    def __init__(self, protocol: asyncio.Protocol, headers: Iterable[tuple[str, str]]) -> None:
        self.protocol = protocol
        self.headers = list(headers)


class SwitchedConnection(asyncio.Protocol):
    """The server's hold on a connection that it gave away.

    The transport calls the other protocol's own methods, which are kept here under their names; only the end of the
    connection takes a step more.
    """

    __slots__ = (
        "_on_close", "data_received", "deadline", "eof_received", "pause_writing", "protocol",
        "resume_writing", "server", "transport",
    )  # fmt: skip

    def __init__(
        self,
        server: HttpServer,
        transport: asyncio.Transport,
        protocol: asyncio.Protocol,
        on_close: list[Callable[[], None]],
    ) -> None:
        self.server = server
        self.transport = transport
        self.protocol = protocol
        self.deadline = inf
        """Never: the protocol has its own times."""
        self._on_close = on_close
        self.data_received = protocol.data_received  # type: ignore[method-assign]
        self.eof_received = protocol.eof_received  # type: ignore[method-assign]
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]

    def drain(self) -> None:
        """The server stops."""
        drain = cast("Callable[[], None] | None", getattr(self.protocol, "drain", None))
        if drain is None:
            self.transport.close()
        else:
            drain()

    def expire(self) -> None:
        """Nothing: the deadline never comes."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: both sides learn so."""
        self.server.disconnected(self)
        try:
            self.protocol.connection_lost(exc)
        finally:
            for callback in self._on_close:
                try:
                    callback()
                except Exception:
                    log.exception("a callback at the end of a connection failed")
