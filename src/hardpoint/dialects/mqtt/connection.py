"""One MQTT client: an `asyncio.Protocol`, the hub's session of its device, and the broker's client, in one object.

What is written goes out once a turn, however many messages it is (`MqttDialect.send`). An acknowledgement that stands
for something durable is a receipt of the commit; others of the same kind wait behind it, so that they leave in the
order of their messages ([MQTT-4.6.0-2], [MQTT-4.6.0-3]).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from ...errors import HardpointError, PeerError, StorageError
from ...hub.broker import Message, Request
from ...hub.session import Session
from ...hub.topics import checked_filter
from ...model import Command
from ...tls.peer import certificate_name, is_encrypted, peer_name
from ...wire.mqtt import properties as p
from ...wire.mqtt import reasons
from ...wire.mqtt.decoder import PacketDecoder
from ...wire.mqtt.encoder import PINGRESP, encode, encode_ack
from ...wire.mqtt.packets import Ack, Auth, Connect, Disconnect, Packet, Ping, Publish, Subscribe, UnsubAck, Unsubscribe
from ...wire.mqtt.packets import SubAck as SubAckPacket
from ...wire.mqtt.properties import NO_PROPERTIES
from ...wire.mqtt.reasons import V5, PacketRefused
from ...wire.opening import REFUSED_TLS, TLS_RECORD
from .connecting import Connecting
from .frames import packet_frame, sent_packets
from .outgoing import Aliases, encode_for, encode_plain, forwarded
from .refusals import END_REASONS, reason_of

if TYPE_CHECKING:
    from ...hub.broker import ClientSession
    from ...hub.devices import DeviceState
    from ...hub.tap import Frame
    from .dialect import MqttDialect

MAX_ANSWERS_DUE = 4_096
"""Acknowledgements of one client of 3.1.1 that may wait for a commit, before we read no more from it. A client of 5.0
is told ``mqtt.receive_maximum``.
"""


MAX_REASON_LENGTH = 1_024
"""Characters of a reason in words."""
AROUND_REASON_BYTES = 16
"""The most that an acknowledgement or DISCONNECT has around it: header, identifier, code, three lengths."""

_PUBACK_HEAD = 0x40


class Receipt:
    """What is sent once a commit is done, and what if it failed."""

    __slots__ = ("data", "then")

    def __init__(self, data: bytes, then: Callable[[], None] | None = None) -> None:
        self.data = data
        self.then = then


class MqttConnection(asyncio.Protocol, Session):
    """Slots only, and nothing made before it is needed: 15,000 of these idle in a small machine's memory."""

    __slots__ = (
        "_aliases_in",
        "_answers_due",
        "_decoder",
        "_dialect",
        "_ending",
        "_held",
        "_last_word",
        "_max_packet_out",
        "_said_all",
        "_transport",
        "_unacknowledged",
        "_wants_reasons",
        "aliases",
        "bucket",
        "client_id",
        "frame",
        "full",
        "heard_s",
        "patience_s",
        "session",
        "version",
    )

    dialect = "mqtt"

    def __init__(self, dialect: MqttDialect) -> None:
        Session.__init__(self)
        self._dialect = dialect
        self._decoder = PacketDecoder(max_packet_bytes=dialect.settings.max_packet_bytes)
        self._transport: asyncio.Transport | None = None
        self._answers_due = 0  # receipts that the hub has not given back
        self._unacknowledged = 0  # messages of QoS 1 that wait for PUBACK
        self._held: list[Packet] | None = None  # what came behind a CONNECT that is not answered yet
        self._ending = False
        self._last_word = b""  # DISCONNECT, once it is to be sent
        self._said_all = False  # our side of the connection is closed
        self._aliases_in: dict[int, str] | None = None
        self._max_packet_out = 0  # 0: no limit
        self._wants_reasons = True
        self.aliases: Aliases | None = None
        self.version = 0
        self.client_id = ""
        self.session: ClientSession | None = None
        self.frame: Frame | None = None  # of the packet in hand, while the device is tapped
        self.full = False
        self.heard_s = dialect.wheel.now_s
        self.patience_s = 0
        self.bucket = 0

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client speaks first."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(self._dialect.settings.max_unread_bytes)
        if not self._dialect.connected(self):
            self._transport.abort()  # its version is not known, so there is no word it would understand

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone without DISCONNECT, or after it."""
        self._transport = None
        self._dialect.disconnected(self)
        self.why = self.why or ("the connection was lost" if exc is None else f"the connection broke: {exc}")
        self._leave(publish_will=True)

    def data_received(self, data: bytes) -> None:
        """Handle every packet that is complete."""
        if self._ending:
            return
        self.heard_s = self._dialect.wheel.now_s
        decoder = self._decoder
        handle = self.handle if self.tap is None else self._handle_tapped
        for packet in decoder.receive(data):
            if self._held is not None:
                self._held.append(packet)
            elif self._ending:
                return
            else:
                handle(packet)
        if decoder.refused is not None and not self._ending:
            if self._held is not None:
                return  # said once the CONNECT is answered
            if not self.version and data.startswith(TLS_RECORD[:1]):
                self._refuse_tls(decoder.refused)
            else:
                self.refuse(decoder.refused)

    def eof_received(self) -> bool:
        """A client that sends no more is gone."""
        return False

    def pause_writing(self) -> None:
        """The client does not read: take nothing more that would have to be answered."""
        self.full = True
        self._dialect.stalled(self)
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again: send what waits for it."""
        self.full = False
        self._dialect.unread.pop(self, None)
        if not (self.paused_by_hub or self._held is not None or self._transport is None):
            self._transport.resume_reading()
        if self.session is not None and self.session.queue and self._held is None:
            self._dialect.broker.pump(self.session)
        if self.device is not None and self.device.open_commands:
            self._dialect.hub.ledger.deliver_queued(self.device)

    # -- Session

    @property
    def peer(self) -> str:
        """``ip:port``, ``[ip6]:port``, ``unix``, or empty once the connection is gone."""
        return "" if self._transport is None else peer_name(self._transport)

    @property
    def encrypted(self) -> bool:
        """Whether it goes over TLS."""
        return self._transport is not None and is_encrypted(self._transport)

    @property
    def certificate(self) -> str:
        """The name in the certificate that the client has shown; empty without one."""
        return "" if self._transport is None else certificate_name(self._transport)

    def acknowledge(self, receipts: Sequence[object], error: StorageError | None) -> None:
        """Send what waited for this commit. A whole number is PUBACK or PUBREC: kind and packet identifier."""
        self._answers_due -= len(receipts)
        if self._transport is None:
            return
        for receipt in receipts:
            if type(receipt) is int:
                kind, packet_id = receipt >> 16, receipt & 0xFFFF
                self._unacknowledged -= kind == p.PUBACK
                data = encode_ack(self.version, kind, packet_id)
                if error is not None:
                    data = self._refusal(kind, packet_id, error)
                if data:
                    self.send(data)
            elif isinstance(receipt, Receipt):
                if error is not None and not self._ending:
                    self._refuse_receipt(error)
                    continue
                self.send(receipt.data)
                if receipt.then is not None:
                    receipt.then()
            elif receipt is not None:
                data = cast("bytes", receipt)
                self._unacknowledged -= data[0] == _PUBACK_HEAD
                self.send(data)
        if self._answers_due <= MAX_ANSWERS_DUE // 2 and not (self.paused_by_hub or self._ending or self.full):
            self._transport.resume_reading()
        if self._ending and not self._answers_due and not self._said_all:
            self._close()

    def _refuse_receipt(self, error: StorageError) -> None:
        """What was asked for could not be stored."""
        if self._held is not None:  # the answer to a CONNECT
            Connecting.refuse(self, PacketRefused(reasons.QUOTA_EXCEEDED, error.message))
        else:
            self.disconnect(reasons.QUOTA_EXCEEDED, error.message)

    def deliver(self, command: Command) -> bool:
        """A command goes out on the topic that the device has subscribed to; else it stays queued."""
        return self.ready and self._dialect.devices.deliver(self, command)

    def adopted(self, device: DeviceState) -> None:
        """It signs in anew: what a session may do is settled at its beginning."""
        self._dialect.provisional(self)

    def attributes_changed(self, changed: dict[str, Any], deleted: Sequence[str]) -> None:
        """Likewise."""
        if self.ready:
            self._dialect.devices.attributes_changed(self, changed, deleted)

    def pause_reading(self) -> None:
        """The store is behind."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """The store has caught up."""
        if self._transport is not None and not (self._ending or self.full):
            self._transport.resume_reading()

    def end(self, reason: str) -> None:
        """The hub ends it: the device is gone, has another token, or the server stops."""
        dialect, device, session = self._dialect, self.device, self.session
        if device is not None and device.id not in dialect.hub.catalogue.by_id and session is not None:
            dialect.broker.end(session, reasons.ADMINISTRATIVE_ACTION)
        self.disconnect(END_REASONS.get(reason.partition(":")[0], reasons.ADMINISTRATIVE_ACTION), reason)

    # -- the broker's Client

    @property
    def ready(self) -> bool:
        """It has been told that it is connected, and is not being closed."""
        return self.session is not None and self._held is None and not self._ending

    def send_message(
        self, message: Message, qos: int, retain: bool, dup: bool, packet_id: int, identifiers: Sequence[int]
    ) -> bool:
        """PUBLISH. False: larger than the client takes ([MQTT-3.1.2-24])."""
        if not (qos or identifiers or self.aliases is not None or message.expires_ms is not None):
            data = encode_plain(message, self.version, retain=retain)
        else:
            data = encode_for(
                message,
                self.version,
                qos=qos,
                retain=retain,
                dup=dup,
                packet_id=packet_id,
                identifiers=identifiers,
                aliases=self.aliases,
                now_ms=self._dialect.hub.clock_ms(),
            )
        if self._max_packet_out and len(data) > self._max_packet_out:
            if self.aliases is not None:
                self.aliases.forget(message.topic)
            return False
        self._dialect.send(self, data)
        return True

    def send_once_stored(self, message: Message, retain: bool, packet_id: int, identifiers: Sequence[int]) -> bool:
        """PUBLISH of QoS 2, behind the commit. Without an alias: what is sent meanwhile would use one not told yet."""
        data = encode_for(
            message,
            self.version,
            qos=2,
            retain=retain,
            dup=False,
            packet_id=packet_id,
            identifiers=identifiers,
            aliases=None,
            now_ms=self._dialect.hub.clock_ms(),
        )
        if self._max_packet_out and len(data) > self._max_packet_out:
            return False
        self.answer(data, wait=True)
        return True

    def send_release(self, packet_id: int) -> None:
        """PUBREL."""
        self.send(encode_ack(self.version, p.PUBREL, packet_id))

    def disconnect(self, reason: int, message: str = "") -> None:
        """Say why, where the version has a word for it ([MQTT-4.13.1-1]), and close."""
        if self._transport is None or self._ending:
            return
        self._ending = True
        self.why = message or reasons.NAMES.get(reason, f"reason 0x{reason:02x}")
        if self.version == V5 and self._held is None:
            self._last_word = encode(Disconnect(reason, self.reason_string(message)), V5)
        self.finish(publish_will=reason != reasons.SERVER_SHUTTING_DOWN, linger=reason != reasons.SERVER_SHUTTING_DOWN)

    # -- what the dialect's other files use

    @property
    def transport(self) -> asyncio.Transport | None:
        """The connection, while there is one."""
        return self._transport

    def send(self, data: bytes) -> None:
        """Send behind what goes out this turn."""
        if not self._said_all:
            self._dialect.send(self, data)

    def answer(self, data: bytes, *, wait: bool, then: Callable[[], None] | None = None) -> None:
        """Send an answer, once the commit being collected is done if it is to wait."""
        if wait:
            self._answers_due += 1
            self._dialect.hub.commits.wait(self, Receipt(data, then))
        else:
            self.send(data)
            if then is not None:
                then()

    def hold(self) -> None:
        """Handle nothing more until `release`."""
        self._held = []
        if self._transport is not None:
            self._transport.pause_reading()

    def release_to(self, device: DeviceState | None) -> None:
        """The client has been told that it is connected: send what waits for it, handle what has come meanwhile."""
        held, self._held = self._held, None
        session = self.session
        if session is None:
            return
        self.heard_s = self._dialect.wheel.now_s
        self._dialect.attached(self)
        self._dialect.broker.resume(session)
        if device is not None:
            self._dialect.hub.attach(self, device)
        if self._transport is not None and not self._ending:
            self._transport.resume_reading()
        for packet in held or ():
            if not self._ending:
                self.handle(packet)
        if self._decoder.refused is not None and not self._ending:
            self.refuse(self._decoder.refused)

    def use_properties(self, connect: Connect) -> None:
        """What the client of 5.0 said of itself."""
        found = connect.properties
        self._max_packet_out = found.get(p.MAXIMUM_PACKET_SIZE, 0)
        self._wants_reasons = found.get(p.REQUEST_PROBLEM_INFORMATION, 1) == 1  # [MQTT-3.1.2-29]
        aliases = min(found.get(p.TOPIC_ALIAS_MAXIMUM, 0), self._dialect.settings.max_topic_aliases)
        self.aliases = Aliases(aliases) if aliases else None

    def reason_string(self, message: str) -> p.Properties:
        """A reason in words, for a client that wants one."""
        room = self._max_packet_out
        text = message[:MAX_REASON_LENGTH]
        # [MQTT-3.4.2-2], [MQTT-3.5.2-2], [MQTT-3.14.2-3]: not where the packet would be too large with it
        if not text or not self._wants_reasons or (room and len(text.encode()) + AROUND_REASON_BYTES > room):
            return NO_PROPERTIES
        return {p.REASON_STRING: text}

    def refuse(self, refused: PacketRefused, packet: Packet | None = None) -> None:
        """The client has broken the protocol."""
        self._dialect.note_refused(self, refused, packet)
        if self.session is None:
            Connecting.refuse(self, refused)
        else:
            self.disconnect(refused.reason, refused.message)

    def _refuse_tls(self, refused: PacketRefused) -> None:
        """A TLS handshake at a plain port."""
        self._dialect.note_refused(self, refused)
        self._dialect.rarely.warn("%s tries TLS at a port for plain MQTT: mqtts:// is for that", self.peer)
        self.send(REFUSED_TLS)
        self.finish(publish_will=False)

    def finish(self, *, publish_will: bool, linger: bool = False) -> None:
        """Leave the session, and close once every answer is out.

        ``linger``: end our side only, and throw away what the client still sends. Closing with bytes unread would make
        TCP reset the connection, and the reset overtake what we have just said.
        """
        self._ending = True
        self._leave(publish_will=publish_will)
        transport = self._transport
        if transport is not None:
            self._dialect.finishing(self)
            if linger and transport.can_write_eof():
                self._dialect.send(self, self._last_word)
                self._dialect.flush(self)
                self._said_all = True
                transport.write_eof()
                transport.resume_reading()
            elif self._answers_due:
                transport.pause_reading()
            else:
                self._close()

    def _close(self) -> None:
        """Behind all answers: nothing may follow DISCONNECT ([MQTT-3.14.4-1])."""
        assert self._transport is not None
        self._dialect.send(self, self._last_word)
        self._dialect.flush(self)
        self._said_all = True
        self._transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    # -- packets

    def handle(self, packet: Packet) -> None:
        """One packet of the client's."""
        kind = type(packet)
        if kind is Publish:
            self._publish(cast("Publish", packet))
        elif kind is Ack:
            self._acknowledged(cast("Ack", packet))
        elif kind is Ping:
            self.send(PINGRESP)  # [MQTT-3.12.4-1]
        else:
            try:
                self._handle_rare(packet)
            except PacketRefused as refused:
                self.refuse(refused, packet)

    def _handle_tapped(self, packet: Packet) -> None:
        if self.tap is not None:
            self.frame = packet_frame(self, "in", packet)
            self.tap.note(self.device, self.frame)
        self.handle(packet)
        self.frame = None

    def note_sent(self, data: bytes) -> None:
        """Note packets that go out, while the device is tapped."""
        for packet in sent_packets(self.version, data):
            if self.tap is not None:
                self.tap.note(self.device, packet_frame(self, "out", packet))

    def _handle_rare(self, packet: Packet) -> None:
        match packet:
            case Connect():
                self.version = packet.version
                self._dialect.connecting.begin(self, packet)
            case Subscribe():
                self._subscribe(packet)
            case Unsubscribe():
                self._unsubscribe(packet)
            case Disconnect(reason, found):
                self._disconnected(reason, found)
            case Auth():
                self._dialect.connecting.proceed(self, packet)

    def _publish(self, packet: Publish) -> None:
        session = self.session
        if session is None:
            return
        dialect = self._dialect
        topic, qos = packet.topic, packet.qos
        try:
            if packet.properties:
                topic = self._topic_of(packet)
            if qos:
                self._unacknowledged += qos == 1
                if self.version == V5:
                    self._check_receive_maximum(session, packet)
        except PacketRefused as refused:
            self.refuse(refused, packet)
            return
        try:
            if dialect.devices.takes(self, topic):
                self._publish_to_hub(topic, packet)
                return
            if not session.access.may_publish(topic):
                raise PacketRefused(reasons.NOT_AUTHORIZED, f"{topic[:80]} is not this client's to write")
        except PeerError as refused:
            error = dialect.hub.adoption.refusal(self) or refused
            dialect.note_refused(self, error, packet)
            data = self._refusal(p.PUBACK if qos == 1 else p.PUBREC, packet.packet_id, error) if qos else b""
            if data:
                self._send_ack(data)
            return
        message = Message(topic, packet.payload, qos, retain=packet.retain, source=session.key)
        if packet.properties:
            message.properties = forwarded(packet)
            expiry_s = packet.properties.get(p.MESSAGE_EXPIRY_INTERVAL)
            if expiry_s is not None:
                message.expires_ms = dialect.hub.clock_ms() + expiry_s * 1000
        if qos:
            self._publish_acknowledged(session, message, packet.packet_id)
        else:
            dialect.broker.publish(message)

    def _publish_acknowledged(self, session: ClientSession, message: Message, packet_id: int) -> None:
        broker, qos = self._dialect.broker, message.qos
        noted = broker.keeper.noted
        if qos == 2 and not broker.take_in(session, packet_id):
            reason = 0
        else:
            reason = 0 if broker.publish(message) else reasons.NO_MATCHING_SUBSCRIBERS
        kind = p.PUBACK if qos == 1 else p.PUBREC
        self._answer_publish(kind, packet_id, reason, wait=broker.keeper.noted != noted)

    def _check_receive_maximum(self, session: ClientSession, packet: Publish) -> None:
        """Messages of QoS 1 count until they are acknowledged, of QoS 2 until they are complete ([MQTT-3.3.4-7])."""
        incoming = session.incoming or ()
        new = packet.qos == 2 and packet.packet_id not in incoming
        limit = self._dialect.settings.receive_maximum
        if self._unacknowledged + len(incoming) + new > limit:
            raise PacketRefused(reasons.RECEIVE_MAXIMUM_EXCEEDED, f"more than {limit} messages at a time")

    def _publish_to_hub(self, topic: str, packet: Publish) -> None:
        """A device's word to the hub: it is answered when what it says is durable."""
        session, qos, packet_id = self.session, packet.qos, packet.packet_id
        assert session is not None
        if qos == 2 and not self._dialect.broker.take_in(session, packet_id):
            self._answer_publish(p.PUBREC, packet_id, 0, wait=False)
            return
        kind = p.PUBACK if qos == 1 else p.PUBREC
        self._dialect.devices.publish(self, topic, packet, kind << 16 | packet_id if qos else None)

    def _answer_publish(self, kind: int, packet_id: int, reason: int, *, wait: bool) -> None:
        if wait:
            self.expect_receipt()
            self._dialect.hub.commits.wait(self, kind << 16 | packet_id)
            return
        self._send_ack(encode_ack(self.version, kind, packet_id, reason))

    def _send_ack(self, data: bytes) -> None:
        """Send PUBACK or PUBREC, behind those that wait for the disk."""
        if self._answers_due:
            self._answers_due += 1
            self._dialect.hub.commits.wait(self, data)
        else:
            self._unacknowledged -= data[0] == _PUBACK_HEAD
            self.send(data)

    def expect_receipt(self) -> None:
        """Something was handed to the hub, and a receipt will come back."""
        self._answers_due += 1
        if self._answers_due > MAX_ANSWERS_DUE and self._transport is not None:
            self._transport.pause_reading()

    def _refusal(self, kind: int, packet_id: int, error: HardpointError) -> bytes:
        """The answer to a message of QoS 1 or 2 that was not taken. 3.1.1 has no word for it: nothing is answered, and
        the connection is closed ([MQTT3-3.3.5-2]).
        """
        if kind == p.PUBREC and self.session is not None:
            self._dialect.broker.release(self.session, packet_id)  # §4.3.3: its identifier is free again
        if self.version == V5:
            return encode_ack(V5, kind, packet_id, reason_of(error), self.reason_string(error.message))
        self.disconnect(reason_of(error), error.message)
        return b""

    def _topic_of(self, packet: Publish) -> str:
        """The topic that an alias stands for, or is to stand for (§3.3.2.3.4)."""
        alias = packet.properties.get(p.TOPIC_ALIAS)
        if alias is None:
            return packet.topic
        if alias > self._dialect.settings.max_topic_aliases:  # [MQTT-3.3.2-9]
            raise PacketRefused(reasons.TOPIC_ALIAS_INVALID, f"topic alias {alias}")
        if self._aliases_in is None:
            self._aliases_in = {}
        if packet.topic:
            self._aliases_in[alias] = packet.topic
            return packet.topic
        topic = self._aliases_in.get(alias)
        if topic is None:  # [MQTT-3.3.2-7]
            raise PacketRefused(reasons.PROTOCOL_ERROR, f"topic alias {alias} stands for nothing yet")
        return topic

    def _acknowledged(self, packet: Ack) -> None:
        session = self.session
        if session is None:
            return
        broker, kind, packet_id = self._dialect.broker, packet.kind, packet.packet_id
        noted = broker.keeper.noted
        if kind == p.PUBREL:
            known = broker.release(session, packet_id)
            self._answer_step(p.PUBCOMP, packet_id, known=known, noted=noted)  # [MQTT-4.3.3-11]
            return
        if kind == p.PUBREC and packet.reason < reasons.FAILURE:
            known = broker.received(session, packet_id)
            self._answer_step(p.PUBREL, packet_id, known=known, noted=noted)  # [MQTT-4.3.3-4]
            return
        outgoing = broker.acknowledged(session, packet_id)
        if outgoing is not None and isinstance(outgoing.receipt, Command):
            self._dialect.devices.delivered(outgoing.receipt, packet.reason)

    def _answer_step(self, kind: int, packet_id: int, *, known: bool, noted: int) -> None:
        """PUBCOMP or PUBREL, once the step it stands for is durable: the client forgets what it has an answer to. If we
        then came back without that step, its next message of this identifier would be taken for the old one, or the
        old one be sent to it again.
        """
        data = encode_ack(self.version, kind, packet_id, 0 if known else reasons.PACKET_ID_NOT_FOUND)
        self.answer(data, wait=self._dialect.broker.keeper.noted != noted or self._answers_due > 0)

    def _subscribe(self, packet: Subscribe) -> None:
        session = self.session
        if session is None:
            return
        dialect = self._dialect
        identifiers = packet.properties.get(p.SUBSCRIPTION_IDENTIFIER, (0,))
        answers: list[int] = []
        requests: list[Request] = []
        for each in packet.filters:
            reason = self._checked(packet, each.filter, no_local=each.no_local)
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
            if self.device is not None and self.device.open_commands:
                dialect.hub.ledger.deliver_queued(self.device)
            dialect.hub.adoption.tell(self)

        data = encode(SubAckPacket(packet.packet_id, answers), self.version)
        self.answer(data, wait=dialect.broker.keeper.noted != noted, then=then)

    def _checked(self, packet: Subscribe, topic_filter: str, *, no_local: bool) -> int:
        """A reason for one filter: 0, or why it cannot be subscribed to."""
        assert self.session is not None
        try:
            group, rest = checked_filter(topic_filter)
        except PeerError as error:
            self._dialect.note_refused(self, error, packet)
            return reasons.TOPIC_FILTER_INVALID
        if group is not None and no_local:  # [MQTT-3.8.3-4]
            raise PacketRefused(reasons.PROTOCOL_ERROR, "No Local on a shared subscription")
        return 0 if self.session.access.may_subscribe(rest) else reasons.NOT_AUTHORIZED

    def _unsubscribe(self, packet: Unsubscribe) -> None:
        if self.session is None:
            return
        broker = self._dialect.broker
        noted = broker.keeper.noted
        answers = broker.unsubscribe(self.session, packet.filters)
        data = encode(UnsubAck(packet.packet_id, answers), self.version)  # [MQTT-3.10.4-4]
        self.answer(data, wait=broker.keeper.noted != noted)

    def _disconnected(self, reason: int, found: p.Properties) -> None:
        session = self.session
        expiry_s = found.get(p.SESSION_EXPIRY_INTERVAL)
        if session is not None and expiry_s is not None:
            if expiry_s and not session.expiry_s:  # [MQTT-3.14.2-2]
                raise PacketRefused(reasons.PROTOCOL_ERROR, "a session that ends with its connection cannot be kept")
            expiry_s = min(expiry_s, self._dialect.settings.max_session_expiry_s)
        # A client that says goodbye may hang up at once: what it has sent is done all the same.
        self._leave(publish_will=reason == reasons.DISCONNECT_WITH_WILL, expiry_s=expiry_s)
        self.finish(publish_will=False)

    def _leave(self, *, publish_will: bool, expiry_s: int | None = None) -> None:
        session, self.session = self.session, None
        if session is not None:
            self._dialect.broker.close(session, self, publish_will=publish_will, expiry_s=expiry_s)
        self._dialect.hub.detach(self)
