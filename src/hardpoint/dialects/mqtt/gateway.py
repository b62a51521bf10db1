"""ThingsBoard's gateway topics, ``v1/gateway/…`` (WIRE: its code, which its documents do not always match).

A gateway speaks for devices that have no connection of their own: a Modbus bus, a radio net. Each of them is a device
like any other, attached from the gateway's word until it says otherwise or is gone itself, and judged by its own data.

::

    connect, disconnect       {"device": A, "type": kind}         a device that nobody knows is made
    telemetry                 {A: [{"ts": …, "values": {…}}, …], B: […]}
    attributes                {A: {…}, B: {…}}                    client attributes
    attributes/request        {"id": 1, "device": A, "client": true, "key": k}, or "keys": [k, …]
    rpc                       {"device": A, "id": 1, "data": …}   the answer to a command
    claim                     {A: {"secretKey": …, "durationMs": …}}
    → attributes/response     {"id": 1, "device": A, "value": …}, or "values": {k: …, …} of several
    → attributes              {"device": A, "data": {…}}          shared attributes that have changed
    → rpc                     {"device": A, "data": {"id": 1, "method": …, "params": …}}
    → disconnect              {"device": A, "reason": code}       the server has detached it
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import BadInput, PeerError, TooLarge, UnknownVerb
from ...hub.gateways import Gateways
from ...hub.session import Session
from ...wire.mqtt import reasons
from ...wire.telemetry import attributes_of, decode_json, telemetry_of

if TYPE_CHECKING:
    from ...errors import StorageError
    from ...hub.devices import DeviceState
    from ...model import Command, Json
    from .connection import MqttConnection
    from .devices import DeviceTopics
    from .dialect import MqttDialect

GATEWAY = "v1/gateway/"
ATTRIBUTES = GATEWAY + "attributes"
ATTRIBUTES_RESPONSE = GATEWAY + "attributes/response"
RPC = GATEWAY + "rpc"
DISCONNECT = GATEWAY + "disconnect"

MAX_DEVICES_A_MESSAGE = 1_000
"""Each may be a new one, which costs some 50 µs and a record."""


class ChildSession(Session):
    """A device behind a gateway, attached through it."""

    __slots__ = ("_topics", "gateway", "name")

    dialect = "mqtt"

    def __init__(self, topics: GatewayTopics, gateway: MqttConnection, name: str) -> None:
        super().__init__()
        self._topics = topics
        self.gateway = gateway
        self.name = name
        """What the gateway calls it."""

    @property
    def peer(self) -> str:
        """The gateway's."""
        return self.gateway.peer

    @property
    def encrypted(self) -> bool:
        """Whether the gateway's connection is; nothing is known of the way behind it."""
        return self.gateway.encrypted

    def acknowledge(self, receipts: Sequence[object], error: StorageError | None) -> None:
        """Nothing is handed in over it: receipts are the gateway's."""

    def deliver(self, command: Command) -> bool:
        """A command goes to the gateway, once that has subscribed to them."""
        return self._topics.deliver(self, command)

    def attributes_changed(self, changed: dict[str, Any], deleted: Sequence[str]) -> None:
        """Likewise."""
        self._topics.attributes_changed(self, changed, deleted)

    def end(self, reason: str) -> None:
        """The gateway is told, and may connect it anew."""
        self.why = reason
        self._topics.end(self)


