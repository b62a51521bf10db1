"""The connection to the other broker: MQTT 5 from a client's side, as an `asyncio.Protocol` over our own codec.

A client library keeps the state of QoS 2 in its own memory and answers PUBREC before its user has stored anything, so
a crash between the two loses the message or sends it twice. Here nothing is kept: packets are handed to the listener as
they come, and it alone decides when one is acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple, Protocol, cast

from ..wire.mqtt import properties as p
from ..wire.mqtt import reasons
from ..wire.mqtt.decoder import PacketDecoder
from ..wire.mqtt.encoder import PINGREQ, encode
from ..wire.mqtt.packets import Ack, ConnAck, Connect, Disconnect, Filter, Packet, Publish, SubAck, Subscribe
from ..wire.mqtt.reasons import FAILURE, V5, PacketRefused

CONNECT_TIMEOUT_S = 10.0
"""For CONNACK and SUBACK together."""
CLOSE_TIMEOUT_S = 2.0
"""How long a goodbye may take before the connection is cut."""
RECEIVE_MAXIMUM = 100
"""Messages of QoS 1 and 2 that the other broker may send before we have answered (§3.1.2.11.3). One that sends more is
not cut off, for mosquitto 2.0 does, after a connection was lost: what it has sent there is bounded by its 65,535 packet
identifiers, and by `hold_back`.
"""
MAX_PACKET_BYTES = 16 * 2**20
"""What we take as one packet (§3.1.2.11.4): it is held in memory until it is whole."""
MAX_PACKETS_A_TURN = 512
"""As many as of a client of ours: the rest is handled in the next turn."""
MAX_UNSENT_BYTES = 2**20
"""Beyond it, what the other broker has not taken, messages of QoS 0 are dropped and others wait in the session."""
MAX_PIECES = 64
LARGE_BYTES = 4096
"""What is gathered before it is written, at latest at the end of the turn: so many packets, or one of that size."""


class Limits(NamedTuple):
    """What the other broker takes, from its CONNACK (§3.2.2.3)."""

    window: int
    """Messages of QoS 1 and 2 at a time."""
    max_qos: int
    retain: bool
    max_packet_bytes: int


class Listener(Protocol):
    """Who is told. Every call comes from within `Remote.data_received`."""

    def connected(self, remote: Remote, *, present: bool) -> None:
        """CONNACK has come; ``present``: the other broker still has our session. `Remote.subscribe` is next."""
        ...

    def received(self, remote: Remote, packet: Publish) -> None:
        """A message has come. At QoS 1 and 2 it wants an answer."""
        ...

    def acknowledged(self, remote: Remote, packet: Ack) -> None:
        """PUBACK, PUBREC, PUBREL or PUBCOMP has come."""
        ...

    def writable(self, remote: Remote) -> None:
        """It takes bytes again."""
        ...


class Remote(asyncio.Protocol):
    """One connection. Make another for the next."""

    def __init__(self, listener: Listener, connect: Connect) -> None:
        """``connect`` is sent when there is a connection. Needs a running loop."""
        self._listener = listener
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._decoder = PacketDecoder(max_packet_bytes=MAX_PACKET_BYTES, version=V5)
        self._let_in = self._busy = self._held_back = False
        self._pieces: list[bytes] = []
        self._heard_s = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._gone = asyncio.Event()
        self.limits = Limits(RECEIVE_MAXIMUM, 2, True, MAX_PACKET_BYTES)
        self.full = False
        """It does not take what it is sent."""
        self.subscribed: asyncio.Future[None] = self._loop.create_future()
        """Done when it has granted every filter."""
        self.lost: asyncio.Future[str] = self._loop.create_future()
        """Done when the connection is of no use any more, with the reason."""
        self.answers_due = 0
        """The listener's own: what waits for the disk."""

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client speaks first (§3.1)."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(MAX_UNSENT_BYTES)
        self.send(encode(self._connect, V5))

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone, whoever wanted it."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._gone.set()
        self.lose("it has hung up" if exc is None else str(exc) or type(exc).__name__)

    def data_received(self, data: bytes) -> None:
        """Handle the packets that are complete, as many as a turn has time for."""
        self._heard_s = self._loop.time()
        if self._busy:
            self._decoder.keep(data)
        else:
            self._take(self._decoder.receive(data, MAX_PACKETS_A_TURN))

    def pause_writing(self) -> None:
        """The other broker does not read."""
        self.full = True

    def resume_writing(self) -> None:
        """It reads again."""
        self.full = False
        self._listener.writable(self)

    # -- for the listener

    def subscribe(self, filters: Mapping[str, int], packet_id: int) -> None:
        """Ask for what matches these filters, at their QoS. ``packet_id`` is one that no message has
        (§2.2.1).
        """
        if not filters:
            self._granted()
            return
        wanted = [
            Filter(each, qos, no_local=True, retain_as_published=True, retain_handling=1)
            for each, qos in filters.items()
        ]
        self.send(encode(Subscribe(packet_id, wanted), V5))

    def send(self, data: bytes) -> None:
        """Send a packet behind what goes out this turn. Of a connection that is gone nothing more comes of it."""
        if self._transport is None or self.lost.done():
            return
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)
        if len(data) >= LARGE_BYTES or len(self._pieces) >= MAX_PIECES:
            self._flush()

    def hold_back(self, wanted: bool) -> None:
        """Take no more bytes until it is called with False: the store is behind."""
        self._held_back = wanted
        self._read_on()

    def lose(self, why: str, reason: int | None = reasons.NORMAL_DISCONNECTION) -> None:
        """Say goodbye with that reason, or nothing, and be of no use any more. Idempotent."""
        if self.lost.done():
            return
        if self._let_in and reason is not None:
            self.send(encode(Disconnect(reason), V5))
        self._flush()
        self.lost.set_result(why)
        if self._transport is not None:
            self._transport.close()

    async def close(self) -> None:
        """Say goodbye and return when the connection is gone. Idempotent."""
        self.lose("it was closed here")
        if self._transport is None:
            return
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._gone.wait()
        except TimeoutError:  # a peer that does not read
            self._transport.abort()
            await self._gone.wait()

    # -- inside

    def _take(self, packets: list[Packet]) -> None:
        self._busy = False
        try:
            for packet in packets:
                if self.lost.done():
                    return
                self._handle(packet)
            if self._decoder.refused is not None:
                raise self._decoder.refused
        except PacketRefused as refused:  # §4.13.1
            self.lose(f"it breaks the protocol: {refused.message}", refused.reason)
            return
        if self._decoder.more:
            self._busy = True
            self._loop.call_soon(self._go_on)
        self._read_on()

    def _go_on(self) -> None:
        if self._busy:
            self._take(self._decoder.receive(b"", MAX_PACKETS_A_TURN))

    def _read_on(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._busy or self._held_back:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _handle(self, packet: Packet) -> None:
        if not self._let_in and not isinstance(packet, ConnAck | Disconnect):  # §3.2
            raise PacketRefused(reasons.PROTOCOL_ERROR, "something comes before CONNACK")
        match packet:
            case Publish():
                if p.TOPIC_ALIAS in packet.properties:  # §3.1.2.11.5: we take none
                    raise PacketRefused(reasons.TOPIC_ALIAS_INVALID, "a topic alias, and none were offered")
                self._listener.received(self, packet)
            case Ack():
                self._listener.acknowledged(self, packet)
            case ConnAck():
                self._connected(packet)
            case SubAck(_, answers):
                refused = [each for each in answers if each >= FAILURE]
                if refused:
                    self.lose(f"a filter of bridge.topics_in is refused: {_name(refused[0])}")
                else:
                    self._granted()
            case Disconnect(reason, found):
                self.lose(_said(reason, found), None)

    def _connected(self, packet: ConnAck) -> None:
        found = packet.properties
        if self._let_in:  # §3.2
            raise PacketRefused(reasons.PROTOCOL_ERROR, "a second CONNACK")
        if packet.reason:
            self.lose(_said(packet.reason, found))
            return
        self._let_in = True
        self.limits = Limits(
            found.get(p.RECEIVE_MAXIMUM, 65_535),
            found.get(p.MAXIMUM_QOS, 2),
            found.get(p.RETAIN_AVAILABLE, 1) == 1,
            found.get(p.MAXIMUM_PACKET_SIZE, 2**28),
        )
        keep_alive_s = found.get(p.SERVER_KEEP_ALIVE, self._connect.keep_alive_s)  # [MQTT-3.1.2-21]
        if keep_alive_s:
            self._look(keep_alive_s)
        self._listener.connected(self, present=packet.session_present)

    def _look(self, keep_alive_s: float) -> None:
        """Twice a keep-alive: whether it is there (§3.1.2.10)."""
        if self._loop.time() - self._heard_s > keep_alive_s * 1.5:
            self.lose("nothing was heard in time", reasons.UNSPECIFIED_ERROR)
            return
        self._timer = self._loop.call_later(keep_alive_s / 2, self._look, keep_alive_s)
        self.send(PINGREQ)  # [MQTT-3.1.2-20]

    def _granted(self) -> None:
        if not self.subscribed.done():
            self.subscribed.set_result(None)

    def _flush(self) -> None:
        pieces, self._pieces = self._pieces, []
        if pieces and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(pieces))


def _said(reason: int, found: p.Properties) -> str:
    text = found.get(p.REASON_STRING) or found.get(p.SERVER_REFERENCE)
    return f"{_name(reason)} ({text})" if text else _name(reason)


def _name(reason: int) -> str:
    return reasons.NAMES.get(reason, f"reason 0x{reason:02x}")
