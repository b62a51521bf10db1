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

from .conditions import ALL_CALM, ANY_KEY, NOTHING_CALM, Missing, Unusable

if TYPE_CHECKING:
    from ...model import Rule, Value
    from ..devices import DeviceState
    from .conditions import Calm, Condition

NORMAL, PENDING, FIRING = "normal", "pending", "firing"

EARLIER_MS = 1000
"""A call that is due is asked for anew only when it has to come so much earlier: the clocks of devices jitter."""
MAX_LEAD_MS = 60_000
"""A reading that is further ahead of the clock, by a device's wrong clock or because ours was set back, does not make
those after it late. The hub's own stamps may run so far ahead.
"""
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

    __slots__ = ("condition", "for_ms", "key", "record", "waits_for_nothing")

    def __init__(self, record: Rule, condition: Condition) -> None:
        self.record = record
        self.condition = condition
        self.for_ms = int(record.for_s * 1000)
        keys = condition.keys
        self.key = keys[0] if len(keys) == 1 and keys[0] != ANY_KEY else None
        """The one key it is about; None: any, or several."""
        self.waits_for_nothing = isinstance(condition, Missing)

    def looks_at(self, key: str) -> bool:
        """Whether readings of that key concern it."""
        return key in self.condition.keys or ANY_KEY in self.condition.keys

    def series_of(self, device: DeviceState) -> dict[str, int]:
        """Of a device, the keys it looks at and the numbers of their series."""
        return {key: series.id for key, series in (device.series or {}).items() if self.looks_at(key)}


class Spot:
    """A series as the rules that look at it see it: its latest reading, and between which bounds the next one is calm.

    A calm reading changes nothing for any of the watches, and most are: a thousand rules cost such a one
    two comparisons.
    """

    __slots__ = ("came_ms", "high", "key", "low", "mute", "ts", "value", "watches")

    def __init__(self, key: str, ts: int) -> None:
        self.key = key
        self.ts = ts
        """The greatest time of a reading, -1: none yet. One below it says nothing about the present."""
        self.value: Value = None
        self.came_ms = -1
        """When the latest reading came; -1: none since the spot was made."""
        self.watches: tuple[Watch, ...] = ()
        self.low, self.high = ALL_CALM
        self.mute = True
        """Also what is not a number changes nothing: it is enough that something comes."""

    def see(self, ts: int, value: Value, now_ms: int) -> None:
        """A reading that is durable."""
        if ts < self.ts and self.ts <= now_ms + MAX_LEAD_MS:
            self.came_ms = now_ms
            for watch in self.watches:
                if watch.rule.waits_for_nothing:  # late or not, the device is there
                    watch.see(self.key, ts, value, now_ms)
            return
        self.ts, self.value, self.came_ms = ts, value, now_ms
        if type(value) is float or type(value) is int:
            if self.low <= value <= self.high:
                return
        elif self.mute:
            return
        for watch in self.watches:
            watch.see(self.key, ts, value, now_ms)
        self.settle()

    def unsettle(self) -> None:
        """A watch is in another state: ask them all again."""
        self.low, self.high = NOTHING_CALM
        self.mute = False

    def settle(self) -> None:
        """Work out what is calm for all of them."""
        low, high = ALL_CALM
        mute = True
        for watch in self.watches:
            least, greatest = watch.calm()
            low, high = max(low, least), min(high, greatest)
            mute = mute and watch.rule.waits_for_nothing
            if low > high:
                break
        self.low, self.high, self.mute = low, high, mute and low <= high


