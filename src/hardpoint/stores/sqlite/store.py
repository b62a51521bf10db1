"""`SqliteStore`: the contract of `Store` put together from this folder's parts.

What only somebody asks for now and then (a check, a backup, retention) is imported then: 10 ms of each start.
"""

# ruff: noqa: D102 - the public methods' contract is `Store`'s.

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar, cast

import msgspec

from ...errors import StorageError
from ...model import COMMAND_FINAL_STATES, AuditEntry, Command, DeleteReadings, Policy, Row, Series, Value
from ..base import Change, CheckReport, Copied, Done, R, Store
from ..retention import Plan, limits_by_series
from .checkpoint import Checkpointer
from .connections import connect_checkpointer, connect_writer, storage_error
from .folder import DataFolder
from .journal import Journal
from .layers import Range
from .legacy import reclaim
from .reader import Readers
from .records import TABLES, removes_readings, statements
from .schema import migrate, shipped_migrations
from .work import Task, Work
from .writer import FOLD_IDLE_S, Job, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from ...model import Stretch, Summary
    from ..packages import PackageFiles

T = TypeVar("T")

log = logging.getLogger("hardpoint.store")

DROPS_A_COMMIT = 64
"""Ranges of series: a few milliseconds of statements."""

_FINAL_STATES_SQL = ", ".join(f"'{state}'" for state in sorted(COMMAND_FINAL_STATES))
# Spelled as in the partial index `open_commands`, or SQLite does not see that the index serves.


