"""QoS 2 over the bridge, both ways: at every step the connection is cut, or our process ends: nothing comes twice."""

from __future__ import annotations

import pytest

from hardpoint.errors import StorageFull
from hardpoint.hub.broker import Message
from hardpoint.wire.mqtt.packets import Publish
from hub.hubs import HeldStore

from .scripted import bridged, other_broker, pubcomp, pubrec, pubrel, told, until

pytestmark = pytest.mark.usefixtures("impatient")


def message(payload=b"x", qos=2):
    return Message("out/a", payload, qos)


class TestOut:
    def test_goes_on_where_the_connection_was_cut(self, run):
        async def scene():
            async with other_broker() as other, bridged(other) as here:
                link = await other.connected(present=False)
                here.broker.publish(message())
                assert told(await link.next()) == ("out/a", b"x", 2, False, 1)
                link.cut()
                link = await other.connected()
                assert told(await link.next()) == ("out/a", b"x", 2, True, 1)
                assert await link.ask(pubrec(1)) == pubrel(1)
                link.cut()
                link = await other.connected()
                assert await link.next() == pubrel(1)  # and not the message
                assert here.waiting == 1
                link.send(pubcomp(1))
                await until(lambda: not here.waiting)
                assert here.bridge.passed == {"in": 0, "out": 1}
                here.broker.publish(message(b"y"))
                assert told(await link.next()) == ("out/a", b"y", 2, False, 2)

        run(scene())

    def test_goes_on_where_the_process_ended(self, anyrun):
        async def scene():
            store = HeldStore()
            async with other_broker() as other:
                async with bridged(other, store) as here:
                    link = await other.connected(present=False)
                    here.broker.publish(message())
                    here.broker.publish(message(b"y"))
                    assert [told(await link.next())[1] for _ in range(2)] == [b"x", b"y"]
                    assert await link.ask(pubrec(1)) == pubrel(1)
                async with bridged(other, store) as here:
                    link = await other.connected()
                    assert not other.connect.clean_start
                    assert await link.next() == pubrel(1)
                    assert told(await link.next()) == ("out/a", b"y", 2, True, 2)
                    link.send(pubcomp(1), pubrec(2))
                    assert await link.next() == pubrel(2)
                    link.send(pubcomp(2))
                    await until(lambda: not here.waiting)

        anyrun(scene())

    def test_is_sent_when_it_is_on_disk(self, anyrun):
        async def scene():
            store = HeldStore()
            async with other_broker() as other, bridged(other, store) as here:
                link = await other.connected(present=False)
                await here.hub.commits.durable()
                store.held = True
                here.broker.publish(message())
                here.broker.publish(message(b"at once", 0))
                assert (await link.next()).payload == b"at once"
                await until(lambda: store.waiting)
                store.held = False
                store.release()
                assert (await link.next()).payload == b"x"

        anyrun(scene())

    def test_that_is_refused_is_not_offered_again(self, anyrun):
        async def scene():
            async with other_broker() as other, bridged(other) as here:
                link = await other.connected(present=False)
                here.broker.publish(message())
                assert (await link.next()).payload == b"x"
                link.send(pubrec(1, 0x87))
                await until(lambda: not here.waiting)
                assert here.bridge.drops["refused"] == 1
                assert await link.ask(pubrec(9)) == pubrel(9, 0x92)  # of that nothing is known

        anyrun(scene())

    def test_a_broker_that_has_forgotten_is_sent_what_it_had_not_taken(self, anyrun):
        async def scene():
            async with other_broker() as other, bridged(other) as here:
                link = await other.connected(present=False)
                for payload in (b"1", b"2", b"3"):
                    here.broker.publish(message(payload))
                    await link.next()
                assert await link.ask(pubrec(2)) == pubrel(2)
                link.cut()
                await until(lambda: here.bridge.error)
                here.broker.publish(message(b"4"))
                link = await other.connected(present=False)
                found = [told(await link.next()) for _ in range(3)]
                assert [(payload, dup) for _, payload, _, dup, _ in found] == [
                    (b"1", False), (b"3", False), (b"4", False),
                ]  # fmt: skip
                for *_, packet_id in found:
                    assert await link.ask(pubrec(packet_id)) == pubrel(packet_id)
                    link.send(pubcomp(packet_id))
                await until(lambda: not here.waiting)

        anyrun(scene())

    def test_a_bridge_without_a_past_begins_anew(self, anyrun):
        async def scene():
            async with other_broker() as other, bridged(other):
                link = await other.connected(present=False)
                assert other.connect.clean_start
                link.cut()
                await other.connected()
                assert not other.connect.clean_start

        anyrun(scene())


