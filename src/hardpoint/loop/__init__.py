"""An asyncio event loop in pure Python, on epoll.

    from hardpoint.loop import run
    run(main())                                   # or: asyncio.Runner(loop_factory=Loop)

`Loop` is the whole of `asyncio.AbstractEventLoop` on Unix: streams with or without TLS, datagrams, pipes, subprocesses,
files, timers, signals, executors, thread-safe calls, ``add_reader``, ``sock_*``. Reading order: pollers, core (the
turn), transport (the four buffer events), listener, datagram, pipes, sendfile, processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from .counters import Counters, LoopCounters
from .loop import Loop
from .pollers import POLLERS

__all__ = ["POLLERS", "Counters", "Loop", "LoopCounters", "run"]

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run the coroutine on a new `Loop` and close it, as `asyncio.run` does."""
    with asyncio.Runner(debug=debug, loop_factory=Loop) as runner:
        return runner.run(main)
