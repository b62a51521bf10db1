"""Firmware over MQTT, chunk by chunk (WIRE: ThingsBoard's ``v2/fw/request/<request>/chunk/<n>``, ``sw`` alike).

The payload of a request is the chunk's size as text; an empty one is the size that the device has named before, or
else all of it. The answer comes on ``v2/fw/response/<request>/chunk/<n>``, empty behind the end; what cannot be sent is
a word on ``v2/fw/error``. ThingsBoard closes the connection then; a device that may go on does no harm.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...errors import BadInput, HardpointError, NotFound, RateLimited, TooLarge

if TYPE_CHECKING:
    from ...hub.devices import DeviceState
    from .connection import MqttConnection
    from .devices import DeviceTopics
    from .dialect import MqttDialect

MAX_SIZE_DIGITS = 9


class Chunks:
    """Sends chunks, one at a time to a client: it asks for the next one when it has that, and could otherwise begin as
    many reads as it can send.
    """

    def __init__(self, devices: DeviceTopics, dialect: MqttDialect) -> None:
        self._devices = devices
        self._dialect = dialect
        self._reading: dict[MqttConnection, asyncio.Task[None]] = {}

    def send(
        self, connection: MqttConnection, device: DeviceState, kind: str, request: str, number: int, payload: bytes
    ) -> None:
        """Read a chunk of the package that the device is to have, and push it.

        Raises:
            BadInput: the size is no number.
            RateLimited: the chunk before it is still on its way.
        """
        size = _size(payload)
        if connection in self._reading:
            raise RateLimited("the chunk before this one is still being read")
        sizes = connection.chunk_size
        if size:
            connection.chunk_size = (request, size)
        elif sizes is not None and sizes[0] == request:
            size = sizes[1]
        work = self._send(connection, device, kind, request, number, size)
        self._reading[connection] = asyncio.get_running_loop().create_task(work, name="chunk")

    async def _send(
        self, connection: MqttConnection, device: DeviceState, kind: str, request: str, number: int, size: int
    ) -> None:
        packages = self._dialect.packages
        topic = f"v2/{kind}/response/{request}/chunk/{number}"
        try:
            package = None if packages is None else packages.assigned(device, kind)
            if packages is None or package is None:
                raise NotFound(f"no {kind} is assigned to {device.id}")
            data = await packages.chunk(package, size, number)
        except HardpointError as error:
            self._dialect.note_refused(connection, error)
            word = b"PAYLOAD_TOO_LARGE" if isinstance(error, TooLarge) else b"NOT_FOUND"
            topic, data = f"v2/{kind}/error", word
        finally:
            del self._reading[connection]
        self._devices.push(connection, topic, data)


def _size(payload: bytes) -> int:
    text = payload.decode("ascii", "replace").strip()
    if text and not (text.isascii() and text.isdigit() and len(text) <= MAX_SIZE_DIGITS):
        raise BadInput("the payload is the size of a chunk, or empty")
    return int(text or 0)
