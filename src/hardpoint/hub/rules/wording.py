"""Alerts as people read them: with the labels and units of the device's keys, and whether anybody is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...errors import BadInput
from ..fields import described_key, fields_of, shown
from .conditions import only_key, parse_condition

if TYPE_CHECKING:
    from ...model import Alert, Json, Rule
    from ..devices import Catalogue
    from ..fields import Field

FIRING, STILL_FIRING, RESOLVED = "firing", "still firing", "resolved"


class Wording:
    """Describes alerts. What is set of a device's keys counts as it is now, also for alerts of before."""

    def __init__(
        self, catalogue: Catalogue, find_rule: Callable[[str], Rule | None], *, clock_ms: Callable[[], int]
    ) -> None:
        self._catalogue = catalogue
        self._find_rule = find_rule
        self._clock_ms = clock_ms

    def describe(self, alert: Alert) -> dict[str, Json]:
        """An alert as the app API gives it: ``text`` and ``value`` with the device's own key and unit, ``told`` in
        words, ``silent`` as `silence`.
        """
        return {
            "id": alert.id,
            "rule": alert.rule_id,
            "name": alert.rule_name,
            "device": alert.device_id,
            "severity": alert.severity,
            "text": alert.text,
            "told": self.told(alert),
            "value": alert.value,
            **described_key(only_key(alert.when), self._fields(alert)),
            "state": FIRING if alert.resolved_ms is None else RESOLVED,
            "since": alert.since_ms,
            "fired": alert.fired_ms,
            "resolved": alert.resolved_ms,
            "reason": alert.reason,
            "acknowledged": alert.acknowledged_ms,
            "acknowledged_by": alert.acknowledged_by,
            "muted_until": alert.muted_until_ms or None,
            "silent": self.silence(alert),
        }

    def told(self, alert: Alert) -> str:
        """What was the matter: ``Air temperature is above 30 °C``."""
        try:
            return parse_condition(alert.when).told(self._fields(alert))
        except BadInput:  # it is older than conditions in alerts, or another version's
            return alert.text

    def line(self, event: str, alert: Alert) -> str:
        """A piece of news: ``firing: Too hot: Greenhouse: Air temperature is above 30 °C (31.5 °C)``."""
        device = self._catalogue.by_id.get(alert.device_id)
        name = device.record.name if device is not None else alert.device_id
        value = "" if alert.value is None else f" ({shown(only_key(alert.when), alert.value, self._fields(alert))})"
        return f"{event}: {alert.rule_name}: {name}: {self.told(alert)}{value}"

    def silence(self, alert: Alert) -> dict[str, Json] | None:
        """``{"until", "by"}`` while nobody is told of it, for it, its rule or its device is muted; by whichever is for
        longest.
        """
        rule, device = self._find_rule(alert.rule_id), self._catalogue.by_id.get(alert.device_id)
        mutes = [
            (alert.muted_until_ms, "alert"),
            (rule.muted_until_ms if rule is not None else 0, "rule"),
            (device.record.muted_until_ms if device is not None else 0, "device"),
        ]
        until_ms, by = max(mutes)
        return {"until": until_ms, "by": by} if until_ms > self._clock_ms() else None

    def _fields(self, alert: Alert) -> dict[str, Field]:
        device = self._catalogue.by_id.get(alert.device_id)
        return fields_of(device) if device is not None else {}
