"""The packets: plain classes, the same for all versions; what a version does not have keeps its default.

They are msgspec's structs for the time that making dataclasses takes: 0.5 ms each, at the start of the server.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct, field

from .properties import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    NO_PROPERTIES,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    Properties,
)

NAMES = {
    CONNECT: "CONNECT",
    CONNACK: "CONNACK",
    PUBLISH: "PUBLISH",
    PUBACK: "PUBACK",
    PUBREC: "PUBREC",
    PUBREL: "PUBREL",
    PUBCOMP: "PUBCOMP",
    SUBSCRIBE: "SUBSCRIBE",
    SUBACK: "SUBACK",
    UNSUBSCRIBE: "UNSUBSCRIBE",
    UNSUBACK: "UNSUBACK",
    PINGREQ: "PINGREQ",
    PINGRESP: "PINGRESP",
    DISCONNECT: "DISCONNECT",
    AUTH: "AUTH",
}
"""Packet type → the standard's name."""


class Will(Struct):
    """What is published for a client that goes away without a word (§3.1.2.5)."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES


class Connect(Struct):
    """CONNECT. ``clean_start`` is Clean Session in 3.1 and 3.1.1."""

    version: int
    client_id: str
    clean_start: bool = True
    keep_alive_s: int = 0
    will: Will | None = None
    username: str | None = None
    password: bytes | None = None
    properties: Properties = NO_PROPERTIES


class ConnAck(Struct):
    """CONNACK. ``reason`` is a reason code of 5.0, whatever the version; decoded from 3.1.1 it is the return code."""

    session_present: bool
    reason: int
    properties: Properties = NO_PROPERTIES


class Publish(Struct):
    """PUBLISH. ``packet_id`` is 0 at QoS 0."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0
    properties: Properties = NO_PROPERTIES


class Ack(Struct):
    """PUBACK, PUBREC, PUBREL or PUBCOMP, by ``kind``."""

    kind: int
    packet_id: int
    reason: int = 0
    properties: Properties = NO_PROPERTIES


class Filter(Struct):
    """One topic filter of SUBSCRIBE and its options (§3.8.3.1)."""

    filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


class Subscribe(Struct):
    """SUBSCRIBE."""

    packet_id: int
    filters: list[Filter] = field(default_factory=list)
    properties: Properties = NO_PROPERTIES


class SubAck(Struct):
    """SUBACK: a reason for each filter, in their order."""

    packet_id: int
    reasons: list[int] = field(default_factory=list)
    properties: Properties = NO_PROPERTIES


class Unsubscribe(Struct):
    """UNSUBSCRIBE."""

    packet_id: int
    filters: list[str] = field(default_factory=list)
    properties: Properties = NO_PROPERTIES


class UnsubAck(Struct):
    """UNSUBACK; the reasons are sent in 5.0 only."""

    packet_id: int
    reasons: list[int] = field(default_factory=list)
    properties: Properties = NO_PROPERTIES


class Ping(Struct):
    """PINGREQ or PINGRESP, by ``kind``."""

    kind: int


class Disconnect(Struct):
    """DISCONNECT; a server sends it in 5.0 only."""

    reason: int = 0
    properties: Properties = NO_PROPERTIES


class Auth(Struct):
    """AUTH (5.0 only)."""

    reason: int = 0
    properties: Properties = NO_PROPERTIES


Packet: TypeAlias = (
    Connect | ConnAck | Publish | Ack | Subscribe | SubAck | Unsubscribe | UnsubAck | Ping | Disconnect | Auth
)
