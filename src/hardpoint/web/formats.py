"""Readings as lines of text, for programs that take them as they come: NDJSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from ..model import Value

_encode = msgspec.json.Encoder()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Line(msgspec.Struct):
    """One reading as a line of NDJSON."""

    device: str
    key: str
    ts: int
    value: object


class Format(Protocol):
    """How readings become bytes. Stateless: lines of any two calls may follow one another."""

    content_type: str
    head: bytes
    """What comes before all lines."""

    def lines(self, device: str, key: str, times: Iterable[int], values: Iterable[Value]) -> bytes:
        """Readings of one series."""
        raise NotImplementedError


class Ndjson:
    """``{"device":"greenhouse","key":"temp","ts":1763880000000,"value":21.5}`` a line. Keeps every kind of value."""

    content_type = "application/x-ndjson"
    head = b""

    def lines(self, device: str, key: str, times: Iterable[int], values: Iterable[Value]) -> bytes:
        """Readings of one series."""
        return _encode.encode_lines(map(Line, repeat(device), repeat(key), times, values))


class Csv:
    """``time,device,key,value`` with times in ISO 8601, UTC, for spreadsheets (RFC 4180). Objects and arrays are JSON
    in a field; whether a field was a number or a string that looks like one is lost.
    """

    content_type = "text/csv; charset=utf-8; header=present"
    head = b"time,device,key,value\r\n"

    def lines(self, device: str, key: str, times: Iterable[int], values: Iterable[Value]) -> bytes:
        """Readings of one series."""
        text = io.StringIO()
        csv.writer(text).writerows(zip(map(iso, times), repeat(device), repeat(key), map(_field, values), strict=False))
        return text.getvalue().encode()


FORMATS: dict[str, Format] = {"ndjson": Ndjson(), "csv": Csv()}


def iso(ts: int) -> str:
    """``2025-11-23T06:43:00.250Z``. Two `datetime` calls in C; ``strftime`` would take three times as long."""
    return f"{(_EPOCH + timedelta(milliseconds=ts)).isoformat(timespec='milliseconds')[:-6]}Z"


def _field(value: Value) -> Value:
    kind = type(value)
    if kind is float or kind is int or kind is str:
        return value
    return msgspec.json.encode(value).decode()
