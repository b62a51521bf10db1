"""Alerts: what rules raised, until they end, and for a while after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from ...errors import BadInput, Conflict, NotFound
from ...model import Alert, Delete, Put
from .wording import FIRING, RESOLVED, STILL_FIRING

if TYPE_CHECKING:
    from ..agenda import Agenda
    from ..batch import GroupCommit
    from ..live import LiveFeed
    from .watch import Watch
    from .wording import Wording

MAX_RESOLVED = 10_000
"""Kept for the history; the oldest go first. About 5 MB."""
MAX_MUTE_S = 366 * 24 * 3600.0

DEVICE_REMOVED = "the device was removed"

Announce = Callable[[Alert, str], None]
"""Tell the rule's channels of an event in an alert's life."""


class Alerts:
    """Every alert that fires, and the latest of those that ended."""

    def __init__(
        self,
        commits: GroupCommit,
        live: LiveFeed,
        agenda: Agenda,
        wording: Wording,
        announce: Announce,
        *,
        clock_ms: Callable[[], int],
    ) -> None:
        self.describe = wording.describe
        self._commits = commits
        self._live = live
        self._agenda = agenda
        self._announce = announce
        self._clock_ms = clock_ms
        self._all: dict[int, Alert] = {}  # by rising id
        self._firing: dict[tuple[str, str], Alert] = {}  # (rule, device) → alert
        self._repeats: dict[int, Callable[[], None]] = {}
        self._next_id = 1
        self._resolved = 0
        self.fired_total = 0

    def fill(self, alerts: Iterable[Alert]) -> None:
        """Take what the store holds, at start."""
        for alert in sorted(alerts, key=lambda alert: alert.id):
            self._all[alert.id] = alert
            self._next_id = alert.id + 1
            if alert.resolved_ms is None:
                self._firing[alert.rule_id, alert.device_id] = alert
            else:
                self._resolved += 1

    def go_on_from(self, number: int) -> None:
        """Numbers below may still be spoken of, though the alerts themselves went with their devices."""
        self._next_id = max(self._next_id, number)

    @property
    def firing(self) -> list[Alert]:
        """Those that have not ended, the oldest first."""
        return list(self._firing.values())

    def get(self, alert_id: int) -> Alert:
        """An alert by its number.

        Raises:
            NotFound: there is none, or it ended long ago.
        """
        alert = self._all.get(alert_id)
        if alert is None:
            raise NotFound(f"there is no alert {alert_id}")
        return alert

    def find(self, alert_id: int) -> Alert | None:
        """An alert by its number, while it is kept."""
        return self._all.get(alert_id)

    def newest_first(self, *, before_id: int | None = None, firing: bool | None = None) -> Iterator[Alert]:
        """Alerts by falling number, below ``before_id``; only those that fire (true), or that ended (false)."""
        for alert in reversed(self._all.values()):
            if (before_id is None or alert.id < before_id) and (
                firing is None or firing == (alert.resolved_ms is None)
            ):
                yield alert

    def of(self, rule_id: str, device_id: str) -> Alert | None:
        """The one that fires for a rule on a device."""
        return self._firing.get((rule_id, device_id))

    def fire(self, watch: Watch, at_ms: int) -> Alert:
        """A watch has begun to fire."""
        rule = watch.rule.record
        alert = Alert(
            self._next_id,
            rule.id,
            rule.name,
            watch.device.record.id,
            rule.severity,
            str(watch.rule.condition),
            None if watch.rule.waits_for_nothing else watch.value,
            watch.since_ms,
            at_ms,
            when=rule.when,
        )
        self._next_id += 1
        self.fired_total += 1
        self._all[alert.id] = alert
        self._firing[rule.id, alert.device_id] = alert
        self._announce(alert, FIRING)
        self._store(alert)
        self.repeat(alert, rule.repeat_s)
        return alert

    def resolve(self, rule_id: str, device_id: str, at_ms: int, reason: str | None = None) -> None:
        """It fires no more; nothing happens when it did not."""
        alert = self._firing.pop((rule_id, device_id), None)
        if alert is None:
            return
        alert.resolved_ms, alert.reason = at_ms, reason
        self._repeats.pop(alert.id, None)
        self._resolved += 1
        self._announce(alert, RESOLVED)
        self._store(alert)
        if self._resolved > MAX_RESOLVED:
            self._drop_oldest()

    def repeat(self, alert: Alert, every_s: float | None) -> None:
        """Announce it again every so often from now on, for as long as it fires and nobody has acknowledged it; None:
        no more.
        """
        self._repeats.pop(alert.id, None)
        if every_s is not None:
            again = self._repeats[alert.id] = partial(self._repeat, alert, every_s)
            self._agenda.at(self._agenda.now_ms() + int(every_s * 1000), partial(self._repeat_if, alert.id, again))

    def acknowledge(self, alert_id: int, who: str) -> Alert:
        """Somebody has seen it and sees to it: it is announced no more until it ends.

        Raises:
            NotFound: there is no such alert.
            Conflict: it has ended, or somebody has acknowledged it.
        """
        alert = self.get(alert_id)
        if alert.resolved_ms is not None:
            raise Conflict(f"alert {alert_id} has ended")
        if alert.acknowledged_ms is not None:
            raise Conflict(f"{alert.acknowledged_by} has acknowledged alert {alert_id}")
        alert.acknowledged_ms, alert.acknowledged_by = self._clock_ms(), who
        self._store(alert)
        return alert

    def mute(self, alert_id: int, for_s: float) -> Alert:
        """Announce nothing of it for a time; 0 ends that.

        Raises:
            NotFound: there is no such alert.
            BadInput: not between 0 and `MAX_MUTE_S`.
        """
        alert = self.get(alert_id)
        alert.muted_until_ms = muted_until(self._clock_ms(), for_s)
        self._store(alert)
        return alert

    def silence_changed(self, *, rule_id: str | None = None, device_id: str | None = None) -> None:
        """The rule or the device was muted, or is no more: whoever looks at its alerts sees so."""
        for alert in self._firing.values():
            if alert.rule_id == rule_id or alert.device_id == device_id:
                self._live.publish("alert", alert.device_id, self.describe(alert))

    def drop_device(self, device_id: str) -> None:
        """The device was removed, and the store has let go of its alerts. One that fired ends, and is kept like any
        other that ended: who was told of the beginning is told of the end.
        """
        for alert in [alert for alert in self._all.values() if alert.device_id == device_id]:
            if alert.resolved_ms is None:
                self.resolve(alert.rule_id, device_id, self._clock_ms(), DEVICE_REMOVED)
            if alert.told and alert.reason == DEVICE_REMOVED:
                self._commits.note(Put(replace(alert)))
            else:
                self._resolved -= 1
                del self._all[alert.id]
                self._commits.note(Delete(alert))  # its end may be on its way to the store

    def _repeat_if(self, alert_id: int, again: Callable[[], None]) -> None:
        if self._repeats.get(alert_id) is again:  # it may have ended, or be repeated at other times now
            again()

    def _repeat(self, alert: Alert, every_s: float) -> None:
        if alert.acknowledged_ms is not None:
            del self._repeats[alert.id]
            return
        told = list(alert.told)
        self._announce(alert, STILL_FIRING)
        if alert.told != told:  # channels that had been muted
            self._commits.note(Put(replace(alert)))
        self.repeat(alert, every_s)

    def _drop_oldest(self) -> None:
        # A tenth at a time: looking for one costs as much.
        ended = (alert for alert in self._all.values() if alert.resolved_ms is not None)
        for alert in list(islice(ended, MAX_RESOLVED // 10)):
            del self._all[alert.id]
            self._resolved -= 1
            self._commits.note(Delete(alert))

    def _store(self, alert: Alert) -> None:
        self._commits.note(Put(replace(alert)))
        self._live.publish("alert", alert.device_id, self.describe(alert))


def muted_until(now_ms: int, for_s: float) -> int:
    """Until when an alert, a rule or a device is muted that is from now on for so long; 0: it is not.

    Raises:
        BadInput: not between 0 and `MAX_MUTE_S`.
    """
    if not 0 <= for_s <= MAX_MUTE_S:
        raise BadInput(f"for_s is between 0 and {MAX_MUTE_S:.0f}", field="for_s")
    return now_ms + int(for_s * 1000) if for_s else 0
