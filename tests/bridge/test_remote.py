"""The connection to the other broker: what it is sent, what it may send, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from hardpoint.bridge import remote
from hardpoint.hub.broker import Message
from hardpoint.wire.mqtt import properties as p
from hardpoint.wire.mqtt import reasons
from hardpoint.wire.mqtt.packets import ConnAck, Disconnect, Ping, Publish, SubAck

from .scripted import bridged, other_broker, puback, told, until

pytestmark = pytest.mark.usefixtures("impatient")


def publish(here, payload, qos=2, **more):
    here.broker.publish(Message("out/a", payload, qos, **more))


class TestTheOtherBroker:
    def test_is_told_who_we_are(self, anyrun, tmp_path):
        async def scene():
            secret = tmp_path / "secret"
            secret.write_text("site-7\nword\n")
            async with other_broker() as other, bridged(other, credentials=secret, session_expiry_s=60):
                link = await other.connected(present=False)
                asked = other.connect
                assert (asked.client_id, asked.username, asked.password) == ("us", "site-7", b"word")
                assert asked.properties == {
                    p.SESSION_EXPIRY_INTERVAL: 60,
                    p.RECEIVE_MAXIMUM: remote.RECEIVE_MAXIMUM,
                    p.MAXIMUM_PACKET_SIZE: remote.MAX_PACKET_BYTES,
                }
                link.cut()

        anyrun(scene())

    def test_is_sent_no_more_than_it_takes(self, anyrun):
        async def scene():
            async with other_broker() as other, bridged(other) as here:
                link = await other.connected(
                    present=False, MAXIMUM_QOS=1, RETAIN_AVAILABLE=0, MAXIMUM_PACKET_SIZE=200, RECEIVE_MAXIMUM=2
                )
                for payload in (b"1", b"x" * 300, b"2", b"3"):
                    publish(here, payload, retain=True)
                first, second = await link.next(), await link.next()
                assert [(each.payload, each.qos, each.retain) for each in (first, second)] == [
                    (b"1", 1, False), (b"2", 1, False),
                ]  # fmt: skip
                assert here.waiting == 3
                link.send(puback(first.packet_id))
                third = await link.next()
                assert third.payload == b"3"
                link.send(puback(second.packet_id), puback(third.packet_id))
                await until(lambda: not here.waiting)
                assert here.broker.drops["too_large"] == 1
                assert here.bridge.passed["out"] == 3

        anyrun(scene())

    def test_that_takes_qos_0_only_is_sent_that(self, anyrun):
        async def scene():
            async with other_broker() as other, bridged(other) as here:
                link = await other.connected(present=False, MAXIMUM_QOS=0)
                publish(here, b"x")
                assert told(await link.next()) == ("out/a", b"x", 0, False, 0)
                await until(lambda: not here.waiting)
                assert here.bridge.passed["out"] == 1

        anyrun(scene())

    def test_is_told_what_is_left_of_a_message_s_time(self, anyrun):
        async def scene():
            async with other_broker() as other, bridged(other) as here:
                link = await other.connected(present=False)
                publish(here, b"x", expires_ms=here.broker.clock_ms() + 600_000)
                left_s = (await link.next()).properties[p.MESSAGE_EXPIRY_INTERVAL]
                assert 0 < left_s <= 600  # [MQTT-3.3.2-6]: less what it has waited here
                publish(here, b"y")
                assert p.MESSAGE_EXPIRY_INTERVAL not in (await link.next()).properties

        anyrun(scene())

    def test_is_asked_whether_it_is_there(self, anyrun):
        async def scene():
            async with other_broker() as other, bridged(other, keep_alive_s=60) as here:
                link = await other.connected(present=False, SERVER_KEEP_ALIVE=1000)
                await until(lambda: here.bridge.connections)
                made = here.bridge._remote
                until_next_s = made._timer.when() - asyncio.get_running_loop().time()
                assert 400 < until_next_s <= 500  # twice in the time that the other broker wants
                made._heard_s -= 1400
                made._look(1000)
                publish(here, b"still there", 0)
                assert (await link.next()).payload == b"still there"
                assert link.pings == 2
                link.send(Ping(p.PINGRESP))
                await until(lambda: asyncio.get_running_loop().time() - made._heard_s < 1000)
                made._heard_s -= 1600
                made._look(1000)
                assert await link.next() == Disconnect(reasons.UNSPECIFIED_ERROR)
                await until(lambda: "nothing was heard" in here.bridge.error)

        anyrun(scene())

    @pytest.mark.parametrize(
        ("packets", "why"),
        [
            ([ConnAck(False, 0x87, {p.REASON_STRING: "go away"})], "not authorized (go away)"),
            ([Disconnect(0x9D, {p.SERVER_REFERENCE: "b:1883"})], "server moved (b:1883)"),
            ([Publish("in/a", b"x")], "something comes before CONNACK"),
            ([ConnAck(False, 0), ConnAck(False, 0)], "a second CONNACK"),
            ([ConnAck(False, 0), SubAck(65_535, [0x87])], "a filter of bridge.topics_in is refused: not authorized"),
        ],
    )
    def test_that_does_not_let_us_in(self, anyrun, packets, why):
        async def scene():
            async with other_broker() as other, bridged(other) as here:
                link = await other.link()
                link.send(*packets)
                await until(lambda: why in here.bridge.error)
                assert not here.bridge.describe()["connected"]
                while await link.next() is not None:
                    pass
                await other.connected(present=False)  # it is tried again
                await until(lambda: here.bridge.connections)

        anyrun(scene())

    @pytest.mark.parametrize(
        ("packets", "reason"),
        [
            ([Publish("in/a", b"x", properties={p.TOPIC_ALIAS: 1})], reasons.TOPIC_ALIAS_INVALID),
            ([Ping(p.PINGREQ)], reasons.PROTOCOL_ERROR),
        ],
    )
    def test_that_breaks_the_protocol_is_told(self, anyrun, packets, reason):
        async def scene():
            async with other_broker() as other, bridged(other) as here:
                link = await other.connected(present=False)
                link.send(*packets)
                while not isinstance(packet := await link.next(), Disconnect):
                    assert packet is not None
                assert packet.reason == reason
                assert await link.next() is None
                await until(lambda: "breaks the protocol" in here.bridge.error)

        anyrun(scene())

    def test_that_does_not_read_has_its_messages_wait(self, anyrun):
        async def scene():
            async with other_broker() as other, bridged(other) as here:
                link = await other.connected(present=False)
                await until(lambda: here.bridge.connections)
                payload = bytes(remote.MAX_UNSENT_BYTES)
                for _ in range(40):
                    publish(here, payload, 0)
                    await asyncio.sleep(0)
                    if here.bridge.full:
                        break
                assert here.bridge.full
                publish(here, b"dropped", 0)
                publish(here, b"waits")
                assert here.broker.drops["not_read"] == 1
                while (packet := await link.next()).payload != b"waits":
                    assert packet.payload == payload
                assert not here.bridge.full

        anyrun(scene())

    def test_is_not_read_while_the_store_is_behind(self, anyrun):
        async def scene():
            async with other_broker() as other, bridged(other) as here:
                link = await other.connected(present=False)
                await until(lambda: here.bridge.connections)
                here.bridge.pause_reading()
                link.send(Publish("in/a", b"x"))
                await link.writer.drain()
                for _ in range(20):
                    await asyncio.sleep(0)
                assert here.received == []
                here.bridge.resume_reading()
                await until(lambda: here.received == ["x"])

        anyrun(scene())

    def test_that_sends_more_than_it_may_is_answered(self, anyrun):
        async def scene():
            async with other_broker() as other, bridged(other) as here:
                link = await other.connected(present=False)
                count = remote.RECEIVE_MAXIMUM * 2
                link.send(*(Publish("in/a", b"%d" % number, 2, packet_id=number) for number in range(1, count + 1)))
                assert [(await link.next()).packet_id for _ in range(count)] == list(range(1, count + 1))
                assert len(here.received) == count

        anyrun(scene())

    def test_that_sends_much_at_once_is_handled_in_turns(self, anyrun):
        async def scene():
            async with other_broker() as other, bridged(other) as here:
                link = await other.connected(present=False)
                count = remote.MAX_PACKETS_A_TURN * 3
                link.send(*(Publish("in/a", b"%d" % number) for number in range(count)))
                await until(lambda: len(here.received) == count)
                assert here.received == [str(number) for number in range(count)]

        anyrun(scene())


def test_an_address_that_nobody_listens_at(anyrun):
    async def scene():
        async with other_broker() as other:
            port = other.port
        other.port = port
        async with bridged(other) as here:
            await until(lambda: "refused" in here.bridge.error.lower() or "connect" in here.bridge.error.lower())

    anyrun(scene())


def test_credentials_that_cannot_be_read(anyrun, tmp_path):
    async def scene():
        secret = tmp_path / "secret"
        async with other_broker() as other, bridged(other, credentials=secret) as here:
            await until(lambda: "No such file" in here.bridge.error)
            secret.write_text("a\nb\nc\n")
            await until(lambda: "user name in its first line" in here.bridge.error)

    anyrun(scene())
