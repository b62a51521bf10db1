"""The rules at work: which watches a batch of readings concerns, and what follows from their steps.

Rules are looked at once for every durable reading, whatever the dialect, on the batch. A series knows its watches after
the first look, and between which bounds they are all calm: most readings cost one look into a dictionary.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from ...errors import Conflict, HardpointError, NotFound, TooLarge
from ...model import Delete, Put, Rule, RuleState
from ...rarely import Rarely
from ..fields import described_key, fields_of
from .alerts import DEVICE_REMOVED
from .check import checked_rule, concerns
from .conditions import ANY_KEY
from .watch import FIRING, NORMAL, PENDING, Compiled, Spot, Watch

if TYPE_CHECKING:
    from ...model import Alert, Json, Row
    from ..agenda import Agenda
    from ..batch import GroupCommit
    from ..devices import Catalogue, DeviceState, SeriesState
    from .alerts import Alerts

logger = logging.getLogger("hardpoint.rules")
rarely = Rarely(logger)

MAX_RULES = 10_000
MAX_WATCHES = 500_000
"""Rules times the devices that each looks at: some 200 MB. A rule that would pass it is refused."""
NO_DATA_INTERVALS = 3.0
"""A watch knows nothing any more after so many of the device's own intervals without a reading,"""
NO_DATA_S = 300.0
"""or after this long, where the device has no habit."""
LOOK_BACK_MS = 60_000
"""What follows from a batch goes into the next commit. A process that was killed in between has left readings that no
rule had seen: so the latest values from this long before the newest are looked at again at start. What was judged
already is judged alike.
"""

SendCommand: TypeAlias = "Callable[[Rule, Alert], None]"

_NOBODY = Spot("", -1)
"""In the place of all spots that no rule looks from."""


