"""Gateways, by ThingsBoard's topics: the devices behind them attach, report, are commanded and go."""

from __future__ import annotations

import msgspec
import pytest

from hardpoint.dialects.mqtt.gateway import MAX_DEVICES_A_MESSAGE
from hardpoint.wire.mqtt import properties as p
from hardpoint.wire.mqtt.packets import Ack, Disconnect, Publish
from hub.hubs import FULL, HeldStore, turn

from .mqtts import connected, open_dialect

TOPICS = ("v1/gateway/attributes", "v1/gateway/attributes/response", "v1/gateway/rpc")


async def gateway(dialect, name="gw", version=5, **fields):
    device, token = await dialect.hub.create_device(name, gateway=True)
    client = await connected(dialect, name, version, username=token, **fields)
    await client.subscribe(*TOPICS, qos=1)
    return device, client


async def say(client, topic, document):
    return await client.publish(f"v1/gateway/{topic}", msgspec.json.encode(document), 1)


def told(packets):
    return [(each.topic, msgspec.json.decode(each.payload)) for each in packets if isinstance(each, Publish)]


def readings(dialect, name):
    latest = dialect.hub.catalogue.find(name).latest()
    return {key: entry["value"] for key, entry in latest.items()}


def presence(dialect, name):
    return dialect.hub.describe(dialect.hub.catalogue.find(name))["presence"]


OK = [Ack(p.PUBACK, 5)]


