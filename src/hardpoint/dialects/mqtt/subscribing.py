"""SUBSCRIBE and UNSUBSCRIBE (§3.8 to §3.11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import PeerError
from ...hub.broker import Request
from ...hub.topics import checked_filter
from ...wire.mqtt import properties as p
from ...wire.mqtt import reasons
from ...wire.mqtt.encoder import encode
from ...wire.mqtt.packets import SubAck, UnsubAck
from ...wire.mqtt.reasons import PacketRefused

if TYPE_CHECKING:
    from ...wire.mqtt.packets import Subscribe, Unsubscribe
    from .connection import MqttConnection
    from .dialect import MqttDialect


class Subscribing:
    """Answers what clients ask to be sent."""

    def __init__(self, dialect: MqttDialect) -> None:
        self._dialect = dialect

    def subscribe(self, connection: MqttConnection, packet: Subscribe) -> None:
        """A SUBSCRIBE: one answer ([MQTT-3.8.4-1], -2, [MQTT-2.2.1-6]) with a reason for each filter in their order
        ([MQTT-3.8.4-5], -6, -7, [MQTT-3.9.3-1], -2).

        Raises:
            PacketRefused: it breaks the protocol.
        """
        session = connection.session
        if session is None:
            return
        dialect = self._dialect
        identifiers = packet.properties.get(p.SUBSCRIPTION_IDENTIFIER, (0,))
        answers: list[int] = []
        requests: list[Request] = []
        for each in packet.filters:
            reason = self._checked(connection, packet, each.filter, no_local=each.no_local)
            answers.append(reason)
            if reason < reasons.FAILURE:
                requests.append(
                    Request(
                        each.filter,
                        each.qos,
                        each.no_local,
                        each.retain_as_published,
                        each.retain_handling,
                        identifiers[0],
                    )
                )
        noted = dialect.broker.keeper.noted
        granted, retained = dialect.broker.subscribe(session, requests)
        taken = iter(granted)
        answers = [next(taken) if reason < reasons.FAILURE else reason for reason in answers]

        def then() -> None:
            for outgoing in retained:
                dialect.broker.send(session, outgoing)
            dialect.devices.deliver_waiting(connection)
            dialect.hub.adoption.tell(connection)

        data = encode(SubAck(packet.packet_id, answers), connection.version)
        connection.answer(data, wait=dialect.broker.keeper.noted != noted, then=then)

    def unsubscribe(self, connection: MqttConnection, packet: Unsubscribe) -> None:
        """An UNSUBSCRIBE."""
        if connection.session is None:
            return
        broker = self._dialect.broker
        noted = broker.keeper.noted
        answers = broker.unsubscribe(connection.session, packet.filters)
        data = encode(UnsubAck(packet.packet_id, answers), connection.version)  # [MQTT-3.10.4-4], -5
        connection.answer(data, wait=broker.keeper.noted != noted)

    def _checked(self, connection: MqttConnection, packet: Subscribe, topic_filter: str, *, no_local: bool) -> int:
        """A reason for one filter: 0, or why it cannot be subscribed to."""
        assert connection.session is not None
        try:
            group, rest = checked_filter(topic_filter)
        except PeerError as error:
            self._dialect.note_refused(connection, error, packet)
            return reasons.TOPIC_FILTER_INVALID
        if group is not None and no_local:  # [MQTT-3.8.3-4]
            raise PacketRefused(reasons.PROTOCOL_ERROR, "No Local on a shared subscription")
        return 0 if connection.session.access.may_subscribe(rest) else reasons.NOT_AUTHORIZED
