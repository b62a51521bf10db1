"""CONNECT and its answer, with the exchange of AUTH in between where a method asks for one (§3.1.4, §4.12)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ...errors import NotAdopted
from ...hub.broker import Will
from ...wire.mqtt import properties as p
from ...wire.mqtt import reasons
from ...wire.mqtt.encoder import encode
from ...wire.mqtt.packets import Auth, ConnAck, Connect
from ...wire.mqtt.properties import NO_PROPERTIES
from ...wire.mqtt.reasons import V5, PacketRefused
from .sign_in import Principal, checked_client_id

if TYPE_CHECKING:
    from .connection import MqttConnection
    from .dialect import MqttDialect

_NOT_IN_MESSAGE = frozenset({p.WILL_DELAY_INTERVAL, p.MESSAGE_EXPIRY_INTERVAL})


class Step(NamedTuple):
    """What an authentication method says to one word of the client's: go on with ``data``, or who it is."""

    data: bytes = b""
    principal: Principal | None = None


class Authenticator(Protocol):
    """One exchange by an authentication method, made anew for each (§4.12)."""

    def step(self, connect: Connect, data: bytes) -> Step:
        """The client's next word.

        Raises:
            PacketRefused: it is not who it says.
        """
        ...


Authenticators = dict[str, Callable[[], Authenticator]]
"""What a program that embeds the server adds, by the method's name."""

Redirect = Callable[[Connect], str | None]
"""The server that a client is to use instead, as ``host:port``, or None: this one (§4.11)."""


