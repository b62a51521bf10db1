"""The device's side of the line dialect (SPEC §3), sans I/O: readings → lines, the server's lines → events.

The agent speaks through it, and so may any Python program on a device. The server's side is ``lines.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from ..errors import BadInput, TooLarge
from ..model import MAX_VALUE_BYTES, checked_value
from .lines import MAX_LINE_BYTES
from .telemetry import decode_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..model import Json, Value

MAX_TAG_BYTES = 24
"""Room that `encode_readings` leaves for ``#<tag> `` in front: `MAX_NUMBER_DIGITS` count every line of a long life."""
MAX_NUMBER_DIGITS = 20
MAX_ANSWER_BYTES = 2 * MAX_VALUE_BYTES
"""A line from the server: a command's parameters may be a whole value, and have its method in front."""


@dataclass(slots=True, frozen=True)
class Answer:
    """``[#<tag> ]<verb> <rest>``: what the server says to something we sent (``OK 4``, ``ERR bad-line …``, ``PONG``),
    or of itself (its greeting, which comes first and without a tag).
    """

    tag: str | None
    verb: str
    rest: str


@dataclass(slots=True, frozen=True)
class CommandLine:
    """``!<id> <method> <params>``. ``params`` are the bytes as they came: `decode_params` reads them."""

    id: str
    method: str
    params: bytes


class LineClient:
    """Cuts the server's bytes into events. It never writes and keeps no time."""

    __slots__ = ("_buffer", "_failed")

    def __init__(self) -> None:
        self._buffer = b""
        self._failed = False

    def receive(self, data: bytes) -> list[Answer | CommandLine]:
        """The events that ``data`` completes. An empty line is none.

        Raises:
            TooLarge: a line of more than `MAX_ANSWER_BYTES`. The object stays failed: drop the connection.
        """
        if self._failed:
            raise TooLarge("the stream has failed before")
        lines = (self._buffer + data).split(b"\n")
        self._buffer = lines.pop()
        if len(self._buffer) > MAX_ANSWER_BYTES or any(len(line) > MAX_ANSWER_BYTES for line in lines):
            self._failed = True
            raise TooLarge(f"a line of the server is longer than {MAX_ANSWER_BYTES} bytes (max_answer_bytes)")
        return [_event(line) for line in lines if line.strip()]


def _event(line: bytes) -> Answer | CommandLine:
    if line.startswith(b"!"):
        # At most two cuts: the parameters may hold spaces.
        id_, method, params = ([*line[1:].strip().split(b" ", 2), b"", b""])[:3]
        return CommandLine(_text(id_), _text(method), params)
    tag, rest = None, _text(line.strip())
    if rest.startswith("#"):
        tag, _, rest = rest[1:].partition(" ")
    verb, _, rest = rest.partition(" ")
    return Answer(tag, verb, rest)


def _text(raw: bytes) -> str:
    # Only shown to people and compared with known words: a wrong byte must not end the connection.
    return raw.decode("utf-8", "replace")


def decode_params(params: bytes) -> Json:
    """A command's parameters; None when there are none.

    Raises:
        BadInput: not JSON.
    """
    return decode_json(params) if params else None


def encode_hello(token: str) -> bytes:
    """``HELLO <token>``.

    Raises:
        BadInput: the token is empty or holds what would end the line or start another word.
    """
    if not token.isascii() or not token.isprintable() or not token or " " in token:
        raise BadInput("a token is one word of ASCII letters, digits and _", field="token")
    return b"HELLO %b\n" % token.encode()


def encode_readings(values: Mapping[str, Value], ts: int) -> Iterator[bytes]:
    """Readings of one time as lines: no tag in front but room for one, no line end. None is no value: it is skipped.

    Numbers, booleans and strings go as ``key=value … @ts``, as many on a line as fit. A JSON object or array has no
    place there and goes as ``{"ts":…,"values":{…}}`` on a line of its own.

    Raises:
        BadInput: a value does not fit on a line, is not finite, or is nothing JSON knows.
    """
    room = MAX_LINE_BYTES - MAX_TAG_BYTES
    stamp = b" @%d" % ts
    line = b""
    for key, value in values.items():
        if value is None:
            continue
        try:
            # A JSON number, true, false or "…" is just what the dialect wants: the quotes keep "21" a string.
            pair = b"%b=%b" % (key.encode(), _json(checked_value(value)))
        except BadInput as error:
            raise BadInput(error.message, field=key) from None
        alone = isinstance(value, (dict, list))
        if alone:
            pair = _json({"ts": ts, "values": {key: value}})
        if len(pair) + len(stamp) > room:
            raise BadInput(f"a value of {len(pair)} bytes does not fit on a line of {room}", field=key)
        if alone:
            yield pair
            continue
        if line and len(line) + 1 + len(pair) + len(stamp) > room:
            yield line + stamp
            line = b""
        line = line + b" " + pair if line else pair
    if line:
        yield line + stamp


def encode_result(command_id: str, result: Json) -> bytes:
    """``!<id> OK <json>``: what came of a command.

    Raises:
        BadInput: the result is longer than a line may be, or is nothing JSON knows.
    """
    line = b"!%b OK %b\n" % (command_id.encode(), _json(result))
    if len(line) > MAX_LINE_BYTES + 1:
        raise BadInput(f"the result has {len(line)} bytes, more than the {MAX_LINE_BYTES} of a line")
    return line


def encode_failure(command_id: str, message: str) -> bytes:
    """``!<id> ERR <message>``, the message cut to what fits and on one line. Half a character in it, as of a file's
    name that is not UTF-8, goes as ``?``.
    """
    head = b"!%b ERR " % command_id.encode()
    body = " ".join(message.split()).encode("utf-8", "replace")[: MAX_LINE_BYTES - len(head)]
    return head + body.decode("utf-8", "ignore").encode() + b"\n"


def _json(value: Json) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"not a JSON value: {error}") from error
