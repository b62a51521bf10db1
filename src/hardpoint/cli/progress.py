"""How far something is that takes a while: a bar on a terminal, a line every ten seconds anywhere else."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from .output import say

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

LINE_EVERY_S = 10.0


class Progress:
    """On stderr, within a ``with`` block. ``total`` None: nobody knows how much it will be."""

    def __init__(self, what: str, total: float | None, *, quiet: bool = False) -> None:
        self._what = what
        self._total = total
        self._quiet = quiet
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._next_line_s = time.monotonic() + LINE_EVERY_S

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress as Bar

            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(self._what, total=self._total)
            self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def to(self, done: float, note: str = "") -> None:
        """It is that far now."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, description=f"{self._what} {note}".rstrip())
        elif not self._quiet and time.monotonic() >= self._next_line_s:
            self._next_line_s = time.monotonic() + LINE_EVERY_S
            share = f"{done / self._total:.0%}" if self._total else ""
            say(" ".join(part for part in (self._what, share, note) if part))
