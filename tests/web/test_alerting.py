"""Rules, alerts, channels and quiet hours over the app API; every answer is held against its type."""

from __future__ import annotations

import contextlib

import msgspec
import pytest

from hardpoint.hub import batch as batch_module
from hardpoint.web import shapes
from hub.hubs import attached, open_hub
from hub.rules.scenes import Receiver, pass_s, say

from .webs import open_web

RULE = {"name": "Too hot", "when": {"key": "temp", "is": "above", "value": 30, "until": 28}}


def checked(document, kind):
    """The document as its type, and nothing in it that the type does not tell."""
    found = msgspec.convert(document, kind, strict=True)
    assert msgspec.to_builtins(found) == document
    return found


@contextlib.asynccontextmanager
async def signed_in(receiver=None, role="admin", clock=None):
    senders = {"test": lambda: receiver} if receiver is not None else None
    async with open_web(clock=clock, senders=senders) as web, await web.as_role(role) as client:
        yield web.hub, client


class TestRules:
    def test_are_made_shown_changed_and_removed(self, anyrun, clock):
        async def scene():
            async with signed_in(clock=clock) as (hub, client):
                answer, document = await client.ask("POST", "/api/rules", RULE | {"for_s": 5})
                assert (answer.status, answer.headers["location"]) == (201, "/api/rules/too-hot")
                made = checked(document, shapes.Rule)
                assert (made.id, made.sentence, made.for_s, made.scope) == ("too-hot", "temp is above 30", 5.0, "all")
                _, again = await client.ask("POST", "/api/rules", RULE)
                assert again["id"] == "too-hot-2"
                _, chinese = await client.ask("POST", "/api/rules", RULE | {"name": "太热"})
                assert chinese["id"].startswith("rule-")
                _, listed = await client.ask("GET", "/api/rules")
                assert len(checked(listed, shapes.RuleList).items) == 3
                change = {"for_s": 0, "command": {"method": "beep"}, "severity": "critical"}
                _, document = await client.ask("PATCH", "/api/rules/too-hot", change)
                changed = checked(document, shapes.Rule)
                assert (changed.for_s, changed.severity, changed.command) == (0.0, "critical", {"method": "beep"})
                _, session = await attached(hub)
                await say(hub, session, (1, 31))
                _, document = await client.ask("GET", "/api/rules/too-hot")
                shown = checked(document, shapes.RuleWithStandings)
                assert (shown.firing, shown.standings[0].state) == (1, "firing")
                _, document = await client.ask("GET", "/api/devices/dev/rules")
                assert len(checked(document, shapes.StandingList).items) == 3
                answer, _ = await client.ask("DELETE", "/api/rules/too-hot")
                assert answer.status == 204
                assert (await client.refused(404, "GET", "/api/rules/too-hot"))["code"] == "not_found"

        anyrun(scene())

    def test_are_tried_on_what_is_stored(self, anyrun, clock):
        async def scene():
            async with signed_in(clock=clock) as (hub, client):
                _, session = await attached(hub)
                now = clock.now_ms
                await say(hub, session, (now - 3000, 31), (now - 2000, 20), (now - 1000, 31))
                _, document = await client.ask("POST", "/api/rules/dry-run", RULE)
                run = checked(document, shapes.DryRun)
                assert [(one.fired, one.resolved) for one in run.firings] == [
                    (now - 3000, now - 2000),
                    (now - 1000, None),
                ]
                assert (run.sentence, run.readings) == ("temp is above 30", 3)
                _, document = await client.ask("POST", "/api/rules/dry-run", RULE | {"from_ms": now - 1500})
                assert len(document["firings"]) == 1
                _, listed = await client.ask("GET", "/api/rules")
                assert listed["items"] == []

        anyrun(scene())

    def test_a_free_expression_is_an_admins(self, anyrun, clock):
        free = {"name": "free", "when": {"is": "expression", "text": "temp > 30 and hum < 40"}}

        async def scene():
            async with open_web(clock=clock) as web:
                async with await web.as_role("operator") as operator:
                    await operator.ask("POST", "/api/rules", RULE)
                    assert (await operator.refused(403, "POST", "/api/rules", free))["code"] == "forbidden"
                    await operator.refused(403, "POST", "/api/rules/dry-run", free)
                    await operator.refused(403, "PATCH", "/api/rules/too-hot", {"when": free["when"]})
                async with await web.as_role("admin") as admin:
                    _, made = await admin.ask("POST", "/api/rules", free)
                    assert made["sentence"] == "temp > 30 and hum < 40"

        anyrun(scene())

    @pytest.mark.parametrize(
        ("field", "change"),
        [
            ("when.is", {"when": {}}),
            ("when.value", {"when": {"key": "t", "is": "above", "value": "hot"}}),
            ("scope", {"scope": "everything"}),
            ("channels", {"channels": ["none"]}),
            ("for_s", {"for_s": 1e9}),
            ("repeat_s", {"repeat_s": 1}),
            ("command.method", {"command": {"method": "a b"}}),
            ("id", {"id": "No Id"}),
        ],
    )
    def test_what_is_no_rule_is_refused_with_its_place(self, anyrun, clock, field, change):
        async def scene():
            async with signed_in(clock=clock) as (_, client):
                assert (await client.refused(400, "POST", "/api/rules", RULE | change))["field"] == field

        anyrun(scene())

    def test_are_muted(self, anyrun, clock):
        async def scene():
            async with signed_in(clock=clock) as (_, client):
                await client.ask("POST", "/api/rules", RULE)
                _, document = await client.ask("POST", "/api/rules/too-hot/mute", {"for_s": 60})
                assert checked(document, shapes.Rule).muted_until == clock.now_ms + 60_000
                clock.now_ms += 60_000
                _, document = await client.ask("GET", "/api/rules/too-hot")
                assert document["muted_until"] is None
                assert (await client.refused(400, "POST", "/api/rules/too-hot/mute", {"for_s": 1e12}))[
                    "field"
                ] == "for_s"

        anyrun(scene())