class Connecting:
    """Lets clients in."""

    def __init__(self, dialect: MqttDialect) -> None:
        self._dialect = dialect
        self.authenticators: Authenticators = {}
        self.redirect: Redirect | None = None
        self._exchanges: dict[MqttConnection, tuple[Connect, Authenticator, bool]] = {}

    def begin(self, connection: MqttConnection, connect: Connect) -> None:
        """A CONNECT.

        Raises:
            PacketRefused: the client is not let in.
        """
        if connect.version == V5:
            connection.use_properties(connect)  # before an answer: a refusal keeps to its largest packet as well
        elsewhere = None if self.redirect is None else self.redirect(connect)
        if elsewhere is not None:
            found = {p.SERVER_REFERENCE: elsewhere} if connect.version == V5 else NO_PROPERTIES
            connection.send(encode(ConnAck(False, reasons.USE_ANOTHER_SERVER, found), connect.version))
            connection.finish(publish_will=False, linger=True)
            return
        method = connect.properties.get(p.AUTHENTICATION_METHOD)
        if method is None:
            self._accept(connection, connect, self._principal(connection, connect))
            return
        maker = self.authenticators.get(method)
        if maker is None:  # [MQTT-4.12.0-1]
            raise PacketRefused(reasons.BAD_AUTHENTICATION_METHOD, f"{method[:40]} is no method of this server")
        self._exchanges[connection] = (connect, maker(), False)
        self._step(connection, connect.properties.get(p.AUTHENTICATION_DATA, b""))

    def proceed(self, connection: MqttConnection, packet: Auth) -> None:
        """An AUTH: the next word of an exchange, or the first of another, which ends the connection when it fails
        ([MQTT-4.12.1-2]).

        Raises:
            PacketRefused: there is none to go on with, or the client is not who it says.
        """
        method = packet.properties.get(p.AUTHENTICATION_METHOD)
        exchange = self._exchanges.get(connection)
        # [MQTT-4.12.0-5], -6, -7, [MQTT-4.12.1-1]
        if exchange is None or exchange[0].properties.get(p.AUTHENTICATION_METHOD) != method:
            raise PacketRefused(reasons.PROTOCOL_ERROR, "AUTH without an exchange of that method")
        if packet.reason == reasons.RE_AUTHENTICATE:
            if connection.session is None:
                raise PacketRefused(reasons.PROTOCOL_ERROR, "re-authentication before CONNACK")
            connect = exchange[0]
            self._exchanges[connection] = (connect, self.authenticators[str(method)](), True)
        self._step(connection, packet.properties.get(p.AUTHENTICATION_DATA, b""))

    def forget(self, connection: MqttConnection) -> None:
        """It is gone."""
        self._exchanges.pop(connection, None)

    @staticmethod
    def refuse(connection: MqttConnection, refused: PacketRefused) -> None:
        """CONNACK with the reason, if its version can be told, and the end ([MQTT-3.1.4-1], -2, [MQTT-3.2.2-6], -7,
        [MQTT-4.12.0-4]). What comes behind it is not looked at ([MQTT-3.1.4-6]).
        """
        version = connection.version
        if not version and refused.reason == reasons.UNSUPPORTED_VERSION:
            version = reasons.V311
        if version:
            found = connection.reason_string(refused.message) if version == V5 else NO_PROPERTIES
            connection.send(encode(ConnAck(False, refused.reason, found), version))
        connection.finish(publish_will=False, linger=version != 0)

    def _principal(self, connection: MqttConnection, connect: Connect) -> Principal:
        sign_in = self._dialect.sign_in
        try:
            return sign_in.principal(connect, connection.peer, connection.certificate)
        except NotAdopted as unknown:
            self._dialect.note_refused(connection, unknown, connect)
            return sign_in.waiting(connect, unknown)

    def _step(self, connection: MqttConnection, data: bytes) -> None:
        connect, authenticator, again = self._exchanges[connection]
        step = authenticator.step(connect, data)
        method = connect.properties[p.AUTHENTICATION_METHOD]
        found = {p.AUTHENTICATION_METHOD: method} | ({p.AUTHENTICATION_DATA: step.data} if step.data else {})
        if step.principal is None:
            connection.send(encode(Auth(reasons.CONTINUE_AUTHENTICATION, found), V5))  # [MQTT-4.12.0-2]
        elif again:
            connection.send(encode(Auth(reasons.SUCCESS, found), V5))
        else:
            self._accept(connection, connect, step.principal, found)

    def _accept(
        self,
        connection: MqttConnection,
        connect: Connect,
        principal: Principal,
        found: p.Properties = NO_PROPERTIES,
    ) -> None:
        dialect, settings = self._dialect, self._dialect.settings
        broker, version = dialect.broker, connect.version
        # [MQTT-3.1.3-6]
        client_id = checked_client_id(connect) or f"auto-{secrets.token_hex(10)}"
        will = _will(connect) if not principal.waits_as else None  # it has nothing to leave behind yet
        if will is not None and not principal.access.may_publish(will.topic):
            raise PacketRefused(reasons.NOT_AUTHORIZED, "the will's topic is not this client's to write")
        wanted_s = settings.max_session_expiry_s
        if version == V5:
            wanted_s = connect.properties.get(p.SESSION_EXPIRY_INTERVAL, 0)
        elif connect.clean_start:
            wanted_s = 0
        expiry_s = min(wanted_s, settings.max_session_expiry_s) if principal.kept else 0
        window = min(connect.properties.get(p.RECEIVE_MAXIMUM, 65_535), settings.max_inflight)
        noted = broker.keeper.noted
        opened = broker.open(
            connection,
            f"{principal.name}/{client_id}",  # [MQTT-3.1.3-2]
            principal.access,
            clean=connect.clean_start,
            expiry_s=expiry_s,
            will=will,
            window=window,
        )
        if opened is None:
            raise PacketRefused(
                reasons.QUOTA_EXCEEDED,
                f"mqtt.max_sessions ({settings.max_sessions}) or mqtt.max_sessions_per_principal "
                f"({settings.max_sessions_per_principal}) is reached",
            )
        session, present = opened
        connection.client_id = client_id
        connection.session = session
        keep_alive_s = connect.keep_alive_s
        if version == V5:
            if not 0 < keep_alive_s <= settings.max_keep_alive_s and settings.max_keep_alive_s < 0xFFFF:
                keep_alive_s = settings.max_keep_alive_s
            found = dict(found) | self._properties(connect, client_id, expiry_s, wanted_s, keep_alive_s)
        connection.patience_s = (keep_alive_s * 3 + 1) // 2  # [MQTT-3.1.2-22], [MQTT-3.2.2-22]

        def begin() -> None:
            connection.release_to(principal.device)
            if principal.waits_as:
                dialect.hub.adoption.wait(connection, principal.waits_as)
            elif not principal.kept:
                dialect.provisional(connection)

        connection.hold()
        # [MQTT-3.1.4-5], [MQTT-3.2.2-2], -3, -8
        data = encode(ConnAck(present, reasons.SUCCESS, found), version)
        connection.answer(data, wait=broker.keeper.noted != noted, then=begin)

    def _properties(
        self, connect: Connect, client_id: str, expiry_s: int, wanted_s: int, keep_alive_s: int
    ) -> dict[int, object]:
        """What CONNACK tells a client of 5.0 beyond the defaults."""
        settings = self._dialect.settings
        found: dict[int, object] = {
            p.RECEIVE_MAXIMUM: settings.receive_maximum,
            p.MAXIMUM_PACKET_SIZE: settings.max_packet_bytes,
        }
        if settings.max_topic_aliases:
            found[p.TOPIC_ALIAS_MAXIMUM] = settings.max_topic_aliases
        if not connect.client_id:  # [MQTT-3.1.3-7], [MQTT-3.2.2-16]
            found[p.ASSIGNED_CLIENT_IDENTIFIER] = client_id
        if expiry_s != wanted_s:
            found[p.SESSION_EXPIRY_INTERVAL] = expiry_s
        if keep_alive_s != connect.keep_alive_s:  # [MQTT-3.2.2-21]
            found[p.SERVER_KEEP_ALIVE] = keep_alive_s
        if connect.properties.get(p.REQUEST_RESPONSE_INFORMATION):  # [MQTT-3.1.2-28]
            found[p.RESPONSE_INFORMATION] = f"responses/{client_id}/"
        return found


def _will(connect: Connect) -> Will | None:
    will = connect.will
    if will is None:
        return None
    return Will(
        will.topic,
        will.payload,
        will.qos,
        retain=will.retain,
        delay_s=will.properties.get(p.WILL_DELAY_INTERVAL, 0),
        expiry_s=will.properties.get(p.MESSAGE_EXPIRY_INTERVAL),
        properties={key: value for key, value in will.properties.items() if key not in _NOT_IN_MESSAGE},
    )
