"""Datagrams: UDP and Unix datagram sockets.

The same two kernel buffers as a stream's, but of messages: a read takes one whole datagram, a write takes one or
nothing, and what does not fit waits here. The network may lose datagrams, so an error ends nothing: it is told to
``protocol.error_received``, and the next datagram is sent and received as if nothing had happened.
"""

from __future__ import annotations

import asyncio
import socket
import warnings
from collections import deque
from typing import TYPE_CHECKING, Any

from .counters import Counters
from .endpoint import Endpoint, logger
from .pollers import READ, WRITE
from .stdlib import LOST_WRITES_BEFORE_WARNING, FlowControlled, set_result_unless_cancelled, transport_socket

if TYPE_CHECKING:
    from .core import Turn

MAX_DATAGRAM_BYTES = 64 * 1024
"""The length of a UDP datagram is a 16-bit number. A longer one, which Unix sockets know, is cut by the kernel."""
HEADER_BYTES = 8
"""UDP's header. It counts towards the water marks, or a million empty datagrams would wait unnoticed."""
HIGH_WATER_BYTES = 64 * 1024


class DatagramTransport(Endpoint, FlowControlled, asyncio.DatagramTransport):
    """One datagram socket. One datagram is received a turn, so that a flood cannot keep the others waiting."""

    _kind = "datagram transport"
    _sock: Any

    def __init__(
        self,
        loop: Turn,
        sock: socket.socket,
        protocol: Any,
        address: Any = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        """Take over a non-blocking socket. ``address`` is the only peer it may be used with; None means any.

        `start` must follow.
        """
        self._loop = loop
        self._protocol_paused = False
        self._sock = sock
        self._fd = sock.fileno()
        self._protocol = protocol
        self._address = address
        self._interest = 0
        self._closing = False
        self._lost = 0  # 1 when the end is under way, and then one more for every datagram that went nowhere
        self._backlog: deque[tuple[bytes, Any]] = deque()
        self._backlog_bytes = 0
        self.set_write_buffer_limits(HIGH_WATER_BYTES)
        self._counters = Counters()
        self._extra = {
            "socket": transport_socket(sock),
            "sockname": _name(sock.getsockname),
            "peername": _name(sock.getpeername),
            "counters": self._counters,
            **(extra or {}),
        }
        self._connected = self._extra["peername"] is not None
        loop.watch(self._fd, self)

    def start(self, waiter: asyncio.Future[None] | None = None) -> None:
        """Tell the protocol, then begin to receive. ``waiter`` is resolved after that."""
        self._call(self._protocol.connection_made, self)
        if not self._closing:
            self._set_interest(READ)
        if waiter is not None:
            set_result_unless_cancelled(waiter, None)

    @property
    def counters(self) -> Counters:
        """This socket's figures: datagrams are its reads and writes."""
        return self._counters

    # Receiving -----------------------------------------------------------------------------------------------------

    def on_readable(self) -> None:
        """A datagram waits, or an error such as "port unreachable" that answers an earlier one of ours."""
        if self._closing:
            return
        try:
            data, address = self._sock.recvfrom(MAX_DATAGRAM_BYTES)
        except (BlockingIOError, InterruptedError):
            self._counters.empty += 1  # the kernel drops a datagram with a wrong checksum only when it is read
            return
        except OSError as exc:
            self._call(self._protocol.error_received, exc)
            return
        self._counters.not_empty += 1
        self._counters.bytes_in += len(data)
        self._call(self._protocol.datagram_received, data, address)

    # Sending -------------------------------------------------------------------------------------------------------

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Send one datagram now if the kernel takes it, else when there is room; ``data`` may be empty.

        Raises:
            TypeError: not bytes-like.
            ValueError: another address than the one the endpoint was made for.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if self._address is not None:
            if addr not in (None, self._address):
                raise ValueError(f"Invalid address: must be None or {self._address}")
            addr = self._address
        if self._lost:
            if self._lost >= LOST_WRITES_BEFORE_WARNING:
                logger.warning("socket.send() raised exception.")
            self._lost += 1
            return
        if not self._backlog:
            self._counters.writes += 1
            if self._send(data, addr):
                return
            self._counters.full += 1
            self._set_interest(self._interest | WRITE)
        self._backlog.append((bytes(data), addr))  # a copy: the caller may change its buffer when we return
        self._backlog_bytes += len(data) + HEADER_BYTES
        self._maybe_pause_protocol()

    def _send(self, data: bytes | bytearray | memoryview, addr: Any) -> bool:
        """Whether the datagram is dealt with; False when the kernel has no room for it."""
        try:
            self._counters.bytes_out += self._sock.send(data) if self._connected else self._sock.sendto(data, addr)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as exc:
            self._call(self._protocol.error_received, exc)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:  # noqa: BLE001 - an address of a wrong shape or type
            self._fatal_error(exc, "Fatal write error on datagram transport")
        return True

    def on_writable(self) -> None:
        """The kernel has room again. What it takes at once is bounded by its own buffer."""
        if not self._backlog:
            return
        self._counters.not_full += 1
        while self._backlog:
            data, addr = self._backlog[0]
            if not self._send(data, addr):
                break
            if self._lost:  # by what the protocol did about an error
                return
            self._backlog.popleft()
            self._backlog_bytes -= len(data) + HEADER_BYTES
        self._maybe_resume_protocol()
        if not self._backlog:
            self._set_interest(self._interest & ~WRITE)
            if self._closing and not self._lost:
                self._lost = 1
                self._finish(None)

    def get_write_buffer_size(self) -> int:
        """Bytes that wait for the kernel to have room, headers included."""
        return self._backlog_bytes

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """``(low, high)`` in bytes."""
        return self._low_water, self._high_water

    # The end -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Receive no more, send what waits, then close. ``connection_lost`` follows in a later turn."""
        if self._closing:
            return
        self._closing = True
        self._set_interest(self._interest & ~READ)
        if not self._backlog:
            self._lost = 1
            self._loop.call_soon(self._finish, None)

    def abort(self) -> None:
        """Close now; what waits is dropped."""
        self._force_close(None)

    def _force_close(self, exc: BaseException | None) -> None:
        if self._lost:
            return
        self._lost = 1
        self._closing = True
        self._backlog.clear()
        self._backlog_bytes = 0
        self._set_interest(0)
        self._loop.call_soon(self._finish, exc)

    def _finish(self, exc: BaseException | None) -> None:
        """Tell the protocol and let go of everything. Once, as the last thing."""
        self._call(self._protocol.connection_lost, exc)
        self._set_interest(0)
        self._loop.unwatch(self._fd, self)
        self._loop.retire(self._counters)
        self._sock.close()
        self._sock = self._protocol = None

    def __del__(self) -> None:
        sock = getattr(self, "_sock", None)  # absent when __init__ raised
        if sock is not None:
            warnings.warn(f"unclosed transport {self!r}", ResourceWarning, stacklevel=2, source=self)
            sock.close()

    def __repr__(self) -> str:
        state = "closed" if self._sock is None else "closing" if self._closing else "open"
        return f"<{type(self).__name__} fd={self._fd} {state} bufsize={self._backlog_bytes}>"


def _name(ask: Any) -> Any:
    """The socket's own or its peer's address; None when it has none, or on a platform that cannot say."""
    try:
        return ask()
    except OSError:
        return None
