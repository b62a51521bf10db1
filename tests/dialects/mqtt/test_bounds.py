"""What one client may cost the others, sessions of one principal, and a disk that is full."""

from __future__ import annotations

import pytest

from hardpoint.dialects.mqtt.connection import MAX_MESSAGES_A_TURN, MAX_PACKETS_A_TURN
from hardpoint.hub.broker import Message
from hardpoint.wire.mqtt import properties as p
from hardpoint.wire.mqtt.encoder import PINGREQ, PINGRESP, encode, encode_publish
from hardpoint.wire.mqtt.packets import Ack, Connect, Disconnect, Publish
from hub.hubs import FULL

from .mqtts import Apps, Client, HeldStore, connected, open_dialect, turn

KEPT = {"properties": {p.SESSION_EXPIRY_INTERVAL: 100}, "clean_start": False}


class TestATurn:
    def test_of_a_flood_goes_on_in_the_next(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                flood, other = await connected(dialect, "f"), await connected(dialect, "o")
                flood.transport.feed(PINGREQ * (3 * MAX_PACKETS_A_TURN + 1) + b"\xc0")
                assert not flood.transport.is_reading()
                other.transport.feed(PINGREQ)
                assert other.transport.take() == b""  # everybody's answers leave at the end of the turn
                await turn(1)
                assert other.transport.take() == PINGRESP
                assert len(flood.transport.take()) <= 2 * len(PINGRESP) * MAX_PACKETS_A_TURN
                await turn(6)
                assert flood.transport.is_reading()
                flood.transport.feed(b"\x00")  # the packet that was not whole
                await turn()
                sent = flood.transport.take()
                assert sent == PINGRESP * (len(sent) // 2)
                assert dialect.broker.sessions["/f"].client is flood.connection

        anyrun(scene())

    def test_keeps_every_packet_in_order(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                watcher = await connected(dialect, "w")
                await watcher.subscribe("n", qos=1)
                client = await connected(dialect, "c")
                count = 3 * MAX_PACKETS_A_TURN
                client.transport.feed(b"".join(encode_publish(4, "n", b"%d" % n) for n in range(count)))
                client.connection.data_received(encode_publish(4, "n", b"last"))  # over TLS: it was read already
                got = []
                while len(got) <= count:
                    got += await watcher.messages()
                assert [payload for _, payload in got] == [b"%d" % n for n in range(count)] + [b"last"]

        anyrun(scene())

    def test_counts_what_goes_to_others(self, anyrun):
        async def scene():
            async with open_dialect(max_sessions=100) as dialect:
                watchers = [await connected(dialect, f"w{n}") for n in range(32)]
                for each in watchers:
                    await each.subscribe("n")
                client = await connected(dialect, "c")
                before = dialect.broker.delivered
                client.transport.feed(encode_publish(4, "n", b"x") * 300)
                assert MAX_MESSAGES_A_TURN <= dialect.broker.delivered - before < MAX_MESSAGES_A_TURN + 32
                await turn(8)
                assert dialect.broker.delivered - before == 300 * 32

        anyrun(scene())

    def test_what_breaks_the_protocol_is_said_behind_what_came_before(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, "c", 5)
                client.transport.feed(PINGREQ * (MAX_PACKETS_A_TURN + 3) + b"\xc1\x00" + PINGREQ)
                assert not client.closed
                await turn(4)
                *pings, last = await client.read()
                assert len(pings) == MAX_PACKETS_A_TURN + 3
                assert last.reason == 0x81

        anyrun(scene())

    def test_behind_a_connect(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = Client(dialect)
                many = MAX_PACKETS_A_TURN + 5
                client.transport.feed(encode(Connect(4, "c"), 4) + PINGREQ * many)
                await turn(4)
                assert len(await client.read()) == 1 + many

        anyrun(scene())


class TestSessions:
    def test_of_one_principal(self, anyrun):
        async def scene():
            apps = Apps(viewer="viewer")
            async with open_dialect(anonymous=False, apps=apps, max_sessions_per_principal=2) as dialect:
                _, token = await dialect.hub.create_device("box")
                first = await connected(dialect, "1", 5, username=token)
                await connected(dialect, "2", 5, username=token)
                client = Client(dialect, 5)
                refused = await client.connect("3", username=token)
                assert refused.reason == 0x97
                assert "max_sessions_per_principal (2)" in refused.properties[p.REASON_STRING]
                await connected(dialect, "2", 5, username=token)  # its own again
                await connected(dialect, "3", 5, username="hpa_viewer")
                first.transport.lose()
                await connected(dialect, "3", 5, username=token)

        anyrun(scene())

    def test_of_whoever_needs_no_token(self, anyrun):
        async def scene():
            async with open_dialect(max_sessions_per_principal=1) as dialect:
                for name in "abc":
                    await connected(dialect, name)

        anyrun(scene())

    def test_of_a_device_without_a_connection_go_with_it(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, token = await dialect.hub.create_device("box")
                _, other = await dialect.hub.create_device("box-2")
                away = await connected(dialect, "away", 5, username=token, **KEPT)
                await away.subscribe("a", qos=1)
                away.transport.lose()
                await connected(dialect, "here", 5, username=other, **KEPT)
                assert len(dialect.broker.sessions) == 2
                await dialect.hub.remove_device(device)
                assert list(dialect.broker.sessions) == ["box-2/here"]
                assert dialect.broker.routes.count == 0
                await dialect.hub.commits.durable()
                assert [record.key for record, _ in dialect.broker.keeper.sessions(dialect.hub.store)] == ["box-2/here"]

        anyrun(scene())

    @pytest.mark.parametrize(
        ("packet", "why"),
        [
            (Disconnect(), "the device ended it"),
            (Disconnect(4), "the device ended it: disconnect with will"),
            (Disconnect(0, {p.REASON_STRING: "battery is low"}), "the device ended it: battery is low"),
        ],
    )
    def test_tell_why_they_ended(self, anyrun, packet, why):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, token = await dialect.hub.create_device("box")
                client = await connected(dialect, "c", 5, username=token)
                await client.ask(packet)
                assert (await dialect.hub.past.attachments(device))[0]["why"] == why

        anyrun(scene())

    def test_tell_why_the_server_ended_them(self, anyrun):
        async def scene():
            async with open_dialect(anonymous=False) as dialect:
                device, token = await dialect.hub.create_device("box")
                client = await connected(dialect, "c", 5, username=token)
                await dialect.hub.new_device_token(device)
                assert (await client.read())[0].properties[p.REASON_STRING] == "the device's token was changed"
                assert (await dialect.hub.past.attachments(device))[0]["why"] == "the device's token was changed"

        anyrun(scene())


class TestResending:
    def test_obeys_a_smaller_receive_maximum(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, "c", 5, **KEPT)
                await client.subscribe("a", qos=2)
                sender = await connected(dialect, "s")
                await sender.publish("a", b"released", 2)
                for number in range(5):
                    await sender.publish("a", b"%d" % number, 1)
                assert len(await client.read()) == 6
                assert await client.ask(Ack(p.PUBREC, 1)) == [Ack(p.PUBREL, 1)]
                client.transport.lose()
                await sender.publish("a", b"new", 1)
                small = {"properties": {p.SESSION_EXPIRY_INTERVAL: 100, p.RECEIVE_MAXIMUM: 2}, "clean_start": False}
                client = await connected(dialect, "c", 5, **small)
                released, first = client.seen[1:]
                assert released == Ack(p.PUBREL, 1)
                unanswered, got = [first], []
                assert await client.ask(Ack(p.PUBCOMP, 1)) == [Publish("a", b"1", 1, dup=True, packet_id=3)]
                unanswered.append(client.seen[-1])
                while unanswered:
                    each = unanswered.pop(0)
                    got.append((each.payload, each.dup))
                    unanswered += await client.ask(Ack(p.PUBACK, each.packet_id))
                    assert len(unanswered) <= 2
                assert got == [(b"%d" % number, True) for number in range(5)] + [(b"new", False)]

        anyrun(scene())

    def test_what_is_too_large_now_is_given_up(self, anyrun):
        async def scene():
            async with open_dialect() as dialect:
                client = await connected(dialect, "c", 5, **KEPT)
                await client.subscribe("a", qos=1)
                sender = await connected(dialect, "s")
                await sender.publish("a", b"x" * 200, 1)
                await sender.publish("a", b"small", 1)
                await client.read()
                client.transport.lose()
                found = {p.SESSION_EXPIRY_INTERVAL: 100, p.MAXIMUM_PACKET_SIZE: 100}
                client = await connected(dialect, "c", 5, properties=found, clean_start=False)
                assert [packet.payload for packet in client.seen[1:]] == [b"small"]
                assert dialect.broker.drops["too_large"] == 1
                assert len(dialect.broker.sessions["/c"].in_flight) == 1

        anyrun(scene())


class TestAFullDisk:
    @pytest.mark.parametrize("version", [4, 5])
    @pytest.mark.parametrize("retain", [False, True])
    def test_refuses_a_message_of_qos_2_whole(self, anyrun, version, retain):
        async def scene():
            store = HeldStore()
            async with open_dialect(store) as dialect:
                broker = dialect.broker
                reader = await connected(dialect, "r", 5, **KEPT)
                await reader.subscribe("a", qos=2)
                away = await connected(dialect, "w", 5, **KEPT)
                await away.subscribe("a", qos=2)
                away.transport.lose()
                sender = await connected(dialect, "s", version)
                await sender.publish("a", b"before", 1, retain=True)
                await reader.messages()
                store.error = FULL
                sender.send(Publish("a", b"lost", 2, retain, packet_id=7))
                await turn(20)
                said = sender.decoder.receive(sender.transport.take())
                if version == 5:
                    assert [(each.kind, each.packet_id, each.reason) for each in said] == [(p.PUBREC, 7, 0x97)]
                    assert sender.connection.session.incoming is None
                else:
                    assert said == []
                assert sender.closed is (version == 4)
                assert not reader.closed
                store.error = None
                assert [m.payload for m in await reader.read()] == []
                assert broker.sessions["/r"].in_flight is None
                assert [each.message.payload for each in broker.sessions["/w"].waiting()] == [b"before"]
                assert broker.retained.get("a").payload == b"before"
                await dialect.hub.commits.durable()
                kept = [outgoing.message.payload for _, outgoing in broker.keeper.messages(store)]
                assert kept == [b"before"]

        anyrun(scene())

    def test_a_message_that_nobody_takes_back_goes_out_with_the_next_connection(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_dialect(store) as dialect:
                reader = await connected(dialect, "r", 5, **KEPT)
                await reader.subscribe("a", qos=2)
                store.error = FULL
                dialect.broker.publish(Message("a", b"ours", 2))
                await turn(20)
                assert reader.closed
                store.error = None
                reader = await connected(dialect, "r", 5, **KEPT)
                assert [packet.payload for packet in reader.seen[1:]] == [b"ours"]

        anyrun(scene())