class Watch:
    """How one rule stands on one device."""

    __slots__ = (
        "_due_ms",
        "_observer",
        "_probe",
        "device",
        "last_ms",
        "problem",
        "rule",
        "since_ms",
        "spots",
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
        """Of the reading that was looked at last; -1: none yet."""
        self.value: Value = None
        self.last_ms = now_ms
        """When that came."""
        self.problem: str | None = None
        """Why it could not be judged."""
        self.spots: tuple[Spot, ...] = ()
        """The series it looks at, from the first reading on."""
        self._observer = observer
        self._due_ms = _NEVER_MS  # when `due` will be called: one call at a time, however often the condition comes
        self._probe = rule.condition.probe(
            {key: series.value for key, series in (device.series or {}).items() if series.ts >= 0}
        )
        if rule.waits_for_nothing:
            self._call_at(now_ms + rule.for_ms)

    def see(self, key: str, ts: int, value: Value, now_ms: int) -> None:
        """A reading that is durable, and not older than the latest of its key."""
        self.value, self.last_ms = value, now_ms
        if self.rule.waits_for_nothing:
            self.ts = max(ts, self.ts)
            if self.state == FIRING:
                self._step(NORMAL, now_ms)
                self._call_at(now_ms + self.rule.for_ms)
            return
        if len(self.spots) > 1 and ts < self.ts <= now_ms + MAX_LEAD_MS:
            ts = self.ts  # the keys of a device need not come in the order of their times
        self.ts = ts
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
            self.since_ms = min(self.since_ms, ts)  # a clock was set back
            left_ms = self.rule.for_ms - (ts - self.since_ms)
            if left_ms <= 0:
                self._step(FIRING, ts)
            else:
                self._call_at(now_ms + left_ms)

    def calm(self) -> Calm:
        """Between which numbers a reading leaves it as it is."""
        if self.rule.waits_for_nothing:
            return NOTHING_CALM if self.state == FIRING else ALL_CALM
        if self.state == PENDING or self.problem is not None:
            return NOTHING_CALM
        return self._probe.calm(self.state == FIRING)

    def look_from(self, spot: Spot) -> None:
        """Look at the series of this spot as well."""
        if spot not in self.spots:
            self.spots = (*self.spots, spot)

    def leave(self, spot: Spot) -> None:
        """Look from that spot no more."""
        self.last_ms = max(self.last_ms, spot.came_ms)
        if spot.came_ms >= 0 and spot.ts >= self.ts:
            self.ts, self.value = spot.ts, spot.value
        self.spots = tuple(other for other in self.spots if other is not spot)

    def heard_ms(self) -> int:
        """When the latest reading came that it looks at, calm or not; when it began to look, if none has."""
        return max(self.last_ms, *(spot.came_ms for spot in self.spots)) if self.spots else self.last_ms

    def latest(self) -> tuple[int, Value] | None:
        """Time and value of that reading; None: none has come."""
        spots = [spot for spot in self.spots if spot.came_ms >= 0]
        if not spots:
            return (self.ts, self.value) if self.ts >= 0 else None
        newest = max(spots, key=lambda spot: (spot.came_ms, spot.ts))
        return newest.ts, newest.value

    def due(self, now_ms: int) -> None:
        """The time has come to see whether the condition has held for long enough."""
        self._due_ms = _NEVER_MS
        for_ms = self.rule.for_ms
        if self.rule.waits_for_nothing:
            if self.state == FIRING:
                return  # the next reading ends it, and begins to wait anew
            heard_ms = self.heard_ms()
            if now_ms - heard_ms >= for_ms:
                self.since_ms = heard_ms
                self._step(FIRING, now_ms)
            else:
                self._call_at(heard_ms + for_ms)
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

    def clock_jumped(self, by_ms: int) -> None:
        """The wall clock was set: what has passed until now is as long as before."""
        self.last_ms += by_ms
        if self._due_ms != _NEVER_MS:
            self._due_ms += by_ms

    def _step(self, state: str, at_ms: int) -> None:
        self.state = state
        for spot in self.spots:
            spot.unsettle()
        self._observer.changed(self, at_ms)

    def _call_at(self, due_ms: int) -> None:
        if due_ms < self._due_ms - EARLIER_MS:
            self._due_ms = due_ms
            self._observer.call_at(due_ms, self)
