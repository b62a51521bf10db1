"""The nouns: what the hub keeps, the store stores and the dialects speak of.

Plain slots dataclasses without behaviour. Times are integer milliseconds since 1970-01-01 UTC (``…_ms`` or ``ts``),
durations are seconds (``…_s``). Every record names its own primary key in ``KEY``: a store derives its table from it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, ClassVar, NamedTuple, TypeAlias, get_args

import msgspec

from ..errors import BadInput, TooLarge
from .broker import MqttMessage as MqttMessage
from .broker import MqttRetained as MqttRetained
from .broker import MqttSession as MqttSession
from .broker import MqttSubscription as MqttSubscription
from .handover import Claim as Claim
from .handover import Package as Package
from .handover import UnknownDevice as UnknownDevice

Scalar: TypeAlias = float | int | bool | str
Json: TypeAlias = Any  # what a JSON document decodes to; mypy cannot yet spell the recursive type usefully
Value: TypeAlias = Json
"""A reading's value: a number, a boolean, a string, or a JSON object or array."""

Sample: TypeAlias = tuple[int | None, str, Value]
"""``(ts, key, value)`` as a dialect hands it in; ``ts`` None means the server's time."""

Row: TypeAlias = tuple[int, int, Value]
"""``(series, ts, value)`` as the hub hands it to the store."""

MAX_KEY_LENGTH = 64
"""SPEC §3. ThingsBoard allows 255; nothing in the wild was found above 50."""
MAX_VALUE_BYTES = 64 * 1024
"""One string or JSON value, encoded. InfluxDB's limit for a string field, and more than any sensor says at once."""
MAX_JSON_DEPTH = 32
"""Objects and arrays within one another. Every encoder on a value's way recurses, each at another depth of our own
stack: what one of them takes, the next must take as well, or one device's value fails a commit of many.
"""
PLAIN_ROW_BYTES = 160
"""What a reading of a number takes while it waits: a tuple, a float, an integer and its places in lists."""
MAX_NAME_LENGTH = 128
"""A device's, user's or token's name."""
MAX_TS_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z: beyond it a time stamp is microseconds or nanoseconds sent by mistake."""

MIN_TS_IN_SECONDS, MAX_TS_IN_SECONDS = 10**9, 10**10
"""2001 to 2286 in seconds; as milliseconds a few weeks of 1970, where nobody would ever look for a reading."""

KEY_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


@dataclass(slots=True)
class Device:
    """Something that attaches. ``id`` is made from the first name and never changes; ``name`` may."""

    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: str
    name: str
    created_ms: int
    labels: dict[str, str] = field(default_factory=dict)
    expected_every_s: float | None = None
    """Set by a person; None means that presence learns it from the device's habit."""
    token_hash: str = ""
    """SHA-256 of the token, hex. The token itself is shown once and kept nowhere."""
    old_token_hash: str = ""
    """Of the token before this one, which opens as well until ``old_token_until_ms``."""
    old_token_until_ms: int = 0
    gateway: int = 0
    """1: it may attach other devices."""
    via: str = ""
    """The gateway that it is behind and what that calls it: ``<id>/<name>``. Empty: it is behind none."""
    muted_until_ms: int = 0
    """Until then nobody is told of alerts on it."""


@dataclass(slots=True)
class Series:
    """One key of one device. ``id`` is small and never used again: it stands for both in every stored row."""

    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: int
    device_id: str
    key: str


@dataclass(slots=True, frozen=True)
class Reading:
    """One value at one time, as handlers and live clients see it."""

    device: str
    key: str
    ts: int
    value: Value


@dataclass(slots=True)
class Attribute:
    """What a device is, not what it measures. ``scope`` is ``client`` (the device writes), ``shared`` (the server
    writes, the device is told) or ``server`` (the device never sees it).
    """

    KEY: ClassVar[tuple[str, ...]] = ("device_id", "scope", "key")

    device_id: str
    scope: str
    key: str
    value: Json
    updated_ms: int


ATTRIBUTE_SCOPES = ("client", "shared", "server")

COMMAND_STATES = ("queued", "sent", "delivered", "done", "failed", "expired", "cancelled")
COMMAND_FINAL_STATES = frozenset({"done", "failed", "expired", "cancelled"})


@dataclass(slots=True)
class Command:
    """One request to a device and its life. ``steps`` is ``[[state, at_ms, reason], …]``, oldest first."""

    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: int
    device_id: str
    method: str
    params: Json
    created_ms: int
    expires_ms: int
    state: str = "queued"
    steps: list[list[Json]] = field(default_factory=list)
    result: Json = None


