"""PUBLISH from a client, and its acknowledgements of what it was sent (§3.3 to §3.7, §4.3).

A message is answered ([MQTT-3.3.4-1]) when what it stands for is done, and so ours ([MQTT-4.3.2-4], [MQTT-4.3.3-8]): at
once where nothing is to be stored, else behind the commit.
Acknowledgements of one kind leave in the order of their messages ([MQTT-4.6.0-2], [MQTT-4.6.0-3]), so one that could go
at once waits behind those that cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import HardpointError, PeerError
from ...hub.broker import Message
from ...model import Command
from ...wire.mqtt import properties as p
from ...wire.mqtt import reasons
from ...wire.mqtt.encoder import encode_ack
from ...wire.mqtt.reasons import V5, PacketRefused
from .devices import WORDS
from .outgoing import forwarded
from .refusals import reason_of

if TYPE_CHECKING:
    from ...errors import StorageError
    from ...hub.broker import ClientSession
    from ...wire.mqtt.packets import Ack, Publish
    from .connection import MqttConnection
    from .dialect import MqttDialect


class Publishing:
    """Takes messages from clients."""

    def __init__(self, dialect: MqttDialect) -> None:
        self._dialect = dialect

    def publish(self, connection: MqttConnection, packet: Publish) -> None:
        """A PUBLISH. What refuses it is answered; what breaks the protocol ends the connection."""
        session = connection.session
        if session is None:
            return
        dialect = self._dialect
        topic, qos = packet.topic, packet.qos
        try:
            if packet.properties:
                topic = self._topic_of(connection, packet)
            if qos:
                connection.unacknowledged += qos == 1
                if connection.version == V5:
                    self._check_receive_maximum(connection, session, packet)
        except PacketRefused as refused:
            connection.refuse(refused, packet)
            return
        try:
            if topic.startswith(WORDS) and dialect.devices.takes(connection, topic):
                self._publish_to_hub(connection, session, topic, packet)
                return
            if not session.access.may_publish(topic):
                raise PacketRefused(reasons.NOT_AUTHORIZED, f"{topic[:80]} is not this client's to write")
        except PeerError as refused:
            error = dialect.hub.adoption.refusal(connection) or refused
            dialect.note_refused(connection, error, packet)
            if qos:
                self.refuse(connection, p.PUBACK if qos == 1 else p.PUBREC, packet.packet_id, error)
            return
        message = Message(topic, packet.payload, qos, retain=packet.retain, source=session.key)
        if packet.properties:
            self._add_properties(message, packet)
        if qos == 2:
            self._publish_once(connection, session, message, packet.packet_id)
        elif qos:  # each is a new message, whatever its DUP flag says ([MQTT-4.3.2-5], [MQTT-3.3.1-3])
            broker = dialect.broker
            noted = broker.keeper.noted
            reason = 0 if broker.publish(message) else reasons.NO_MATCHING_SUBSCRIBERS
            if broker.keeper.noted == noted:
                connection.send_ack(encode_ack(connection.version, p.PUBACK, packet.packet_id, reason))
            else:
                connection.expect_receipt()
                dialect.hub.commits.wait(connection, reason << 24 | p.PUBACK << 16 | packet.packet_id)
        else:
            dialect.broker.publish(message)

    def refuse(self, connection: MqttConnection, kind: int, packet_id: int, error: HardpointError) -> None:
        """Answer a message of QoS 1 or 2 that was not taken, behind what waits for the disk. 3.1.1 has no word for it:
        nothing is answered, and the connection is closed ([MQTT3-3.3.5-2]).
        """
        data = self.refusal(connection, kind, packet_id, error)
        if data:
            connection.send_ack(data)

    def refusal(self, connection: MqttConnection, kind: int, packet_id: int, error: HardpointError) -> bytes:
        """The packet that says so; empty when the connection is closed instead."""
        if kind == p.PUBREC and connection.session is not None:
            self._dialect.broker.release(connection.session, packet_id)  # [MQTT-4.3.3-9]: it is free again
        if connection.version == V5:
            return encode_ack(V5, kind, packet_id, reason_of(error), connection.reason_string(error.message))
        connection.disconnect(reason_of(error), error.message)
        return b""

    def _publish_once(
        self, connection: MqttConnection, session: ClientSession, message: Message, packet_id: int
    ) -> None:
        """QoS 2: published when it arrives first, and not again until it is released (§4.3.3, method A), whatever has
        become of it meanwhile ([MQTT-4.3.3-13]).
        """
        broker = self._dialect.broker
        noted = broker.keeper.noted
        former = broker.retained.get(message.topic) if message.retain else None
        reason = 0
        if broker.take_in(session, packet_id):
            reason = 0 if broker.publish(message) else reasons.NO_MATCHING_SUBSCRIBERS
        if broker.keeper.noted == noted:
            connection.send_ack(encode_ack(connection.version, p.PUBREC, packet_id, reason))
            return

        def not_stored(error: StorageError) -> None:
            # Its publisher will send it as another message: of this one nothing may be left.
            broker.take_back(message, former)
            self.refuse(connection, p.PUBREC, packet_id, error)

        data = encode_ack(connection.version, p.PUBREC, packet_id, reason)
        connection.answer(data, wait=True, otherwise=not_stored)

    def _publish_to_hub(self, connection: MqttConnection, session: ClientSession, topic: str, packet: Publish) -> None:
        """A device's word to the hub: it is answered when what it says is durable."""
        qos, packet_id = packet.qos, packet.packet_id
        if qos == 2 and not self._dialect.broker.take_in(session, packet_id):
            connection.send_ack(encode_ack(connection.version, p.PUBREC, packet_id))
            return
        kind = p.PUBACK if qos == 1 else p.PUBREC
        self._dialect.devices.publish(connection, topic, packet, kind << 16 | packet_id if qos else None)

    def _check_receive_maximum(self, connection: MqttConnection, session: ClientSession, packet: Publish) -> None:
        """Messages of QoS 1 count until they are acknowledged, of QoS 2 until they are complete ([MQTT-3.3.4-7])."""
        incoming = session.incoming or ()
        new = packet.qos == 2 and packet.packet_id not in incoming
        limit = self._dialect.settings.receive_maximum
        if connection.unacknowledged + len(incoming) + new > limit:
            raise PacketRefused(reasons.RECEIVE_MAXIMUM_EXCEEDED, f"more than {limit} messages at a time")

    def _add_properties(self, message: Message, packet: Publish) -> None:
        """What the publisher says of the message, and when it is of no use any more."""
        message.properties = forwarded(packet)
        expiry_s = packet.properties.get(p.MESSAGE_EXPIRY_INTERVAL)
        if expiry_s is not None:
            message.expires_ms = self._dialect.hub.clock_ms() + expiry_s * 1000

    def _topic_of(self, connection: MqttConnection, packet: Publish) -> str:
        """The topic that an alias stands for, or is to stand for ([MQTT-3.3.2-12])."""
        alias = packet.properties.get(p.TOPIC_ALIAS)
        if alias is None:
            return packet.topic
        if alias > self._dialect.settings.max_topic_aliases:  # [MQTT-3.3.2-9]
            raise PacketRefused(reasons.TOPIC_ALIAS_INVALID, f"topic alias {alias}")
        if connection.aliases_in is None:
            connection.aliases_in = {}
        if packet.topic:
            connection.aliases_in[alias] = packet.topic
            return packet.topic
        topic = connection.aliases_in.get(alias)
        if topic is None:  # [MQTT-3.3.2-7]
            raise PacketRefused(reasons.PROTOCOL_ERROR, f"topic alias {alias} stands for nothing yet")
        return topic

    # -- acknowledgements

    def acknowledged(self, connection: MqttConnection, packet: Ack) -> None:
        """PUBACK, PUBREC, PUBREL or PUBCOMP."""
        session = connection.session
        if session is None:
            return
        broker, kind, packet_id = self._dialect.broker, packet.kind, packet.packet_id
        noted = broker.keeper.noted
        if kind == p.PUBREL:
            known = broker.release(session, packet_id)
            self._answer_step(connection, p.PUBCOMP, packet_id, known=known, noted=noted)  # [MQTT-4.3.3-11]
            return
        if kind == p.PUBREC and packet.reason < reasons.FAILURE:
            known = broker.received(session, packet_id)
            self._answer_step(
                connection, p.PUBREL, packet_id, known=known, noted=noted
            )  # [MQTT-4.3.3-4], [MQTT-4.6.0-4]
            return
        outgoing = broker.acknowledged(session, packet_id)
        if outgoing is not None and isinstance(outgoing.receipt, Command):
            self._dialect.devices.delivered(outgoing.receipt, packet.reason)

    def _answer_step(self, connection: MqttConnection, kind: int, packet_id: int, *, known: bool, noted: int) -> None:
        """PUBCOMP or PUBREL, once the step it stands for is durable: the client forgets what it has an answer to. If we
        then came back without that step, its next message of this identifier would be taken for the old one, or the
        old one be sent to it again.
        """
        data = encode_ack(connection.version, kind, packet_id, 0 if known else reasons.PACKET_ID_NOT_FOUND)
        wait = self._dialect.broker.keeper.noted != noted or connection.answers_due > 0
        connection.answer(data, wait=wait)
