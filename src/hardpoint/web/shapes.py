"""The JSON documents of the app API as types: what comes in is checked against them, what goes out is described by
them in ``/api/openapi.json``, and a test holds real answers against them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

Ms = Annotated[int, Meta(ge=0, description="milliseconds since 1970-01-01 UTC")]
Role = Literal["viewer", "operator", "admin"]
State = Literal["queued", "sent", "delivered", "done", "failed", "expired", "cancelled"]
Password = Annotated[str, Meta(min_length=8, max_length=256)]
PersonName = Annotated[str, Meta(min_length=1, max_length=64)]


# -- what comes in


class NewDevice(Struct, forbid_unknown_fields=True):
    """A device to be made."""

    name: str
    labels: dict[str, str] = {}


class ChangedDevice(Struct, forbid_unknown_fields=True):
    """What may be changed of a device; what is left out stays. ``expected_every_s`` null: learn it."""

    name: str | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET
    expected_every_s: float | UnsetType | None = UNSET


class NewCommand(Struct, forbid_unknown_fields=True):
    """A command to be sent. With ``wait_s`` the answer is waited for."""

    method: str
    params: Any = None
    ttl_s: float = 60.0
    wait_s: Annotated[float, Meta(gt=0, le=300)] | None = None


class PastSeries(Struct):
    """Readings of one key. ``device`` is an id or a name; each point is ``[ts, value]``."""

    device: str
    key: str
    points: list[tuple[int, Any]]


class PastReadings(Struct):
    """Readings to be stored, in the form in which ``GET /api/readings`` gives them."""

    series: list[PastSeries]


class Credentials(Struct, forbid_unknown_fields=True):
    """Either ``name`` and ``password``, or the one-time ``link`` that the server printed."""

    name: str = ""
    password: str = ""
    link: str = ""


class NewUser(Struct, forbid_unknown_fields=True):
    """The first person, who may do everything."""

    name: PersonName
    password: Password


class NewToken(Struct, forbid_unknown_fields=True):
    """An API token to be made."""

    name: PersonName
    role: Role = "viewer"


Severity = Literal["info", "warning", "critical"]
ForS = Annotated[float, Meta(ge=0, description="seconds")]


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

    name: str | UnsetType = UNSET
    when: dict[str, Any] | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    for_s: ForS | UnsetType = UNSET
    severity: Severity | UnsetType = UNSET
    channels: list[str] | UnsetType = UNSET
    command: RuleCommand | UnsetType | None = UNSET
    repeat_s: ForS | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


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

    name: str | UnsetType = UNSET
    settings: dict[str, Any] | UnsetType = UNSET


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


# -- what goes out


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


class DryRun(Struct):
    """What a rule would have raised (the first of it), how often, and how many readings were looked at."""

    sentence: str
    firings: list[WouldFire]
    fired: int
    readings: int


class Alert(Struct):
    """What a rule raised on a device."""

    id: int
    rule: str
    name: str
    device: str
    severity: Severity
    text: str
    value: Any
    state: Literal["firing", "resolved"]
    since: Ms
    fired: Ms
    resolved: Ms | None
    reason: str | None
    acknowledged: Ms | None
    acknowledged_by: str | None
    muted_until: Ms | None


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


class Connected(Struct, rename={"since_ms": "since", "address": "from"}):
    """How a device is connected right now."""

    dialect: str
    since_ms: Ms
    encrypted: bool
    address: str


class Presence(Struct):
    """Four facts, and what they add up to: ``late``, a report is overdue; ``silent``, two were missed."""

    connected: Connected | None
    last_seen: Ms | None
    last_reading: Ms | None
    expected_every_s: float | None
    expected_set: bool
    late: bool
    silent: bool


class Desired(Struct):
    """A shared attribute, and the client attribute of the same key: ``met`` when the device reports what is wanted."""

    desired: Any
    reported: Any
    met: bool


class DeviceSession(Struct, rename={"from_": "from"}):
    """A device was attached; ``to`` null: it still is, or, with a ``why``, nobody knows until when."""

    from_: Ms
    to: Ms | None
    address: str
    dialect: str
    encrypted: bool
    why: str | None


class DeviceSessions(Struct):
    """The last ones, the newest first; long polls behind one another are one."""

    items: list[DeviceSession]


class Latest(Struct):
    """The latest reading of a key."""

    value: Any
    ts: Ms


class Device(Struct):
    """A device with its presence and its latest readings."""

    id: str
    name: str
    labels: dict[str, str]
    created: Ms
    presence: Presence
    latest: dict[str, Latest]


class DeviceWithToken(Device):
    """A new device. The token is shown this once."""

    token: str


class DeviceToken(Struct):
    """A device's new token."""

    id: str
    token: str


class DeviceList(Struct):
    """A page of devices."""

    items: list[Device]
    next_cursor: str | None
    total: int


class Readings(Struct):
    """A range of one key. Each point is ``[ts, value]``."""

    key: str
    agg: str
    points: list[tuple[Ms, Any]]


class SeriesReadings(Struct):
    """A range of one series."""

    device: str
    key: str
    agg: str
    points: list[tuple[Ms, Any]]