@dataclass(slots=True)
class User:
    """A person who signs in. ``password_hash`` is a PHC string (scrypt).

    ``labels`` limit what an operator or a viewer sees to devices that have one of them: ``key:value``, or ``key`` with
    any value. None: all devices.
    """

    KEY: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    role: str
    password_hash: str
    created_ms: int
    labels: list[str] = field(default_factory=list)
    disabled: int = 0


@dataclass(slots=True)
class SignIn:
    """A browser's session: the cookie's SHA-256, whose it is and until when; from where it was opened and by what
    (User-Agent), and when it was last used, to some minutes.
    """

    KEY: ClassVar[tuple[str, ...]] = ("id_hash",)

    id_hash: str
    user: str
    created_ms: int
    expires_ms: int
    address: str = ""
    agent: str = ""
    used_ms: int = 0


@dataclass(slots=True)
class ApiToken:
    """A program's key to the app API. ``prefix`` is the part shown in lists; ``labels`` as those of `User`."""

    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: str
    name: str
    role: str
    token_hash: str
    prefix: str
    created_ms: int
    labels: list[str] = field(default_factory=list)
    expires_ms: int | None = None
    made_by: str = ""
    used_ms: int = 0
    """When it was last used, to some minutes; 0: never."""
    used_from: str = ""
    """The address it was last used from."""


@dataclass(slots=True)
class AuditEntry:
    """Who did what, when, from where, on what, and how it ended. It never holds a secret.

    ``via`` is how they were known: ``cookie``, ``token``, ``unix``, ``password``, ``link``, ``rule``, ``provision`` or
    ``server``. ``what`` is a deed, as ``devices.create``; ``subject`` the id or name it was done to; ``detail`` what
    changed; ``why`` the cause, where a person was not it. ``result`` is ``begun`` until it is known, then ``done`` or
    an error's code.
    """

    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: int
    at_ms: int
    who: str
    via: str
    address: str
    what: str
    device_id: str = ""
    subject: str = ""
    detail: dict[str, Json] = field(default_factory=dict)
    why: str = ""
    result: str = "begun"


SEVERITIES = ("info", "warning", "critical")


@dataclass(slots=True)
class Rule:
    """*When* a condition holds *for* a time on a device within ``scope``, an alert is raised, *until* it holds no more.

    ``when`` is the condition as `hub.rules.conditions` reads it, ``scope`` is ``all``, ``device:<id>``,
    ``label:<name>`` or ``label:<name>=<value>``. ``command`` is ``{"method", "params", "device"?}``.
    """

    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: str
    name: str
    scope: str
    when: dict[str, Json]
    created_ms: int
    for_s: float = 0.0
    severity: str = "warning"
    channels: list[str] = field(default_factory=list)
    command: Json = None
    repeat_s: float | None = None
    """While the alert fires and nobody has acknowledged it, tell the channels again this often."""
    enabled: int = 1
    muted_until_ms: int = 0


@dataclass(slots=True)
class Attachment:
    """One session of a device: from when to when (None: still), from where, over what, and why it ended. ``slot`` is
    its place in a ring of the last ones.
    """

    KEY: ClassVar[tuple[str, ...]] = ("device_id", "slot")

    device_id: str
    slot: int
    began_ms: int
    ended_ms: int | None
    peer: str
    dialect: str
    encrypted: bool
    why: str | None


@dataclass(slots=True)
class Habit:
    """How a device behaves: the interval of its reports as learnt, and how often it was attached so far."""

    KEY: ClassVar[tuple[str, ...]] = ("device_id",)

    device_id: str
    learnt_every_s: float | None
    attachments: int


@dataclass(slots=True)
class RuleState:
    """How a rule stands on one device, where that is not ``normal``: ``pending`` or ``firing``, and since when."""

    KEY: ClassVar[tuple[str, ...]] = ("rule_id", "device_id")

    rule_id: str
    device_id: str
    state: str
    since_ms: int


@dataclass(slots=True)
class Alert:
    """What a rule raised on a device: from ``fired_ms`` until ``resolved_ms``."""

    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: int
    rule_id: str
    rule_name: str
    device_id: str
    severity: str
    text: str
    """What was the matter, in words: ``temp is above 30``."""
    value: Json
    """Of the reading it fired on; None where there was none."""
    since_ms: int
    """When the condition began to hold."""
    fired_ms: int
    resolved_ms: int | None = None
    reason: str | None = None
    """Why it ended, where it was not by the condition's own end."""
    acknowledged_ms: int | None = None
    acknowledged_by: str | None = None
    muted_until_ms: int = 0
    told: list[str] = field(default_factory=list)
    """The channels that were given its beginning, and will be given its end."""
    when: dict[str, Json] = field(default_factory=dict)
    """The condition that it fired on, as `Rule.when`; the rule may have another by now. Empty: it is older than this
    field.
    """


