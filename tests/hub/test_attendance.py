"""When devices were attached, what was learnt of them across a restart, and word the moment a report is overdue."""

from __future__ import annotations

import pytest

from hardpoint.hub import attendance as attendance_module
from hardpoint.hub.attendance import ENDED_UNSEEN, MAX_ATTACHMENTS
from hardpoint.testing import FakeClock

from .hubs import NotingSession, attached, open_hub


class Poll(NotingSession):
    brief = True


def shown(sessions):
    return [(each["from"], each["to"], each["why"]) for each in sessions]


def report(hub, device, session, clock, every_s, times):
    """So many reports, one each so many seconds; the clock stands at the last one."""
    for n in range(times):
        if n:
            clock.advance(every_s)
            hub.alerting.agenda.run_due(clock())
        hub.ingest(session, device, [(None, "temp", n)], None)


class TestAttachments:
    def test_from_when_to_when_and_why(self, run, clock, make_store):
        async def scene():
            start = clock()
            async with open_hub(make_store(), clock) as hub:
                device, first = await attached(hub)
                clock.advance(10)
                hub.detach(first)
                second, third = NotingSession(), NotingSession()
                hub.attach(second, device)
                clock.advance(1)
                hub.attach(third, device)
                third.why = "it did not read"
                hub.detach(third, "not this")
                await hub.commits.durable()
                found = await hub.past.attachments(device)
                assert shown(found) == [
                    (start + 11_000, start + 11_000, "it did not read"),
                    (start + 10_000, None, None),
                    (start, start + 10_000, "the device ended it"),
                ]
                assert (found[0]["address"], found[0]["dialect"], found[0]["encrypted"]) == (
                    "192.0.2.1:50000",
                    "test",
                    False,
                )
            async with open_hub(make_store(), clock) as hub:  # as after a crash: the second was never detached
                device = hub.catalogue.find("dev")
                assert [each["why"] for each in await hub.past.attachments(device)] == [
                    "it did not read",
                    ENDED_UNSEEN,
                    "the device ended it",
                ]
                hub.attach(NotingSession(), device)
                await hub.commits.durable()
                assert len(await hub.past.attachments(device)) == 4
                await hub.remove_device(device)
                again, _ = await attached(hub)
                await hub.commits.durable()
                assert len(await hub.past.attachments(again)) == 1

        run(scene())

    def test_the_oldest_makes_room(self, run, clock):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, session = await attached(hub)
                for _ in range(MAX_ATTACHMENTS + 2):
                    hub.detach(session)
                    clock.advance(1)
                    hub.attach(session, device)
                await hub.commits.durable()
                found = await hub.past.attachments(device)
                assert len(found) == MAX_ATTACHMENTS
                begins = [each["from"] for each in found]
                assert begins == [clock() - 1000 * n for n in range(MAX_ATTACHMENTS)]

        run(scene())

    def test_polls_behind_one_another_are_one(self, run, clock, make_store):
        async def scene():
            start = clock()
            async with open_hub(make_store(), clock) as hub:
                device, _ = await hub.create_device("dev")

                def poll(for_s):
                    session = Poll()
                    hub.attach(session, device)
                    clock.advance(for_s)
                    hub.detach(session, "it polled no more")

                for _ in range(5):
                    poll(50)
                    clock.advance(10)
                await hub.commits.durable()
                assert shown(await hub.past.attachments(device)) == [(start, start + 290_000, "it polled no more")]
                clock.advance(61)
                poll(1)
                both = Poll(), Poll()
                for session in both:
                    hub.attach(session, device)
                hub.detach(both[0], "it polled no more")
                await hub.commits.durable()
                assert shown(await hub.past.attachments(device))[0] == (start + 361_000, None, None)
                hub.detach(both[1], "it polled no more")
            async with open_hub(make_store(), clock) as hub:
                found = shown(await hub.past.attachments(hub.catalogue.find("dev")))
                assert found == [
                    (start + 361_000, start + 362_000, "it polled no more"),
                    (start, start + 290_000, "it polled no more"),
                ]

        run(scene())


