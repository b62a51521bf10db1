"""An import: records become readings, readings go to the server in batches, and each batch that is on its disk is noted
beside the file, so that an import that was interrupted goes on where it was.

What is sent twice is stored once, because series and time are the key; so a note that is a batch behind does no harm.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import BadInput, HardpointError, NotFound, RateLimited, TooLarge
from ...model import checked_ts

if TYPE_CHECKING:
    from ..client import Client
    from .columns import Columns, Found
    from .records import Record, Records

BATCH_READINGS = 5_000
"""At most so many a request: half of what the server takes, and some 200 KB."""
BATCH_BYTES = 768 * 1024
"""Of a request's body; the server's default limit is 1 MiB."""
SEND_TIMEOUT_S = 120.0
"""A batch is one commit; an SD card that is busy takes seconds."""
TRIES_WHEN_BUSY = 30
BUSY_WAIT_S = 1.0
SHOWN_PROBLEMS = 10
MAX_SERIES_TOLD = 10_000
"""In the report, with their times; a file of more is imported all the same."""


@dataclass(slots=True)
class Told:
    """What is known of one series of the file."""

    readings: int
    first: int
    last: int


@dataclass(slots=True)
class Report:
    """What an import did, or would do."""

    records: int = 0
    readings: int = 0
    stored_before: int = 0
    """Readings that earlier runs of an import stored, which were interrupted: they are not in the other counts."""
    empty: int = 0
    """Records that held no value at all."""
    outside: int = 0
    """Readings that are not between ``--from`` and ``--to``."""
    bad: int = 0
    problems: list[str] = field(default_factory=list)
    series: dict[str, Told] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    """Devices that did not exist."""

    def note(self, found: Found) -> None:
        """Count one reading that is to be stored."""
        self.readings += 1
        name = f"{found.device}:{found.key}"
        told = self.series.get(name)
        if told is not None:
            told.readings += 1
            told.first, told.last = min(told.first, found.ts), max(told.last, found.ts)
        elif len(self.series) < MAX_SERIES_TOLD:
            self.series[name] = Told(1, found.ts, found.ts)


class Place(msgspec.Struct):
    """How far an import has come, as it is kept beside the file."""

    of: str
    """Which file and which options: a note of another import counts for nothing."""
    line: int
    offset: int
    readings: int


class Notes:
    """The note beside a file, ``FILE.hardpoint-import``."""

    def __init__(self, path: Path | None, of: str) -> None:
        """``path`` None: nothing is kept."""
        self._path = path
        self._of = of
        self.outdated = False
        """The last note could not be written: the disk is full, or the folder is somebody else's."""

    def read(self) -> Place | None:
        """Where the same import stopped; None where there was none."""
        if self._path is None:
            return None
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=Place)
        except (OSError, msgspec.MsgspecError, UnicodeError):
            return None
        return found if found.of == self._of else None

    def write(self, record: Record, readings: int) -> None:
        """All records until this one are on the server's disk. Written whole or not at all; where it cannot be, the
        import goes on, and an older note stays, from which it would send more again than it must.
        """
        if self._path is None:
            return
        partial = self._path.with_name(f"{self._path.name}.partial")
        try:
            partial.write_bytes(msgspec.json.encode(Place(self._of, record.line, record.offset, readings)))
            partial.replace(self._path)
            self.outdated = False
        except OSError:
            self.outdated = True
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def clear(self) -> None:
        """The import came to its end."""
        if self._path is not None:
            with contextlib.suppress(OSError):  # the folder cannot be written: the same import finds nothing left to do
                self._path.unlink(missing_ok=True)


class Batch:
    """Readings that go to the server in one request."""

    def __init__(self) -> None:
        self.readings = 0
        self._points: dict[tuple[str, str], list[tuple[int, Any]]] = {}

    def add(self, found: Found) -> None:
        """Take one reading."""
        self._points.setdefault((found.device, found.key), []).append((found.ts, found.value))
        self.readings += 1

    def devices(self) -> set[str]:
        """Whose readings they are."""
        return {device for device, _ in self._points}

    def bodies(self) -> Iterable[bytes]:
        """The requests' bodies: one, but where values are large."""
        rows = [(device, key, *point) for (device, key), points in self._points.items() for point in points]
        return _bodies(rows)


