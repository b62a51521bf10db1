"""What commands print: tables, JSON documents, times and values.

Text from devices (names, values, error messages) is made harmless first: a terminal obeys escape sequences wherever
they come from, so a reading could otherwise rewrite the screen of whoever looks at it.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SCHEMA_VERSION = 1
MAX_CELL_CHARS = 60
"""A longer value is cut in a table; JSON and CSV have all of it."""


def document(schema: str, body: dict[str, Any]) -> str:
    """A JSON document over several lines, its ``schema`` first. Fields may be added to a schema, never changed."""
    import msgspec

    return msgspec.json.format(_encoded(schema, body), indent=2).decode()


def line(schema: str, body: dict[str, Any]) -> str:
    """The same on one line, for streams (NDJSON)."""
    return _encoded(schema, body).decode()


def _encoded(schema: str, body: dict[str, Any]) -> bytes:
    import msgspec

    return msgspec.json.encode({"schema": f"hardpoint.{schema}.v{SCHEMA_VERSION}", **body})


def say(message: str) -> None:
    """Talk to the person, on stderr: stdout is for data."""
    print(message, file=sys.stderr, flush=True)


def printable(text: str) -> str:
    r"""The text with everything a terminal could obey escaped (``\x1b``), on one line."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shown(value: Any, limit: int | None = None) -> str:
    """A reading's value as text: a string as it is, anything else as JSON."""
    if not isinstance(value, str):
        import msgspec

        value = msgspec.json.encode(value).decode()
    text = printable(value)
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


def valued(entry: Mapping[str, Any], limit: int) -> str:
    """The ``value`` of an entry of the API with the ``decimals`` and the ``unit`` beside it, as ``21.5 °C``."""
    value, decimals, unit = entry["value"], entry["decimals"], entry["unit"]
    if type(value) is not float and type(value) is not int:
        return shown(value, limit)
    text = shown(value, limit) if decimals is None else f"{value:.{decimals}f}"
    return f"{text} {unit}" if unit else text


def now_ms() -> int:
    """The time, Unix ms: what the server's times are compared with."""
    return time.time_ns() // 1_000_000


def clock(ms: int) -> str:
    """Local time of day with milliseconds, as ``14:02:11.250``."""
    return local(ms).strftime("%H:%M:%S.") + f"{ms % 1000:03d}"


def local(ms: int) -> datetime:
    """The moment in the machine's time zone."""
    return datetime.fromtimestamp(ms // 1000, UTC).astimezone()


def iso(ms: int) -> str:
    """ISO 8601 in UTC with milliseconds, as ``2025-11-23T06:43:00.250Z``."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def ago(ms: int | None, now_ms: int) -> str:
    """How long ago, in the largest fitting unit: ``12 s ago``; ``never`` for None."""
    return "never" if ms is None else f"{span(max(0.0, (now_ms - ms) / 1000))} ago"


def span(seconds: float) -> str:
    """A duration in the largest fitting unit, as ``3 min``."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def size(count: float) -> str:
    """Bytes in the largest fitting binary unit, as ``1.5 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their columns: drawn on a terminal, aligned plain text anywhere else."""
    safe = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        _drawn(columns, safe)
        return
    head = [column.upper() for column in columns]
    widths = [max(map(len, cells)) for cells in zip(head, *safe, strict=True)]
    for cells in (head, *safe):
        print("  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())


def _drawn(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """By rich, which knows wide characters, narrow terminals and ``NO_COLOR``."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        # Text, not str: a device named [red] is not markup.
        drawn.add_row(*(Text(cell) for cell in row))
    Console().print(drawn)