class GatewayTopics:
    """Does what gateways say, and tells them what is for the devices behind them."""

    def __init__(self, devices: DeviceTopics, dialect: MqttDialect) -> None:
        self._devices = devices
        self._dialect = dialect
        self._hub = dialect.hub
        self.gateways = Gateways(dialect.hub)
        self._children: dict[MqttConnection, dict[str, ChildSession]] = {}  # by the device's id
        self._verbs: dict[str, Callable[[MqttConnection, dict[str, Json]], None]] = {
            "connect": self._connect,
            "disconnect": self._disconnect,
            "telemetry": self._telemetry,
            "attributes": self._attributes,
            "attributes/request": self._attributes_request,
            "rpc": self._answer,
            "claim": self._claim,
        }

    def publish(self, connection: MqttConnection, topic: str, payload: bytes, receipt: int | None) -> None:
        """A message of a gateway's. Of one about several devices those that can be taken are, also when another cannot.

        Raises:
            PeerError: it cannot be taken, or not all of it.
        """
        verb = self._verbs.get(topic.removeprefix(GATEWAY))
        if verb is None:
            raise UnknownVerb(f"{topic[:80]} is no topic of a gateway's here")
        asked = decode_json(payload)
        if type(asked) is not dict:
            raise BadInput("a gateway's message is a JSON object")
        verb(connection, asked)
        self._devices.wait(connection, receipt)

    def behind(self, connection: MqttConnection) -> Iterator[DeviceState]:
        """The devices that are attached through it."""
        for child in self._children.get(connection, {}).values():
            if child.device is not None:
                yield child.device

    def left(self, connection: MqttConnection) -> None:
        """The gateway is gone, and everybody behind it."""
        for child in self._children.pop(connection, {}).values():
            self._hub.detach(child, f"its gateway is gone: {connection.why or 'it ended its session'}")

    # -- from gateways

    def _connect(self, connection: MqttConnection, asked: dict[str, Json]) -> None:
        kind = asked.get("type")
        if not (kind is None or isinstance(kind, str)):
            raise BadInput("type is text", field="type")
        self._attached(connection, _name(asked), "" if kind in (None, "default") else kind)

    def _disconnect(self, connection: MqttConnection, asked: dict[str, Json]) -> None:
        name = _name(asked)
        for child in [each for each in self._children.get(connection, {}).values() if each.name == name]:
            self._drop(child)
            self._hub.detach(child, "its gateway disconnected it")

    def _telemetry(self, connection: MqttConnection, asked: dict[str, Json]) -> None:
        def take(device: DeviceState, given: Json) -> None:
            if type(given) is not list:
                raise BadInput("telemetry of a device is an array")
            self._hub.ingest(connection, device, telemetry_of(given), None)
            connection.expect_receipt()

        self._each(connection, asked, take)

    def _attributes(self, connection: MqttConnection, asked: dict[str, Json]) -> None:
        self._each(
            connection,
            asked,
            lambda device, given: self._hub.set_attributes(device, "client", attributes_of(given)),
        )

    def _claim(self, connection: MqttConnection, asked: dict[str, Json]) -> None:
        self._each(connection, asked, self._dialect.claims.offer)

    def _attributes_request(self, connection: MqttConnection, asked: dict[str, Json]) -> None:
        """Of one scope: ``client`` true is the client's, else the shared ones."""
        device = self._attached(connection, _name(asked))
        held = self._hub.attributes(device, "client" if asked.get("client") is True else "shared")
        answer: dict[str, Json] = {"id": _number(asked), "device": _name(asked)}
        key, keys = asked.get("key"), asked.get("keys")
        if isinstance(keys, list):
            names = [each for each in keys if isinstance(each, str)]
        elif isinstance(key, str):
            names = [key]
        else:
            raise BadInput("which attributes? key is one, keys an array of them", field="keys")
        found = {each: held[each] for each in names if each in held}
        if len(names) != 1:
            answer["values"] = found
        elif found:  # of one that was asked for, also as an array of one: the value alone
            answer["value"] = held[names[0]]
        self._devices.push(connection, ATTRIBUTES_RESPONSE, msgspec.json.encode(answer))

    def _answer(self, connection: MqttConnection, asked: dict[str, Json]) -> None:
        device = self._attached(connection, _name(asked))
        self._devices.answer(device, _number(asked), asked.get("data"))

    def _each(
        self, connection: MqttConnection, asked: dict[str, Json], take: Callable[[DeviceState, Json], None]
    ) -> None:
        if len(asked) > MAX_DEVICES_A_MESSAGE:
            raise TooLarge(f"a message may be about {MAX_DEVICES_A_MESSAGE} devices")
        refused: PeerError | None = None
        for name, given in asked.items():
            try:
                take(self._attached(connection, name), given)
            except PeerError as error:
                refused = refused or type(error)(f"{name[:80]}: {error.message}", field=error.field)
        if refused is not None:
            raise refused

    def _attached(self, connection: MqttConnection, name: str, kind: str = "") -> DeviceState:
        """The device of that name, attached: a gateway that speaks of one need not connect it first.

        Raises:
            PeerError: it cannot be, see `Gateways.device`.
        """
        gateway = connection.device
        assert gateway is not None
        device = self.gateways.device(gateway, name, kind)
        children = self._children.setdefault(connection, {})
        if device.id not in children:
            child = children[device.id] = ChildSession(self, connection, name)
            self._hub.attach(child, device)
        return device

    # -- to gateways

    def deliver(self, child: ChildSession, command: Command) -> bool:
        """Send a command to the gateway; False: it takes none now."""
        data = {"id": command.id, "method": command.method, "params": command.params}
        return self._tell(child, RPC, {"device": child.name, "data": data}, command)

    def attributes_changed(self, child: ChildSession, changed: dict[str, Any], deleted: Sequence[str]) -> None:
        """Tell the gateway of shared attributes."""
        for data in (changed, {"deleted": list(deleted)} if deleted else {}):
            if data:
                self._tell(child, ATTRIBUTES, {"device": child.name, "data": data})

    def end(self, child: ChildSession) -> None:
        """The hub has ended the child's session."""
        if self._drop(child) and child.gateway.ready:
            told = {"device": child.name, "reason": reasons.ADMINISTRATIVE_ACTION}
            self._devices.push(child.gateway, DISCONNECT, msgspec.json.encode(told))
        self._hub.detach(child)

    def _tell(self, child: ChildSession, topic: str, said: Json, command: Command | None = None) -> bool:
        connection = child.gateway
        qos = self._devices.subscribed(connection, topic) if connection.ready and not connection.full else None
        if qos is None:
            return False
        return self._devices.send(connection, topic, msgspec.json.encode(said), qos, command)

    def _drop(self, child: ChildSession) -> bool:
        """Forget a child; whether it was known."""
        children = self._children.get(child.gateway, {})
        found = [device_id for device_id, each in children.items() if each is child]
        for device_id in found:
            del children[device_id]
        return bool(found)


def _name(asked: dict[str, Json]) -> str:
    name = asked.get("device")
    if not isinstance(name, str):
        raise BadInput("device is the name of one", field="device")
    return name


def _number(asked: dict[str, Json]) -> int:
    number = asked.get("id")
    if type(number) is not int:
        raise BadInput("id is a whole number", field="id")
    return number
