"""What a rule would have raised: the same watches as at work, over stored readings and their own times."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import BadInput, TooLarge
from ...model import MAX_TS_MS
from ..devices import DeviceState
from .check import checked_rule, concerns
from .watch import FIRING, NORMAL, Spot, Watch

if TYPE_CHECKING:
    from ...model import Device, Rule, Value
    from ..hub import Hub
    from .watch import Compiled

MAX_READINGS = 2_000_000
"""Looked at in one dry run: some seconds of a reader's thread."""
MAX_FIRINGS = 1_000
"""Returned; a rule that fires more often is wrong anyway."""


@dataclass(slots=True)
class Firing:
    """One alert there would have been. ``resolved_ms`` None: it would still fire at the end."""

    device_id: str
    since_ms: int
    fired_ms: int
    value: Value
    resolved_ms: int | None = None


async def dry_run(hub: Hub, rule: Rule, start_ms: int, end_ms: int) -> DryRun:
    """What a rule would have raised on the stored readings with ``start_ms <= ts < end_ms``.

    Raises:
        BadInput: the rule or the range cannot be used; the field says where.
        TooLarge: there are too many readings.
    """
    compiled = checked_rule(rule)
    if not 0 <= start_ms < end_ms <= MAX_TS_MS + 1:
        raise BadInput("from_ms must be before to_ms, both in milliseconds since 1970-01-01 UTC", field="from_ms")
    concerned = [
        (device.record, series)
        for device in hub.catalogue
        if concerns(rule, device.record) and (series := compiled.series_of(device))
    ]
    store = hub.store

    def look(_: object) -> DryRun:
        run = DryRun(compiled, start_ms, end_ms)
        for record, series in concerned:
            first_ms = min(
                (extent[0] for number in series.values() if (extent := store.extent(number))), default=end_ms
            )
            found = {key: store.readings(number, start_ms, end_ms) for key, number in series.items()}
            run.device(record, found, max(start_ms, first_ms))
        return run

    return await hub.reads.run(look)


class DryRun:
    """Feeds one device after another to a rule's watches."""

    def __init__(self, rule: Compiled, start_ms: int, end_ms: int) -> None:
        self.rule = rule
        self.start_ms, self.end_ms = start_ms, end_ms
        self.firings: list[Firing] = []
        """The first `MAX_FIRINGS` of them."""
        self.fired = 0
        self.readings = 0

    def device(self, record: Device, readings: Mapping[str, Iterable[tuple[int, Value]]], begins_ms: int) -> None:
        """Look at one device: key → its readings by rising time. Nothing is missing before ``begins_ms``.

        Raises:
            TooLarge: there are more than `MAX_READINGS` in all.
        """
        clock = _Clock(self, record)
        watch = Watch(self.rule, DeviceState(record), clock, begins_ms)
        for key in readings:
            watch.look_from(Spot(key, -1))  # its times may be those of several keys
        for ts, key, value in heapq.merge(*(_named(key, found) for key, found in readings.items())):
            self.readings += 1
            if self.readings > MAX_READINGS:
                raise TooLarge(f"more than {MAX_READINGS} readings: ask for a shorter time, or of fewer devices")
            clock.run_until(ts, watch)
            watch.see(key, ts, value, ts)
        clock.run_until(self.end_ms, watch)


class _Clock:
    """The observer of a watch whose time is that of its readings."""

    def __init__(self, run: DryRun, device: Device) -> None:
        self._run = run
        self._device = device
        self._due: list[tuple[int, int]] = []
        self._numbers = itertools.count()
        self._firing: Firing | None = None

    def changed(self, watch: Watch, at_ms: int) -> None:
        if watch.state == FIRING:
            value = None if watch.rule.waits_for_nothing else watch.value
            self._firing = Firing(self._device.id, watch.since_ms, at_ms, value)
            self._run.fired += 1
            if len(self._run.firings) < MAX_FIRINGS:
                self._run.firings.append(self._firing)
        elif watch.state == NORMAL and self._firing is not None:
            self._firing.resolved_ms = at_ms
            self._firing = None

    def call_at(self, due_ms: int, watch: Watch) -> None:
        heapq.heappush(self._due, (due_ms, next(self._numbers)))

    def run_until(self, ts: int, watch: Watch) -> None:
        while self._due and self._due[0][0] <= ts:
            due_ms, _ = heapq.heappop(self._due)
            watch.due(due_ms)


def _named(key: str, readings: Iterable[tuple[int, Value]]) -> Iterator[tuple[int, str, Value]]:
    # A key has each time once, and two keys differ: the values, which may have no order, are never compared.
    return ((ts, key, value) for ts, value in readings)
