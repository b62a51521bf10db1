"""How long readings are kept: what a person says, and what follows from it for each series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from ..model import Series

Action: TypeAlias = Literal["thin", "drop"]
Reason: TypeAlias = Literal["age", "size"]


class Keep(NamedTuple):
    """One rule. ``device`` (of the device's id) and ``key`` are shell patterns; None keeps for ever, or in full."""

    device: str = "*"
    key: str = "*"
    thin_after_s: float | None = None
    """Older readings are thinned: their first, least, greatest and last remain, and their count and sum are known."""
    drop_after_s: float | None = None
    """Older readings are deleted, thinned or not."""


class Policy(NamedTuple):
    """Of the rules the first that fits a series holds for it, so that exceptions stand before what is general."""

    rules: tuple[Keep, ...] = ()
    max_bytes: int | None = None
    """Of the whole store on disk. Beyond it the oldest readings of all series are thinned, whatever the rules say; only
    when everything is thinned the oldest are dropped.
    """

    def rule_for(self, series: Series) -> Keep | None:
        """The rule that holds for this series."""
        for rule in self.rules:
            if fnmatchcase(series.device_id, rule.device) and fnmatchcase(series.key, rule.key):
                return rule
        return None


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
    for series in known:
        rule = policy.rule_for(series)
        if rule is not None and (rule.thin_after_s is not None or rule.drop_after_s is not None):
            found[series.id] = Limits(_before(now_ms, rule.thin_after_s), _before(now_ms, rule.drop_after_s))
    return found


def _before(now_ms: int, after_s: float | None) -> int | None:
    return None if after_s is None else now_ms - round(after_s * 1000)