class Rules:
    """Every rule with its watches. It is the `Observer` of them all."""

    def __init__(
        self,
        catalogue: Catalogue,
        commits: GroupCommit,
        agenda: Agenda,
        alerts: Alerts,
        *,
        send_command: SendCommand,
    ) -> None:
        self._catalogue = catalogue
        self._commits = commits
        self._agenda = agenda
        self._alerts = alerts
        self._send_command = send_command
        self._changing = asyncio.Lock()  # one change of the rules at a time
        self._rules: dict[str, Compiled] = {}
        self._by_place: dict[tuple[str, str], list[Compiled]] = {}  # (scope, key) → rules
        self._watches: dict[str, dict[str, Watch]] = {}  # rule → device → watch
        self._spots: dict[int, Spot] = {}  # series → what looks at it
        self.watch_count = 0
        self.evaluated_total = 0
        agenda.on_jump.append(self._clock_jumped)

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
        self._index()
        now = self._agenda.now_ms()
        for state in states:
            rule, device = self._rules.get(state.rule_id), self._catalogue.by_id.get(state.device_id)
            concerned = rule is not None and device is not None and concerns(rule.record, device.record)
            watch = self._watch(rule, device, now) if concerned and rule and device else None
            if watch is None:
                self._alerts.resolve(state.rule_id, state.device_id, now, "the rule or the device is another now")
                self._commits.note(Delete(state))
            else:
                watch.resume(state.state, state.since_ms, now)
        for rule in self._rules.values():
            self._begin(rule, self._catalogue)
        for alert in self._alerts.firing:
            held = self._rules.get(alert.rule_id)
            if held is not None:
                self._alerts.repeat(alert, held.record.repeat_s)
        self._look_back(now)

    def _look_back(self, now_ms: int) -> None:
        if not self._rules:
            return
        latest = [series for series in self._catalogue.series.values() if 0 <= series.ts <= now_ms + LOOK_BACK_MS]
        since_ms = max((series.ts for series in latest), default=0) - LOOK_BACK_MS
        for series in latest:
            if series.ts >= since_ms:
                spot = self._spots[series.id] = self._spot(series, now_ms)
                for watch in spot.watches:
                    if not watch.rule.waits_for_nothing:  # that it is there again is for the next reading to say
                        watch.see(series.key, series.ts, series.value, now_ms)
                spot.settle()

    # -- readings

    def feed(self, rows: Sequence[Row], series: dict[int, SeriesState]) -> None:
        """A durable batch, before the ``series`` have its values: what is late is told by those of before."""
        now = self._agenda.now_ms()
        spots = self._spots
        for series_id, ts, value in rows:
            spot = spots.get(series_id)
            if spot is None:
                state = series.get(series_id)
                if state is None:  # removed meanwhile
                    continue
                spot = spots[series_id] = self._spot(state, now)
            if spot.watches:
                spot.see(ts, value, now)

    def _spot(self, series: SeriesState, now_ms: int) -> Spot:
        rules = self._looking_at(series)
        if not rules:
            return _NOBODY
        spot = Spot(series.key, series.ts)
        watches = [self._watch(rule, series.device, now_ms) for rule in rules]
        spot.watches = tuple(watch for watch in watches if watch is not None)
        for watch in spot.watches:
            watch.look_from(spot)
        spot.settle()
        return spot

    def _looking_at(self, series: SeriesState) -> list[Compiled]:
        device = series.device.record
        scopes = ["all", f"device:{device.id}"]
        for name, value in device.labels.items():
            scopes += (f"label:{name}", f"label:{name}={value}")
        found = {
            rule.record.id: rule
            for scope in scopes
            for key in (series.key, ANY_KEY)
            for rule in self._by_place.get((scope, key), ())
            if concerns(rule.record, device)  # a label's name may hold a "="
        }
        return list(found.values())

    def _index(self) -> None:
        """Find the rules by what they look at, and every series its watches anew."""
        self._by_place = {}
        for rule in self._rules.values():
            if rule.record.enabled:
                for key in rule.condition.keys:
                    self._by_place.setdefault((rule.record.scope, key), []).append(rule)
        self._forget_spots(list(self._spots))

    def _forget_spots(self, numbers: Iterable[int]) -> None:
        """See anew who looks at these series. What a watch has heard over its spots it keeps."""
        for number in numbers:
            spot = self._spots.pop(number, _NOBODY)
            for watch in spot.watches:
                watch.leave(spot)

    def _watch(self, rule: Compiled, device: DeviceState, now_ms: int) -> Watch | None:
        """The watch of a rule on a device, made if need be; None: there are too many."""
        watches = self._watches.setdefault(rule.record.id, {})
        watch = watches.get(device.record.id)
        if watch is None:
            if self.watch_count >= MAX_WATCHES:
                rarely.warn("rules look at %d devices in all, and at no more: narrow their scopes", MAX_WATCHES)
                return None
            watch = watches[device.record.id] = Watch(rule, device, self, now_ms)
            self.watch_count += 1
        return watch

    def _begin(self, rule: Compiled, devices: Iterable[DeviceState]) -> None:
        """Watch what is there already, where the absence of a reading counts: nothing else would begin it."""
        if not rule.waits_for_nothing or not rule.record.enabled:
            return
        now = self._agenda.now_ms()
        for device in devices:
            if concerns(rule.record, device.record) and rule.series_of(device):
                self._watch(rule, device, now)

    def _clock_jumped(self, by_ms: int) -> None:
        for watches in self._watches.values():
            for watch in watches.values():
                watch.clock_jumped(by_ms)
        for spot in self._spots.values():
            if spot.came_ms >= 0:
                spot.came_ms += by_ms

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
        self._agenda.at(due_ms, partial(self._due, watch), watch)

    def _due(self, watch: Watch) -> None:
        watch.due(self._agenda.now_ms())

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
            TooLarge: there are too many, or it would look at too many devices.
            StorageError: it could not be stored, and is not there.
        """
        compiled = checked_rule(rule)
        async with self._changing:
            if rule.id in self._rules:
                raise Conflict(f"there is already a rule {rule.id!r}", field="id")
            if len(self._rules) >= MAX_RULES:
                raise TooLarge(f"there are {MAX_RULES} rules already")
            self._check_room(rule, 0)
            await self._durable(Put(replace(rule)))
            self._rules[rule.id] = compiled
            self._index()
            self._begin(compiled, self._catalogue)

    async def change(self, rule_id: str, changes: dict[str, Json]) -> Rule:
        """Give a rule other values in some fields, and return it. Unless what it waits for stays the same, its watches
        begin anew and what they had raised ends.

        Raises:
            BadInput: it cannot be used so; the field says where.
            NotFound: there is none of that id.
            TooLarge: it would look at too many devices.
            StorageError: it could not be stored, and the old one goes on.
        """
        async with self._changing:
            before = self.get(rule_id)
            rule = replace(before, **changes)
            compiled = checked_rule(rule)
            self._check_room(rule, len(self._watches.get(rule_id, ())))
            await self._durable(Put(replace(rule)))
            self._rules[rule_id] = compiled
            if _judged(before) != _judged(rule):
                self._forget(self._watches.get(rule_id, {}).values(), "the rule was changed")
                self._index()
                self._begin(compiled, self._catalogue)
                return rule
            for watch in self._watches.get(rule_id, {}).values():
                watch.rule = compiled
            self._index()
            if before.muted_until_ms != rule.muted_until_ms:
                self._alerts.silence_changed(rule_id=rule_id)
            if before.repeat_s != rule.repeat_s:
                for alert in self._alerts.firing:
                    if alert.rule_id == rule_id:
                        self._alerts.repeat(alert, rule.repeat_s)
            return rule

    async def remove(self, rule_id: str) -> None:
        """Remove a rule; its alerts end.

        Raises:
            NotFound: there is none of that id.
            StorageError: it could not be stored, and the rule goes on.
        """
        async with self._changing:
            await self._durable(Delete(self.get(rule_id)))
            self._forget(self._watches.get(rule_id, {}).values(), "the rule was removed")
            del self._rules[rule_id]
            self._watches.pop(rule_id, None)
            self._index()

    def device_changed(self, device: DeviceState) -> None:
        """Its labels may be others now: rules that concern it no more let go of it, others begin."""
        self._forget(
            [watch for watch in self._of(device) if not concerns(watch.rule.record, device.record)],
            "the rule concerns this device no more",
        )
        self._forget_spots(series.id for series in (device.series or {}).values())
        for rule in self._rules.values():
            self._begin(rule, (device,))

    def device_removed(self, device: DeviceState) -> None:
        """It is gone with everything about it. Who was told of an alert is told that it ended."""
        self._forget(self._of(device), DEVICE_REMOVED)
        self._alerts.drop_device(device.record.id)
        self._forget_spots([number for number in self._spots if number not in self._catalogue.series])

    def _of(self, device: DeviceState) -> list[Watch]:
        found = (watches.get(device.record.id) for watches in self._watches.values())
        return [watch for watch in found if watch is not None and watch.device is device]

    def _check_room(self, rule: Rule, given_up: int) -> None:
        looked_at = sum(concerns(rule, device.record) for device in self._catalogue)
        if self.watch_count - given_up + looked_at > MAX_WATCHES:
            raise TooLarge(
                f"rules look at {MAX_WATCHES} devices in all: this one would add {looked_at}, narrow its scope",
                field="scope",
            )

    def standings(self, rule_id: str) -> list[dict[str, Json]]:
        """How a rule stands on each device that it has looked at, and why: what ``GET /api/rules/{id}`` shows."""
        rule = self.get(rule_id)
        now = self._agenda.now_ms()
        return [describe_watch(watch, now) for _, watch in sorted(self._watches.get(rule.id, {}).items())]

    def of_device(self, device: DeviceState) -> list[dict[str, Json]]:
        """How each rule that concerns a device stands on it."""
        now = self._agenda.now_ms()
        return [
            {"rule": rule.record.id, "name": rule.record.name}
            | (
                describe_watch(watch, now)
                if (watch := self._watches.get(rule.record.id, {}).get(device.record.id)) is not None
                else _nothing_seen(rule, device)
            )
            for rule in self._rules.values()
            if concerns(rule.record, device.record)
        ]

    def _forget(self, watches: Iterable[Watch], reason: str) -> None:
        now = self._agenda.now_ms()
        gone = list(watches)
        for watch in gone:
            rule_id, device_id = watch.rule.record.id, watch.device.record.id
            del self._watches[rule_id][device_id]
            self.watch_count -= 1
            for spot in watch.spots:
                spot.watches = tuple(other for other in spot.watches if other is not watch)
            if watch.state != NORMAL:
                self._commits.note(Delete(RuleState(rule_id, device_id, watch.state, watch.since_ms)))
                self._alerts.resolve(rule_id, device_id, now, reason)
        forgotten = {id(watch) for watch in gone}
        if forgotten:
            self._agenda.forget(lambda about: id(about) in forgotten)

    async def _durable(self, change: Put | Delete) -> None:
        self._commits.batch.changes.append(change)
        await self._commits.durable()


def _judged(rule: Rule) -> tuple[Json, ...]:
    """What its watches depend on."""
    return rule.scope, rule.when, rule.for_s, rule.enabled


_NOTHING_CAME = "no reading has come since the rule was made, or the server started"


def describe_watch(watch: Watch, now_ms: int) -> dict[str, Json]:
    """How a watch stands: ``no_data`` and ``error`` before the rest, for they say that the rest is not known."""
    state, why = watch.state, None
    latest, quiet_ms = watch.latest(), now_ms - watch.heard_ms()
    if watch.problem is not None:
        state, why = "error", watch.problem
    elif latest is None and not watch.rule.waits_for_nothing:
        state, why = "no_data", _NOTHING_CAME
    elif not watch.rule.waits_for_nothing and quiet_ms > _no_data_ms(watch.device):
        state, why = "no_data", f"the last reading came {quiet_ms // 1000} s ago"
    elif watch.state == PENDING:
        why = f"it holds since {watch.since_ms}, and fires when it has for {watch.rule.record.for_s:g} s"
    return {
        "device": watch.device.record.id,
        "state": state,
        "why": why,
        "holds": watch.state,
        "since": watch.since_ms if watch.state != NORMAL else None,
        "ts": latest[0] if latest is not None else None,
        "value": latest[1] if latest is not None else None,
        **described_key(watch.rule.key, fields_of(watch.device)),
    }


def _nothing_seen(rule: Compiled, device: DeviceState) -> dict[str, Json]:
    return {
        "device": device.record.id,
        "state": "no_data",
        "why": _NOTHING_CAME,
        "holds": NORMAL,
        "since": None,
        "ts": None,
        "value": None,
        **described_key(rule.key, fields_of(device)),
    }


def _no_data_ms(device: DeviceState) -> float:
    every_s = device.record.expected_every_s or device.learnt_every_s
    return 1000 * (max(every_s * NO_DATA_INTERVALS, 10.0) if every_s is not None else NO_DATA_S)
