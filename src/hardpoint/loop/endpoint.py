"""What every transport has in common: a watched descriptor, a protocol, faults, and an end."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from .core import Turn

logger = logging.getLogger("asyncio")
"""asyncio's own logger: who has configured it for transports gets ours as well."""


class Endpoint:
    """A mix-in without slots of its own: only one base class may bring slots, and that is asyncio's flow control.

    Whoever uses it has the attributes below and `_force_close`.
    """

    __slots__ = ()

    _kind = "transport"
    """What it is called in messages."""

    _loop: Turn
    _fd: int
    _interest: int
    _protocol: Any
    _closing: bool

    def is_closing(self) -> bool:
        """Whether `close` or `abort` was called, or the connection has failed."""
        return self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Whom to call from now on; its ``connection_made`` is not called."""
        self._protocol = protocol

    def get_protocol(self) -> Any:
        """Who is called now; None after ``connection_lost``."""
        return self._protocol

    def _force_close(self, exc: BaseException | None) -> None:
        raise NotImplementedError

    def _call(self, callback: Callable[..., Any], *args: Any) -> None:
        """Call the protocol and go on whatever it raises: the fault is reported, and the transport stays open."""
        try:
            callback(*args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:  # noqa: BLE001 - a protocol may raise anything
            self._report(exc, f"protocol.{getattr(callback, '__name__', callback)}() failed")

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on transport") -> None:
        """End the connection. An `OSError` is the network's doing and no news; anything else is a fault of ours or the
        protocol's and goes to the loop's exception handler.
        """
        if not isinstance(exc, OSError):
            self._report(exc, message)
        elif self._loop.get_debug():
            logger.debug("%r: %s", self, message, exc_info=exc)
        self._force_close(exc)

    def _report(self, exc: BaseException, message: str) -> None:
        self._loop.call_exception_handler(
            {"message": message, "exception": exc, "transport": self, "protocol": self._protocol}
        )

    def _set_interest(self, interest: int) -> None:
        old = self._interest
        if interest == old:
            return
        self._interest = interest  # type: ignore[misc]  # the slot is the concrete class's
        try:
            self._loop.set_interest(self._fd, old, interest)
        except OSError as exc:
            self._interest = 0  # type: ignore[misc]
            if exc.errno != errno.EBADF:
                self._loop.report_unwatchable(exc)
            # else: the descriptor was closed behind our back, which costs this connection only
            self._force_close(exc)
