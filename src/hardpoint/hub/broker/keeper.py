"""What of the broker is on disk: sessions that outlive their connection, wills, what waits for them, retained messages.

Every change is a fact of the commit being collected (`GroupCommit.note`); `noted` counts them, so that whoever made one
knows that its answer has to wait. Messages to clients whose session ends with their connection never come here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ...model import Delete, MqttMessage, MqttRetained, MqttSession, MqttSubscription, Put
from .messages import NO_PROPERTIES, RELEASED, Message, Outgoing, Properties, Will
from .session import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...stores.base import Store
    from ..batch import GroupCommit
    from .session import ClientSession, Subscription


class Keeper:
    """Writes the broker's records, and reads them at start."""

    def __init__(self, commits: GroupCommit) -> None:
        self._commits = commits
        self.noted = 0
        """Changes so far. An answer to what made one waits for the commit."""
        self._next_seq = 1

    def next_seq(self) -> int:
        """A number for a message that will be stored."""
        self._next_seq += 1
        return self._next_seq - 1

    # -- writing

    def put_session(self, session: ClientSession) -> None:
        """Its record as it is now."""
        session.stored = True
        will = b"" if session.will is None else _encode_will(session.will)
        record = MqttSession(session.key, session.expiry_s, session.ended_ms, sorted(session.incoming or ()), will)
        self._note(Put(record))

    def drop_session(self, session: ClientSession) -> None:
        """It is over."""
        if session.stored:
            session.stored = False
            self._note(Delete(MqttSession(session.key, 0, None)))

    def put_subscription(self, subscription: Subscription) -> None:
        """A subscription of a session that is kept."""
        options = (
            subscription.qos | subscription.no_local << 2 | subscription.retain_as_published << 3
        )  # as in SUBSCRIBE (§3.8.3.1)
        session = subscription.session
        self._note(Put(MqttSubscription(session.key, subscription.filter, options, subscription.identifier)))

    def drop_subscription(self, session: ClientSession, topic_filter: str) -> None:
        """It is over."""
        self._note(Delete(MqttSubscription(session.key, topic_filter, 0, 0)))

    def put_message(self, session: ClientSession, outgoing: Outgoing) -> None:
        """One message on its way to a session that is kept. Of a released one only the identifier counts."""
        message = outgoing.message
        released = outgoing.state == RELEASED
        self._note(
            Put(
                MqttMessage(
                    session.key,
                    outgoing.seq,
                    message.topic,
                    b"" if released else message.payload,
                    encode_properties(message.properties),
                    outgoing.qos,
                    int(outgoing.retain),
                    message.expires_ms,
                    list(outgoing.identifiers),
                    outgoing.state,
                    outgoing.packet_id,
                )
            )
        )

    def drop_message(self, session: ClientSession, outgoing: Outgoing) -> None:
        """It has arrived, or is given up."""
        if outgoing.seq:
            self._note(Delete(MqttMessage(session.key, outgoing.seq, "", b"", b"", 0, 0, None, [], 0, 0)))

    def put_retained(self, message: Message) -> None:
        """A retained message, in place of its topic's former one."""
        record = MqttRetained(
            message.topic, message.payload, encode_properties(message.properties), message.qos, message.expires_ms
        )
        self._note(Put(record))

    def drop_retained(self, topic: str) -> None:
        """There is none any more."""
        self._note(Delete(MqttRetained(topic, b"", b"", 0, None)))

    def _note(self, change: Put | Delete) -> None:
        self.noted += 1
        self._commits.note(change)

    # -- reading

    def sessions(self, store: Store) -> Iterator[tuple[MqttSession, Will | None]]:
        """Every session that was kept, with its will."""
        for record in store.load(MqttSession):
            yield record, _decode_will(record.will) if record.will else None

    def subscriptions(self, store: Store) -> Iterator[tuple[str, Request]]:
        """``(session key, subscription)`` of every one that was kept."""
        for record in store.load(MqttSubscription):
            options = record.options
            request = Request(
                record.filter,
                options & 3,
                no_local=bool(options & 4),
                retain_as_published=bool(options & 8),
                identifier=record.identifier,
            )
            yield record.key, request

    def messages(self, store: Store) -> Iterator[tuple[str, Outgoing]]:
        """``(session key, message on its way)`` of every one that was kept, in order."""
        for record in sorted(store.load(MqttMessage), key=lambda record: record.seq):
            message = Message(
                record.topic,
                record.payload,
                record.qos,
                properties=decode_properties(record.properties),
                expires_ms=record.expires_ms,
            )
            outgoing = Outgoing(
                message,
                record.qos,
                retain=bool(record.retain),
                identifiers=tuple(record.identifiers),
                seq=record.seq,
            )
            outgoing.state = record.state
            outgoing.packet_id = record.packet_id
            self._next_seq = max(self._next_seq, record.seq + 1)
            yield record.key, outgoing

    def retained(self, store: Store) -> Iterator[Message]:
        """Every retained message."""
        for record in store.load(MqttRetained):
            yield Message(
                record.topic,
                record.payload,
                record.qos,
                retain=True,
                properties=decode_properties(record.properties),
                expires_ms=record.expires_ms,
            )


def encode_properties(properties: Properties) -> bytes:
    """As MessagePack, which has bytes and integer keys; nothing for none."""
    return msgspec.msgpack.encode(dict(properties)) if properties else b""


def decode_properties(data: bytes) -> Properties:
    """What `encode_properties` was given."""
    return msgspec.msgpack.decode(data, type=dict[int, object]) if data else NO_PROPERTIES


def _encode_will(will: Will) -> bytes:
    fields = (will.topic, will.payload, will.qos, will.retain, will.delay_s, will.expiry_s, dict(will.properties))
    return msgspec.msgpack.encode(fields)


def _decode_will(data: bytes) -> Will:
    topic, payload, qos, retain, delay_s, expiry_s, properties = msgspec.msgpack.decode(
        data, type=tuple[str, bytes, int, bool, int, int | None, dict[int, object]]
    )
    return Will(topic, payload, qos, retain=retain, delay_s=delay_s, expiry_s=expiry_s, properties=properties)