def theirs(payload=b"x", packet_id=7, *, dup=False):
    return Publish("in/a", payload, 2, dup=dup, packet_id=packet_id)


class TestIn:
    def test_is_published_once_whatever_is_cut(self, run):
        async def scene():
            async with other_broker() as other, bridged(other) as here:
                link = await other.connected(present=False)
                assert await link.ask(theirs()) == pubrec(7)
                link.cut()
                link = await other.connected()
                assert await link.ask(theirs(dup=True)) == pubrec(7)
                assert await link.ask(pubrel(7)) == pubcomp(7)
                link.cut()
                link = await other.connected()
                assert await link.ask(pubrel(7)) == pubcomp(7, 0x92)
                assert await link.ask(theirs(b"y")) == pubrec(7)  # another message by now
                assert here.received == ["x", "y"]
                assert here.bridge.passed == {"in": 2, "out": 0}

        run(scene())

    def test_is_published_once_when_the_process_ends_in_between(self, anyrun):
        async def scene():
            store = HeldStore()
            async with other_broker() as other:
                async with bridged(other, store) as here:
                    link = await other.connected(present=False)
                    assert await link.ask(theirs()) == pubrec(7)
                    assert here.received == ["x"]
                async with bridged(other, store) as here:
                    link = await other.connected()
                    assert await link.ask(theirs(dup=True)) == pubrec(7)
                    assert await link.ask(pubrel(7)) == pubcomp(7)
                    assert here.received == []

        anyrun(scene())

    def test_is_answered_when_it_is_on_disk(self, anyrun):
        async def scene():
            store = HeldStore()
            async with other_broker() as other, bridged(other, store) as here:
                link = await other.connected(present=False)
                await here.hub.commits.durable()
                store.held = True
                link.send(theirs(), Publish("in/a", b"y", 1, packet_id=8))
                await until(lambda: store.waiting)
                assert here.bridge._remote.answers_due == 2  # PUBACK waits behind PUBREC
                store.held = False
                store.release()
                assert await link.next() == pubrec(7)
                assert (await link.next()).packet_id == 8

        anyrun(scene())

    def test_that_cannot_be_stored_is_not_answered(self, anyrun):
        async def scene():
            store = HeldStore()
            async with other_broker() as other, bridged(other, store) as here:
                link = await other.connected(present=False)
                await here.hub.commits.durable()
                store.error = StorageFull("the disk is full")
                goodbye = await link.ask(theirs())
                assert type(goodbye).__name__ == "Disconnect"
                await until(lambda: "the disk is full" in here.bridge.error)
                store.error = None
                link = await other.connected()
                assert await link.ask(theirs(dup=True)) == pubrec(7)
                assert await link.ask(pubrel(7)) == pubcomp(7)
                assert here.received == ["x"]

        anyrun(scene())

    def test_of_a_broker_that_has_forgotten_is_another_message(self, anyrun):
        async def scene():
            async with other_broker() as other, bridged(other) as here:
                link = await other.connected(present=False)
                assert await link.ask(theirs()) == pubrec(7)
                link.cut()
                link = await other.connected(present=False)
                assert await link.ask(theirs(b"y")) == pubrec(7)
                assert here.received == ["x", "y"]

        anyrun(scene())

    def test_is_answered_also_where_it_is_dropped(self, anyrun):
        async def scene():
            async with other_broker() as other, bridged(other) as here:
                link = await other.connected(present=False)
                assert await link.ask(Publish("elsewhere", b"x", 2, packet_id=3)) == pubrec(3)
                assert await link.ask(pubrel(3)) == pubcomp(3)
                assert here.bridge.drops["unwanted"] == 1

        anyrun(scene())
