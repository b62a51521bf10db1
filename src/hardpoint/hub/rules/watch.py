"""A watch: one rule on one device, and how it stands.

::

    normal ──▶ pending ──▶ firing ──▶ normal          (without a ``for``, pending is passed at once)
       ▲          │
       └──────────┘ it held no more before its time was up

``no data`` and ``error`` are states too, but of what is known and not of what is the matter: they lie over these three,
are worked out when somebody looks, and neither raise nor end an alert.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .conditions import ANY_KEY, Missing, Unusable

if TYPE_CHECKING:
    from ...model import Rule, Value
    from ..devices import DeviceState
    from .conditions import Condition

NORMAL, PENDING, FIRING = "normal", "pending", "firing"

EARLIER_MS = 1000
"""A call that is due is asked for anew only when it has to come so much earlier: the clocks of devices jitter."""
_NEVER_MS = 2**63


class Observer(Protocol):
    """Who is told of a watch's steps."""

    def changed(self, watch: Watch, at_ms: int) -> None:
        """`Watch.state` is another now."""
        ...

    def call_at(self, due_ms: int, watch: Watch) -> None:
        """Call `Watch.due` at that time."""
        ...


class Compiled:
    """A rule with its condition."""

    __slots__ = ("condition", "for_ms", "record", "waits_for_nothing")

    def __init__(self, record: Rule, condition: Condition) -> None:
        self.record = record
        self.condition = condition
        self.for_ms = int(record.for_s * 1000)
        self.waits_for_nothing = isinstance(condition, Missing)

    def looks_at(self, key: str) -> bool:
        """Whether readings of that key concern it."""
        return key in self.condition.keys or ANY_KEY in self.condition.keys

    def series_of(self, device: DeviceState) -> dict[str, int]:
        """Of a device, the keys it looks at and the numbers of their series."""
        return {key: series.id for key, series in (device.series or {}).items() if self.looks_at(key)}


class Watch:
    """How one rule stands on one device."""

    __slots__ = (
        "_due_ms",
        "_newest",
        "_observer",
        "_probe",
        "device",
        "last_ms",
        "problem",
        "rule",
        "since_ms",
        "state",
        "ts",
        "value",
    )

    def __init__(self, rule: Compiled, device: DeviceState, observer: Observer, now_ms: int) -> None:
        self.rule = rule
        self.device = device
        self.state = NORMAL
        self.since_ms = 0
        """Since when the condition holds, by the time of the reading it began with."""
        self.ts = -1
        """The greatest time of a reading that was looked at; -1: none yet."""
        self.value: Value = None
        self.last_ms = now_ms
        """When the latest of them came."""
        self.problem: str | None = None
        """Why it could not be judged."""
        self._observer = observer
        self._due_ms = _NEVER_MS  # when `due` will be called: one call at a time, however often the condition comes
        self._newest: dict[str, int] | None = {} if len(rule.condition.keys) > 1 else None  # key → time
        self._probe = rule.condition.probe(
            {key: series.value for key, series in (device.series or {}).items() if series.ts >= 0}
        )
        if rule.waits_for_nothing:
            self._call_at(now_ms + rule.for_ms)

    def see(self, key: str, ts: int, value: Value, now_ms: int) -> None:
        """A reading that is durable. One that is older than the latest of its key says nothing about the present."""
        if self.rule.waits_for_nothing:
            self._came(ts, value, now_ms)
            return
        if self._newest is not None:
            if ts < self._newest.get(key, -1):
                return
            self._newest[key] = ts
            ts = max(ts, self.ts)
        elif ts < self.ts:
            return
        self.ts, self.value, self.last_ms = ts, value, now_ms
        state = self.state
        try:
            holds = self._probe.holds(key, ts, value, state == FIRING)
        except Unusable as error:
            self.problem = str(error)
            return
        self.problem = None
        if not holds:
            if state != NORMAL:
                self._step(NORMAL, ts)
        elif state == NORMAL:
            self.since_ms = ts
            if self.rule.for_ms == 0:
                self._step(FIRING, ts)
            else:
                self._step(PENDING, ts)
                self._call_at(now_ms + self.rule.for_ms)
        elif state == PENDING:
            left_ms = self.rule.for_ms - (ts - self.since_ms)
            if left_ms <= 0:
                self._step(FIRING, ts)
            else:
                self._call_at(now_ms + left_ms)

    def due(self, now_ms: int) -> None:
        """The time has come to see whether the condition has held for long enough."""
        self._due_ms = _NEVER_MS
        for_ms = self.rule.for_ms
        if self.rule.waits_for_nothing:
            if self.state == FIRING:
                return  # the next reading ends it, and begins to wait anew
            if now_ms - self.last_ms >= for_ms:
                self.since_ms = self.last_ms
                self._step(FIRING, now_ms)
            else:
                self._call_at(self.last_ms + for_ms)
        elif self.state == PENDING:
            # By the server's clock since the last reading, by the device's until then: no reading need come meanwhile.
            held_ms = self.ts - self.since_ms + now_ms - self.last_ms
            if held_ms >= for_ms:
                self._step(FIRING, now_ms)
            else:
                self._call_at(now_ms + for_ms - held_ms)

    def resume(self, state: str, since_ms: int, now_ms: int) -> None:
        """Go on as the process before this one left it."""
        self.state, self.since_ms = state, since_ms
        if state == PENDING:
            self.ts = since_ms
            self._call_at(now_ms + self.rule.for_ms)  # at the latest: nobody knows what was while we were away

    def _came(self, ts: int, value: Value, now_ms: int) -> None:
        """A reading of a key that was waited for."""
        self.ts, self.value, self.last_ms = max(ts, self.ts), value, now_ms
        if self.state == FIRING:
            self._step(NORMAL, now_ms)
            self._call_at(now_ms + self.rule.for_ms)

    def _step(self, state: str, at_ms: int) -> None:
        self.state = state
        self._observer.changed(self, at_ms)

    def _call_at(self, due_ms: int) -> None:
        if due_ms < self._due_ms - EARLIER_MS:
            self._due_ms = due_ms
            self._observer.call_at(due_ms, self)
