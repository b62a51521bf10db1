"""Packets as frames of the wire tap: ``PUBLISH qos=1 retain=0 <topic>`` and a payload, others by name and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...hub.broker.access import PROVISION_REQUEST
from ...hub.tap import MASK, MAX_BODY_CHARS, Frame
from ...wire.corrections import corrected_telemetry
from ...wire.mqtt.decoder import PacketDecoder
from ...wire.mqtt.packets import (
    NAMES,
    Ack,
    Auth,
    ConnAck,
    Connect,
    Disconnect,
    Ping,
    Publish,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
)
from ...wire.mqtt.properties import AUTH, CONNACK, CONNECT, DISCONNECT, SUBACK, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE
from ..provision_frames import shown_request

if TYPE_CHECKING:
    from ...wire.mqtt.packets import Packet
    from .connection import MqttConnection

MAX_PACKET_BYTES = 268_435_455
"""What the standard allows (§1.5.5): our own packets are within it."""


def packet_frame(connection: MqttConnection, way: str, packet: Packet | None) -> Frame:
    """The frame of one packet; None: of bytes that are none."""
    body, binary = "", False
    if isinstance(packet, Publish) and packet.topic == PROVISION_REQUEST:
        body = shown_request(packet.payload)
    elif isinstance(packet, Publish):
        most = 4 * MAX_BODY_CHARS
        try:
            whole = "strict" if len(packet.payload) <= most else "ignore"
            body = packet.payload[: most + 4].decode(errors=whole)
        except UnicodeDecodeError:
            body, binary = packet.payload[: MAX_BODY_CHARS // 2 + 1].hex(), True
    head = "no packet" if packet is None else describe(packet)
    telemetry = isinstance(packet, Publish) and packet.topic.endswith("/telemetry")
    correct = corrected_telemetry if telemetry else None
    return Frame(connection.dialect, way, body, head=head, peer=connection.peer, binary=binary, correct=correct)


def sent_packets(version: int, data: bytes) -> list[Packet]:
    """What the server has encoded, decoded again: it is looked at only while somebody listens."""
    return PacketDecoder(max_packet_bytes=MAX_PACKET_BYTES, version=version).receive(data)


def describe(packet: Packet) -> str:
    """A packet's name and what matters of it, without payload and password."""
    match packet:
        case Publish(topic, _, qos, retain, dup, packet_id):
            more = f" id={packet_id}" if packet_id else ""
            return f"PUBLISH qos={qos} retain={int(retain)}{' dup' if dup else ''}{more} {topic}"
        case Connect():
            return _describe_connect(packet)
        case ConnAck(present, reason):
            return f"{NAMES[CONNACK]} reason=0x{reason:02x} session_present={int(present)}"
        case Ack(kind, packet_id, reason):
            return f"{NAMES[kind]} id={packet_id} reason=0x{reason:02x}"
        case Subscribe(packet_id, filters):
            return f"{NAMES[SUBSCRIBE]} id={packet_id} {' '.join(f'{each.filter}:{each.qos}' for each in filters)}"
        case Unsubscribe(packet_id, filters):
            return f"{NAMES[UNSUBSCRIBE]} id={packet_id} {' '.join(filters)}"
        case SubAck(packet_id, reasons):
            return f"{NAMES[SUBACK]} id={packet_id} reasons={_hex(reasons)}"
        case UnsubAck(packet_id, reasons):
            return f"{NAMES[UNSUBACK]} id={packet_id} reasons={_hex(reasons)}"
        case Ping(kind):
            return NAMES[kind]
        case Disconnect(reason):
            return f"{NAMES[DISCONNECT]} reason=0x{reason:02x}"
        case Auth(reason):
            return f"{NAMES[AUTH]} reason=0x{reason:02x}"


def _describe_connect(packet: Connect) -> str:
    """A user name may be a token, so it is shown only beside a password: there it is a device's id."""
    username = packet.username or ""
    shown = f" username={username if packet.password else MASK}" if username else ""
    password = f" password={MASK}" if packet.password else ""
    return (
        f"{NAMES[CONNECT]} version={packet.version} client_id={packet.client_id} keep_alive={packet.keep_alive_s}"
        f" clean={int(packet.clean_start)}{shown}{password}{' will=' + packet.will.topic if packet.will else ''}"
    )


def _hex(reasons: list[int]) -> str:
    return ",".join(f"0x{reason:02x}" for reason in reasons)
