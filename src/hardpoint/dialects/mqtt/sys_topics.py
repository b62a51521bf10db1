"""``$SYS/broker/…``: what the broker says of itself, by the names that mosquitto's users know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...hub.broker import Message
from ...hub.topics import fits

if TYPE_CHECKING:
    from ...hub.broker import Access
    from .dialect import MqttDialect

INTERVAL_S = 10.0
"""How often what has changed is published (mosquitto's ``sys_interval``)."""
PREFIX = "$SYS/broker/"


class SysTopics:
    """Figures as messages: retained ones for whoever subscribes, and again when they have changed."""

    def __init__(self, dialect: MqttDialect, version: str) -> None:
        self._dialect = dialect
        self._version = version
        self._began_ms = dialect.hub.steady_ms()
        self._due_s = 0.0
        self._told: dict[str, str] = {}
        dialect.broker.sources.append(self.latest)

    def values(self) -> dict[str, str]:
        """Every figure by the rest of its topic."""
        dialect, broker = self._dialect, self._dialect.broker
        connected = sum(connection.session is not None for connection in dialect.connections)
        figures = {
            "version": f"hardpoint {self._version}",
            "uptime": f"{(dialect.hub.steady_ms() - self._began_ms) // 1000} seconds",
            "clients/connected": connected,
            "clients/disconnected": sum(session.client is None for session in broker.sessions.values()),
            "clients/total": len(broker.sessions),
            "messages/received": broker.published,
            "messages/sent": broker.delivered,
            "publish/messages/dropped": broker.dropped,
            "retained messages/count": len(broker.retained),
            "store/messages/bytes": broker.queued_bytes + broker.retained.size_bytes,
            "subscriptions/count": broker.routes.count,
        }
        return {name: str(value) for name, value in figures.items()}

    def latest(self, topic_filter: str, access: Access) -> Iterator[Message]:
        """Those that the filter fits and the client may see."""
        if not topic_filter.startswith("$") or not access.may_receive(PREFIX):
            return
        for name, value in self.values().items():
            if fits(topic_filter, PREFIX + name):
                yield Message(PREFIX + name, value.encode(), retain=True)

    def tick(self, now_s: float) -> None:
        """Publish what has changed, if it is time and anybody listens."""
        if now_s < self._due_s:
            return
        self._due_s = now_s + INTERVAL_S
        broker = self._dialect.broker
        if not broker.routes.count:
            return
        for name, value in self.values().items():
            if broker.routes.find(PREFIX + name) and self._told.get(name) != value:
                self._told[name] = value
                broker.publish(Message(PREFIX + name, value.encode()))
