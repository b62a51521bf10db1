"""The parts of an HTTP/1 response's head, as bytes (RFC 9110, RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus

from .http_head import TCHAR, VALUE

CONTENT_FREE_STATUSES = frozenset({*range(100, 200), 204, 304})
"""Answers that never have a body (RFC 9112 §6.3 item 1)."""

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
CONTINUE = STATUS_LINES[100] + b"\r\n"


def encode_interim(status: int, fields: Iterable[tuple[str, str]]) -> bytes:
    """The head of an interim response (RFC 9110 §15.2): 103 Early Hints, 102 Processing, 100 Continue.

    Raises:
        ValueError: another status (101 is no interim one: what follows it is not HTTP), or a field cannot be sent.
    """
    if not 100 <= status < 200 or status == 101:
        raise ValueError(f"{status} is not the status of an interim response")
    line = STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n".encode()
    return b"%b%b\r\n" % (line, encode_fields(fields))


_NAME = re.compile(rf"{TCHAR}+")
_FIELD_VALUE = re.compile(VALUE)


def encode_fields(fields: Iterable[tuple[str, str]]) -> bytes:
    """Field lines, each with its CRLF.

    Raises:
        ValueError: a name is not a token, or a value holds CR, LF, another control character or what latin-1 lacks:
            written out, it could start a second response.
    """
    lines = []
    for name, value in fields:
        if _NAME.fullmatch(name) is None or _FIELD_VALUE.fullmatch(value) is None:
            raise ValueError(f"{name!r}: {value!r} is not a header field")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("latin-1")