class TestLateness:
    def test_it_is_said_when_it_happens_and_when_it_is_over(self, run, clock):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, session = await attached(hub)
                said = []
                hub.live.listeners.add(lambda entry: entry.kind == "presence" and said.append(entry.describe()))
                report(hub, device, session, clock, 10, 3)
                assert len(hub.alerting.agenda) == 1, "one entry a device, however many reports"
                for ms, expected in (
                    (15_000, []),
                    (1, [(True, False)]),
                    (14_999, []),
                    (1, [(True, True)]),
                    (3_600_000, []),
                ):
                    clock.advance(ms / 1000)
                    hub.alerting.agenda.run_due(clock())
                    presence = [each["presence"] for each in said]
                    assert [(each["late"], each["silent"]) for each in presence] == expected, ms
                    said.clear()
                assert len(hub.alerting.agenda) == 0
                hub.ingest(session, device, [(None, "temp", 1)], None)
                assert [each["presence"]["late"] for each in said] == [False]

        run(scene())

    def test_an_interval_that_a_person_sets_holds_at_once(self, run, clock):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, session = await attached(hub)
                report(hub, device, session, clock, 100, 2)
                await hub.change_device(device, {"expected_every_s": 4.0})
                clock.advance(6.001)
                before = hub.live.number
                hub.alerting.agenda.run_due(clock())
                assert hub.live.number == before + 1
                await hub.remove_device(device)
                clock.advance(60)
                before = hub.live.number
                hub.alerting.agenda.run_due(clock())
                assert hub.live.number == before, "nothing is said of a device that is gone"

        run(scene())

    def test_the_learnt_interval_survives_a_restart(self, run, clock, make_store):
        async def scene():
            async with open_hub(make_store(), clock) as hub:
                device, session = await attached(hub)
                report(hub, device, session, clock, 10, 4)
                assert device.learnt_every_s == pytest.approx(10)
            clock.advance(15.001)
            async with open_hub(make_store(), clock) as hub:
                device = hub.catalogue.find("dev")
                presence = hub.describe(device)["presence"]
                assert (presence["expected_every_s"], presence["late"], presence["silent"]) == (10.0, True, False)
                assert len(hub.alerting.agenda) == 1

        run(scene())

    def test_a_habit_is_written_when_it_has_changed(self, run, clock, monkeypatch):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, session = await attached(hub)
                puts = []
                monkeypatch.setattr(hub.commits, "note", lambda change: puts.append(getattr(change, "record", change)))
                report(hub, device, session, clock, 10, 20)
                habits = [each for each in puts if isinstance(each, attendance_module.Habit)]
                assert [each.learnt_every_s for each in habits] == [10.0]
                clock.advance(20)
                report(hub, device, session, clock, 20, 3)
                habits = [each for each in puts if isinstance(each, attendance_module.Habit)]
                assert [each.learnt_every_s for each in habits] == [10.0, pytest.approx(13.6)]

        run(scene())


class TestClockThatIsSet:
    """A Raspberry Pi without a battery starts in the past, and is set forward once it has found the time."""

    @pytest.mark.parametrize("by_s", [-86_400, 86_400])
    def test_makes_nobody_late_and_teaches_nothing(self, anyrun, clock, by_s):
        async def scene():
            steady = FakeClock(0)

            def passes(seconds):
                clock.advance(seconds)
                steady.advance(seconds)
                hub.alerting.agenda.run_due(hub.alerting.agenda.now_ms())

            def state():
                presence = hub.describe(device)["presence"]
                return presence["late"], presence["silent"]

            async with open_hub(clock=clock, steady_ms=steady) as hub:
                device, session = await attached(hub)
                for _ in range(3):
                    hub.ingest(session, device, [(None, "temp", 1)], None)
                    passes(10)
                clock.advance(by_s)
                assert state() == (False, False)
                assert clock() - device.last_reading_ms == 10_000
                hub.ingest(session, device, [(None, "temp", 1)], None)
                assert device.learnt_every_s == 10
                passes(14)
                assert state() == (False, False)
                passes(2)
                assert state() == (True, False)
                passes(15)
                assert state() == (True, True)

        anyrun(scene())

    def test_leaves_alone_what_an_earlier_run_has_stored(self, anyrun, clock, make_store):
        async def scene():
            async with open_hub(make_store(), clock) as hub:
                device, session = await attached(hub)
                report(hub, device, session, clock, 10, 3)
                await hub.commits.durable()
            last_ms = clock()
            steady = FakeClock(0)
            async with open_hub(make_store(), clock, steady_ms=steady) as hub:
                clock.advance(3600)
                steady.advance(1)
                presence = hub.describe(hub.catalogue.find("dev"))["presence"]
                assert (presence["last_reading"], presence["silent"]) == (last_ms, True)

        anyrun(scene())
