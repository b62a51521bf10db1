"""A stream connection: two kernel buffers and the four events they have.

*Not empty*: `on_readable` reads once, at most `MAX_READ_BYTES`, and calls ``protocol.data_received``. *Empty*: that
read took all there was; the connection sleeps until the poller reports it again. *Full*: the kernel took less than
`write` offered; the rest waits in the backlog, and above the high-water mark ``protocol.pause_writing`` is called.
*Not full*: `on_writable` sends what waits; at the low-water mark ``protocol.resume_writing`` is called.

The protocol is called directly, not through a `Handle`, inside the poll's dispatch: in the context its connection or
server was made in when that differs from the loop's own (`core.InContext`), else in the loop's own.
"""
# ruff: noqa: BLE001 - a protocol may raise anything; it ends its connection and is reported, and the turn goes on

from __future__ import annotations

import asyncio
import socket
import warnings
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from .counters import Counters
from .endpoint import Endpoint, logger
from .pollers import READ, WRITE
from .sendfile import FileSending
from .stdlib import (
    LOST_WRITES_BEFORE_WARNING,
    SENDFILE_NATIVE,
    FlowControlled,
    attach,
    detach,
    set_result_unless_cancelled,
    transport_socket,
)

if TYPE_CHECKING:
    from .core import Turn

MAX_READ_BYTES = 64 * 1024
"""One read. asyncio asks for 256 KiB, which is above malloc's mmap threshold: every read then maps and unmaps memory,
and a 64-byte round trip on a socket pair takes 27 µs instead of 6."""
HIGH_WATER_BYTES = 64 * 1024
LOW_WATER_BYTES = HIGH_WATER_BYTES // 4
"""asyncio's defaults. Constants, because ``high // 4`` would make an int object for every connection."""
MAX_BUFFERS_A_SEND = 64
"""``sendmsg`` takes up to 1,024; 64 typical lines fill a segment, and 64 large pieces the socket's buffer."""

# What a readiness to read means. One comparison on the hot path stands for: open, not paused, which kind of protocol.
_IDLE = 0
_DATA_RECEIVED = 1
_GET_BUFFER = 2