class TestDevices:
    def test_are_attached_judged_by_themselves_and_gone_with_their_gateway(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                gateway_device, client = await gateway(dialect)
                assert await say(client, "connect", {"device": "Pump 1", "type": "modbus"}) == OK
                assert await say(client, "connect", {"device": "lamp", "type": "default"}) == OK
                pump = dialect.hub.catalogue.find("Pump 1")
                assert pump.record.labels == {"type": "modbus"}
                assert dialect.hub.catalogue.find("lamp").record.labels == {}
                assert presence(dialect, "lamp")["connected"]["dialect"] == "mqtt"
                assert presence(dialect, "lamp")["last_reading"] is None
                assert await say(client, "telemetry", {"Pump 1": [{"rpm": 50}]}) == OK
                assert presence(dialect, "Pump 1")["last_reading"] is not None
                assert presence(dialect, "lamp")["last_reading"] is None
                assert gateway_device.last_reading_ms is None
                assert await say(client, "disconnect", {"device": "lamp"}) == OK
                assert await say(client, "disconnect", {"device": "nobody"}) == OK
                assert presence(dialect, "lamp")["connected"] is None
                client.transport.lose()
                assert presence(dialect, "Pump 1")["connected"] is None
                await dialect.hub.commits.durable()
                shown = await dialect.hub.past.attachments(pump)
                assert shown[0]["why"] == "its gateway is gone: the connection was lost"
                lamp = await dialect.hub.past.attachments(dialect.hub.catalogue.find("lamp"))
                assert lamp[0]["why"] == "its gateway disconnected it"

        anyrun(scene())

    def test_report_readings_and_attributes(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                _, client = await gateway(dialect)
                item = {"ts": 1_700_000_000_000, "values": {"t": 1}, "metadata": {"connector": "modbus"}}
                assert await say(client, "telemetry", {"A": [item, {"u": "2"}], "B": [{"t": 3}], "C": []}) == OK
                assert [readings(dialect, name) for name in "ABC"] == [{"t": 1, "u": 2}, {"t": 3}, {}]
                assert await say(client, "attributes", {"A": {"fw": "1.2"}, "B": {"fw": "2"}}) == OK
                held = [dialect.hub.attributes(dialect.hub.catalogue.find(name), "client") for name in "AB"]
                assert held == [{"fw": "1.2"}, {"fw": "2"}]

        anyrun(scene())

    def test_are_acknowledged_when_all_is_durable(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_dialect(store, anonymous=False) as dialect:
                _, client = await gateway(dialect)
                store.held = True
                client.send(Publish("v1/gateway/telemetry", b'{"A":[{"t":1}],"B":[{"t":2}]}', 1, packet_id=9))
                await turn()
                assert client.transport.take() == b""
                store.held = False
                store.release()
                assert await client.read() == [Ack(p.PUBACK, 9)]
                store.error = FULL
                client.send(Publish("v1/gateway/telemetry", b'{"A":[{"t":3}]}', 1, packet_id=10))
                await turn(20)
                said = client.decoder.receive(client.transport.take())
                assert [(each.packet_id, each.reason) for each in said] == [(10, 0x97)]
                store.error = None

        anyrun(scene())

    def test_keep_their_gateway_s_name_for_them(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                _, client = await gateway(dialect)
                await say(client, "connect", {"device": "A"})
                device = dialect.hub.catalogue.find("A")
                await dialect.hub.change_device(device, {"name": "North"})
                assert await say(client, "telemetry", {"A": [{"t": 1}]}) == OK
                assert readings(dialect, "North") == {"t": 1}
                dialect.hub.set_attributes(device, "shared", {"rate": 5})
                assert told(await client.read()) == [(TOPICS[0], {"device": "A", "data": {"rate": 5}})]

        anyrun(scene())

    @pytest.mark.parametrize(
        ("topic", "document", "reason", "why"),
        [
            ("telemetry", {"A": {"t": 1}}, 0x99, "A: telemetry of a device is an array"),
            ("telemetry", {"A": [{"2x": 1}]}, 0x99, "must start with a letter"),
            ("telemetry", {"": [{"t": 1}]}, 0x99, "a name has 1 to 128"),
            ("telemetry", {"plain": [{"t": 1}]}, 0x87, "plain: plain is not behind the gateway gw"),
            ("telemetry", {f"d{n}": [] for n in range(MAX_DEVICES_A_MESSAGE + 1)}, 0x97, "about 1000 devices"),
            ("telemetry", {"A": [], "B": [], "C": []}, 0x97, "max_devices_per_gateway (2)"),
            ("telemetry", [], 0x99, "is a JSON object"),
            ("attributes", {"A": []}, 0x99, "attributes are a JSON object"),
            ("connect", {}, 0x99, "device is the name of one"),
            ("connect", {"device": "A", "type": 1}, 0x99, "type is text"),
            ("attributes/request", {"id": 1, "device": "A"}, 0x99, "which attributes?"),
            ("attributes/request", {"device": "A", "key": "k"}, 0x99, "id is a whole number"),
            ("rpc", {"id": 1, "device": "A", "data": 1}, 0x90, "is not waiting for an answer"),
            ("nothing", {}, 0x90, "is no topic of a gateway's here"),
        ],
    )
    def test_what_cannot_be_used_is_told(self, anyrun, topic, document, reason, why):
        async def scene():
            limits = {"max_devices_per_gateway": 2}
            async with open_dialect(anonymous=False, limits=limits) as dialect:
                await dialect.hub.create_device("plain")
                _, client = await gateway(dialect)
                (said,) = await say(client, topic, document)
                assert said.reason == reason
                assert why in said.properties[p.REASON_STRING]

        anyrun(scene())

    def test_of_several_those_that_can_be_are_taken(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                _, client = await gateway(dialect)
                (said,) = await say(client, "telemetry", {"A": [{"t": 1}], "B": [{"2": 1}], "C": [{"t": 3}]})
                assert said.reason == 0x99
                assert [readings(dialect, name) for name in "ABC"] == [{"t": 1}, {}, {"t": 3}]

        anyrun(scene())

    def test_only_a_gateway_has_them(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                _, token = await dialect.hub.create_device("plain")
                client = await connected(dialect, "c", 5, username=token)
                (said,) = await say(client, "connect", {"device": "A"})
                assert said.reason == 0x87
                assert dialect.hub.catalogue.named("A") is None

        anyrun(scene())

    def test_where_nobody_needs_a_token_anybody_is_one(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, "c", 5, username="plc")
                assert await say(client, "telemetry", {"A": [{"t": 1}]}) == OK
                assert readings(dialect, "A") == {"t": 1}

        anyrun(scene())

    def test_that_are_removed_are_told_to_the_gateway(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                _, client = await gateway(dialect)
                await say(client, "connect", {"device": "A"})
                await dialect.hub.remove_device(dialect.hub.catalogue.find("A"))
                assert told(await client.read()) == [("v1/gateway/disconnect", {"device": "A", "reason": 0x98})]
                assert await say(client, "telemetry", {"A": [{"t": 1}]}) == OK  # anew
                assert readings(dialect, "A") == {"t": 1}
                assert len(dialect.hub.catalogue.find("A").sessions) == 1
                await client.ask(Disconnect())
                assert dialect.hub.catalogue.find("A").sessions == ()

        anyrun(scene())


class TestRequests:
    @pytest.mark.parametrize(
        ("asked", "answer"),
        [
            ({"client": True, "key": "c"}, {"value": 1}),
            ({"client": True, "key": "s"}, {}),
            ({"client": False, "key": "s"}, {"value": 2}),
            ({"keys": ["s", "t", "c"]}, {"values": {"s": 2, "t": 3}}),
            ({"keys": ["s"]}, {"value": 2}),
            ({"keys": ["c"]}, {}),
        ],
    )
    def test_of_attributes(self, anyrun, asked, answer):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                _, client = await gateway(dialect)
                await say(client, "attributes", {"A": {"c": 1}})
                device = dialect.hub.catalogue.find("A")
                dialect.hub.set_attributes(device, "shared", {"s": 2, "t": 3})
                await client.read()
                said = await say(client, "attributes/request", {"id": 7, "device": "A", **asked})
                assert told(said) == [(TOPICS[1], {"id": 7, "device": "A", **answer})]

        anyrun(scene())

    def test_of_limits(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                _, client = await gateway(dialect)
                said = await client.publish("v1/devices/me/rpc/request/1", b'{"method":"getSessionLimits"}')
                assert set(told(said)[0][1]["gatewayRateLimits"]) == {
                    "messages",
                    "telemetryMessages",
                    "telemetryDataPoints",
                }

        anyrun(scene())

    def test_that_attributes_have_changed(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                _, client = await gateway(dialect)
                await say(client, "connect", {"device": "A"})
                device = dialect.hub.catalogue.find("A")
                dialect.hub.set_attributes(device, "shared", {"rate": 5, "old": 1})
                dialect.hub.set_attributes(device, "shared", {"rate": 6, "old": None})
                data = [{"rate": 5, "old": 1}, {"rate": 6}, {"deleted": ["old"]}]
                assert told(await client.read()) == [(TOPICS[0], {"device": "A", "data": each}) for each in data]

        anyrun(scene())


class TestCommands:
    @pytest.mark.parametrize(
        ("answer", "state", "result"), [({"done": 1}, "done", {"done": 1}), ({"error": "stuck"}, "failed", "stuck")]
    )
    def test_go_through_the_gateway_and_come_back(self, anyrun, answer, state, result):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                _, client = await gateway(dialect)
                await say(client, "connect", {"device": "A"})
                command = await dialect.hub.ledger.queue(dialect.hub.catalogue.find("A"), "set", {"on": True})
                (got,) = await client.read()
                data = {"id": command.id, "method": "set", "params": {"on": True}}
                assert told([got]) == [(TOPICS[2], {"device": "A", "data": data})]
                assert command.state == "sent"
                await client.ask(Ack(p.PUBACK, got.packet_id))
                assert command.state == "delivered"
                assert await say(client, "rpc", {"device": "A", "id": command.id, "data": answer}) == OK
                assert (command.state, command.result) == (state, result)

        anyrun(scene())

    def test_wait_until_the_gateway_has_subscribed_and_the_device_is_attached(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, token = await dialect.hub.create_device("gw", gateway=True)
                client = await connected(dialect, "c", 5, username=token)
                await say(client, "connect", {"device": "A"})
                child = dialect.hub.catalogue.find("A")
                command = await dialect.hub.ledger.queue(child, "set")
                assert (await client.read(), command.state) == ([], "queued")
                _, got = await client.subscribe(TOPICS[2], qos=1)
                assert told(got)[0][1]["data"]["id"] == command.id
                client.transport.lose()
                client = await connected(dialect, "c", 5, username=token)
                await client.subscribe(TOPICS[2], qos=1)
                assert await client.read() == []
                assert device.sessions
                assert [each[1]["device"] for each in told(await say(client, "connect", {"device": "A"}))] == ["A"]

        anyrun(scene())


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("v1/devices/me/claim", b'{"secretKey":"s","durationMs":60000}'),
        ("v1/gateway/claim", b'{"gw":{"secretKey":"s"}}'),
    ],
)
def test_devices_offer_themselves_to_be_claimed(anyrun, topic, payload):
    async def scene():
        async with open_dialect(anonymous=False) as dialect:
            device, client = await gateway(dialect)
            if topic.startswith("v1/gateway"):
                await say(client, "connect", {"device": "A"})
                device, payload_ = dialect.hub.catalogue.find("A"), payload.replace(b"gw", b"A")
            else:
                payload_ = payload
            assert await client.publish(topic, payload_, 1) == OK
            await dialect.claims.claim("192.0.2.1:1", device, "s", "anna")
            assert device.record.labels["owner"] == "anna"

    anyrun(scene())


def test_an_empty_claim_needs_no_secret(anyrun):
    async def scene():
        async with open_dialect(anonymous=False) as dialect:
            device, client = await gateway(dialect)
            assert await client.publish("v1/devices/me/claim", b"", 1) == OK
            await dialect.claims.claim("192.0.2.1:1", device, "", "anna")

    anyrun(scene())
