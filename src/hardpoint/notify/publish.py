"""MQTT: the news as a message of the server's own broker, for whoever has subscribed to the topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import BadInput
from ..hub.broker import Message
from ..hub.outbox import Notice, Sender
from ..hub.topics import checked_filter, has_wildcard
from .body import notice_body
from .settings import refuse_unknown, text

if TYPE_CHECKING:
    from ..hub.broker import Broker
    from ..model import Json


class Publish(Sender):
    """Settings: ``topic``; ``qos`` (1); ``retain`` (false). The payload is the webhook's body."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def check(self, settings: Mapping[str, Json]) -> dict[str, Json]:
        """See `Sender`."""
        refuse_unknown(settings, ("topic", "qos", "retain"))
        topic = text(settings, "topic")
        group, _ = checked_filter(topic)
        if group is not None or has_wildcard(topic) or topic.startswith("$"):
            raise BadInput("topic is one topic's name: no wildcard, no $ in front", field="settings.topic")
        qos, retain = settings.get("qos", 1), settings.get("retain", False)
        if type(qos) is not int or not 0 <= qos <= 2:
            raise BadInput("qos is 0, 1 or 2", field="settings.qos")
        if not isinstance(retain, bool):
            raise BadInput("retain is true or false", field="settings.retain")
        return {"topic": topic, "qos": qos, "retain": retain}

    async def send(self, settings: Mapping[str, Json], notice: Notice) -> str:
        """See `Sender`. What waits for clients that are away is stored with the delivery's own end."""
        message = Message(settings["topic"], notice_body(notice), settings["qos"], retain=settings["retain"])
        return f"{self._broker.publish(message)} subscribers"
