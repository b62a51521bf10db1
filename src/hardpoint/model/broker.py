"""What is kept of MQTT clients: sessions, subscriptions, messages on their way, retained messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(slots=True)
class MqttSession:
    """What is kept of an MQTT client. ``key`` is whose it is and its client identifier; ``incoming`` the identifiers of
    messages of QoS 2 that it has not released; ``will`` MessagePack, empty for none.
    """

    KEY: ClassVar[tuple[str, ...]] = ("key",)

    key: str
    expiry_s: int
    ended_ms: int | None
    """When its connection ended; None: it was connected."""
    incoming: list[int] = field(default_factory=list)
    will: bytes = b""


@dataclass(slots=True)
class MqttSubscription:
    """One topic filter of a session. ``options`` are the bits of SUBSCRIBE; ``identifier`` 0 is none."""

    KEY: ClassVar[tuple[str, ...]] = ("key", "filter")

    key: str
    filter: str
    options: int
    identifier: int


@dataclass(slots=True)
class MqttMessage:
    """One message on its way to a session. ``state`` and ``packet_id`` are those of the exchange that was begun."""

    KEY: ClassVar[tuple[str, ...]] = ("key", "seq")

    key: str
    seq: int
    topic: str
    payload: bytes
    properties: bytes
    qos: int
    retain: int
    expires_ms: int | None
    identifiers: list[int]
    state: int
    packet_id: int


@dataclass(slots=True)
class MqttRetained:
    """The retained message of a topic. ``properties`` is MessagePack."""

    KEY: ClassVar[tuple[str, ...]] = ("topic",)

    topic: str
    payload: bytes
    properties: bytes
    qos: int
    expires_ms: int | None
