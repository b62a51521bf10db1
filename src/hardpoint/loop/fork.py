"""``os.fork`` under a loop: the child gets a poller and a wake-up pair of its own.

A forked child shares what its parent's descriptors stand for, and an epoll set is such a thing: a reader that the
child removes would be removed for the parent, and each would take the other's wake-ups and signals. asyncio leaves it
so. Here the child's copy of a loop starts anew with nothing watched; it serves nobody, and may be dropped or closed
without harm. `subprocess` does not come by here: it forks and executes in C.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core import Turn

_loops: weakref.WeakSet[Turn] = weakref.WeakSet()


def part_at_fork(loop: Turn) -> None:
    """From now on have `Turn.part_from_parent` called in every forked child."""
    _loops.add(loop)


def _in_child() -> None:
    for loop in list(_loops):
        if not loop.is_closed():
            loop.part_from_parent()


os.register_at_fork(after_in_child=_in_child)
