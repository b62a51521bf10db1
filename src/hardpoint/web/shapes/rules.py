"""Rules, what they raise, and who is told."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, UnsetType, field

from .words import ForS, Ms, Severity


class RuleCommand(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What to send when the rule fires; to the device that the alert is about, where no other is named."""

    method: str
    params: Any = None
    device: str | None = None


class NewRule(Struct, forbid_unknown_fields=True):
    """*When* holds *for* a time on the devices in ``scope``, *then* alert, tell ``channels``, send ``command``."""

    name: str
    when: dict[str, Any]
    scope: str = "all"
    id: str | None = None
    for_s: ForS = 0.0
    severity: Severity = "warning"
    channels: list[str] = []
    command: RuleCommand | None = None
    repeat_s: ForS | None = None
    enabled: bool = True


class ChangedRule(Struct, forbid_unknown_fields=True):
    """What may be changed of a rule; what is left out stays."""

    name: str | UnsetType = msgspec.UNSET
    when: dict[str, Any] | UnsetType = msgspec.UNSET
    scope: str | UnsetType = msgspec.UNSET
    for_s: ForS | UnsetType = msgspec.UNSET
    severity: Severity | UnsetType = msgspec.UNSET
    channels: list[str] | UnsetType = msgspec.UNSET
    command: RuleCommand | UnsetType | None = msgspec.UNSET
    repeat_s: ForS | UnsetType | None = msgspec.UNSET
    enabled: bool | UnsetType = msgspec.UNSET


class TriedRule(NewRule):
    """A rule to be tried on what is stored."""

    from_ms: Ms | None = None
    to_ms: Ms | None = None


class Mute(Struct, forbid_unknown_fields=True):
    """For how long nothing is told; 0 ends it."""

    for_s: ForS


class NewChannel(Struct, forbid_unknown_fields=True):
    """A way to tell people. ``settings`` are those of its kind."""

    name: str
    kind: str
    settings: dict[str, Any]


class ChangedChannel(Struct, forbid_unknown_fields=True):
    """What may be changed of a channel; settings that are left out stay, a null removes one."""

    name: str | UnsetType = msgspec.UNSET
    settings: dict[str, Any] | UnsetType = msgspec.UNSET


class QuietHours(Struct, forbid_unknown_fields=True):
    """A part of the day in which channels are silent, but for alerts of ``but_for`` and above. Days begin with Monday,
    0. Without ``channels`` it holds for all.
    """

    begins: str
    ends: str
    time_zone: str
    days: list[int] = field(default_factory=lambda: list(range(7)))
    channels: list[str] = []
    but_for: Severity | None = "critical"


class AllQuietHours(Struct, forbid_unknown_fields=True):
    """Every quiet time there is."""

    items: Annotated[list[QuietHours], Meta(max_length=64)]


class Rule(Struct):
    """A rule, the condition in words, and how many of its alerts fire."""

    id: str
    name: str
    scope: str
    when: dict[str, Any]
    sentence: str
    for_s: float
    severity: Severity
    channels: list[str]
    command: Any
    repeat_s: float | None
    enabled: bool
    muted_until: Ms | None
    created: Ms
    firing: int


class Standing(Struct):
    """How a rule stands on a device, and why. ``holds`` is what is known beneath ``no_data`` and ``error``."""

    device: str
    state: Literal["normal", "pending", "firing", "no_data", "error"]
    why: str | None
    holds: Literal["normal", "pending", "firing"]
    since: Ms | None
    ts: Ms | None
    value: Any
    key: str | None
    label: str | None
    unit: str | None
    decimals: int | None


class StandingOfRule(Standing, kw_only=True):
    """The same, of one rule among those of a device."""

    rule: str
    name: str


class RuleWithStandings(Rule):
    """A rule, and how it stands on each device that it has looked at."""

    standings: list[Standing]


class RuleList(Struct):
    """All rules."""

    items: list[Rule]


class StandingList(Struct):
    """The rules that concern a device, and how each of them stands."""

    items: list[StandingOfRule]


class WouldFire(Struct):
    """An alert there would have been. ``resolved`` null: it would still fire at the end."""

    device: str
    since: Ms
    fired: Ms
    resolved: Ms | None
    value: Any
    key: str | None
    label: str | None
    unit: str | None
    decimals: int | None


class DryRun(Struct):
    """What a rule would have raised (the first of it), how often, and how many readings were looked at."""

    sentence: str
    firings: list[WouldFire]
    fired: int
    readings: int


class Silence(Struct):
    """Until when nobody is told, and what of it is muted."""

    until: Ms
    by: Literal["alert", "rule", "device"]


class Alert(Struct):
    """What a rule raised on a device. ``text`` and ``value`` are in the device's own key and unit; ``told`` is the text
    in people's words, with what is set of the device's ``fields``; ``label``, ``unit`` and ``decimals`` are those of
    the value. ``key`` null: it is about several.
    """

    id: int
    rule: str
    name: str
    device: str
    severity: Severity
    text: str
    told: str
    value: Any
    key: str | None
    label: str | None
    unit: str | None
    decimals: int | None
    state: Literal["firing", "resolved"]
    since: Ms
    fired: Ms
    resolved: Ms | None
    reason: str | None
    acknowledged: Ms | None
    acknowledged_by: str | None
    muted_until: Ms | None
    silent: Silence | None


class Alerts(Struct, forbid_unknown_fields=True):
    """Numbers of alerts."""

    alerts: Annotated[list[Annotated[int, Meta(ge=1)]], Meta(min_length=1, max_length=1000)]


class RefusedAlert(Struct):
    """One that was not acknowledged, and why: ``not_found``, or ``conflict`` where it ended or somebody sees to it."""

    id: int
    code: str
    message: str


class AcknowledgedAlerts(Struct):
    """What became of each."""

    items: list[Alert]
    refused: list[RefusedAlert]


class AlertList(Struct):
    """A page of alerts, the newest first."""

    items: list[Alert]
    next_cursor: str | None


class Channel(Struct):
    """A way to tell people. Settings that are secret are shown as ``null``."""

    id: str
    name: str
    kind: str
    settings: dict[str, Any]
    created: Ms


class ChannelList(Struct):
    """All channels, and the kinds there may be."""

    items: list[Channel]
    kinds: list[str]


class Said(Struct):
    """What the receiver of a test said."""

    said: str


class DeliveryStep(Struct):
    """One step of a piece of news on its way."""

    state: Literal["waiting", "sent", "failed", "dropped"]
    at: Ms
    reason: str | None


class Delivery(Struct):
    """A piece of news on its way over a channel."""

    id: int
    channel: str
    alert: int
    event: Literal["firing", "still firing", "resolved"]
    state: Literal["waiting", "sent", "failed", "dropped"]
    created: Ms
    due: Ms
    attempts: int
    steps: list[DeliveryStep]


class DeliveryList(Struct):
    """A page of deliveries, the newest first."""

    items: list[Delivery]
    next_cursor: str | None
