"""Messages through the broker: qualities of service, retained ones, wills, subscriptions' options, limits."""

from __future__ import annotations

import pytest

from hardpoint.testing import FakeClock
from hardpoint.wire.mqtt import properties as p
from hardpoint.wire.mqtt.packets import (
    Ack,
    Connect,
    Disconnect,
    Filter,
    Publish,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    Will,
)
from hardpoint.wire.mqtt.reasons import SERVER_SHUTTING_DOWN
from hub.hubs import FULL

from .mqtts import Client, HeldStore, connected, open_dialect, turn


class TestDelivery:
    @pytest.mark.parametrize(("published", "subscribed"), [(a, b) for a in range(3) for b in range(3)])
    @pytest.mark.parametrize("version", [3, 4, 5])
    def test_at_the_lower_quality(self, anyrun, published, subscribed, version):
        async def scene():
            async with open_dialect() as dialect:
                receiver = await connected(dialect, "r", version)
                assert (await receiver.subscribe("a/+", qos=subscribed))[0] == [subscribed]
                sender = await connected(dialect, "s")
                said = await sender.publish("a/b", b"\0x", published)
                assert said == ([], [Ack(p.PUBACK, 5)], [Ack(p.PUBREC, 5)])[published]
                if published == 2:
                    assert await sender.ask(Ack(p.PUBREL, 5)) == [Ack(p.PUBCOMP, 5)]  # [MQTT-4.3.3-11]
                got = await receiver.read()
                qos = min(published, subscribed)  # [MQTT-3.8.4-8]
                assert got == [Publish("a/b", b"\0x", qos, packet_id=1 if qos else 0)]
                if qos == 1:
                    assert await receiver.ask(Ack(p.PUBACK, 1)) == []
                elif qos == 2:
                    assert await receiver.ask(Ack(p.PUBREC, 1)) == [Ack(p.PUBREL, 1)]
                    assert await receiver.ask(Ack(p.PUBCOMP, 1)) == []
                assert all(not session.in_flight for session in dialect.broker.sessions.values())
                assert dialect.broker.queued_bytes == 0

        anyrun(scene())

    def test_of_qos_2_once_however_often_it_is_sent(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                receiver = await connected(dialect, "r")
                await receiver.subscribe("a")
                sender = await connected(dialect, "s")
                for dup in (False, True):
                    assert await sender.publish("a", b"x", 2, dup=dup) == [Ack(p.PUBREC, 5)]
                await sender.ask(Ack(p.PUBREL, 5))
                await sender.publish("a", b"y", 2)
                assert await receiver.messages() == [("a", b"x"), ("a", b"y")]  # [MQTT-4.3.3-10]

        anyrun(scene())

    def test_of_qos_1_twice_under_one_identifier_are_two(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                watcher = await connected(dialect, "w")
                await watcher.subscribe("a")
                client = await connected(dialect, "c")
                await client.publish("a", b"1", 1, packet_id=5)
                await client.publish("a", b"2", 1, packet_id=5, dup=True)
                assert await watcher.messages() == [("a", b"1"), ("a", b"2")]

        anyrun(scene())

    def test_keeps_its_order_and_its_window(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                receiver = await connected(dialect, "r", 5, properties={p.RECEIVE_MAXIMUM: 2})
                await receiver.subscribe("a", qos=1)
                sender = await connected(dialect, "s")
                for number in range(6):
                    await sender.publish("a", b"%d" % number, 1, packet_id=number + 1)
                got = await receiver.read()
                assert [packet.payload for packet in got] == [b"0", b"1"]  # [MQTT-3.3.4-9]
                for _ in range(5):
                    got += await receiver.ask(Ack(p.PUBACK, got[-1].packet_id - 1 or got[0].packet_id))
                    if len(got) < 6:
                        continue
                    break
                while len(got) < 6:
                    got += await receiver.ask(Ack(p.PUBACK, got[-1].packet_id))
                assert [packet.payload for packet in got] == [b"%d" % n for n in range(6)]  # [MQTT-4.6.0-6]

        anyrun(scene())

    def test_says_when_nobody_has_subscribed(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                sender = await connected(dialect, "s", 5)
                assert await sender.publish("a", b"x", 1) == [Ack(p.PUBACK, 5, 0x10)]
                assert await sender.publish("a", b"x", 2) == [Ack(p.PUBREC, 5, 0x10)]

        anyrun(scene())

    def test_says_so_behind_a_commit_as_well(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                sender = await connected(dialect, "s", 5, properties={p.SESSION_EXPIRY_INTERVAL: 60})
                assert await sender.publish("a", b"x", 1, retain=True) == [Ack(p.PUBACK, 5, 0x10)]  # it is stored
                assert await sender.publish("a", b"x", 2) == [Ack(p.PUBREC, 5, 0x10)]  # its identifier is

        anyrun(scene())

    @pytest.mark.parametrize("kind", [p.PUBREC, p.PUBREL])
    def test_unknown_identifiers(self, anyrun, kind):
        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, version=5)
                assert await client.ask(Ack(kind, 7)) == [Ack(kind + 1, 7, 0x92)]
                assert await client.ask(Ack(p.PUBACK, 7), Ack(p.PUBCOMP, 7)) == []

        anyrun(scene())

    def test_more_than_the_receive_maximum(self, anyrun):
        async def scene():
            async with open_dialect(receive_maximum=2) as dialect:
                client = await connected(dialect, version=5)
                for number in (1, 2):
                    await client.publish("a", b"x", 2, packet_id=number)
                await client.publish("a", b"x", 2, packet_id=2)  # again: it counts once
                said = await client.publish("a", b"x", 2, packet_id=3)  # [MQTT-3.3.4-7]
                assert said[0].reason == 0x93

        anyrun(scene())

    def test_too_large_for_the_receiver(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                receiver = await connected(dialect, "r", 5, properties={p.MAXIMUM_PACKET_SIZE: 100})
                await receiver.subscribe("a", qos=1)
                sender = await connected(dialect, "s")
                await sender.publish("a", b"x" * 200, 1)
                await sender.publish("a", b"x" * 200)
                await sender.publish("a", b"small", 1)
                assert await receiver.messages() == [("a", b"small")]  # [MQTT-3.1.2-24], -25
                assert dialect.broker.dropped == 2

        anyrun(scene())

    def test_too_large_for_us(self, anyrun):
        async def scene():
            async with open_dialect(max_packet_bytes=1024) as dialect:
                client = await connected(dialect, version=5)
                said = await client.publish("a", b"x" * 2000)
                assert said[0].reason == 0x95

        anyrun(scene())

    def test_leaves_in_one_write_a_turn(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                receiver = await connected(dialect, "r")
                await receiver.subscribe("a")
                sender = await connected(dialect, "s")
                before = receiver.transport.writes
                sender.send(*(Publish("a", b"x") for _ in range(50)))
                await turn()
                assert receiver.transport.writes == before + 1
                assert len(await receiver.read()) == 50

        anyrun(scene())

    def test_who_does_not_read_loses_qos_0_and_no_more(self, anyrun):
        async def scene():
            async with open_dialect(max_unread_bytes=4096) as dialect:
                receiver = await connected(dialect, "r")
                await receiver.subscribe("a", qos=1)
                sender = await connected(dialect, "s")
                receiver.transport.stop_taking()
                for number in range(10):
                    await sender.publish("a", b"x" * 1000)
                    await sender.publish("a", b"%d" % number, 1, packet_id=number + 1)
                assert dialect.broker.dropped
                receiver.transport.go_on_taking()
                got = []
                for _ in range(10):
                    got += [payload for _, payload in await receiver.messages() if len(payload) == 1]
                assert got == [b"%d" % number for number in range(10)]

        anyrun(scene())


class TestProperties:
    def test_go_on_as_they_are(self, anyrun):
        async def scene():
            clock = FakeClock()
            async with open_dialect(clock=clock) as dialect:
                receiver = await connected(dialect, "r", 5)
                await receiver.subscribe("a", qos=1, properties={p.SUBSCRIPTION_IDENTIFIER: [7]})
                old = await connected(dialect, "o", 4)
                await old.subscribe("a")
                sender = await connected(dialect, "s", 5)
                own = {
                    p.PAYLOAD_FORMAT_INDICATOR: 1,
                    p.CONTENT_TYPE: "t",
                    p.RESPONSE_TOPIC: "r",
                    p.CORRELATION_DATA: b"\0",
                    p.USER_PROPERTY: [("b", "1"), ("a", "2"), ("b", "3")],
                }
                sent = {**own, p.MESSAGE_EXPIRY_INTERVAL: 60, p.TOPIC_ALIAS: 1}
                await sender.publish("a", b"x", 1, properties=sent)
                got = (await receiver.read())[0].properties
                assert got == {**own, p.MESSAGE_EXPIRY_INTERVAL: 60, p.SUBSCRIPTION_IDENTIFIER: [7]}
                assert await old.messages() == [("a", b"x")]

        anyrun(scene())

    def test_expired_messages_are_not_sent_and_the_others_say_what_is_left(self, anyrun):
        async def scene():
            clock = FakeClock()
            async with open_dialect(clock=clock) as dialect:
                receiver = await connected(dialect, "r", 5, properties={p.SESSION_EXPIRY_INTERVAL: 100})
                await receiver.subscribe("a", qos=1)
                await receiver.ask(Disconnect())
                sender = await connected(dialect, "s", 5)
                for expiry_s in (5, 20):
                    await sender.publish("a", b"%d" % expiry_s, 1, properties={p.MESSAGE_EXPIRY_INTERVAL: expiry_s})
                clock.advance(s=8)
                receiver = Client(dialect, 5)
                receiver.send(Connect(5, "r", False, properties={p.SESSION_EXPIRY_INTERVAL: 100}))
                _, got = await receiver.read()  # [MQTT-3.3.2-5]
                assert (got.payload, got.properties) == (b"20", {p.MESSAGE_EXPIRY_INTERVAL: 12})  # [MQTT-3.3.2-6]
                await receiver.ask(Ack(p.PUBACK, got.packet_id))
                assert dialect.broker.queued_bytes == 0

        anyrun(scene())

    def test_aliases_from_a_client(self, anyrun):
        async def scene():
            async with open_dialect(max_topic_aliases=2) as dialect:
                receiver = await connected(dialect, "r")
                await receiver.subscribe("#")
                sender = await connected(dialect, "s", 5)
                for topic, alias in (("a", 1), ("", 1), ("b", 1), ("", 1), ("c", 2)):
                    await sender.publish(topic, b"x", properties={p.TOPIC_ALIAS: alias})
                assert [topic for topic, _ in await receiver.messages()] == ["a", "a", "b", "b", "c"]
                assert (await sender.publish("d", properties={p.TOPIC_ALIAS: 3}))[0].reason == 0x94  # [MQTT-3.3.2-9]
                other = await connected(dialect, "o", 5)
                assert (await other.publish("", properties={p.TOPIC_ALIAS: 1}))[0].reason == 0x82  # [MQTT-3.3.2-7]

        anyrun(scene())

    def test_aliases_to_a_client(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                receiver = await connected(
                    dialect, "r", 5, properties={p.TOPIC_ALIAS_MAXIMUM: 1, p.MAXIMUM_PACKET_SIZE: 50}
                )
                await receiver.subscribe("#")
                sender = await connected(dialect, "s")
                await sender.publish("long", b"x" * 60)
                for topic in ("a", "a", "b"):
                    await sender.publish(topic)
                got = await receiver.read()
                assert [(packet.topic, packet.properties.get(p.TOPIC_ALIAS)) for packet in got] == [
                    ("a", 1),
                    ("", 1),
                    ("b", None),
                ]  # [MQTT-3.1.2-26]

        anyrun(scene())


class TestRetained:
    def test_the_last_one_of_each_topic(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                sender = await connected(dialect, "s")
                for topic, payload in (("a/1", b"old"), ("a/1", b"new"), ("a/2", b"x"), ("b", b"y"), ("a/2", b"")):
                    await sender.publish(topic, payload, retain=True)
                receiver = await connected(dialect, "r")
                _, got = await receiver.subscribe("a/+", "b")
                assert got == [Publish("a/1", b"new", retain=True), Publish("b", b"y", retain=True)]
                await sender.publish("a/1", b"live", retain=True)
                assert await receiver.read() == [Publish("a/1", b"live")]  # [MQTT-3.3.1-12]

        anyrun(scene())

    @pytest.mark.parametrize(("handling", "first", "again"), [(0, True, True), (1, True, False), (2, False, False)])
    def test_handling(self, anyrun, handling, first, again):
        async def scene():
            async with open_dialect() as dialect:
                sender = await connected(dialect, "s", 5)
                await sender.publish("a", retain=True)
                receiver = await connected(dialect, "r", 5)
                assert bool((await receiver.subscribe("a", retain_handling=handling))[1]) is first
                assert bool((await receiver.subscribe("a", retain_handling=handling))[1]) is again
                assert (await receiver.subscribe("$share/g/a"))[1] == []  # §4.8.2

        anyrun(scene())

    def test_limits(self, anyrun, caplog):
        async def scene():
            async with open_dialect(max_retained_messages=2, max_retained_bytes=10_000) as dialect:
                sender = await connected(dialect, "s")
                for topic in ("a", "b", "c"):
                    await sender.publish(topic, retain=True)
                await sender.publish("a", b"x" * 20_000, retain=True)
                assert (len(dialect.broker.retained), dialect.broker.retained.refused) == (2, 2)
                assert dialect.broker.retained.get("a").payload == b"x"
                dialect.tick()

        anyrun(scene())
        assert "mqtt.max_retained_… is reached" in caplog.text

    def test_expire(self, anyrun):
        async def scene():
            clock = FakeClock()
            async with open_dialect(clock=clock) as dialect:
                sender = await connected(dialect, "s", 5)
                await sender.publish("a", retain=True, properties={p.MESSAGE_EXPIRY_INTERVAL: 5})
                clock.advance(s=6)
                assert (await sender.subscribe("a"))[1] == []
                clock.advance(s=60)
                dialect.broker.tick()
                assert len(dialect.broker.retained) == 0

        anyrun(scene())

    def test_many_of_them_go_at_the_pace_of_the_reader(self, anyrun):
        async def scene():
            async with open_dialect(max_unread_bytes=4096) as dialect:
                sender = await connected(dialect, "s")
                for number in range(40):
                    await sender.publish(f"a/{number}", b"x" * 5000, retain=True)
                receiver = await connected(dialect, "r")
                receiver.transport.stop_taking()
                receiver.send(Subscribe(1, [Filter("a/#")]))
                await turn()
                assert receiver.transport.get_write_buffer_size() < 20_000
                got = 0
                for _ in range(40):
                    receiver.transport.go_on_taking()
                    got += len(await receiver.messages())
                assert got == 40

        anyrun(scene())

    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_more_of_them_than_may_wait_are_not_lost(self, anyrun, qos):
        async def scene():
            async with open_dialect(max_queued_messages=5, max_inflight=2) as dialect:
                sender = await connected(dialect, "s")
                for number in range(30):
                    await sender.publish(f"a/{number}", b"%d" % number, 1, retain=True)
                receiver = await connected(dialect, "r")
                _, got = await receiver.subscribe("a/#", qos=qos)
                while fresh := [packet for packet in got if isinstance(packet, Publish) and packet.qos]:
                    kind = p.PUBACK if qos == 1 else p.PUBREC
                    receiver.send(*(Ack(kind, packet.packet_id) for packet in fresh))
                    if qos == 2:
                        receiver.send(*(Ack(p.PUBCOMP, packet.packet_id) for packet in fresh))
                    got = await receiver.read()
                payloads = [packet.payload for packet in receiver.seen if isinstance(packet, Publish)]
                assert sorted(payloads, key=int) == [b"%d" % number for number in range(30)]
                assert dialect.broker.dropped == 0
                assert dialect.broker.queued_bytes == 0

        anyrun(scene())


class TestSubscriptions:
    def test_overlapping_ones_give_one_message_with_every_identifier(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                receiver = await connected(dialect, "r", 5)
                await receiver.subscribe("a/#", qos=0, properties={p.SUBSCRIPTION_IDENTIFIER: [1]})
                await receiver.subscribe("a/+", qos=1, properties={p.SUBSCRIPTION_IDENTIFIER: [2]})
                sender = await connected(dialect, "s")
                await sender.publish("a/b", b"x", 1)
                got = await receiver.read()
                assert [(m.qos, sorted(m.properties[p.SUBSCRIPTION_IDENTIFIER])) for m in got] == [(1, [1, 2])]

        anyrun(scene())

    def test_no_local_and_retain_as_published(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, "c", 5)
                await client.subscribe("a", no_local=True, retain_as_published=True, retain_handling=2)
                assert await client.publish("a") == []  # [MQTT-3.8.3-3]
                other = await connected(dialect, "o")
                await other.publish("a", retain=True)
                assert await client.read() == [Publish("a", b"x", retain=True)]  # [MQTT-3.3.1-13]
                said = await client.ask(Subscribe(1, [Filter("$share/g/a", no_local=True)]))  # [MQTT-3.8.3-4]
                assert said[0].reason == 0x82

        anyrun(scene())

    def test_shared_ones_take_turns(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                members = [await connected(dialect, f"m{n}", 5) for n in range(3)]
                for member in members:
                    await member.subscribe("$share/g/a/+", qos=1)
                sender = await connected(dialect, "s")
                for _ in range(9):
                    await sender.publish("a/b", b"x", 1)
                assert [len(await member.messages()) for member in members] == [3, 3, 3]
                members[0].transport.lose()
                for _ in range(4):
                    await sender.publish("a/b", b"x", 1)
                assert [len(await member.messages()) for member in members[1:]] == [2, 2]
                assert await members[1].ask(Unsubscribe(3, ["$share/g/a/+"])) == [UnsubAck(3, [0])]
                await sender.publish("a/b")
                assert [len(await member.messages()) for member in members[1:]] == [0, 1]

        anyrun(scene())

    def test_unsubscribe(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, "c", 5)
                await client.subscribe("a", "b/#")
                said = await client.ask(Unsubscribe(3, ["a", "b/#", "c"]))
                assert said == [UnsubAck(3, [0, 0, 0x11])]  # [MQTT-3.10.4-4], §3.11.3
                await client.publish("a")
                assert await client.publish("b/c") == []
                assert (dialect.broker.routes.count, dialect.broker.routes.watches_devices) == (0, 0)

        anyrun(scene())

    def test_unsubscribe_means_that_filter_and_no_other(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, "c", 5)
                await client.subscribe("a/+", "a/#")
                others = ["a/b", "a/", "A/+", "+/+", "#", "$share/g/a/+"]  # [MQTT-3.10.4-1]: character by character
                assert await client.ask(Unsubscribe(3, others)) == [UnsubAck(3, [0x11] * len(others))]
                assert len(await client.publish("a/b")) == 1
                assert await client.ask(Unsubscribe(4, ["a/#"])) == [UnsubAck(4, [0])]
                assert await client.publish("a/b/c") == []  # [MQTT-3.10.4-2]
                assert len(await client.publish("a/b")) == 1

        anyrun(scene())

    @pytest.mark.parametrize(("version", "reason"), [(5, 0x8F), (4, 0x80)])
    def test_what_is_no_filter(self, anyrun, version, reason):
        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, "c", version)
                assert (await client.subscribe("a", "a/#/b", "b"))[0] == [0, reason, 0]

        anyrun(scene())

    def test_limit(self, anyrun):
        async def scene():
            async with open_dialect(max_subscriptions_per_client=1) as dialect:
                client = await connected(dialect, "c", 5)
                assert (await client.subscribe("a", "b", "a", qos=1))[0] == [1, 0x97, 1]

        anyrun(scene())

    def test_sys_topics(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, "c")
                assert (await client.subscribe("#"))[1] == []  # [MQTT-4.7.2-1]
                _, got = await client.subscribe("$SYS/broker/clients/connected", "$SYS/broker/version")
                assert [(m.topic, m.payload, m.retain) for m in got] == [
                    ("$SYS/broker/clients/connected", b"1", True),
                    ("$SYS/broker/version", b"hardpoint 9.9", True),
                ]
                await connected(dialect, "d")
                dialect.sys_topics.tick(1e9)
                assert ("$SYS/broker/clients/connected", b"2") in await client.messages()
                assert (await client.publish("$SYS/x", b"x", 1)) == []
                assert client.closed  # 3.1.1 has no word for a refusal ([MQTT3-3.3.5-2])

        anyrun(scene())


class TestWills:
    @pytest.mark.parametrize("version", [3, 4, 5])
    def test_of_who_goes_without_a_word(self, anyrun, version):
        async def scene():
            async with open_dialect() as dialect:
                watcher = await connected(dialect, "w")
                await watcher.subscribe("will/+")
                client = await connected(dialect, "c", version, will=Will("will/c", b"gone", 1, True))
                client.transport.lose()  # [MQTT-3.1.2-8]
                assert await watcher.messages() == [("will/c", b"gone")]
                assert dialect.broker.retained.get("will/c").payload == b"gone"  # [MQTT-3.1.2-15]

        anyrun(scene())

    @pytest.mark.parametrize(("reason", "published"), [(0, False), (4, True)])
    def test_of_who_says_goodbye(self, anyrun, reason, published):
        async def scene():
            async with open_dialect() as dialect:
                watcher = await connected(dialect, "w")
                await watcher.subscribe("will")
                client = await connected(dialect, "c", 5, will=Will("will", b"gone"))
                await client.ask(Disconnect(reason))  # [MQTT-3.14.4-3]
                assert bool(await watcher.messages()) is published

        anyrun(scene())

    def test_with_a_delay(self, anyrun):
        async def scene():
            clock = FakeClock()
            async with open_dialect(clock=clock) as dialect:
                watcher = await connected(dialect, "w")
                await watcher.subscribe("will")
                kept = {"properties": {p.SESSION_EXPIRY_INTERVAL: 20}, "clean_start": False}
                will = Will("will", b"gone", properties={p.WILL_DELAY_INTERVAL: 10})
                client = await connected(dialect, "c", 5, will=will, **kept)
                client.transport.lose()
                clock.advance(s=9)
                dialect.broker.tick()
                assert await watcher.messages() == []
                client = await connected(dialect, "c", 5, will=will, **kept)  # [MQTT-3.1.3-9]
                clock.advance(s=60)
                dialect.broker.tick()
                client.transport.lose()
                clock.advance(s=10)
                dialect.broker.tick()
                assert await watcher.messages() == [("will", b"gone")]
                long = Will("will", b"end", properties={p.WILL_DELAY_INTERVAL: 100})
                client = await connected(dialect, "c", 5, will=long, **kept)
                client.transport.lose()
                clock.advance(s=20)
                dialect.broker.tick()  # at the end of the session at latest
                assert await watcher.messages() == [("will", b"end")]

        anyrun(scene())

    def test_where_it_may_not_write(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = Client(dialect, 5)
                assert (await client.connect(will=Will("$SYS/x", b"x"))).reason == 0x87

        anyrun(scene())


KEPT = {"properties": {p.SESSION_EXPIRY_INTERVAL: 100}, "clean_start": False}


class TestSessions:
    @pytest.mark.parametrize(("version", "fields"), [(4, {"clean_start": False}), (5, KEPT)])
    def test_wait_for_their_client(self, anyrun, version, fields):
        async def scene():
            async with open_dialect() as dialect:
                client = Client(dialect, version)
                assert not (await client.connect(**fields)).session_present
                await client.subscribe("a", qos=1)
                await client.subscribe("b", qos=0)
                await client.ask(Disconnect())
                sender = await connected(dialect, "s")
                await sender.publish("a", b"1", 1)
                await sender.publish("b", b"lost", 1)
                client = Client(dialect, version)
                client.send(Connect(version, "c", **fields))
                answer, *got = await client.read()
                assert answer.session_present  # [MQTT-3.2.2-3]
                assert [packet.payload for packet in got] == [b"1"]
                client.transport.lose()
                client = Client(dialect, version)
                client.send(Connect(version, "c", **fields))
                _, again = await client.read()
                assert (again.payload, again.dup, again.packet_id) == (b"1", True, got[0].packet_id)  # [MQTT-4.4.0-1]
                fresh = Client(dialect, version)
                assert not (await fresh.connect()).session_present  # [MQTT-3.1.2-4]
                assert dialect.broker.queued_bytes == 0

        anyrun(scene())

    def test_release_goes_out_again(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, "c", 4, clean_start=False)
                await client.subscribe("a", qos=2)
                await client.publish("a", b"x", 2)
                await client.ask(Ack(p.PUBREC, 1))
                client.transport.lose()
                client = Client(dialect, 4)
                client.send(Connect(4, "c", clean_start=False))
                assert (await client.read())[1:] == [Ack(p.PUBREL, 1)]
                assert await client.publish("a", b"x", 2, dup=True) == [Ack(p.PUBREC, 5)]  # received before
                assert await client.ask(Ack(p.PUBREL, 5), Ack(p.PUBCOMP, 1)) == [Ack(p.PUBCOMP, 5)]

        anyrun(scene())

    def test_end(self, anyrun):
        async def scene():
            clock = FakeClock()
            async with open_dialect(clock=clock) as dialect:
                client = await connected(dialect, "c", 5, **KEPT)
                await client.subscribe("a", qos=1)
                await client.ask(Disconnect(0, {p.SESSION_EXPIRY_INTERVAL: 10}))
                clock.advance(s=9)
                dialect.broker.tick()
                assert len(dialect.broker.sessions) == 1
                clock.advance(s=1)
                dialect.broker.tick()
                assert dialect.broker.sessions == {}
                assert dialect.broker.routes.count == 0

        anyrun(scene())

    def test_queues_have_limits(self, anyrun, caplog):
        async def scene():
            async with open_dialect(max_queued_messages=3, max_queued_bytes=2000) as dialect:
                client = await connected(dialect, "c", 5, **KEPT)
                await client.subscribe("a", qos=1)
                await client.ask(Disconnect())
                sender = await connected(dialect, "s", 5)
                await sender.publish("a", b"x" * 2000, 1)
                for _ in range(5):
                    assert (await sender.publish("a", b"x", 1))[0].reason == 0
                assert dialect.broker.drops == {"not_read": 0, "queue_full": 3, "too_large": 0, "expired": 0}
                assert len(dialect.broker.sessions["/c"].queue) == 3
                dialect.tick()
                dialect.tick()
                metrics = {name: values for name, _, _, values in dialect.metrics()}
                assert metrics["mqtt_dropped_total"]["queue_full"] == 3.0
                assert metrics["mqtt_held"]["sessions"] == 2.0

        anyrun(scene())
        assert [record.getMessage() for record in caplog.records] == [
            "messages were dropped: raise mqtt.max_queued_… or end sessions that nobody comes back to"
        ]


class TestHoarding:
    """Clients that let what they are sent pile up: they acknowledge nothing, so the window stays full."""

    def test_behind_a_full_window_qos_0_of_a_share_has_a_limit(self, anyrun):
        async def scene():
            async with open_dialect(max_inflight=1, max_queued_messages=3) as dialect:
                receiver = await connected(dialect, "r")
                await receiver.subscribe("$share/g/a", qos=1)
                sender = await connected(dialect, "s")
                for qos in (1, 1, *[0] * 20):
                    await sender.publish("a", b"x", qos)
                (session,) = (each for key, each in dialect.broker.sessions.items() if key.endswith("r"))
                assert len(session.queue) == 3
                assert dialect.broker.drops["queue_full"] == 18

        anyrun(scene())

    def test_answers_that_a_device_asks_for_have_a_limit(self, anyrun):
        async def scene():
            async with open_dialect(max_inflight=1, max_queued_messages=3) as dialect:
                device = await connected(dialect, "d", username="board")
                await device.subscribe("v1/devices/me/attributes/response/+", qos=1)
                for number in range(20):
                    await device.publish(f"v1/devices/me/attributes/request/{number}", b"{}")
                assert len(device.connection.session.queue) == 3
                assert dialect.broker.drops["queue_full"] == 16

        anyrun(scene())

    def test_a_broken_connection_is_not_written_to(self, anyrun):
        """What came before it broke is still handled, and each write would be a warning in the log."""

        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, "c")
                client.transport.feed(PINGS)
                assert client.transport.writes > 5
                client.transport.close()
                before = client.transport.writes
                client.connection.data_received(PINGS)
                await turn()
                assert client.transport.writes == before

        anyrun(scene())

    @pytest.mark.parametrize("published_first", [True, False])
    def test_retained_messages_that_wait_are_limited_in_bytes(self, anyrun, published_first):
        async def scene():
            limits = {"max_queued_bytes": 4000, "max_retained_bytes": 4000, "max_inflight": 1}
            async with open_dialect(**limits) as dialect:
                receiver = await connected(dialect, "r", 5)
                if not published_first:
                    await receiver.subscribe("a", qos=1, retain_as_published=True)
                sender = await connected(dialect, "s")
                for _ in range(20):  # each takes the former one's place as the retained one
                    await sender.publish("a", b"x" * 1000, 1, retain=True)
                    if published_first:
                        await receiver.subscribe("a", qos=1)
                assert 4000 < receiver.connection.session.queued_bytes <= 8000
                assert dialect.broker.drops["queue_full"] > 10

        anyrun(scene())

    def test_one_packet_of_many_filters_does_not_multiply_what_is_retained(self, anyrun):
        async def scene():
            async with open_dialect(max_retained_messages=10, max_queued_messages=5) as dialect:
                sender = await connected(dialect, "s")
                for number in range(10):
                    await sender.publish(f"a/{number}", retain=True)
                receiver = await connected(dialect, "r")
                granted, messages = await receiver.subscribe(*["#"] * 1000)
                assert (len(granted), len(messages)) == (1000, 10)
                granted, messages = await receiver.subscribe("#", "a/#", "+/#", "a/+", "+/+")
                assert (len(granted), len(messages)) == (5, 15)

        anyrun(scene())


class TestDisk:
    def test_is_not_touched_by_what_nobody_keeps(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_dialect(store) as dialect:
                receiver = await connected(dialect, "r")
                await receiver.subscribe("a", qos=2)
                sender = await connected(dialect, "s")
                before = len(store.batches)
                sender.send(*(Publish("a", b"x", qos, packet_id=qos) for qos in (1, 2)), Publish("a", b"x"))
                await turn()
                assert sender.decoder.receive(sender.transport.take()) == [Ack(p.PUBACK, 1), Ack(p.PUBREC, 2)]
                assert len(store.batches) == before

        anyrun(scene())

    @pytest.mark.parametrize(("qos", "answer"), [(1, p.PUBACK), (2, p.PUBREC)])
    def test_is_waited_for_where_a_session_is_kept(self, anyrun, qos, answer):
        async def scene():
            store = HeldStore()
            async with open_dialect(store) as dialect:
                receiver = await connected(dialect, "r", clean_start=False)
                await receiver.subscribe("a", qos=1)
                sender = await connected(dialect, "s")
                store.held = True
                sender.send(Publish("a", b"x", qos, packet_id=1), Publish("b", b"x", qos, packet_id=2))
                await turn()
                assert sender.transport.take() == b""  # also what needs no disk: in order ([MQTT-4.6.0-2], -3)
                store.held = False
                store.release()
                assert await sender.read() == [Ack(answer, 1), Ack(answer, 2)]

        anyrun(scene())

    @pytest.mark.parametrize("kept", [False, True])
    def test_is_waited_for_before_an_identifier_is_free_again(self, anyrun, kept):
        """Else a server that was killed would take the next message of this identifier for the one it still knows."""

        async def scene():
            store = HeldStore()
            async with open_dialect(store) as dialect:
                sender = await connected(dialect, "s", clean_start=not kept)
                await sender.publish("a", b"x", 2, 7)
                store.held = True
                sender.send(Ack(p.PUBREL, 7), Ack(p.PUBREL, 8))
                await turn()
                said = sender.decoder.receive(sender.transport.take())
                assert said == ([] if kept else [Ack(p.PUBCOMP, 7), Ack(p.PUBCOMP, 8)])
                store.held = False
                while store.waiting:
                    store.release()
                assert await sender.read() == ([Ack(p.PUBCOMP, 7), Ack(p.PUBCOMP, 8)] if kept else [])

        anyrun(scene())

    def test_is_waited_for_before_a_message_of_qos_2_is_sent(self, anyrun):
        """Else a server that was killed would have sent it, and would send it again when its publisher does."""

        async def scene():
            store = HeldStore()
            async with open_dialect(store) as dialect:
                kept = await connected(dialect, "k", clean_start=False)
                other = await connected(dialect, "o")
                for receiver in (kept, other):
                    await receiver.subscribe("a", qos=2)
                sender = await connected(dialect, "s")
                store.held = True
                sender.send(Publish("a", b"x", 2, packet_id=5))
                await turn()
                assert kept.transport.take() == b""
                assert other.transport.take() != b""
                store.held = False
                store.release()
                assert await kept.read() == [Publish("a", b"x", 2, packet_id=1)]

        anyrun(scene())

    def test_is_waited_for_before_the_last_word(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_dialect(store) as dialect:
                await (await connected(dialect, "k", clean_start=False)).subscribe("a", qos=1)
                sender = await connected(dialect, "s", 5)
                store.held = True
                sender.send(Publish("a", b"x", 1, packet_id=5))
                sender.connection.disconnect(SERVER_SHUTTING_DOWN)
                await turn()
                assert sender.transport.take() == b""
                store.held = False
                while store.waiting:
                    store.release()
                said = await sender.read()
                assert [type(packet) for packet in said] == [Ack, Disconnect]  # [MQTT-3.14.4-1]
                assert sender.closed

        anyrun(scene())

    def test_is_waited_for_before_a_message_is_released(self, anyrun):
        """Else a server that was killed would send the message once more, to a client that has forgotten it."""

        async def scene():
            store = HeldStore()
            async with open_dialect(store) as dialect:
                receiver = await connected(dialect, "r", clean_start=False)
                await receiver.subscribe("a", qos=2)
                sender = await connected(dialect, "s")
                await sender.publish("a", b"x", 2)
                (message,) = await receiver.read()
                store.held = True
                receiver.send(Ack(p.PUBREC, message.packet_id))
                await turn()
                assert receiver.transport.take() == b""
                store.held = False
                store.release()
                assert await receiver.read() == [Ack(p.PUBREL, message.packet_id)]

        anyrun(scene())

    @pytest.mark.parametrize(("version", "said"), [(5, [Ack(p.PUBACK, 1, 0x97)]), (4, [])])
    def test_that_is_full_is_said(self, anyrun, version, said):
        async def scene():
            store = HeldStore()
            async with open_dialect(store) as dialect:
                receiver = await connected(dialect, "r", clean_start=False)
                await receiver.subscribe("a", qos=1)
                sender = await connected(dialect, "s", version, properties=REASONS_OFF if version == 5 else {})
                store.error = FULL
                sender.send(Publish("a", b"x", 1, packet_id=1))
                await turn(20)
                assert sender.decoder.receive(sender.transport.take()) == said
                assert sender.closed is (version == 4)
                store.error = None

        anyrun(scene())

    @pytest.mark.parametrize(("version", "reason"), [(5, 0x97), (4, 3)])
    def test_that_is_full_keeps_no_new_session(self, anyrun, version, reason):
        async def scene():
            store = HeldStore()
            async with open_dialect(store) as dialect:
                store.error = FULL
                client = Client(dialect, version)
                properties = {p.SESSION_EXPIRY_INTERVAL: 60} if version == 5 else {}
                client.send(Connect(version, "c", False, properties=properties))
                await turn(20)
                answers = client.decoder.receive(client.transport.take())
                assert [answer.reason for answer in answers] == [reason]
                assert client.closed
                store.error = None

        anyrun(scene())


PINGS = b"\xc0\x00" * 1000
REASONS_OFF = {p.REQUEST_PROBLEM_INFORMATION: 0}
