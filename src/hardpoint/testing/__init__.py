"""For people who test their own firmware, handlers or dialects; our own tests are built on it.

`FakeClock` stands in for the server's clock, `MemoryTransport` for a socket, `LineDevice`, `HttpDevice` and
`MqttDevice` for a device, `WebSocketClient` for the other end of a WebSocket::

    from hardpoint import Server
    from hardpoint.testing import LineDevice

    async with Server(data=folder, listen=["line://127.0.0.1:0"]) as server:
        _, token = await server.hub.create_device("greenhouse")
        async with LineDevice("127.0.0.1", server.ports["line"], token) as device:
            await device.send(temp=21.5)                # returns once it is on disk
"""

from __future__ import annotations

from .clock import FakeClock
from .device import ReceivedCommand, Refused
from .http_device import HttpAnswer, HttpDevice
from .line_device import LineDevice
from .mqtt_device import MqttDevice
from .transport import MemoryTransport
from .websocket_client import WebSocketClient

__all__ = [
    "FakeClock",
    "HttpAnswer",
    "HttpDevice",
    "LineDevice",
    "MemoryTransport",
    "MqttDevice",
    "ReceivedCommand",
    "Refused",
    "WebSocketClient",
]
