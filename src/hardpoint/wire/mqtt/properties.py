"""Properties (MQTT 5.0 §2.2.2): a dict from identifier to value, decoded and encoded by one table.

``USER_PROPERTY`` is a list of ``(name, value)`` and ``SUBSCRIPTION_IDENTIFIER`` one of integers: they may be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from .reasons import MALFORMED_PACKET, PROTOCOL_ERROR, PacketRefused

Properties: TypeAlias = Mapping[int, Any]


class _None(dict[int, Any]):
    """An empty dict that can be a dataclass's default, which must have a hash."""

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]


NO_PROPERTIES: Properties = _None()
"""Shared by every packet that has none; never changed."""

PAYLOAD_FORMAT_INDICATOR = 0x01
MESSAGE_EXPIRY_INTERVAL = 0x02
CONTENT_TYPE = 0x03
RESPONSE_TOPIC = 0x08
CORRELATION_DATA = 0x09
SUBSCRIPTION_IDENTIFIER = 0x0B
SESSION_EXPIRY_INTERVAL = 0x11
ASSIGNED_CLIENT_IDENTIFIER = 0x12
SERVER_KEEP_ALIVE = 0x13
AUTHENTICATION_METHOD = 0x15
AUTHENTICATION_DATA = 0x16
REQUEST_PROBLEM_INFORMATION = 0x17
WILL_DELAY_INTERVAL = 0x18
REQUEST_RESPONSE_INFORMATION = 0x19
RESPONSE_INFORMATION = 0x1A
SERVER_REFERENCE = 0x1C
REASON_STRING = 0x1F
RECEIVE_MAXIMUM = 0x21
TOPIC_ALIAS_MAXIMUM = 0x22
TOPIC_ALIAS = 0x23
MAXIMUM_QOS = 0x24
RETAIN_AVAILABLE = 0x25
USER_PROPERTY = 0x26
MAXIMUM_PACKET_SIZE = 0x27
WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28
SUBSCRIPTION_IDENTIFIER_AVAILABLE = 0x29
SHARED_SUBSCRIPTION_AVAILABLE = 0x2A

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(8, 16)
WILL = 0
"""Packet types (§2.1.2), as places where a property may stand; the will's own properties are a place as well."""

_ACKS = frozenset({PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK})


class _Kind(NamedTuple):
    type: str
    """``byte``, ``flag`` (a byte of 0 or 1), ``two``, ``four``, ``varint``, ``string``, ``binary`` or ``pair``."""
    places: frozenset[int]
    minimum: int = 0


def _kind(type_: str, *places: int, minimum: int = 0) -> _Kind:
    return _Kind(type_, frozenset(places), minimum)


KINDS: dict[int, _Kind] = {
    PAYLOAD_FORMAT_INDICATOR: _kind("flag", PUBLISH, WILL),
    MESSAGE_EXPIRY_INTERVAL: _kind("four", PUBLISH, WILL),
    CONTENT_TYPE: _kind("string", PUBLISH, WILL),
    RESPONSE_TOPIC: _kind("string", PUBLISH, WILL),
    CORRELATION_DATA: _kind("binary", PUBLISH, WILL),
    SUBSCRIPTION_IDENTIFIER: _kind("varint", PUBLISH, SUBSCRIBE, minimum=1),  # 0 is a protocol error (§3.8.2.1.2)
    SESSION_EXPIRY_INTERVAL: _kind("four", CONNECT, CONNACK, DISCONNECT),
    ASSIGNED_CLIENT_IDENTIFIER: _kind("string", CONNACK),
    SERVER_KEEP_ALIVE: _kind("two", CONNACK),
    AUTHENTICATION_METHOD: _kind("string", CONNECT, CONNACK, AUTH),
    AUTHENTICATION_DATA: _kind("binary", CONNECT, CONNACK, AUTH),
    REQUEST_PROBLEM_INFORMATION: _kind("flag", CONNECT),
    WILL_DELAY_INTERVAL: _kind("four", WILL),
    REQUEST_RESPONSE_INFORMATION: _kind("flag", CONNECT),
    RESPONSE_INFORMATION: _kind("string", CONNACK),
    SERVER_REFERENCE: _kind("string", CONNACK, DISCONNECT),
    REASON_STRING: _kind("string", CONNACK, DISCONNECT, AUTH, *_ACKS),
    RECEIVE_MAXIMUM: _kind("two", CONNECT, CONNACK, minimum=1),
    TOPIC_ALIAS_MAXIMUM: _kind("two", CONNECT, CONNACK),
    TOPIC_ALIAS: _kind("two", PUBLISH),  # 0 has a reason code of its own: the decoder looks ([MQTT-3.3.2-8])
    MAXIMUM_QOS: _kind("flag", CONNACK),
    RETAIN_AVAILABLE: _kind("flag", CONNACK),
    USER_PROPERTY: _kind("pair", CONNECT, CONNACK, PUBLISH, WILL, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, AUTH, *_ACKS),
    MAXIMUM_PACKET_SIZE: _kind("four", CONNECT, CONNACK, minimum=1),
    WILDCARD_SUBSCRIPTION_AVAILABLE: _kind("flag", CONNACK),
    SUBSCRIPTION_IDENTIFIER_AVAILABLE: _kind("flag", CONNACK),
    SHARED_SUBSCRIPTION_AVAILABLE: _kind("flag", CONNACK),
}

MAX_VARINT = 268_435_455
"""Four bytes of seven bits (§1.5.5)."""


