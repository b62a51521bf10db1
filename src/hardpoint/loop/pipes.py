"""Pipes, FIFOs, terminals and other character devices: ``connect_read_pipe`` and ``connect_write_pipe``.

A pipe has one direction, so each end is a transport of its own. Linux tells a writer that nobody reads any more by an
error on the descriptor; that is watched for all the time, since a process that has ended must be noticed by whoever has
nothing to write to it. A terminal (PTY) reports EIO when its other side is closed, which is its end of file.
"""

from __future__ import annotations

import asyncio
import os
import stat
import warnings
from typing import TYPE_CHECKING, Any

from .counters import Counters
from .endpoint import Endpoint, logger
from .pollers import READ, WRITE
from .stdlib import LOST_WRITES_BEFORE_WARNING, FlowControlled, set_result_unless_cancelled

if TYPE_CHECKING:
    from .core import Turn

MAX_READ_BYTES = 64 * 1024
"""What a pipe of Linux holds."""
HIGH_WATER_BYTES = 64 * 1024


class Pipe(Endpoint):
    """What both ends share."""

    _kind = "pipe transport"
    _pipe: Any
    _lost: int
    _counters: Counters

    def start(self, waiter: asyncio.Future[None] | None = None) -> None:
        """Tell the protocol, then begin to watch. ``waiter`` is resolved after that."""
        self._call(self._protocol.connection_made, self)
        if not self._closing:
            self._set_interest(self._watched_for())
        if waiter is not None:
            set_result_unless_cancelled(waiter, None)

    def _watched_for(self) -> int:
        """The interest of a pipe at rest."""
        raise NotImplementedError

    @property
    def counters(self) -> Counters:
        """This pipe's figures."""
        return self._counters

    def _finish(self, exc: BaseException | None) -> None:
        """Tell the protocol and let go of everything. Once, as the last thing."""
        self._call(self._protocol.connection_lost, exc)
        self._set_interest(0)
        self._loop.unwatch(self._fd, self)  # type: ignore[arg-type]  # both ends are watchers
        self._pipe.close()
        self._pipe = self._protocol = None

    def __del__(self) -> None:
        pipe = getattr(self, "_pipe", None)  # absent when __init__ raised
        if pipe is not None:
            warnings.warn(f"unclosed transport {self!r}", ResourceWarning, stacklevel=2, source=self)
            pipe.close()

    def __repr__(self) -> str:
        state = "closed" if self._pipe is None else "closing" if self._closing else "open"
        return f"<{type(self).__name__} fd={self._fd} {state}>"