@dataclass(slots=True)
class Channel:
    """A way to tell people: ``kind`` is a sender's name in the registry, ``settings`` are its own."""

    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: str
    name: str
    kind: str
    settings: dict[str, Json]
    created_ms: int


@dataclass(slots=True)
class Delivery:
    """One alert's news on its way over one channel. ``steps`` is ``[[state, at_ms, reason], …]``, oldest first."""

    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: int
    channel_id: str
    alert_id: int
    event: str
    """``firing``, ``still firing`` or ``resolved``."""
    state: str
    """``waiting``, ``sent``, ``failed`` (given up) or ``dropped`` (there is no longer anything to tell)."""
    created_ms: int
    due_ms: int
    attempts: int = 0
    steps: list[list[Json]] = field(default_factory=list)
    message: int | None = None
    """The message it leaves in, named by the first of its deliveries; None until it is tried. Every try is of the same
    message, so that the receiver can tell a repeat.
    """


@dataclass(slots=True)
class QuietHours:
    """A part of the day in which channels are not used, but for alerts of ``but_for`` severity and above.

    ``days`` are those on which it begins, 0 being Monday; ``begins`` and ``ends`` are ``HH:MM`` in ``time_zone``.
    ``channels`` names those it holds for; none means all of them.
    """

    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: str
    begins: str
    ends: str
    time_zone: str
    days: list[int] = field(default_factory=lambda: list(range(7)))
    channels: list[str] = field(default_factory=list)
    but_for: str | None = "critical"


@dataclass(slots=True)
class Dashboard:
    """Cards in an order (`web.shapes.dashboards`). ``version`` counts its changes."""

    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: str
    name: str
    created_ms: int
    cards: list[dict[str, Json]]
    version: int
    updated_ms: int
    updated_by: str


@dataclass(slots=True)
class ShareLink:
    """Shows one dashboard to whoever has its secret, of which the SHA-256 is kept, until ``expires_ms``."""

    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: str
    dashboard_id: str
    name: str
    secret_hash: str
    created_ms: int
    created_by: str
    expires_ms: int | None


Record: TypeAlias = (
    Device
    | Series
    | Attribute
    | Command
    | User
    | SignIn
    | ApiToken
    | AuditEntry
    | MqttSession
    | MqttSubscription
    | MqttMessage
    | MqttRetained
    | Rule
    | RuleState
    | Alert
    | Channel
    | Delivery
    | QuietHours
    | Attachment
    | Habit
    | Dashboard
    | ShareLink
    | Claim
    | Package
    | UnknownDevice
)
RECORD_TYPES: tuple[type[Record], ...] = get_args(Record)


@dataclass(slots=True, frozen=True)
class Put:
    """Insert the record, or replace the one with the same key."""

    record: Record


@dataclass(slots=True, frozen=True)
class Delete:
    """Remove the record with this one's key. Deleting a `Device` also removes its series, readings, attributes and
    commands; deleting a `Series` removes its readings.
    """

    record: Record


@dataclass(slots=True, frozen=True)
class DeleteReadings:
    """Remove the readings of a series with ``start_ms <= ts < end_ms``."""

    series: int
    start_ms: int
    end_ms: int


@dataclass(slots=True, frozen=True)
class EndAttachment:
    """Note in the row of an `Attachment` when and why it ended, unless the row tells of another one by now."""

    device_id: str
    slot: int
    began_ms: int
    ended_ms: int
    why: str


@dataclass(slots=True, frozen=True)
class DeleteAudit:
    """Remove the audit entries with lower numbers."""

    before_id: int


Change: TypeAlias = Put | Delete | DeleteReadings | DeleteAudit | EndAttachment


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

    def of_device(self, device_id: str) -> Policy:
        """The same, with only the rules that may hold for a series of that device."""
        return self._replace(rules=tuple(rule for rule in self.rules if fnmatchcase(device_id, rule.device)))

    def rule_for(self, series: Series) -> Keep | None:
        """The rule that holds for this series."""
        for rule in self.rules:
            if fnmatchcase(series.device_id, rule.device) and fnmatchcase(series.key, rule.key):
                return rule
        return None


