"""Processes of our own that are asked over pipes: a JSON line in, a JSON line out.

A child ends when its standard input does, so none is left behind however its parent ended.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import msgspec

from ..errors import HardpointError

ANSWER_TIMEOUT_S = 60.0
"""A child that says nothing for so long is taken for dead: the longest step, one measurement, is bounded below it."""
MAX_READ_BYTES = 65_536


class ChildFailed(HardpointError):
    """A process of the lab ended or hung."""

    code = "lab_failed"


class Child:
    """A module of this package as a process. Use it with ``with``: leaving kills it."""

    def __init__(self, module: str, *arguments: Any, core: int | None = None) -> None:
        """Start ``python -m hardpoint.lab.<module>``, on one core when ``core`` is its number."""
        self._name = module
        self._rest = b""
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        command = [sys.executable, "-m", f"{__package__}.{module}", msgspec.json.encode([core, *arguments]).decode()]
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for the parent, which ends us
        )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def ask(self, **question: Any) -> Any:
        """Send a question and wait for its answer.

        Raises:
            ChildFailed: it ended, or said nothing for `ANSWER_TIMEOUT_S`.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(question) + b"\n")
        except OSError:
            raise self._failed("has ended") from None
        return msgspec.json.decode(self._line())

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        until = time.monotonic() + ANSWER_TIMEOUT_S
        with selectors.DefaultSelector() as selector:
            selector.register(fd, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise self._failed(f"said nothing for {ANSWER_TIMEOUT_S:.0f} s")
                data = os.read(fd, MAX_READ_BYTES)
                if not data:
                    raise self._failed("has ended")
                self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _failed(self, how: str) -> ChildFailed:
        """The exception, with the last line that the process wrote to stderr."""
        self._complaints.seek(0)
        said = self._complaints.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        return ChildFailed(f"the lab's process {self._name!r} {how}" + (f": {said}" if said else ""))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._complaints):
            if pipe is not None:
                pipe.close()


def arguments() -> list[Any]:
    """In the child: what `Child` was given. Takes the process to its core first."""
    core, *rest = msgspec.json.decode(sys.argv[1], type=list[Any])
    if core is not None and sys.platform == "linux":
        os.sched_setaffinity(0, {core})
    return rest


def answer_questions(answer: Callable[[dict[str, Any]], Any]) -> None:
    """In the child: answer until the parent closes the pipe, or has gone."""
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(msgspec.json.encode(answer(msgspec.json.decode(line))) + b"\n")
        sys.stdout.buffer.flush()
