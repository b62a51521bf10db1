"""Packets → bytes. `encode_publish` and `encode_ack` are the hot ones; `encode` takes any packet."""

from __future__ import annotations

from struct import Struct

from . import properties as p
from .packets import Ack, Auth, ConnAck, Connect, Disconnect, Packet, Ping, Publish, SubAck, Subscribe, UnsubAck
from .properties import NO_PROPERTIES, Properties, encode_binary, encode_properties, encode_string, encode_varint
from .reasons import FAILURE, V5, V31, connack_code

PINGREQ = b"\xc0\x00"
PINGRESP = b"\xd0\x00"

_ACK = Struct(">BBH")
_ACK_WITH_REASON = Struct(">BBHB")
_ACK_HEADS = {p.PUBACK: 0x40, p.PUBREC: 0x50, p.PUBREL: 0x62, p.PUBCOMP: 0x70}


def encode_publish(
    version: int,
    topic: str,
    payload: bytes,
    *,
    qos: int = 0,
    retain: bool = False,
    dup: bool = False,
    packet_id: int = 0,
    properties: Properties = NO_PROPERTIES,
) -> bytes:
    """PUBLISH (§3.3). The payload is copied once.

    Raises:
        ValueError: the topic is longer than 65,535 bytes.
    """
    name = topic.encode()
    head = 0x30 | qos << 1
    if retain:
        head |= 1
    if dup:
        head |= 8
    fields = b""
    if qos:  # [MQTT-2.2.1-2]
        fields = packet_id.to_bytes(2, "big")
    if version == V5:
        fields += b"\0" if not properties else encode_properties(properties)
    size = len(name)
    if size > 0xFFFF:
        raise ValueError("a topic has at most 65535 bytes")
    length = 2 + size + len(fields) + len(payload)
    if length < 128:
        start = bytes((head, length, size >> 8, size & 255))
    else:
        start = bytes((head,)) + encode_varint(length) + size.to_bytes(2, "big")
    return b"".join((start, name, fields, payload))


def encode_ack(
    version: int, kind: int, packet_id: int, reason: int = 0, properties: Properties = NO_PROPERTIES
) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP (§3.4 to §3.7, [MQTT-2.2.1-5]); 3.1 and 3.1.1 have no reason to give."""
    head = _ACK_HEADS[kind]
    if version != V5 or not (reason or properties):
        return _ACK.pack(head, 2, packet_id)
    if not properties:
        return _ACK_WITH_REASON.pack(head, 3, packet_id, reason)
    return _framed(head, packet_id.to_bytes(2, "big") + bytes((reason,)) + encode_properties(properties))


def encode(packet: Packet, version: int) -> bytes:
    """Any packet in that version's form.

    Raises:
        ValueError: a field is too long, or the version has no such packet.
    """
    match packet:
        case Publish():
            return _publish(packet, version)
        case Ack(kind, packet_id, reason, properties):
            return encode_ack(version, kind, packet_id, reason, properties)
        case Ping(kind):
            return PINGREQ if kind == p.PINGREQ else PINGRESP
        case Connect():
            return _connect(packet)
        case Subscribe():
            return _subscribe(packet, version)
        case ConnAck(session_present, reason, properties):
            code = reason if version == V5 else connack_code(reason)
            # 3.1 has no such flag: the byte is reserved.
            flags = int(session_present and version != V31)
            return _framed(0x20, bytes((flags, code)) + _v5(version, properties))
        case SubAck(packet_id, reasons, properties):
            if version != V5:
                reasons = [min(FAILURE, reason) for reason in reasons]  # [MQTT3-3.9.3-2]
            return _framed(0x90, packet_id.to_bytes(2, "big") + _v5(version, properties) + bytes(reasons))
        case UnsubAck(packet_id, reasons, properties):
            body = packet_id.to_bytes(2, "big")
            return _framed(0xB0, body + _v5(version, properties) + bytes(reasons) if version == V5 else body)
        case Disconnect(reason, properties):
            return _framed(0xE0, _reason(version, reason, properties))
        case Auth(reason, properties):
            if version != V5:
                raise ValueError("AUTH is of MQTT 5.0")
            return _framed(0xF0, _reason(version, reason, properties))
    body = packet.packet_id.to_bytes(2, "big") + _v5(version, packet.properties)
    return _framed(0xA2, body + b"".join(map(encode_string, packet.filters)))


def _publish(packet: Publish, version: int) -> bytes:
    return encode_publish(
        version,
        packet.topic,
        packet.payload,
        qos=packet.qos,
        retain=packet.retain,
        dup=packet.dup,
        packet_id=packet.packet_id,
        properties=packet.properties,
    )


def _subscribe(packet: Subscribe, version: int) -> bytes:
    body = packet.packet_id.to_bytes(2, "big") + _v5(version, packet.properties)
    for each in packet.filters:
        options = each.qos
        if version == V5:
            options |= each.no_local << 2 | each.retain_as_published << 3 | each.retain_handling << 4
        body += encode_string(each.filter) + bytes((options,))
    return _framed(0x82, body)


def _connect(packet: Connect) -> bytes:
    version, will = packet.version, packet.will
    flags = packet.clean_start << 1
    name = encode_string("MQIsdp" if version == V31 else "MQTT")
    body = _v5(version, packet.properties) + encode_string(packet.client_id)
    if will is not None:
        flags |= 4 | will.qos << 3 | will.retain << 5
        body += _v5(version, will.properties) + encode_string(will.topic) + encode_binary(will.payload)
    if packet.username is not None:
        flags |= 128
        body += encode_string(packet.username)
    if packet.password is not None:
        flags |= 64
        body += encode_binary(packet.password)
    return _framed(0x10, name + bytes((version, flags)) + packet.keep_alive_s.to_bytes(2, "big") + body)


def _v5(version: int, properties: Properties) -> bytes:
    return encode_properties(properties) if version == V5 else b""


def _reason(version: int, reason: int, properties: Properties) -> bytes:
    if version != V5 or not (reason or properties):
        return b""
    return bytes((reason,)) + (encode_properties(properties) if properties else b"")


def _framed(head: int, body: bytes) -> bytes:
    return bytes((head,)) + encode_varint(len(body)) + body
