"""The turn: what one pass of the loop does.

1. Decide how long to sleep: not at all when something is ready to run, else until the next timer, else for ever.
2. Poll: at most `MAX_EVENTS_A_POLL` ready descriptors.
3. Hand each to its watcher, by a plain method call: no `Handle`, no selector object, no copied list. A watcher does one
   read (or write) and returns, so that a busy connection cannot keep the others waiting.
4. Move the timers that are due to the ready queue.
5. Run what was in the ready queue when this step began; what that adds runs in the next turn.

Watchers are found in a list indexed by descriptor: descriptors are small and dense, so a slot costs 8 bytes where a
dictionary's entry costs ten times that, and the look-up is one instruction.
"""
# ruff: noqa: SLF001 - handles and timers are worked off by their private slots, as asyncio's own loops do (stdlib.py)

from __future__ import annotations

import asyncio
import contextvars
import heapq
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from .counters import Counters, LoopCounters
from .fork import part_at_fork
from .pollers import POLLERS, READ, WRITE, Poller, Ready, Wait, make_poller
from .stdlib import describe_handle
from .wakeup import Wakeup

logger = logging.getLogger("hardpoint.loop")

MAX_EVENTS_A_POLL = 256
"""Between two polls the timers and the ready queue get their turn. The kernel hands out the rest first next time."""
MAX_SLEEP_S = 24 * 3600.0
"""epoll takes its time-out in milliseconds as a C int; asyncio caps it at a day as well."""
MIN_TIMERS_TO_SWEEP = 100
"""Cancelled timers stay in the heap until they surface or, above this number, are more than half of it."""


class Watcher(Protocol):
    """What the turn calls for a ready descriptor.

    Neither method may raise anything but SystemExit and KeyboardInterrupt. Both must bear being called for nothing:
    the event may be about what the descriptor's number stood for a moment ago, and interest may have changed since.
    """

    def on_readable(self) -> None:
        """There are bytes, an end of file or an error to read."""

    def on_writable(self) -> None:
        """There is room to write, or an error to meet."""


class Callbacks:
    """The watcher behind ``add_reader`` and ``add_writer``: puts their handles into the ready queue, to be run in this
    same turn in the context they were added in, as asyncio does.
    """

    __slots__ = ("_add", "reader", "source", "writer")

    def __init__(self, add: Callable[[asyncio.Handle], None], source: Any) -> None:
        """``source`` is what the descriptor was given as: a number, or the object it belongs to."""
        self._add = add
        self.source = source
        self.reader: asyncio.Handle | None = None
        self.writer: asyncio.Handle | None = None

    @property
    def interest(self) -> int:
        """`READ` when there is a reader, plus `WRITE` when there is a writer."""
        return (READ if self.reader is not None else 0) | (WRITE if self.writer is not None else 0)

    def on_readable(self) -> None:
        """Queue the reader's handle."""
        if self.reader is not None:
            self._add(self.reader)

    def on_writable(self) -> None:
        """Queue the writer's handle."""
        if self.writer is not None:
            self._add(self.writer)


class InContext:
    """A watcher whose owner was made in another context than the loop's own: it is called in a copy of that context, as
    asyncio calls a transport. Most are made where no context variable was set, and are called without this.
    """

    __slots__ = ("_run", "watcher")

    def __init__(self, watcher: Watcher, context: contextvars.Context) -> None:
        self.watcher = watcher
        self._run = context.run

    def on_readable(self) -> None:
        """Pass it on, in the context."""
        self._run(self.watcher.on_readable)

    def on_writable(self) -> None:
        """Pass it on, in the context."""
        self._run(self.watcher.on_writable)


