"""The rules at work: which watches a batch of readings concerns, and what follows from their steps.

Rules are looked at once for every durable reading, whatever the dialect, on the batch. A series knows its watches after
the first look, so a reading that no rule concerns costs one look into a dictionary.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from ...errors import Conflict, HardpointError, NotFound, TooLarge
from ...model import Delete, Put, Rule, RuleState
from .check import checked_rule, concerns
from .watch import FIRING, NORMAL, PENDING, Compiled, Watch

if TYPE_CHECKING:
    from ...model import Alert, Json, Row
    from ..agenda import Agenda
    from ..batch import GroupCommit
    from ..devices import Catalogue, DeviceState, SeriesState
    from .alerts import Alerts

logger = logging.getLogger("hardpoint.rules")

MAX_RULES = 10_000
NO_DATA_INTERVALS = 3.0
"""A watch knows nothing any more after so many of the device's own intervals without a reading,"""
NO_DATA_S = 300.0
"""or after this long, where the device has no habit."""

Look: TypeAlias = Callable[[str, int, Any, int], None]
SendCommand: TypeAlias = "Callable[[Rule, Alert], None]"


class Rules:
    """Every rule with its watches. It is the `Observer` of them all."""

    def __init__(
        self,
        catalogue: Catalogue,
        commits: GroupCommit,
        agenda: Agenda,
        alerts: Alerts,
        *,
        clock_ms: Callable[[], int],
        send_command: SendCommand,
    ) -> None:
        self._catalogue = catalogue
        self._commits = commits
        self._agenda = agenda
        self._alerts = alerts
        self._clock_ms = clock_ms
        self._send_command = send_command
        self._rules: dict[str, Compiled] = {}
        self._watches: dict[tuple[str, str], Watch] = {}  # (rule, device) → watch
        self._looks: dict[int, tuple[str, tuple[Look, ...]]] = {}  # series → its key, and who looks at it

    def __bool__(self) -> bool:
        return bool(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def fill(self, rules: Iterable[Rule], states: Iterable[RuleState]) -> None:
        """Take what the store holds, at start, after the devices and the alerts."""
        for record in rules:
            try:
                self._rules[record.id] = checked_rule(record)
            except HardpointError as error:  # written by another version: it must not keep the server from starting
                logger.error("rule %s cannot be used: %s", record.id, error.message)  # noqa: TRY400 - no bug of ours
        now = self._clock_ms()
        for state in states:
            rule, device = self._rules.get(state.rule_id), self._catalogue.by_id.get(state.device_id)
            if rule is None or device is None or not concerns(rule.record, device.record):
                self._alerts.resolve(state.rule_id, state.device_id, now, "the rule or the device is another now")
                self._commits.note(Delete(state))
            else:
                self._watch(rule, device, now).resume(state.state, state.since_ms, now)
        for rule in self._rules.values():
            self._begin(rule)
        for alert in self._alerts.firing:
            held = self._rules.get(alert.rule_id)
            if held is not None:
                self._alerts.repeat(alert, held.record.repeat_s)

    # -- readings

    def feed(self, rows: Sequence[Row], series: dict[int, SeriesState]) -> None:
        """A durable batch."""
        now = self._clock_ms()
        known = self._looks
        for series_id, ts, value in rows:
            found = known.get(series_id)
            if found is None:
                state = series.get(series_id)
                if state is None:  # removed meanwhile
                    continue
                found = known[series_id] = self._lookers(state)
            key, looks = found
            for look in looks:
                look(key, ts, value, now)

    def _lookers(self, series: SeriesState) -> tuple[str, tuple[Look, ...]]:
        now = self._clock_ms()
        looks = [
            self._watch(rule, series.device, now).see
            for rule in self._rules.values()
            if rule.looks_at(series.key) and concerns(rule.record, series.device.record)
        ]
        return series.key, tuple(looks)

    def _watch(self, rule: Compiled, device: DeviceState, now_ms: int) -> Watch:
        place = rule.record.id, device.record.id
        watch = self._watches.get(place)
        if watch is None:
            watch = self._watches[place] = Watch(rule, device, self, now_ms)
        return watch

    def _begin(self, rule: Compiled) -> None:
        """Watch what is there already, where the absence of a reading counts: nothing else would begin it."""
        if not rule.waits_for_nothing or not rule.record.enabled:
            return
        now = self._clock_ms()
        for device in self._catalogue:
            if rule.series_of(device) and concerns(rule.record, device.record):
                self._watch(rule, device, now)

    # -- Observer

    def changed(self, watch: Watch, at_ms: int) -> None:
        """A watch took a step: keep it, and raise or end its alert."""
        rule, device_id = watch.rule.record, watch.device.record.id
        state = RuleState(rule.id, device_id, watch.state, watch.since_ms)
        if watch.state == NORMAL:
            self._commits.note(Delete(state))
            self._alerts.resolve(rule.id, device_id, at_ms)
            return
        self._commits.note(Put(state))
        if watch.state == FIRING and self._alerts.of(rule.id, device_id) is None:
            alert = self._alerts.fire(watch, at_ms)
            if rule.command is not None:
                self._send_command(rule, alert)

    def call_at(self, due_ms: int, watch: Watch) -> None:
        """A watch wants to be asked then."""
        self._agenda.at(due_ms, partial(self._due, watch))

    def _due(self, watch: Watch) -> None:
        place = watch.rule.record.id, watch.device.record.id
        if self._watches.get(place) is watch:  # its rule may have been changed or removed since
            watch.due(self._clock_ms())

    # -- changes

    def all(self) -> Iterator[Rule]:
        """Every rule, in the order in which they were made."""
        return (rule.record for rule in self._rules.values())

    def get(self, rule_id: str) -> Rule:
        """A rule by its id.

        Raises:
            NotFound: there is none.
        """
        rule = self._rules.get(rule_id)
        if rule is None:
            raise NotFound(f"there is no rule {rule_id!r}")
        return rule.record

    def find(self, rule_id: str) -> Rule | None:
        """A rule by its id, while there is one."""
        rule = self._rules.get(rule_id)
        return rule.record if rule is not None else None

    async def add(self, rule: Rule) -> None:
        """Take a new rule, and look at every reading from now on.

        Raises:
            BadInput: it cannot be used; the field says where.
            Conflict: its id is taken.
            TooLarge: there are too many.
            StorageError: it could not be stored, and is not there.
        """
        if rule.id in self._rules:
            raise Conflict(f"there is already a rule {rule.id!r}", field="id")
        if len(self._rules) >= MAX_RULES:
            raise TooLarge(f"there are {MAX_RULES} rules already")
        compiled = checked_rule(rule)
        await self._durable(Put(replace(rule)))
        self._rules[rule.id] = compiled
        self._looks.clear()
        self._begin(compiled)

    async def change(self, rule: Rule) -> None:
        """Put a rule in the place of the one with its id. Unless what it waits for stays the same, its watches begin
        anew and what they had raised ends.

        Raises:
            BadInput: it cannot be used; the field says where.
            NotFound: there is none of that id.
            StorageError: it could not be stored, and the old one goes on.
        """
        before = self._rules.get(rule.id)
        if before is None:
            raise NotFound(f"there is no rule {rule.id!r}")
        compiled = checked_rule(rule)
        await self._durable(Put(replace(rule)))
        judged = [(held.scope, held.when, held.for_s, held.enabled) for held in (before.record, rule)]
        self._rules[rule.id] = compiled
        if judged[0] == judged[1]:
            for (rule_id, _), watch in self._watches.items():
                if rule_id == rule.id:
                    watch.rule = compiled
        else:
            self._forget(lambda watch: watch.rule is before, "the rule was changed")
            self._begin(compiled)
        self._looks.clear()

    async def remove(self, rule_id: str) -> None:
        """Remove a rule; its alerts end.

        Raises:
            NotFound: there is none of that id.
            StorageError: it could not be stored, and the rule goes on.
        """
        record = self.get(rule_id)
        await self._durable(Delete(record))
        rule = self._rules.pop(rule_id)
        self._looks.clear()
        self._forget(lambda watch: watch.rule is rule, "the rule was removed")

    def device_changed(self, device: DeviceState) -> None:
        """Its labels may be others now: rules that concern it no more let go of it."""
        self._looks.clear()
        self._forget(
            lambda watch: watch.device is device and not concerns(watch.rule.record, device.record),
            "the rule concerns this device no more",
        )
        for rule in self._rules.values():
            self._begin(rule)

    def device_removed(self, device: DeviceState) -> None:
        """It is gone with everything about it."""
        self._looks.clear()
        for place in [place for place, watch in self._watches.items() if watch.device is device]:
            del self._watches[place]
        self._alerts.drop_device(device.record.id)

    def standings(self, rule_id: str) -> list[dict[str, Json]]:
        """How a rule stands on each device that it has looked at, and why: what ``GET /api/rules/{id}`` shows."""
        rule = self.get(rule_id)
        now = self._clock_ms()
        return [
            describe_watch(watch, now) for (watched, _), watch in sorted(self._watches.items()) if watched == rule.id
        ]

    def of_device(self, device: DeviceState) -> list[dict[str, Json]]:
        """How each rule that concerns a device stands on it."""
        now = self._clock_ms()
        return [
            {"rule": rule.record.id, "name": rule.record.name}
            | (
                describe_watch(watch, now)
                if (watch := self._watches.get((rule.record.id, device.record.id))) is not None
                else _nothing_seen(device.record.id)
            )
            for rule in self._rules.values()
            if concerns(rule.record, device.record)
        ]

    def _forget(self, which: Callable[[Watch], bool], reason: str) -> None:
        now = self._clock_ms()
        for place, watch in [(place, watch) for place, watch in self._watches.items() if which(watch)]:
            del self._watches[place]
            if watch.state != NORMAL:
                self._commits.note(Delete(RuleState(*place, watch.state, watch.since_ms)))
                self._alerts.resolve(*place, now, reason)

    async def _durable(self, change: Put | Delete) -> None:
        self._commits.batch.changes.append(change)
        await self._commits.durable()


def describe_watch(watch: Watch, now_ms: int) -> dict[str, Json]:
    """How a watch stands: ``no_data`` and ``error`` before the rest, for they say that the rest is not known."""
    state, why = watch.state, None
    if watch.problem is not None:
        state, why = "error", watch.problem
    elif watch.ts < 0 and not watch.rule.waits_for_nothing:
        state, why = "no_data", "no reading has come since the rule was made, or the server started"
    elif not watch.rule.waits_for_nothing and now_ms - watch.last_ms > _no_data_ms(watch.device):
        state, why = "no_data", f"the last reading came {(now_ms - watch.last_ms) // 1000} s ago"
    elif watch.state == PENDING:
        why = f"it holds since {watch.since_ms}, and fires when it has for {watch.rule.record.for_s:g} s"
    return {
        "device": watch.device.record.id,
        "state": state,
        "why": why,
        "holds": watch.state,
        "since": watch.since_ms if watch.state != NORMAL else None,
        "ts": watch.ts if watch.ts >= 0 else None,
        "value": watch.value,
    }


def _nothing_seen(device_id: str) -> dict[str, Json]:
    return {
        "device": device_id,
        "state": "no_data",
        "why": "no reading has come since the rule was made, or the server started",
        "holds": NORMAL,
        "since": None,
        "ts": None,
        "value": None,
    }


def _no_data_ms(device: DeviceState) -> float:
    every_s = device.record.expected_every_s or device.learnt_every_s
    return 1000 * (max(every_s * NO_DATA_INTERVALS, 10.0) if every_s is not None else NO_DATA_S)