class ReadPipeTransport(Pipe, asyncio.ReadTransport):
    """The reading end: one read a turn."""

    def __init__(self, loop: Turn, pipe: Any, protocol: Any, extra: dict[str, Any] | None = None) -> None:
        """Take over an open file, which is made non-blocking. `start` must follow.

        Raises:
            ValueError: neither a pipe nor a socket nor a character device; it could not be polled.
        """
        fd: int = pipe.fileno()
        _pollable_kind(fd, "Pipe transport is for pipes/sockets only.")
        self._counters = Counters()
        self._extra = {"pipe": pipe, "counters": self._counters, **(extra or {})}
        self._loop = loop
        self._fd = fd
        self._protocol = protocol
        self._interest = 0
        self._closing = self._paused = False
        self._lost = 0
        os.set_blocking(fd, False)
        loop.watch(fd, self)
        self._pipe = pipe

    def _watched_for(self) -> int:
        return 0 if self._paused else READ

    def on_readable(self) -> None:
        """There are bytes, or nobody writes any more."""
        if self._paused or self._closing:
            return
        try:
            data = os.read(self._fd, MAX_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as exc:  # EIO: the other side of a terminal is closed
            self._fatal_error(exc, "Fatal read error on pipe transport")
            return
        if data:
            self._counters.not_empty += 1
            self._counters.empty += len(data) != MAX_READ_BYTES
            self._counters.bytes_in += len(data)
            self._call(self._protocol.data_received, data)
            return
        self._closing = True
        self._set_interest(0)
        self._lost = 1
        self._loop.call_soon(self._end_of_file)

    def on_writable(self) -> None:
        """Never asked for; an error shows in the read."""

    def _end_of_file(self) -> None:
        self._call(self._protocol.eof_received)
        self._loop.call_soon(self._finish, None)

    def pause_reading(self) -> None:
        """Call ``data_received`` no more until `resume_reading`."""
        if not self._closing and not self._paused:
            self._paused = True
            self._set_interest(0)

    def resume_reading(self) -> None:
        """Go on reading. What arrived in between is reported by the next poll."""
        if not self._closing and self._paused:
            self._paused = False
            self._set_interest(READ)

    def is_reading(self) -> bool:
        """Neither paused nor closing."""
        return not self._closing and not self._paused

    def close(self) -> None:
        """Read no more, then close. ``connection_lost`` follows in a later turn."""
        self._force_close(None)

    def _force_close(self, exc: BaseException | None) -> None:
        if self._lost:
            return
        self._lost = 1
        self._closing = True
        self._set_interest(0)
        self._loop.call_soon(self._finish, exc)


class WritePipeTransport(Pipe, FlowControlled, asyncio.WriteTransport):
    """The writing end, with the water marks of every writer."""

    def __init__(self, loop: Turn, pipe: Any, protocol: Any, extra: dict[str, Any] | None = None) -> None:
        """Take over an open file, which is made non-blocking. `start` must follow.

        Raises:
            ValueError: neither a pipe nor a socket nor a character device; it could not be polled.
        """
        fd: int = pipe.fileno()
        mode = _pollable_kind(fd, "Pipe transport is only for pipes, sockets and character devices")
        self._counters = Counters()
        self._extra = {"pipe": pipe, "counters": self._counters, **(extra or {})}
        self._loop = loop
        self._fd = fd
        self._protocol = protocol
        self._interest = 0
        self._closing = False
        self._lost = 0  # 1 when the end is under way, and then one more for every write that went nowhere
        self._backlog = bytearray()
        # A character device that is readable says something of its own: a terminal's keys.
        self._tells_of_its_reader = not stat.S_ISCHR(mode)
        self._protocol_paused = False
        self.set_write_buffer_limits(HIGH_WATER_BYTES)
        os.set_blocking(fd, False)
        loop.watch(fd, self)
        self._pipe = pipe

    def _watched_for(self) -> int:
        return READ if self._tells_of_its_reader else 0

    def on_readable(self) -> None:
        """Nobody reads any more."""
        if not self._interest & READ:
            return  # an event about whom the descriptor's number stood for a moment ago
        self._force_close(BrokenPipeError() if self._backlog else None)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write now what the pipe takes; keep the rest and write it when there is room.

        Raises:
            TypeError: not bytes-like.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if not data:
            return
        if self._lost or self._closing:
            if self._lost >= LOST_WRITES_BEFORE_WARNING:
                logger.warning("pipe closed by peer or os.write(pipe, data) raised exception.")
            self._lost += 1
            return
        view = memoryview(data).cast("B")
        if not self._backlog:
            sent = self._send(view)
            if sent is None:
                return
            self._counters.writes += 1
            view = view[sent:]
            if not view:
                return
            self._counters.full += 1
            self._set_interest(self._interest | WRITE)
        self._backlog += view
        self._maybe_pause_protocol()

    def _send(self, data: memoryview | bytearray) -> int | None:
        """How many bytes the pipe took; None when it has failed and is being closed."""
        try:
            sent = os.write(self._fd, data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as exc:
            self._fatal_error(exc, "Fatal write error on pipe transport")
            return None
        self._counters.bytes_out += sent
        return sent

    def on_writable(self) -> None:
        """There is room again, or an error to meet."""
        if not self._backlog:
            return
        sent = self._send(self._backlog)
        if not sent:
            return
        self._counters.not_full += 1
        del self._backlog[:sent]
        if not self._backlog:
            self._set_interest(self._interest & ~WRITE)
        self._maybe_resume_protocol()
        if not self._backlog and self._closing and not self._lost:
            self._lost = 1
            self._finish(None)

    def get_write_buffer_size(self) -> int:
        """Bytes that wait for the pipe to have room."""
        return len(self._backlog)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """``(low, high)`` in bytes."""
        return self._low_water, self._high_water

    def can_write_eof(self) -> bool:
        """Always: it is `close`."""
        return True

    def write_eof(self) -> None:
        """The same as `close`: a pipe has one direction."""
        self.close()

    def close(self) -> None:
        """Write what waits, then close. ``connection_lost`` follows in a later turn."""
        if self._closing:
            return
        self._closing = True
        if not self._backlog:
            self._lost = 1
            self._set_interest(0)
            self._loop.call_soon(self._finish, None)

    def abort(self) -> None:
        """Close now; what waits is dropped."""
        self._force_close(None)

    def _force_close(self, exc: BaseException | None) -> None:
        if self._lost and self._closing:
            return
        self._lost = 1
        self._closing = True
        self._backlog.clear()
        self._set_interest(0)
        self._loop.call_soon(self._finish, exc)


def _pollable_kind(fd: int, otherwise: str) -> int:
    """The file's mode.

    Raises:
        ValueError: ``otherwise``, when no poller takes such a file.
    """
    mode = os.fstat(fd).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)):
        raise ValueError(otherwise)
    return mode
