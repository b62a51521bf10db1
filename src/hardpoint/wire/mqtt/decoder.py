"""Bytes → packets, incrementally, for either end of a connection.

`PacketDecoder.receive` returns the packets that are complete. What breaks the protocol ends the decoder: `refused` says
why, the packets before it in the same bytes are still returned, and nothing behind it is read.

PUBLISH, its acknowledgements and PINGREQ are most of all traffic, so `receive` tells them apart first and reads them in
place; everything else goes through a `Cursor`.
"""

from __future__ import annotations

from collections.abc import Callable

from . import properties as p
from .packets import NAMES, Ack, Auth, ConnAck, Disconnect, Packet, Ping, Publish, SubAck, UnsubAck
from .properties import NO_PROPERTIES, Cursor, checked_text
from .reasons import (
    MALFORMED_PACKET,
    PACKET_TOO_LARGE,
    PROTOCOL_ERROR,
    TOPIC_ALIAS_INVALID,
    TOPIC_NAME_INVALID,
    V5,
    V31,
    PacketRefused,
)
from .requests import read_connect, read_subscribe, read_unsubscribe

MAX_CONNECT_BYTES = 128 * 1024
"""A CONNECT with a will of 64 KiB fits. Nobody is known yet, so this is what a stranger can make us keep."""
MAX_CACHED_TOPICS = 4_096
MAX_CACHED_TOPIC_BYTES = 256
"""Topic names that were checked before: looking one up costs a fifth of checking it, and repeats share one string. At
most a megabyte or two; when it is full it starts again.
"""

MAX_PACKETS = 1 << 28
"""By default `PacketDecoder.receive` returns all there are: no read holds so many."""

PINGREQ_PACKET = Ping(p.PINGREQ)
PINGRESP_PACKET = Ping(p.PINGRESP)

_FLAGS = {p.PUBREL: 2, p.SUBSCRIBE: 2, p.UNSUBSCRIBE: 2}
_TO_SERVER = frozenset(
    {
        p.CONNECT,
        p.PUBACK,
        p.PUBREC,
        p.PUBREL,
        p.PUBCOMP,
        p.SUBSCRIBE,
        p.UNSUBSCRIBE,
        p.PINGREQ,
        p.DISCONNECT,
        p.AUTH,
    }
)
_TO_CLIENT = frozenset(
    {
        p.CONNACK,
        p.PUBACK,
        p.PUBREC,
        p.PUBREL,
        p.PUBCOMP,
        p.SUBACK,
        p.UNSUBACK,
        p.PINGRESP,
        p.DISCONNECT,
        p.AUTH,
    }
)

# Reason codes that each packet may carry ([MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1],
# [MQTT-3.14.2-1], [MQTT-3.15.2-1]).
_PUBACK_REASONS = frozenset({0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99})
_PUBREL_REASONS = frozenset({0x00, 0x92})
_REASONS = {
    p.PUBACK: _PUBACK_REASONS,
    p.PUBREC: _PUBACK_REASONS,
    p.PUBREL: _PUBREL_REASONS,
    p.PUBCOMP: _PUBREL_REASONS,
    p.AUTH: frozenset({0x00, 0x18, 0x19}),
}
_CLIENT_DISCONNECT_REASONS = frozenset({0x00, 0x04, *range(0x80, 0x84), 0x90, *range(0x93, 0x9A)})

_topics: dict[bytes, str] = {}


