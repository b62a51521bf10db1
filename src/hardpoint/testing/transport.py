"""A transport without a socket: what a protocol writes is kept, what it is to read is handed to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, cast

HIGH_WATER_BYTES = 64 * 1024
"""asyncio's own default: beyond it a protocol is told to pause."""


class MemoryTransport(asyncio.Transport):
    r"""Both ends of a connection in memory, for one `asyncio.Protocol`. Made and used inside a running loop.

    ::

        transport = MemoryTransport(protocol)         # connection_made is called
        transport.feed(b"PING\n")                     # data_received
        assert transport.take() == b"PONG\n"
        transport.lose(ConnectionResetError())        # connection_lost

    The peer reads at once whatever is written, unless `stop_taking` made it deaf: then bytes pile up, and the
    protocol meets ``pause_writing`` and ``resume_writing`` as on a real connection.
    """

    def __init__(
        self,
        protocol: asyncio.Protocol,
        *,
        peername: tuple[str, int] | None = ("192.0.2.1", 50000),
        **extra: object,
    ) -> None:
        """Connects. ``peername`` and ``extra`` are what `get_extra_info` finds."""
        super().__init__({"peername": peername, **extra})
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._taken = bytearray()
        self._waiting = bytearray()
        self._taking = True
        self._high = HIGH_WATER_BYTES
        self._low = HIGH_WATER_BYTES // 4
        self._writing_paused = False
        self._lost = False
        self._closing = False
        self.reading_paused = False
        """Whether the protocol asked for no more bytes."""
        self.aborted = False
        self.wrote_eof = False
        self.writes = 0
        """How often `write` was called: answers that belong together should be one."""
        protocol.connection_made(self)

    # -- the peer's side

    def feed(self, data: bytes) -> None:
        """The peer sends.

        Raises:
            RuntimeError: the protocol has paused reading, or the connection is over. A socket would keep the bytes.
        """
        if self._lost or self.reading_paused:
            raise RuntimeError("nobody reads: the connection is over, or reading is paused")
        self._protocol.data_received(data)

    def feed_eof(self) -> None:
        """The peer sends no more. As asyncio does, closes if the protocol does not want to go on."""
        if not self._protocol.eof_received():
            self.close()

    def take(self) -> bytes:
        """What the peer has read since the last call."""
        taken = bytes(self._taken)
        self._taken.clear()
        return taken

    def stop_taking(self) -> None:
        """From now on the peer reads nothing."""
        self._taking = False

    def go_on_taking(self) -> None:
        """The peer reads again, everything at once."""
        self._taking = True
        self._taken += self._waiting
        self._waiting.clear()
        if self._writing_paused:
            self._writing_paused = False
            self._protocol.resume_writing()
        if self._closing:
            self._loop.call_soon(self.lose)

    def lose(self, exc: Exception | None = None) -> None:
        """The connection is over, from whichever side. Idempotent."""
        self._closing = True
        if not self._lost:
            self._lost = True
            self._waiting.clear()
            self._protocol.connection_lost(exc)

    @property
    def lost(self) -> bool:
        """Whether the protocol was told that the connection is over."""
        return self._lost

    # -- the protocol's side (asyncio.Transport)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes for the peer; behind a `close` they are lost, as on a socket."""
        self.writes += 1
        if self._closing:
            return
        if self._taking:
            self._taken += data
            return
        self._waiting += data
        if len(self._waiting) > self._high and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """As one write."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """Note that the protocol has ended its side."""
        self.wrote_eof = True

    def can_write_eof(self) -> bool:
        """As TCP can."""
        return True

    def get_write_buffer_size(self) -> int:
        """Bytes the peer has not read."""
        return len(self._waiting)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Low and high water mark."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As asyncio's: a quarter of ``high`` where ``low`` is not said."""
        self._high = HIGH_WATER_BYTES if high is None else high
        self._low = self._high // 4 if low is None else low

    def pause_reading(self) -> None:
        """`feed` is refused from now on."""
        self.reading_paused = True

    def resume_reading(self) -> None:
        """`feed` works again."""
        self.reading_paused = False

    def is_reading(self) -> bool:
        """Whether `feed` works."""
        return not (self.reading_paused or self._closing)

    def close(self) -> None:
        """``connection_lost`` follows on the next turn, or once a deaf peer has taken what is waiting."""
        if not self._closing:
            self._closing = True
            if not self._waiting:
                self._loop.call_soon(self.lose)

    def abort(self) -> None:
        """``connection_lost`` follows on the next turn, whatever is waiting."""
        self.aborted = self._closing = True
        self._loop.call_soon(self.lose)

    def is_closing(self) -> bool:
        """Whether either side has begun to end it."""
        return self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self._protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Whoever has it now."""
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``peername`` and whatever the constructor was given."""
        return super().get_extra_info(name, default)
