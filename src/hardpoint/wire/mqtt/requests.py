"""CONNECT, SUBSCRIBE and UNSUBSCRIBE: the packets in which a client says what it wants."""

from __future__ import annotations

from collections.abc import Sized

from . import properties as p
from .packets import Connect, Filter, Subscribe, Unsubscribe, Will
from .properties import NO_PROPERTIES, Cursor
from .reasons import (
    MALFORMED_PACKET,
    PROTOCOL_ERROR,
    QUOTA_EXCEEDED,
    TOPIC_NAME_INVALID,
    UNSUPPORTED_VERSION,
    V5,
    V31,
    PacketRefused,
)

MAX_FILTERS = 4_096
"""Of one SUBSCRIBE or UNSUBSCRIBE: a packet of 1 MiB could hold 260,000, and the broker would be at them for seconds.
Clients send a few; AWS IoT takes 8.
"""

_PROTOCOL_NAMES = {3: "MQIsdp", 4: "MQTT", 5: "MQTT"}


def read_connect(cursor: Cursor) -> Connect:
    """CONNECT (§3.1).

    Raises:
        PacketRefused: it breaks the standard, or is of a version that is not spoken here.
    """
    name = cursor.string()
    if name not in ("MQTT", "MQIsdp"):  # [MQTT-3.1.2-1]
        raise PacketRefused(UNSUPPORTED_VERSION, "CONNECT names another protocol than MQTT")
    version = cursor.byte()
    if _PROTOCOL_NAMES.get(version) != name:  # [MQTT-3.1.2-2]
        raise PacketRefused(UNSUPPORTED_VERSION, f"protocol level {version} is not spoken here; 3, 4 and 5 are")
    cursor.strict = version == V5
    flags = cursor.byte()
    if flags & 1:  # [MQTT-3.1.2-3]
        raise PacketRefused(MALFORMED_PACKET, "CONNECT's reserved flag is set")
    has_will, will_qos, will_retain = flags & 4, flags >> 3 & 3, bool(flags & 32)
    if will_qos == 3 or (not has_will and (will_qos or will_retain)):  # [MQTT-3.1.2-11], -12, -13
        raise PacketRefused(MALFORMED_PACKET, "CONNECT's will flags contradict each other")
    has_username, has_password = flags & 128, flags & 64
    if has_password and not has_username and version != V5:  # [MQTT3-3.1.2-22]
        raise PacketRefused(MALFORMED_PACKET, "CONNECT has a password without a user name")
    keep_alive_s = cursor.two()
    found = _connect_properties(cursor) if version == V5 else NO_PROPERTIES
    client_id = cursor.string()  # [MQTT-3.1.3-1], -3, -4, -11, -12: in this order, each as text
    will = _read_will(cursor, version, will_qos, retain=will_retain) if has_will else None  # [MQTT-3.1.2-9]
    username: str | None = None
    password: bytes | None = None
    # [MQTT-3.1.2-16], -17, -18, -19: they are there if they are flagged, and nothing else is
    if has_username and not _left_out(cursor, version):
        username = cursor.string()
    if has_password and not _left_out(cursor, version):
        password = cursor.binary()
    if cursor.position != cursor.stop:
        raise PacketRefused(MALFORMED_PACKET, "CONNECT is longer than its fields")
    return Connect(version, client_id, bool(flags & 2), keep_alive_s, will, username, password, found)


def _left_out(cursor: Cursor, version: int) -> bool:
    """Whether a field is missing although it is flagged, as MQTT 3.1 §3.1 allows."""
    return version == V31 and cursor.position == cursor.stop


def _connect_properties(cursor: Cursor) -> p.Properties:
    found = cursor.properties(p.CONNECT)
    if p.AUTHENTICATION_DATA in found and p.AUTHENTICATION_METHOD not in found:  # §3.1.2.11.10
        raise PacketRefused(PROTOCOL_ERROR, "authentication data without a method")
    return found


def _read_will(cursor: Cursor, version: int, qos: int, *, retain: bool) -> Will:
    found = cursor.properties(p.WILL) if version == V5 else NO_PROPERTIES
    topic = cursor.string()
    if not topic or "#" in topic or "+" in topic:  # [MQTT-4.7.3-1], [MQTT-3.3.2-2]
        raise PacketRefused(TOPIC_NAME_INVALID, "the will's topic is empty or holds a wildcard")
    return Will(topic, cursor.binary(), qos, retain, found)


def read_subscribe(cursor: Cursor, kind: int) -> Subscribe:
    """SUBSCRIBE (§3.8). Whether a filter can be used is the broker's to say, of each by itself.

    Raises:
        PacketRefused: it breaks the standard.
    """
    packet_id, found = _request_head(cursor, kind)
    filters: list[Filter] = []
    while cursor.position < cursor.stop:
        topic_filter = cursor.string()  # [MQTT-3.8.3-1]
        options = cursor.byte()
        qos, handling = options & 3, options >> 4 & 3
        reserved = options & (0xC0 if cursor.strict else 0xFC)
        if qos == 3 or reserved:  # [MQTT-3.8.3-5], [MQTT3-3-8.3-4]
            raise PacketRefused(MALFORMED_PACKET, f"subscription options 0x{options:02x}")
        if handling == 3:  # §3.8.3.1
            raise PacketRefused(PROTOCOL_ERROR, "retain handling 3")
        _check_room(filters)
        filters.append(Filter(topic_filter, qos, bool(options & 4), bool(options & 8), handling))
    if not filters:  # [MQTT-3.8.3-2]
        raise PacketRefused(PROTOCOL_ERROR, "SUBSCRIBE without a filter")
    return Subscribe(packet_id, filters, found)


def read_unsubscribe(cursor: Cursor, kind: int) -> Unsubscribe:
    """UNSUBSCRIBE (§3.10).

    Raises:
        PacketRefused: it breaks the standard.
    """
    packet_id, found = _request_head(cursor, kind)
    filters: list[str] = []
    while cursor.position < cursor.stop:
        _check_room(filters)
        filters.append(cursor.string())  # [MQTT-3.10.3-1]
    if not filters:  # [MQTT-3.10.3-2]
        raise PacketRefused(PROTOCOL_ERROR, "UNSUBSCRIBE without a filter")
    return Unsubscribe(packet_id, filters, found)


def _check_room(filters: Sized) -> None:
    if len(filters) >= MAX_FILTERS:
        raise PacketRefused(QUOTA_EXCEEDED, f"a packet may hold {MAX_FILTERS} topic filters")


def _request_head(cursor: Cursor, kind: int) -> tuple[int, p.Properties]:
    packet_id = cursor.two()
    if not packet_id:  # [MQTT-2.2.1-3]
        raise PacketRefused(PROTOCOL_ERROR, "a request has packet identifier 0")
    return packet_id, cursor.properties(kind) if cursor.strict else NO_PROPERTIES
