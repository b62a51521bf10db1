"""Rules on a hub with a fake clock: every state, in and out, over restarts, and whatever is changed meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from hardpoint.errors import BadInput, Conflict, NotFound, StorageFull, TooLarge
from hardpoint.hub import commands
from hardpoint.hub.rules.alerts import MAX_RESOLVED
from hardpoint.model import Alert, Command, RuleState
from hardpoint.testing import FakeClock

from ..hubs import FULL, HeldStore, NotingSession, attached, open_hub, until
from .scenes import alerts, pass_s, rule, say, states


def test_fires_at_once_and_ends_by_its_hysteresis(anyrun, clock):
    async def scene():
        async with open_hub(None, clock) as hub:
            _, session = await attached(hub)
            await hub.alerting.rules.add(rule())
            await say(hub, session, (1, 30), (2, 30.5), (3, 31), (4, 29), (5, 28.5))
            assert alerts(hub) == [("hot", "dev", 2, None)]
            assert states(hub) == {("hot", "dev"): "firing"}
            await say(hub, session, (6, 28), (7, 29))
            assert alerts(hub) == [("hot", "dev", 2, 6)]
            assert states(hub) == {("hot", "dev"): "normal"}
            alert = hub.alerting.alerts.get(1)
            assert (alert.text, alert.value, alert.since_ms, alert.severity) == ("temp is above 30", 30.5, 2, "warning")

    anyrun(scene())


def test_waits_for_its_time_by_the_readings_own_times(anyrun, clock):
    async def scene():
        async with open_hub(None, clock) as hub:
            _, session = await attached(hub)
            await hub.alerting.rules.add(rule(for_s=60))
            await say(hub, session, (1_000, 31))
            assert states(hub) == {("hot", "dev"): "pending"}
            await say(hub, session, (30_000, 20), (40_000, 31), (99_999, 31))
            assert alerts(hub) == [], "it was interrupted, and holds for 59.999 s"
            await say(hub, session, (100_000, 31))
            assert alerts(hub) == [("hot", "dev", 100_000, None)]

    anyrun(scene())


def test_fires_though_no_other_reading_comes(anyrun, clock):
    async def scene():
        async with open_hub(None, clock) as hub:
            _, session = await attached(hub)
            await hub.alerting.rules.add(rule(for_s=60))
            began = clock.now_ms
            await say(hub, session, (began, 31))
            await pass_s(hub, clock, 59)
            assert states(hub) == {("hot", "dev"): "pending"}
            await pass_s(hub, clock, 1)
            assert alerts(hub) == [("hot", "dev", began + 60_000, None)]

    anyrun(scene())


def test_a_condition_that_comes_and_goes_asks_for_one_call_only(anyrun, clock):
    async def scene():
        async with open_hub(None, clock) as hub:
            _, session = await attached(hub)
            await hub.alerting.rules.add(rule(for_s=3600))
            for turn in range(100):
                await say(hub, session, (2 * turn, 31), (2 * turn + 1, 20))
            assert len(hub.alerting.agenda) == 1

    anyrun(scene())


def test_readings_that_come_late_say_nothing_about_the_present(anyrun, clock):
    async def scene():
        async with open_hub(None, clock) as hub:
            _, session = await attached(hub)
            await hub.alerting.rules.add(rule())
            await say(hub, session, (100, 20))
            await say(hub, session, (50, 40))
            assert alerts(hub) == []
            await say(hub, session, (101, 40), (102, 20), (103, 40))
            assert alerts(hub) == [("hot", "dev", 101, 102), ("hot", "dev", 103, None)], "within one batch all count"

    anyrun(scene())


def test_a_key_of_an_expression_may_be_older_than_the_others(anyrun, clock):
    async def scene():
        async with open_hub(None, clock) as hub:
            _, session = await attached(hub)
            await hub.alerting.rules.add(rule({"is": "expression", "text": "temp > 30 and hum < 40"}))
            await say(hub, session, (100, 31))
            assert states(hub) == {("hot", "dev"): "error"}
            await say(hub, session, (90, 30), key="hum")
            assert alerts(hub) == [("hot", "dev", 100, None)]
            await say(hub, session, (80, 90), key="hum")
            assert alerts(hub) == [("hot", "dev", 100, None)], "older than the latest hum"

    anyrun(scene())


MISSING = {"key": "temp", "is": "missing"}


class TestMissing:
    def test_fires_after_its_time_and_ends_with_the_next_reading(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                _, session = await attached(hub)
                await say(hub, session, (1, 20))
                await hub.alerting.rules.add(rule(MISSING, for_s=60))
                begun = clock.now_ms
                await pass_s(hub, clock, 59)
                await say(hub, session, (2, 20))
                await pass_s(hub, clock, 59)
                assert alerts(hub) == []
                await pass_s(hub, clock, 1)
                assert alerts(hub) == [("hot", "dev", begun + 119_000, None)]
                await pass_s(hub, clock, 600)
                await say(hub, session, (3, 20))
                assert alerts(hub) == [("hot", "dev", begun + 119_000, begun + 719_000)]
                await pass_s(hub, clock, 60)
                assert len(alerts(hub)) == 2, "and it begins anew"

        anyrun(scene())

    def test_any_key_will_do_for_a_star(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                _, session = await attached(hub)
                await hub.alerting.rules.add(rule({"key": "*", "is": "missing"}, for_s=60))
                for turn, key in enumerate(("temp", "hum", "new")):
                    await say(hub, session, (turn, 1), key=key)
                    await pass_s(hub, clock, 59)
                assert alerts(hub) == []
                await pass_s(hub, clock, 1)
                assert [alert[:2] for alert in alerts(hub)] == [("hot", "dev")]

        anyrun(scene())

    def test_a_device_that_never_had_the_key_is_not_missed(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                _, session = await attached(hub)
                await say(hub, session, (1, 1), key="hum")
                await hub.alerting.rules.add(rule(MISSING, for_s=60))
                await pass_s(hub, clock, 600)
                assert alerts(hub) == []

        anyrun(scene())


class TestScope:
    @pytest.mark.parametrize(
        ("scope", "devices"),
        [
            ("all", ["a", "b", "c"]),
            ("device:b", ["b"]),
            ("label:room", ["a", "b"]),
            ("label:room=north", ["a"]),
            ("label:none", []),
        ],
    )
    def test_names_the_devices(self, anyrun, clock, scope, devices):
        async def scene():
            async with open_hub(None, clock) as hub:
                await hub.alerting.rules.add(rule(scope=scope))
                for name, labels in (("a", {"room": "north"}), ("b", {"room": "south"}), ("c", {})):
                    device, _ = await hub.create_device(name, labels)
                    session = NotingSession()
                    hub.attach(session, device)
                    await say(hub, session, (1, 31))
                assert [device for _, device, _, _ in alerts(hub)] == devices

        anyrun(scene())

    def test_follows_a_changed_label(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                device, session = await attached(hub)
                await hub.alerting.rules.add(rule(scope="label:room=north"))
                await say(hub, session, (1, 31))
                assert alerts(hub) == []
                await hub.change_device(device, {"labels": {"room": "north"}})
                await say(hub, session, (2, 31))
                assert alerts(hub) == [("hot", "dev", 2, None)]
                await hub.change_device(device, {"labels": {}})
                assert alerts(hub) == [("hot", "dev", 2, clock.now_ms)]
                assert hub.alerting.alerts.get(1).reason == "the rule concerns this device no more"

        anyrun(scene())


class TestChanges:
    def test_another_condition_begins_anew(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                rules = hub.alerting.rules
                _, session = await attached(hub)
                await rules.add(rule())
                await say(hub, session, (1, 31))
                await rules.change("hot", {"when": {"key": "temp", "is": "above", "value": 40}})
                assert hub.alerting.alerts.get(1).reason == "the rule was changed"
                await say(hub, session, (2, 31))
                assert len(alerts(hub)) == 1
                await say(hub, session, (3, 41))
                assert len(alerts(hub)) == 2

        anyrun(scene())

    def test_another_name_does_not(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                rules = hub.alerting.rules
                _, session = await attached(hub)
                await rules.add(rule())
                await say(hub, session, (1, 31))
                await rules.change("hot", {"severity": "critical", "repeat_s": 60})
                await say(hub, session, (2, 32))
                assert alerts(hub) == [("hot", "dev", 1, None)]

        anyrun(scene())

    def test_a_rule_that_is_off_looks_at_nothing(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                rules = hub.alerting.rules
                _, session = await attached(hub)
                await rules.add(rule())
                await say(hub, session, (1, 31))
                await rules.change("hot", {"enabled": 0})
                await say(hub, session, (2, 31))
                assert alerts(hub) == [("hot", "dev", 1, clock.now_ms)]
                assert states(hub) == {}

        anyrun(scene())

    def test_a_removed_rule_ends_its_alerts(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                rules = hub.alerting.rules
                _, session = await attached(hub)
                await rules.add(rule())
                await rules.add(rule(id="other"))
                await say(hub, session, (1, 31))
                await rules.remove("hot")
                await say(hub, session, (2, 31))
                assert alerts(hub) == [("hot", "dev", 1, clock.now_ms), ("other", "dev", 1, None)]
                await hub.commits.durable()
                assert [state.rule_id for state in hub.store.load(RuleState)] == ["other"]

        anyrun(scene())

    def test_a_removed_device_takes_its_alerts_along(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                device, session = await attached(hub)
                await hub.alerting.rules.add(rule(for_s=0))
                await hub.alerting.rules.add(rule(id="later", for_s=60))
                await say(hub, session, (1, 31))
                await hub.remove_device(device)
                assert alerts(hub) == []
                await pass_s(hub, clock, 600)
                assert alerts(hub) == []
                assert hub.store.load(Alert) == []
                assert hub.store.load(RuleState) == []

        anyrun(scene())

    def test_what_could_not_be_stored_did_not_happen(self, anyrun, clock):
        async def scene():
            store = HeldStore()
            async with open_hub(store, clock) as hub:
                rules = hub.alerting.rules
                _, session = await attached(hub)
                await rules.add(rule())
                store.error = FULL
                for change in (rules.add(rule(id="other")), rules.change("hot", {"enabled": 0}), rules.remove("hot")):
                    with pytest.raises(StorageFull):
                        await change
                store.error = None
                assert [record.id for record in rules.all()] == ["hot"]
                await say(hub, session, (1, 31))
                assert alerts(hub) == [("hot", "dev", 1, None)]

        anyrun(scene())

    def test_refusals(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                rules = hub.alerting.rules
                await rules.add(rule())
                with pytest.raises(Conflict):
                    await rules.add(rule())
                for missing in (rules.change("none", {}), rules.remove("none")):
                    with pytest.raises(NotFound):
                        await missing
                with pytest.raises(NotFound):
                    rules.get("none")

        anyrun(scene())

    @pytest.mark.parametrize(
        ("field", "given"),
        [
            ("id", {"id": "Hot Rule"}),
            ("scope", {"scope": "devices:x"}),
            ("scope", {"scope": "all:x"}),
            ("scope", {"scope": "device:"}),
            ("for_s", {"for_s": -1}),
            ("for_s", {"for_s": 1e9}),
            ("for_s", {"when": {"key": "t", "is": "missing"}}),
            ("severity", {"severity": "bad"}),
            ("repeat_s", {"repeat_s": 5}),
            ("channels", {"channels": ["x"] * 33}),
            ("command", {"command": {"method": "a", "more": 1}}),
            ("command.method", {"command": {"method": "two words"}}),
            ("command.device", {"command": {"method": "a", "device": 5}}),
        ],
    )
    def test_what_is_no_rule_is_refused_with_its_place(self, anyrun, clock, field, given):
        async def scene():
            async with open_hub(None, clock) as hub:
                with pytest.raises(BadInput) as caught:
                    await hub.alerting.rules.add(rule(**given))
                assert caught.value.field == field

        anyrun(scene())


class TestStandings:
    def test_no_data_after_three_intervals(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                device, session = await attached(hub)
                await hub.change_device(device, {"expected_every_s": 60.0})
                await hub.alerting.rules.add(rule())
                assert [one["state"] for one in hub.alerting.rules.of_device(device)] == ["no_data"]
                await say(hub, session, (1, 31))
                clock.now_ms += 180_000
                assert states(hub) == {("hot", "dev"): "firing"}
                clock.now_ms += 1
                (standing,) = hub.alerting.rules.standings("hot")
                assert (standing["state"], standing["holds"], standing["why"]) == (
                    "no_data",
                    "firing",
                    "the last reading came 180 s ago",
                )

        anyrun(scene())

    def test_an_error_neither_raises_nor_ends(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                _, session = await attached(hub)
                await hub.alerting.rules.add(rule())
                await say(hub, session, (1, "warm"))
                assert states(hub) == {("hot", "dev"): "error"}
                await say(hub, session, (2, 31), (3, "warm"))
                assert alerts(hub) == [("hot", "dev", 2, None)]
                (standing,) = hub.alerting.rules.standings("hot")
                assert (standing["state"], standing["holds"]) == ("error", "firing")
                assert standing["why"] == 'temp is "warm", not a number'
                await say(hub, session, (4, 20))
                assert states(hub) == {("hot", "dev"): "normal"}

        anyrun(scene())


class TestRestart:
    def test_goes_on_where_it_was(self, anyrun, make_store, clock):
        async def scene():
            async with open_hub(make_store(), clock) as hub:
                _, session = await attached(hub)
                await hub.alerting.rules.add(rule())
                await hub.alerting.rules.add(rule(id="slow", for_s=60))
                began = clock.now_ms
                await say(hub, session, (began, 31))
            clock.now_ms += 30_000
            async with open_hub(make_store(), clock) as hub:
                device = hub.catalogue.find("dev")
                assert {one["rule"]: one["holds"] for one in hub.alerting.rules.of_device(device)} == {
                    "hot": "firing",
                    "slow": "pending",
                }
                session = NotingSession()
                hub.attach(session, device)
                await say(hub, session, (began + 30_000, 31))
                assert len(alerts(hub)) == 1, "the alert that fires is not raised again"
                await pass_s(hub, clock, 30)
                assert alerts(hub)[1:] == [("slow", "dev", began + 60_000, None)]
                await say(hub, session, (began + 60_001, 20))
            async with open_hub(make_store(), clock) as hub:
                assert alerts(hub) == [
                    ("hot", "dev", began, began + 60_001),
                    ("slow", "dev", began + 60_000, began + 60_001),
                ]
                assert hub.store.load(RuleState) == []
                await hub.alerting.rules.add(rule(id="third"))
                session = NotingSession()
                hub.attach(session, hub.catalogue.find("dev"))
                await say(hub, session, (began + 70_000, 31))
                assert sorted(alert.id for alert in hub.alerting.alerts.firing) == [3, 4], "numbers go on"

        anyrun(scene())

    def test_a_pending_time_that_is_over_by_then_fires(self, anyrun, make_store, clock):
        async def scene():
            async with open_hub(make_store(), clock) as hub:
                _, session = await attached(hub)
                await hub.alerting.rules.add(rule(for_s=60))
                await say(hub, session, (clock.now_ms, 31))
            clock.now_ms += 600_000
            async with open_hub(make_store(), clock) as hub:
                await pass_s(hub, clock, 60)
                assert len(alerts(hub)) == 1

        anyrun(scene())

    def test_a_rule_that_this_version_cannot_read_keeps_nobody_out(self, anyrun, make_store, clock, caplog):
        async def scene():
            async with open_hub(make_store(), clock) as hub:
                await hub.alerting.rules.add(rule())
                hub.alerting.rules.get("hot").when["is"] = "hotter"
                from hardpoint.model import Put

                hub.commits.note(Put(hub.alerting.rules.get("hot")))
                await hub.commits.durable()
            async with open_hub(make_store(), clock) as hub:
                assert list(hub.alerting.rules.all()) == []

        anyrun(scene())
        assert "rule hot cannot be used: is is one of" in caplog.text


class TestAlerts:
    def test_are_acknowledged_once(self, anyrun, make_store, clock):
        async def scene():
            async with open_hub(make_store(), clock) as hub:
                _, session = await attached(hub)
                await hub.alerting.rules.add(rule())
                await say(hub, session, (1, 31))
                board = hub.alerting.alerts
                alert = board.acknowledge(1, "ada")
                assert (alert.acknowledged_by, alert.acknowledged_ms) == ("ada", clock.now_ms)
                with pytest.raises(Conflict, match="ada"):
                    board.acknowledge(1, "bob")
                await say(hub, session, (2, 20))
                with pytest.raises(Conflict, match="ended"):
                    board.acknowledge(1, "bob")
                with pytest.raises(NotFound):
                    board.acknowledge(2, "bob")
            async with open_hub(make_store(), clock) as hub:
                assert hub.alerting.alerts.get(1).acknowledged_by == "ada"

        anyrun(scene())

    def test_the_oldest_that_ended_go(self, anyrun, clock, monkeypatch):
        monkeypatch.setattr("hardpoint.hub.rules.alerts.MAX_RESOLVED", 20)

        async def scene():
            async with open_hub(None, clock) as hub:
                _, session = await attached(hub)
                await hub.alerting.rules.add(rule())
                for turn in range(30):
                    await say(hub, session, (2 * turn, 31), (2 * turn + 1, 20))
                await hub.commits.durable()
                kept = [alert.id for alert in hub.alerting.alerts.newest_first()]
                assert kept == list(range(30, 10, -1))
                assert sorted(alert.id for alert in hub.store.load(Alert)) == sorted(kept)

        anyrun(scene())
        assert MAX_RESOLVED == 10_000

    def test_a_rule_may_send_a_command(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                _, session = await attached(hub)
                _, other = await attached(hub, "fan")
                await hub.alerting.rules.add(rule(command={"method": "beep", "params": {"times": 3}}))
                await hub.alerting.rules.add(rule(id="cool", command={"method": "on", "device": "fan"}))
                await hub.alerting.rules.add(rule(id="lost", command={"method": "on", "device": "gone"}))
                await say(hub, session, (1, 31))
                await hub.commits.durable()
                await hub.commits.durable()
                assert session.delivered == [(1, "beep", {"times": 3})]
                assert other.delivered == [(2, "on", None)]
                await say(hub, session, (2, 32))
                assert len(session.delivered) == 1

        anyrun(scene())

    def test_the_command_is_stored_with_the_alert_or_not_at_all(self, anyrun, clock):
        async def scene():
            store = HeldStore()
            async with open_hub(store, clock) as hub:
                _, session = await attached(hub)
                await hub.alerting.rules.add(rule(command={"method": "beep"}))
                await say(hub, session, (1, 31))
                await hub.commits.durable()
                [kinds] = [
                    {type(change.record) for change in changes}
                    for _, changes in store.batches
                    if any(type(change.record) is Alert for change in changes)
                ]
                assert Command in kinds
                assert session.delivered == [(1, "beep", None)]

        anyrun(scene())

    def test_the_command_outlives_a_full_disk(self, anyrun, clock, monkeypatch):
        async def scene():
            monkeypatch.setattr(commands, "RETRY_S", 0.001)
            store = HeldStore()
            async with open_hub(store, clock) as hub:
                _, session = await attached(hub)
                await hub.alerting.rules.add(rule(command={"method": "beep"}))
                hub.ingest(session, session.device, [(1, "temp", 31)], "r")
                store.held = True
                await until(lambda: store.waiting)
                store.held = False
                store.error = FULL
                store.release()  # the readings; what follows from them fails
                await until(lambda: hub.commits.failures > 2)
                assert session.delivered == []
                store.error = None
                await until(lambda: session.delivered)
                await hub.commits.durable()
                assert [command.state for command in store.commands()] == ["sent"]
                assert len(list(store.load(Alert))) == 1

        anyrun(scene())


class TestClocks:
    """A wall clock that is set, ours or a device's, neither silences a rule nor raises an alert."""

    def test_a_reading_from_the_future_makes_none_after_it_late(self, anyrun, make_store, clock):
        async def scene():
            async with open_hub(make_store(), clock) as hub:
                _, session = await attached(hub)
                await hub.alerting.rules.add(rule())
                await say(hub, session, (clock.now_ms + 3_600_000, 20))
                await say(hub, session, (clock.now_ms, 31))
                assert alerts(hub) == [("hot", "dev", clock.now_ms, None)]
            async with open_hub(make_store(), clock) as hub:
                session = NotingSession()
                hub.attach(session, hub.catalogue.find("dev"))
                await say(hub, session, (clock.now_ms + 1, 20))
                assert hub.alerting.alerts.firing == []

        anyrun(scene())

    @pytest.mark.parametrize("by_s", [-3600, 3600])
    def test_what_waits_waits_as_long_as_before(self, anyrun, clock, by_s):
        async def scene():
            steady = FakeClock(0)
            async with open_hub(None, clock, steady_ms=steady) as hub:
                _, session = await attached(hub)
                _, other = await attached(hub, "other")
                await say(hub, session, (clock.now_ms, 20))
                await hub.alerting.rules.add(rule(MISSING, id="gone", scope="device:dev", for_s=300))
                await hub.alerting.rules.add(rule(id="slow", scope="device:other", for_s=300))
                await say(hub, other, (clock.now_ms, 31))
                clock.now_ms += by_s * 1000
                for left_s in (299, 1):
                    assert alerts(hub) == [], left_s
                    clock.now_ms += left_s * 1000
                    steady.now_ms += left_s * 1000
                    hub.alerting.agenda.run_due(hub.alerting.agenda.now_ms())
                assert sorted(alert[:2] for alert in alerts(hub)) == [("gone", "dev"), ("slow", "other")]

        anyrun(scene())

    def test_a_clock_that_was_set_back_is_obeyed(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                _, session = await attached(hub)
                await hub.alerting.rules.add(rule())
                await say(hub, session, (clock.now_ms, 31))
                clock.now_ms -= 3_600_000
                await say(hub, session, (clock.now_ms, 20))
                assert hub.alerting.alerts.firing == []

        anyrun(scene())


class TestSpots:
    """What a calm reading need not be shown to is found again when it counts."""

    def test_every_rule_of_a_series_sees_what_is_not_calm_for_it(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                _, session = await attached(hub)
                for number in range(5):
                    await hub.alerting.rules.add(rule({"key": "temp", "is": "above", "value": number}, id=f"r{number}"))
                for ts, value in enumerate((0, 3, 2, 9, 4.5, -1)):
                    await say(hub, session, (ts, value))
                    firing = {alert.rule_id for alert in hub.alerting.alerts.firing}
                    assert firing == {f"r{number}" for number in range(5) if value > number}, value

        anyrun(scene())

    def test_a_calm_reading_is_shown_all_the_same(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                device, session = await attached(hub)
                await hub.alerting.rules.add(rule())
                await say(hub, session, (5, 20))
                await say(hub, session, (6, 21))
                (standing,) = hub.alerting.rules.of_device(device)
                assert (standing["ts"], standing["value"], standing["state"]) == (6, 21, "normal")
                await hub.alerting.rules.add(rule(id="second"))
                (standing,) = hub.alerting.rules.standings("hot")
                assert (standing["ts"], standing["value"]) == (6, 21), "another rule changes nothing for this one"

        anyrun(scene())

    def test_a_string_after_calm_numbers_is_an_error_and_a_calm_number_ends_it(self, anyrun, clock):
        async def scene():
            async with open_hub(None, clock) as hub:
                _, session = await attached(hub)
                await hub.alerting.rules.add(rule())
                await hub.alerting.rules.add(rule(MISSING, id="gone", for_s=60))
                await say(hub, session, (1, 20), (2, 21), (3, True))
                assert states(hub)["hot", "dev"] == "error"
                await say(hub, session, (4, 21))
                assert states(hub)["hot", "dev"] == "normal"

        anyrun(scene())

    def test_late_readings_after_a_restart_are_late(self, anyrun, make_store, clock):
        async def scene():
            async with open_hub(make_store(), clock) as hub:
                _, session = await attached(hub)
                await hub.alerting.rules.add(rule())
                await say(hub, session, (1000, 20))
            async with open_hub(make_store(), clock) as hub:
                session = NotingSession()
                hub.attach(session, hub.catalogue.find("dev"))
                await say(hub, session, (500, 40))
                assert alerts(hub) == []
                await say(hub, session, (1001, 40))
                assert len(alerts(hub)) == 1

        anyrun(scene())

    def test_more_watches_than_there_may_be_are_refused(self, anyrun, clock, monkeypatch, caplog):
        monkeypatch.setattr("hardpoint.hub.rules.engine.MAX_WATCHES", 3)

        async def scene():
            async with open_hub(None, clock) as hub:
                rules = hub.alerting.rules
                sessions = [(await attached(hub, name))[1] for name in ("a", "b")]
                await rules.add(rule())
                for session in sessions:
                    await say(hub, session, (1, 20))
                with pytest.raises(TooLarge, match="would add 2, narrow its scope"):
                    await rules.add(rule(id="second"))
                await rules.add(rule(id="third", scope="device:a"))
                await say(hub, sessions[0], (2, 40))
                assert len(alerts(hub)) == 2
                _, late = await attached(hub, "c")
                await say(hub, late, (1, 40))
                assert len(alerts(hub)) == 2
                await rules.remove("third")
                await rules.change("hot", {"name": "Hotter"})
                await say(hub, late, (2, 40))
                assert len(alerts(hub)) == 3

        anyrun(scene())
        assert "rules look at 3 devices in all, and at no more" in caplog.text


def test_what_a_killed_process_had_not_looked_at_is_looked_at_at_start(anyrun, make_store, clock):
    """The readings were durable, and what follows from them was to be in the next commit."""

    async def scene():
        async with open_hub(make_store(), clock) as hub:
            _, session = await attached(hub)
            _, other = await attached(hub, "other")
            await hub.alerting.rules.add(rule())
            await say(hub, other, (clock.now_ms - 3_600_000, 20))
            await say(hub, session, (clock.now_ms, 20))
            hub.alerting.rules.feed = lambda rows, series: None
            await say(hub, session, (clock.now_ms + 1, 31))
            await say(hub, other, (clock.now_ms - 3_599_999, 31))  # long ago: what is stale raises nothing
        async with open_hub(make_store(), clock) as hub:
            assert alerts(hub) == [("hot", "dev", clock.now_ms + 1, None)]

    anyrun(scene())


def test_two_changes_at_once_follow_one_another(anyrun, clock):
    async def scene():
        async with open_hub(None, clock) as hub:
            rules = hub.alerting.rules
            _, session = await attached(hub)
            await rules.add(rule())
            await say(hub, session, (1, 20))
            await asyncio.gather(
                rules.change("hot", {"when": {"key": "temp", "is": "above", "value": 50}}),
                rules.change("hot", {"when": {"key": "temp", "is": "above", "value": 60}}),
                rules.change("hot", {"name": "Hotter"}),
            )
            assert (rules.get("hot").name, rules.get("hot").when["value"]) == ("Hotter", 60)
            await say(hub, session, (2, 55))
            assert alerts(hub) == []
            made = await asyncio.gather(*(rules.add(rule(id="twin")) for _ in range(2)), return_exceptions=True)
            assert [type(one) for one in made] == [type(None), Conflict]
            gone = await asyncio.gather(rules.remove("hot"), rules.change("hot", {"name": "x"}), return_exceptions=True)
            assert [type(one) for one in gone] == [type(None), NotFound]
            assert [one.id for one in rules.all()] == ["twin"]

    anyrun(scene())


def test_a_rule_that_is_removed_leaves_nothing_that_waits(anyrun, clock):
    async def scene():
        async with open_hub(None, clock) as hub:
            _, session = await attached(hub)
            await say(hub, session, (1, 20))
            for _ in range(10):
                await hub.alerting.rules.add(rule(MISSING, for_s=3600))
                await hub.alerting.rules.remove("hot")
            assert (len(hub.alerting.agenda), hub.alerting.rules.watch_count) == (0, 0)

    anyrun(scene())


def test_what_changes_fast_holds_over_a_restart_until_its_time_was_seen(anyrun, make_store, clock):
    when = {"key": "temp", "is": "changing", "by": 5, "within_s": 60}

    async def scene():
        began = clock.now_ms
        async with open_hub(make_store(), clock) as hub:
            _, session = await attached(hub)
            await hub.alerting.rules.add(rule(when))
            await say(hub, session, (began, 20), (began + 1, 30))
            assert len(hub.alerting.alerts.firing) == 1
        clock.now_ms += 20_000
        async with open_hub(make_store(), clock) as hub:
            session = NotingSession()
            hub.attach(session, hub.catalogue.find("dev"))
            await say(hub, session, (began + 20_000, 30))
            assert len(hub.alerting.alerts.firing) == 1
            await say(hub, session, (began + 61_000, 30))
            assert hub.alerting.alerts.firing == []

    anyrun(scene())
