"""The journal: committed batches that are not folded yet, on disk as one row a commit and here as they were handed in.

The rows in memory are what folding and readers use; those on disk are read once, when the store opens after a crash.
A reader needs them as of its own snapshot: it asks SQLite, in one step inside its read transaction, which ``seq`` the
journal spans, and takes exactly these from here. Reading the blobs instead would be one step a commit, and every step
of the sqlite3 module releases the GIL and takes it again: thousands of hand-overs with the event loop's thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from ...model import INT64_MAX, INT64_MIN, Row, Value

BYTES_A_READING = 64
"""Of a batch's blob, at most, before its readings count as more than their number."""
APPEND_SQL = "INSERT INTO journal (seq, batch) VALUES (?, ?)"
_SPAN_SQL = "SELECT (SELECT min(seq) FROM journal), (SELECT max(seq) FROM journal)"
# One SELECT with both would scan the table: SQLite's shortcut to either end holds for a lone min or max only.

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[tuple[int, int, Any]])


class Journal:
    """Batches by ``seq``, without gaps. The writer's thread changes it; readers take from it."""

    def __init__(self) -> None:
        self.batches: dict[int, Sequence[Row]] = {}
        self._weights: dict[int, int] = {}
        self.readings = 0
        """Rows in all batches, large values counted as several: what folding is due by."""
        self.next_seq = 1

    def load(self, connection: sqlite3.Connection) -> None:
        """Forget everything, and take over what the last process left.

        Raises:
            msgspec.DecodeError: a row is no batch.
        """
        self.batches.clear()
        self._weights.clear()
        self.readings = 0
        for seq, blob in connection.execute("SELECT seq, batch FROM journal ORDER BY seq"):
            self.add(seq, decode_batch(blob), len(blob))

    def add(self, seq: int, rows: Sequence[Row], blob_bytes: int = 0) -> None:
        """Note a batch **before** its transaction commits: a reader may see it there at once."""
        self.batches[seq] = rows
        # A plain reading is some 20 bytes of its blob; what is far larger counts as several.
        self._weights[seq] = max(len(rows), blob_bytes // BYTES_A_READING)
        self.readings += self._weights[seq]
        self.next_seq = seq + 1

    def take_back(self, seq: int) -> None:
        """The transaction of the newest batch failed."""
        del self.batches[seq]
        self.readings -= self._weights.pop(seq)
        self.next_seq = seq

    def drop(self, last_seq: int) -> None:
        """Forget the batches up to and with this one, **after** the transaction that folded them."""
        for seq in [seq for seq in self.batches if seq <= last_seq]:
            del self.batches[seq]
            self.readings -= self._weights.pop(seq)

    def as_seen_by(self, connection: sqlite3.Connection) -> list[Sequence[Row]]:
        """The batches, oldest first, of the read transaction that this connection is in, or begins here.

        Raises:
            KeyError: one of them was folded just now. The transaction still sees it in the journal: begin another.
        """
        first, last = connection.execute(_SPAN_SQL).fetchone()
        if first is None:
            return []
        return [self.batches[seq] for seq in range(first, last + 1)]


def encode_batch(rows: Sequence[Row]) -> bytes:
    """Rows as the journal keeps them.

    Raises:
        TypeError, UnicodeEncodeError: a value that no JSON document holds.
    """
    try:
        return _encoder.encode(rows)
    except OverflowError:
        # An integer beyond 64 bits inside an object or array: msgpack has none, JSON spells it out.
        return _encoder.encode([(series, ts, to_column(value)) for series, ts, value in rows])


def decode_batch(blob: bytes) -> list[Row]:
    """What `encode_batch` was given, except that a value may be in its column's form: see `from_column`."""
    return _decoder.decode(blob)


def to_column(value: Value) -> float | int | str | bytes | None:
    """A value as the column ``readings.value`` keeps it; what is in that form already stays as it is."""
    kind = type(value)
    if kind is float or kind is str or kind is bytes or value is None:
        return value  # type: ignore[no-any-return]
    if kind is int:
        return value if INT64_MIN <= value <= INT64_MAX else str(value)  # as `checked_value` does
    return msgspec.json.encode(value)


def from_column(column: Any) -> Value:
    """The value that `to_column` was given."""
    return msgspec.json.decode(column) if type(column) is bytes else column
