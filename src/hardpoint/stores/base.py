"""The contract of a store. One suite (``tests/stores/test_contract.py``) runs on every implementation.

A store has one writer and many readers. `commit` is called on the event loop's thread and returns at once; the store
makes the batch durable on a thread of its own and then calls ``done`` **on that thread**. The caller hands over the
next batch only after ``done``: group commit is the hub's doing (everything that arrived while the last commit ran is
the next batch), so a store needs no queue. The read methods may be called from any thread, at any time, and see every
batch whose ``done`` was called.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, TypeVar

from ..errors import StorageError
from ..model import Change, Command, Delete, DeleteReadings, Put, Record, Row, Value

__all__ = ["Change", "Delete", "DeleteReadings", "Done", "Put", "Store"]

R = TypeVar("R", bound=Record)

Done: TypeAlias = Callable[[StorageError | None], None]


class Store(ABC):
    """Durable rows and records. Opened by `open`, usable until `close`."""

    @abstractmethod
    def open(self) -> None:
        """Take the data folder, migrate it to this version's schema and start the writer.

        Raises:
            FolderTaken: another process holds it; the message says which.
            SchemaMismatch: it was written by a newer version.
            StorageError: it cannot be read or written.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish the commit that is under way and release the folder. Idempotent."""

    @abstractmethod
    def commit(self, rows: Sequence[Row], changes: Sequence[Change], done: Done) -> None:
        """Make both durable in one transaction: the changes in their order, then the rows.

        A row with the series and time of an earlier one replaces it. ``done(None)`` is called once they are on disk,
        ``done(StorageError)`` when none of them is (`StorageFull` when space is what is missing); the next commit
        may then succeed again. Neither sequence may be changed by the caller afterwards.
        """

    @abstractmethod
    def load(self, kind: type[R]) -> list[R]:
        """Every record of a kind in the order of its key. Not for `Command`: see `commands`."""

    @abstractmethod
    def latest(self, series: int | None = None) -> Iterator[Row]:
        """For every series that has readings, or for that one alone, the row with the greatest time, by series."""

    @abstractmethod
    def readings(
        self, series: int, start_ms: int, end_ms: int, *, limit: int | None = None
    ) -> Iterator[tuple[int, Value]]:
        """``(ts, value)`` with ``start_ms <= ts < end_ms`` by ascending time, each time once, the last value winning.

        The iterator sees one moment: what is committed while it runs is not in it. It holds resources until it is
        exhausted or closed, and is used from one thread.
        """

    @abstractmethod
    def commands(
        self, *, device_id: str | None = None, before_id: int | None = None, limit: int = 100, open_only: bool = False
    ) -> list[Command]:
        """Commands by descending id, of one device or all; ``open_only`` leaves out those in a final state."""

    @abstractmethod
    def next_command_id(self) -> int:
        """One above the greatest id that was ever stored, also of a deleted device's commands."""

    @abstractmethod
    def describe(self) -> dict[str, Value]:
        """What `doctor`, health and the start message say: ``kind``, ``path``, ``schema``, ``size_bytes``,
        ``free_bytes`` (None where there is none) and ``readings`` (an estimate that costs nothing).
        """