class TestAlerts:
    def test_are_listed_acknowledged_and_muted(self, anyrun, clock):
        async def scene():
            async with signed_in(clock=clock) as (hub, client):
                await client.ask("POST", "/api/rules", RULE)
                for name in ("a", "b", "c"):
                    _, session = await attached(hub, name)
                    await say(hub, session, (1, 31))
                await say(hub, session, (2, 20))
                _, document = await client.ask("GET", "/api/alerts?limit=2")
                page = checked(document, shapes.AlertList)
                assert [(one.id, one.device, one.state) for one in page.items] == [
                    (3, "c", "resolved"),
                    (2, "b", "firing"),
                ]
                _, document = await client.ask("GET", f"/api/alerts?limit=2&cursor={page.next_cursor}")
                assert [one["id"] for one in document["items"]] == [1]
                assert document["next_cursor"] is None
                for query, ids in (("state=firing", [2, 1]), ("state=resolved", [3]), ("device=a", [1])):
                    _, document = await client.ask("GET", f"/api/alerts?{query}")
                    assert [one["id"] for one in document["items"]] == ids
                _, document = await client.ask("POST", "/api/alerts/1/acknowledge")
                assert checked(document, shapes.Alert).acknowledged_by == "a admin"
                await client.refused(409, "POST", "/api/alerts/1/acknowledge")
                _, document = await client.ask("POST", "/api/alerts/2/mute", {"for_s": 60})
                assert checked(document, shapes.Alert).muted_until == clock.now_ms + 60_000
                _, document = await client.ask("GET", "/api/alerts/2")
                assert document["muted_until"] == clock.now_ms + 60_000
                await client.refused(404, "GET", "/api/alerts/9")
                await client.refused(404, "GET", "/api/alerts?device=none")
                assert (await client.refused(400, "GET", "/api/alerts?state=odd"))["field"] == "state"

        anyrun(scene())

    def test_are_acknowledged_together(self, anyrun, clock, monkeypatch):
        monkeypatch.setattr(batch_module, "LINGER_S", 3600)  # how a request ended goes with the next commit

        async def scene():
            async with signed_in(clock=clock) as (hub, client):
                await client.ask("POST", "/api/rules", RULE)
                sessions = [(await attached(hub, name))[1] for name in "abc"]
                for session in sessions:
                    await say(hub, session, (1, 31))
                await say(hub, sessions[2], (2, 20))
                await hub.commits.durable()
                commits = hub.commits.commits
                _, document = await client.ask("POST", "/api/alerts/acknowledge", {"alerts": [1, 3, 2, 9, 2]})
                assert hub.commits.commits == commits + 1
                answer = checked(document, shapes.AcknowledgedAlerts)
                assert [(one.id, one.acknowledged_by) for one in answer.items] == [(1, "a admin"), (2, "a admin")]
                refused = [(one.id, one.code, one.message) for one in answer.refused]
                assert refused == [(3, "conflict", "alert 3 has ended"), (9, "not_found", "there is no alert 9")]
                _, document = await client.ask("POST", "/api/alerts/acknowledge", {"alerts": [1]})
                assert (document["items"], document["refused"][0]["code"]) == ([], "conflict")
                for wrong in ([], [0], ["1"], list(range(1, 1002))):
                    await client.refused(400, "POST", "/api/alerts/acknowledge", {"alerts": wrong})
                _, log = await client.ask("GET", "/api/audit?what=alerts")
                assert [
                    (entry["what"], entry["detail"]["acknowledged"])
                    for entry in log["items"]
                    if entry["result"] == "done"
                ] == [
                    ("alerts.acknowledge", []),
                    ("alerts.acknowledge", [1, 2]),
                ]

        anyrun(scene())

    def test_say_what_is_muted_and_until_when(self, anyrun, clock):
        async def scene():
            async with signed_in(clock=clock) as (hub, client):
                await client.ask("POST", "/api/rules", RULE)
                _, session = await attached(hub)
                await say(hub, session, (1, 31))
                before = hub.live.number
                now = clock.now_ms

                async def silent():
                    _, document = await client.ask("GET", "/api/alerts/1")
                    return document["silent"]

                assert await silent() is None
                await client.ask("POST", "/api/alerts/1/mute", {"for_s": 60})
                assert await silent() == {"until": now + 60_000, "by": "alert"}
                _, document = await client.ask("POST", "/api/devices/dev/mute", {"for_s": 90})
                assert checked(document, shapes.Device).muted_until == now + 90_000
                assert await silent() == {"until": now + 90_000, "by": "device"}
                await client.ask("POST", "/api/rules/too-hot/mute", {"for_s": 120})
                assert await silent() == {"until": now + 120_000, "by": "rule"}
                events = [entry.describe() for entry in hub.live.since(before) if entry.kind == "alert"]
                assert [event["silent"]["by"] for event in events] == ["alert", "device", "rule"], (
                    "pages are told at once"
                )
                clock.now_ms += 119_999
                assert (await silent())["by"] == "rule"
                clock.now_ms += 1
                assert await silent() is None
                await client.ask("POST", "/api/devices/dev/mute", {"for_s": 60})
                _, document = await client.ask("POST", "/api/devices/dev/mute", {"for_s": 0})
                assert document["muted_until"] is None
                assert (await client.refused(400, "POST", "/api/devices/dev/mute", {"for_s": 1e12}))["field"] == "for_s"
                await client.refused(404, "POST", "/api/devices/none/mute", {"for_s": 1})
                _, log = await client.ask("GET", "/api/audit?what=devices.mute")
                noted = [
                    (entry["device"], entry["detail"].get("muted_until"), entry["result"]) for entry in log["items"]
                ]
                assert ("dev", now + 90_000, "done") in noted
                assert ("dev", 0, "done") in noted

        anyrun(scene())

    def test_are_told_with_what_is_set_of_the_devices_keys(self, anyrun, clock):
        async def scene():
            receiver = Receiver()
            async with signed_in(receiver, clock=clock) as (hub, client):
                _, made = await client.ask("POST", "/api/channels", {"name": "c", "kind": "test", "settings": {}})
                await client.ask("POST", "/api/rules", RULE | {"channels": [made["id"]]})
                _, session = await attached(hub)
                fields = {"temp": {"label": "Air", "unit": "°C", "decimals": 2}}
                await client.ask("PATCH", "/api/devices/dev/fields", fields)
                await say(hub, session, (1, 31.5))
                await pass_s(hub, clock, 5)
                [notice] = receiver.notices
                assert notice.text == "firing: Too hot: dev: Air is above 30 °C (31.50 °C)"
                _, document = await client.ask("GET", "/api/alerts/1")
                shown = checked(document, shapes.Alert)
                assert (shown.text, shown.told, shown.value) == ("temp is above 30", "Air is above 30 °C", 31.5)
                assert (shown.key, shown.label, shown.unit, shown.decimals) == ("temp", "Air", "°C", 2)
                assert notice.news[0]["alert"] == document, "a program gets key and value as they are, and what is set"
                _, document = await client.ask("GET", "/api/rules/too-hot")
                [standing] = checked(document, shapes.RuleWithStandings).standings
                assert (standing.value, standing.label, standing.unit) == (31.5, "Air", "°C")
                _, document = await client.ask("POST", "/api/rules/dry-run", RULE | {"from_ms": 0, "to_ms": 10})
                [firing] = checked(document, shapes.DryRun).firings
                assert (firing.key, firing.value, firing.label, firing.unit) == ("temp", 31.5, "Air", "°C")
                await client.ask("DELETE", "/api/rules/too-hot")
                _, document = await client.ask("GET", "/api/alerts/1")
                assert (document["state"], document["told"]) == ("resolved", "Air is above 30 °C")

        anyrun(scene())


