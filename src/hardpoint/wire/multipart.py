"""``multipart/form-data`` (RFC 7578, RFC 2046 §5.1) while it arrives: bytes in, parts out, nothing kept but what may be
the start of a boundary.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import BadInput, TooLarge
from .http_head import FIELD_LINE, Headers, read_fields

MAX_BOUNDARY_BYTES = 70
"""RFC 2046 §5.1.1."""
MAX_PREAMBLE_BYTES = 1024
"""What may stand before the first boundary. Nobody sends any but a line end."""

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]*[0-9A-Za-z'()+_,./:=?-]")
_PARAMETER = re.compile(r';[ \t]*([A-Za-z0-9!#$&^_.+*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";]*))[ \t]*')
_PART_HEAD = re.compile(rf"(?:{FIELD_LINE})*+")


@dataclass(slots=True, frozen=True)
class MultipartLimits:
    """What one form may weigh beside the content of its parts, which the request's own limit bounds."""

    max_parts: int = 1000
    """Fields and files: 413."""
    max_part_head_bytes: int = 8 * 1024
    """The fields that describe a part: 413."""


@dataclass(slots=True)
class PartHead:
    """What is said of a part. Its content follows."""

    name: str
    filename: str | None
    """As sent: a file's name, perhaps with a path of the sender's; None for a plain field."""
    content_type: str
    headers: Headers


class PartEnd:
    """A part is whole."""

    __slots__ = ()


PART_END = PartEnd()
MultipartEvent: TypeAlias = PartHead | bytes | PartEnd


def parse_parameters(value: str) -> tuple[str, dict[str, str]]:
    """``form-data; name="a"`` as ``("form-data", {"name": "a"})``: the value before the first semicolon in lower case,
    then each parameter's first value (RFC 9110 §5.6.6). What follows a parameter that is malformed is not read.
    """
    first, _, _ = value.partition(";")
    parameters: dict[str, str] = {}
    position = len(first)
    while found := _PARAMETER.match(value, position):
        text = found[3] if found[2] is None else re.sub(r'\\(["\\])', r"\1", found[2])
        parameters.setdefault(found[1].lower(), text)
        position = found.end()
    return first.strip(" \t").lower(), parameters


def boundary_of(content_type: str) -> str:
    """The boundary that a ``Content-Type`` names.

    Raises:
        BadInput: it is not ``multipart/form-data``, or names none.
    """
    kind, parameters = parse_parameters(content_type)
    boundary = parameters.get("boundary", "")
    if kind != "multipart/form-data":
        raise BadInput("a multipart/form-data body is expected")
    if not boundary or len(boundary) > MAX_BOUNDARY_BYTES or _BOUNDARY.fullmatch(boundary) is None:
        raise BadInput("the multipart body has no usable boundary")
    return boundary


class MultipartParser:
    """One body. `receive` gives the events of what was read; `finish` tells whether that was all.

    Raises from both: `BadInput` for what is not in the grammar, `TooLarge` for what passes a limit; the parser is of no
    use then.
    """

    __slots__ = ("_buffer", "_delimiter", "_done", "_in_head", "_in_part", "_limits", "_parts", "_skipped")

    def __init__(self, boundary: str, limits: MultipartLimits | None = None) -> None:
        self._limits = MultipartLimits() if limits is None else limits
        self._delimiter = b"\r\n--" + boundary.encode("latin-1")
        self._buffer = b"\r\n"  # the first boundary has no line before it whose end would be its own
        self._in_part = False
        self._in_head = False
        self._done = False
        self._parts = 0
        self._skipped = 0

    def receive(self, data: bytes) -> list[MultipartEvent]:
        """Take bytes; give what they complete."""
        events: list[MultipartEvent] = []
        if self._done:
            return events  # RFC 2046 §5.1.1: an epilogue is ignored
        self._buffer += data
        while self._read_head(events) if self._in_head else self._read_content(events):
            pass
        return events

    def finish(self) -> None:
        """There is no more."""
        if not self._done:
            raise BadInput("the multipart body ends before its last boundary")

    def _read_content(self, events: list[MultipartEvent]) -> bool:
        """Up to the next boundary; whether that was found."""
        buffer, delimiter = self._buffer, self._delimiter
        at = buffer.find(delimiter)
        end = at + len(delimiter)
        # What follows a boundary decides whether it is one; until then it stays.
        if at < 0 or len(buffer) < end + 2:
            safe = at if at >= 0 else max(0, len(buffer) - len(delimiter) + 1)
            self._give(buffer[:safe], events)
            self._buffer = buffer[safe:]
            return False
        self._give(buffer[:at], events)
        tail = buffer[end : end + 2]
        if tail not in (b"\r\n", b"--"):
            # RFC 2046 §5.1.1 forbids a boundary within content, and lets white space follow one; nobody sends it.
            raise BadInput("a multipart boundary is followed by neither a line end nor --")
        if self._in_part:
            events.append(PART_END)
        self._in_part = False
        self._done = tail == b"--"
        self._in_head = not self._done
        self._buffer = b"" if self._done else buffer[end:]  # with the line end, which may be the head's last
        return not self._done

    def _give(self, piece: bytes, events: list[MultipartEvent]) -> None:
        if self._in_part:
            if piece:
                events.append(piece)
            return
        self._skipped += len(piece)
        if self._skipped > MAX_PREAMBLE_BYTES:
            raise BadInput("the multipart body does not begin with its boundary")

    def _read_head(self, events: list[MultipartEvent]) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if (len(self._buffer) if end < 0 else end) > self._limits.max_part_head_bytes:
            raise TooLarge(f"a part's head is over {self._limits.max_part_head_bytes} bytes")
        if end < 0:
            return False
        self._parts += 1
        if self._parts > self._limits.max_parts:
            raise TooLarge(f"the form has more than {self._limits.max_parts} parts")
        try:
            block = self._buffer[2 : end + 2].decode()  # RFC 7578 §5.1: names are UTF-8, and so what is beside them
        except UnicodeDecodeError:
            raise BadInput("a part's head is not UTF-8") from None
        if _PART_HEAD.fullmatch(block) is None:
            raise BadInput("a part's head is malformed")
        events.append(_part_head(read_fields(block)))
        self._buffer = self._buffer[end + 4 :]
        self._in_head, self._in_part = False, True
        return True


def _part_head(headers: Headers) -> PartHead:
    kind, parameters = parse_parameters(headers.get("content-disposition", ""))
    name = parameters.get("name")
    if kind != "form-data" or name is None:
        raise BadInput("a part has no Content-Disposition: form-data with a name")
    filename = parameters.get("filename")
    # HTML §4.10.21.8: browsers write a quote within a name so.
    decoded = None if filename is None else filename.replace("%22", '"')
    return PartHead(name.replace("%22", '"'), decoded, headers.get("content-type", "text/plain"), headers)
