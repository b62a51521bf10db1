"""The five verbs and what is kept of devices, with a fake clock; where the store matters, on both."""

from __future__ import annotations

import asyncio

import pytest

from hardpoint.errors import BadInput, Conflict, NotFound, RateLimited, StorageFull, TooLarge, Unauthorized
from hardpoint.hub import hub as hub_module
from hardpoint.model import Attribute, Device, Series

from .hubs import FULL, HeldStore, NotingSession, attached, open_hub, turn, until


def test_what_is_stored_is_there_after_a_restart(anyrun, make_store, clock):
    async def scene():
        async with open_hub(make_store(), clock) as hub:
            device, token = await hub.create_device("Gewächshaus 1", {"room": "north"})
            session = NotingSession()
            hub.attach(session, device)
            hub.ingest(session, device, [(5, "temp", 21.5), (None, "on", True), (7, "temp", 22), (6, "temp", 0)], "r")
            hub.set_attributes(device, "client", {"fw": "1.2", "gone": 1})
            hub.set_attributes(device, "client", {"gone": None})
            await hub.change_device(device, {"expected_every_s": 60.0})
            await hub.ledger.queue(device, "ping", ttl_s=3600)
        async with open_hub(make_store(), clock) as hub:
            device = hub.authenticate(token)
            assert (device.id, device.record.name, device.record.labels) == (
                "gewachshaus-1",
                "Gewächshaus 1",
                {"room": "north"},
            )
            assert device.latest() == {"on": {"value": True, "ts": clock.now_ms}, "temp": {"value": 22, "ts": 7}}
            assert hub.attributes(device, "client") == {"fw": "1.2"}
            assert device.record.expected_every_s == 60.0
            assert await hub.past.readings(device, "temp", 0, 100) == ("raw", [(5, 21.5), (6, 0), (7, 22)])
            session = NotingSession()
            hub.attach(session, device)
            assert session.delivered == [(1, "ping", None)]
            # Numbers go on where they ended.
            hub.ingest(session, device, [(1, "new", 1)], 1)
            await hub.commits.durable()
            assert sorted(series.id for series in hub.store.load(Series)) == [1, 2, 3]
            assert (await hub.ledger.queue(device, "ping")).id == 2

    anyrun(scene())


