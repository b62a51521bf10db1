"""What a device's topics mean: its own space ``devices/<id>/…`` (SPEC §6) and ThingsBoard's ``v1/devices/me/…``.

These topics are commands to the hub and never go through the broker: ThingsBoard's SDK subscribes to the very topics
that it publishes to, and would be confused by its own words.

::

    devices/<id>/<key>                  a value: number, true, false, JSON, or text as it is
    devices/<id>                        telemetry as JSON (`wire.telemetry`)
    devices/<id>/attributes/client      client attributes as JSON
    devices/<id>/attributes/shared      → the device: shared attributes that have changed, null for those deleted
    devices/<id>/commands/<n>           → the device: {"method": …, "params": …}
    devices/<id>/commands/<n>/answer    its answer, any JSON; {"error": …} says that it failed
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from ...errors import BadInput, Conflict, Forbidden, HardpointError, PeerError, RateLimited, UnknownVerb
from ...hub.adoption import ADOPT_ID
from ...hub.broker import Message, ProvisionAccess
from ...hub.broker.access import DEVICES, PROVISION_REQUEST, PROVISION_RESPONSE, THINGSBOARD
from ...hub.broker.messages import Outgoing
from ...hub.provisioning import Outcome
from ...hub.session import Session
from ...hub.topics import checked_filter, fits
from ...model import checked_key, checked_value
from ...wire.mqtt.reasons import FAILURE
from ...wire.telemetry import decode_json, parse_attributes, parse_telemetry, parse_value
from .gateway import GATEWAY, GatewayTopics
from .thingsboard import STYLES, ThingsBoard

if TYPE_CHECKING:
    from ...errors import StorageError
    from ...hub.devices import DeviceState
    from ...model import Command, Json, Sample
    from ...wire.mqtt.packets import Publish
    from .connection import MqttConnection
    from .dialect import MqttDialect

WORDS = (DEVICES, PROVISION_REQUEST, *THINGSBOARD)
"""How topics begin that are words to the hub, for those whom `DeviceTopics.takes` says."""
PUSH = "push"
"""The receipt of messages to a device that are of its connection: they end with it."""


class Style(NamedTuple):
    """A family of topics on which a device may have asked for commands and attributes."""

    command: str
    """With ``{device}`` and ``{id}``."""
    attributes: str
    nulls: bool
    """A deleted attribute is null in the same object; else ``{"deleted": [names]}`` is a message of its own."""


OWN_STYLE = Style("devices/{device}/commands/{id}", "devices/{device}/attributes/shared", nulls=True)


class WillSession(Session):
    """Hands in what devices have left behind; nobody waits for it."""

    __slots__ = ()

    dialect = "mqtt"

    def acknowledge(self, receipts: Sequence[object], error: StorageError | None) -> None:
        """Nothing to answer."""


class DeviceTopics:
    """Takes what devices publish to the hub, and what the hub has for them to their topics."""

    def __init__(self, dialect: MqttDialect) -> None:
        self._dialect = dialect
        self._wills = WillSession()
        self._provisionings: dict[MqttConnection, asyncio.Task[None]] = {}
        self.gateway = GatewayTopics(self, dialect)
        self._thingsboard = ThingsBoard(self, dialect)
        self._styles = (*(Style(command, attributes, nulls=False) for command, attributes in STYLES), OWN_STYLE)

    # -- from clients

    def takes(self, connection: MqttConnection, topic: str) -> bool:
        """Whether a topic that this client publishes to is the hub's."""
        if topic.startswith(DEVICES):
            return True
        if topic == PROVISION_REQUEST and connection.session is not None:
            return isinstance(connection.session.access, ProvisionAccess)
        return connection.device is not None and topic.startswith(THINGSBOARD)

    def publish(self, connection: MqttConnection, topic: str, packet: Publish, receipt: int | None) -> None:
        """Do what a message to such a topic says; the receipt comes back when it is durable.

        Raises:
            PeerError: it cannot be done.
        """
        if topic == PROVISION_REQUEST:
            self._provision(connection, packet)
            self.wait(connection, receipt)
            return
        if topic.startswith(GATEWAY):
            self.gateway.publish(connection, topic, packet.payload, receipt)
            return
        if not topic.startswith(DEVICES):
            self._thingsboard.publish(connection, topic, packet.payload, receipt)
            return
        name, _, rest = topic[len(DEVICES) :].partition("/")
        device = self._device(connection, name)
        if "/" not in rest and rest:
            self._take_value(connection, device, rest, packet.payload, receipt)
        elif not rest:
            self.take_telemetry(connection, device, packet.payload, receipt)
        elif rest == "attributes/client":
            self.take_attributes(connection, device, packet.payload, receipt)
        else:
            self._take_other(connection, device, rest, packet.payload, receipt)

    def _provision(self, connection: MqttConnection, packet: Publish) -> None:
        """Make a device for a client that has none; the answer is pushed. One at a time, or a client could begin as
        many as it can send.

        Raises:
            BadInput: it is no JSON.
            RateLimited: the one before is not answered yet.
        """
        asked = decode_json(packet.payload)
        if connection in self._provisionings:
            raise RateLimited("the request before this one is not answered yet")

        peer = connection.peer  # an address is throttled, also when its connection is gone by then

        async def answer() -> None:
            try:
                found = await self._dialect.provisioning.answer(peer, asked)
            except HardpointError as error:
                found = Outcome({"errorMsg": error.message, "status": "FAILURE"}, error)
            finally:
                del self._provisionings[connection]
            if found.refused is not None:
                self._dialect.note_refused(connection, found.refused, packet)
            self.push(connection, PROVISION_RESPONSE, msgspec.json.encode(found.answer))

        self._provisionings[connection] = asyncio.get_running_loop().create_task(answer(), name="provision")

    def take_will(self, message: Message) -> bool:
        """A will of a device's own space is a reading as any other message there. False: it is the broker's."""
        if not message.topic.startswith(DEVICES):
            return False
        hub = self._dialect.hub
        name, _, key = message.topic[len(DEVICES) :].partition("/")
        device = hub.catalogue.by_id.get(message.source.partition("/")[0])
        try:
            if hub.allow_anonymous and (device is None or name not in (device.id, device.record.name)):
                device = hub.authenticate(name)
            if device is None or name not in (device.id, device.record.name) or "/" in key:
                raise Forbidden(f"{message.topic[:80]} takes no will of this client's")
            if key:
                hub.ingest(self._wills, device, _one(checked_key(key), message.payload), None)
            else:
                hub.ingest(self._wills, device, parse_telemetry(message.payload), None)
        except PeerError as error:
            hub.note_refused(error)
        return True

    def take_telemetry(
        self, connection: MqttConnection, device: DeviceState, payload: bytes, receipt: int | None
    ) -> None:
        """Readings as JSON.

        Raises:
            PeerError: they cannot be taken.
        """
        self._dialect.hub.ingest(connection, device, parse_telemetry(payload), receipt)
        connection.expect_receipt()

    def take_attributes(
        self, connection: MqttConnection, device: DeviceState, payload: bytes, receipt: int | None
    ) -> None:
        """Client attributes as JSON.

        Raises:
            PeerError: they cannot be taken.
        """
        self._dialect.hub.set_attributes(device, "client", parse_attributes(payload))
        self.wait(connection, receipt)

    def take_answer(
        self,
        connection: MqttConnection,
        device: DeviceState,
        command: str,
        payload: bytes,
        receipt: int | None,
    ) -> None:
        """An answer to the command of that number.

        Raises:
            PeerError: it is none.
        """
        if not command.isascii() or not command.isdigit() or len(command) > 18:
            raise BadInput(f"{command[:40]!r} is not the number of a command")
        self.answer(device, int(command), decode_json(payload) if payload else None)
        self.wait(connection, receipt)

    def answer(self, device: DeviceState, command_id: int, answer: Json) -> None:
        """A device's answer: any JSON, and ``{"error": …}`` says that it failed.

        Raises:
            PeerError: it is to no open command of this device.
        """
        failed = type(answer) is dict and answer.keys() == {"error"}
        result = cast("dict[str, Any]", answer)["error"] if failed else answer
        self._dialect.hub.answer(device, command_id, not failed, result)

    def wait(self, connection: MqttConnection, receipt: int | None) -> None:
        """Give the receipt back with the commit being collected."""
        self._dialect.hub.commits.wait(connection, receipt)
        connection.expect_receipt()

    def _device(self, connection: MqttConnection, name: str) -> DeviceState:
        """The device whose space a topic is in, if it is this client's to write.

        Raises:
            Forbidden, Unauthorized: it is not.
        """
        device = connection.device
        if device is not None and name in (device.record.id, device.record.name):
            return device
        if self._dialect.hub.allow_anonymous:
            return self._dialect.hub.authenticate(name)
        raise Forbidden(f"{DEVICES}{name[:80]} is not this client's to write")

    def _take_value(
        self, connection: MqttConnection, device: DeviceState, key: str, payload: bytes, receipt: int | None
    ) -> None:
        if device.series is None or key not in device.series:
            checked_key(key)
        self._dialect.hub.ingest(connection, device, _one(key, payload), receipt)
        connection.expect_receipt()

    def _take_other(
        self, connection: MqttConnection, device: DeviceState, rest: str, payload: bytes, receipt: int | None
    ) -> None:
        parts = rest.split("/")
        if len(parts) != 3 or parts[0] != "commands" or parts[2] != "answer":
            raise UnknownVerb(f"devices/<id>/{rest[:80]} means nothing here")
        self.take_answer(connection, device, parts[1], payload, receipt)

    # -- to devices

    def deliver_waiting(self, connection: MqttConnection) -> None:
        """The client takes commands again, or has just said where: send what waits for it and those behind it."""
        for device in (connection.device, *self.gateway.behind(connection)):
            if device is not None and device.open_commands:
                self._dialect.hub.ledger.deliver_queued(device)

    def deliver(self, connection: MqttConnection, command: Command) -> bool:
        """Send a command on the topic that the device has subscribed to; False: on none, or it does not read."""
        if connection.full:
            return False
        for style in self._styles:
            topic = style.command.format(device=command.device_id, id=command.id)
            qos = self.subscribed(connection, topic)
            if qos is not None:
                payload = msgspec.json.encode({"method": command.method, "params": command.params})
                return self.send(connection, topic, payload, qos, command)
        return False

    def delivered(self, command: Command, reason: int) -> None:
        """The device has acknowledged a command: it has it, or refuses it."""
        ledger = self._dialect.hub.ledger
        try:
            if reason < FAILURE:
                ledger.advance(command, "delivered", "acknowledged over mqtt")
            else:
                ledger.advance(command, "failed", f"refused over mqtt with reason 0x{reason:02x}")
        except Conflict:
            pass  # it has been answered already, or its time was up

    def attributes_changed(self, connection: MqttConnection, changed: dict[str, Any], deleted: Sequence[str]) -> None:
        """Tell the device of its shared attributes, on every topic that it has subscribed to for them."""
        device = connection.device
        if device is None:
            return
        for style in self._styles:
            topic = style.attributes.format(device=device.id)
            qos = self.subscribed(connection, topic)
            if qos is None:
                continue
            messages: list[dict[str, Any]] = []
            if style.nulls:
                messages.append(changed | dict.fromkeys(deleted))
            else:
                messages += [changed] if changed else []
                messages += [{"deleted": list(deleted)}] if deleted else []
            for each in messages:
                self.send(connection, topic, msgspec.json.encode(each), qos)

    def push(self, connection: MqttConnection, topic: str, payload: bytes) -> None:
        """Send to this device whether it has subscribed or not: it has asked, on a topic that is for it alone."""
        self.send(connection, topic, payload, self.subscribed(connection, topic) or 0)

    def send(
        self, connection: MqttConnection, topic: str, payload: bytes, qos: int, command: Command | None = None
    ) -> bool:
        """Send a message that ends with the connection. False: there is no room for it."""
        receipt = PUSH if command is None or command.id == ADOPT_ID else command  # that one is not in the ledger
        session = connection.session
        if session is None:
            return False
        return self._dialect.broker.send(session, Outgoing(Message(topic, payload, qos), qos, receipt=receipt))

    def subscribed(self, connection: MqttConnection, topic: str) -> int | None:
        """The QoS with which the client has subscribed to a topic; None: it has not."""
        session = connection.session
        found: int | None = None
        for subscription in ((session.subscriptions if session is not None else None) or {}).values():
            if fits(checked_filter(subscription.filter)[1], topic):
                found = max(found or 0, subscription.qos)
        return found


def _one(key: str, payload: bytes) -> list[Sample]:
    """The reading of a bare value; a null is none."""
    value = parse_value(payload)
    return [] if value is None else [(None, key, checked_value(value))]