def _bodies(rows: list[tuple[str, str, int, Any]]) -> Iterable[bytes]:
    series: dict[tuple[str, str], list[tuple[int, Any]]] = {}
    for device, key, ts, value in rows:
        series.setdefault((device, key), []).append((ts, value))
    body = msgspec.json.encode(
        {"series": [{"device": device, "key": key, "points": points} for (device, key), points in series.items()]}
    )
    if (len(body) <= BATCH_BYTES and len(rows) <= 2 * BATCH_READINGS) or len(rows) == 1:
        yield body
        return
    half = len(rows) // 2
    yield from _bodies(rows[:half])
    yield from _bodies(rows[half:])


@dataclass(slots=True)
class Import:
    """One run over one file. ``client`` None is a dry run: everything is read, nothing is sent."""

    records: Records
    columns: Columns
    parse: Callable[[Any], Any]
    client: Client | None
    notes: Notes
    start_ms: int | None = None
    end_ms: int | None = None
    skip_bad: bool = False
    create: bool = False
    report: Report = field(default_factory=Report)
    known: set[str] = field(default_factory=set)

    def go_on(self) -> Place | None:
        """Continue behind what an interrupted run of the same import has noted; None where there was none."""
        place = self.notes.read()
        if place is not None:
            self.records.go_on(place.line, place.offset)
            self.report.stored_before = place.readings
        return place

    def run(self, progress: Callable[[Record, Report], None]) -> Report:
        """Go through the file. ``progress(record, report)`` is called with each batch that is on the server's disk.

        Raises:
            BadInput: a record cannot be used, and ``skip_bad`` is not set; a device does not exist, nor is to be made.
            HardpointError: the server refused a batch, or is gone. All before it is stored, and noted.
        """
        batch = Batch()
        record = None
        for record in self.records:
            self.report.records += 1
            self._read(record, batch)
            if batch.readings >= BATCH_READINGS:
                self._send(batch)
                self.notes.write(record, self.report.stored_before + self.report.readings)
                progress(record, self.report)
                batch = Batch()
        if record is not None:
            self._send(batch)
            progress(record, self.report)
        self.notes.clear()
        return self.report

    def _read(self, record: Record, batch: Batch) -> None:
        report = self.report
        try:
            if record.fields is None:
                raise BadInput(record.problem)
            # A record is taken whole or not at all.
            found = list(self.columns.readings(record.fields, self.parse))
            kept = [each for each in found if self._within(each.ts)]
            for each in kept:
                checked_ts(each.ts)
        except (BadInput, TooLarge) as error:
            report.bad += 1
            if not self.skip_bad and self.client is not None:
                hint = error.hint or "--dry-run looks at the whole file, --skip-bad leaves such records out"
                raise BadInput(f"line {record.line}: {error.message}", hint=hint) from None
            if len(report.problems) < SHOWN_PROBLEMS:
                report.problems.append(f"line {record.line}: {error.message}")
            return
        report.empty += not found
        report.outside += len(found) - len(kept)
        for each in kept:
            batch.add(each)
            report.note(each)

    def _within(self, ts: int) -> bool:
        return (self.start_ms is None or ts >= self.start_ms) and (self.end_ms is None or ts < self.end_ms)

    def _send(self, batch: Batch) -> None:
        if self.client is None or not batch.readings:
            return
        for device in sorted(batch.devices() - self.known):
            self._find(self.client, device)
        for body in batch.bodies():
            self._post(self.client, body)

    def _find(self, client: Client, device: str) -> None:
        try:
            client.get("/api/devices", device)
        except NotFound:
            if not self.create:
                raise NotFound(f"there is no device {device!r}", hint="--create makes those that are missing") from None
            client.call("POST", "/api/devices", body={"name": device})
            self.report.made.append(device)
        self.known.add(device)

    def _post(self, client: Client, body: bytes) -> None:
        """The next batch goes when this one is on disk: the server's pace is ours."""
        for tries_left in reversed(range(TRIES_WHEN_BUSY)):
            try:
                client.call("POST", "/api/readings", body=msgspec.Raw(body), timeout_s=SEND_TIMEOUT_S)
            except RateLimited:
                if not tries_left:
                    raise
                time.sleep(BUSY_WAIT_S)
            except HardpointError as error:
                error.hint = error.hint or self._how_to_go_on()
                raise
            else:
                return

    def _how_to_go_on(self) -> str:
        if self.notes.outdated:
            return (
                "what was sent before is stored, but there is no room for the note of it beside the file: "
                "the same command sends some of it again, which stores nothing twice"
            )
        return "what was sent before is stored: the same command goes on from there"
