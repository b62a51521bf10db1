"""Handlers in Python: ``@server.on(device="greenhouse-*", key="temp")``, kept apart from ingest.

A handler sees durable readings, one at a time and in order. It runs beside the server, not in its path: what it
raises is logged, and one that falls behind loses the oldest readings of its own queue, counted, nobody else's.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeAlias

from ..model import Reading
from ..threads import DaemonExecutor

if TYPE_CHECKING:
    from ..model import Row
    from .devices import SeriesState

logger = logging.getLogger("hardpoint.handlers")

Callback: TypeAlias = Callable[[Reading], Awaitable[None] | None]

MAX_QUEUED = 10_000
"""Readings a handler may be behind."""
CALL_END_S = 1.0
"""How long a call under way may take to finish when the server stops; nobody waits for it after that."""


class Handler:
    """One callback with its patterns, its queue and the task that serves it while there is something to serve."""

    def __init__(self, callback: Callback, device: str, key: str) -> None:
        self.callback = callback
        self.device = device
        self.key = key
        self.dropped = 0
        # A thread each, so that one that blocks holds up no other handler; a plain function may block.
        self._thread = None if inspect.iscoroutinefunction(callback) else DaemonExecutor(f"handler {self}")
        self._closed = False
        self._queue: deque[Reading] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, reading: Reading) -> None:
        """Queue a reading that fits the patterns."""
        if self._closed:
            return
        if len(self._queue) >= MAX_QUEUED:
            self._queue.popleft()
            if not self.dropped:
                logger.warning("handler %s cannot keep up: readings are dropped for it", self)
            self.dropped += 1
        self._queue.append(reading)
        if self._task is None:
            self._begin()

    async def close(self) -> None:
        """Let go of what is queued. A coroutine under way is cancelled, a plain function may finish; one that has not
        ended after `CALL_END_S` is left behind, on its daemon thread.
        """
        self._closed = True
        self._queue.clear()
        task, thread = self._task, self._thread
        if task is not None:
            if thread is not None:
                await asyncio.wait({task}, timeout=CALL_END_S)
            task.cancel()
            await asyncio.wait({task}, timeout=CALL_END_S)
            if not task.done() or (thread is not None and thread.busy):
                logger.warning("handler %s does not end: it is left behind", self)
        if thread is not None:
            thread.shutdown()

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._serve(), name=f"handler {self}")
        self._task.add_done_callback(self._served)

    async def _serve(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        while self._queue:
            reading = self._queue.popleft()
            try:
                await self._call_with(reading)
            except asyncio.CancelledError:
                if task.cancelling():
                    raise
                logger.exception("handler %s failed on %s", self, reading)  # what it waited for was cancelled
            except (Exception, SystemExit):  # a task lets SystemExit through, and it would end the server
                logger.exception("handler %s failed on %s", self, reading)

    async def _call_with(self, reading: Reading) -> None:
        if self._thread is None:
            await self.callback(reading)  # type: ignore[misc]
            return
        made = await asyncio.get_running_loop().run_in_executor(self._thread, self._call_plain, reading)
        if inspect.isawaitable(made):  # a callable that returns a coroutine
            await made

    def _call_plain(self, reading: Reading) -> Awaitable[None] | None:
        try:
            return self.callback(reading)
        except StopIteration as error:  # a future of asyncio takes none, and would never be done (Python 3.11)
            raise RuntimeError("the handler raised StopIteration") from error

    def _served(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if self._queue:  # put between the task's end and this call
            self._begin()

    def __str__(self) -> str:
        return getattr(self.callback, "__qualname__", repr(self.callback))


class Handlers:
    """Every handler, and which of them each series concerns."""

    def __init__(self) -> None:
        self._handlers: list[Handler] = []
        self._of_series: dict[int, tuple[Handler, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._handlers)

    def add(self, callback: Callback, device: str = "*", key: str = "*") -> None:
        """Call ``callback(reading)`` for every reading whose device id or name and key fit the shell patterns."""
        self._handlers.append(Handler(callback, device, key))
        self._of_series.clear()

    def renamed(self) -> None:
        """A device has another name, or none any more: patterns are matched anew."""
        self._of_series.clear()

    def feed(self, rows: Sequence[Row], series: dict[int, SeriesState]) -> None:
        """A durable batch."""
        for series_id, ts, value in rows:
            concerned = self._of_series.get(series_id)
            if concerned is None:
                state = series.get(series_id)
                if state is None:  # removed meanwhile
                    continue
                concerned = self._of_series[series_id] = self._matching(state)
            if concerned and (state := series.get(series_id)) is not None:
                reading = Reading(state.device.record.id, state.key, ts, value)
                for handler in concerned:
                    handler.put(reading)

    async def close(self) -> None:
        """Stop every handler."""
        await asyncio.gather(*(handler.close() for handler in self._handlers))

    def _matching(self, state: SeriesState) -> tuple[Handler, ...]:
        record = state.device.record
        return tuple(
            handler
            for handler in self._handlers
            if fnmatchcase(state.key, handler.key)
            and (fnmatchcase(record.id, handler.device) or fnmatchcase(record.name, handler.device))
        )