class TestChannels:
    def test_keep_their_secrets(self, anyrun, clock):
        async def scene():
            async with signed_in(Receiver(), clock=clock) as (hub, client):
                given = {"name": "Ada", "kind": "test", "settings": {"to": "ada", "password": "s3cret"}}
                answer, document = await client.ask("POST", "/api/channels", given)
                made = checked(document, shapes.Channel)
                assert made.settings == {"to": "ada", "password": None}
                assert answer.headers["location"] == f"/api/channels/{made.id}"
                _, document = await client.ask(
                    "PATCH", f"/api/channels/{made.id}", {"name": "Bob", "settings": {"to": "bob"}}
                )
                assert (document["name"], document["settings"]) == ("Bob", {"to": "bob", "password": None})
                assert hub.alerting.outbox.channel(made.id).settings == {"to": "bob", "password": "s3cret"}
                answer, document = await client.ask("GET", "/api/channels")
                assert checked(document, shapes.ChannelList).kinds == ["test"]
                assert b"s3cret" not in answer.body
                await client.ask("PATCH", f"/api/channels/{made.id}", {"settings": {"password": None}})
                assert hub.alerting.outbox.channel(made.id).settings == {"to": "bob"}

        anyrun(scene())

    def test_are_tested_used_and_removed(self, anyrun, clock):
        async def scene():
            receiver = Receiver()
            async with signed_in(receiver, clock=clock) as (hub, client):
                _, made = await client.ask("POST", "/api/channels", {"name": "A", "kind": "test", "settings": {}})
                one = f"/api/channels/{made['id']}"
                _, document = await client.ask("POST", f"{one}/test")
                assert checked(document, shapes.Said).said == "thanks"
                receiver.out = "HTTP 500"
                error = await client.refused(502, "POST", f"{one}/test")
                assert (error["code"], error["message"]) == ("not_delivered", "HTTP 500")
                await client.ask("POST", "/api/rules", RULE | {"channels": [made["id"]]})
                _, session = await attached(hub)
                await say(hub, session, (1, 31))
                await pass_s(hub, clock, 5)
                _, document = await client.ask("GET", "/api/deliveries")
                (delivery,) = checked(document, shapes.DeliveryList).items
                assert (delivery.state, delivery.attempts, delivery.steps[0].reason) == ("waiting", 1, "HTTP 500")
                assert (await client.refused(409, "DELETE", one))["code"] == "conflict"
                await client.ask("DELETE", "/api/rules/too-hot")
                answer, _ = await client.ask("DELETE", one)
                assert answer.status == 204
                await client.refused(404, "DELETE", one)

        anyrun(scene())

    def test_are_refused_with_their_place(self, anyrun, clock):
        async def scene():
            async with signed_in(Receiver(), clock=clock) as (_, client):
                given = {"name": "A", "kind": "pigeon", "settings": {}}
                assert (await client.refused(400, "POST", "/api/channels", given))["field"] == "kind"

        anyrun(scene())


