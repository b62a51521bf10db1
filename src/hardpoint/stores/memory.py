"""A store that keeps everything in memory: for tests, demonstrations and machines without a disk worth writing to."""

# ruff: noqa: D102 - the public methods' contract is `Store`'s.

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias, cast

from ..errors import StorageError, StorageFull
from ..model import (
    COMMAND_FINAL_STATES,
    RECORD_TYPES,
    Alert,
    Attachment,
    Attribute,
    AuditEntry,
    Claim,
    Command,
    Device,
    Habit,
    Json,
    Policy,
    Record,
    Row,
    RuleState,
    Series,
    Stretch,
    Summary,
    Value,
)
from .base import Change, CheckReport, Copied, Delete, DeleteAudit, DeleteReadings, Done, EndAttachment, Put, R, Store
from .pieces import cut
from .retention import Plan, Step, limits_by_series

log = logging.getLogger("hardpoint.store")

MAX_READINGS = 1_000_000
"""About 150 MB of plain numbers. Beyond it a commit gets `StorageFull`, as on a full disk."""

Key: TypeAlias = tuple[Json, ...]
_Job: TypeAlias = tuple[Sequence[Row], Sequence[Change], Done]


class MemoryStore(Store):
    """The contract of `Store` without a disk: what it holds is gone when the process ends.

    It has a writer thread although it needs none, so that ``done`` arrives as it does from a store with a disk.
    """

    def __init__(self, *, max_readings: int = MAX_READINGS) -> None:
        self.max_readings = max_readings
        self._lock = threading.Lock()
        self._records: dict[type, dict[Key, Record]] = {kind: {} for kind in RECORD_TYPES}
        self._readings: dict[int, dict[int, Value]] = {}
        self._count = 0
        self._next_command_id = 1
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        self._thread = threading.Thread(target=self._write, name="hardpoint-store", daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def commit(self, rows: Sequence[Row], changes: Sequence[Change], done: Done) -> None:
        if self._thread is None:
            done(StorageError("the store is closed"))
            return
        # The caller may go on changing its records: the batch is what they are now.
        self._jobs.put((rows, copy.deepcopy(changes), done))

    def load(self, kind: type[R], device_id: str | None = None) -> list[R]:
        with self._lock:
            records = [cast("R", record) for _, record in sorted(self._records[kind].items())]
            wanted = [each for each in records if device_id is None or cast("Habit", each).device_id == device_id]
            return copy.deepcopy(wanted)

    def latest(self, series: int | None = None) -> Iterator[Row]:
        with self._lock:
            chosen = sorted(self._readings) if series is None else [series] if series in self._readings else []
            rows = [(one, ts := max(self._readings[one]), self._readings[one][ts]) for one in chosen]
        return iter(rows)

    def stretches(self, series: int, start_ms: int, end_ms: int, *, newest_first: bool = False) -> Iterator[Stretch]:
        with self._lock:
            values = self._readings.get(series, {})
            times = sorted(ts for ts in values if start_ms <= ts < end_ms)
            found = [values[ts] for ts in times]
        return cut(times, found, newest_first=newest_first)

    def overview(
        self, series: int, start_ms: int, end_ms: int, edges: Sequence[int] = (), *, widest_ms: int | None = None
    ) -> Iterator[Stretch | Summary]:
        return self.stretches(series, start_ms, end_ms)  # nothing is closed here: no summary is kept

    def extent(self, series: int) -> tuple[int, int] | None:
        with self._lock:
            values = self._readings.get(series)
            return (min(values), max(values)) if values else None

    def backup(self, target: Path) -> None:
        raise StorageError("the store is in memory: there is nothing to back up", hint="start with a data folder")

    def look_into(self, copy: Path) -> Copied:
        raise StorageError("the store is in memory: it has no copies")

    def check(self, *, repair: bool = False) -> CheckReport:
        with self._lock:
            return CheckReport(len(self._readings), self._count, ())

    def plan(self, policy: Policy, now_ms: int) -> Plan:
        steps: list[Step] = []
        known = self.load(Series)
        for series in known:
            limits = limits_by_series(policy, [series], now_ms).get(series.id)
            if limits is None or limits.drop_before_ms is None:
                continue
            with self._lock:
                times = [ts for ts in self._readings.get(series.id, ()) if ts < limits.drop_before_ms]
            if times:
                begin, end = min(times), limits.drop_before_ms
                steps.append(Step(series.id, series.device_id, series.key, "drop", "age", begin, end, len(times), 0))
        return Plan(now_ms, 0, tuple(steps))

    def retain(self, policy: Policy, now_ms: int) -> Plan:
        plan = self.plan(policy, now_ms)
        finished = threading.Event()
        self.commit(
            [],
            [DeleteReadings(step.series, step.start_ms, step.end_ms) for step in plan.steps],
            lambda _: finished.set(),
        )
        finished.wait()
        return plan

    def commands(
        self,
        *,
        device_id: str | None = None,
        before_id: int | None = None,
        limit: int = 100,
        open_only: bool = False,
    ) -> list[Command]:
        found: list[Command] = []
        with self._lock:
            for _, record in sorted(self._records[Command].items(), reverse=True):
                command = cast("Command", record)
                if len(found) >= limit:
                    break
                if device_id is not None and command.device_id != device_id:
                    continue
                if before_id is not None and command.id >= before_id:
                    continue
                if open_only and command.state in COMMAND_FINAL_STATES:
                    continue
                found.append(copy.deepcopy(command))
        return found

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
        with self._lock:
            found = [
                entry
                for entry in self._audit()
                if (before_id is None or entry.id < before_id)
                and (until_ms is None or entry.at_ms < until_ms)
                and who in (None, entry.who)
                and (what is None or f"{entry.what}.".startswith(f"{what}."))
                and device_id in (None, entry.device_id)
            ]
            return copy.deepcopy(sorted(found, key=lambda entry: -entry.id)[:limit])

    def next_command_id(self) -> int:
        with self._lock:
            return self._next_command_id

    def describe(self) -> dict[str, Value]:
        return {
            "kind": "memory",
            "path": None,
            "schema": None,
            "size_bytes": 0,
            "free_bytes": None,
            "readings": self._count,
        }

    # -- the writer thread

    def _write(self) -> None:
        while (job := self._jobs.get()) is not None:
            rows, changes, done = job
            error = self._apply(rows, changes)
            try:
                done(error)
            except Exception:
                log.exception("the caller's done() failed; the store goes on")

    def _apply(self, rows: Sequence[Row], changes: Sequence[Change]) -> StorageError | None:
        with self._lock:
            new = {(series, ts) for series, ts, _ in rows if ts not in self._readings.get(series, ())}
            if new and self._count + len(new) > self.max_readings:
                return StorageFull(f"the memory store holds {self.max_readings} readings, its limit")
            for change in changes:
                match change:
                    case Put(record):
                        self._put(record)
                    case Delete(record):
                        self._delete(record)
                    case DeleteAudit(before_id):
                        for entry in [entry for entry in self._audit() if entry.id < before_id]:
                            self._delete(entry)
                    case DeleteReadings(series, start_ms, end_ms):
                        self._delete_readings(series, lambda ts: start_ms <= ts < end_ms)
                    case EndAttachment():
                        self._end_attachment(change)
            for series, ts, value in rows:
                values = self._readings.setdefault(series, {})
                self._count += ts not in values
                values[ts] = value
        return None

    def _audit(self) -> list[AuditEntry]:
        return cast("list[AuditEntry]", list(self._records[AuditEntry].values()))

    def _put(self, record: Record) -> None:
        self._records[type(record)][_key(record)] = record
        if isinstance(record, Command):
            self._next_command_id = max(self._next_command_id, record.id + 1)

    def _end_attachment(self, change: EndAttachment) -> None:
        held = cast("Attachment | None", self._records[Attachment].get((change.device_id, change.slot)))
        if held is not None and held.began_ms == change.began_ms:
            self._put(replace(held, ended_ms=change.ended_ms, why=change.why))

    def _delete(self, record: Record) -> None:
        self._records[type(record)].pop(_key(record), None)
        if isinstance(record, Series):
            self._delete_readings(record.id, lambda _: True)
        elif isinstance(record, Device):
            for kind in (Series, Attribute, Command, RuleState, Alert, Attachment, Habit, Claim):
                for owned in list(self._records[kind].values()):
                    if cast("Habit", owned).device_id == record.id:
                        self._delete(owned)

    def _delete_readings(self, series: int, chosen: Callable[[int], bool]) -> None:
        values = self._readings.get(series)
        if values is None:
            return
        for ts in [ts for ts in values if chosen(ts)]:
            del values[ts]
            self._count -= 1
        if not values:
            del self._readings[series]


def _key(record: Record) -> Key:
    return tuple(getattr(record, name) for name in record.KEY)
