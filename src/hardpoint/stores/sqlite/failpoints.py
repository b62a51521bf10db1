"""Named points where a test ends the process or makes a step fail; nothing in a server.

`reach` is called once a transaction, not once a reading. Off, it is one look at a variable of this module.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Final

NAMES: Final = frozenset(
    {
        "append: noted",  # in memory, not on disk
        "append: durable",  # on disk, nobody told
        "commit: begun",
        "commit: before the end",
        "commit: durable",
        "fold: blocks written",
        "fold: slice done",
        "fold: before the end",
        "fold: done",
        "compaction: chunks written",
        "compaction: slice done",
        "compaction: before the end",
        "compaction: done",
        "compaction: blocks deleted",
        "purge: before the end",
        "purge: done",
        "thin: before the end",
        "thin: done",
        "vacuum: done",
        "backup: copied",
        "backup: whole",
        "backup: named",
        "unpack: file written",
        "unpack: table dropped",
        "migration: before the end",
        "migration: slice before the end",
        "migration: slice done",
        "repair: before the end",
        "repair: done",
    }
)

hook: Callable[[str], None] | None = None
"""What `reach` calls. Set by tests only."""


def reach(name: str) -> None:
    """Tell that this point is reached."""
    if hook is not None:
        hook(name)


def kill_at(name: str, after: int = 0) -> None:
    """End this process as ``kill -9`` does when the point is reached once more than ``after`` times.

    Raises:
        ValueError: there is no such point.
    """
    if name not in NAMES:
        raise ValueError(f"no fail-point is called {name!r}")
    left = after

    def hooked(reached: str) -> None:
        nonlocal left
        if reached == name:
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    global hook  # noqa: PLW0603 - one switch for the whole process
    hook = hooked
