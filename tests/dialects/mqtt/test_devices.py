"""What devices publish and are sent: their own topics, ThingsBoard's, rights, and programs that watch."""

from __future__ import annotations

import msgspec
import pytest

from hardpoint.wire.mqtt import properties as p
from hardpoint.wire.mqtt.packets import Ack, Publish, Will
from hub.hubs import FULL, HeldStore, turn

from .mqtts import Apps, connected, open_dialect

NOW = 1_700_000_000_000


async def attached(dialect, name="box", version=5, client_id="c", **fields):
    device, token = await dialect.hub.create_device(name)
    return device, await connected(dialect, client_id, version, username=token, **fields)


def readings(dialect, device):
    return {key: entry["value"] for key, entry in device.latest().items()}


def refusal(packets):
    return [(packet.reason, packet.properties.get(p.REASON_STRING, "")) for packet in packets]


class TestReadings:
    @pytest.mark.parametrize(
        ("topic", "payload", "expected"),
        [
            ("devices/box/temp", b"21.5", {"temp": 21.5}),
            ("devices/box/temp", b"-3", {"temp": -3}),
            ("devices/box/door", b"true", {"door": True}),
            ("devices/box/state", b"ON", {"state": "ON"}),
            ("devices/box/state", b'"two words"', {"state": "two words"}),
            ("devices/box/state", b"21.5 C", {"state": "21.5 C"}),
            ("devices/box/bad", b"NaN", {"bad": "NaN"}),
            ("devices/box/place", b'{"x":[1,2]}', {"place": {"x": [1, 2]}}),
            ("devices/box/none", b"null", {}),
            ("devices/box/big", b"123456789012345678901234567890", {"big": "123456789012345678901234567890"}),
            ("devices/box", b'{"a":1,"b":"2.5"}', {"a": 1, "b": 2.5}),
            ("devices/box", b'[{"ts":1699999999000,"values":{"a":1}},{"b":2}]', {"a": 1, "b": 2}),
            ("v1/devices/me/telemetry", b'{"a":1}', {"a": 1}),
            ("v2/t", b'{"a":1}', {"a": 1}),
            ("v2/t/j", b"{}", {}),
        ],
    )
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_are_stored(self, anyrun, topic, payload, expected, qos):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, client = await attached(dialect)
                said = await client.publish(topic, payload, qos)
                assert said == ([], [Ack(p.PUBACK, 5)], [Ack(p.PUBREC, 5)])[qos]
                if qos == 2:
                    assert await client.publish(topic, payload, 2, dup=True) == [Ack(p.PUBREC, 5)]
                    assert await client.ask(Ack(p.PUBREL, 5)) == [Ack(p.PUBCOMP, 5)]
                assert readings(dialect, device) == expected
                assert dialect.hub.readings_total == len(expected)

        anyrun(scene())

    def test_are_acknowledged_when_they_are_durable(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_dialect(store, anonymous=False) as dialect:
                _, client = await attached(dialect)
                store.held = True
                client.send(*(Publish("devices/box/a", b"1", 1, packet_id=n) for n in (1, 2, 3)))
                await turn()
                assert client.transport.take() == b""
                store.held = False
                store.release()
                assert await client.read() == [Ack(p.PUBACK, n) for n in (1, 2, 3)]

        anyrun(scene())

    @pytest.mark.parametrize("version", [4, 5])
    def test_that_are_not_durable_are_not_acknowledged(self, anyrun, version):
        async def scene():
            store = HeldStore()
            async with open_dialect(store, anonymous=False) as dialect:
                _, client = await attached(dialect, version=version)
                store.error = FULL
                client.send(Publish("devices/box/a", b"1", 1, packet_id=1))
                await turn(20)
                said = client.decoder.receive(client.transport.take())
                assert refusal(said) == ([(0x97, "no space left")] if version == 5 else [])
                assert client.closed is (version == 4)
                store.error = None

        anyrun(scene())

    @pytest.mark.parametrize(
        ("topic", "payload", "reason", "why"),
        [
            ("devices/box", b"{", 0x99, "not JSON"),
            ("devices/box/temp", b"", 0x99, "an empty message is no reading"),
            ("devices/box/temp", b"\xff", 0x99, "not UTF-8"),
            ("devices/box/2x", b"1", 0x99, "must start with a letter"),
            ("devices/other/temp", b"1", 0x87, "is not this client's to write"),
            ("devices/box/a/b/c", b"1", 0x90, "means nothing here"),
            ("devices/box/commands/1/answer", b"1", 0x90, "is not waiting for an answer"),
            ("devices/box/commands/x/answer", b"1", 0x99, "is not the number of a command"),
            ("v1/devices/me/telemetry", b"[1]", 0x99, "must be an object"),
            ("v1/devices/me/nothing", b"1", 0x90, "is no topic of a device's here"),
            ("v1/devices/me/rpc/request/1", b"[]", 0x99, "a request is a JSON object"),
            ("$SYS/x", b"1", 0x87, "is not this client's to write"),
        ],
    )
    def test_that_cannot_be_used_are_told_why(self, anyrun, topic, payload, reason, why):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                _, client = await attached(dialect)
                said = await client.publish(topic, payload, 1)
                assert said[0].reason == reason
                assert why in said[0].properties[p.REASON_STRING]
                assert not client.closed
                assert sum(dialect.hub.refused_total.values()) == 1
                _, old = await attached(dialect, "old", version=4)
                assert await old.publish(topic.replace("box", "old"), payload, 0) == []
                assert not old.closed
                assert await old.publish(topic.replace("box", "old"), payload, 1) == []
                assert old.closed  # [MQTT3-3.3.5-2]

        anyrun(scene())

    def test_that_cannot_be_used_are_told_why_only_where_the_words_fit(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                _, client = await attached(dialect, properties={p.MAXIMUM_PACKET_SIZE: 40})
                assert await client.publish("devices/other/temp", b"1", 1) == [Ack(p.PUBACK, 5, 0x87)]
                dialect.hub.catalogue.by_id["box"].sessions[0].end("x" * 40)
                assert [packet.properties for packet in await client.read()] == [{}]

        anyrun(scene())

    def test_by_anybody_where_that_is_allowed(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, "c")
                await client.publish("devices/shed/temp", b"5", 1)
                assert readings(dialect, dialect.hub.catalogue.by_id["shed"]) == {"temp": 5}

        anyrun(scene())


class TestAttributes:
    @pytest.mark.parametrize("topic", ["v1/devices/me/attributes", "v2/a", "v2/a/j", "devices/box/attributes/client"])
    def test_of_the_device(self, anyrun, topic):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, client = await attached(dialect)
                assert await client.publish(topic, b'{"fw":"1.2","n":null}', 1) == [Ack(p.PUBACK, 5)]
                assert dialect.hub.attributes(device, "client") == {"fw": "1.2"}

        anyrun(scene())

    @pytest.mark.parametrize(
        ("topic", "messages"),
        [
            ("v1/devices/me/attributes", [{"a": 2}, {"deleted": ["b"]}]),
            ("v2/a", [{"a": 2}, {"deleted": ["b"]}]),
            ("devices/box/attributes/shared", [{"a": 2, "b": None}]),
        ],
    )
    def test_that_have_changed_go_to_who_has_subscribed(self, anyrun, topic, messages):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, client = await attached(dialect)
                dialect.hub.set_attributes(device, "shared", {"a": 1, "b": 1})
                assert await client.read() == []
                await client.subscribe(topic, qos=1)
                dialect.hub.set_attributes(device, "shared", {"a": 2, "b": None})
                got = await client.read()
                assert [(m.topic, msgspec.json.decode(m.payload), m.qos) for m in got] == [
                    (topic, message, 1) for message in messages
                ]

        anyrun(scene())

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            (b"{}", {"client": {"c": 1}, "shared": {"s": 2, "t": 3}}),
            (b"", {"client": {"c": 1}, "shared": {"s": 2, "t": 3}}),
            (b'{"sharedKeys":"s,x"}', {"shared": {"s": 2}}),
            (b'{"clientKeys":"x","sharedKeys":"s,t"}', {"shared": {"s": 2, "t": 3}}),
            (b'{"clientKeys":"x"}', {}),
        ],
    )
    @pytest.mark.parametrize(
        ("topic", "answer"),
        [
            ("v1/devices/me/attributes/request/7", "v1/devices/me/attributes/response/7"),
            ("v2/a/req/7", "v2/a/res/7"),
            ("v2/a/req/j/7", "v2/a/res/j/7"),
        ],
    )
    def test_are_answered(self, anyrun, topic, answer, asked, expected):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, client = await attached(dialect)
                dialect.hub.set_attributes(device, "client", {"c": 1})
                dialect.hub.set_attributes(device, "shared", {"s": 2, "t": 3})
                await client.publish(topic, asked, 1)
                client.send()
                got = [packet for packet in client.seen if isinstance(packet, Publish)]
                assert [(m.topic, msgspec.json.decode(m.payload)) for m in got] == [(answer, expected)]

        anyrun(scene())


