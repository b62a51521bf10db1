"""Log lines about what peers do wrong again and again: a device with the wrong port tries for ever, every second."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from logging import Logger

EVERY_S = 60.0


class Rarely:
    """Warns of the same thing at most once a minute, and says then how often it has happened meanwhile."""

    def __init__(self, logger: Logger, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock_s = clock_s
        self._said: dict[str, tuple[float, int]] = {}  # what → when, and how often since

    def warn(self, message: str, *args: object) -> None:
        """Log it, if the same ``message`` was not within the last minute. A message is written in the code, never made
        from what a peer sent: so there are few of them.
        """
        now = self._clock_s()
        said_s, times = self._said.get(message, (-math.inf, 0))  # not `now - EVERY_S`: rounding can make that too late
        if now - said_s < EVERY_S:
            self._said[message] = (said_s, times + 1)
            return
        self._said[message] = (now, 0)
        if times:
            self._logger.warning(f"{message} (and %d times since the last such line)", *args, times)  # noqa: G004
        else:
            self._logger.warning(message, *args)