class PacketDecoder:
    """Made for one connection. ``version`` is what was agreed; a server's decoder learns it from CONNECT."""

    __slots__ = ("_held", "_needed", "_types", "max_packet_bytes", "more", "refused", "version")

    def __init__(self, *, max_packet_bytes: int, version: int = 0) -> None:
        """``version`` 0 is a server that waits for CONNECT; any other a client."""
        self.version = version
        self.max_packet_bytes = max_packet_bytes
        self.refused: PacketRefused | None = None
        """Why nothing more is read; tell the peer and close."""
        self.more = False
        """There are bytes that the last `receive` has not looked at: call it again, with none."""
        self._types = _TO_CLIENT if version else _TO_SERVER
        self._held: bytearray | None = None  # the beginning of a packet
        self._needed = 0  # how long that packet is, as far as is known

    def keep(self, data: bytes) -> None:
        """Take bytes without looking at them."""
        if self._held is None:
            self._held, self._needed = bytearray(), 0
        self._held += data
        self.more = True

    def receive(self, data: bytes, most: int = MAX_PACKETS) -> list[Packet]:
        """The packets that are now complete, in order and at most so many; `more` tells whether there may be others."""
        packets: list[Packet] = []
        self.more = False
        if self._held is not None:
            self._held += data
            if len(self._held) < self._needed:  # a packet that comes byte by byte is looked at once
                return packets
            data, self._held = bytes(self._held), None
        if self.refused is None:
            try:
                self._read(data, packets, most)
            except PacketRefused as refused:
                self.refused = refused
        return packets

    def _read(self, data: bytes, packets: list[Packet], most: int) -> None:
        position, end = 0, len(data)
        version = self.version
        while position < end:
            first = data[position]
            if not version:
                version = self._read_connect(data, first, end, packets)
                if not version:
                    return
                position = self._needed
                continue
            if len(packets) >= most:
                self._hold(data, position, 0)
                self.more = True
                return
            body = position + 2
            length = data[position + 1] if body <= end else 0x80
            stop = body + length
            if length > 0x7F or stop > end or stop - position > self.max_packet_bytes:  # most are short, and whole
                body, stop = self._frame(data, position, end)
                if stop > end:
                    return
            kind = first >> 4
            if kind == 3:
                packets.append(read_publish(data, first, body, stop, version, self._types is _TO_SERVER))
            elif kind == 4 and stop - body == 2 and first == 0x40:
                packet_id = data[body] << 8 | data[body + 1]
                if not packet_id:  # [MQTT-2.2.1-3]
                    raise PacketRefused(PROTOCOL_ERROR, "PUBACK has packet identifier 0")
                packets.append(Ack(4, packet_id))
            else:
                packets.append(self._other(kind, first & 15, Cursor(data, body, stop, strict=version == V5)))
            position = stop

    def _frame(self, data: bytes, position: int, end: int) -> tuple[int, int]:
        """``(where the body begins, where it ends)`` of the packet at ``position``. It is kept when it is not whole."""
        length = shift = 0
        at = position + 1
        while at < end:
            byte = data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                if self.version == V5 and shift and not byte:  # [MQTT-1.5.5-1]
                    raise PacketRefused(MALFORMED_PACKET, "the remaining length is longer than it need be")
                stop = at + length
                if stop - position > self.max_packet_bytes:  # before anything of it is kept
                    limit = self.max_packet_bytes
                    raise PacketRefused(PACKET_TOO_LARGE, f"a packet of {stop - position} bytes; {limit} are allowed")
                if stop > end:
                    self._hold(data, position, stop - position)
                return at, stop
            shift += 7
            if shift > 21:
                raise PacketRefused(MALFORMED_PACKET, "the remaining length has more than four bytes")
        self._hold(data, position, end - position + 1)
        return at, end + 1

    def _hold(self, data: bytes, position: int, needed: int) -> None:
        self._held = bytearray(data[position:])
        self._needed = needed

    def _read_connect(self, data: bytes, first: int, end: int, packets: list[Packet]) -> int:
        """The version that the first packet names, or 0 as long as it is not whole."""
        if first != 0x10:  # [MQTT-3.1.0-1], [MQTT-2.1.3-1]
            raise PacketRefused(PROTOCOL_ERROR, "the first packet must be CONNECT")
        limit, self.max_packet_bytes = self.max_packet_bytes, min(self.max_packet_bytes, MAX_CONNECT_BYTES)
        try:
            body, stop = self._frame(data, 0, end)
        finally:
            self.max_packet_bytes = limit
        if stop > end:
            return 0
        connect = read_connect(Cursor(data, body, stop, strict=True))
        packets.append(connect)
        self.version = connect.version
        self._needed = stop
        return connect.version

    def _other(self, kind: int, flags: int, cursor: Cursor) -> Packet:
        if kind not in self._types or (kind == p.AUTH and not cursor.strict):
            raise PacketRefused(PROTOCOL_ERROR, f"{NAMES.get(kind, 'packet type 0')} cannot be sent to this side")
        if kind == p.CONNECT:  # [MQTT-3.1.0-2], [MQTT-3.2.0-2]
            raise PacketRefused(PROTOCOL_ERROR, "a second CONNECT")
        if self.version == V31:
            flags &= 7  # 3.1 §2.1: a repeated SUBSCRIBE, UNSUBSCRIBE or PUBREL is marked with DUP
        if flags != _FLAGS.get(kind, 0):
            # [MQTT-2.1.3-1], [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1], [MQTT-3.14.1-1], [MQTT-3.15.1-1]
            raise PacketRefused(MALFORMED_PACKET, f"{NAMES[kind]} has flags {flags}")
        packet = _READERS[kind](cursor, kind)
        if cursor.position != cursor.stop:
            raise PacketRefused(MALFORMED_PACKET, f"{NAMES[kind]} is longer than its fields")
        if kind == p.DISCONNECT and self._types is _TO_SERVER:
            assert isinstance(packet, Disconnect)
            if packet.reason not in _CLIENT_DISCONNECT_REASONS:  # [MQTT-3.14.2-1]
                raise PacketRefused(PROTOCOL_ERROR, f"DISCONNECT cannot have reason 0x{packet.reason:02x}")
            if p.SERVER_REFERENCE in packet.properties:
                raise PacketRefused(PROTOCOL_ERROR, "only a server may name another server")
        return packet


