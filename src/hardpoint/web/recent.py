"""The last lines of the log, in memory, for the diagnostics bundle."""

from __future__ import annotations

import logging
from collections import deque

MAX_LINES = 2_000
MAX_LINE_LENGTH = 2_000
"""Together at most 4 MB, and on a server that logs as little as ours some kilobytes."""


class RecentLog(logging.Handler):
    """Keeps the last lines as they would be printed; what is longer is cut."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self._lines.append(self.format(record)[:MAX_LINE_LENGTH])

    def lines(self) -> list[str]:
        """The oldest first."""
        return list(self._lines)
