"""``hardpoint store export``: readings to a CSV, NDJSON or Parquet file."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from ..errors import BadInput, HardpointError, TooLarge
from .command import Command
from .connection import with_client
from .moment import Moment
from .output import say, size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .client import Client
    from .progress import Progress

FORMATS = ("csv", "ndjson", "parquet")
WINDOW_READINGS = 50_000
"""Of one device, read at a time for rows that are wide: their keys come one after another, and are put side by side."""
WINDOWS = 10_000
READ_TIMEOUT_S = 120.0
PAGE = 1_000


@click.command(
    "export",
    cls=Command,
    examples="""
    hardpoint store export readings.ndjson.gz
    hardpoint store export greenhouse.csv --device 'greenhouse-*' --from 30d --wide
    hardpoint store export temp.parquet --key temp --from 2025-01-01 --to 2026-01-01
    """,
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--device", "devices", multiple=True, metavar="PATTERN", help="A name, an id or a shell pattern of them.")
@click.option("--key", "keys", multiple=True, metavar="PATTERN", help="A key or a shell pattern of keys.")
@click.option("--from", "start_ms", type=Moment(), help="Since when.  [default: the first reading]")
@click.option("--to", "end_ms", type=Moment(), help="Until when.  [default: the last reading]")
@click.option("--format", "form", type=click.Choice(FORMATS), help="If the file's name does not tell.")
@click.option("--wide", is_flag=True, help="A row a time with a column a key, not a row a reading.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@with_client
def export(client: Client, file: Path, form: str | None, wide: bool, force: bool, quiet: bool, **which: Any) -> None:
    """Write the stored readings to FILE, or to stdout for -: a line a reading, by device, key and time.

    CSV is for spreadsheets, NDJSON keeps every kind of value, Parquet is for data frames. A name that ends in .gz is
    packed. FILE appears when it is whole.
    """
    from ..model import MAX_TS_MS
    from .progress import Progress

    form = form or _format_of(file)
    to_stdout = str(file) == "-"
    if form is None:
        raise click.UsageError("its name does not tell what the file will be: --format csv, ndjson or parquet")
    if form == "parquet" and (wide or to_stdout or file.suffix.lower() == ".gz"):
        raise click.UsageError("Parquet is written to a file, long, and packs itself")
    if not to_stdout and file.exists() and not force:
        raise BadInput(f"{file} exists already", hint="--force replaces it")
    query = {
        "device": which["devices"] or ("*",),
        "key": which["keys"],
        "from": which["start_ms"] or 0,
        "to": MAX_TS_MS + 1 if which["end_ms"] is None else which["end_ms"],
    }
    with Progress("exporting", _count(client, query), quiet=quiet or to_stdout) as progress:
        if form == "parquet":
            written = _parquet(client, query, file, progress)
        else:
            with _target(file, to_stdout) as target:
                write = _write_wide if wide else _write_long
                written = write(client, query, form, target, progress)
    if not to_stdout:
        say(f"{file}: {written} {'rows' if wide else 'readings'}, {size(file.stat().st_size)}")


def _format_of(file: Path) -> str | None:
    suffixes = [each for each in file.suffixes if each.lower() != ".gz"]
    return {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet"}.get(
        suffixes[-1].lower() if suffixes else ""
    )


def _count(client: Client, query: dict[str, Any]) -> int | None:
    """How many readings it will be; None where they are of too many series to be counted in one answer."""
    try:
        found = client.get("/api/readings", query={**query, "agg": "count", "points": 1})
    except TooLarge:
        return None
    return int(sum(count for series in found["series"] for _, count in series["points"]))


@contextmanager
def _target(file: Path, to_stdout: bool) -> Iterator[IO[bytes]]:
    """Where the bytes go: under the file's name only once they are all there."""
    if to_stdout:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with (
        _appearing_whole(file) as partial,
        gzip.open(partial, "wb") if file.suffix.lower() == ".gz" else partial.open("wb") as target,
    ):
        yield target  # type: ignore[misc] # a GzipFile is a binary file, but not one of typing's


