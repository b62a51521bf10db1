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
    from ..model import Json
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


def fields_of(device: DeviceState) -> dict[str, Field]:
    """What is set, by key."""
    held = (device.attributes or {}).get(SCOPE, {}).get(ATTRIBUTE)
    if held is None:
        return {}
    try:
        return msgspec.convert(held, dict[str, Field])
    except msgspec.ValidationError:
        return {}


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