class TestCommands:
    @pytest.mark.parametrize(
        ("topic_filter", "topic", "answer"),
        [
            ("v1/devices/me/rpc/request/+", "v1/devices/me/rpc/request/1", "v1/devices/me/rpc/response/1"),
            ("v2/r/req/+", "v2/r/req/1", "v2/r/res/1"),
            ("devices/box/commands/+", "devices/box/commands/1", "devices/box/commands/1/answer"),
            ("devices/box/#", "devices/box/commands/1", "devices/box/commands/1/answer"),
        ],
    )
    def test_go_out_and_come_back(self, anyrun, topic_filter, topic, answer):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, client = await attached(dialect)
                command = await dialect.hub.ledger.queue(device, "set", {"on": True})
                assert command.state == "queued"  # on which topic is not known yet
                _, got = await client.subscribe(topic_filter, qos=1)
                assert [(m.topic, msgspec.json.decode(m.payload)) for m in got] == [
                    (topic, {"method": "set", "params": {"on": True}})
                ]
                assert command.state == "sent"
                await client.ask(Ack(p.PUBACK, got[0].packet_id))
                assert command.state == "delivered"
                assert await client.publish(answer, b'{"done":1}', 1) == [Ack(p.PUBACK, 5)]
                assert (command.state, command.result) == ("done", {"done": 1})

        anyrun(scene())

    @pytest.mark.parametrize("order", ["answer first", "refused"])
    def test_end_otherwise(self, anyrun, order):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, client = await attached(dialect)
                await client.subscribe("devices/box/commands/+", qos=1)
                command = await dialect.hub.ledger.queue(device, "set")
                got = await client.read()
                if order == "refused":
                    await client.ask(Ack(p.PUBACK, got[0].packet_id, 0x83))
                    assert (command.state, command.steps[-1][2]) == ("failed", "refused over mqtt with reason 0x83")
                else:
                    await client.publish("devices/box/commands/1/answer", b'{"error":"stuck"}')
                    await client.ask(Ack(p.PUBACK, got[0].packet_id))
                    assert (command.state, command.result) == ("failed", "stuck")

        anyrun(scene())

    def test_go_out_again_to_who_comes_back(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, token = await dialect.hub.create_device("box")
                kept = {"username": token, "clean_start": False}
                client = await connected(dialect, "c", 4, **kept)
                await client.subscribe("v1/devices/me/rpc/request/+", qos=1)
                command = await dialect.hub.ledger.queue(device, "set")
                assert len(await client.read()) == 1
                client.transport.lose()
                again = await connected(dialect, "c", 4, **kept)
                got = again.seen[1:]
                assert [m.topic for m in got] == ["v1/devices/me/rpc/request/1"]
                await again.ask(Ack(p.PUBACK, got[0].packet_id))
                assert command.state == "delivered"

        anyrun(scene())

    def test_go_out_again_to_who_subscribes_anew(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, token = await dialect.hub.create_device("box")
                client = await connected(dialect, "c", 4, username=token)
                await client.subscribe("devices/box/commands/+", qos=1)
                await dialect.hub.ledger.queue(device, "set")
                assert len(await client.read()) == 1
                await client.subscribe("devices/box/commands/+", qos=1)
                assert await client.read() == [], "it was sent over this very connection"
                client.transport.lose()
                again = await connected(dialect, "c", 4, username=token)  # a clean session: the broker keeps nothing
                before = len(again.seen)
                await again.subscribe("devices/box/commands/+", qos=1)
                await again.read()
                topics = [each.topic for each in again.seen[before:] if isinstance(each, Publish)]
                assert topics == ["devices/box/commands/1"]

        anyrun(scene())

    def test_at_qos_0_are_only_sent(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, client = await attached(dialect)
                await client.subscribe("devices/box/commands/+")
                command = await dialect.hub.ledger.queue(device, "set")
                assert [m.qos for m in await client.read()] == [0]
                assert command.state == "sent"

        anyrun(scene())


class TestThingsBoard:
    def test_session_limits_are_told_and_nothing_is_echoed(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False, limits={"readings_per_s": 50.0}) as dialect:
                _, client = await attached(dialect)
                await client.subscribe("v1/devices/me/rpc/request/+", qos=1)
                await client.subscribe("v1/devices/me/attributes", "v2/fw/response/+", qos=1)
                request = b'{"method":"getSessionLimits","params":{"timeout":5000}}'
                client.send(Publish("v1/devices/me/rpc/request/1", request, 1, packet_id=1))
                client.send(Publish("v1/devices/me/attributes", b'{"a":1}', 1, packet_id=2))
                got = [packet for packet in await client.read() if isinstance(packet, Publish)]
                assert [m.topic for m in got] == ["v1/devices/me/rpc/response/1"]
                assert msgspec.json.decode(got[0].payload) == {
                    "maxPayloadSize": 65_536,
                    "maxInflightMessages": 100,
                    "rateLimits": {"messages": None, "telemetryMessages": None, "telemetryDataPoints": "50:1"},
                }

        anyrun(scene())

    @pytest.mark.parametrize(
        ("topic", "payload", "answer"),
        [
            ("v1/devices/me/rpc/request/2", b'{"method":"x"}', ("v1/devices/me/rpc/response/2", b'{"error"')),
            ("v2/r/req/2", b'{"method":"x"}', ("v2/r/res/2", b'{"error"')),
            ("v2/fw/request/1/chunk/0", b"512", ("v2/fw/error", b"NOT_FOUND")),
            ("v2/sw/request/1/chunk/0", b"", ("v2/sw/error", b"NOT_FOUND")),
        ],
    )
    def test_what_there_is_not_is_answered_too(self, anyrun, topic, payload, answer):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                _, client = await attached(dialect)
                got = [packet for packet in await client.publish(topic, payload, 1) if isinstance(packet, Publish)]
                assert [(m.topic, m.payload[: len(answer[1])]) for m in got] == [answer]

        anyrun(scene())


class TestWills:
    @pytest.mark.parametrize(
        ("topic", "payload", "expected"),
        [
            ("devices/box/state", b"offline", {"state": "offline"}),
            ("devices/box", b'{"up":false}', {"up": False}),
            ("devices/box/2x", b"1", {}),
            ("devices/box/a/b", b"1", {}),
        ],
    )
    def test_in_its_own_space_are_readings(self, anyrun, topic, payload, expected):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, client = await attached(dialect, will=Will(topic, payload, retain=True))
                client.transport.lose()
                await dialect.hub.commits.durable()
                await turn()
                assert readings(dialect, device) == expected
                assert bool(dialect.hub.refused_total) is not bool(expected)
                assert len(dialect.broker.retained) == 0

        anyrun(scene())


class TestRights:
    def test_nobody_else_speaks_on_the_topics_that_mean_the_device(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False, apps=Apps(o="operator")) as dialect:
                _, client = await attached(dialect)
                await client.subscribe("v1/devices/me/rpc/request/+", "v2/#")
                operator = await connected(dialect, "o", 5, username="hpa_operator")
                await operator.publish("v1/devices/me/rpc/request/1", b"{}", 1)
                await operator.publish("v2/r/req/1", b"{}", 1)
                assert await client.read() == []

        anyrun(scene())

    def test_a_device_sees_its_own_space_and_what_is_common(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                _, one = await attached(dialect, "one")
                _, two = await attached(dialect, "two")
                granted = ["#", "devices/+/temp", "devices/one/#", "common"]
                assert (await one.subscribe(*granted))[0] == [0, 0, 0, 0]
                refused = ["devices/two/#", "$SYS/#", "$share/g/devices/two/temp"]
                assert (await one.subscribe(*refused))[0] == [0x87] * 3
                await two.publish("devices/two/temp", b"1")
                await two.publish("common", b"2")
                await one.publish("devices/one/temp", b"3")
                await turn()
                got = [(m.topic, m.payload) for m in [*one.seen, *await one.read()] if isinstance(m, Publish)]
                assert got == [("common", b"2"), ("devices/one/temp", b"3")]

        anyrun(scene())

    def test_a_viewer_may_not_write(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False, apps=Apps(v="viewer", o="operator")) as dialect:
                viewer = await connected(dialect, "v", 5, username="hpa_viewer")
                operator = await connected(dialect, "o", 5, username="hpa_operator")
                assert (await viewer.publish("a", b"x", 1))[0].reason == 0x87
                assert (await operator.publish("a", b"x", 1))[0].reason == 0x10
                assert (await operator.publish("devices/x/temp", b"1", 1))[0].reason == 0x87

        anyrun(scene())


class TestWatching:
    def test_a_program_sees_readings_of_every_dialect_when_they_are_durable(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False, apps=Apps(v="viewer")) as dialect:
                device, client = await attached(dialect, "one")
                await client.publish("devices/one", b'{"temp":1,"note":"hi"}', 1)
                app = await connected(dialect, "app", 4, username="hpa_viewer")
                _, got = await app.subscribe("devices/+/+", qos=1)
                assert [(m.topic, m.payload, m.retain) for m in got] == [
                    ("devices/one/temp", b"1", True),
                    ("devices/one/note", b"hi", True),
                ]
                from hub.hubs import NotingSession

                dialect.hub.ingest(NotingSession(), device, [(None, "temp", 2.5), (None, "up", True)], None)
                got = await app.read()
                assert [(m.topic, m.payload, m.qos, m.retain) for m in got] == [
                    ("devices/one/temp", b"2.5", 1, False),
                    ("devices/one/up", b"true", 1, False),
                ]
                assert (await app.subscribe("devices/two/#", "devices/one/temp"))[1][0].payload == b"2.5"

        anyrun(scene())

    def test_costs_nothing_while_nobody_does(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                _, client = await attached(dialect, "one")
                await client.publish("devices/one/temp", b"1", 1)
                assert dialect.broker.published == 0
                assert dialect.broker.routes._cache == {}

        anyrun(scene())
