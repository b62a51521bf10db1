"""Folding: moving the journal's readings into their table, in slices that commits can go between."""

from __future__ import annotations

import sqlite3

from .journal import Journal, to_column

INSERT_SIZES = (256, 32, 4, 1)
"""Rows a statement. One step of the sqlite3 module releases the GIL and takes it again, so few large statements beat
`executemany`'s one row a step; four sizes keep four prepared statements for any number of rows.
"""
_INSERTS = {
    size: f"INSERT OR REPLACE INTO readings VALUES {', '.join(['(?, ?, ?)'] * size)}"  # noqa: S608 - only marks
    for size in INSERT_SIZES
}


class Fold:
    """One pass over what the journal held when it began.

    The rows are sorted by series and time, so that each page of the table is written once a pass and not once a
    slice. The journal's own rows go with the last slice: until then a reading may be in both places, which readers
    and a pass that begins again after a crash do not mind, since the journal's value is the one that wins.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._last_seq = journal.next_seq - 1
        self._values = {(series, ts): value for rows in list(journal.batches.values()) for series, ts, value in rows}
        self._keys = sorted(self._values)
        self._done = 0

    @property
    def finished(self) -> bool:
        """Nothing is left, and the journal has let go of what was folded."""
        return self._done > len(self._keys)

    def step(self, connection: sqlite3.Connection, max_rows: int) -> int:
        """Fold up to so many rows in one transaction, and return about how many pages it wrote.

        Raises:
            sqlite3.Error: nothing of this slice is done; calling again tries it again.
        """
        keys = self._keys[self._done : self._done + max_rows]
        last = self._done + max_rows >= len(self._keys)
        connection.execute("BEGIN IMMEDIATE")
        try:
            position = 0
            for size in INSERT_SIZES:
                while len(keys) - position >= size:
                    parameters: list[float | int | str | bytes | None] = []
                    for key in keys[position : position + size]:
                        parameters += (*key, to_column(self._values[key]))
                    connection.execute(_INSERTS[size], parameters)
                    position += size
            if last:
                connection.execute("UPDATE totals SET readings = readings + ?", (len(self._keys),))
                connection.execute("DELETE FROM journal WHERE seq <= ?", (self._last_seq,))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        if last:
            self._journal.drop(self._last_seq)
        self._done = len(self._keys) + 1 if last else self._done + max_rows
        return len({series for series, _ in keys}) + len(keys) // 128 + 2
