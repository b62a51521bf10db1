"""Gateways: devices that attach others, which have no connection of their own.

What a gateway has brought in belongs to it (`Device.via`): it may speak for those devices and for no others, or one
gateway's token would open every device there is. A person may give it others, and take them away.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import Forbidden, TooLarge
from ..model import Put
from .devices import checked_labels, gateway_of

if TYPE_CHECKING:
    from .devices import DeviceState
    from .hub import Hub


class Gateways:
    """Who is behind which gateway."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._behind: dict[str, dict[str, DeviceState]] = {}  # gateway → its name for it → device, once it was asked
        hub.on_removed.add(self._forget)

    def close(self) -> None:
        """Heed the hub no more."""
        self._hub.on_removed.discard(self._forget)

    def may(self, gateway: DeviceState) -> bool:
        """Whether the device may attach others. Where nobody needs a token, each may."""
        return bool(gateway.record.gateway) or self._hub.allow_anonymous

    def device(self, gateway: DeviceState, name: str, kind: str = "") -> DeviceState:
        """The device that the gateway calls so, made if there is none. It is stored with the next commit. A person may
        call it something else since. ``kind`` is a new one's label ``type``.

        Raises:
            BadInput: it cannot be called that.
            Forbidden: that is the name of a device which is not behind this gateway, or this is no gateway.
            TooLarge: there are too many devices, behind this gateway or at all.
        """
        if not self.may(gateway):
            raise Forbidden(f"{gateway.id} is no gateway: hardpoint device gateway {gateway.id} makes it one")
        known, via = self._known(gateway), f"{gateway.id}/{name}"
        device = known.get(name)
        if device is None or device.record.via != via:
            device = self._hub.catalogue.named(name)
        if device is None:
            limit = self._hub.limits.max_devices_per_gateway
            if len(known) >= limit:
                raise TooLarge(f"limits.max_devices_per_gateway ({limit}) is reached for {gateway.id}")
            device = self._hub.make_device_now(name, checked_labels({"type": kind} if kind else {}), via=via)
        elif device.record.via != via:
            raise Forbidden(f"{device.id} is not behind the gateway {gateway.id}")
        known[name] = device
        return device

    def _known(self, gateway: DeviceState) -> dict[str, DeviceState]:
        known = self._behind.get(gateway.id)
        if known is None:
            behind = [device for device in self._hub.catalogue if gateway_of(device.record) == gateway.id]
            known = self._behind[gateway.id] = {device.record.via.partition("/")[2]: device for device in behind}
        return known

    def _forget(self, removed: DeviceState) -> None:
        """Whoever was behind a gateway that is gone is behind none: the next device of that id may be another's. It may
        have been one without being called so: where nobody needs a token, or before a person thought otherwise.
        """
        self._behind.clear()
        for device in self._hub.catalogue:
            if gateway_of(device.record) == removed.id:
                record = replace(device.record, via="")
                self._hub.catalogue.replace(device, record)
                self._hub.commits.note(Put(record))
