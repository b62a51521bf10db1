"""The other end of a TLS connection, in memory, and a protocol that notes what it is told."""

from __future__ import annotations

import asyncio
import ssl


class Client:
    """A TLS client of a server whose lower transport is a `MemoryTransport`, moved on by the test."""

    def __init__(self, context: ssl.SSLContext, server_name: str | None = "localhost") -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self.received = b""
        self.ended = False

    def hello(self) -> bytes:
        """The first flight."""
        try:
            self.ssl.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self._outgoing.read()

    def take(self, data: bytes) -> bytes:
        """Read what the server has sent; returns what is to be sent to it."""
        self._incoming.write(data)
        try:
            self.ssl.do_handshake()
            while not self.ended:
                piece = self.ssl.read(65536)
                self.received += piece
                self.ended = not piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:  # both ends have said goodbye
            self.ended = True
        return self._outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        view = memoryview(data)
        while view:
            view = view[self.ssl.write(view) :]
        return self._outgoing.read()

    def goodbye(self) -> bytes:
        """A close_notify."""
        try:
            self.ssl.unwrap()
        except ssl.SSLError:
            pass
        return self._outgoing.read()


class Noting(asyncio.Protocol):
    """A protocol that keeps what it is told, and stays after the end of the stream if it is to."""

    def __init__(self, stays: bool = False) -> None:
        self.stays = stays
        self.received = b""
        self.events: list[object] = []

    def connection_made(self, transport):
        self.transport = transport
        self.events.append("made")

    def data_received(self, data):
        self.received += data

    def eof_received(self):
        self.events.append("eof")
        return self.stays

    def pause_writing(self):
        self.events.append("pause")

    def resume_writing(self):
        self.events.append("resume")

    def connection_lost(self, exc):
        self.events.append(exc if exc is None else type(exc))