def read_publish(data: bytes, first: int, body: int, stop: int, version: int, from_client: bool) -> Publish:
    """PUBLISH with its body at ``data[body:stop]`` (§3.3).

    Raises:
        PacketRefused: it breaks the standard.
    """
    at = body + 2
    if at > stop:  # [MQTT-3.3.2-1]
        raise PacketRefused(MALFORMED_PACKET, "PUBLISH ends within its topic")
    rest = at + (data[body] << 8 | data[body + 1])
    if rest > stop:
        raise PacketRefused(MALFORMED_PACKET, "PUBLISH ends within its topic")
    raw = data[at:rest]
    topic = _topics.get(raw)
    if topic is None:
        topic = _checked_topic(raw)
    qos = first >> 1 & 3
    packet_id = 0
    if qos:  # [MQTT-2.2.1-2]
        if qos == 3:  # [MQTT-3.3.1-4]
            raise PacketRefused(MALFORMED_PACKET, "PUBLISH has QoS 3")
        if rest + 2 > stop:
            raise PacketRefused(MALFORMED_PACKET, "PUBLISH ends within its packet identifier")
        packet_id = data[rest] << 8 | data[rest + 1]
        if not packet_id:  # [MQTT-2.2.1-3]
            raise PacketRefused(PROTOCOL_ERROR, "PUBLISH has packet identifier 0")
        rest += 2
    elif first & 8:  # [MQTT-3.3.1-2]
        raise PacketRefused(MALFORMED_PACKET, "PUBLISH with QoS 0 is marked as a duplicate")
    found = NO_PROPERTIES
    if version == V5:
        if rest < stop and not data[rest]:  # by far the most have none
            rest += 1
        else:
            cursor = Cursor(data, rest, stop, strict=True)
            found = cursor.properties(p.PUBLISH)
            rest = cursor.position
            _check_publish_properties(found, from_client=from_client)
    if not topic and p.TOPIC_ALIAS not in found:  # [MQTT-4.7.3-1], §3.3.2.1
        raise PacketRefused(PROTOCOL_ERROR, "PUBLISH has neither a topic nor an alias of one")
    return Publish(topic, data[rest:stop], qos, first & 1 == 1, first & 8 == 8, packet_id, found)


def checked_topic_name(topic: str) -> str:
    """The topic name itself.

    Raises:
        PacketRefused: with a wildcard.
    """
    if "#" in topic or "+" in topic:  # [MQTT-3.3.2-2], [MQTT-4.7.0-1]
        raise PacketRefused(TOPIC_NAME_INVALID, "a topic name cannot hold the wildcards # and +")
    return topic


