"""Ours, on select, poll and epoll: the same loop, transport and protocol, so only the kernel's interface differs."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from ..loop import Loop

if TYPE_CHECKING:
    from .service import Service


class LineProtocol(asyncio.Protocol):
    """One connection."""

    __slots__ = ("_service", "_transport")

    _transport: asyncio.Transport

    def __init__(self, service: Service) -> None:
        self._service = service

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The service counts the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._service.served += 1

    def data_received(self, data: bytes) -> None:
        """The kernel's receive buffer was not empty."""
        self._transport.write(self._service.answer(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """The end. An `OSError` that is not the peer's doing is the poller's: it would not watch the descriptor."""
        if isinstance(exc, OSError) and not isinstance(exc, ConnectionError):
            self._service.served -= 1
            self._service.refuse(str(exc))

    def pause_writing(self) -> None:
        """The kernel's send buffer is full: read no more of a peer that does not read."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It is not full any more."""
        self._transport.resume_reading()


def serve_epoll(listener: socket.socket, service: Service) -> None:
    """On epoll."""
    serve("epoll", listener, service)


def serve_poll(listener: socket.socket, service: Service) -> None:
    """On poll."""
    serve("poll", listener, service)


def serve_select(listener: socket.socket, service: Service) -> None:
    """On select, which refuses a descriptor of 1,024 or more."""
    serve("select", listener, service)


def serve(poller: str, listener: socket.socket, service: Service) -> None:
    """Run our loop on that poller, for ever."""

    def report(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        service.refuse(str(context.get("exception") or context["message"]))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(report)
        server = await loop.create_server(lambda: LineProtocol(service), sock=listener)
        await server.serve_forever()

    with asyncio.Runner(loop_factory=lambda: Loop(poller=poller)) as runner:
        runner.run(main())
