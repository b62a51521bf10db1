"""The BSDs' and macOS's kqueue: like epoll a set in the kernel, O(ready) a call.

It knows pairs of a descriptor and a filter, so a descriptor that is watched for both kinds is two entries and may be
reported twice in one batch; the two are put together here. Adding what is there already changes nothing, and closing a
descriptor removes its entries, so that deleting what is gone is no fault. The queue itself is not inherited by a forked
child.
"""

from __future__ import annotations

import select
from typing import Any

from .pollers import READ, WRITE, Ready, Wait

_select: Any = select
"""Typed so, because Linux's `select` has none of these names."""


class KqueuePoller:
    """`Poller` on kqueue, level-triggered (no ``EV_CLEAR``)."""

    __slots__ = ("_kqueue", "_masks", "name", "wait")

    def __init__(self) -> None:
        self._kqueue = _select.kqueue()
        self._masks: dict[int, int] = {}
        self.name = "kqueue"
        self.wait: Wait = self._wait

    def register(self, fd: int, mask: int) -> None:
        """See `Poller`."""
        self._add(fd, mask)
        self._masks[fd] = mask

    def modify(self, fd: int, mask: int) -> None:
        """See `Poller`."""
        if fd not in self._masks:
            raise FileNotFoundError(f"descriptor {fd} is not being watched")
        self._delete(fd, self._masks[fd] & ~mask)
        self._add(fd, mask)  # all of it: the number may have been closed and taken anew
        self._masks[fd] = mask

    def unregister(self, fd: int) -> None:
        """See `Poller`."""
        mask = self._masks.pop(fd, None)
        if mask is None:
            raise FileNotFoundError(f"descriptor {fd} is not being watched")
        self._delete(fd, mask)

    def close(self) -> None:
        """Release the kernel's queue."""
        self._kqueue.close()

    def _add(self, fd: int, mask: int) -> None:
        self._kqueue.control([_select.kevent(fd, kind, _select.KQ_EV_ADD) for kind in _filters(mask)], 0, 0)

    def _delete(self, fd: int, mask: int) -> None:
        for kind in _filters(mask):  # one by one: an entry that is gone must not keep the other one
            try:
                self._kqueue.control([_select.kevent(fd, kind, _select.KQ_EV_DELETE)], 0, 0)
            except OSError:
                pass  # closed behind our back: the kernel has forgotten it already

    def _wait(self, timeout_s: float | None, max_events: int) -> Ready:
        masks: dict[int, int] = {}
        for event in self._kqueue.control(None, max_events, timeout_s):
            # EV_EOF comes with either filter: the read or the write meets what it stands for.
            kind = WRITE if event.filter == _select.KQ_FILTER_WRITE else READ
            masks[event.ident] = masks.get(event.ident, 0) | kind
        return list(masks.items())


def _filters(mask: int) -> list[int]:
    """kqueue's filters for `READ` and `WRITE`."""
    filters: list[int] = []
    if mask & READ:
        filters.append(_select.KQ_FILTER_READ)
    if mask & WRITE:
        filters.append(_select.KQ_FILTER_WRITE)
    return filters
