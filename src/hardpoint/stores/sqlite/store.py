"""`SqliteStore`: the contract of `Store` put together from this folder's parts."""

# ruff: noqa: D102 - the public methods' contract is `Store`'s.

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, cast

import msgspec

from ...errors import StorageError
from ...model import COMMAND_FINAL_STATES, INT64_MIN, Command, DeleteReadings, Policy, Row, Series, Value
from ..base import Change, CheckReport, Done, Finding, R, Store
from ..retention import Plan, Step, limits_by_series
from .backup import back_up
from .checkpoint import Checkpointer
from .connections import connect_checkpointer, connect_writer, storage_error
from .folder import DataFolder
from .journal import Journal
from .layers import Range
from .legacy import reclaim
from .reader import Readers
from .records import TABLES, removes_readings, statements
from .schema import migrate, shipped_migrations
from .work import Work
from .writer import FOLD_IDLE_S, Job, Writer

if TYPE_CHECKING:
    from ...model import Stretch, Summary

log = logging.getLogger("hardpoint.store")

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
        try:
            connection = connect_writer(self._folder)
            self._connections.append(connection)
            self._schema = migrate(connection, self._folder, shipped_migrations())
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
        except BaseException:
            self._release()
            raise
        self._checkpointer = Checkpointer(self._connections[1])
        self._writer = Writer(
            connection, self._folder, self._journal, work, self._checkpointer, fold_idle_s=self._fold_idle_s
        )
        self._readers.open()
        self._checkpointer.start()
        self._writer.start()

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
        if self._writer is None:
            done(StorageError("the store is closed"))
            return
        # Encoded here and not by the writer: the caller may go on changing its records.
        encoded = [statement for change in changes for statement in statements(change)]
        self._writer.submit(Job(rows, encoded, any(map(removes_readings, changes)), done))

    def load(self, kind: type[R]) -> list[R]:
        table = TABLES[kind]
        with self._readers.connection() as connection:
            return [cast("R", table.decode(row)) for row in connection.execute(table.load_sql)]

    def latest(self, series: int | None = None) -> Iterator[Row]:
        return self._readers.latest(series)

    def stretches(self, series: int, start_ms: int, end_ms: int, *, newest_first: bool = False) -> Iterator[Stretch]:
        return self._readers.stretches(Range(series, start_ms, end_ms), newest_first=newest_first)

    def overview(
        self, series: int, start_ms: int, end_ms: int, edges: Sequence[int] = ()
    ) -> Iterator[Stretch | Summary]:
        return self._readers.overview(Range(series, start_ms, end_ms), edges)

    def extent(self, series: int) -> tuple[int, int] | None:
        return self._readers.extent(series)

    def backup(self, target: Path) -> None:
        back_up(self._readers, target)

    def check(self, *, repair: bool = False) -> CheckReport:
        with self._readers.snapshot(self._journal.count) as (connection, waiting):
            problems = [text for (text,) in connection.execute("PRAGMA quick_check") if text != "ok"]
            (folded,) = connection.execute("SELECT readings FROM totals").fetchone()
        findings = tuple(Finding("database", None, None, None, 0, problem, "reported") for problem in problems)
        return CheckReport(1, folded + waiting, findings)

    def plan(self, policy: Policy, now_ms: int) -> Plan:
        steps: list[Step] = []
        size_bytes = self._folder.size_bytes()
        for series in self.load(Series):
            limits = limits_by_series(policy, [series], now_ms).get(series.id)
            if limits is None or limits.drop_before_ms is None:
                continue
            times = [ts for ts, _ in self.readings(series.id, INT64_MIN, limits.drop_before_ms)]
            if times:
                end_ms = limits.drop_before_ms
                step = Step(series.id, series.device_id, series.key, "drop", "age", times[0], end_ms, len(times), 0)
                steps.append(step)
        return Plan(now_ms, size_bytes, tuple(steps))

    def retain(self, policy: Policy, now_ms: int) -> Plan:
        plan = self.plan(policy, now_ms)
        finished: SimpleQueue[StorageError | None] = SimpleQueue()
        self.commit([], [DeleteReadings(step.series, step.start_ms, step.end_ms) for step in plan.steps], finished.put)
        if (error := finished.get()) is not None:
            raise error
        return plan

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

    def next_command_id(self) -> int:
        with self._readers.connection() as connection:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'commands'").fetchone()
        return int(row[0]) + 1 if row is not None else 1

    def describe(self) -> dict[str, Value]:
        with self._readers.snapshot(self._journal.count) as (connection, waiting):
            (folded,) = connection.execute("SELECT readings FROM totals").fetchone()
        writer = self._writer
        return {
            "kind": "sqlite",
            "path": str(self._folder.database),
            "schema": self._schema,
            "size_bytes": self._folder.size_bytes(),
            "free_bytes": self._folder.free_bytes(),
            "readings": folded + waiting,
            "commits": writer.commits if writer is not None else 0,
            "failed_commits": writer.failures if writer is not None else 0,
        }