class SqliteStore(Store):
    """Readings and records in ``<folder>/hardpoint.db``."""

    def __init__(self, folder: Path, *, fold_idle_s: float = FOLD_IDLE_S) -> None:
        self._folder = DataFolder(Path(folder))
        self._fold_idle_s = fold_idle_s
        self._journal = Journal()
        self._readers = Readers(self._folder, self._journal)
        self._connections: list[sqlite3.Connection] = []
        self._schema = 0
        self._writer: Writer | None = None
        self._checkpointer: Checkpointer | None = None

    def open(self) -> None:
        self._folder.take()
        left_bytes = self._folder.log_bytes()
        try:
            connection = connect_writer(self._folder)
            self._connections.append(connection)
            self._schema = migrate(connection, self._folder, shipped_migrations())
            self._unpack(connection)
            reclaim(connection, self._folder)
            self._journal.load(connection)
            work = Work.load(connection, self._journal)
            self._connections.append(connect_checkpointer(self._folder))
        except sqlite3.DatabaseError as error:
            self._release()
            raise storage_error(error, self._folder) from error
        except msgspec.MsgspecError as error:
            self._release()
            raise StorageError(f"the journal in {self._folder.path} cannot be read: {error}") from error
        except (TypeError, ValueError) as error:  # NULL or text where a number was: a page that is torn
            self._release()
            raise StorageError(
                f"the database in {self._folder.path} is damaged: {error}",
                hint="bring back a backup with 'hardpoint store restore', into another folder",
            ) from error
        except BaseException:
            self._release()
            raise
        if left_bytes:  # who ends cleanly removes it
            log.info(
                "the last process in %s was cut off: of its write-ahead log of %d bytes all whole commits are taken "
                "over, %d readings wait in the journal",
                self._folder.path,
                left_bytes,
                self._journal.readings,
            )
        self._checkpointer = Checkpointer(self._connections[1])
        self._writer = Writer(
            connection, self._folder, self._journal, work, self._checkpointer, fold_idle_s=self._fold_idle_s
        )
        self._readers.open()
        self._checkpointer.start()
        self._writer.start()

    def _unpack(self, connection: sqlite3.Connection) -> None:
        from .carried import is_carrying, unpack

        if is_carrying(connection):
            unpack(connection, self._packages())

    def _packages(self) -> PackageFiles:
        from ..packages import FOLDER, PackageFiles

        return PackageFiles(self._folder.path / FOLDER)

    def close(self) -> None:
        if self._writer is None or self._checkpointer is None:
            return
        writer, self._writer = self._writer, None
        writer.stop()
        self._checkpointer.stop()
        self._readers.close()
        try:
            # PASSIVE: a reader that is not done yet must not hold up the end of the server. The log is removed by
            # whoever closes the last connection.
            self._connections[0].execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            # A full disk: what could not be moved stays in the log, and the next start finds it there.
            log.warning("the write-ahead log stays: %s", storage_error(error, self._folder))
        self._release()

    def _release(self) -> None:
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._folder.release()

    def commit(self, rows: Sequence[Row], changes: Sequence[Change], done: Done) -> None:
        writer = self._writer  # once: another thread may close the store meanwhile
        if writer is None:
            done(StorageError("the store is closed"))
            return
        # Encoded here and not by the writer: the caller may go on changing its records.
        encoded = [statement for change in changes for statement in statements(change)]
        writer.submit(Job(rows, encoded, any(map(removes_readings, changes)), done))

    def load(self, kind: type[R], device_id: str | None = None) -> list[R]:
        table = TABLES[kind]
        sql, given = (table.load_sql, ()) if device_id is None else (table.of_device_sql, (device_id,))
        with self._readers.connection() as connection:
            return [cast("R", table.decode(row)) for row in connection.execute(sql, given)]

    def latest(self, series: int | None = None) -> Iterator[Row]:
        return self._readers.latest(series)

    def stretches(self, series: int, start_ms: int, end_ms: int, *, newest_first: bool = False) -> Iterator[Stretch]:
        return self._readers.stretches(Range(series, start_ms, end_ms), newest_first=newest_first)

    def overview(
        self, series: int, start_ms: int, end_ms: int, edges: Sequence[int] = (), *, widest_ms: int | None = None
    ) -> Iterator[Stretch | Summary]:
        return self._readers.overview(Range(series, start_ms, end_ms), edges, widest_ms)

    def extent(self, series: int) -> tuple[int, int] | None:
        return self._readers.extent(series)

    def backup(self, target: Path) -> None:
        from .backup import back_up

        back_up(self._readers, self._packages(), target)

    def look_into(self, copy: Path) -> Copied:
        from .carried import look_into

        return look_into(copy)

    def check(self, *, repair: bool = False) -> CheckReport:
        from .check import look, repairing

        pieces, findings, problems = look(self._readers)
        if repair and problems:
            done = self._do(lambda connection, _: repairing(connection, problems))
        else:
            done = [problem.finding("reported") for problem in problems]
        return CheckReport(pieces, self._readings(), (*findings, *done))

    def plan(self, policy: Policy, now_ms: int) -> Plan:
        from .retain import make_plan, oldest_limit, thinned_before

        known = self.load(Series)
        before_ms = oldest_limit(limits_by_series(policy, known, now_ms).values())
        while True:
            self._settle(before_ms)
            with self._readers.snapshot(lambda span: span) as (connection, _):
                plan = make_plan(connection, known, policy, now_ms)
            if thinned_before(plan.steps) <= before_ms:
                return plan
            # For the size it goes further than for any age: what came late or again for that must be in chunks too.
            before_ms = thinned_before(plan.steps)

    def _settle(self, before_ms: int) -> None:
        """Have everything in chunks if anything outside of them is before this time."""
        from .retain import anything_old_outside_chunks

        def settle(connection: sqlite3.Connection, work: Work) -> Generator[int]:
            if self._journal.oldest_ms() < before_ms or anything_old_outside_chunks(connection, before_ms):
                yield from work.everything_in_chunks(connection)

        self._do(settle)

    def retain(self, policy: Policy, now_ms: int) -> Plan:
        plan = self.plan(policy, now_ms)
        if not plan.steps:
            return plan
        from .retain import thinning, vacuuming

        dropped = [step for step in plan.steps if step.action == "drop"]
        for start in range(0, len(dropped), DROPS_A_COMMIT):
            self._commit_and_wait(
                [
                    DeleteReadings(step.series, step.start_ms, step.end_ms)
                    for step in dropped[start : start + DROPS_A_COMMIT]
                ]
            )

        def work_off(connection: sqlite3.Connection, work: Work) -> Generator[int]:
            while work.purges.waiting:  # first: of a chunk that is cut, what is left may be thinned
                yield work.purges.step(connection)
            yield from thinning(connection, self._journal, [step for step in plan.steps if step.action == "thin"])
            yield from vacuuming(connection)

        self._do(work_off)
        return plan

    def _readings(self) -> int:
        with self._readers.snapshot(self._journal.count) as (connection, waiting):
            row = connection.execute("SELECT readings - in_journal FROM totals").fetchone()
        folded = 0 if row is None or row[0] is None else int(row[0])  # a damaged page: `check` tells it
        return folded + waiting

    def _do(self, steps: Callable[[sqlite3.Connection, Work], Generator[int, None, T]]) -> T:
        """Have the writer do this between commits, and wait for it.

        Raises:
            StorageError: it failed, or the store was closed meanwhile.
        """
        writer = self._writer
        if writer is None:
            raise StorageError("the store is closed")
        task = Task(steps(writer.connection, writer.work))
        writer.ask(task)
        try:
            return task.wait()
        except sqlite3.Error as error:
            raise storage_error(error, self._folder) from error

    def _commit_and_wait(self, changes: Sequence[Change]) -> None:
        finished: SimpleQueue[StorageError | None] = SimpleQueue()
        self.commit([], changes, finished.put)
        if (error := finished.get()) is not None:
            raise error

    def commands(
        self, *, device_id: str | None = None, before_id: int | None = None, limit: int = 100, open_only: bool = False
    ) -> list[Command]:
        table = TABLES[Command]
        conditions: list[str] = []
        parameters: list[str | int] = []
        if device_id is not None:
            conditions.append("device_id = ?")
            parameters.append(device_id)
        if before_id is not None:
            conditions.append("id < ?")
            parameters.append(before_id)
        if open_only:
            conditions.append(f"state NOT IN ({_FINAL_STATES_SQL})")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        with self._readers.connection() as connection:
            rows = connection.execute(f"{table.select_sql}{where} ORDER BY id DESC LIMIT ?", (*parameters, limit))
            return [cast("Command", table.decode(row)) for row in rows]

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
        given: list[tuple[str, str | int | None]] = [
            ("id < ?", before_id),
            ("at_ms < ?", until_ms),
            ("who = ?", who),
            ("(what = ? OR substr(what, 1, length(?) + 1) = ? || '.')", what),
            ("device_id = ?", device_id),
        ]
        chosen = [(condition, value) for condition, value in given if value is not None]
        where = f" WHERE {' AND '.join(condition for condition, _ in chosen)}" if chosen else ""
        bound = [value for condition, value in chosen for _ in range(condition.count("?"))]
        table = TABLES[AuditEntry]
        with self._readers.connection() as connection:
            rows = connection.execute(
                f"{table.select_sql}{where} ORDER BY id DESC LIMIT ?",
                (*bound, limit),
            )
            return [cast("AuditEntry", table.decode(row)) for row in rows]

    def next_command_id(self) -> int:
        with self._readers.connection() as connection:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'commands'").fetchone()
        return int(row[0]) + 1 if row is not None else 1

    @property
    def failed_work(self) -> int:
        writer = self._writer
        return writer.failed_slices if writer is not None else 0

    def describe(self) -> dict[str, Value]:
        writer = self._writer
        return {
            "kind": "sqlite",
            "path": str(self._folder.database),
            "schema": self._schema,
            "size_bytes": self._folder.size_bytes(),
            "free_bytes": self._folder.free_bytes(),
            "readings": self._readings(),
            "commits": writer.commits if writer is not None else 0,
            "failed_commits": writer.failures if writer is not None else 0,
        }
