"""What the broker keeps over a restart, on every store: sessions, messages under way, retained ones, wills."""

from __future__ import annotations

from hardpoint.config import Mqtt
from hardpoint.hub.broker import Broker, Message, OpenAccess, Request, Will
from hardpoint.hub.broker.messages import RELEASED
from hardpoint.hub.broker.session import NEVER_S

from .hubs import open_hub

OPEN = OpenAccess()


class Noting:
    """A client that notes what it is sent."""

    full = False

    def __init__(self):
        self.messages = []
        self.releases = []
        self.ended = None

    def send_message(self, message, qos, retain, dup, packet_id, identifiers):
        self.messages.append((message.topic, message.payload, qos, dup, packet_id, tuple(identifiers)))
        return True

    def send_once_stored(self, outgoing):
        each = outgoing
        return self.send_message(each.message, 2, each.retain, False, each.packet_id, each.identifiers)

    def send_release(self, packet_id):
        self.releases.append(packet_id)

    def disconnect(self, reason, message=""):
        self.ended = reason


def make_broker(hub, restore=lambda key: OPEN):
    broker = Broker(hub.commits, Mqtt(), hub.clock_ms)
    broker.fill(hub.store, restore)
    return broker


def open_session(broker, key, expiry_s=NEVER_S, clean=False, will=None, window=10):
    client = Noting()
    session, present = broker.open(client, key, OPEN, clean=clean, expiry_s=expiry_s, will=will, window=window)
    broker.resume(session)
    return client, session, present


def test_messages_under_way_go_on_where_they_were(anyrun, make_store, clock):
    async def scene():
        async with open_hub(make_store(), clock) as hub:
            broker = make_broker(hub)
            client, session, present = open_session(broker, "/c", window=3)
            assert not present
            broker.subscribe(session, [Request("a/+", 2, identifier=7)])
            for number in range(5):
                broker.publish(Message("a/x", b"%d" % number, 2 if number < 3 else 1, properties={3: "t", 9: b"\0"}))
            assert [message[1] for message in client.messages] == [b"0", b"1", b"2"]
            broker.acknowledged(session, 1)
            broker.received(session, 2)
            broker.take_in(session, 77)
            await hub.commits.durable()
        async with open_hub(make_store(), clock) as hub:
            broker = make_broker(hub)
            client, session, present = open_session(broker, "/c", window=3)
            assert present
            assert client.releases == [2]
            assert [message[1:6] for message in client.messages] == [
                (b"2", 2, True, 3, (7,)),
                (b"3", 1, True, 4, (7,)),
            ]
            assert session.in_flight[2].state == RELEASED
            assert not broker.take_in(session, 77)  # it is here already
            for packet_id in list(session.in_flight):
                broker.acknowledged(session, packet_id)
            for packet_id in list(session.in_flight or ()):
                broker.acknowledged(session, packet_id)
            assert [message[1] for message in client.messages] == [b"2", b"3", b"4"]
            assert broker.queued_bytes == 0
            broker.publish(Message("a/x", b"new", 1))
            assert client.messages[-1][1] == b"new"
            await hub.commits.durable()
        async with open_hub(make_store(), clock) as hub:
            broker = make_broker(hub)
            assert [outgoing.message.payload for outgoing in broker.sessions["/c"].waiting()] == [b"new"]
            broker.unsubscribe(broker.sessions["/c"], ["a/+"])
            open_session(broker, "/c", expiry_s=0, clean=True)
            await hub.commits.durable()
        async with open_hub(make_store(), clock) as hub:
            broker = make_broker(hub)
            assert broker.sessions == {}
            assert broker.routes.count == 0
            assert list(broker.keeper.messages(hub.store)) == []

    anyrun(scene())


