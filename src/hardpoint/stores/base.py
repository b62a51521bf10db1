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
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, TypeVar

from ..errors import StorageError
from ..model import (
    AuditEntry,
    Change,
    Command,
    Delete,
    DeleteAudit,
    DeleteReadings,
    EndAttachment,
    Keep,
    Policy,
    Put,
    Record,
    Row,
    Stretch,
    Summary,
    Value,
)
from .retention import Plan, Step

__all__ = [
    "Change",
    "CheckReport",
    "Copied",
    "Delete",
    "DeleteAudit",
    "DeleteReadings",
    "Done",
    "EndAttachment",
    "Finding",
    "Keep",
    "Plan",
    "Policy",
    "Put",
    "Step",
    "Store",
    "Stretch",
    "Summary",
]

R = TypeVar("R", bound=Record)

Done: TypeAlias = Callable[[StorageError | None], None]


class Finding(NamedTuple):
    """One thing that `Store.check` found wrong. ``series`` and the range are None where it concerns none."""

    place: str
    series: int | None
    start_ms: int | None
    end_ms: int | None
    readings: int
    """How many readings it concerns; 0 where that is not known, or none is lost."""
    problem: str
    done: Literal["reported", "repaired", "quarantined"]


class CheckReport(NamedTuple):
    """What `Store.check` looked at, and what was wrong; nothing, when ``findings`` is empty."""

    pieces: int
    readings: int
    findings: tuple[Finding, ...]


class Copied(NamedTuple):
    """What of the firmware packages that a copy tells of is in it: how many files, and how many are missing."""

    packages: int
    missing: int


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
    def load(self, kind: type[R], device_id: str | None = None) -> list[R]:
        """Every record of a kind in the order of its key, or only those with that ``device_id``. Not for `Command`: see
        `commands`.
        """

    @abstractmethod
    def latest(self, series: int | None = None) -> Iterator[Row]:
        """For every series that has readings, or for that one alone, the row with the greatest time, by series."""

    @abstractmethod
    def stretches(self, series: int, start_ms: int, end_ms: int, *, newest_first: bool = False) -> Iterator[Stretch]:
        """The readings with ``start_ms <= ts < end_ms`` in pieces of at most `PIECE_READINGS`, the last value winning.

        The pieces come by ascending time, or descending with ``newest_first``; within one the times ascend in either
        case. The iterator sees one moment: what is committed while it runs is not in it. It holds resources until it
        is exhausted or closed, and is used from one thread. Of a stretch that retention thinned the readings that are
        left come: the first, the least, the greatest and the last.
        """

    @abstractmethod
    def overview(
        self, series: int, start_ms: int, end_ms: int, edges: Sequence[int] = (), *, widest_ms: int | None = None
    ) -> Iterator[Stretch | Summary]:
        """The same range by ascending time, with summaries in the place of readings where the store has them.

        A `Summary` stands for a closed piece that lies whole inside the range and between two neighbouring ``edges``
        (ascending times; a piece lies on one side of an edge when all its readings are before it, or none is).
        With ``widest_ms`` it holds numbers alone, and its last reading is at most so long after its first. Everything
        else comes as `Stretch`. How a range is divided is the store's affair and may change between calls.
        """

    @abstractmethod
    def extent(self, series: int) -> tuple[int, int] | None:
        """The times of the first and the last reading; None where there is none. What is damaged counts until it is
        repaired.
        """

    def readings(
        self, series: int, start_ms: int, end_ms: int, *, limit: int | None = None
    ) -> Iterator[tuple[int, Value]]:
        """``(ts, value)`` of `stretches` one by one, at most ``limit``."""
        return _one_by_one(self.stretches(series, start_ms, end_ms), limit)

    @abstractmethod
    def backup(self, target: Path) -> None:
        """Write one consistent copy of everything that was committed before the call, while commits go on.

        Firmware packages go along. One that is removed meanwhile may be left out, with its record. Opened as a store of
        its own the copy has all of it. Blocks the calling thread until the copy is whole and on disk; until then
        ``target`` does not exist.

        Raises:
            StorageError: ``target`` exists or cannot be written, or the store keeps nothing that a file could hold.
        """

    @abstractmethod
    def look_into(self, copy: Path) -> Copied:
        """What a file holds that `backup` made, in this version or an earlier one, which left out packages.

        Raises:
            StorageError: it is none, or cannot be read.
        """

    @abstractmethod
    def check(self, *, repair: bool = False) -> CheckReport:
        """Read everything and verify it. With ``repair`` what can be is put right, and what is damaged is taken out of
        the readers' way and kept aside. Blocks the calling thread; commits go on.
        """

    @abstractmethod
    def plan(self, policy: Policy, now_ms: int) -> Plan:
        """What `retain` would do at this time. Blocks the calling thread; changes nothing that a reader sees."""

    @abstractmethod
    def retain(self, policy: Policy, now_ms: int) -> Plan:
        """Do what `plan` says, in slices that commits go between, and return what was done. Space goes back to the
        disk. A store without a disk drops what is old enough and thins nothing.

        Blocks the calling thread until it is done.

        Raises:
            StorageError: the disk is full, or the store was closed meanwhile; what was done until then is done.
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
    def audit(
        self,
        *,
        before_id: int | None = None,
        until_ms: int | None = None,
        who: str | None = None,
        what: str | None = None,
        device_id: str | None = None,
        limit: int = 100,
    ) -> list[AuditEntry]:
        """Audit entries by descending id: those with ``id < before_id``, ``at_ms < until_ms``, of somebody, of a deed
        or a family of deeds (``devices`` is ``devices.create`` as well), about a device.
        """

    @property
    def failed_work(self) -> int:
        """How often something between commits failed since the start, like folding; it is tried again by itself."""
        return 0

    @abstractmethod
    def describe(self) -> dict[str, Value]:
        """What `doctor`, health and the start message say: ``kind``, ``path``, ``schema``, ``size_bytes``,
        ``free_bytes`` (None where there is none) and ``readings`` (an estimate that costs nothing).
        """


def _one_by_one(stretches: Iterator[Stretch], limit: int | None) -> Iterator[tuple[int, Value]]:
    rows = (row for times, values in stretches for row in zip(times, values, strict=True))
    yield from islice(rows, limit)
