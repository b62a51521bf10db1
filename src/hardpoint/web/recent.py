"""The last lines of the log, in memory, for the diagnostics bundle."""

from __future__ import annotations

import logging
import traceback
from collections import deque
from copy import copy

MAX_LINES = 2_000
MAX_LINE_LENGTH = 2_000
"""Together at most 8 MB, and on a server that logs as little as ours some kilobytes."""
LEFT_OUT = "…"


class RecentLog(logging.Handler):
    """Keeps the last lines as they would be printed; what is longer is cut."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[tuple[str, str]] = deque(maxlen=MAX_LINES)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self._lines.append((self.format(record)[:MAX_LINE_LENGTH], self.format(_unnamed(record))[:MAX_LINE_LENGTH]))

    def lines(self, *, hide_names: bool = False) -> list[str]:
        """The oldest first. ``hide_names``: with their own words and numbers alone, and ``…`` for all text that was
        put into them: names, addresses, what a peer sent, what an error says.
        """
        return [unnamed if hide_names else line for line, unnamed in self._lines]


def _unnamed(record: logging.LogRecord) -> logging.LogRecord:
    """The record without what came from outside. Ours put such text into arguments only; of other people's loggers,
    and of a message that was made before, nobody knows.
    """
    unnamed = copy(record)
    if isinstance(record.args, dict):
        unnamed.args = {name: _plain(value) for name, value in record.args.items()}
    elif record.args:
        unnamed.args = tuple(_plain(value) for value in record.args)
    elif not record.name.startswith("hardpoint"):
        unnamed.msg = LEFT_OUT
    unnamed.stack_info = None
    if record.exc_info and record.exc_info[0] is not None:
        frames = traceback.extract_tb(record.exc_info[2])
        places = [f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        unnamed.exc_text = "\n".join([f"{record.exc_info[0].__name__}: {LEFT_OUT}", *places])
    return unnamed


def _plain(value: object) -> object:
    return value if isinstance(value, (int, float)) else LEFT_OUT
