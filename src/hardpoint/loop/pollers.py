"""Readiness: which of many descriptors can be read or written now.

Four kernel interfaces behind one small interface. `select` copies the whole set in and looks at every descriptor up
to the greatest, `poll` copies and looks at every descriptor it was given: both cost O(watched) a call. `epoll` keeps
the set in the kernel and hands back only what is ready: O(ready). `kqueue` (kqueue.py) does so on the BSDs and macOS.
All are used level-triggered: a descriptor that was reported and not dealt with is reported again, so a reader may stop
whenever it likes and lose nothing.

`READ` and `WRITE` have the values of ``EPOLLIN`` and ``EPOLLOUT``, and a result may carry further bits (``EPOLLERR``,
``EPOLLHUP``): whoever dispatches treats any bit but `WRITE` as a reason to read and any bit but `READ` as a reason to
write, because an error surfaces in the read or write that meets it.
"""

from __future__ import annotations

import math
import os
import select
from collections.abc import Callable
from typing import Protocol

READ = 0x001
"""``EPOLLIN``, which is also ``POLLIN`` on Linux."""
WRITE = 0x004
"""``EPOLLOUT``, which is also ``POLLOUT`` on Linux."""

SELECT_MAX_DESCRIPTORS = 1024
"""``FD_SETSIZE`` of glibc and of the BSDs: a greater descriptor would be written past the end of the ``fd_set``."""

Ready = list[tuple[int, int]]
"""``[(descriptor, mask), …]``."""


class Wait(Protocol):
    """How a poller is asked."""

    def __call__(self, timeout_s: float | None, max_events: int, /) -> Ready:
        """What is ready, after at most ``timeout_s`` (None: no limit)."""
        ...


class Poller(Protocol):
    """What the turn needs of the kernel. `wait` is an attribute, so that it can be a method of a C object without a
    Python frame around it.
    """

    name: str

    wait: Wait

    def register(self, fd: int, mask: int) -> None:
        """Start watching.

        Raises:
            FileExistsError: it is being watched (epoll only: the kernel knows).
            OSError: the descriptor is closed or cannot be polled, such as a regular file with epoll.
        """

    def modify(self, fd: int, mask: int) -> None:
        """Watch for something else.

        Raises:
            FileNotFoundError: it is not being watched.
        """

    def unregister(self, fd: int) -> None:
        """Stop watching.

        Raises:
            OSError: it is not being watched, or closed already.
        """

    def close(self) -> None:
        """Release what the kernel holds."""


class EpollPoller:
    """Linux's epoll. `wait` is the C object's own method."""

    __slots__ = ("_epoll", "name", "wait")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.name = "epoll"
        self.wait: Wait = self._epoll.poll

    def register(self, fd: int, mask: int) -> None:
        """See `Poller`."""
        self._epoll.register(fd, mask)

    def modify(self, fd: int, mask: int) -> None:
        """See `Poller`."""
        self._epoll.modify(fd, mask)

    def unregister(self, fd: int) -> None:
        """See `Poller`."""
        self._epoll.unregister(fd)

    def close(self) -> None:
        """Release the kernel's set."""
        self._epoll.close()


class PollPoller:
    """POSIX ``poll``. ``max_events`` is ignored: cutting the list would starve the descriptors at its end."""

    __slots__ = ("_poll", "name", "wait")

    def __init__(self) -> None:
        self._poll = select.poll()
        self.name = "poll"
        self.wait: Wait = self._wait

    def register(self, fd: int, mask: int) -> None:
        """See `Poller`."""
        self._poll.register(fd, mask)

    def modify(self, fd: int, mask: int) -> None:
        """See `Poller`."""
        self._poll.modify(fd, mask)

    def unregister(self, fd: int) -> None:
        """See `Poller`."""
        try:
            self._poll.unregister(fd)
        except KeyError:
            raise FileNotFoundError(f"descriptor {fd} is not being watched") from None

    def close(self) -> None:
        """Nothing to release: the kernel keeps no state."""

    def _wait(self, timeout_s: float | None, max_events: int) -> Ready:
        # Rounded up: a timer that fires a millisecond early would spin until its time has come.
        ready = self._poll.poll(None if timeout_s is None else math.ceil(timeout_s * 1000))
        for fd, mask in ready:
            if mask & select.POLLNVAL:  # closed behind our back: report it this once, then forget it
                self._poll.unregister(fd)
        return ready


class SelectPoller:
    """The oldest and the most portable. ``max_events`` is ignored, as in `PollPoller`."""

    __slots__ = ("_masks", "_readers", "_writers", "name", "wait")

    def __init__(self) -> None:
        self._masks: dict[int, int] = {}
        self._readers: set[int] = set()
        self._writers: set[int] = set()
        self.name = "select"
        self.wait: Wait = self._wait

    def register(self, fd: int, mask: int) -> None:
        """See `Poller`."""
        if fd >= SELECT_MAX_DESCRIPTORS:
            raise OSError(
                f"select() cannot watch descriptor {fd}: it takes descriptors below {SELECT_MAX_DESCRIPTORS}; "
                "choose the poller 'epoll' or 'poll'"
            )
        self._set(fd, mask)

    def modify(self, fd: int, mask: int) -> None:
        """See `Poller`."""
        if fd not in self._masks:
            raise FileNotFoundError(f"descriptor {fd} is not being watched")
        self._set(fd, mask)

    def unregister(self, fd: int) -> None:
        """See `Poller`."""
        if self._masks.pop(fd, None) is None:
            raise FileNotFoundError(f"descriptor {fd} is not being watched")
        self._readers.discard(fd)
        self._writers.discard(fd)

    def close(self) -> None:
        """Nothing to release: the kernel keeps no state."""

    def _set(self, fd: int, mask: int) -> None:
        self._masks[fd] = mask
        (self._readers.add if mask & READ else self._readers.discard)(fd)
        (self._writers.add if mask & WRITE else self._writers.discard)(fd)

    def _wait(self, timeout_s: float | None, max_events: int) -> Ready:
        try:
            readable, writable, _ = select.select(self._readers, self._writers, (), timeout_s)
        except OSError:
            return self._drop_closed()
        masks = dict.fromkeys(readable, READ)
        for fd in writable:
            masks[fd] = masks.get(fd, 0) | WRITE
        return list(masks.items())

    def _drop_closed(self) -> Ready:
        """The descriptors closed behind our back, each reported this once as ready for what it was watched for."""
        closed: Ready = []
        for fd, mask in list(self._masks.items()):
            try:
                os.fstat(fd)
            except OSError:
                self.unregister(fd)
                closed.append((fd, mask))
        return closed


def _kqueue() -> Poller:
    from .kqueue import KqueuePoller

    return KqueuePoller()


POLLERS: dict[str, Callable[[], Poller]] = {
    name: poller
    for name, poller in (("epoll", EpollPoller), ("kqueue", _kqueue), ("poll", PollPoller), ("select", SelectPoller))
    if hasattr(select, name)
}
"""What this platform has, best first."""


def make_poller(name: str | None = None) -> Poller:
    """A poller by name; None takes the best one here.

    Raises:
        ValueError: this platform has none of that name.
    """
    if name is None:
        name = next(iter(POLLERS))
    if name not in POLLERS:
        raise ValueError(f"no poller {name!r} here; there is {', '.join(POLLERS)}")
    return POLLERS[name]()
