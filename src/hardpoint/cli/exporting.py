"""What an export writes: long lines as the server sends them, wide rows, or Parquet.

A writer takes the server's lines (`Line`) in their order: by device, key and time.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import HardpointError

if TYPE_CHECKING:
    from pathlib import Path

BLOCK_READINGS = 65_536
"""Of Parquet, a row group: some megabytes in memory."""
EXACT = 2**53
"""Beyond it a float loses digits."""


class Line(msgspec.Struct):
    """One reading as the server sends it."""

    device: str
    key: str
    ts: int
    value: Any


_decode = msgspec.json.Decoder(Line).decode


def decoded(lines: Iterable[bytes]) -> Iterator[Line]:
    """The server's NDJSON."""
    return map(_decode, lines)


def rows(lines: Iterable[Line]) -> list[tuple[int, dict[str, Any]]]:
    """``(ts, {key: value})`` of one device by time, from lines in any order."""
    found: dict[int, dict[str, Any]] = {}
    for line in lines:
        found.setdefault(line.ts, {})[line.key] = line.value
    return sorted(found.items(), key=lambda row: row[0])


class WideCsv:
    """A row a device and time, a column a key; a key that has no reading at a time leaves its field empty."""

    def __init__(self, keys: list[str]) -> None:
        self._keys = keys

    def head(self) -> bytes:
        """The names of the columns."""
        return self._encoded([["time", "device", *self._keys]])

    def rows(self, device: str, found: list[tuple[int, dict[str, Any]]]) -> bytes:
        """Rows of one device."""
        from .output import iso, shown

        def field(values: dict[str, Any], key: str) -> Any:
            value = values.get(key, "")
            return value if type(value) in (int, float, str) else shown(value)

        return self._encoded([iso(ts), device, *(field(values, key) for key in self._keys)] for ts, values in found)

    def _encoded(self, table: Iterable[list[Any]]) -> bytes:
        text = io.StringIO()
        csv.writer(text).writerows(table)
        return text.getvalue().encode()


class WideNdjson:
    """An object a device and time, with the keys that have a reading then: ``store import`` reads it back."""

    def head(self) -> bytes:
        """Nothing comes before the lines."""
        return b""

    def rows(self, device: str, found: list[tuple[int, dict[str, Any]]]) -> bytes:
        """Lines of one device."""
        return msgspec.json.Encoder().encode_lines(
            {"device": device, "ts": ts, "values": values} for ts, values in found
        )


def write_parquet(path: Path, lines: Iterable[Line]) -> Iterator[int]:
    """Write a Parquet file, block by block; yields how many readings each block had.

    Columns: ``time`` (UTC, ms), ``device``, ``key``, ``number`` (double) and ``text``. A value is in one of the two: a
    number in ``number``, but an integer beyond 2^53 in ``text``, where strings, ``true``, ``false`` and JSON are.

    Raises:
        HardpointError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # pyright: ignore[reportMissingImports]
        import pyarrow.parquet as pq  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise HardpointError("Parquet needs pyarrow", hint="pip install 'hardpoint[parquet]'") from error
    name = pa.dictionary(pa.int32(), pa.string())
    time = pa.timestamp("ms", tz="UTC")
    fields = [("time", time), ("device", name), ("key", name), ("number", pa.float64()), ("text", pa.string())]
    schema = pa.schema(fields)
    lines = iter(lines)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while block := list(islice(lines, BLOCK_READINGS)):
            numbers = [_number(line.value) for line in block]
            both = zip(block, numbers, strict=True)
            columns = [
                pa.array([line.ts for line in block], time),
                pa.array([line.device for line in block]).dictionary_encode(),
                pa.array([line.key for line in block]).dictionary_encode(),
                pa.array(numbers, pa.float64()),
                pa.array([_text(line.value) if number is None else None for line, number in both], pa.string()),
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            yield len(block)


def _number(value: Any) -> float | None:
    if type(value) is float or (type(value) is int and -EXACT <= value <= EXACT):
        return float(value)
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
