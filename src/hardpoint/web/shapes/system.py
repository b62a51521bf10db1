"""Health."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct


class Listener(Struct):
    """A door, where it really is, and how many are in."""

    url: str
    port: int | None
    connections: int


class ShownCertificate(Struct):
    """A certificate that listeners with TLS show. ``not_after`` is in ms; below 0 ``days_left`` it has ended."""

    names: list[str]
    fingerprint: str
    not_after: int
    days_left: int


class BridgeState(Struct):
    """The connection to another MQTT broker: ``error`` says why there is none, ``queued`` are messages that wait."""

    url: str
    connected: bool
    error: str
    queued: int


class Health(Struct):
    """Readiness with every part's state. Strangers are not shown Unix listeners, the bridge, nor the store's ``path``
    and ``free_bytes``.
    """

    status: Literal["ok", "degraded"]
    version: str
    uptime_s: float
    loop: str
    listeners: list[Listener]
    certificates: list[ShownCertificate]
    bridge: BridgeState | None
    store: dict[str, Any]