class ManyReadings(Struct, rename={"from_ms": "from", "to_ms": "to"}):
    """A range of many series, by device and key."""

    from_ms: Ms
    to_ms: Ms
    series: list[SeriesReadings]


class SeriesEntry(Struct):
    """One key of one device. ``first`` and ``last`` are times of stored readings, null where there is none."""

    device: str
    key: str
    first: Ms | None
    last: Ms | None
    latest: Latest | None


class SeriesList(Struct):
    """A page of series."""

    items: list[SeriesEntry]
    next_cursor: str | None
    total: int


class Stored(Struct):
    """How many readings are on disk now."""

    readings: int


class Keep(Struct):
    """One rule of retention; null is never."""

    device: str
    key: str
    thin_after_s: float | None
    drop_after_s: float | None


class PlannedStep(Struct, rename={"from_ms": "from", "to_ms": "to"}):
    """What will happen to readings of one series with ``from <= ts < to``, and from when on."""

    device: str
    key: str
    action: Literal["thin", "drop"]
    reason: Literal["age", "size"]
    from_ms: int
    to_ms: int
    readings: int
    bytes: int
    due: Ms


class Plan(Struct):
    """What retention would do at the time ``at``. ``bytes`` are about what it frees."""

    at: Ms
    size_bytes: int
    max_bytes: int | None
    freed_bytes: int
    rules: list[Keep]
    steps: list[PlannedStep]
    more_steps: int


class Finding(Struct, rename={"from_ms": "from", "to_ms": "to"}):
    """One thing that a check found wrong, and what was done about it."""

    place: str
    device: str | None
    key: str | None
    from_ms: int | None
    to_ms: int | None
    readings: int
    problem: str
    done: Literal["reported", "repaired", "quarantined"]


class CheckReport(Struct):
    """What a check looked at, and what was wrong."""

    pieces: int
    readings: int
    findings: list[Finding]


class Step(Struct):
    """One step in a command's life."""

    state: State
    at: Ms
    reason: str | None


class Command(Struct):
    """A command and what became of it."""

    id: int
    device: str
    method: str
    params: Any
    state: State
    created: Ms
    expires: Ms
    result: Any
    steps: list[Step]


class QueuedCommand(Struct):
    """A command that was taken."""

    id: int
    state: State


class CommandList(Struct):
    """A page of commands, the newest first."""

    items: list[Command]
    next_cursor: str | None


class Person(Struct):
    """Who is signed in."""

    name: str
    role: Role


class SignedIn(Struct):
    """The session. ``setup_needed``: nobody has a password yet."""

    user: Person
    setup_needed: bool
    version: str


class Token(Struct):
    """An API token as lists show it."""

    id: str
    name: str
    role: Role
    prefix: str
    created: Ms


class TokenWithSecret(Struct):
    """A new API token. The token is shown this once."""

    id: str
    name: str
    role: Role
    token: str


class TokenList(Struct):
    """All API tokens."""

    items: list[Token]


class Listener(Struct):
    """A door, where it really is, and how many are in."""

    url: str
    port: int | None
    connections: int


class ShownCertificate(Struct):
    """A certificate that listeners with TLS show. ``not_after`` is in ms; below 0 ``days_left`` it has ended."""

    names: list[str]
    fingerprint: str
    not_after: int
    days_left: int


class BridgeState(Struct):
    """The connection to another MQTT broker: ``error`` says why there is none, ``queued`` are messages that wait."""

    url: str
    connected: bool
    error: str
    queued: int


class Health(Struct):
    """Readiness with every part's state. Strangers are not shown Unix listeners, the bridge, nor the store's ``path``
    and ``free_bytes``.
    """

    status: Literal["ok", "degraded"]
    version: str
    uptime_s: float
    loop: str
    listeners: list[Listener]
    certificates: list[ShownCertificate]
    bridge: BridgeState | None
    store: dict[str, Any]


class Problem(Struct):
    """What is wrong, and where."""

    code: str
    message: str
    field: str | None = None


class Failure(Struct):
    """Every error has this form."""

    error: Problem


# -- the wire tap


class TapFor(Struct, forbid_unknown_fields=True):
    """For how long every frame of a device is kept; 0: no longer."""

    for_s: Annotated[float, Meta(ge=0, le=3600)] = 600.0


class Tapped(Struct):
    """Until when; null: it is not tapped."""

    tapped_until: Ms | None


class Frame(Struct, rename={"from_": "from"}):
    """One message of a device, or to it. ``head`` is a request line, a status, a packet's name or nothing; with
    ``binary`` the ``body`` is hex; with ``cut`` it was longer.
    """

    number: int
    at: Ms
    dialect: str
    way: Literal["in", "out"]
    from_: str
    head: str
    body: str
    binary: bool
    cut: bool
    verdict: Literal["taken", "refused", "sent"]
    reason: str | None


class FrameList(Tapped):
    """Frames, oldest first."""

    items: list[Frame]


class Stranger(Struct):
    """An address that something was refused from, before it had signed in."""

    address: str
    frames: list[Frame]


class StrangerList(Struct):
    """Those heard last first."""

    items: list[Stranger]
