"""How long readings are kept: what follows for each series from what a person says (`model.Policy`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from ..model import Policy, Series

Action: TypeAlias = Literal["thin", "drop"]
Reason: TypeAlias = Literal["age", "size"]


class Limits(NamedTuple):
    """What a rule means at one moment: readings before these times are thinned or dropped."""

    thin_before_ms: int | None
    drop_before_ms: int | None


class Step(NamedTuple):
    """What happens to the readings of one series with ``start_ms <= ts < end_ms``."""

    series: int
    device_id: str
    key: str
    action: Action
    reason: Reason
    start_ms: int
    end_ms: int
    readings: int
    """How many readings this concerns; in a thinned stretch those it stands for."""
    bytes: int
    """About what it frees on disk."""


class Plan(NamedTuple):
    """All steps, by series and time; ``size_bytes`` is the store's size before them."""

    now_ms: int
    size_bytes: int
    steps: tuple[Step, ...]

    @property
    def freed_bytes(self) -> int:
        """About what all steps free on disk."""
        return sum(step.bytes for step in self.steps)


def limits_by_series(policy: Policy, known: Iterable[Series], now_ms: int) -> Mapping[int, Limits]:
    """What the rules mean now, for each series that one fits."""
    found: dict[int, Limits] = {}
    of_device: dict[str, Policy] = {}
    """Every series against every rule would be 15,000 devices' names matched once for each of their keys."""
    for series in known:
        rules = of_device.get(series.device_id)
        if rules is None:
            rules = of_device[series.device_id] = policy.of_device(series.device_id)
        rule = rules.rule_for(series)
        if rule is not None and (rule.thin_after_s is not None or rule.drop_after_s is not None):
            found[series.id] = Limits(_before(now_ms, rule.thin_after_s), _before(now_ms, rule.drop_after_s))
    return found


def _before(now_ms: int, after_s: float | None) -> int | None:
    """Nothing is older than 1970; an age of a thousand million years would be more than SQLite can compare with."""
    return None if after_s is None else now_ms - round(min(after_s * 1000, now_ms))