class Stretch(NamedTuple):
    """Readings next to one another: ``times`` ascending, each once, and the value of each at the same place."""

    times: Sequence[int]
    values: Sequence[Value]


class Summary(NamedTuple):
    """What is known of a closed piece of a series without its readings.

    Least, greatest and sum are those of its ``numbers`` (integers and floats, not booleans), and None without any. Of
    several readings with the least or greatest value the earliest is told. ``end_ms`` is the time of the last reading.
    """

    start_ms: int
    end_ms: int
    count: int  # type: ignore[assignment] # not tuple.count
    numbers: int
    min: float | None
    min_ms: int | None
    max: float | None
    max_ms: int | None
    sum: float | None
    first: Value
    last: Value


ROLES = ("viewer", "operator", "admin")
"""Each may do what the ones before it may."""


def checked_key(key: str) -> str:
    """The key itself.

    Raises:
        BadInput: it is not ``[A-Za-z_][A-Za-z0-9_.-]*`` of at most 64 characters (SPEC §3).
    """
    if KEY_PATTERN.fullmatch(key) is None:
        raise BadInput(
            f"key {key[:80]!r} must start with a letter or _, go on with letters, digits, _ . - "
            f"and have at most {MAX_KEY_LENGTH} characters",
            field=key[:80],
        )
    return key


def checked_value(value: Value) -> Value:
    """The value as it will be stored: an integer beyond 64 bits becomes its decimal string, as ThingsBoard does,
    because storing it as a float would lose digits.

    Raises:
        BadInput: NaN or infinite.
        TooLarge: longer than `MAX_VALUE_BYTES`, or nested deeper than `MAX_JSON_DEPTH`.
    """
    kind = type(value)
    if kind is dict or kind is list:
        return checked_json(value)
    if kind is float:
        if not math.isfinite(value):
            raise BadInput("a number must be finite")
    elif kind is int:
        if not INT64_MIN <= value <= INT64_MAX:
            return str(value)
    elif kind is str and len(value) > MAX_VALUE_BYTES // 4 and len(value.encode()) > MAX_VALUE_BYTES:
        raise TooLarge(f"a string value may have at most {MAX_VALUE_BYTES} bytes")
    return value


def checked_json(value: Json) -> Json:
    """What a JSON document decoded to, as it will be stored: integers beyond 64 bits in it become decimal strings
    (in place), for MessagePack has none.

    Raises:
        TooLarge: longer than `MAX_VALUE_BYTES`, or nested deeper than `MAX_JSON_DEPTH`.
    """
    level: list[Json] = [value]
    depth = 0
    while level:
        inner: list[Json] = []
        for holder in level:
            if type(holder) is dict:
                items: Iterable[tuple[Any, Json]] = holder.items()
            elif type(holder) is list:
                items = enumerate(holder)
            else:
                continue
            for place, item in items:
                if type(item) is int:
                    if not INT64_MIN <= item <= INT64_MAX:
                        holder[place] = str(item)
                elif type(item) is dict or type(item) is list:
                    inner.append(item)
        depth += 1
        if inner and depth >= MAX_JSON_DEPTH:
            raise TooLarge(f"objects and arrays may be nested {MAX_JSON_DEPTH} deep")
        level = inner
    if type(value) is int and not INT64_MIN <= value <= INT64_MAX:
        value = str(value)
    if len(msgspec.json.encode(value)) > MAX_VALUE_BYTES:
        raise TooLarge(f"a JSON value may have at most {MAX_VALUE_BYTES} bytes")
    return value


def weight(value: Value) -> int:
    """How many plain readings a value weighs in memory, beyond its own row: limits that count rows count this too, or
    rows of 64 KiB each would pass them by the gigabyte.
    """
    if type(value) is str:
        return len(value) // PLAIN_ROW_BYTES
    if type(value) is dict or type(value) is list:
        return len(msgspec.json.encode(value)) // PLAIN_ROW_BYTES
    return 0


def checked_ts(ts: int) -> int:
    """The time stamp itself.

    Raises:
        BadInput: not between 1970 and 9999 in milliseconds.
    """
    if MIN_TS_IN_SECONDS <= ts < MAX_TS_IN_SECONDS:
        raise BadInput(f"time stamp {ts} is in seconds: multiply it by 1000", field="ts")
    if not 0 <= ts <= MAX_TS_MS:
        raise BadInput(f"time stamp {ts} is not in milliseconds since 1970-01-01 UTC", field="ts")
    return ts