class Turn(asyncio.BaseEventLoop):
    """A `BaseEventLoop` whose turn, watchers and wake-up are ours."""

    # What BaseEventLoop keeps and the stubs leave out (see stdlib.py).
    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _stopping: bool
    _debug: bool
    _internal_fds: int
    _timer_cancelled_count: int
    _clock_resolution: float
    _current_handle: asyncio.Handle | None
    _check_closed: Callable[[], None]
    _add_callback: Callable[[asyncio.Handle], None]
    _ensure_resolved: Callable[..., Any]
    _create_connection_transport: Callable[..., Any]

    def __init__(self, poller: str | Poller | None = None) -> None:
        """``poller`` is ``"epoll"``, ``"kqueue"``, ``"poll"``, ``"select"`` or an object of that interface; None takes
        the best here.

        Raises:
            ValueError: this platform has no such poller.
        """
        super().__init__()
        self._poller: Poller = make_poller(poller) if poller is None or isinstance(poller, str) else poller
        self._wait: Wait = self._poller.wait
        self._watchers: list[Watcher | None] = []
        self._totals = LoopCounters()
        self._unwatchable_said = False
        self._asleep = False
        self._context = contextvars.copy_context()
        self._open_wakeup()
        self._internal_fds += 1
        part_at_fork(self)

    def _open_wakeup(self) -> None:
        self._wakeup = Wakeup(self._on_wakeup_bytes)
        self.watch(self._wakeup.read_fd, self._wakeup)
        self.set_interest(self._wakeup.read_fd, 0, READ)

    def part_from_parent(self) -> None:
        """In a forked child: leave poller and wake-up to the parent (see fork.py). Nothing is watched afterwards."""
        self._wakeup.close()
        self._watchers.clear()
        if self._poller.name in POLLERS:  # else it is an object of somebody else's, who knows what to do with it
            self._poller.close()
            self._poller = make_poller(self._poller.name)
            self._wait = self._poller.wait
        self._open_wakeup()

    def close(self) -> None:
        """Release the poller and every watcher. What is still open warns when it is collected, as in asyncio."""
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self.is_closed():
            return
        super().close()
        self._internal_fds -= 1
        self._wakeup.close()
        self._poller.close()
        self._watchers.clear()

    # Watching descriptors ------------------------------------------------------------------------------------------

    def watcher_of(self, fd: int) -> Watcher | None:
        """Who watches the descriptor now."""
        watcher = self._watchers[fd] if 0 <= fd < len(self._watchers) else None
        return watcher.watcher if isinstance(watcher, InContext) else watcher

    def watch(self, fd: int, watcher: Watcher) -> None:
        """Make ``watcher`` the one to be called for this descriptor. It gets no events until `set_interest`.

        Whoever was there before has lost the descriptor: it was closed behind the loop's back.
        """
        watchers = self._watchers
        if fd >= len(watchers):
            watchers.extend([None] * (fd + 1 - len(watchers)))
        if (context := contextvars.copy_context()) != self._context and not isinstance(watcher, Callbacks):
            watcher = InContext(watcher, context)  # callbacks have handles, and these have contexts
        watchers[fd] = watcher

    def unwatch(self, fd: int, watcher: Watcher) -> None:
        """Give the descriptor up, unless it is somebody else's by now. Interest must be 0."""
        if self.watcher_of(fd) is watcher:
            self._watchers[fd] = None

    def set_interest(self, fd: int, old: int, new: int) -> None:
        """Change what the poller reports, from ``old`` to ``new`` (`READ`, `WRITE`, both or 0).

        A descriptor without interest is not registered at all: the kernel reports hang-ups for any that is, and the
        loop would spin on one whose reader is paused.

        Raises:
            OSError: the descriptor is closed or cannot be polled.
        """
        poller = self._poller
        if new == old or self.is_closed():
            return
        if not new:
            try:
                poller.unregister(fd)
            except OSError:
                pass  # closed behind our back: the kernel has forgotten it already
        elif not old:
            try:
                poller.register(fd, new)
            except FileExistsError:  # a closed descriptor's twin (dup, fork) kept the registration alive
                poller.modify(fd, new)
        else:
            self._watch_again(fd, new)

    def report_unwatchable(self, exc: OSError) -> None:
        """The poller takes no more descriptors (its own limit, or the kernel's memory), and a connection ends for it.
        Said once: a server at its limit refuses every client.
        """
        if not self._unwatchable_said:
            self._unwatchable_said = True
            self.call_exception_handler({"message": "the poller can watch no more connections", "exception": exc})

    def _watch_again(self, fd: int, interest: int) -> None:
        """Make sure that the kernel still watches: the descriptor may have been closed and its number taken anew."""
        try:
            self._poller.modify(fd, interest)
        except FileNotFoundError:
            self._poller.register(fd, interest)

    # Callbacks on descriptors --------------------------------------------------------------------------------------

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        """Call back whenever the descriptor is readable. A second call for the same one replaces the first."""
        self.add_callback(fd, READ, callback, *args)

    def remove_reader(self, fd: Any) -> bool:
        """Whether there was a reader to remove."""
        return self.remove_callback(fd, READ)

    def add_writer(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        """Call back whenever the descriptor is writable. A second call for the same one replaces the first."""
        self.add_callback(fd, WRITE, callback, *args)

    def remove_writer(self, fd: Any) -> bool:
        """Whether there was a writer to remove."""
        return self.remove_callback(fd, WRITE)

    def add_callback(self, fd: Any, kind: int, callback: Callable[..., Any], *args: Any) -> asyncio.Handle:
        """What `add_reader` (``kind`` `READ`) and `add_writer` (`WRITE`) do; returns the handle.

        Raises:
            RuntimeError: the loop is closed, or a transport uses the descriptor.
            ValueError: not a descriptor, and without one.
            OSError: it is closed or cannot be polled.
        """
        self._check_closed()
        number = self._number_without_transport(fd)
        handle = asyncio.Handle(callback, args, self)
        watcher = self.watcher_of(number)
        fresh = not isinstance(watcher, Callbacks)
        callbacks = Callbacks(self._add_callback, fd) if fresh else watcher
        assert isinstance(callbacks, Callbacks)
        old = callbacks.interest
        if old & kind:
            self._watch_again(number, old)
        else:
            self.set_interest(number, old, old | kind)  # first, because it may raise
        if fresh:
            self.watch(number, callbacks)
        replaced = callbacks.reader if kind == READ else callbacks.writer
        if kind == READ:
            callbacks.reader = handle
        else:
            callbacks.writer = handle
        if replaced is not None:
            replaced.cancel()
        return handle

    def remove_callback(self, fd: Any, kind: int) -> bool:
        """The opposite of `add_callback`: whether there was one. Also for a socket that is closed by now.

        Raises:
            RuntimeError, ValueError: as there.
        """
        if self.is_closed():
            return False
        try:
            number = self._number_without_transport(fd)
        except ValueError:
            before_close = self._number_before_close(fd)
            if before_close is None:
                raise
            number = before_close
        callbacks = self.watcher_of(number)
        if not isinstance(callbacks, Callbacks):
            return False
        old = callbacks.interest
        if kind == READ:
            removed, callbacks.reader = callbacks.reader, None
        else:
            removed, callbacks.writer = callbacks.writer, None
        if removed is None:
            return False
        removed.cancel()
        try:
            self.set_interest(number, old, callbacks.interest)
        except OSError:
            pass  # closed behind our back: the kernel has forgotten it already
        if not callbacks.interest:
            self.unwatch(number, callbacks)
        return True

    def _number_before_close(self, source: Any) -> int | None:
        """The number of a socket that was closed before its callbacks were removed; None when it had none."""
        for number, watcher in enumerate(self._watchers):
            if isinstance(watcher, Callbacks) and watcher.source is source:
                return number
        return None

    def _number_without_transport(self, fd: Any) -> int:
        """The descriptor's number.

        Raises:
            ValueError: there is none.
            RuntimeError: an open transport uses it; two readers of one descriptor would tear its bytes apart.
        """
        try:
            number = fd if isinstance(fd, int) else int(fd.fileno())
        except (AttributeError, TypeError, ValueError):
            raise ValueError(f"Invalid file object: {fd!r}") from None
        if number < 0:
            raise ValueError(f"Invalid file descriptor: {number}")
        watcher = self.watcher_of(number)
        if isinstance(watcher, asyncio.BaseTransport) and not watcher.is_closing():
            raise RuntimeError(f"File descriptor {fd!r} is used by transport {watcher!r}")
        return number

    # The turn ------------------------------------------------------------------------------------------------------

    def run_forever(self) -> None:
        """Take turns until `stop`."""
        self._context = contextvars.copy_context()
        self._wait = self._wait_first
        super().run_forever()

    def _wait_first(self, timeout_s: float | None, max_events: int, /) -> Ready:
        """The first poll of a run. What was scheduled before goes first, as in asyncio: a coroutine may count on its
        first step coming before the data that lies ready. So here the events queue up behind it.
        """
        self._wait = self._poller.wait
        for fd, mask in self._wait(timeout_s, max_events):
            watcher = self._watchers[fd]  # as it is: a transport in its context
            if isinstance(watcher, Callbacks):
                self._dispatch(fd, watcher, mask)
            else:
                self._add_callback(asyncio.Handle(self._dispatch, (fd, watcher, mask), self))
        return []

    def _run_once(self) -> None:
        ready = self._ready
        scheduled = self._scheduled
        self._asleep = True  # from here on `_write_to_self` writes; what was queued before shows in `ready`
        if ready or self._stopping:
            timeout_s: float | None = 0
        else:
            timeout_s = self._until_next_timer_s() if scheduled else None
        events = self._wait(timeout_s, MAX_EVENTS_A_POLL)
        self._asleep = False
        watchers = self._watchers
        for fd, mask in events:
            watcher = watchers[fd]
            if mask == READ and watcher is not None:
                watcher.on_readable()
            else:
                self._dispatch(fd, watcher, mask)
        if scheduled:
            self._move_due_timers()
        self._totals.turns += 1
        if self._debug:
            self._run_ready_watched()
            return
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _dispatch(self, fd: int, watcher: Watcher | None, mask: int) -> None:
        """An event that is not simply "readable"."""
        if watcher is None:
            self.set_interest(fd, mask, 0)
            return
        if mask & ~WRITE:
            watcher.on_readable()
        if mask & ~READ:
            watcher.on_writable()

    def _until_next_timer_s(self) -> float | None:
        """Seconds to sleep until the next timer that is not cancelled; None when there is none."""
        scheduled: Any = self._scheduled
        while scheduled and scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(scheduled)._scheduled = False
        if not scheduled:
            return None
        delay_s: float = scheduled[0]._when - self.time()
        return min(max(0.0, delay_s), MAX_SLEEP_S)

    def _sweep_cancelled_timers(self) -> None:
        kept: list[Any] = []
        timer: Any
        for timer in self._scheduled:
            if timer._cancelled:
                timer._scheduled = False
            else:
                kept.append(timer)
        heapq.heapify(kept)
        self._scheduled[:] = kept
        self._timer_cancelled_count = 0

    def _move_due_timers(self) -> None:
        """Timers due by now, within the clock's resolution, go to the ready queue in the order of their times."""
        scheduled: Any = self._scheduled
        ready = self._ready
        if len(scheduled) > MIN_TIMERS_TO_SWEEP and self._timer_cancelled_count * 2 > len(scheduled):
            self._sweep_cancelled_timers()  # here, in every turn: a busy loop may not come to sleep for hours
        end = self.time() + self._clock_resolution
        while scheduled and scheduled[0]._when < end:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False
            if timer._cancelled:
                self._timer_cancelled_count -= 1
            else:
                ready.append(timer)

    def _run_ready_watched(self) -> None:
        """The ready queue in debug mode: what takes longer than ``slow_callback_duration`` is logged."""
        for _ in range(len(self._ready)):
            handle: Any = self._ready.popleft()
            if handle._cancelled:
                continue
            self._current_handle = handle
            began = self.time()
            try:
                handle._run()
            finally:
                self._current_handle = None
            took_s = self.time() - began
            if took_s >= self.slow_callback_duration:
                logging.getLogger("asyncio").warning("Executing %s took %.3f seconds", describe_handle(handle), took_s)

    def retire(self, counters: Counters) -> None:
        """Keep the figures of a connection that has ended."""
        self._totals.add(counters)

    # Waking --------------------------------------------------------------------------------------------------------

    def _write_to_self(self) -> None:
        # Called with the work already in the ready queue. A loop that is not in its poll looks there before it sleeps.
        if self._asleep:
            self._wakeup.wake()

    def _on_wakeup_bytes(self, data: bytes) -> None:
        """Signal numbers have arrived; a loop that handles signals overrides this."""
