"""One MQTT client: an `asyncio.Protocol`, the hub's session of its device, and the broker's client, in one object.

What is written goes out once a turn, however many messages it is (`MqttDialect.send`). An acknowledgement that stands
for something durable is a receipt of the commit; others of the same kind wait behind it, so that they leave in the
order of their messages ([MQTT-4.6.0-2], [MQTT-4.6.0-3]).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ...hub.session import Session
from ...tls.peer import certificate_name, is_encrypted, peer_name
from ...wire.mqtt import properties as p
from ...wire.mqtt import reasons
from ...wire.mqtt.decoder import PacketDecoder
from ...wire.mqtt.encoder import PINGRESP, encode, encode_ack
from ...wire.mqtt.packets import Ack, Auth, Connect, Disconnect, Packet, Ping, Publish, Subscribe, Unsubscribe
from ...wire.mqtt.properties import NO_PROPERTIES
from ...wire.mqtt.reasons import V5, PacketRefused
from ...wire.opening import REFUSED_TLS, TLS_RECORD
from .connecting import Connecting
from .frames import packet_frame, sent_packets
from .outgoing import Aliases, encode_for, encode_plain
from .refusals import END_REASONS

if TYPE_CHECKING:
    from ...errors import StorageError
    from ...hub.broker import ClientSession, Message
    from ...hub.broker.messages import Outgoing
    from ...hub.devices import DeviceState
    from ...hub.tap import Frame
    from ...model import Command
    from .dialect import MqttDialect

MAX_PACKETS_A_TURN = 512
MAX_MESSAGES_A_TURN = 2_048
"""What one client may have us do in one turn of the loop: packets of its that are handled, and messages that go to
others because of them. Some five milliseconds; the rest follows in the next turns, when everybody else has had theirs.
One read of 64 KiB may hold 32,000 packets, and each may be for a thousand subscribers.
"""
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
    """What is sent once a commit is done, and what happens then; ``otherwise`` if it failed."""

    __slots__ = ("data", "otherwise", "then")

    def __init__(
        self, data: bytes, then: Callable[[], None] | None, otherwise: Callable[[StorageError], None] | None
    ) -> None:
        self.data = data
        self.then = then
        self.otherwise = otherwise


class MqttConnection(asyncio.Protocol, Session):
    """Slots only, and nothing made before it is needed: 15,000 of these idle in a small machine's memory."""

    __slots__ = (
        "_connecting",
        "_decoder",
        "_dialect",
        "_ending",
        "_held",
        "_last_word",
        "_max_packet_out",
        "_said_all",
        "_wants_reasons",
        "aliases",
        "aliases_in",
        "answers_due",
        "bucket",
        "chunk_size",
        "client_id",
        "frame",
        "full",
        "heard_s",
        "patience_s",
        "session",
        "transport",
        "unacknowledged",
        "version",
    )

    dialect = "mqtt"

    def __init__(self, dialect: MqttDialect) -> None:
        Session.__init__(self)
        self._dialect = dialect
        self._decoder = PacketDecoder(max_packet_bytes=dialect.settings.max_packet_bytes)
        self.transport: asyncio.Transport | None = None
        """The connection, while there is one."""
        self._held: list[Packet] | None = None  # what is to be handled later, while there is a reason to wait
        self._connecting = False  # that reason is a CONNECT that is not answered yet
        self._ending = False
        self._last_word = b""  # DISCONNECT, once it is to be sent
        self._said_all = False  # our side of the connection is closed
        self._max_packet_out = 0  # 0: no limit
        self._wants_reasons = True
        self.answers_due = 0
        """Receipts that the hub has not given back."""
        self.unacknowledged = 0
        """Messages of QoS 1 from the client that wait for PUBACK."""
        self.aliases: Aliases | None = None
        self.aliases_in: dict[int, str] | None = None
        self.version = 0
        self.client_id = ""
        self.session: ClientSession | None = None
        self.frame: Frame | None = None  # of the packet in hand, while the device is tapped
        self.full = False
        self.heard_s = dialect.wheel.now_s
        self.patience_s = 0
        self.bucket = 0
        self.chunk_size: tuple[str, int] | None = None
        """What it asked for last of a firmware: its request, and the size of a chunk."""

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client speaks first."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(self._dialect.settings.max_unread_bytes)
        if not self._dialect.connected(self):
            self.transport.abort()  # its version is not known, so there is no word it would understand

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone without DISCONNECT, or after it."""
        self.transport = None
        self._dialect.disconnected(self)
        self.why = self.why or ("the connection was lost" if exc is None else f"the connection broke: {exc}")
        self._leave(publish_will=True)

    def data_received(self, data: bytes) -> None:
        """Handle the packets that are complete, as many as a turn has time for."""
        if self._ending:
            return
        self.heard_s = self._dialect.wheel.now_s
        decoder = self._decoder
        if self._held is not None:
            decoder.keep(data)
            return
        packets = decoder.receive(data, MAX_PACKETS_A_TURN)
        if len(packets) == 1 and not decoder.more and decoder.refused is None and self.tap is None:
            self.handle(packets[0])  # most reads by far
        elif decoder.refused is not None and not self.version and data.startswith(TLS_RECORD[:1]):
            self._refuse_tls(decoder.refused)
        else:
            self._take(packets)

    def _take(self, packets: list[Packet]) -> None:
        handle = self.handle if self.tap is None else self._handle_tapped
        broker = self._dialect.broker
        enough = broker.delivered + broker.queued + MAX_MESSAGES_A_TURN
        taken = 0
        for packet in packets:
            handle(packet)
            taken += 1
            if self._ending:
                return
            if self._held is not None:  # it was a CONNECT
                self._held += packets[taken:]
                return
            if broker.delivered + broker.queued >= enough:
                break
        if taken < len(packets) or self._decoder.more:
            self._held = packets[taken:]
            self.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on)
        elif self._decoder.refused is not None:
            self.refuse(self._decoder.refused)

    def _go_on(self) -> None:
        """Handle what was held, and read on when that was all."""
        if self._held is None or self._ending:
            return
        held, self._held = self._held, None
        self._take(held or self._decoder.receive(b"", MAX_PACKETS_A_TURN))
        self._read_on()

    def eof_received(self) -> bool:
        """A client that sends no more is gone."""
        return False

    def pause_writing(self) -> None:
        """The client does not read: take nothing more that would have to be answered."""
        self.full = True
        self._dialect.stalled(self)
        self.pause_reading()

    def resume_writing(self) -> None:
        """It reads again: send what waits for it."""
        self.full = False
        self._dialect.unread.pop(self, None)
        self._read_on()
        if self.session is not None and not self._connecting:
            self._dialect.broker.pump(self.session)
        self._dialect.devices.deliver_waiting(self)

    # -- Session

    @property
    def peer(self) -> str:
        """``ip:port``, ``[ip6]:port``, ``unix``, or empty once the connection is gone."""
        return "" if self.transport is None else peer_name(self.transport)

    @property
    def encrypted(self) -> bool:
        """Whether it goes over TLS."""
        return self.transport is not None and is_encrypted(self.transport)

    @property
    def certificate(self) -> str:
        """The name in the certificate that the client has shown; empty without one."""
        return "" if self.transport is None else certificate_name(self.transport)

    def acknowledge(self, receipts: Sequence[object], error: StorageError | None) -> None:
        """Send what waited for this commit. A whole number is PUBACK or PUBREC: reason, kind and packet identifier, in
        8, 8 and 16 bits.
        """
        self.answers_due -= len(receipts)
        if self.transport is None:
            return
        for receipt in receipts:
            if type(receipt) is int:
                kind, packet_id = receipt >> 16 & 0xFF, receipt & 0xFFFF
                self.unacknowledged -= kind == p.PUBACK
                if error is None:
                    self.send(encode_ack(self.version, kind, packet_id, receipt >> 24))
                else:
                    self.send(self._dialect.publishing.refusal(self, kind, packet_id, error))
            elif isinstance(receipt, Receipt):
                if error is None:
                    self.send(receipt.data)
                    if receipt.then is not None:
                        receipt.then()
                elif not self._ending:
                    (receipt.otherwise or self._refuse_receipt)(error)
            elif receipt is not None:
                data = cast("bytes", receipt)
                self.unacknowledged -= data[0] == _PUBACK_HEAD
                self.send(data)
        self._read_on()
        if self._ending and not self.answers_due and not self._said_all:
            self._close()

    def _refuse_receipt(self, error: StorageError) -> None:
        """What was asked for could not be stored."""
        if self._connecting:
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
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """The store has caught up."""
        self._read_on()

    def _read_on(self) -> None:
        """Read again, unless there is another reason not to."""
        waits = self.paused_by_hub or self.full or self._held is not None or self.answers_due > MAX_ANSWERS_DUE // 2
        if self.transport is not None and not (waits or self._ending):
            self.transport.resume_reading()

    def end(self, reason: str) -> None:
        """The hub ends it: the device is gone, has another token, or the server stops."""
        self.disconnect(END_REASONS.get(reason.partition(":")[0], reasons.ADMINISTRATIVE_ACTION), reason)

    # -- the broker's Client

    @property
    def ready(self) -> bool:
        """It has been told that it is connected, and is not being closed."""
        return self.session is not None and not self._connecting and not self._ending

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

    def send_once_stored(self, outgoing: Outgoing) -> bool:
        """PUBLISH of QoS 2, behind the commit. Without an alias: what is sent meanwhile would use one not told yet."""
        data = encode_for(
            outgoing.message,
            self.version,
            qos=2,
            retain=outgoing.retain,
            dup=False,
            packet_id=outgoing.packet_id,
            identifiers=outgoing.identifiers,
            aliases=None,
            now_ms=self._dialect.hub.clock_ms(),
        )
        if self._max_packet_out and len(data) > self._max_packet_out:
            return False
        self.answer(data, wait=True, otherwise=partial(self._not_stored, outgoing))
        return True

    def _not_stored(self, outgoing: Outgoing, error: StorageError) -> None:
        """A message of QoS 2 could not be stored, and so was not sent: the next connection will have it. Unless its
        publisher is refused because of the same commit; then it has been taken back by the next turn.
        """

        def look() -> None:
            if self.session is not None and (self.session.in_flight or {}).get(outgoing.packet_id) is outgoing:
                self.disconnect(reasons.QUOTA_EXCEEDED, error.message)

        asyncio.get_running_loop().call_soon(look)

    def send_release(self, packet_id: int) -> None:
        """PUBREL."""
        self.send(encode_ack(self.version, p.PUBREL, packet_id))

    def disconnect(self, reason: int, message: str = "") -> None:
        """Say why, where the version has a word for it ([MQTT-4.13.1-1]), and close."""
        if self.transport is None or self._ending:
            return
        self._ending = True
        self.why = message or reasons.NAMES.get(reason, f"reason 0x{reason:02x}")
        if self.version == V5 and not self._connecting:  # [MQTT-3.14.0-1]
            # No expiry interval ([MQTT-3.14.2-2]).
            self._last_word = encode(Disconnect(reason, self.reason_string(message)), V5)
        self.finish(publish_will=reason != reasons.SERVER_SHUTTING_DOWN, linger=reason != reasons.SERVER_SHUTTING_DOWN)

    # -- what the dialect's other files use

    def send(self, data: bytes) -> None:
        """Send behind what goes out this turn."""
        if data and not self._said_all:
            self._dialect.send(self, data)

    def answer(
        self,
        data: bytes,
        *,
        wait: bool,
        then: Callable[[], None] | None = None,
        otherwise: Callable[[StorageError], None] | None = None,
    ) -> None:
        """Send an answer, once the commit being collected is done if it is to wait. ``otherwise``: what to do if that
        fails; by default the connection is closed.
        """
        if wait:
            self.expect_receipt()
            self._dialect.hub.commits.wait(self, Receipt(data, then, otherwise))
        else:
            self.send(data)
            if then is not None:
                then()

    def send_ack(self, data: bytes) -> None:
        """Send PUBACK or PUBREC, behind those that wait for the disk."""
        if self.answers_due:
            self.answers_due += 1
            self._dialect.hub.commits.wait(self, data)
        else:
            self.unacknowledged -= data[0] == _PUBACK_HEAD
            if not self._said_all:
                self._dialect.send(self, data)

    def expect_receipt(self) -> None:
        """Something was handed to the hub, and a receipt will come back."""
        self.answers_due += 1
        if self.answers_due > MAX_ANSWERS_DUE:
            self.pause_reading()

    def hold(self) -> None:
        """A CONNECT is being answered: handle nothing more until `release_to` ([MQTT-3.2.0-1])."""
        self._held, self._connecting = [], True
        self.pause_reading()

    def release_to(self, device: DeviceState | None) -> None:
        """The client has been told that it is connected: send what waits for it, handle what has come meanwhile."""
        self._connecting = False
        session = self.session
        if session is None:
            return
        self.heard_s = self._dialect.wheel.now_s
        self._dialect.attached(self)
        self._dialect.broker.resume(session)
        if device is not None:
            self._dialect.hub.attach(self, device)
        self._go_on()

    def use_properties(self, connect: Connect) -> None:
        """What the client of 5.0 said of itself."""
        found = connect.properties
        self._max_packet_out = found.get(p.MAXIMUM_PACKET_SIZE, 0)
        self._wants_reasons = found.get(p.REQUEST_PROBLEM_INFORMATION, 1) == 1  # [MQTT-3.1.2-29]
        # [MQTT-3.1.2-27]
        aliases = min(found.get(p.TOPIC_ALIAS_MAXIMUM, 0), self._dialect.settings.max_topic_aliases)
        self.aliases = Aliases(aliases) if aliases else None

    def reason_string(self, message: str) -> p.Properties:
        """A reason in words, for a client that wants one."""
        room = self._max_packet_out
        text = message[:MAX_REASON_LENGTH]
        # [MQTT-3.2.2-19], [MQTT-3.4.2-2], [MQTT-3.5.2-2], [MQTT-3.14.2-3]: not where the packet would be too large
        if not text or not self._wants_reasons or (room and len(text.encode()) + AROUND_REASON_BYTES > room):
            return NO_PROPERTIES
        return {p.REASON_STRING: text}

    def refuse(self, refused: PacketRefused, packet: Packet | None = None) -> None:
        """The client has broken the protocol: it is told, and the connection closed ([MQTT-4.13.2-1])."""
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
        transport = self.transport
        if transport is not None:
            self._dialect.finishing(self)
            if linger and transport.can_write_eof():
                self._dialect.send(self, self._last_word)
                self._dialect.flush(self)
                self._said_all = True
                transport.write_eof()
                transport.resume_reading()
            elif self.answers_due:
                transport.pause_reading()
            else:
                self._close()

    def _close(self) -> None:
        """Behind all answers: nothing may follow DISCONNECT ([MQTT-3.14.4-1], -2)."""
        assert self.transport is not None
        self._dialect.send(self, self._last_word)
        self._dialect.flush(self)
        self._said_all = True
        self.transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        if self.transport is not None:
            self.transport.abort()

    # -- packets

    def handle(self, packet: Packet) -> None:
        """One packet of the client's."""
        if type(packet) is Publish:
            self._dialect.publishing.publish(self, packet)
        elif type(packet) is Ack:
            self._dialect.publishing.acknowledged(self, packet)
        elif type(packet) is Ping:
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
                self._dialect.subscribing.subscribe(self, packet)
            case Unsubscribe():
                self._dialect.subscribing.unsubscribe(self, packet)
            case Disconnect(reason, found):
                self._disconnected(reason, found)
            case Auth():
                self._dialect.connecting.proceed(self, packet)

    def _disconnected(self, reason: int, found: p.Properties) -> None:
        session = self.session
        expiry_s = found.get(p.SESSION_EXPIRY_INTERVAL)
        if session is not None and expiry_s is not None:
            if expiry_s and not session.expiry_s:  # §3.14.2.2.2
                raise PacketRefused(reasons.PROTOCOL_ERROR, "a session that ends with its connection cannot be kept")
            expiry_s = min(expiry_s, self._dialect.settings.max_session_expiry_s)
        text = found.get(p.REASON_STRING, "")[:MAX_REASON_LENGTH]
        if reason or text:
            self.why = f"the device ended it: {text or reasons.NAMES.get(reason, hex(reason))}"
        # A client that says goodbye may hang up at once: what it has sent is done all the same.
        self._leave(publish_will=reason == reasons.DISCONNECT_WITH_WILL, expiry_s=expiry_s)
        self.finish(publish_will=False)

    def _leave(self, *, publish_will: bool, expiry_s: int | None = None) -> None:
        session, self.session = self.session, None
        if session is not None:
            self._dialect.broker.close(session, self, publish_will=publish_will, expiry_s=expiry_s)
        self._dialect.devices.gateway.left(self)
        self._dialect.hub.detach(self)
