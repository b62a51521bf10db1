"""The outbox: each piece of news once, in order, through outages, restarts, storms and quiet hours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hardpoint.errors import BadInput, Conflict, NotFound
from hardpoint.hub.outbox import GIVE_UP_S, MAX_BUNDLE, MIN_GAP_S, NotDelivered
from hardpoint.hub.quiet import checked_quiet_hours, quiet_until
from hardpoint.model import Alert, Channel, Delivery, QuietHours
from hardpoint.testing import FakeClock

from .hubs import NotingSession, attached, open_hub, until
from .rules.scenes import Receiver, pass_s, rule, say


def channel(id="c"):
    return Channel(id, "Ada's phone", "test", {"password": "x"}, 0)


async def prepared(hub, **more):
    """A channel, and a rule that uses it; the session of a device."""
    await hub.alerting.outbox.put_channel(channel())
    await hub.alerting.rules.add(rule(channels=["c"], **more))
    _, session = await attached(hub)
    return session


def open_with(receiver, store, clock):
    return open_hub(store, clock, senders={"test": lambda: receiver})


def test_the_beginning_and_the_end_are_told_once(anyrun, clock):
    async def scene():
        receiver = Receiver()
        async with open_with(receiver, None, clock) as hub:
            session = await prepared(hub)
            await say(hub, session, (1, 31))
            await pass_s(hub, clock, 60)
            await say(hub, session, (2, 32), (3, 20))
            await pass_s(hub, clock, 3600)
            assert receiver.told == [("firing", "dev"), ("resolved", "dev")]
            assert receiver.notices[0].subject == "firing: Hot: dev: temp is above 30 (31)"
            assert [notice.key for notice in receiver.notices] == ["1", "2"]
            states = [(one.id, one.state, one.attempts) for one in hub.alerting.outbox.newest_first()]
            assert states == [(2, "sent", 1), (1, "sent", 1)]
            assert hub.alerting.outbox.waiting_count == 0

    anyrun(scene())


def test_a_storm_is_a_message_or_two(anyrun, clock):
    async def scene():
        receiver = Receiver()
        async with open_with(receiver, None, clock) as hub:
            await prepared(hub)
            for number in range(MAX_BUNDLE + 10):
                _, session = await attached(hub, f"d{number}")
                await say(hub, session, (1, 31))
            await pass_s(hub, clock, MIN_GAP_S * 3)
            assert [len(notice.news) for notice in receiver.notices] == [MAX_BUNDLE, 10]
            assert receiver.notices[0].subject.endswith(f"(and {MAX_BUNDLE - 1} more)")
            assert receiver.notices[0].text.count("\n") == MAX_BUNDLE - 1

    anyrun(scene())


def test_an_outage_is_waited_out_over_a_restart(anyrun, make_store, clock):
    async def scene():
        receiver = Receiver()
        receiver.out = "HTTP 502 Bad Gateway"
        async with open_with(receiver, make_store(), clock) as hub:
            session = await prepared(hub)
            await say(hub, session, (1, 31))
            await pass_s(hub, clock, 100)
            await say(hub, session, (2, 20))
            await pass_s(hub, clock, 1000)
            assert receiver.tries > 2
            (first,) = [one for one in hub.alerting.outbox.newest_first() if one.id == 1]
            assert first.state == "waiting"
            assert first.steps[-1][2] == "HTTP 502 Bad Gateway"
        receiver.out = None
        async with open_with(receiver, make_store(), clock) as hub:
            await pass_s(hub, clock, 3600)
            assert receiver.told == [("firing", "dev"), ("resolved", "dev")]
            await pass_s(hub, clock, 24 * 3600)
            assert len(receiver.told) == 2
        async with open_with(receiver, make_store(), clock) as hub:
            await pass_s(hub, clock, 24 * 3600)
            assert len(receiver.told) == 2
            assert [one.state for one in hub.alerting.outbox.newest_first()] == ["sent", "sent"]

    anyrun(scene())


def test_the_end_after_a_restart_is_told_to_whom_the_beginning_was(anyrun, make_store, clock):
    async def scene():
        receiver = Receiver()
        async with open_with(receiver, make_store(), clock) as hub:
            session = await prepared(hub)
            await say(hub, session, (1, 31))
            await pass_s(hub, clock, 60)
        async with open_with(receiver, make_store(), clock) as hub:
            await hub.alerting.rules.remove("hot")
            await pass_s(hub, clock, 60)
            assert receiver.told == [("firing", "dev"), ("resolved", "dev")]

    anyrun(scene())


def test_is_given_up_after_a_day(anyrun, clock):
    async def scene():
        receiver = Receiver()
        receiver.out = "gone"
        async with open_with(receiver, None, clock) as hub:
            session = await prepared(hub)
            await say(hub, session, (1, 31))
            await pass_s(hub, clock, GIVE_UP_S + 2 * 3600)
            (delivery,) = hub.alerting.outbox.newest_first()
            assert (delivery.state, hub.alerting.outbox.failed_total) == ("failed", 1)
            assert 20 < delivery.attempts < 40
            tries = receiver.tries
            await pass_s(hub, clock, GIVE_UP_S)
            assert receiver.tries == tries

    anyrun(scene())


def test_a_sender_with_a_fault_is_a_receiver_that_is_out(anyrun, clock, caplog):
    class Faulty(Receiver):
        async def send(self, settings, notice):
            raise ZeroDivisionError

    async def scene():
        async with open_with(Faulty(), None, clock) as hub:
            session = await prepared(hub)
            await say(hub, session, (1, 31))
            await pass_s(hub, clock, 5)
            (delivery,) = hub.alerting.outbox.newest_first()
            assert delivery.steps[-1][2] == "ZeroDivisionError, see the log"

    anyrun(scene())
    assert "channel c failed" in caplog.text


class TestRepetition:
    def test_goes_on_until_somebody_sees_to_it(self, anyrun, make_store, clock):
        async def scene():
            receiver = Receiver()
            async with open_with(receiver, make_store(), clock) as hub:
                session = await prepared(hub, repeat_s=600)
                await say(hub, session, (1, 31))
                await pass_s(hub, clock, 1300)
                assert [event for event, _ in receiver.told] == ["firing", "still firing", "still firing"]
            async with open_with(receiver, make_store(), clock) as hub:
                await pass_s(hub, clock, 700)
                assert [event for event, _ in receiver.told][3:] == ["still firing"]
                hub.alerting.alerts.acknowledge(1, "ada")
                await pass_s(hub, clock, 3600)
                assert len(receiver.told) == 4

        anyrun(scene())

    def test_a_muted_rule_or_alert_tells_nobody(self, anyrun, clock):
        async def scene():
            receiver = Receiver()
            async with open_with(receiver, None, clock) as hub:
                session = await prepared(hub, repeat_s=600, muted_until_ms=clock.now_ms + 1_000_000)
                await say(hub, session, (1, 31))
                await pass_s(hub, clock, 900)
                assert receiver.told == []
                await pass_s(hub, clock, 400)
                assert receiver.told == [("still firing", "dev")]
                hub.alerting.alerts.mute(1, 3600)
                await pass_s(hub, clock, 3000)
                assert len(receiver.told) == 1
                hub.alerting.alerts.mute(1, 0)
                await pass_s(hub, clock, 700)
                assert len(receiver.told) == 2

        anyrun(scene())

    def test_a_muted_device_tells_nobody_while_others_do(self, anyrun, clock):
        async def scene():
            receiver = Receiver()
            async with open_with(receiver, None, clock) as hub:
                session = await prepared(hub, repeat_s=600)
                _, other = await attached(hub, "other")
                until_ms = clock.now_ms + 1_000_000
                await hub.change_record(session.device, lambda record: replace(record, muted_until_ms=until_ms))
                await say(hub, session, (1, 31))
                await say(hub, other, (1, 31))
                await pass_s(hub, clock, 900)
                assert receiver.told == [("firing", "other"), ("still firing", "other")]
                await pass_s(hub, clock, 400)
                assert ("still firing", "dev") in receiver.told

        anyrun(scene())


class TestQuietHours:
    def test_news_wait_for_their_end_unless_it_is_over_by_then(self, anyrun, clock):
        async def scene():
            receiver = Receiver()
            clock.now_ms = 1_700_000_000_000  # Tuesday 2023-11-14 22:13:20 UTC
            async with open_with(receiver, None, clock) as hub:
                session = await prepared(hub)
                _, other = await attached(hub, "other")
                await hub.alerting.outbox.set_quiet([QuietHours("0", "22:00", "07:00", "UTC")])
                await say(hub, session, (1, 31))
                await say(hub, other, (1, 31))
                await pass_s(hub, clock, 3600)
                await say(hub, other, (2, 20))
                await pass_s(hub, clock, 7 * 3600)
                assert receiver.told == []
                await pass_s(hub, clock, 3600)
                assert receiver.told == [("firing", "dev")]
                await say(hub, session, (2, 20))
                await pass_s(hub, clock, 60)
                assert receiver.told == [("firing", "dev"), ("resolved", "dev")]

        anyrun(scene())

    def test_what_is_grave_enough_passes(self, anyrun, clock):
        async def scene():
            receiver = Receiver()
            clock.now_ms = 1_700_000_000_000
            async with open_with(receiver, None, clock) as hub:
                session = await prepared(hub, severity="critical")
                await hub.alerting.outbox.set_quiet([QuietHours("0", "22:00", "07:00", "UTC")])
                await say(hub, session, (1, 31))
                await pass_s(hub, clock, 60)
                assert receiver.told == [("firing", "dev")]

        anyrun(scene())

    @pytest.mark.parametrize(
        ("hours", "now", "until"),
        [
            (("22:00", "07:00", "UTC"), "2026-11-23T21:59:59", None),
            (("22:00", "07:00", "UTC"), "2026-11-23T22:00:00", "2026-11-24T07:00:00"),
            (("22:00", "07:00", "UTC"), "2026-11-24T06:59:59", "2026-11-24T07:00:00"),
            (("22:00", "07:00", "UTC"), "2026-11-24T07:00:00", None),
            (("12:00", "13:00", "UTC"), "2026-11-23T12:30:00", "2026-11-23T13:00:00"),
            (("22:00", "07:00", "Europe/Berlin"), "2026-11-23T21:30:00", "2026-11-24T06:00:00"),
            # The night in which the clocks go back is an hour longer.
            (("22:00", "07:00", "Europe/Berlin"), "2026-10-24T20:00:00", "2026-10-25T06:00:00"),
            (("22:00", "07:00", "UTC", [5]), "2026-11-23T23:00:00", None),  # a Monday
            (("22:00", "07:00", "UTC", [6]), "2026-11-23T06:00:00", "2026-11-23T07:00:00"),  # begun on Sunday
        ],
    )
    def test_begin_and_end_by_the_clock_on_the_wall(self, hours, now, until):
        from datetime import datetime

        def ms(text):
            return int(datetime.fromisoformat(f"{text}+00:00").timestamp() * 1000)

        quiet = QuietHours("0", *hours)
        assert quiet_until([quiet], "c", "warning", ms(now)) == (None if until is None else ms(until))
        assert quiet_until([quiet], "c", "critical", ms(now)) is None
        quiet.channels = ["other"]
        assert quiet_until([quiet], "c", "warning", ms(now)) is None

    @pytest.mark.parametrize(
        ("field", "hours"),
        [
            ("begins", QuietHours("0", "24:00", "07:00", "UTC")),
            ("ends", QuietHours("0", "22:00", "7:00", "UTC")),
            ("ends", QuietHours("0", "22:00", "22:00", "UTC")),
            ("time_zone", QuietHours("0", "22:00", "07:00", "Mars/Base")),
            ("time_zone", QuietHours("0", "22:00", "07:00", "../etc/passwd")),
            ("time_zone", QuietHours("0", "22:00", "07:00", "Europe")),
            ("days", QuietHours("0", "22:00", "07:00", "UTC", [])),
            ("days", QuietHours("0", "22:00", "07:00", "UTC", [7])),
            ("but_for", QuietHours("0", "22:00", "07:00", "UTC", but_for="grave")),
        ],
    )
    def test_what_is_none_is_refused_with_its_place(self, field, hours):
        with pytest.raises(BadInput) as caught:
            checked_quiet_hours(hours)
        assert caught.value.field == field


class TestChannels:
    def test_are_tested(self, anyrun, clock):
        async def scene():
            receiver = Receiver()
            async with open_with(receiver, None, clock) as hub:
                await prepared(hub)
                assert await hub.alerting.outbox.test_channel("c", "ada") == "thanks"
                assert receiver.notices[0].text == "A test of this channel, asked for by ada."
                receiver.out = "no such user"
                with pytest.raises(NotDelivered, match="no such user"):
                    await hub.alerting.outbox.test_channel("c", "ada")
                with pytest.raises(NotFound):
                    await hub.alerting.outbox.test_channel("d", "ada")

        anyrun(scene())

    def test_one_in_use_stays(self, anyrun, clock):
        async def scene():
            async with open_with(Receiver(), None, clock) as hub:
                await prepared(hub)
                outbox, rules = hub.alerting.outbox, hub.alerting.rules
                with pytest.raises(Conflict, match="rule hot uses"):
                    await outbox.remove_channel("c", rules.all())
                await rules.remove("hot")
                await outbox.remove_channel("c", rules.all())
                with pytest.raises(NotFound):
                    outbox.channel("c")
                assert hub.store.load(Channel) == []

        anyrun(scene())

    def test_what_was_under_way_over_a_removed_one_is_dropped(self, anyrun, clock):
        async def scene():
            receiver = Receiver()
            receiver.out = "gone"
            async with open_with(receiver, None, clock) as hub:
                session = await prepared(hub)
                await say(hub, session, (1, 31))
                await pass_s(hub, clock, 5)
                await hub.alerting.rules.change("hot", {"channels": []})
                await hub.alerting.outbox.remove_channel("c", hub.alerting.rules.all())
                await hub.commits.durable()
                assert [one.state for one in hub.store.load(Delivery)] == ["dropped"]
                await pass_s(hub, clock, 3600)

        anyrun(scene())

    @pytest.mark.parametrize(
        ("field", "given"), [("kind", {"kind": "pigeon"}), ("name", {"name": ""}), ("name", {"name": "a\nb"})]
    )
    def test_what_is_none_is_refused_with_its_place(self, anyrun, clock, field, given):
        async def scene():
            async with open_with(Receiver(), None, clock) as hub:
                made = channel()
                for name, value in given.items():
                    setattr(made, name, value)
                with pytest.raises(BadInput) as caught:
                    await hub.alerting.outbox.put_channel(made)
                assert caught.value.field == field

        anyrun(scene())

    def test_a_kind_whose_package_is_missing_says_so(self, anyrun, clock):
        def make():
            raise ImportError(name="apprise")

        async def scene():
            async with open_hub(None, clock, senders={"test": make}) as hub:
                with pytest.raises(BadInput, match="a package that is not installed: apprise"):
                    await hub.alerting.outbox.put_channel(channel())

        anyrun(scene())


class TestMessages:
    def test_a_try_that_may_have_arrived_is_repeated_as_it_was(self, anyrun, make_store, clock):
        """News that came meanwhile leave in a message of their own: the receiver knows the first one by its key."""

        class Swallowing(Receiver):
            async def send(self, settings, notice):
                await super().send(settings, notice)
                if len(self.notices) <= 2:
                    raise NotDelivered("no answer within 30 s")
                return "thanks"

        async def scene():
            receiver = Swallowing()
            async with open_with(receiver, make_store(), clock) as hub:
                session = await prepared(hub)
                _, other = await attached(hub, "other")
                await say(hub, session, (1, 31))
                await say(hub, other, (1, 31))
                await pass_s(hub, clock, 5)
                await say(hub, session, (2, 20))
                await pass_s(hub, clock, 20)
            async with open_with(receiver, make_store(), clock) as hub:
                await pass_s(hub, clock, 600)
            assert [
                (notice.key, [(news["id"], news["event"]) for news in notice.news]) for notice in receiver.notices
            ] == [("1", [(1, "firing"), (2, "firing")])] * 3 + [("3", [(3, "resolved")])]

        anyrun(scene())

    def test_repetitions_do_not_pile_up_while_the_receiver_is_out(self, anyrun, clock):
        async def scene():
            receiver = Receiver()
            receiver.out = "out"
            async with open_with(receiver, None, clock) as hub:
                session = await prepared(hub, repeat_s=60)
                await say(hub, session, (1, 31))
                await pass_s(hub, clock, 7200)
                assert hub.alerting.outbox.waiting_count == 1
                receiver.out = None
                await pass_s(hub, clock, 3700)
                assert receiver.told[:2] == [("firing", "dev"), ("still firing", "dev")]

        anyrun(scene())

    def test_a_repetition_at_other_times_takes_the_place_of_the_first(self, anyrun, clock):
        async def scene():
            receiver = Receiver()
            async with open_with(receiver, None, clock) as hub:
                session = await prepared(hub, repeat_s=3600)
                await say(hub, session, (1, 31))
                await pass_s(hub, clock, 60)
                await hub.alerting.rules.change("hot", {"repeat_s": 600})
                await pass_s(hub, clock, 1300)
                assert [event for event, _ in receiver.told] == ["firing", "still firing", "still firing"]
                await hub.alerting.rules.change("hot", {"repeat_s": None})
                await pass_s(hub, clock, 36_000)
                assert len(receiver.told) == 3

        anyrun(scene())

    def test_more_than_can_wait_is_counted_and_its_end_is_not_told(self, anyrun, clock, monkeypatch, caplog):
        monkeypatch.setattr("hardpoint.hub.outbox.MAX_WAITING", 1)

        async def scene():
            receiver = Receiver()
            async with open_with(receiver, None, clock) as hub:
                session = await prepared(hub)
                _, other = await attached(hub, "other")
                await say(hub, session, (1, 31))
                await say(hub, other, (1, 31))
                await pass_s(hub, clock, 60)
                await say(hub, other, (2, 20))
                await pass_s(hub, clock, 60)
                assert receiver.told == [("firing", "dev")]
                assert hub.alerting.outbox.failed_total == 1

        anyrun(scene())
        assert "1 pieces of news are under way" in caplog.text

    def test_the_end_is_told_though_the_log_has_forgotten_the_beginning(self, anyrun, make_store, clock, monkeypatch):
        monkeypatch.setattr("hardpoint.hub.outbox.MAX_KEPT", 2)

        async def scene():
            receiver = Receiver()
            async with open_with(receiver, make_store(), clock) as hub:
                session = await prepared(hub)
                _, other = await attached(hub, "other")
                await say(hub, session, (1, 31))
                for ts in range(1, 5):
                    await say(hub, other, (ts, 31 if ts % 2 else 20))
                await pass_s(hub, clock, 60)
            async with open_with(receiver, make_store(), clock) as hub:
                session = NotingSession()
                hub.attach(session, hub.catalogue.find("dev"))
                await say(hub, session, (2, 20))
                await pass_s(hub, clock, 60)
                assert receiver.told[-1] == ("resolved", "dev")

        anyrun(scene())


class TestRemovedDevice:
    def test_who_was_told_of_an_alert_is_told_of_its_end(self, anyrun, make_store, clock):
        async def scene():
            receiver = Receiver()
            async with open_with(receiver, make_store(), clock) as hub:
                session = await prepared(hub)
                await say(hub, session, (1, 31))
                await pass_s(hub, clock, 60)
                await hub.remove_device(session.device)
                await hub.commits.durable()
            async with open_with(receiver, make_store(), clock) as hub:
                await pass_s(hub, clock, 60)
                assert receiver.told == [("firing", "dev"), ("resolved", "dev")]
                assert receiver.notices[-1].news[0]["alert"]["reason"] == "the device was removed"

        anyrun(scene())

    def test_numbers_of_alerts_that_went_are_not_used_again(self, anyrun, make_store, clock):
        async def scene():
            receiver = Receiver()
            receiver.out = "out"
            async with open_with(receiver, make_store(), clock) as hub:
                session = await prepared(hub)
                await say(hub, session, (1, 31), (2, 20))
                await pass_s(hub, clock, 60)
                await hub.remove_device(session.device)
                await hub.commits.durable()
                assert hub.store.load(Alert) == []
            receiver.out = None
            async with open_with(receiver, make_store(), clock) as hub:
                _, session = await attached(hub)
                await say(hub, session, (3, 31))
                await pass_s(hub, clock, 600)
                assert [news["alert"]["id"] for notice in receiver.notices for news in notice.news] == [2]

        anyrun(scene())


class TestQuietHoursAgain:
    def test_those_that_follow_one_another_are_one_quiet_time(self, anyrun, clock):
        async def scene():
            receiver = Receiver()
            clock.now_ms = 1_700_000_000_000  # Tuesday 2023-11-14 22:13:20 UTC
            async with open_with(receiver, None, clock) as hub:
                session = await prepared(hub)
                await hub.alerting.outbox.set_quiet(
                    [QuietHours("0", "22:00", "00:00", "UTC"), QuietHours("1", "00:00", "07:00", "UTC")]
                )
                await say(hub, session, (1, 31))
                await pass_s(hub, clock, 8 * 3600)
                assert receiver.told == []
                await pass_s(hub, clock, 3600)
                assert receiver.told == [("firing", "dev")]

        anyrun(scene())

    def test_a_try_that_failed_is_not_repeated_at_night(self, anyrun, clock):
        async def scene():
            receiver = Receiver()
            receiver.out = "out"
            clock.now_ms = 1_700_000_000_000 - 1000 * 1000  # 21:56:40 UTC
            async with open_with(receiver, None, clock) as hub:
                session = await prepared(hub)
                await hub.alerting.outbox.set_quiet([QuietHours("0", "22:00", "07:00", "UTC")])
                await say(hub, session, (1, 31))
                await pass_s(hub, clock, 180)
                tries = receiver.tries
                assert tries >= 2
                receiver.out = None
                await pass_s(hub, clock, 3600)
                await say(hub, session, (2, 20))
                await pass_s(hub, clock, 3600)
                assert (receiver.tries, receiver.told) == (tries, [])
                await pass_s(hub, clock, 8 * 3600)
                # The tries may have arrived: so the end is told as well.
                assert receiver.told == [("firing", "dev"), ("resolved", "dev")]

        anyrun(scene())


@pytest.mark.parametrize("by_s", [-7200, 7200])
def test_a_clock_that_was_set_holds_up_no_news(anyrun, clock, by_s):
    async def scene():
        receiver = Receiver()
        steady = FakeClock(0)
        async with open_hub(None, clock, senders={"test": lambda: receiver}, steady_ms=steady) as hub:
            session = await prepared(hub)
            await say(hub, session, (clock.now_ms, 31))
            clock.now_ms += by_s * 1000
            agenda = hub.alerting.agenda
            agenda.run_due(agenda.now_ms())
            clock.now_ms += 1000
            steady.now_ms += 1000
            agenda.run_due(agenda.now_ms())
            await until(lambda: receiver.told)

    anyrun(scene())
