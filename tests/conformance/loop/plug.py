"""Puts our loop where a program asks for asyncio's: run in a process of its own, before the tests are imported."""

from __future__ import annotations

import asyncio
import selectors
import sys
from asyncio import unix_events
from typing import Any

from hardpoint.loop import Loop

_POLLERS = {"EpollSelector": "epoll", "PollSelector": "poll", "SelectSelector": "select"}


class PluggedLoop(Loop):
    """Our loop with the one argument of ``asyncio.SelectorEventLoop``: a selector names the poller to use."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        super().__init__(None if selector is None else _POLLERS[type(selector).__name__])
        if selector is not None:
            selector.close()


def plug() -> None:
    """Make ours the loop that ``asyncio.run``, ``asyncio.new_event_loop`` and ``asyncio.SelectorEventLoop`` give."""
    private: Any = unix_events
    private._UnixDefaultEventLoopPolicy._loop_factory = PluggedLoop
    private.SelectorEventLoop = PluggedLoop
    public: Any = asyncio
    public.SelectorEventLoop = PluggedLoop
    if sys.version_info >= (3, 13):
        private.EventLoop = PluggedLoop
        public.EventLoop = PluggedLoop