@contextmanager
def _appearing_whole(file: Path) -> Iterator[Path]:
    """The name to write under, which becomes the file's when all is written and vanishes when it is not.

    Raises:
        HardpointError: it cannot be written.
    """
    partial = file.with_name(f".{file.name}.partial")
    try:
        yield partial
        partial.replace(file)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)  # pyarrow has a sentence of its own
        raise HardpointError(f"{file} cannot be written: {why}") from error
    finally:
        partial.unlink(missing_ok=True)


def _write_long(client: Client, query: dict[str, Any], form: str, target: IO[bytes], progress: Progress) -> int:
    """The server's lines as they come."""
    lines = quotes = 0
    asked = {**query, "agg": "raw", "format": form}
    with client.stream("GET", "/api/readings", query=asked, timeout_s=READ_TIMEOUT_S) as content:
        for data in content:
            target.write(data)
            parts = data.split(b'"') if form == "csv" else [data]  # a text in CSV may have ends of lines of its own
            lines += sum(part.count(b"\n") for part in parts[quotes % 2 :: 2])
            quotes += len(parts) - 1
            progress.to(lines)
    return max(0, lines - 1) if form == "csv" else lines


def _parquet(client: Client, query: dict[str, Any], file: Path, progress: Progress) -> int:
    from .exporting import decoded, write_parquet

    asked = {**query, "agg": "raw", "format": "ndjson"}
    written = 0
    with (
        _appearing_whole(file) as partial,
        client.stream("GET", "/api/readings", query=asked, timeout_s=READ_TIMEOUT_S) as content,
    ):
        for count in write_parquet(partial, decoded(content.lines())):
            written += count
            progress.to(written)
    return written


def _write_wide(client: Client, query: dict[str, Any], form: str, target: IO[bytes], progress: Progress) -> int:
    """Device by device, a window of time after another: each holds so few readings that they fit side by side."""
    from .exporting import WideCsv, WideNdjson, decoded, rows

    by_device: dict[str, list[dict[str, Any]]] = {}
    for series in _series(client, query):
        by_device.setdefault(series["device"], []).append(series)
    keys = sorted({series["key"] for found in by_device.values() for series in found})
    writer = WideCsv(keys) if form == "csv" else WideNdjson()
    target.write(writer.head())
    read = written = 0
    for device, found in by_device.items():
        for start_ms, end_ms in _windows(client, query, device, found):
            asked = {**query, "device": device, "from": start_ms, "to": end_ms, "agg": "raw", "format": "ndjson"}
            with client.stream("GET", "/api/readings", query=asked, timeout_s=READ_TIMEOUT_S) as content:
                lines = list(decoded(content.lines()))
            window = rows(lines)
            target.write(writer.rows(device, window))
            read += len(lines)
            written += len(window)
            progress.to(read)
    return written


def _series(client: Client, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The chosen series that have readings."""
    cursor = None
    while True:
        asked = {"device": query["device"], "key": query["key"], "limit": PAGE, "cursor": cursor}
        page = client.get("/api/series", query=asked)
        yield from (each for each in page["items"] if each["first"] is not None)
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _windows(
    client: Client, query: dict[str, Any], device: str, found: Iterable[dict[str, Any]]
) -> Iterator[tuple[int, int]]:
    """The range of a device's readings, cut so that each part has about `WINDOW_READINGS`."""
    found = list(found)
    start_ms = max(query["from"], min(each["first"] for each in found))
    end_ms = min(query["to"], max(each["last"] for each in found) + 1)
    if start_ms >= end_ms:
        return
    points = min(WINDOWS, end_ms - start_ms, max(1, 90_000 // len(found)))
    asked = {**query, "device": device, "from": start_ms, "to": end_ms, "agg": "count", "points": points}
    counts: dict[int, int] = {}
    for series in client.get("/api/readings", query=asked)["series"]:
        for ts, count in series["points"]:
            counts[ts] = counts.get(ts, 0) + count
    begin, held = start_ms, 0
    for ts in sorted(counts):
        if held and held + counts[ts] > WINDOW_READINGS:
            yield begin, ts
            begin, held = ts, 0
        held += counts[ts]
    yield begin, end_ms
