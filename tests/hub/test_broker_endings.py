"""Sessions that wait for their end: how many entries that takes, and what becomes of them when the clock is set."""

from __future__ import annotations

from hardpoint.config import Mqtt
from hardpoint.hub.broker import Broker, Will
from hardpoint.hub.broker.endings import MIN_ENTRIES
from hardpoint.testing import FakeClock

from .hubs import open_hub
from .test_broker_restart import OPEN, open_session


def make_broker(hub):
    agenda = hub.alerting.agenda
    broker = Broker(hub.commits, Mqtt(), agenda.now_ms)
    agenda.on_jump.append(broker.clock_jumped)
    broker.fill(hub.store, lambda key: OPEN)
    return broker


def left(broker, key, **kind):
    client, session, _ = open_session(broker, key, **kind)
    broker.close(session, client, publish_will=True)
    return session


def test_a_client_that_comes_and_goes_leaves_no_more_than_a_few_entries(anyrun, clock):
    async def scene():
        async with open_hub(clock=clock) as hub:
            broker = make_broker(hub)
            for _ in range(3 * MIN_ENTRIES):
                left(broker, "/c", expiry_s=10**9, will=Will("w", b"", delay_s=10**9))
            assert len(broker._endings) <= MIN_ENTRIES + 4
            clock.advance(s=10**9)
            broker.tick()
            assert (broker.sessions, broker.published) == ({}, 1)

    anyrun(scene())


def test_sessions_and_wills_wait_as_long_as_they_were_to_when_the_clock_is_set(anyrun, make_store, clock):
    async def scene():
        steady = FakeClock(0)

        def pass_s(seconds):
            clock.advance(seconds)
            steady.advance(seconds)
            broker.tick()

        async with open_hub(make_store(), clock, steady_ms=steady) as hub:
            broker = make_broker(hub)
            left(broker, "/before", expiry_s=3600)
            await hub.commits.durable()
        async with open_hub(make_store(), clock, steady_ms=steady) as hub:
            broker = make_broker(hub)
            session = left(broker, "/here", expiry_s=3600, will=Will("w", b"", delay_s=1800))
            clock.advance(s=86_400)
            broker.tick()
            assert list(broker.sessions) == ["/here"], "the other one's time was by the clock that is right now"
            pass_s(1799)
            assert broker.published == 0
            pass_s(1)
            assert broker.published == 1
            pass_s(1799)
            assert broker.sessions == {"/here": session}
            pass_s(1)
            assert broker.sessions == {}

    anyrun(scene())