class SocketTransport(Endpoint, FlowControlled):
    """A TCP or Unix stream connection.

    About 300 bytes with its descriptor and without the socket: an attached device that says nothing costs memory only,
    so there is no dictionary, no buffer and no bound method until one is needed.
    """

    __slots__ = (
        "__dict__",  # made when somebody sets an attribute, as tests of libraries do; up to 32 bytes until then
        "__weakref__",
        "_backlog",
        "_backlog_bytes",
        "_blocked",
        "_bytes_in",
        "_bytes_out",
        "_closing",
        "_eof_read",
        "_eof_written",
        "_fd",
        "_filled",
        "_full",
        "_interest",
        "_lost",
        "_mode",
        "_not_full",
        "_paused",
        "_protocol",
        "_reads",
        "_server",
        "_sock",
        "_writes",
    )

    _start_tls_compatible = True
    _sendfile_compatible = SENDFILE_NATIVE
    _kind = "socket transport"

    _loop: Turn
    _protocol: Any
    _sock: Any

    def __init__(
        self, loop: Turn, sock: socket.socket, protocol: Any, server: Any = None, extra: dict[str, Any] | None = None
    ) -> None:
        """Take over a connected, non-blocking socket. `start` must follow.

        ``super().__init__`` is not called: it would make a dictionary and an integer for every connection.
        """
        self._extra = extra
        self._loop = loop
        self._protocol_paused = False
        self._high_water = HIGH_WATER_BYTES
        self._low_water = LOW_WATER_BYTES
        self._sock = sock
        self._fd = sock.fileno()
        self._protocol = protocol
        self._server = server
        self._mode = _IDLE
        self._interest = 0
        self._paused = False
        self._eof_read = False
        self._closing = False
        self._lost = 0  # since when the connection is gone: 1, and then one more for every write that went nowhere
        self._blocked = False  # write() must not go to the kernel: something waits, or nothing may follow
        self._eof_written = False
        self._backlog: deque[bytes | memoryview] | None = None
        self._backlog_bytes = 0
        self._reads = self._filled = self._writes = self._full = self._not_full = 0
        self._bytes_in = self._bytes_out = 0
        if sock.family != socket.AF_UNIX:
            # A reply must not wait for the acknowledgement of the one before it.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop.watch(self._fd, self)
        if server is not None:
            attach(server, self)

    def start(self, waiter: asyncio.Future[None] | None = None) -> None:
        """Tell the protocol, then begin to read. ``waiter`` is resolved after that."""
        try:
            self._protocol.connection_made(self)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._report(exc, "protocol.connection_made() failed")
        self._update_reading()
        if waiter is not None:
            set_result_unless_cancelled(waiter, None)

    # Not empty, empty ----------------------------------------------------------------------------------------------

    def on_readable(self) -> None:
        """The kernel's receive buffer is not empty, or the peer has ended or reset the connection."""
        if self._mode != _DATA_RECEIVED:
            if self._mode == _GET_BUFFER:
                self._read_into_buffer()
            return
        try:
            data = self._sock.recv(MAX_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as exc:
            self._fatal_error(exc, "Fatal read error on socket transport")
            return
        if not data:
            self._end_of_file()
            return
        count = len(data)
        self._reads += 1
        self._bytes_in += count
        if count == MAX_READ_BYTES:
            self._filled += 1
        try:
            self._protocol.data_received(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error: protocol.data_received() call failed.")

    def _read_into_buffer(self) -> None:
        """`on_readable` for an `asyncio.BufferedProtocol`."""
        try:
            buffer = self._protocol.get_buffer(-1)
            room = len(buffer)
            if not room:
                raise RuntimeError("get_buffer() returned an empty buffer")
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error: protocol.get_buffer() call failed.")
            return
        try:
            count = self._sock.recv_into(buffer)
        except (BlockingIOError, InterruptedError):
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal read error on socket transport")
            return
        if not count:
            self._end_of_file()
            return
        self._reads += 1
        self._bytes_in += count
        if count == room:
            self._filled += 1
        try:
            self._protocol.buffer_updated(count)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error: protocol.buffer_updated() call failed.")

    def _end_of_file(self) -> None:
        """The peer will send no more. The protocol decides whether we may still: true keeps the other half open."""
        self._eof_read = True
        self._update_reading()
        try:
            keep_open = self._protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error: protocol.eof_received() call failed.")
            return
        if not keep_open:
            self.close()

    def pause_reading(self) -> None:
        """Call ``data_received`` no more until `resume_reading`, not even for an event that was polled already."""
        if not self._closing and not self._paused:
            self._paused = True
            self._update_reading()

    def resume_reading(self) -> None:
        """Go on reading. What arrived in between is reported by the next poll: events are level-triggered."""
        if not self._closing and self._paused:
            self._paused = False
            self._update_reading()

    def is_reading(self) -> bool:
        """Neither paused nor closing."""
        return not self._closing and not self._paused

    def _update_reading(self) -> None:
        """Bring the read mode and the poller in line with the state."""
        if self._closing or self._paused or self._eof_read:
            self._mode = _IDLE
            self._set_interest(self._interest & ~READ)
        else:
            buffered = isinstance(self._protocol, asyncio.BufferedProtocol)
            self._mode = _GET_BUFFER if buffered else _DATA_RECEIVED
            self._set_interest(self._interest | READ)

    # Full, not full ------------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send now what the kernel takes; keep the rest and send it when there is room.

        Raises:
            TypeError: not bytes-like.
            RuntimeError: after `write_eof`.
        """
        if self._blocked:
            self._write_blocked(data)
            return
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except TypeError:
            raise TypeError(_NOT_BYTES % type(data).__name__) from None
        except OSError as exc:
            self._fatal_error(exc, "Fatal write error on socket transport")
            return
        self._writes += 1
        self._bytes_out += sent
        if sent != len(data):
            self._keep(data, sent)

    def _write_blocked(self, data: bytes | bytearray | memoryview) -> None:
        """`write` when the kernel must not be asked."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(_NOT_BYTES % type(data).__name__)
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if isinstance(self._protocol, FileSending):
            raise RuntimeError("unable to write; sendfile is in progress")  # noqa: TRY004 - the state, not the type
        if not self._lost:
            self._keep(data, 0)
        elif data:
            if self._lost >= LOST_WRITES_BEFORE_WARNING:
                logger.warning("socket.send() raised exception.")
            self._lost += 1

    def _keep(self, data: bytes | bytearray | memoryview, sent: int) -> None:
        """Put what is left of ``data`` after ``sent`` bytes in the backlog, and ask to be told when there is room."""
        if type(data) is bytes:
            rest: bytes | memoryview = memoryview(data)[sent:] if sent else data
        else:
            rest = bytes(memoryview(data).cast("B")[sent:])  # a copy: the caller may change its buffer when we return
        if not rest:
            return
        if self._backlog is None:
            self._full += 1
            self._backlog = deque()
            self._blocked = True
            self._set_interest(self._interest | WRITE)
        self._backlog.append(rest)
        self._backlog_bytes += len(rest)
        self._maybe_pause_protocol()

    def on_writable(self) -> None:
        """The kernel's send buffer is not full any more, or the peer has reset the connection."""
        backlog = self._backlog
        if backlog is None:
            return
        try:
            if len(backlog) == 1:
                sent = self._sock.send(backlog[0])
            else:
                sent = self._sock.sendmsg(islice(backlog, MAX_BUFFERS_A_SEND))
        except (BlockingIOError, InterruptedError):
            return
        except OSError as exc:
            self._fatal_error(exc, "Fatal write error on socket transport")
            return
        self._not_full += 1
        self._bytes_out += sent
        self._backlog_bytes -= sent
        while backlog and sent >= len(backlog[0]):
            sent -= len(backlog.popleft())
        if backlog:
            if sent:
                backlog[0] = memoryview(backlog[0])[sent:]
        else:
            # Before resume_writing, so that what it writes goes to the kernel at once.
            self._backlog = None
            self._blocked = self._eof_written or self._closing
            self._set_interest(self._interest & ~WRITE)
        self._maybe_resume_protocol()
        if self._backlog is None:
            self._end_of_backlog()

    def _end_of_backlog(self) -> None:
        """Everything is with the kernel: do what `close` or `write_eof` had to put off."""
        if self._lost:
            return
        if self._closing:
            self._lost = 1
            self._finish(None)
        elif self._eof_written:
            self._shut_down_writing()

    def can_write_eof(self) -> bool:
        """Always, on a plain stream."""
        return True

    def write_eof(self) -> None:
        """End our half once everything written is out."""
        if self._closing or self._eof_written:
            return
        self._eof_written = True
        self._blocked = True
        if self._backlog is None:
            self._shut_down_writing()

    def _shut_down_writing(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as exc:  # the peer has reset the connection
            self._fatal_error(exc, "Fatal error on shutdown of socket transport")

    def get_write_buffer_size(self) -> int:
        """Bytes that wait for the kernel to have room."""
        return self._backlog_bytes

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """``(low, high)`` in bytes."""
        return self._low_water, self._high_water

    # The end -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Read no more, send what waits, then close. ``connection_lost`` follows in a later turn."""
        if self._closing:
            return
        self._closing = True
        self._update_reading()
        if self._backlog is None:
            self._lost = 1
            self._blocked = True
            self._loop.call_soon(self._finish, None)

    def abort(self) -> None:
        """Close now; what waits is dropped."""
        self._force_close(None)

    def _force_close(self, exc: BaseException | None) -> None:
        if self._lost:
            return
        self._lost = 1
        self._closing = True
        self._blocked = True
        self._backlog = None
        self._backlog_bytes = 0
        self._mode = _IDLE
        self._set_interest(0)
        self._loop.call_soon(self._finish, exc)

    def _finish(self, exc: BaseException | None) -> None:
        """Tell the protocol and let go of everything. Once, as the last thing."""
        loop, sock, server = self._loop, self._sock, self._server
        try:
            self._protocol.connection_lost(exc)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._report(error, "protocol.connection_lost() failed")
        finally:
            self._set_interest(0)
            loop.unwatch(self._fd, self)
            loop.retire(self.counters)
            known = {name: self.get_extra_info(name) for name in ("sockname", "peername")}
            self._extra = {**(self._extra or {}), **known}
            sock.close()
            self._sock = self._protocol = self._server = None
            if server is not None:
                detach(server, self)

    def __del__(self) -> None:
        sock = getattr(self, "_sock", None)  # absent when __init__ raised
        if sock is not None:
            warnings.warn(f"unclosed transport {self!r}", ResourceWarning, stacklevel=2, source=self)
            sock.close()

    # About it ------------------------------------------------------------------------------------------------------

    @property
    def counters(self) -> Counters:
        """This connection's figures."""
        return Counters(
            not_empty=self._reads,
            empty=self._reads - self._filled,
            full=self._full,
            not_full=self._not_full,
            writes=self._writes,
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
        )

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Whom to call from now on; its ``connection_made`` is not called."""
        self._protocol = protocol
        if self._mode != _IDLE:
            self._update_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``socket``, ``sockname``, ``peername``, ``counters``, and what ``extra`` brought.

        The names are asked of the kernel when somebody wants them, or at the connection's end, which keeps 200 bytes a
        connection; after a reset the kernel no longer knows the peer's, and the default is returned.
        """
        if self._extra is not None and name in self._extra:
            return default if self._extra[name] is None else self._extra[name]
        sock = self._sock
        if sock is not None:
            try:
                if name == "peername":
                    return sock.getpeername()
                if name == "sockname":
                    return sock.getsockname()
            except OSError:
                return default
            if name == "socket":
                self._extra = {**(self._extra or {}), "socket": transport_socket(sock)}  # the same one each time
                return self._extra[name]
        return self.counters if name == "counters" else default

    def __repr__(self) -> str:
        state = "closed" if self._sock is None else "closing" if self._closing else "open"
        reading = "paused" if self._paused else "idle" if self._mode == _IDLE else "polling"
        return (
            f"<{type(self).__name__} fd={self._fd} {state} read={reading} "
            f"write=<{'polling' if self._interest & WRITE else 'idle'}, bufsize={self._backlog_bytes}>>"
        )


_NOT_BYTES = "data argument must be a bytes-like object, not %r"
