"""Waking a loop that sleeps in its poll: from another thread, or from a signal."""

from __future__ import annotations

import socket
from collections.abc import Callable

DRAIN_BYTES = 4096


class Wakeup:
    """A pair of sockets: what is written to one makes the other readable, which ends the poll.

    Not an eventfd, because `signal.set_wakeup_fd` writes single bytes that name the signal.
    """

    __slots__ = ("_on_bytes", "_pending", "_reader", "_writer")

    def __init__(self, on_bytes: Callable[[bytes], None]) -> None:
        """``on_bytes`` is called on the loop's thread with what was written: signal numbers, and zeros from `wake`."""
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._on_bytes = on_bytes
        self._pending = False

    @property
    def read_fd(self) -> int:
        """The descriptor to poll."""
        return self._reader.fileno()

    @property
    def write_fd(self) -> int:
        """The descriptor for `signal.set_wakeup_fd`."""
        return self._writer.fileno()

    def wake(self) -> None:
        """End the poll. From any thread; also during and after `close`, when it does nothing.

        The caller has put its work into the ready queue before. So while a byte is under way, a second one is not
        needed: `on_readable` clears the mark before the queue is worked off.
        """
        if self._pending:
            return
        self._pending = True
        try:
            self._writer.send(b"\0")
        except OSError:
            # Full: the loop will wake from what is in there. Closed: there is nobody to wake.
            pass

    def on_readable(self) -> None:
        """Empty the pair and pass on what names a signal."""
        self._pending = False
        try:
            data = self._reader.recv(DRAIN_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        if data.strip(b"\0"):
            self._on_bytes(data)

    def on_writable(self) -> None:
        """Never asked for; an error on the pair shows in `on_readable`."""

    def close(self) -> None:
        """Release both descriptors."""
        self._reader.close()
        self._writer.close()
