"""Retained messages: the last one of each topic that asked to be kept (§3.3.1.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..topics import NameTree
from .messages import ENTRY_BYTES

if TYPE_CHECKING:
    from .keeper import Keeper
    from .messages import Message


class Retained:
    """One message a topic, bounded in number and bytes."""

    def __init__(self, keeper: Keeper, max_messages: int, max_bytes: int) -> None:
        self._keeper = keeper
        self._messages: NameTree[Message] = NameTree()
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self._expiring: set[str] = set()
        self.size_bytes = 0
        self.refused = 0
        """Messages that found no room."""

    def __len__(self) -> int:
        return len(self._messages)

    def get(self, topic: str) -> Message | None:
        """The one of that topic."""
        return self._messages.get(topic)

    def restore(self, message: Message) -> None:
        """Take one from the store."""
        self._set(message)
        self.size_bytes += _weight(message)

    def keep(self, message: Message) -> bool:
        """Keep it in place of its topic's former one ([MQTT-3.3.1-5]); an empty payload removes that ([MQTT-3.3.1-6],
        [MQTT-3.3.1-7]). False: there is no room, and the former one stays.
        """
        before = self._messages.get(message.topic)
        if not message.payload:
            if before is not None:
                self.remove(message.topic)
            return True
        freed = 0 if before is None else _weight(before)
        size = self.size_bytes - freed + _weight(message)
        if size > self.max_bytes or (before is None and len(self._messages) >= self.max_messages):
            self.refused += 1
            return False
        self._set(message)
        self.size_bytes = size
        self._keeper.put_retained(message)
        return True

    def remove(self, topic: str) -> None:
        """Forget the one of that topic."""
        message = self._messages.remove(topic)
        if message is not None:
            self._expiring.discard(topic)
            self.size_bytes -= _weight(message)
            self._keeper.drop_retained(topic)

    def select(self, topic_filter: str, now_ms: int) -> Iterator[Message]:
        """Those whose topic the filter fits and whose time is not up."""
        for message in self._messages.select(topic_filter):
            if message.expires_ms is None or message.expires_ms > now_ms:
                yield message

    def expire(self, now_ms: int) -> None:
        """Forget those whose time is up ([MQTT-3.3.2-5])."""
        for topic in list(self._expiring):
            message = self._messages.get(topic)
            if message is not None and message.expires_ms is not None and message.expires_ms <= now_ms:
                self.remove(topic)

    def _set(self, message: Message) -> None:
        self._messages.set(message.topic, message)
        if message.expires_ms is None:
            self._expiring.discard(message.topic)
        else:
            self._expiring.add(message.topic)


def _weight(message: Message) -> int:
    return len(message.payload) + len(message.topic) + ENTRY_BYTES
