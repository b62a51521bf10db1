"""Server-sent events both ways (WHATWG HTML §9.2), without a socket: `encode_event` and `EventParser`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import TooLarge

COMMENT = b":\n\n"
"""A line clients skip: sent every so often, it shows both ends that the other is there (§9.2.7 says every 15 s)."""

MAX_EVENT_BYTES = 1024 * 1024
"""What a parser keeps of one event. The live stream's own are under 64 KiB."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_RETRY = re.compile(r"[0-9]{1,9}")


def encode_event(data: bytes, event: str = "", id: str = "", retry_ms: int | None = None) -> bytes:  # noqa: A002
    """One event. ``data`` is UTF-8, of any number of lines; ``event`` is its type, empty for ``message``; ``id`` is
    what a client sends as ``Last-Event-ID`` when it comes back; ``retry_ms`` is how long it should wait before it does.

    Raises:
        ValueError: event or id holds a line end (it would be read as another field), or id holds NUL (it would be
            ignored).
    """
    head = ""
    if id:
        head = f"id: {id}\n"
    if event:
        head = f"{head}event: {event}\n"
    if len(head.splitlines()) != bool(id) + bool(event) or "\0" in id:
        raise ValueError("the type and the id of an event are one line each, without NUL")
    if retry_ms is not None:
        head = f"{head}retry: {retry_ms}\n"
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(_LINE_END.split(data))
    return b"%bdata: %b\n\n" % (head.encode(), data)


@dataclass(slots=True, frozen=True)
class ServerEvent:
    """One event as a client reads it."""

    event: str
    """Its type; ``message`` when none was said."""
    data: str
    id: str
    """The last id seen up to here: what to send as ``Last-Event-ID``."""


class EventParser:
    """A client's side: bytes of the stream in, events out. ``retry_ms`` is the wait the server asked for, or None."""

    __slots__ = ("_buffer", "_data", "_event", "_scanned", "_size_bytes", "_started", "last_id", "retry_ms")

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry_ms: int | None = None
        self._buffer = b""
        self._scanned = 0
        self._started = False
        self._event = ""
        self._data: list[str] = []
        self._size_bytes = 0

    def receive(self, data: bytes) -> list[ServerEvent]:
        """Take the bytes of one read; give the events they complete.

        Raises:
            TooLarge: an event passes `MAX_EVENT_BYTES`.
        """
        buffer = self._buffer + data
        events: list[ServerEvent] = []
        start = 0
        while (found := _LINE_END.search(buffer, max(start, self._scanned))) is not None:
            if found.group() == b"\r" and found.end() == len(buffer):
                break  # an LF may follow, and would belong to this line end
            self._take_line(buffer[start : found.start()], events)
            start = found.end()
        self._buffer = buffer[start:]
        self._scanned = max(0, len(self._buffer) - 1)
        if self._size_bytes + len(self._buffer) > MAX_EVENT_BYTES:
            raise TooLarge(f"an event is over {MAX_EVENT_BYTES} bytes")
        return events

    def _take_line(self, line: bytes, events: list[ServerEvent]) -> None:
        if not self._started:
            self._started = True
            line = line.removeprefix(b"\xef\xbb\xbf")  # §9.2.6: one byte order mark
        if not line:
            if self._data:
                events.append(ServerEvent(self._event or "message", "\n".join(self._data), self.last_id))
            self._event = ""
            self._data = []
            self._size_bytes = 0
            return
        self._size_bytes += len(line)
        # §9.2.6: bytes that are no UTF-8 become U+FFFD; a name without a colon has an empty value; one space behind the
        # colon is not part of it; an unknown field (a comment has an empty name) is skipped.
        name, _, value = line.decode(errors="replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id":
            if "\0" not in value:
                self.last_id = value
        elif name == "retry" and _RETRY.fullmatch(value):
            self.retry_ms = int(value)
