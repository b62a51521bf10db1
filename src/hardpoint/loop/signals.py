"""Signals: the C-level handler writes the number to the wake-up pair, and the turn runs the handle."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import inspect
import signal
import sys
from collections.abc import Callable
from typing import Any

from .core import Turn


def _do_nothing(signum: int, frame: object) -> None:
    """Python's handler, there only so that Python writes the number to the wake-up descriptor."""


class SignalHandlers(Turn):
    """``add_signal_handler`` and ``remove_signal_handler``.

    A signal that arrives before the loop runs, or between two turns, waits in the wake-up pair: none is lost.
    """

    def __init__(self, poller: Any = None) -> None:
        super().__init__(poller)
        self._signal_handlers: dict[int, asyncio.Handle] = {}

    def close(self) -> None:
        """Also restores the default of every signal that was handled."""
        if not self.is_running() and not sys.is_finalizing():
            for signum in list(self._signal_handlers):
                self.remove_signal_handler(signum)
        super().close()

    def part_from_parent(self) -> None:
        """In a forked child: signals that come to it are no news for its parent's loop."""
        ours = self._wakeup.write_fd
        super().part_from_parent()
        self._signal_handlers.clear()
        with contextlib.suppress(ValueError):  # forked off the main thread, which has never set it
            before = signal.set_wakeup_fd(-1)
            if before not in (-1, ours):
                signal.set_wakeup_fd(before)

    def add_signal_handler(self, sig: int, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        """Call back on the loop's thread when the signal arrives.

        Raises:
            TypeError: a coroutine function, or the signal is no int.
            ValueError: no such signal.
            RuntimeError: not on the main thread, or it cannot be caught (SIGKILL, SIGSTOP).
        """
        if inspect.iscoroutinefunction(callback) or inspect.iscoroutine(callback):
            raise TypeError("coroutines cannot be used with add_signal_handler()")
        _check_signal(sig)
        self._check_closed()
        try:
            signal.set_wakeup_fd(self._wakeup.write_fd)
        except (ValueError, OSError) as exc:
            raise RuntimeError(str(exc)) from exc
        try:
            signal.signal(sig, _do_nothing)
            signal.siginterrupt(sig, False)  # SA_RESTART: fewer interrupted calls in other people's code
        except OSError as exc:
            self._release_wakeup_fd()
            raise _uncatchable(sig, exc) from exc
        self._signal_handlers[sig] = asyncio.Handle(callback, args, self)

    def remove_signal_handler(self, sig: int) -> bool:
        """Restore the default; whether there was a handler."""
        _check_signal(sig)
        if self._signal_handlers.pop(sig, None) is None:
            return False
        default = signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL
        try:
            signal.signal(sig, default)
        except OSError as exc:
            raise _uncatchable(sig, exc) from exc
        self._release_wakeup_fd()
        return True

    def _release_wakeup_fd(self) -> None:
        if not self._signal_handlers:
            with contextlib.suppress(ValueError, OSError):
                signal.set_wakeup_fd(-1)

    def _on_wakeup_bytes(self, data: bytes) -> None:
        for signum in data:
            handle = self._signal_handlers.get(signum)
            if handle is None:
                continue  # a zero of `Wakeup.wake`, or a signal somebody else handles
            if handle.cancelled():
                self.remove_signal_handler(signum)
            else:
                self._add_callback(handle)


def _check_signal(sig: int) -> None:
    if not isinstance(sig, int):
        raise TypeError(f"sig must be an int, not {sig!r}")
    if sig not in signal.valid_signals():
        raise ValueError(f"invalid signal number {sig}")


def _uncatchable(sig: int, exc: OSError) -> Exception:
    return RuntimeError(f"sig {sig} cannot be caught") if exc.errno == errno.EINVAL else exc