class Cursor:
    """Reads the fields of one packet from ``position`` to ``stop``; passing the end is a malformed packet."""

    __slots__ = ("data", "position", "stop", "strict")

    def __init__(self, data: bytes, position: int, stop: int, *, strict: bool) -> None:
        """``strict`` is MQTT 5.0, where a variable byte integer has one encoding only."""
        self.data = data
        self.position = position
        self.stop = stop
        self.strict = strict

    def _take(self, count: int) -> int:
        """Where the next ``count`` bytes begin.

        Raises:
            PacketRefused: the packet ends before them.
        """
        begin = self.position
        if begin + count > self.stop:
            raise PacketRefused(MALFORMED_PACKET, "the packet ends within a field")
        self.position = begin + count
        return begin

    def byte(self) -> int:
        """One byte."""
        return self.data[self._take(1)]

    def two(self) -> int:
        """A two byte integer (§1.5.2)."""
        at = self._take(2)
        return self.data[at] << 8 | self.data[at + 1]

    def four(self) -> int:
        """A four byte integer (§1.5.3)."""
        at = self._take(4)
        return int.from_bytes(self.data[at : at + 4], "big")

    def varint(self) -> int:
        """A variable byte integer (§1.5.5).

        Raises:
            PacketRefused: longer than four bytes, or than needed.
        """
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if self.strict and shift and not byte:  # [MQTT-1.5.5-1]
                    raise PacketRefused(MALFORMED_PACKET, "a variable byte integer is longer than it need be")
                return value
            shift += 7
            if shift > 21:
                raise PacketRefused(MALFORMED_PACKET, "a variable byte integer has more than four bytes")

    def binary(self) -> bytes:
        """Binary data behind its length (§1.5.6)."""
        length = self.two()
        at = self._take(length)
        return self.data[at : at + length]

    def string(self) -> str:
        """UTF-8 text behind its length (§1.5.4, [MQTT-3.3.2-13], -19)."""
        return checked_text(self.binary())

    def properties(self, place: int) -> Properties:
        """The properties of a packet of that type.

        Raises:
            PacketRefused: one that is unknown, stands here although it must not, is repeated, or has no such value.
        """
        length = self.varint()
        end = self._take(length) + length
        if not length:
            return NO_PROPERTIES
        self.position = end - length
        whole, self.stop = self.stop, end
        found: dict[int, Any] = {}
        while self.position < end:
            identifier = self.varint()
            kind = KINDS.get(identifier)
            if kind is None or place not in kind.places:  # §2.2.2.2
                raise PacketRefused(MALFORMED_PACKET, f"property 0x{identifier:02x} does not belong in this packet")
            value = self._value(kind, identifier)
            if identifier == USER_PROPERTY or (identifier == SUBSCRIPTION_IDENTIFIER and place == PUBLISH):
                found.setdefault(identifier, []).append(value)
            elif identifier in found:
                raise PacketRefused(PROTOCOL_ERROR, f"property 0x{identifier:02x} is repeated")
            else:
                found[identifier] = [value] if identifier == SUBSCRIPTION_IDENTIFIER else value
        self.stop = whole
        return found

    def _value(self, kind: _Kind, identifier: int) -> Any:
        if kind.type == "pair":
            return self.string(), self.string()  # [MQTT-1.5.7-1]
        value = getattr(self, "byte" if kind.type == "flag" else kind.type)()
        if isinstance(value, int) and (value < kind.minimum or (kind.type == "flag" and value > 1)):
            raise PacketRefused(PROTOCOL_ERROR, f"property 0x{identifier:02x} cannot be {value}")
        return value


def checked_text(data: bytes) -> str:
    """The text of a UTF-8 string.

    Raises:
        PacketRefused: not UTF-8 (surrogates are not), or with U+0000.
    """
    try:
        text = data.decode()  # [MQTT-1.5.4-3]: a byte order mark stays
    except UnicodeDecodeError:
        raise PacketRefused(MALFORMED_PACKET, "a string is not UTF-8") from None  # [MQTT-1.5.4-1]
    if "\0" in text:
        raise PacketRefused(MALFORMED_PACKET, "a string holds U+0000")  # [MQTT-1.5.4-2], [MQTT-4.7.3-2]
    return text


def encode_varint(value: int) -> bytes:
    """A variable byte integer, as short as it can be ([MQTT-1.5.5-1])."""
    if value < 128:
        return bytes((value,))
    parts = bytearray()
    while value > 127:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def encode_binary(data: bytes) -> bytes:
    """Bytes behind their length of two bytes.

    Raises:
        ValueError: longer than 65,535 bytes.
    """
    if len(data) > 0xFFFF:
        raise ValueError("a field of a packet has at most 65535 bytes")  # [MQTT-4.7.3-3]
    return len(data).to_bytes(2, "big") + data


def encode_string(text: str) -> bytes:
    """UTF-8 behind its length.

    Raises:
        ValueError: longer than 65,535 bytes, or not encodable.
    """
    return encode_binary(text.encode())


def encode_properties(properties: Properties) -> bytes:
    """Length and properties, in the order of the mapping; one zero byte for none ([MQTT-2.2.2-1])."""
    if not properties:
        return b"\0"
    parts: list[bytes] = []
    for identifier, value in properties.items():
        kind = KINDS[identifier].type
        head = bytes((identifier,))
        if kind == "pair":
            parts += [head + encode_string(name) + encode_string(text) for name, text in value]
        elif kind == "varint":
            parts += [head + encode_varint(number) for number in value]
        elif kind == "string":
            parts.append(head + encode_string(value))
        elif kind == "binary":
            parts.append(head + encode_binary(value))
        else:
            width = {"two": 2, "four": 4}.get(kind, 1)
            parts.append(head + int(value).to_bytes(width, "big"))
    body = b"".join(parts)
    return encode_varint(len(body)) + body
