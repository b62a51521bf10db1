"""Which topic here is which there, and the trail that a message leaves so that it goes no circle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..hub.topics import fits
from ..wire.mqtt.properties import USER_PROPERTY

if TYPE_CHECKING:
    from ..config import BridgeTopic
    from ..hub.broker.messages import Properties

TRAIL = "hardpoint-bridge"
"""The user property (MQTT 5.0 §3.3.2.3.7) that each bridge adds with its own name. No Local keeps a message from coming
back over the bridge it went out by; this ends a circle of several, or of two servers that bridge to one another.
"""


class Topics:
    """The topics of a bridge, both ways. The first that fits decides."""

    def __init__(self, topics_out: Sequence[BridgeTopic], topics_in: Sequence[BridgeTopic]) -> None:
        self.local = {each.local + each.filter: each.qos for each in topics_out}
        """Filters to subscribe to here, and their QoS."""
        self.remote = {each.remote + each.filter: each.qos for each in topics_in}
        """Likewise there."""
        self._out = [(each.local + each.filter, len(each.local), each.remote) for each in topics_out]
        self._in = [(each.remote + each.filter, len(each.remote), each.local) for each in topics_in]

    def outward(self, topic: str) -> str | None:
        """What a topic of ours is called there; None: it does not go out."""
        return _renamed(self._out, topic)

    def inward(self, topic: str) -> str | None:
        """What a topic of theirs is called here; None: we do not want it."""
        return _renamed(self._in, topic)


def _renamed(rules: Sequence[tuple[str, int, str]], topic: str) -> str | None:
    for topic_filter, drop, prefix in rules:
        if fits(topic_filter, topic):
            return prefix + topic[drop:]
    return None


def has_passed(properties: Properties, name: str) -> bool:
    """Whether a message has gone through the bridge of that name already."""
    return any(tuple(each) == (TRAIL, name) for each in properties.get(USER_PROPERTY, ()))  # from disk it is a list


def with_trail(properties: Properties, name: str) -> Properties:
    """The properties with that bridge's name added to the trail."""
    return {**properties, USER_PROPERTY: [*properties.get(USER_PROPERTY, ()), (TRAIL, name)]}
