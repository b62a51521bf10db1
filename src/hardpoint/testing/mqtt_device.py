"""A device that speaks MQTT 5 (SPEC §6), for tests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from ..wire.mqtt import properties as p
from ..wire.mqtt import reasons
from ..wire.mqtt.decoder import PacketDecoder
from ..wire.mqtt.encoder import encode
from ..wire.mqtt.packets import Ack, ConnAck, Connect, Disconnect, Filter, Packet, Publish, SubAck, Subscribe, Will
from .device import ANSWER_TIMEOUT_S, ReceivedCommand, Refused, merged

if TYPE_CHECKING:
    from ..model import Json

READ_BYTES = 64 * 1024
MAX_PACKET_BYTES = 2**24
CLOSED = "the server has closed the connection"

_COMMAND = re.compile(r"devices/[^/]+/commands/(\d{1,18})")
_T = TypeVar("_T")


class MqttDevice:
    """One connection of one device, which has subscribed to its commands and shared attributes.

    ::

        async with MqttDevice("127.0.0.1", 1883, token, id="greenhouse") as device:
            await device.send(temp=21.5)                  # returns once it is on disk
            command = await device.next_command()
            await device.answer(command, {"on": True})

    Calls may overlap. ``clean_start=False`` with ``session_expiry_s`` keeps the session; ``will`` is published when the
    device goes without a word (`abort`).
    """

    def __init__(
        self,
        host: str,
        port: int,
        token: str,
        *,
        id: str,  # noqa: A002 - the field's name for it, as in `LineDevice.id`
        client_id: str = "",
        clean_start: bool = True,
        session_expiry_s: int = 0,
        will: Will | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        """Connect with ``async with``."""
        self._address = (host, port)
        self._timeout_s = timeout_s
        self.id = id
        expiry = {p.SESSION_EXPIRY_INTERVAL: session_expiry_s} if session_expiry_s else {}
        self._connect = Connect(
            reasons.V5,
            client_id or f"{id}-simulated",
            clean_start,
            will=will,
            username=token,
            properties=expiry,
        )
        self._decoder = PacketDecoder(max_packet_bytes=MAX_PACKET_BYTES, version=reasons.V5)
        self._answers: dict[int, asyncio.Future[Packet]] = {}  # by packet identifier; 0 is CONNACK
        self._last_id = 0
        self._commands: asyncio.Queue[ReceivedCommand] = asyncio.Queue()
        self._attributes: asyncio.Queue[dict[str, Json]] = asyncio.Queue()
        self._closed = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self.session_present = False
        """Whether the server had kept the session."""
        self.messages: asyncio.Queue[Publish] = asyncio.Queue()
        """What has come on other topics than commands and attributes."""
        self.farewell: str | None = None
        """Why the server closed, when it said so."""

    async def __aenter__(self) -> Self:
        reader, self._writer = await asyncio.open_connection(*self._address)
        self._reading = asyncio.create_task(self._read(reader), name="mqtt device")
        try:
            answer = await self._asked(0, self._connect)
            assert isinstance(answer, ConnAck)
            self.session_present = answer.session_present
            await self.subscribe(f"devices/{self.id}/commands/+", f"devices/{self.id}/attributes/shared")
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def send(self, values: dict[str, Json] | None = None, /, *, ts: int | None = None, **named: Json) -> None:
        """Send readings of one moment; returns once they are durable.

        Raises:
            Refused: the server did not take them.
        """
        readings = merged(values, named)
        await self.publish(f"devices/{self.id}", readings if ts is None else {"ts": ts, "values": readings})

    async def report(self, values: dict[str, Json] | None = None, /, **named: Json) -> None:
        """Report client attributes; a None deletes.

        Raises:
            Refused: the server did not take them.
        """
        await self.publish(f"devices/{self.id}/attributes/client", merged(values, named))

    async def next_command(self) -> ReceivedCommand:
        """The next command the server sends.

        Raises:
            TimeoutError: none came.
            ConnectionError: the server has closed.
        """
        return await self._next(self._commands)

    async def next_attributes(self) -> dict[str, Json]:
        """The next change of shared attributes; a deleted one is None.

        Raises:
            TimeoutError, ConnectionError: as `next_command`.
        """
        return await self._next(self._attributes)

    async def answer(self, command: ReceivedCommand, result: Json = None) -> None:
        """Say that a command was carried out."""
        await self.publish(f"devices/{self.id}/commands/{command.id}/answer", result)

    async def fail(self, command: ReceivedCommand, message: str) -> None:
        """Say that a command was not carried out, and why."""
        await self.publish(f"devices/{self.id}/commands/{command.id}/answer", {"error": message})

    async def publish(self, topic: str, document: Json, *, retain: bool = False) -> None:
        """Any message as JSON at QoS 1; returns once it is acknowledged.

        Raises:
            Refused: the server did not take it.
            ConnectionError: the server closed without an answer.
        """
        number = self._new_id()
        await self._asked(number, Publish(topic, msgspec.json.encode(document), 1, retain, packet_id=number))

    async def subscribe(self, *filters: str) -> None:
        """Subscribe at QoS 1; what comes and is no command and no attribute goes to `messages`.

        Raises:
            Refused: a filter is not this device's to read.
        """
        number = self._new_id()
        await self._asked(number, Subscribe(number, [Filter(each, 1) for each in filters]))

    def abort(self) -> None:
        """Vanish without DISCONNECT, as a device does that loses its power."""
        assert self._writer is not None, "use it with `async with`"
        self._writer.transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed.

        Raises:
            TimeoutError: it is not.
        """
        await asyncio.wait_for(self._closed.wait(), self._timeout_s)

    async def close(self) -> None:
        """Say DISCONNECT and hang up. Idempotent."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        if not self._closed.is_set():
            writer.write(encode(Disconnect(), reasons.V5))
        writer.close()
        if self._reading is not None:
            await self._reading
        try:
            await writer.wait_closed()
        except OSError:
            pass  # the server was faster

    # -- inside

    def _new_id(self) -> int:
        self._last_id = self._last_id % 0xFFFF + 1
        return self._last_id

    async def _asked(self, number: int, packet: Packet) -> Packet:
        if self._closed.is_set() or self._writer is None:
            raise ConnectionError(self.farewell or CLOSED)
        answer: asyncio.Future[Packet] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            self._writer.write(encode(packet, reasons.V5))
            await self._writer.drain()
            found = await self._bounded(answer)
        finally:
            self._answers.pop(number, None)
        codes = (
            found.reasons if isinstance(found, SubAck) else [found.reason] if isinstance(found, ConnAck | Ack) else []
        )
        for code in codes:
            if code >= reasons.FAILURE:
                said = found.properties.get(p.REASON_STRING, "") if isinstance(found, ConnAck | Ack | SubAck) else ""
                raise Refused(reasons.NAMES.get(code, f"0x{code:02x}"), said)
        return found

    async def _next(self, queue: asyncio.Queue[_T]) -> _T:
        return await self._bounded(queue.get())

    async def _bounded(self, what: Awaitable[_T]) -> _T:
        """Wait for it, until the time is up or the connection is closed.

        Raises:
            TimeoutError, ConnectionError: one of the two.
        """
        wanted = asyncio.ensure_future(what)
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait({wanted, closed}, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if wanted.done():
                return wanted.result()
            if closed.done():
                raise ConnectionError(self.farewell or CLOSED)
            raise TimeoutError
        finally:
            wanted.cancel()
            closed.cancel()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while data := await reader.read(READ_BYTES):
                for packet in self._decoder.receive(data):
                    self._received(packet)
                if self._decoder.refused is not None:
                    self.farewell = f"the server breaks the protocol: {self._decoder.refused.message}"
                    return
        except OSError:
            pass  # a reset is an end like another
        finally:
            self._closed.set()

    def _received(self, packet: Packet) -> None:
        if isinstance(packet, Publish):
            self._take(packet)
        elif isinstance(packet, Disconnect):
            self.farewell = str(packet.properties.get(p.REASON_STRING) or reasons.NAMES.get(packet.reason, ""))
        else:
            number = packet.packet_id if isinstance(packet, Ack | SubAck) else 0
            answer = self._answers.get(number)
            if answer is not None and not answer.done():
                answer.set_result(packet)

    def _take(self, message: Publish) -> None:
        command = _COMMAND.fullmatch(message.topic)
        if command is not None:
            document = msgspec.json.decode(message.payload)
            self._commands.put_nowait(ReceivedCommand(int(command[1]), document["method"], document["params"]))
        elif message.topic == f"devices/{self.id}/attributes/shared":
            self._attributes.put_nowait(msgspec.json.decode(message.payload))
        else:
            self.messages.put_nowait(message)
        if message.qos == 1 and self._writer is not None:
            self._writer.write(encode(Ack(p.PUBACK, message.packet_id), reasons.V5))
