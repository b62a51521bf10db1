"""How a message is sent to one client: which properties go with it, aliases, and encoding once for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...wire.mqtt import properties as p
from ...wire.mqtt.encoder import encode_publish
from ...wire.mqtt.properties import NO_PROPERTIES
from ...wire.mqtt.reasons import V5

if TYPE_CHECKING:
    from ...hub.broker import Message
    from ...wire.mqtt.packets import Publish

_NOT_FORWARDED = frozenset({p.MESSAGE_EXPIRY_INTERVAL, p.TOPIC_ALIAS, p.SUBSCRIPTION_IDENTIFIER})


def forwarded(packet: Publish) -> p.Properties:
    """The properties that go on to subscribers as they are ([MQTT-3.3.2-4], -15, -16, -17, -18, -20)."""
    found = packet.properties
    if not found:
        return NO_PROPERTIES
    return {identifier: value for identifier, value in found.items() if identifier not in _NOT_FORWARDED}


def encode_plain(message: Message, version: int, *, retain: bool) -> bytes:
    """PUBLISH at QoS 0 ([MQTT-4.3.1-1]) as every client of that version gets it; encoded for the first one only."""
    encoded: dict[tuple[bool, bool], bytes] | None = message.encoded
    if encoded is None:
        encoded = message.encoded = {}
    kind = (version == V5, retain)
    data = encoded.get(kind)
    if data is None:
        data = encoded[kind] = encode_publish(
            version, message.topic, message.payload, retain=retain, properties=message.properties
        )
    return data


def encode_for(
    message: Message,
    version: int,
    *,
    qos: int,
    retain: bool,
    dup: bool,
    packet_id: int,
    identifiers: Sequence[int],
    aliases: Aliases | None,
    now_ms: int,
) -> bytes:
    """PUBLISH with what is this client's own."""
    topic = message.topic
    properties: Mapping[int, Any] = message.properties
    if version == V5 and (identifiers or aliases is not None or message.expires_ms is not None):
        own = dict(properties)
        if message.expires_ms is not None:  # [MQTT-3.3.2-6]
            own[p.MESSAGE_EXPIRY_INTERVAL] = max(1, -(-(message.expires_ms - now_ms) // 1000))
        if identifiers:  # [MQTT-3.3.4-3], -4
            own[p.SUBSCRIPTION_IDENTIFIER] = identifiers
        if aliases is not None:
            alias, known = aliases.of(topic)
            if alias:
                own[p.TOPIC_ALIAS] = alias
            if known:
                topic = ""
        properties = own
    return encode_publish(
        version,
        topic,
        message.payload,
        qos=qos,
        retain=retain,
        dup=dup,
        packet_id=packet_id,
        properties=properties,
    )


class Aliases:
    """Topic aliases towards one client (§3.3.2.3.4): the first topics it is sent get one, as many as it takes."""

    __slots__ = ("_by_topic", "_maximum")

    def __init__(self, maximum: int) -> None:
        self._by_topic: dict[str, int] = {}
        self._maximum = maximum

    def of(self, topic: str) -> tuple[int, bool]:
        """``(its alias or 0, whether the client knows it already)``. After this it does."""
        alias = self._by_topic.get(topic)
        if alias is not None:
            return alias, True
        if len(self._by_topic) >= self._maximum:  # [MQTT-3.1.2-26], [MQTT-3.3.2-11]
            return 0, False
        alias = self._by_topic[topic] = len(self._by_topic) + 1
        return alias, False

    def forget(self, topic: str) -> None:
        """The message that would have told the client was not sent."""
        self._by_topic.pop(topic, None)
