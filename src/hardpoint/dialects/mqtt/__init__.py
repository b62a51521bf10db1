"""MQTT on a stream connection: `wire.mqtt`'s packets meet the hub and its broker.

In reading order: `dialect` (what all connections share), `connection` (one client), `sign_in` (who it is), `outgoing`
(how a message is sent to it), `devices` (what a device's topics mean), `feed` (devices' readings as topics).
"""

from __future__ import annotations

from .dialect import MqttDialect

__all__ = ["MqttDialect"]
