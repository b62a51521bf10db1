"""kqueue for a machine that has none: the documented rules of FreeBSD's kqueue(2), readiness by the real ``poll``.

- An entry is a pair of descriptor and filter. EV_ADD of one that exists modifies it; EV_DELETE of one that does not is
  ENOENT; either of a closed descriptor is EBADF.
- "Calling close() on a file descriptor will remove any kevents that reference the descriptor."
- Without EV_CLEAR an event is reported as long as its condition holds.
- Each entry is an event of its own, so both kinds of one descriptor are two events, and a batch may end between them.
- EVFILT_READ of a stream whose peer has shut down sets EV_EOF; so does EVFILT_WRITE when the reader has gone.
"""

from __future__ import annotations

import errno
import os
import select
from dataclasses import dataclass

FILTER_READ, FILTER_WRITE = -1, -2
EV_ADD, EV_DELETE, EV_EOF = 0x0001, 0x0002, 0x8000

NAMES = {
    "KQ_FILTER_READ": FILTER_READ,
    "KQ_FILTER_WRITE": FILTER_WRITE,
    "KQ_EV_ADD": EV_ADD,
    "KQ_EV_DELETE": EV_DELETE,
    "KQ_EV_EOF": EV_EOF,
}


@dataclass
class Kevent:
    ident: int
    filter: int = FILTER_READ
    flags: int = EV_ADD
    fflags: int = 0
    data: int = 0
    udata: int = 0


class Kqueue:
    def __init__(self):
        self._entries = {}  # (descriptor, filter) -> what the descriptor stood for when it was added
        self.closed = False

    def control(self, changelist, max_events, timeout=None):
        self._forget_closed()
        for change in changelist or ():
            self._change(change)
        if not max_events:
            return []
        poll = select.poll()
        wanted = {}
        for fd, kind in self._entries:
            wanted[fd] = wanted.get(fd, 0) | (select.POLLIN if kind == FILTER_READ else select.POLLOUT)
        for fd, mask in wanted.items():
            poll.register(fd, mask | (select.POLLRDHUP if mask & select.POLLIN else 0))
        events = []
        for fd, found in poll.poll(None if timeout is None else timeout * 1000):
            ended = select.POLLHUP | select.POLLERR
            if (fd, FILTER_READ) in self._entries and found & (select.POLLIN | select.POLLRDHUP | ended):
                events.append(Kevent(fd, FILTER_READ, EV_EOF if found & (select.POLLRDHUP | ended) else 0))
            if (fd, FILTER_WRITE) in self._entries and found & (select.POLLOUT | ended):
                events.append(Kevent(fd, FILTER_WRITE, EV_EOF if found & ended else 0))
        return events[:max_events]

    def close(self):
        self.closed = True

    def _change(self, change):
        key = change.ident, change.filter
        stands_for = identity(change.ident)
        if stands_for is None:
            raise OSError(errno.EBADF, "Bad file descriptor")
        if change.flags & EV_DELETE:
            if key not in self._entries:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory")
            del self._entries[key]
        elif change.flags & EV_ADD:
            self._entries[key] = stands_for

    def _forget_closed(self):
        for (fd, kind), stood_for in list(self._entries.items()):
            if identity(fd) != stood_for:
                del self._entries[fd, kind]


def identity(fd):
    """What the descriptor stands for; None when it is closed."""
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino
