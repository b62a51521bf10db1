"""Server-sent events, read from an open answer (WHATWG HTML §9.2.6, the parts our server sends)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_EVENT_BYTES = 16 * 2**20
"""One event holds at most the readings of one commit."""


class Lines(Protocol):
    """Something with ``readline``: an ``http.client.HTTPResponse`` or a file."""

    def readline(self, limit: int = -1, /) -> bytes:
        """At most ``limit`` bytes up to and with the next LF; empty at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its name, its data decoded from JSON, and the id to resume after."""

    name: str
    data: Any
    id: str


def read_events(stream: Lines) -> Iterator[Event]:
    """Events until the stream ends. One that was cut off by the end is not given, as §9.2.6 says.

    Raises:
        OSError: an event of more than `MAX_EVENT_BYTES`, or data that is not JSON: this is not our server.
    """
    name, identity, size = "message", "", 0
    data: list[bytes] = []
    while line := stream.readline(MAX_EVENT_BYTES):
        size += len(line)
        if size > MAX_EVENT_BYTES:
            raise OSError(f"an event of more than {MAX_EVENT_BYTES} bytes")
        text = line.rstrip(b"\r\n")
        field, _, value = text.partition(b":")
        value = value.removeprefix(b" ")
        if not text:
            if data:
                yield Event(name, _decoded(b"\n".join(data)), identity)
            name, data, size = "message", [], 0
        elif field == b"event":
            name = value.decode("utf-8", "replace")
        elif field == b"data":
            data.append(value)
        elif field == b"id":
            identity = value.decode("utf-8", "replace")


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise OSError(f"an event that is not JSON: {error}") from error
