"""Which edges of a module some input reaches, for fuzzers that keep what is new.

On Python 3.12 and later `sys.monitoring` tells each branch once and then no more, so a run costs little; before that
`sys.settrace` tells lines, ten times slower.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

TOOL = 4  # one of the two numbers that are nobody's (PEP 669)


class Edges:
    """Counts what calls reach, within the files whose names end in one of ``files``."""

    def __init__(self, files: tuple[str, ...]) -> None:
        self._files = files
        self.seen: set[tuple[str, int, int]] = set()
        self._fresh = False
        if sys.version_info >= (3, 12):
            monitoring = sys.monitoring
            monitoring.use_tool_id(TOOL, "fuzz")
            monitoring.register_callback(TOOL, monitoring.events.BRANCH, self._branch)
            monitoring.register_callback(TOOL, monitoring.events.PY_START, self._start)
            monitoring.set_events(TOOL, monitoring.events.PY_START)

    def reached(self, call: Callable[[], Any]) -> bool:
        """Whether the call went somewhere none has gone before."""
        self._fresh = False
        if sys.version_info >= (3, 12):
            call()
            return self._fresh
        sys.settrace(self._enter)
        try:
            call()
        finally:
            sys.settrace(None)
        return self._fresh

    def _note(self, edge: tuple[str, int, int]) -> None:
        if edge not in self.seen:
            self.seen.add(edge)
            self._fresh = True

    # Python 3.12 and later

    def _start(self, code: CodeType, offset: int) -> Any:
        """A function is called: watch its branches from now on, and this event no more."""
        if code.co_filename.endswith(self._files):
            sys.monitoring.set_local_events(TOOL, code, sys.monitoring.events.BRANCH)
        return sys.monitoring.DISABLE

    def _branch(self, code: CodeType, offset: int, target: int) -> None:
        self._note((code.co_qualname, offset, target))

    # Python 3.11

    def _enter(self, frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.endswith(self._files):
            return None
        last = frame.f_lineno

        def line(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal last
            if event == "line":
                self._note((frame.f_code.co_qualname, last, frame.f_lineno))
                last = frame.f_lineno
            return line

        return line
