"""Devices, their presence, their attributes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, UnsetType

from ...hub.fields import Field
from .words import Ms


class NewDevice(Struct, forbid_unknown_fields=True):
    """A device to be made."""

    name: str
    labels: dict[str, str] = {}
    gateway: bool = False


class ChangedDevice(Struct, forbid_unknown_fields=True):
    """What may be changed of a device; what is left out stays. ``expected_every_s`` null: learn it. A ``gateway`` may
    attach others; ``via`` is the id of the one that this device is behind, null for none.
    """

    name: str | UnsetType = msgspec.UNSET
    labels: dict[str, str] | UnsetType = msgspec.UNSET
    expected_every_s: float | UnsetType | None = msgspec.UNSET
    gateway: bool | UnsetType = msgspec.UNSET
    via: str | UnsetType | None = msgspec.UNSET


class Claim(Struct, forbid_unknown_fields=True):
    """The secret with which a device has offered to be claimed."""

    secret: str = ""


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
    gateway: bool
    via: str | None
    muted_until: Ms | None
    fields: dict[str, Field]
    presence: Presence
    latest: dict[str, Latest]


class DeviceWithToken(Device):
    """A new device. The token is shown this once."""

    token: str


class NewDeviceToken(Struct, forbid_unknown_fields=True):
    """For how long the old token opens as well; 0: it stops at once."""

    keep_old_s: Annotated[float, Meta(ge=0)] = 0.0


class DeviceToken(Struct):
    """A device's new token, and until when the old one opens as well; null: it has stopped."""

    id: str
    token: str
    old_until: Ms | None


class DeviceList(Struct):
    """A page of devices."""

    items: list[Device]
    next_cursor: str | None
    total: int