def test_retained_messages_and_options(anyrun, make_store, clock):
    async def scene():
        async with open_hub(make_store(), clock) as hub:
            broker = make_broker(hub)
            _, session, _ = open_session(broker, "/c")
            broker.subscribe(session, [Request("$share/g/b", 1), Request("c", 1, True, True, 2)])
            broker.publish(Message("a", b"1", 1, retain=True, properties={38: [("k", "v")]}))
            broker.publish(Message("b", b"old", retain=True))
            broker.publish(Message("b", b"", retain=True))
            broker.publish(Message("e", b"x", retain=True, expires_ms=clock() + 5000))
            await hub.commits.durable()
        clock.advance(s=6)
        async with open_hub(make_store(), clock) as hub:
            broker = make_broker(hub)
            assert [m.topic for m in broker.retained.select("#", clock())] == ["a"]
            kept = broker.retained.get("a")
            assert (kept.payload, kept.qos, [tuple(pair) for pair in kept.properties[38]]) == (b"1", 1, [("k", "v")])
            subscription = broker.sessions["/c"].subscriptions["c"]
            assert (subscription.qos, subscription.no_local, subscription.retain_as_published) == (1, True, True)
            assert broker.publish(Message("b", b"x", 1)) == 1  # the share is there again

    anyrun(scene())


def test_wills_of_who_was_connected(anyrun, make_store, clock):
    async def scene():
        async with open_hub(make_store(), clock) as hub:
            broker = make_broker(hub)
            _, watcher, _ = open_session(broker, "/w")
            broker.subscribe(watcher, [Request("#", 1)])
            open_session(broker, "/clean", expiry_s=0, clean=True, will=Will("w/1", b"1", 1, properties={3: "t"}))
            open_session(broker, "/late", will=Will("w/2", b"2", 1, delay_s=10, expiry_s=60))
            client, said, _ = open_session(broker, "/bye", will=Will("w/3", b"3", 1))
            broker.close(said, client, publish_will=False)
            await hub.commits.durable()
        async with open_hub(make_store(), clock) as hub:  # as if the process had been killed
            broker = make_broker(hub)
            waiting = broker.sessions["/w"]
            assert [o.message.topic for o in waiting.waiting()] == ["w/1"]
            assert "/clean" not in broker.sessions
            clock.advance(s=10)
            broker.tick()
            assert [(o.message.topic, o.message.payload) for o in waiting.waiting()] == [("w/1", b"1"), ("w/2", b"2")]
            await hub.commits.durable()
        async with open_hub(make_store(), clock) as hub:
            broker = make_broker(hub)
            clock.advance(s=60)
            broker.tick()
            assert len(list(broker.sessions["/w"].waiting())) == 2  # each will once

    anyrun(scene())


def test_sessions_of_who_is_gone_are_removed(anyrun, make_store, clock):
    async def scene():
        async with open_hub(make_store(), clock) as hub:
            broker = make_broker(hub)
            _, session, _ = open_session(broker, "gone/c")
            broker.subscribe(session, [Request("a", 1)])
            broker.publish(Message("a", b"1", 1))
            await hub.commits.durable()
        async with open_hub(make_store(), clock) as hub:
            broker = make_broker(hub, restore=lambda key: None)
            assert broker.sessions == {}
            await hub.commits.durable()
            assert list(broker.keeper.sessions(hub.store)) == []
            assert list(broker.keeper.subscriptions(hub.store)) == []
            assert list(broker.keeper.messages(hub.store)) == []

    anyrun(scene())


def test_a_session_whose_time_is_up_is_not_there_any_more(anyrun, make_store, clock):
    async def scene():
        async with open_hub(make_store(), clock) as hub:
            broker = make_broker(hub)
            client, session, _ = open_session(broker, "/c", expiry_s=100)
            broker.close(session, client, publish_will=False)
            await hub.commits.durable()
        clock.advance(s=100)
        async with open_hub(make_store(), clock) as hub:
            broker = make_broker(hub)
            assert broker.sessions == {}

    anyrun(scene())
