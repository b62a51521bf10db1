"""Devices' readings as topics: ``devices/<id>/<key>`` with the bare value, whatever dialect they came over.

A reading is published once it is durable. Who subscribes anew gets the latest value of each key as if it were retained.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from ...hub.broker import Message
from ...hub.broker.access import DEVICES
from ...hub.topics import fits

if TYPE_CHECKING:
    from ...hub.broker import Access, Broker
    from ...hub.devices import DeviceState
    from ...hub.hub import Hub
    from ...hub.live import Entry
    from ...model import Value


class DeviceFeed:
    """Publishes what becomes durable; costs nothing while nobody has subscribed to a device."""

    def __init__(self, hub: Hub, broker: Broker) -> None:
        self._hub = hub
        self._broker = broker
        broker.sources.append(self.latest)
        hub.live.listeners.add(self._on_entry)

    def close(self) -> None:
        """Publish no more."""
        self._hub.live.listeners.discard(self._on_entry)

    def latest(self, topic_filter: str, access: Access) -> Iterator[Message]:
        """The latest value of each key that the filter fits and the client may see, as retained messages."""
        levels = topic_filter.split("/")
        if levels[0] not in ("devices", "+", "#"):
            return
        if len(levels) > 1 and levels[1] not in ("+", "#"):
            device = self._hub.catalogue.by_id.get(levels[1])
            devices = [] if device is None else [device]
        else:
            devices = list(self._hub.catalogue)
        for device in devices:
            if access.may_receive(f"{DEVICES}{device.id}/"):
                yield from self._latest_of(device, topic_filter)

    def _latest_of(self, device: DeviceState, topic_filter: str) -> Iterator[Message]:
        for key, series in (device.series or {}).items():
            topic = f"{DEVICES}{device.id}/{key}"
            if series.ts >= 0 and fits(topic_filter, topic):
                yield Message(topic, encode_value(series.value), 1, retain=True)

    def _on_entry(self, entry: Entry) -> None:
        broker = self._broker
        if entry.kind == "device":  # its labels may be others now, and with them who sees it
            broker.routes.clear()
        if not entry.rows or not broker.routes.watches_devices:
            return
        get = self._hub.catalogue.series.get
        for series_id, _, value in entry.rows:
            series = get(series_id)
            if series is not None:
                topic = f"{DEVICES}{series.device.record.id}/{series.key}"
                if broker.routes.find(topic):
                    broker.publish(Message(topic, encode_value(value), 1))


def encode_value(value: Value) -> bytes:
    """A reading's value as a payload: JSON, and text as it is."""
    return value.encode() if type(value) is str else msgspec.json.encode(value)
