"""Dashboards: cards in an order, each of one kind, and links that show them to whoever has no account."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from ...hub.dashboards import MAX_CARDS, MAX_CHOICES, MAX_LINK_S, MAX_SERIES_A_CARD, MAX_TEXT_LENGTH
from .words import Ms

Title = Annotated[str, Meta(max_length=128)]
CardId = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,16}$")]
DeviceId = Annotated[str, Meta(min_length=1, max_length=128)]
Key = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")]
Size = Literal["s", "m", "l"]
"""A quarter, a half and all of a wide screen's width."""


class CardBase(Struct, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every card has. ``id`` names it on its dashboard; an empty title is made of what it shows."""

    id: CardId
    size: Size = "s"
    title: Title = ""


class ValueCard(CardBase, tag="value", kw_only=True):
    """The latest reading of a key, with the last hour as a line."""

    device: DeviceId
    key: Key


class GaugeCard(CardBase, tag="gauge", kw_only=True):
    """The latest reading between two ends; from ``warn`` and ``bad`` on it is coloured, downwards where ``bad`` is
    below ``warn``.
    """

    device: DeviceId
    key: Key
    low: float = 0.0
    high: float = 100.0
    warn: float | None = None
    bad: float | None = None


class SeriesRef(Struct, forbid_unknown_fields=True):
    """One key of one device."""

    device: DeviceId
    key: Key


class ChartCard(CardBase, tag="chart", kw_only=True):
    """Lines over the last ``span_s`` seconds."""

    series: Annotated[list[SeriesRef], Meta(min_length=1, max_length=MAX_SERIES_A_CARD)]
    span_s: Annotated[int, Meta(ge=60, le=31 * 86_400)] = 3_600


class CommandAct(Struct, forbid_unknown_fields=True, tag_field="does", tag="command"):
    """Send a command. The card's value is its parameter ``param``, or all of its parameters."""

    method: Annotated[str, Meta(min_length=1, max_length=128)]
    param: Annotated[str, Meta(max_length=64)] = ""


class AttributeAct(Struct, forbid_unknown_fields=True, tag_field="does", tag="attribute"):
    """Write a shared attribute, which the device is told."""

    key: Key


Act: TypeAlias = CommandAct | AttributeAct


class ControlCard(CardBase, kw_only=True):
    """What every control has. ``key`` is the reading that tells the present state, where there is one."""

    device: DeviceId
    act: Act
    key: Annotated[str, Meta(pattern=r"^([A-Za-z_][A-Za-z0-9_.-]{0,63})?$")] = ""


class SwitchCard(ControlCard, tag="switch", kw_only=True):
    """On and off."""

    on: Any = True
    off: Any = False


class ButtonCard(ControlCard, tag="button", kw_only=True):
    """One thing to do; with ``ask`` it asks first."""

    value: Any = None
    ask: bool = False


class SliderCard(ControlCard, tag="slider", kw_only=True):
    """A number between two ends, in steps."""

    low: float = 0.0
    high: float = 100.0
    step: Annotated[float, Meta(gt=0)] = 1.0


class ChoiceCard(ControlCard, tag="choice", kw_only=True):
    """One of some values."""

    values: Annotated[list[Any], Meta(min_length=1, max_length=MAX_CHOICES)]


class TextCard(CardBase, tag="text", kw_only=True):
    """Words, as they are: no markup."""

    text: Annotated[str, Meta(max_length=MAX_TEXT_LENGTH)]


class HiddenCard(CardBase, tag="hidden", kw_only=True):
    """In the place of a card about devices that whoever asks may not see. It cannot be stored."""


Card: TypeAlias = (
    ValueCard | GaugeCard | ChartCard | SwitchCard | ButtonCard | SliderCard | ChoiceCard | TextCard | HiddenCard
)
Cards = Annotated[list[Card], Meta(max_length=MAX_CARDS)]


class NewDashboard(Struct, forbid_unknown_fields=True):
    """A dashboard to be made."""

    name: str
    cards: Cards = []


class ChangedDashboard(Struct, forbid_unknown_fields=True):
    """All of a dashboard anew. ``version`` is the one this was made from: where it is no longer the present one,
    somebody else was faster, and nothing is changed.
    """

    version: int
    name: str
    cards: Cards


class Dashboard(Struct):
    """A dashboard. ``version`` counts its changes; ``may_edit``: whoever asks may change it."""

    id: str
    name: str
    cards: list[Card]
    version: int
    created: Ms
    updated: Ms
    updated_by: str
    may_edit: bool


class DashboardEntry(Struct):
    """A dashboard in a list."""

    id: str
    name: str
    cards: int
    version: int
    updated: Ms
    updated_by: str


class DashboardList(Struct):
    """All dashboards, by name."""

    items: list[DashboardEntry]


class NewLink(Struct, forbid_unknown_fields=True):
    """A link to be made. Without ``expires_s`` it holds until somebody removes it."""

    name: Annotated[str, Meta(max_length=64)] = ""
    expires_s: Annotated[int, Meta(ge=60, le=MAX_LINK_S)] | None = None


class Link(Struct):
    """A link that shows one dashboard to whoever has it, and nothing else."""

    id: str
    name: str
    created: Ms
    created_by: str
    expires: Ms | None


class LinkWithSecret(Link):
    """A new link. Its secret, which goes behind the ``#`` of ``/shared``, is shown this once."""

    secret: str


class LinkList(Struct):
    """The links of a dashboard."""

    items: list[Link]


class LinkSecret(Struct, forbid_unknown_fields=True):
    """What opens a shared dashboard."""

    secret: Annotated[str, Meta(max_length=128)]


class SharedPresence(Struct):
    """Presence without addresses."""

    connected: bool
    last_seen: Ms | None
    last_reading: Ms | None
    expected_every_s: float | None
    late: bool
    silent: bool


class SharedField(Struct):
    """How a value is shown, as far as it is set."""

    label: str
    unit: str
    decimals: int | None


class SharedDevice(Struct):
    """A device as a shared dashboard shows it: no labels, and of its values those on the cards."""

    id: str
    name: str
    presence: SharedPresence
    latest: dict[str, Any]
    fields: dict[str, SharedField]


class SharedDashboard(Struct):
    """A dashboard as its link shows it: controls cannot be used."""

    link: str
    name: str
    cards: list[Card]
    version: int
    expires: Ms | None
    devices: list[SharedDevice]
