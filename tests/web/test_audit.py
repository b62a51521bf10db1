"""Who did what: written down with the change, whoever did it, however it ended, and never with a secret."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from hardpoint.errors import StorageError, StorageFull
from hardpoint.hub import audit as audit_module
from hardpoint.hub import batch as batch_module
from hardpoint.model import AuditEntry, Put, Rule
from hardpoint.testing import FakeClock
from hardpoint.web import shapes, site
from hardpoint.web.deeds import deed_of
from hub.hubs import HeldStore, attached, open_hub, until

from .webs import open_web

WORDS = json.loads((Path(site.__file__).parent / "pages/i18n/en.json").read_text("utf-8"))
PERSON = {"name": "Ada", "password": "correct horse"}


async def entries(web, client, query=""):
    """What the log says, once the ends of all deeds are in it: they are stored after their answers."""
    await web.hub.commits.durable()
    _, found = await client.ask("GET", f"/api/audit{query}")
    return msgspec.convert(found, shapes.AuditList, strict=True).items


def told(found):
    return [(entry.who, entry.via, entry.what, entry.subject, entry.result) for entry in found]


def test_a_command_and_its_answer_are_stored_by_two_commits_entry_and_all(anyrun, monkeypatch):
    async def scene():
        monkeypatch.setattr(batch_module, "LINGER_S", 3600)
        store = HeldStore()
        async with open_web(store) as web, await web.as_role("operator") as client:
            device, session = await attached(web.hub)
            await client.ask("GET", "/api/devices")  # when the key was used first is noted
            await web.hub.commits.durable()
            store.batches.clear()
            asked = asyncio.ensure_future(
                client.ask("POST", "/api/devices/dev/commands", {"method": "go", "wait_s": 60})
            )
            await until(lambda: session.delivered)
            web.hub.answer(device, session.delivered[0][0], True, 1)
            answer, found = await asked
            assert (answer.status, found["state"]) == (200, "done")
            stored = [
                ["entry" if isinstance(each.record, AuditEntry) else each.record.state for each in changes]
                for _, changes in store.batches
            ]
            assert stored == [["entry", "queued"], ["sent", "done"]]
            assert [entry.result for entry in await entries(web, client)][:1] == ["done"], "its end follows"

    anyrun(scene())


class TestDeeds:
    def test_are_named_after_their_paths(self, anyrun):
        async def scene():
            async with open_web() as web:
                web.app.declare()
                deeds = {f"{route.method} {route.path}": deed_of(route) for route in web.app.router.routes}
                assert deeds["POST /api/devices"] == "devices.create"
                assert deeds["PATCH /api/devices/{id}"] == "devices.change"
                assert deeds["POST /api/devices/{id}/token"] == "devices.token"
                assert deeds["PUT /api/devices/{id}/attributes"] == "devices.attributes.set"
                assert deeds["DELETE /api/devices/{id}/readings"] == "devices.readings.remove"
                assert deeds["POST /api/alerts/{number:int}/acknowledge"] == "alerts.acknowledge"
                assert deeds["POST /api/rules/dry-run"] is None
                changing = {name for name, deed in deeds.items() if deed is None and not name.startswith("GET")}
                # What changes something and is written down by others, or is no change.
                assert {name for name in changing if "/api/v1" not in name} == {
                    "POST /api/login",
                    "POST /api/rules/dry-run",
                    "POST /api/shared",
                }

        anyrun(scene())

    def test_have_words_in_the_pages(self, anyrun, tmp_path):
        async def scene():
            async with open_web(packages_in=tmp_path) as web:
                web.app.declare()
                deeds = {deed_of(route) for route in web.app.router.routes} - {None}
                assert len(deeds) > 40
                assert {f"deed.{deed}" for deed in deeds} - WORDS.keys() == set()

        anyrun(scene())

    def test_of_people_and_programs_are_written_down_with_how_they_ended(self, anyrun):
        async def scene():
            async with open_web() as web, await web.as_role("operator") as program, await web.as_role("admin") as admin:
                await program.ask("POST", "/api/devices", {"name": "Ofen 1", "labels": {"a": "b"}})
                await program.refused(409, "POST", "/api/devices", {"name": "Ofen 1"})
                await program.ask("PATCH", "/api/devices/ofen-1", {"name": "Oven"})
                await program.refused(403, "DELETE", "/api/devices/ofen-1")
                await program.ask("POST", "/api/devices/ofen-1/commands", {"method": "heat", "params": {"c": 200}})
                answer, _ = await program.ask(
                    "POST", "/api/devices/ofen-1/commands", {"method": "heat", "wait_s": 0.001}
                )
                assert answer.status == 504
                await program.refused(400, "PUT", "/api/devices/ofen-1/frames", {"for_s": "soon"})
                await program.refused(404, "POST", "/api/rules/nothing/mute", {"for_s": 1})
                found = await entries(web, admin)
                assert told(found) == [
                    ("a operator", "token", "rules.mute", "nothing", "not_found"),
                    ("a operator", "token", "devices.frames.set", "ofen-1", "bad_request"),
                    ("a operator", "token", "devices.commands", "heat", "status 504"),
                    ("a operator", "token", "devices.commands", "heat", "done"),
                    ("a operator", "token", "devices.remove", "ofen-1", "forbidden"),
                    ("a operator", "token", "devices.change", "ofen-1", "done"),
                    ("a operator", "token", "devices.create", "", "conflict"),
                    ("a operator", "token", "devices.create", "ofen-1", "done"),
                ]
                assert {entry.address for entry in found} == {"127.0.0.1"}
                assert [entry.device for entry in found[1:]] == ["ofen-1"] * 5 + [None, "ofen-1"]
                assert found[5].detail == {"fields": ["name"], "name": {"from": "Ofen 1", "to": "Oven"}}
                assert found[7].detail == {"fields": ["name", "labels"], "name": "Ofen 1", "labels": {"a": "b"}}

        anyrun(scene())

    def test_are_stored_in_the_commit_of_their_change_or_before(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_web(store) as web, await web.as_role("operator") as program:
                del store.batches[:]
                await program.ask("POST", "/api/devices", {"name": "dev"})
                kinds = [
                    (number, type(change.record).__name__)
                    for number, (_, changes) in enumerate(store.batches)
                    for change in changes
                    if isinstance(change, Put)
                ]
                entry = min(number for number, kind in kinds if kind == "AuditEntry")
                device = min(number for number, kind in kinds if kind == "Device")
                assert entry <= device

        anyrun(scene())

    def test_that_could_not_be_stored_are_told_of_when_the_disk_is_back(self, anyrun, caplog):
        async def scene():
            store = HeldStore()
            async with open_web(store) as web, await web.as_role("operator") as program:
                store.error = StorageFull("no space left")
                await program.refused(507, "POST", "/api/devices", {"name": "dev"})
                store.error = None
                await web.hub.commits.durable()
                [entry] = store.load(AuditEntry)
                assert (entry.what, entry.result) == ("devices.create", "storage_full")

        anyrun(scene())

    def test_of_rules_have_their_cause(self, anyrun, clock):
        async def scene():
            async with open_web(clock=clock) as web, await web.as_role("viewer") as viewer:
                device, session = await attached(web.hub)
                when = {"key": "temp", "is": "above", "value": 30}
                await web.hub.alerting.rules.add(Rule("hot", "Hot", "all", when, 0, command={"method": "cool"}))
                web.hub.ingest(session, device, [(None, "temp", 31)], "r")
                await until(lambda: session.delivered)
                assert await viewer.refused(403, "GET", "/api/audit")
                async with await web.as_role("operator") as operator:
                    [entry] = await entries(web, operator)
                assert (entry.who, entry.via, entry.what, entry.subject) == ("hot", "rule", "devices.commands", "cool")
                assert (entry.device, entry.why, entry.result) == ("dev", "alert 1: temp is above 30", "done")

        anyrun(scene())


class TestSigningIn:
    def test_is_written_down_and_so_are_wrong_tries_without_what_was_typed(self, anyrun, clock):
        async def scene():
            store = HeldStore()
            async with open_web(store, clock) as web:
                async with web.linked() as browser:
                    await browser.ask("POST", "/api/setup", PERSON)
                async with web.anyone() as browser:
                    await browser.ask("POST", "/api/login", PERSON)
                    for name in ("Ada", "Ada", "typed my password here"):
                        await browser.refused(401, "POST", "/api/login", {"name": name, "password": "secret guess"})
                await web.hub.commits.durable()
                found = store.load(AuditEntry)
                assert [(one.who, one.via, one.what, one.subject, one.result) for one in found] == [
                    ("setup", "link", "session.open", "", "done"),
                    ("setup", "cookie", "users.create", "Ada", "done"),
                    ("Ada", "password", "session.open", "", "done"),
                    ("Ada", "password", "session.open", "", "unauthorized"),  # and once a minute
                    ("", "password", "session.open", "", "unauthorized"),
                ]
                for secret in ("typed my", "secret guess", "correct horse"):
                    assert secret not in str(found)

        anyrun(scene())


class TestReading:
    def test_is_by_who_what_device_and_time_in_pages(self, anyrun, clock):
        async def scene():
            async with open_web(clock=clock) as web, await web.as_role("admin") as admin:
                for number in range(5):
                    clock.advance(s=1)
                    await admin.ask("POST", "/api/devices", {"name": f"d{number}"})
                await admin.ask("DELETE", "/api/devices/d1")
                _, page = await admin.ask("GET", "/api/audit?limit=4")
                assert [item["subject"] for item in page["items"]] == ["d1", "d4", "d3", "d2"]
                _, page = await admin.ask("GET", f"/api/audit?limit=4&cursor={page['next_cursor']}")
                assert [item["subject"] for item in page["items"]] == ["d1", "d0"]
                assert page["next_cursor"] is None
                assert [entry.what for entry in await entries(web, admin, "?device=d1")] == [
                    "devices.remove",
                    "devices.create",
                ]
                assert len(await entries(web, admin, "?what=devices.create")) == 5
                assert len(await entries(web, admin, "?what=devices&who=a%20admin")) == 6
                assert await entries(web, admin, "?who=nobody") == []
                assert len(await entries(web, admin, f"?until={clock.now_ms - 2000}")) == 2

        anyrun(scene())

    def test_of_people_and_keys_is_an_admins(self, anyrun):
        async def scene():
            async with (
                open_web() as web,
                await web.as_role("admin") as admin,
                await web.as_role("operator") as operator,
            ):
                await admin.ask("POST", "/api/users", {**PERSON, "role": "viewer"})
                await admin.ask("POST", "/api/tokens", {"name": "t"})
                await admin.ask("PUT", "/api/quiet-hours", {"items": []})
                assert [entry.what for entry in await entries(web, admin)] == [
                    "quiet-hours.set",
                    "tokens.create",
                    "users.create",
                ]
                assert [entry.what for entry in await entries(web, operator)] == ["quiet-hours.set"]

        anyrun(scene())

    def test_looks_through_so_many_at_a_time_for_what_may_be_seen(self, anyrun, monkeypatch):
        from hardpoint.web import audit as routes

        monkeypatch.setattr(routes, "MAX_LOOKED_THROUGH", 1)

        async def scene():
            async with open_web() as web, await web.as_role("operator") as operator:
                web.hub.audit.note("quiet-hours.set", who="a", via="unix")
                for _ in range(routes.MAX_PAGE):
                    web.hub.audit.note("users.change", who="a", via="unix")
                await web.hub.commits.durable()
                _, page = await operator.ask("GET", "/api/audit")
                assert page["items"] == []
                _, page = await operator.ask("GET", f"/api/audit?cursor={page['next_cursor']}")
                assert [item["what"] for item in page["items"]] == ["quiet-hours.set"]
                assert page["next_cursor"] is None

        anyrun(scene())


class TestBounds:
    def test_the_oldest_go_when_there_are_too_many(self, anyrun, monkeypatch):
        monkeypatch.setattr(audit_module, "TRIM_EVERY", 10)

        async def scene():
            store = HeldStore()
            async with open_hub(store, FakeClock(), max_audit_entries=100) as hub:
                for number in range(250):
                    hub.audit.note("devices.create", who="a", via="unix", subject=str(number))
                await hub.commits.durable()
                found = store.load(AuditEntry)
                assert 100 <= len(found) <= 110
                assert found[-1].subject == "249"

        anyrun(scene())

    def test_and_those_that_are_too_old(self, anyrun, clock):
        async def scene():
            store = HeldStore()
            async with open_hub(store, clock, audit_s=7200.0) as hub:
                hub.audit.note("devices.create", who="a", via="unix", subject="old")
                clock.advance(s=7000)
                hub.audit.note("devices.create", who="a", via="unix", subject="new")
                await hub.commits.durable()
                clock.advance(s=300)
                await hub.audit.trim_by_age()
                await hub.commits.durable()
                assert [entry.subject for entry in store.load(AuditEntry)] == ["new"]

        anyrun(scene())

    def test_what_cannot_be_read_is_left_to_the_next_time(self, anyrun, caplog):
        async def scene():
            async with open_hub() as hub:

                def broken(**_):
                    raise StorageError("the disk is gone")

                hub.store.audit = broken
                await hub.audit.trim_by_age()
                assert "was not looked through: the disk is gone" in caplog.text

        anyrun(scene())

    def test_numbers_go_on_after_a_restart(self, anyrun):
        async def scene():
            store = HeldStore()
            for _ in range(2):
                async with open_hub(store, FakeClock()) as hub:
                    hub.audit.note("a", who="b", via="unix")
                    await hub.commits.durable()
            assert [entry.id for entry in store.load(AuditEntry)] == [1, 2]

        anyrun(scene())

    def test_refusals_of_many_are_remembered_to_a_number(self, anyrun, monkeypatch, clock):
        monkeypatch.setattr(audit_module, "MAX_REFUSED", 3)

        async def scene():
            async with open_hub(clock=clock) as hub:
                for number in [*range(5), 4, 3, 2, 0]:
                    hub.audit.refuse("a", "forbidden", who=str(number), via="token", address="x")
                await hub.commits.durable()
                who = [entry.who for entry in hub.store.load(AuditEntry)]
                assert who == ["0", "1", "2", "3", "4", "0"]
                clock.advance(s=60)
                hub.audit.refuse("a", "forbidden", who="0", via="token", address="x")
                await hub.commits.durable()
                assert len(hub.store.load(AuditEntry)) == 7

        anyrun(scene())


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"{nonsense", b"\xff", b"[" * 5000, b"{}", b'{"a":"' + b"x" * 70_000 + b'"}']
)
def test_a_body_of_any_kind_is_no_matter(anyrun, body):
    async def scene():
        async with open_web() as web, await web.as_role("admin") as admin:
            await admin.request("POST", "/api/quiet-hours-nothing", body, admin.headers)
            await admin.request("PUT", "/api/quiet-hours", body, admin.headers)
            [entry] = await entries(web, admin)
            assert entry.detail == {}
            assert entry.result == "bad_request"

    anyrun(scene())


def test_an_entry_whose_client_left_stays_begun(anyrun):
    async def scene():
        async with open_web() as web, await web.as_role("operator") as operator:
            await attached(web.hub, takes_commands=False)
            body = msgspec.json.encode({"method": "m", "wait_s": 30})
            asked = asyncio.create_task(operator.request("POST", "/api/devices/dev/commands", body, operator.headers))
            await until(lambda: web.hub.store.load(AuditEntry))
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            assert [entry.result for entry in web.hub.store.load(AuditEntry)] == ["begun"]

    anyrun(scene())
