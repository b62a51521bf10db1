"""How the keys of a device are shown, and how long their readings are kept, as people set it.

It is one server attribute of the device, ``fields``: stored, exported and removed with the others, and no second place
to look. What somebody writes there by hand and is no such thing counts as nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from ..errors import TooLarge
from ..model import Keep, checked_key

if TYPE_CHECKING:
    from ..model import Json, Value
    from .devices import DeviceState
    from .hub import Hub

SCOPE, ATTRIBUTE = "server", "fields"
MAX_FIELDS = 128
"""Of one device: all of them together stay within what an attribute may hold."""
LEAST_KEEP_S = 60.0


class Field(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is set of one key; what is left out is guessed from the key's name, or as for all. ``keep_s``: readings
    older than this are dropped.
    """

    label: Annotated[str, Meta(max_length=64)] = ""
    unit: Annotated[str, Meta(max_length=16)] = ""
    decimals: Annotated[int, Meta(ge=0, le=9)] | None = None
    keep_s: Annotated[float, Meta(ge=LEAST_KEEP_S, le=3_153_600_000)] | None = None


_NOTHING_SET = Field()


def fields_of(device: DeviceState) -> dict[str, Field]:
    """What is set, by key."""
    held = (device.attributes or {}).get(SCOPE, {}).get(ATTRIBUTE)
    if held is None:
        return {}
    try:
        return msgspec.convert(held, dict[str, Field])
    except msgspec.ValidationError:
        return {}


def label_of(key: str, fields: Mapping[str, Field]) -> str:
    """What a key is called: as set, else itself."""
    field = fields.get(key)
    return field.label if field is not None and field.label else key


def with_unit(text: str, key: str, fields: Mapping[str, Field]) -> str:
    """A number of that key, as it is written, with the unit that is set."""
    field = fields.get(key)
    return f"{text} {field.unit}" if field is not None and field.unit else text


def shown(key: str | None, value: Value, fields: Mapping[str, Field]) -> str:
    """A value as people read it: ``21.50 °C``, ``open``, ``{"a":1}``. ``key`` None: it is of no one key."""
    if type(value) is str:
        return value
    if type(value) is not float and type(value) is not int:
        return msgspec.json.encode(value).decode()
    field = fields.get(key) if key is not None else None
    if key is None or field is None:
        return str(value)
    return with_unit(str(value) if field.decimals is None else f"{value:.{field.decimals}f}", key, fields)


def described_key(key: str | None, fields: Mapping[str, Field]) -> dict[str, Json]:
    """What belongs to a value of that key, as the app API gives it beside the value."""
    field = fields.get(key, _NOTHING_SET) if key is not None else _NOTHING_SET
    return {"key": key, "label": field.label or key, "unit": field.unit or None, "decimals": field.decimals}


def described_fields(device: DeviceState) -> dict[str, Json]:
    """The same as JSON."""
    return {key: msgspec.to_builtins(field) for key, field in fields_of(device).items()}


async def change_fields(hub: Hub, device: DeviceState, changes: Mapping[str, Field | None]) -> None:
    """Set what is given of these keys, all of a key at once; None takes it back. Returns once it is durable.

    Raises:
        BadInput: that is no key.
        TooLarge: the device would have more than `MAX_FIELDS`.
        NotFound: it was removed.
        StorageError: it could not be stored.
    """
    fields = fields_of(device)
    for key, field in changes.items():
        checked_key(key)
        fields.pop(key, None)
        if field is not None and field != Field():
            fields[key] = field
    if len(fields) > MAX_FIELDS:
        raise TooLarge(f"a device has settings of at most {MAX_FIELDS} keys")
    kept = {key: msgspec.to_builtins(field) for key, field in sorted(fields.items())}
    hub.set_attributes(device, SCOPE, {ATTRIBUTE: kept or None})
    await hub.commits.durable()
    hub.live.publish("device", device.id, lambda: {"action": "changed", "device": hub.describe(device)})


def kept_by_field(devices: Iterable[DeviceState]) -> Iterator[Keep]:
    """Rules of retention for each key that has its own."""
    for device in devices:
        for key, field in fields_of(device).items():
            if field.keep_s is not None:
                yield Keep(device.id, key, None, field.keep_s)