def test_quiet_hours_are_put_as_a_whole(anyrun, clock):
    async def scene():
        async with signed_in(Receiver(), clock=clock) as (hub, client):
            night = {"begins": "22:00", "ends": "07:00", "time_zone": "Europe/Berlin"}
            _, document = await client.ask("PUT", "/api/quiet-hours", {"items": [night, night | {"days": [5, 6]}]})
            first, second = checked(document, shapes.AllQuietHours).items
            assert (first.days, first.but_for, second.days) == (list(range(7)), "critical", [5, 6])
            _, document = await client.ask("PUT", "/api/quiet-hours", {"items": [night]})
            _, document = await client.ask("GET", "/api/quiet-hours")
            assert len(document["items"]) == 1
            for field, wrong in (("time_zone", {"time_zone": "Mars"}), ("begins", {"begins": "9"})):
                error = await client.refused(400, "PUT", "/api/quiet-hours", {"items": [night | wrong]})
                assert error["field"] == field
            await client.refused(404, "PUT", "/api/quiet-hours", {"items": [night | {"channels": ["none"]}]})
            assert len(hub.alerting.outbox.quiet) == 1

    anyrun(scene())


def test_alerts_are_live_events(anyrun, clock):
    async def scene():
        async with open_hub(None, clock) as hub:
            _, session = await attached(hub)
            from hub.rules.scenes import rule

            await hub.alerting.rules.add(rule())
            before = hub.live.number
            await say(hub, session, (1, 31), (2, 20))
            kinds = [(entry.kind, entry.describe().get("state")) for entry in hub.live.since(before)]
            assert [one for one in kinds if one[0] == "alert"] == [("alert", "firing"), ("alert", "resolved")]

    anyrun(scene())
