"""A file as records, name → field, each with the place behind it: whoever knows that place can go on from there.

One line is held at a time, so a file may be of any length.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from ...errors import BadInput

MAX_LINE_BYTES = 4 * 2**20
"""A longer line is no line: the file is something else."""
FORMATS = ("csv", "ndjson")


class Record(NamedTuple):
    """One record: ``fields`` is None for one that cannot be read, and ``problem`` says why."""

    fields: dict[str, Any] | None
    problem: str
    line: int
    offset: int
    """Bytes from the file's beginning (unpacked) to behind this record."""


def format_of(path: Path) -> str | None:
    """The format that a file's name tells."""
    suffixes = [each.lower() for each in path.suffixes if each.lower() != ".gz"]
    return {".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}.get(suffixes[-1] if suffixes else "")


def open_file(path: Path) -> IO[bytes]:
    """The file's content, unpacked where its name ends in ``.gz``.

    Raises:
        BadInput: it cannot be opened.
    """
    try:
        return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from error


class Records:
    """The records of an open file. Iterate once."""

    def __init__(self, file: IO[bytes], form: str, *, delimiter: str = ",") -> None:
        """Read the head line of a CSV file.

        Raises:
            BadInput: the file has none, or cannot be read.
        """
        self._file = file
        self._form = form
        self._delimiter = delimiter
        self._line = 0
        self._offset = 0
        self.names: list[str] = []
        """The columns of a CSV file, in their order."""
        if form == "csv":
            try:
                head = next(csv.reader(self._lines(), delimiter=delimiter), None)
            except csv.Error as error:  # one field beyond csv's own limit: it is something else than a table
                raise BadInput(f"line 1 names no columns: {error}") from None
            if not head:
                raise BadInput("the file is empty: its first line should name the columns")
            self.names = [name.strip() for name in head]
            if len(set(self.names)) < len(self.names):
                raise BadInput("two columns have the same name")

    def go_on(self, line: int, offset: int) -> None:
        """Continue behind a record that was read before."""
        self._file.seek(offset)
        self._line, self._offset = line, offset

    def __iter__(self) -> Iterator[Record]:
        """
        Raises:
            BadInput: the rest cannot be read.
        """
        return self._of_csv() if self._form == "csv" else self._of_ndjson()

    def _lines(self) -> Iterator[str]:
        while data := self._next_line():
            if len(data) == MAX_LINE_BYTES:
                raise BadInput(f"line {self._line + 1} has more than {MAX_LINE_BYTES} bytes")
            self._offset += len(data)
            self._line += 1
            # A spreadsheet's byte order mark, and what is not UTF-8, must not make a row unreadable.
            yield data.decode("utf-8-sig" if self._line == 1 else "utf-8", "replace")

    def _next_line(self) -> bytes:
        try:
            return self._file.readline(MAX_LINE_BYTES)
        except (OSError, EOFError, zlib.error) as error:  # what was packed is cut off, damaged, or was never packed
            raise BadInput(f"behind line {self._line} the file cannot be read: {error}") from error

    def _of_csv(self) -> Iterator[Record]:
        names = self.names
        rows = csv.reader(self._lines(), delimiter=self._delimiter)
        while True:
            try:
                row = next(rows, None)
            except csv.Error as error:  # a quote that never ends, as a rule: the field passes csv's own limit
                yield Record(None, str(error), self._line, self._offset)
                continue
            if row is None:
                return
            if not row:
                continue
            if len(row) == len(names):
                yield Record(dict(zip(names, row, strict=True)), "", self._line, self._offset)
            else:
                problem = f"{len(row)} fields under {len(names)} columns"
                yield Record(None, problem, self._line, self._offset)

    def _of_ndjson(self) -> Iterator[Record]:
        decoder = msgspec.json.Decoder(dict[str, Any])
        for text in self._lines():
            if not text.strip():
                continue
            try:
                yield Record(decoder.decode(text), "", self._line, self._offset)
            except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
                yield Record(None, f"not a JSON object: {error}", self._line, self._offset)