def _checked_topic(raw: bytes) -> str:
    topic = checked_topic_name(checked_text(raw))
    if len(raw) <= MAX_CACHED_TOPIC_BYTES:
        if len(_topics) >= MAX_CACHED_TOPICS:
            _topics.clear()
        _topics[raw] = topic
    return topic


def _check_publish_properties(found: p.Properties, *, from_client: bool) -> None:
    if found.get(p.TOPIC_ALIAS) == 0:  # [MQTT-3.3.2-8]
        raise PacketRefused(TOPIC_ALIAS_INVALID, "topic alias 0")
    if from_client and p.SUBSCRIPTION_IDENTIFIER in found:  # [MQTT-3.3.4-6]
        raise PacketRefused(PROTOCOL_ERROR, "a client's PUBLISH cannot hold a subscription identifier")
    response_topic = found.get(p.RESPONSE_TOPIC)
    if response_topic is not None:
        if not response_topic:
            raise PacketRefused(PROTOCOL_ERROR, "an empty response topic")
        checked_topic_name(response_topic)  # [MQTT-3.3.2-14]


def _read_ack(cursor: Cursor, kind: int) -> Ack:
    packet_id = cursor.two()
    if not packet_id:  # [MQTT-2.2.1-3]
        raise PacketRefused(PROTOCOL_ERROR, f"{NAMES[kind]} has packet identifier 0")
    reason, found = _read_reason(cursor, kind)
    return Ack(kind, packet_id, reason, found)


def _read_reason(cursor: Cursor, kind: int) -> tuple[int, p.Properties]:
    """Reason and properties, which 5.0 may leave out where there is nothing to say (§3.4.2.1)."""
    if not cursor.strict or cursor.position == cursor.stop:
        return 0, NO_PROPERTIES
    reason = cursor.byte()
    allowed = _REASONS.get(kind)
    if allowed is not None and reason not in allowed:  # [MQTT-3.4.2-1] and its like for the others
        raise PacketRefused(PROTOCOL_ERROR, f"{NAMES[kind]} cannot have reason 0x{reason:02x}")
    return reason, NO_PROPERTIES if cursor.position == cursor.stop else cursor.properties(kind)


def _read_connack(cursor: Cursor, kind: int) -> ConnAck:
    flags = cursor.byte()
    if flags > 1:  # [MQTT-3.2.2-1]
        raise PacketRefused(MALFORMED_PACKET, "CONNACK has unknown flags")
    reason = cursor.byte()
    return ConnAck(bool(flags), reason, cursor.properties(kind) if cursor.strict else NO_PROPERTIES)


def _read_suback(cursor: Cursor, kind: int) -> SubAck | UnsubAck:
    packet_id = cursor.two()
    found = cursor.properties(kind) if cursor.strict else NO_PROPERTIES
    reasons = list(cursor.data[cursor.position : cursor.stop])
    cursor.position = cursor.stop
    return SubAck(packet_id, reasons, found) if kind == p.SUBACK else UnsubAck(packet_id, reasons, found)


def _read_disconnect(cursor: Cursor, kind: int) -> Disconnect:
    return Disconnect(*_read_reason(cursor, kind))


def _read_auth(cursor: Cursor, kind: int) -> Auth:
    return Auth(*_read_reason(cursor, kind))


_READERS: dict[int, Callable[[Cursor, int], Packet]] = {
    p.CONNACK: _read_connack,
    p.PUBACK: _read_ack,
    p.PUBREC: _read_ack,
    p.PUBREL: _read_ack,
    p.PUBCOMP: _read_ack,
    p.SUBSCRIBE: read_subscribe,
    p.SUBACK: _read_suback,
    p.UNSUBSCRIBE: read_unsubscribe,
    p.UNSUBACK: _read_suback,
    p.PINGREQ: lambda cursor, kind: PINGREQ_PACKET,
    p.PINGRESP: lambda cursor, kind: PINGRESP_PACKET,
    p.DISCONNECT: _read_disconnect,
    p.AUTH: _read_auth,
}
