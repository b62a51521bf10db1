"""The access log: a line a request, gathered in memory and written once a second, away from the requests."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .messages import Request

log = logging.getLogger("hardpoint.http")

MAX_WAITING_LINES = 100_000
"""What is kept for a disk that is slow, some 15 MB; lines beyond are dropped and counted."""
CLIENT_GONE = 499
"""Logged, as nginx does, for a request whose client left before the answer began."""

_UNSAFE = re.compile(r"[^ !#-\[\]-~]")  # a quote, a backslash, control characters, anything beyond ASCII


class AccessLog:
    """Lines in the Common Log Format, with the browser, the time taken in ms and the request's id behind::

        203.0.113.9 - - [23/Nov/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 13 "curl/8.5" 0.2 4f2a…

    The query is left out, and of a path below one of ``secret_prefixes`` the segment that follows: both may hold what
    opens a door. ``write`` is called in a thread with whole lines; `to_file` makes one that appends to a file.
    """

    def __init__(self, write: Callable[[str], None], *, secret_prefixes: Sequence[str] = ()) -> None:
        self._write = write
        self._secret = tuple(secret_prefixes)
        self._lines: list[str] = []
        self._writing: asyncio.Future[None] | None = None
        self._stamp = (0, "")
        self.dropped = 0
        """Lines that found no room."""

    @classmethod
    def to_file(cls, path: Path, *, secret_prefixes: Sequence[str] = ()) -> AccessLog:
        """Append to a file. It is opened for each batch, so it can be moved away at any time."""

        def append(lines: str) -> None:
            with path.open("a", encoding="ascii") as file:
                file.write(lines)

        return cls(append, secret_prefixes=secret_prefixes)

    def note(self, request: Request, status: int, content_bytes: int, taken_s: float) -> None:
        """A request was answered, or its client has gone."""
        if len(self._lines) >= MAX_WAITING_LINES:
            self.dropped += 1
            return
        head = request.head
        path = head.raw_path
        for prefix in self._secret:
            if path.startswith(prefix):
                _, slash, rest = path[len(prefix) :].partition("/")
                path = f"{prefix}-{slash}{rest}"
        agent = head.headers.joined.get("user-agent", "-")
        self._lines.append(
            f'{request.address or "-"} - - [{self._now()}] "{_safe(head.method)} {_safe(path)} HTTP/1.{head.minor}" '
            f'{status} {content_bytes} "{_safe(agent)}" {taken_s * 1000:.1f} {request.id or "-"}\n'
        )

    def flush(self) -> None:
        """Begin to write what waits, unless the last batch is still being written. The server's sweep calls this."""
        if not self._lines or (self._writing is not None and not self._writing.done()):
            return
        lines, self._lines = "".join(self._lines), []
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._try_to_write, lines)

    async def close(self) -> None:
        """Write the rest."""
        while self._lines or self._writing is not None:
            self.flush()
            writing, self._writing = self._writing, None
            if writing is not None:
                await writing

    def _try_to_write(self, lines: str) -> None:
        try:
            self._write(lines)
        except OSError as error:
            self.dropped += lines.count("\n")
            log.error("the access log cannot be written: %s", error)  # noqa: TRY400 - a full disk, no bug of ours

    def _now(self) -> str:
        now = int(time.time())
        if now != self._stamp[0]:
            self._stamp = (now, time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)))
        return self._stamp[1]


def _safe(text: str) -> str:
    """One line, whatever a client writes: nothing in it ends the field or reaches a terminal."""
    return _UNSAFE.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