class TestIngest:
    def test_latest_is_the_greatest_time_and_only_what_is_durable(self, anyrun, clock):
        async def scene():
            store = HeldStore()
            async with open_hub(store, clock) as hub:
                device, session = await attached(hub)
                store.held = True
                hub.ingest(session, device, [(10, "a", 1)], 1)
                assert device.latest() == {}
                await turn()
                store.held = False
                store.release()
                await until(device.latest)
                hub.ingest(session, device, [(9, "a", "old"), (10, "a", "replaced")], 2)
                await hub.commits.durable()
                assert device.latest() == {"a": {"value": "replaced", "ts": 10}}
                assert hub.readings_total == 3

        anyrun(scene())

    def test_readings_of_one_millisecond_do_not_replace_one_another(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, session = await attached(hub)
                now = clock()
                for n in range(3):
                    hub.ingest(session, device, [(None, "a", n)], n)
                clock.advance(ms=1)
                hub.ingest(session, device, [(None, "a", 3)], 3)
                clock.advance(s=-0.5)  # somebody corrects the clock a little: still in order
                hub.ingest(session, device, [(None, "a", 4)], 4)
                clock.now_ms = now - 2 * hub_module.MAX_LEAD_MS  # by much: it is obeyed
                hub.ingest(session, device, [(None, "a", 5)], 5)
                await hub.commits.durable()
                _, points = await hub.past.readings(device, "a", 0, 2 * now)
                assert points == [(clock(), 5), *((now + n, n) for n in range(5))]

        anyrun(scene())

    def test_a_key_that_is_far_too_fast_is_told_to_slow_down_and_loses_nothing(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, session = await attached(hub)
                now = clock()
                fast = [(None, "a", n) for n in range(hub_module.MAX_LEAD_MS + 1)]
                hub.ingest(session, device, fast, 1)
                with pytest.raises(RateLimited, match="a has had more than 1,000 readings a second"):
                    hub.ingest(session, device, [(None, "b", 0), (None, "a", 0)], 2)
                hub.ingest(session, device, [(now, "c", 0)], 3)
                clock.advance(ms=2)
                hub.ingest(session, device, [(None, "a", "later")], 4)
                await hub.commits.durable()
                assert session.acknowledged == [([1, 3, 4], None)]
                _, points = await hub.past.readings(device, "a", 0, 2 * now, agg="count", points=1)
                assert points[0][1] == hub_module.MAX_LEAD_MS + 2
                assert "b" not in device.latest()

        anyrun(scene())

    def test_stamps_that_ran_ahead_stay_ahead_over_a_restart(self, anyrun, make_store, clock):
        async def scene():
            async with open_hub(make_store(), clock=clock) as hub:
                device, session = await attached(hub)
                hub.ingest(session, device, [(None, "a", n) for n in range(500)], 1)
                await hub.commits.durable()
                token = device.record.token_hash
            async with open_hub(make_store(), clock=clock) as hub:
                device = hub.catalogue.by_token_hash[token]
                session = NotingSession()
                hub.attach(session, device)
                hub.ingest(session, device, [(None, "a", "after")], 1)
                await hub.commits.durable()
                _, points = await hub.past.readings(device, "a", 0, 2 * clock(), agg="raw")
                assert len(points) == 501

        anyrun(scene())

    def test_more_keys_than_allowed_are_refused_whole(self, anyrun):
        async def scene():
            async with open_hub(max_keys_per_device=2) as hub:
                device, session = await attached(hub)
                hub.ingest(session, device, [(1, "a", 1), (1, "b", 1)], 1)
                with pytest.raises(TooLarge, match=r"limits.max_keys_per_device \(2\) is reached for dev"):
                    hub.ingest(session, device, [(2, "a", 2), (2, "c", 2)], 2)
                hub.ingest(session, device, [(3, "a", 3)], 3)
                await hub.commits.durable()
                assert session.acknowledged == [([1, 3], None)]
                assert (await hub.past.readings(device, "a", 0, 9))[1] == [(1, 1), (3, 3)]

        anyrun(scene())

    def test_the_rate_is_a_bucket_of_one_second(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock, readings_per_s=10.0) as hub:
                device, session = await attached(hub)
                for n in range(10):
                    hub.ingest(session, device, [(n, "a", n)], n)
                with pytest.raises(RateLimited, match=r"readings_per_s \(10\) is passed; try again in 0.1 s"):
                    hub.ingest(session, device, [(99, "a", 1)], 99)
                clock.advance(s=0.1)
                hub.ingest(session, device, [(10, "a", 10)], 10)
                with pytest.raises(RateLimited):
                    hub.ingest(session, device, [(99, "a", 1)], 99)
                _, other = await attached(hub, "other")
                hub.ingest(other, other.device, [(1, "a", 1)], 1)  # the others have buckets of their own
                await hub.commits.durable()
                assert len((await hub.past.readings(device, "a", 0, 1000))[1]) == 11

        anyrun(scene())

    def test_a_clock_that_is_set_back_leaves_the_bucket_as_it_was(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock, readings_per_s=10.0) as hub:
                device, session = await attached(hub)
                hub.ingest(session, device, [(0, "a", 0)], 0)
                clock.advance(s=-3600)
                for n in range(1, 10):
                    hub.ingest(session, device, [(n, "a", n)], n)
                with pytest.raises(RateLimited, match=r"try again in 0.1 s"):
                    hub.ingest(session, device, [(99, "a", 1)], 99)

        anyrun(scene())

    @pytest.mark.parametrize(("rate", "count", "paid_s"), [(10.0, 25, 2.5), (0.5, 1, 2)])
    def test_a_message_of_more_than_a_second_is_paid_for_afterwards(self, anyrun, clock, rate, count, paid_s):
        async def scene():
            async with open_hub(clock=clock, readings_per_s=rate) as hub:
                device, session = await attached(hub)
                hub.ingest(session, device, [(n, "a", n) for n in range(count)], 1)
                clock.advance(s=paid_s - 0.2)
                with pytest.raises(RateLimited):
                    hub.ingest(session, device, [(99, "a", n) for n in range(count)], 2)
                clock.advance(s=0.2)
                if rate > 1:
                    hub.ingest(session, device, [(100, "a", 1)], 3)
                else:
                    hub.ingest(session, device, [(100, "a", n) for n in range(count)], 3)

        anyrun(scene())


class TestPresence:
    def test_a_message_without_a_reading_is_seen_but_is_no_reading(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, session = await attached(hub)
                clock.advance(s=5)
                hub.ingest(session, device, [], 1)
                assert device.last_seen_ms == clock()
                assert device.last_reading_ms is None
                assert not device.report_ms
                await hub.commits.durable()
                assert session.acknowledged == [([1], None)]

        anyrun(scene())

    def test_the_facts(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, _ = await hub.create_device("dev")
                nothing = {
                    "connected": None,
                    "last_seen": None,
                    "last_reading": None,
                    "expected_every_s": None,
                    "expected_set": False,
                    "late": False,
                    "silent": False,
                }
                assert hub.describe(device)["presence"] == nothing
                began = clock()
                session = NotingSession()
                hub.attach(session, device)
                connected = {"dialect": "test", "since": began, "from": "192.0.2.1:50000", "encrypted": False}
                assert hub.describe(device)["presence"] == nothing | {"connected": connected, "last_seen": began}
                clock.advance(s=5)
                hub.ingest(session, device, [(1, "a", 1)], 1)
                presence = hub.describe(device)["presence"]
                assert (presence["last_seen"], presence["last_reading"]) == (began + 5000, began + 5000)
                clock.advance(s=5)
                hub.detach(session)
                hub.detach(session)
                presence = hub.describe(device)["presence"]
                assert (presence["connected"], presence["last_seen"]) == (None, began + 10_000)

        anyrun(scene())

    def test_the_newest_of_several_sessions_is_shown(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, first = await attached(hub)
                second = NotingSession()
                second.__class__ = type("Second", (NotingSession,), {"dialect": "second"})
                hub.attach(second, device)
                assert hub.describe(device)["presence"]["connected"]["dialect"] == "second"
                hub.detach(second)
                assert hub.describe(device)["presence"]["connected"]["dialect"] == "test"
                hub.detach(first)
                assert hub.describe(device)["presence"]["connected"] is None
                assert hub.attached_total == 2

        anyrun(scene())

    def test_the_interval_is_learnt_from_reports_not_from_readings(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, session = await attached(hub)
                for _ in range(30):
                    for key in "abc":
                        hub.ingest(session, device, [(None, key, 1)], 1)
                        clock.advance(s=0.2)
                    clock.advance(s=9.4)
                assert hub.describe(device)["presence"]["expected_every_s"] == 10.0
                # One long absence moves it by no more than one missed report in four would.
                clock.advance(s=86_400)
                hub.ingest(session, device, [(None, "a", 1)], 1)
                assert hub.describe(device)["presence"]["expected_every_s"] == pytest.approx(16)
                for _ in range(30):
                    clock.advance(s=10)
                    hub.ingest(session, device, [(None, "a", 1)], 1)
                assert hub.describe(device)["presence"]["expected_every_s"] == pytest.approx(10, abs=0.05)

        anyrun(scene())

    @pytest.mark.parametrize(("every_s", "allowed_s"), [(10.0, 15.0), (1.0, 3.0), (600.0, 900.0)])
    def test_late_after_one_and_a_half_intervals_and_two_seconds(self, anyrun, clock, every_s, allowed_s):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, session = await attached(hub)
                await hub.change_device(device, {"expected_every_s": every_s})
                assert hub.describe(device)["presence"]["late"] is False  # it never sent anything
                hub.ingest(session, device, [(None, "a", 1)], 1)
                clock.advance(s=allowed_s)
                assert hub.describe(device)["presence"]["late"] is False
                clock.advance(ms=1)
                presence = hub.describe(device)["presence"]
                assert (presence["late"], presence["expected_set"]) == (True, True)
                await hub.change_device(device, {"expected_every_s": None})
                assert hub.describe(device)["presence"]["expected_set"] is False

        anyrun(scene())

    @pytest.mark.parametrize(("every_s", "allowed_s"), [(10.0, 30.0), (1.0, 5.0), (600.0, 1800.0)])
    def test_silent_after_three_intervals_and_four_seconds(self, anyrun, clock, every_s, allowed_s):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, session = await attached(hub)
                await hub.change_device(device, {"expected_every_s": every_s})
                hub.ingest(session, device, [(None, "a", 1)], 1)
                clock.advance(s=allowed_s)
                assert hub.describe(device)["presence"]["silent"] is False
                clock.advance(ms=1)
                assert hub.describe(device)["presence"]["silent"] is True

        anyrun(scene())

    def test_a_clock_set_back_does_not_end_the_learning(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, session = await attached(hub)
                hub.ingest(session, device, [(None, "a", 1)], 1)
                clock.advance(s=-86_400)
                for _ in range(3):
                    hub.ingest(session, device, [(None, "a", 1)], 1)
                    clock.advance(s=5)
                assert hub.describe(device)["presence"]["expected_every_s"] == 5.0

        anyrun(scene())


class TestDevices:
    def test_a_token_opens_its_device_and_only_until_it_is_changed(self, anyrun):
        async def scene():
            async with open_hub() as hub:
                device, token = await hub.create_device("dev")
                session = NotingSession()
                hub.attach(session, device)
                assert hub.authenticate(token) is device
                newer = await hub.new_device_token(device)
                assert hub.authenticate(newer) is device
                assert session.ended == "the device's token was changed"
                for wrong in (token, "", "hp_x", device.id, device.record.token_hash):
                    with pytest.raises(Unauthorized, match="belongs to no device"):
                        hub.authenticate(wrong)

        anyrun(scene())

    def test_a_right_token_always_opens_and_wrong_ones_are_counted_by_address(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock, sign_in_failures_per_min=2) as hub:
                device, token = await hub.create_device("Dev 1")
                for _ in range(2):
                    with pytest.raises(Unauthorized, match="belongs to no device"):
                        hub.sign_in("[2001:db8::7]:49152", "hp_x")
                with pytest.raises(RateLimited, match=r"from 2001:db8::7; try again in 61 s"):
                    hub.sign_in("[2001:db8::7]:49153", "hp_x")
                assert hub.sign_in("[2001:db8::7]:49154", token) is device
                with pytest.raises(Unauthorized):
                    hub.sign_in("192.0.2.1:1", "hp_x")

        anyrun(scene())

    def test_a_certificate_stands_for_a_token_where_none_is_given(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock) as hub:
                device, token = await hub.create_device("Dev 1")
                other, _ = await hub.create_device("Dev 2")
                for name in ("Dev 1", "dev-1"):
                    assert hub.sign_in("192.0.2.1:1", "", certificate=name) is device
                assert hub.sign_in("192.0.2.1:1", token, certificate="Dev 2") is device
                assert hub.sign_in("192.0.2.1:1", "", certificate="Dev 2", claimed="dev-2") is other
                for wrong in ({"certificate": "Dev 3"}, {"certificate": "Dev 2", "claimed": "dev-1"}, {}):
                    with pytest.raises(Unauthorized):
                        hub.sign_in("192.0.2.1:1", "", **wrong)
                with pytest.raises(Unauthorized, match="for 'Dev 3', and no device is called so"):
                    hub.sign_in("192.0.2.1:1", "", certificate="Dev 3")

        anyrun(scene())

    def test_a_device_that_says_which_it_is_must_be_the_tokens(self, anyrun, clock):
        async def scene():
            async with open_hub(clock=clock, sign_in_failures_per_min=1) as hub:
                device, token = await hub.create_device("Dev 1")
                for claimed in ("", "Dev 1", "dev-1"):
                    assert hub.sign_in("192.0.2.1:1", token, claimed=claimed) is device
                with pytest.raises(Unauthorized, match="another device"):
                    hub.sign_in("192.0.2.1:1", token, claimed="dev-2")
                with pytest.raises(RateLimited):
                    hub.sign_in("192.0.2.1:1", token, claimed="dev-2")

        anyrun(scene())

    @pytest.mark.parametrize(
        ("name", "device_id"),
        [("Pump", "pump"), ("Pump 2 (old)", "pump-2-old"), ("泵", "device"), ("x" * 128, "x" * 48), ("--", "device")],
    )
    def test_an_id_is_made_from_the_name(self, anyrun, name, device_id):
        async def scene():
            async with open_hub() as hub:
                device, _ = await hub.create_device(name)
                assert device.id == device_id
                assert hub.catalogue.find(device_id) is hub.catalogue.find(name) is device
                second, _ = await hub.create_device(name[:100] + "!")
                assert second.id == f"{device_id}-2"

        anyrun(scene())

    @pytest.mark.parametrize("name", ["", " x", "x ", "x" * 129, "a\nb", "a\u200bb", "\t"])
    def test_a_name_that_cannot_be_seen_is_refused(self, anyrun, name):
        async def scene():
            async with open_hub() as hub:
                with pytest.raises(BadInput) as refused:
                    await hub.create_device(name)
                assert refused.value.field == "name"
                assert len(hub.catalogue) == 0

        anyrun(scene())

    def test_a_name_is_taken_by_a_name_or_an_id(self, anyrun):
        async def scene():
            async with open_hub(max_devices=3) as hub:
                pump, _ = await hub.create_device("Pump")
                for taken in ("Pump", "pump"):
                    with pytest.raises(Conflict):
                        await hub.create_device(taken)
                other, _ = await hub.create_device("Other")
                with pytest.raises(Conflict):
                    await hub.change_device(other, {"name": "pump"})
                await hub.change_device(pump, {"name": "pump"})  # its own id is its to have
                await hub.create_device("third")
                with pytest.raises(TooLarge, match=r"limits.max_devices \(3\) is reached"):
                    await hub.create_device("fourth")

        anyrun(scene())

    @pytest.mark.parametrize(
        "changes",
        [
            {"labels": {f"k{n}": "v" for n in range(65)}},
            {"labels": {"": "v"}},
            {"labels": {"k": "v" * 129}},
            {"labels": {"k": "a\nb"}},
            {"expected_every_s": 0.0},
            {"expected_every_s": -1.0},
            {"expected_every_s": 1e12},
            {"name": ""},
        ],
    )
    def test_a_change_that_cannot_be_is_refused_whole(self, anyrun, changes):
        async def scene():
            async with open_hub() as hub:
                device, _ = await hub.create_device("dev", {"a": "b"})
                before = device.record
                with pytest.raises(BadInput):
                    await hub.change_device(device, changes)
                assert device.record is before

        anyrun(scene())

    def test_what_could_not_be_stored_did_not_happen(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_hub(store) as hub:
                device, token = await hub.create_device("dev")
                events = hub.live.number
                store.error = FULL
                for attempt in (
                    hub.create_device("new"),
                    hub.change_device(device, {"name": "renamed"}),
                    hub.new_device_token(device),
                    hub.remove_device(device),
                ):
                    with pytest.raises(StorageFull):
                        await attempt
                assert hub.live.number == events
                assert [one.record.name for one in hub.catalogue] == ["dev"]
                assert hub.authenticate(token) is device
                assert hub.catalogue.find("dev") is device
                with pytest.raises(NotFound):
                    hub.catalogue.find("new")

        anyrun(scene())

    def test_two_changes_that_fail_end_where_they_began(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_hub(store) as hub:
                device, _ = await hub.create_device("dev")
                store.error = FULL
                changes = [hub.change_device(device, {"name": name}) for name in ("one", "two", "three")]
                results = await asyncio.gather(*changes, return_exceptions=True)
                assert [type(result) for result in results] == [StorageFull] * 3
                assert device.record.name == store.load(Device)[0].name == "dev"
                assert hub.catalogue.named("dev") is device
                assert [hub.catalogue.named(name) for name in ("one", "two", "three")] == [None] * 3

        anyrun(scene())

    @pytest.mark.parametrize("change", ["rename", "remove"])
    def test_nobody_takes_a_name_that_may_be_needed_again(self, anyrun, change):
        """Until it is stored that a device has another name, or is gone, this may fail."""

        async def scene():
            store = HeldStore()
            async with open_hub(store) as hub:
                device, _ = await hub.create_device("Dev A")
                store.held = True
                begun = hub.change_device(device, {"name": "B"}) if change == "rename" else hub.remove_device(device)
                changing = asyncio.ensure_future(begun)
                await until(lambda: store.waiting)
                with pytest.raises(Conflict):
                    await asyncio.wait_for(hub.create_device("Dev A"), 60)  # a commit would wait for the other
                assert hub.make_device_now("dev.a", {}).id == "dev-a-2"
                store.held = False
                store.release(FULL)
                with pytest.raises(StorageFull):
                    await changing
                assert hub.catalogue.find("Dev A") is hub.catalogue.find("dev-a") is device
                await (hub.change_device(device, {"name": "B"}) if change == "rename" else hub.remove_device(device))
                assert (await hub.create_device("Dev A"))[0] is hub.catalogue.named("Dev A")

        anyrun(scene())

    def test_ids_of_names_that_differ_in_nothing_an_id_has(self, anyrun):
        """Found by halving: every further one is a few looks away."""

        async def scene():
            async with open_hub() as hub:
                catalogue = hub.catalogue
                ids = [hub.make_device_now("温度" + "#" * number, {}).id for number in range(100)]
                assert ids == ["device", *(f"device-{number}" for number in range(2, 101))]
                await hub.remove_device(catalogue.find("device-2"))
                assert catalogue.new_id("湿度") == "device-2"
                looks = []
                named = catalogue.named
                catalogue.named = lambda text: looks.append(text) or named(text)
                hub.make_device_now("压力", {})
                assert catalogue.new_id("湿度") == "device-101"
                assert len(looks) < 30

        anyrun(scene())

    def test_anonymous_devices_name_themselves_and_are_stored_with_their_readings(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_hub(store, allow_anonymous=True) as hub:
                store.error = FULL
                device = hub.authenticate("bench-7")
                session = NotingSession()
                hub.attach(session, device)
                hub.ingest(session, device, [(1, "a", 1)], 1)
                with pytest.raises(StorageFull):
                    await hub.commits.durable()
                store.error = None
                hub.ingest(session, device, [(2, "a", 2)], 2)
                await hub.commits.durable()
                assert [record.name for record in store.load(Device)] == ["bench-7"]
                assert hub.authenticate("bench-7") is device
                with pytest.raises(Unauthorized, match="no device can be named that"):
                    hub.authenticate("a\tb")

        anyrun(scene())

    def test_a_revoked_token_is_no_anonymous_devices_name(self, anyrun):
        async def scene():
            async with open_hub(allow_anonymous=True) as hub:
                device, token = await hub.create_device("dev")
                await hub.new_device_token(device)
                with pytest.raises(Unauthorized, match="belongs to no device"):
                    hub.authenticate(token)
                assert list(hub.catalogue.by_id) == ["dev"]

        anyrun(scene())


class TestRemoval:
    def test_nothing_of_a_device_is_left(self, anyrun, make_store):
        async def scene():
            async with open_hub(make_store()) as hub:
                device, session = await attached(hub)
                other, other_session = await attached(hub, "other")
                for one, its in ((device, session), (other, other_session)):
                    hub.ingest(its, one, [(1, "a", 1), (2, "b", 2)], 1)
                    hub.set_attributes(one, "shared", {"x": 1})
                queued = await hub.ledger.queue(device, "go")
                hub.ingest(session, device, [(3, "a", 3)], 2)  # in the batch that removes it
                await hub.remove_device(device)
                assert session.ended == "the device was removed"
                assert queued.state == "cancelled"
                store = hub.store
                assert [record.id for record in store.load(Device)] == ["other"]
                assert {series.device_id for series in store.load(Series)} == {"other"}
                assert {entry.device_id for entry in store.load(Attribute)} == {"other"}
                assert store.commands(device_id=device.id) == []
                assert [row[1:] for row in store.latest()] == [(1, 1), (2, 2)]
                last = hub.live.since(hub.live.number - 1)[0]
                assert (last.kind, last.data) == ("device", {"action": "removed", "device": {"id": "dev"}})
                hub.detach(session)  # the connection ends later, and says no more of the device
                assert hub.live.number == last.number

        anyrun(scene())

    def test_a_device_under_removal_takes_nothing_more(self, anyrun, make_store):
        async def scene():
            async with open_hub(make_store()) as hub:
                device, session = await attached(hub)
                hub.ingest(session, device, [(1, "a", 1)], 1)
                await hub.commits.durable()
                removing = asyncio.ensure_future(hub.remove_device(device))
                await asyncio.sleep(0)
                for key in ("a", "b"):
                    with pytest.raises(NotFound, match="the device dev was removed"):
                        hub.ingest(session, device, [(2, key, 2)], 2)
                with pytest.raises(NotFound):
                    hub.set_attributes(device, "client", {"x": 1})
                await removing
                for again in (hub.remove_device(device), hub.new_device_token(device)):
                    with pytest.raises(NotFound):
                        await again
                # The next device of that name has its id, and none of its past.
                heir, _ = await hub.create_device("dev")
                assert heir.id == "dev"
            async with open_hub(hub.store) as hub:
                assert hub.catalogue.find("dev").latest() == {}
                assert hub.attributes(hub.catalogue.find("dev"), "client") == {}

        anyrun(scene())

    def test_a_removal_that_fails_leaves_the_device_with_all_it_has(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_hub(store) as hub:
                device, session = await attached(hub)
                hub.ingest(session, device, [(1, "a", 1)], 1)
                await hub.commits.durable()
                hub.ingest(session, device, [(1, "new", 1)], 2)  # its series is begun in the batch that fails
                store.error = FULL
                with pytest.raises(StorageFull):
                    await hub.remove_device(device)
                assert session.acknowledged[-1] == ([2], FULL)
                assert session.ended is None
                store.error = None
                hub.ingest(session, device, [(2, "a", 2), (2, "new", 2)], 3)
                await hub.commits.durable()
                assert {key: latest["value"] for key, latest in device.latest().items()} == {"a": 2, "new": 2}
                assert [series.key for series in store.load(Series)] == ["a", "new"]

        anyrun(scene())


class TestAttributes:
    def test_merge_delete_and_push(self, anyrun):
        async def scene():
            async with open_hub() as hub:
                device, session = await attached(hub)
                hub.set_attributes(device, "shared", {"a": 1, "b": [1]})
                hub.set_attributes(device, "shared", {"a": True, "b": [1], "none": None})
                hub.set_attributes(device, "shared", {"a": True})
                hub.set_attributes(device, "shared", {"b": None})
                hub.set_attributes(device, "server", {"secret": 1})
                hub.set_attributes(device, "client", {"fw": 1})
                assert session.attributes == [({"a": 1, "b": [1]}, []), ({"a": True}, []), ({}, ["b"])]
                assert [hub.attributes(device, scope) for scope in ("client", "shared", "server")] == [
                    {"fw": 1},
                    {"a": True},
                    {"secret": 1},
                ]
                for wrong in ("", "Shared", "other"):
                    with pytest.raises(BadInput):
                        hub.set_attributes(device, wrong, {"a": 1})
                    with pytest.raises(BadInput):
                        hub.attributes(device, wrong)
                with pytest.raises(BadInput):
                    hub.set_attributes(device, "server", {"ok": 1, "not ok": 1})
                assert hub.attributes(device, "server") == {"secret": 1}

        anyrun(scene())

    def test_the_limit_counts_all_scopes_and_what_would_be_left(self, anyrun):
        async def scene():
            async with open_hub(max_attributes_per_device=3) as hub:
                device, _ = await attached(hub)
                hub.set_attributes(device, "client", {"a": 1, "b": 1})
                hub.set_attributes(device, "shared", {"c": 1})
                with pytest.raises(TooLarge, match=r"max_attributes_per_device \(3\)"):
                    hub.set_attributes(device, "server", {"d": 1})
                hub.set_attributes(device, "client", {"a": 2, "b": None, "never": None})
                hub.set_attributes(device, "server", {"d": 1})

        anyrun(scene())


def test_deleting_readings_of_a_range_finds_the_latest_that_is_left(anyrun, make_store):
    async def scene():
        async with open_hub(make_store()) as hub:
            device, session = await attached(hub)
            hub.ingest(session, device, [(ts, "a", ts) for ts in range(10)], 1)
            await hub.commits.durable()
            await hub.past.delete_readings(device, "a", 5, 10)
            assert device.latest() == {"a": {"value": 4, "ts": 4}}
            await hub.past.delete_readings(device, "a", 1, 3)
            assert (await hub.past.readings(device, "a", 0, 100))[1] == [(0, 0), (3, 3), (4, 4)]
            await hub.past.delete_readings(device, "a", 0, 100)
            assert device.latest() == {}
            for start, end in ((5, 5), (6, 5), (-1, 5), (0, 10**18)):
                for attempt in (hub.past.delete_readings, hub.past.readings):
                    with pytest.raises(BadInput):
                        await attempt(device, "a", start, end)
            with pytest.raises(NotFound):
                await hub.past.delete_readings(device, "never", 0, 1)

    anyrun(scene())


def test_the_oldest_of_too_many_attachments_ends_and_no_other(anyrun, monkeypatch):
    """Also where a session that is ended detaches itself at once, as that of a device behind a gateway does."""
    monkeypatch.setattr("hardpoint.hub.hub.MAX_SESSIONS_PER_DEVICE", 2)

    class Prompt(NotingSession):
        def __init__(self, hub):
            super().__init__()
            self.hub = hub

        def end(self, reason):
            super().end(reason)
            self.hub.detach(self)

    async def scene():
        async with open_hub() as hub:
            device, _ = await hub.create_device("dev")
            sessions = [Prompt(hub) for _ in range(3)]
            for session in sessions:
                hub.attach(session, device)
            assert [session.ended is None for session in sessions] == [False, True, True]
            assert device.sessions == tuple(sessions[1:])

    anyrun(scene())
