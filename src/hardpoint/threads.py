"""Threads for calls that may never return, and an end of the process that does not wait for them.

The threads of `concurrent.futures` are joined when a loop closes (after 300 s at most, on Python 3.11 for ever) and
once more when the interpreter ends. A handler that hangs or a sensor that does not answer gets a daemon thread instead.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

R = TypeVar("R")

_Call: TypeAlias = tuple[Future[Any], Callable[[], Any]]

logger = logging.getLogger("hardpoint")


class DaemonExecutor(Executor):
    """One daemon thread, begun by the first call, that makes its calls one after another. Nobody waits for it at the
    end of the process; whoever wants a call to be finished waits for its future.
    """

    def __init__(self, name: str) -> None:
        """``name`` is the thread's, for whoever looks at a process that hangs."""
        self.busy = False
        """Whether a call is under way."""
        self._name = name
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._shut_down = False
        self._lock = threading.Lock()

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Queue a call.

        Raises:
            RuntimeError: it is shut down.
        """
        future: Future[R] = Future()
        with self._lock:
            if self._shut_down:
                raise RuntimeError(f"the thread {self._name} was shut down")
            self._calls.put((future, lambda: fn(*args, **kwargs)))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = True) -> None:
        """Take no more calls. Unlike with other executors the default is to drop those that have not begun, and not
        to wait for the one that has. Idempotent.
        """
        with self._lock:
            if not self._shut_down:
                self._shut_down = True
                if cancel_futures:
                    while not self._calls.empty():
                        call = self._calls.get()
                        if call is not None:
                            call[0].cancel()
                self._calls.put(None)
        if wait and self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function = call
            if future.set_running_or_notify_cancel():
                self.busy = True
                try:
                    result = function()
                except BaseException as error:  # noqa: BLE001 - whoever awaits the future gets it, SystemExit too
                    self.busy = False
                    future.set_exception(error)
                else:
                    self.busy = False
                    future.set_result(result)
                    del result
            del call, future, function  # or the last call's reading would stay until the next one


async def call_apart(name: str, function: Callable[[], R]) -> R:
    """``function()`` on a daemon thread of its own, for one call that may hang."""
    executor = DaemonExecutor(name)
    try:
        return await asyncio.get_running_loop().run_in_executor(executor, function)
    finally:
        executor.shutdown()


class ExitDeadline:
    """Ends the process when its threads have not let it end by themselves in time."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def set(self, after_s: float, exit_code: int) -> None:
        """End the process with ``exit_code`` in ``after_s`` seconds, unless `cancel` comes first. Set again, only the
        last one holds.
        """
        self.cancel()
        self._timer = threading.Timer(after_s, self._end, (exit_code,))
        self._timer.name = "hardpoint-exit"
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """It has ended by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, exit_code: int) -> None:
        others = (thread for thread in threading.enumerate() if thread is not threading.main_thread())
        names = ", ".join(thread.name for thread in others if not thread.daemon)
        logger.error("the end waits no longer; at work are still: %s", names or "the main thread")
        for stream in (sys.stdout, sys.stderr):  # os._exit flushes nothing
            with suppress(OSError, ValueError, AttributeError):  # closed, or None where there is no terminal
                stream.flush()
        os._exit(exit_code)
