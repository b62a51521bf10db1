"""Who may do what, to whose devices: every role at every route, and every route as somebody who is limited to labels.

The cases are made from the router. A new route is tested without a line here as long as it refuses those who are
limited; one that says ``scope="each"`` has to be told how it is asked, in `ASKED`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path

import pytest

from hardpoint import Server
from hardpoint.model import ROLES, Rule
from hardpoint.testing import FakeClock
from hardpoint.web.signin import SCOPES, scope_of
from hub.hubs import NotingSession, attached, until
from web.webs import open_web

MINE, FOREIGN = "mine", "foreign-7f3a"
STREAM = "GET /api/live"
NO_FOLDER = Path("/proc/no-folder-of-packages")
"""Nothing is to be stored here: there is none, and none can be made."""
CAPTURE = re.compile(r"\{[a-z_]+(?::(?:int|path))?\}")

CARD = {"kind": "value", "id": "a", "key": "temp"}
WARM = {"key": "temp", "is": "above", "value": 30}

# How a route of scope "each" is asked about a device: query and body, with {device}, {site} and the number of its
# {alert} filled in.
ASKED = {
    "GET /api/devices": ("", None),
    "POST /api/devices": ("", {"name": "new", "labels": {"site": "{site}"}}),
    "POST /api/devices/{id}/claim": ("", {"secret": f"of {MINE}"}),  # whose secret is known is as good as seen
    "GET /api/commands/{number:int}": ("", None),
    "DELETE /api/commands/{number:int}": ("", None),
    "GET /api/readings": ("?device={device}", None),
    "POST /api/readings": ("", {"series": [{"device": "{device}", "key": "temp", "points": [[5, 1.0]]}]}),
    "GET /api/series": ("?series={device}:temp", None),
    "GET /api/alerts": ("?device={device}", None),
    "GET /api/alerts/{number:int}": ("", None),
    "POST /api/alerts/{number:int}/acknowledge": ("", None),
    "POST /api/alerts/acknowledge": ("", {"alerts": ["{alert}"]}),
    "POST /api/alerts/{number:int}/mute": ("", {"for_s": 60}),
    "GET /api/rules": ("", None),
    "GET /api/rules/{id}": ("", None),
    "PATCH /api/rules/{id}": ("", {"name": "other"}),
    "DELETE /api/rules/{id}": ("", None),
    "POST /api/rules/{id}/mute": ("", {"for_s": 60}),
    "POST /api/rules": ("", {"name": "n", "scope": "device:{device}", "when": WARM}),
    "POST /api/rules/dry-run": ("", {"name": "n", "scope": "device:{device}", "when": WARM}),
    "GET /api/audit": ("?device={device}", None),
    "GET /api/home": ("", None),
    "GET /api/dashboards": ("", None),
    "POST /api/dashboards": ("", {"name": "new", "cards": [CARD | {"device": "{device}"}]}),
    "GET /api/dashboards/{id}": ("", None),
    "PUT /api/dashboards/{id}": ("", {"name": "n", "cards": [CARD | {"device": "{device}"}], "version": 1}),
    "DELETE /api/dashboards/{id}": ("", None),
    "GET /api/dashboards/{id}/links": ("", None),
    "POST /api/dashboards/{id}/links": ("", {"name": "n"}),
    "DELETE /api/dashboards/{id}/links/{link}": ("", None),
}
# Lists that are asked about everything, and must leave out what is not theirs.
LISTS = (
    "/api/devices",
    "/api/devices?search=f",
    "/api/devices?label=site:foreign-south",
    "/api/devices?filter=site:foreign",
    "/api/series",
    "/api/series?key=*",
    "/api/readings?key=*&agg=raw&from=0",
    "/api/readings?device=*&agg=raw&from=0&format=ndjson",
    "/api/readings?device=*&agg=raw&from=0&format=csv",
    "/api/alerts",
    "/api/rules",
    "/api/dashboards",
    "/api/audit",
    "/api/home",
)


class House:
    """Two devices, one of them mine: each has a reading, a command, a rule and an alert of its own."""

    def __init__(self, web):
        self.web, self.hub = web, web.hub
        self.numbers = {}
        self.ids = {}

    async def furnish(self):
        hub = self.hub
        for name, site in ((MINE, "north"), (FOREIGN, "foreign-south")):
            device, session = await attached(hub, name, takes_commands=False)
            await hub.change_device(device, {"labels": {"site": site}})
            self.web.app.claims.offer(device, {"secretKey": f"of {name}"})
            rule = Rule(f"{name}-rule", f"{name} rule", f"device:{name}", WARM, 0)
            await hub.alerting.rules.add(rule)
            hub.ingest(session, device, [(None, "temp", 31.5), (None, f"{name}.key", 1)], "r")
            await hub.commits.durable()
            command = await hub.ledger.queue(device, "reboot", {"of": name}, 3600)
            alert = next(one for one in hub.alerting.alerts.newest_first() if one.device_id == name)
            self.numbers[name] = {"commands": command.id, "alerts": alert.id}
            async with await self.web.as_role("admin") as admin:
                board = {"name": f"{name} board", "cards": [CARD | {"device": name}]}
                _, made = await admin.ask("POST", "/api/dashboards", board)
                _, link = await admin.ask("POST", f"/api/dashboards/{made['id']}/links", {"name": name})
                await admin.ask("POST", f"/api/devices/{name}/commands", {"method": "blink"})
            self.ids[name] = {"rules": f"{name}-rule", "dashboards": made["id"], "link": link["id"]}

    def path(self, route, device):
        """The route's path, about a device."""
        collection = route.path.split("/")[2]
        number = self.numbers.get(device, {}).get(collection, 999)
        ids = self.ids.get(device, {})
        found = re.sub(r"\{[a-z_]+:int\}", str(number), route.path).replace("{link}", ids.get("link", "x"))
        return CAPTURE.sub(ids.get(collection, device), found)

    def ask(self, client, route, device):
        query, body = ASKED.get(f"{route.method} {route.path}", ("", None))
        said = {"device": device, "site": "north" if device == MINE else "foreign-south"}
        number = self.numbers[device]["alerts"]
        return client.ask(
            route.method, self.path(route, device) + filled(query, said, number), filled(body, said, number)
        )


def filled(asked, said, alert):
    if asked == "{alert}":
        return alert
    if isinstance(asked, str):
        return asked.replace("{device}", said["device"]).replace("{site}", said["site"])
    if isinstance(asked, dict):
        return {name: filled(value, said, alert) for name, value in asked.items()}
    return [filled(each, said, alert) for each in asked] if isinstance(asked, list) else asked


@contextlib.asynccontextmanager
async def furnished():
    async with open_web(clock=FakeClock(), packages_in=NO_FOLDER) as web:
        web.app.declare()
        house = House(web)
        await house.furnish()
        yield house


def routes():
    """Every route with a role."""

    async def collect():
        async with open_web(packages_in=NO_FOLDER) as web:
            web.app.declare()
            return [route for route in web.app.router.routes if route.meta["role"] is not None]

    return asyncio.run(collect())


ROUTES = routes()

# Open without a sign-in: what holds no secret, and what asks for one of its own in its path or body.
OPEN_API = {
    "GET /api/ca.pem",
    "GET /api/health",
    "GET /api/openapi.json",
    "POST /api/login",
    "POST /api/shared",
    "GET /api/shared/{id}",
    "GET /api/shared/{id}/devices/{device}/readings",
    "GET /api/shared/{id}/live",
    "GET /api/shared/{id}/readings",
    "POST /api/v1/provision",
}
DEVICE_API = "/api/v1/{token}/"


def each(found):
    return pytest.mark.parametrize("route", found, ids=lambda route: f"{route.method} {route.path}")


def by_scope(scope):
    return each([route for route in ROUTES if scope_of(route) == scope])


def names(found):
    return {f"{route.method} {route.path}" for route in found}


def test_no_route_of_a_whole_server_is_missing_here(anyrun, tmp_path):
    """Neither one with a role, nor one that is open to everybody without being meant to."""

    async def scene():
        server = Server(data=tmp_path, listen=["http://127.0.0.1:0"], host={"enabled": False})
        async with server:
            web = server._running.web
            web.declare()
            assert names(route for route in web.router.routes if route.meta["role"]) == names(ROUTES)
            opened = [route for route in web.router.routes if not route.meta["role"]]
            for_people = [one for one in opened if not one.path.startswith(DEVICE_API)]
            assert names(one for one in for_people if one.path.startswith("/api/")) == OPEN_API
            assert {one.method for one in for_people if not one.path.startswith("/api/")} == {"GET"}

    anyrun(scene())


@each(ROUTES)
def test_a_route_refuses_strangers_and_whoever_has_a_lesser_role(anyrun, route):
    assert route.meta["role"] in ROLES
    assert scope_of(route) in SCOPES

    async def scene():
        async with furnished() as house:
            path = house.path(route, MINE)
            async with house.web.anyone() as stranger:
                assert (await stranger.refused(401, route.method, path))["code"] == "unauthorized"
            for role in ROLES[: ROLES.index(route.meta["role"])]:
                async with await house.web.as_role(role) as person:
                    error = await person.refused(403, route.method, path)
                    assert error["message"] == f"this needs the role {route.meta['role']}; yours is {role}"

    anyrun(scene())


@by_scope("all")
def test_what_is_about_all_devices_is_not_for_those_who_are_limited(anyrun, route):
    async def scene():
        async with furnished() as house:
            for role in ROLES[:2]:
                async with await house.web.as_role(role, "site:north") as person:
                    await person.refused(403, route.method, house.path(route, MINE))

    anyrun(scene())


@by_scope("device")
def test_a_foreign_device_is_answered_as_one_that_does_not_exist(anyrun, route):
    async def scene():
        async with furnished() as house:
            for role in ROLES[ROLES.index(route.meta["role"]) : 2]:
                async with await house.web.as_role(role, "site:north") as person:
                    foreign = await person.refused(404, route.method, house.path(route, FOREIGN))
                    missing = await person.refused(404, route.method, house.path(route, "nothing"))
                    assert foreign["message"].replace(FOREIGN, "") == missing["message"].replace("nothing", "")
                    answer, found = await person.ask(route.method, house.path(route, MINE))
                    assert answer.status not in (401, 403)
                    assert "there is no device" not in str(found)

    anyrun(scene())


def test_every_route_that_looks_at_each_device_is_asked():
    looking = {f"{route.method} {route.path}" for route in ROUTES if scope_of(route) == "each"}
    assert looking - {STREAM} == ASKED.keys(), "say in ASKED how it is asked about a device; the stream is below"


@each([route for route in ROUTES if f"{route.method} {route.path}" in ASKED])
def test_what_is_of_a_foreign_device_is_not_there_and_what_is_of_mine_is(anyrun, route):

    async def scene():
        async with furnished() as house:
            for labels in (["site:north"], ["garden", "site:north"]):
                async with await house.web.as_role("operator", *labels) as person:
                    answer, found = await house.ask(person, route, FOREIGN)
                    assert answer.status in (403, 404) or FOREIGN not in str(found)
                    assert len(house.hub.catalogue) == 2
            async with await house.web.as_role("operator", "site:north") as person:
                answer, found = await house.ask(person, route, MINE)
                assert answer.status < 300
                if route.method == "GET":
                    assert MINE in str(found)

    anyrun(scene())


@pytest.mark.parametrize(
    ("role", "path"),
    [(role, path) for role in ROLES[:2] for path in LISTS if (role, path) != ("viewer", "/api/audit")],
)
def test_a_list_leaves_out_what_is_foreign(anyrun, path, role):
    async def scene():
        async with furnished() as house:
            async with await house.web.as_role(role) as everywhere, await house.web.as_role(role, "site") as all_sites:
                for person in (everywhere, all_sites):
                    answer, _ = await person.ask("GET", path)
                    assert answer.status == 200
                    assert b"foreign" in answer.body
            async with await house.web.as_role(role, "site:north") as limited:
                answer, _ = await limited.ask("GET", path)
                assert answer.status == 200
                assert b"foreign" not in answer.body
                if "site:foreign" not in path and "search" not in path:
                    assert MINE.encode() in answer.body

    anyrun(scene())


@by_scope("none")
def test_what_is_about_no_device_tells_of_none(anyrun, route):
    async def scene():
        async with furnished() as house, await house.web.as_role("operator", "site:north") as limited:
            answer, _ = await limited.ask(route.method, house.path(route, "x"))
            assert b"foreign" not in answer.body
            assert answer.status != 403 or route.method != "GET"

    anyrun(scene())


class TestDevicesOfMine:
    def test_are_made_and_kept_with_a_label_of_mine(self, anyrun):
        async def scene():
            async with furnished() as house, await house.web.as_role("operator", "site:north", "garden") as person:
                for labels in ({}, {"site": "south"}, {"gardens": "1"}):
                    error = await person.refused(403, "POST", "/api/devices", {"name": "new", "labels": labels})
                    assert error["message"] == "a device of yours has one of the labels site:north, garden"
                answer, _ = await person.ask("POST", "/api/devices", {"name": "new", "labels": {"garden": "1"}})
                assert answer.status == 201
                await person.refused(403, "PATCH", "/api/devices/new", {"labels": {"site": "south"}})
                changed = {"labels": {"site": "north"}, "name": "newer"}
                answer, _ = await person.ask("PATCH", "/api/devices/new", changed)
                assert answer.status == 200

        anyrun(scene())

    @pytest.mark.parametrize(
        ("scope", "command", "allowed"),
        [
            ("label:site=north", None, True),
            ("label:garden", None, True),
            ("label:garden=1", None, True),
            ("label:site", None, False),
            ("label:site=south", None, False),
            ("label:site:north", None, False),
            ("label:site:north=x", None, False),
            ("all", None, False),
            (f"device:{MINE}", None, True),
            (f"device:{FOREIGN}", None, False),
            ("device:nothing", None, False),
            (f"device:{MINE}", {"method": "beep"}, True),
            (f"device:{MINE}", {"method": "beep", "device": MINE}, True),
            (f"device:{MINE}", {"method": "beep", "device": FOREIGN}, False),
        ],
    )
    def test_are_all_that_a_rule_of_mine_concerns_and_commands(self, anyrun, scope, command, allowed):
        async def scene():
            async with furnished() as house, await house.web.as_role("operator", "site:north", "garden") as person:
                rule = {"name": "r", "scope": scope, "when": WARM, "command": command}
                answer, _ = await person.ask("POST", "/api/rules", rule)
                assert answer.status == (201 if allowed else 403)
                changed = {"scope": scope, "command": command}
                answer, _ = await person.ask("PATCH", f"/api/rules/{MINE}-rule", changed)
                assert answer.status == (200 if allowed else 403)

        anyrun(scene())


class TestTheLiveStream:
    def test_tells_of_devices_that_come_and_go_by_their_labels(self, anyrun):
        from web.test_live import Stream

        async def scene():
            async with furnished() as house:
                hub = house.hub
                person = await house.web.as_role("viewer", "site:north")
                reader, writer = await asyncio.open_connection("127.0.0.1", house.web.port)
                stream = Stream(reader, writer)
                authorization = person.headers["Authorization"]
                writer.write(f"GET /api/live HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n".encode())
                await reader.readuntil(b"\r\n\r\n")
                assert (await stream.next())[0] == "hello"
                mine, foreign = hub.catalogue.find(MINE), hub.catalogue.find(FOREIGN)
                seen = []

                async def told_until(kind, device):
                    while True:
                        event, data = await stream.next()
                        about = data["device"]["id"] if event == "device" else data["device"]
                        seen.append((event, about, data.get("action")))
                        if (event, about) == (kind, device):
                            return data

                for device in (foreign, mine):  # the foreign one first: it would be told first
                    hub.ingest(device.sessions[0], device, [(None, "temp", 20.0)], "r")
                    await hub.ledger.queue(device, "beep", {}, 60)
                    hub.publish_presence(device)
                await told_until("presence", MINE)
                assert {about for _, about, _ in seen} == {MINE}
                # Another label takes a device out of sight, and brings one in.
                await hub.change_device(mine, {"labels": {"site": "south"}})
                assert (await told_until("device", MINE))["action"] == "removed"
                await hub.change_device(foreign, {"labels": {"site": "north"}})
                assert (await told_until("device", FOREIGN))["action"] == "changed"
                del seen[:]
                for device in (mine, foreign):
                    hub.ingest(device.sessions[0], device, [(None, "temp", 21.0)], "r")
                await told_until("reading", FOREIGN)
                await hub.remove_device(mine)
                await hub.remove_device(foreign)
                assert (await told_until("device", FOREIGN))["action"] == "removed"
                assert {about for _, about, _ in seen} == {FOREIGN}
                stream.close()

        anyrun(scene())

    def test_ends_with_the_token_that_opened_it_and_with_other_rights(self, anyrun, clock):
        from web.test_live import Stream

        async def scene():
            async with open_web(clock=clock) as web:
                accounts = web.app.sign_ins.accounts
                secret, token = await accounts.add_token("t", "viewer", [], None, "test")
                brief, _ = await accounts.add_token("t", "viewer", [], clock.now_ms + 60_000, "test")
                streams = []
                for each in (secret, brief):
                    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
                    writer.write(f"GET /api/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {each}\r\n\r\n".encode())
                    await reader.readuntil(b"\r\n\r\n")
                    streams.append(Stream(reader, writer))
                await until(lambda: len(web.app.live) == 2)
                await accounts.remove_token(token.id)
                await streams[0].ended()
                assert len(web.app.live) == 1
                clock.advance(s=60)
                web.hub.alerting.agenda.run_due(clock.now_ms)
                await streams[1].ended()
                for stream in streams:
                    stream.close()

        anyrun(scene())


def test_a_subscription_of_a_limited_program_brings_its_own_devices_alone(anyrun):
    from dialects.mqtt.mqtts import Apps, connected, open_dialect
    from hardpoint.model import ApiToken

    async def scene():
        apps = Apps()
        apps.tokens["hpa_limited"] = ApiToken("t", "t", "operator", "", "", 0, ["site:north"])
        async with open_dialect(anonymous=False, apps=apps) as dialect:
            hub = dialect.hub
            devices = {}
            for name, site in ((MINE, "north"), (FOREIGN, "south")):
                device, _ = await hub.create_device(name, {"site": site})
                session = NotingSession()
                hub.attach(session, device)
                hub.ingest(session, device, [(None, "temp", 1)], "r")
                devices[name] = (device, session)
            await hub.commits.durable()
            app = await connected(dialect, username="hpa_limited", version=5)
            filters = ("#", "devices/+/temp", f"devices/{FOREIGN}/temp", "other/#", "$SYS/#")
            granted, retained = await app.subscribe(*filters)
            assert granted == [0, 0, 0x87, 0x87, 0x87]
            assert {packet.topic for packet in retained} == {f"devices/{MINE}/temp"}

            async def say(value):
                for device, session in devices.values():
                    hub.ingest(session, device, [(None, "temp", value)], "r")
                await hub.commits.durable()

            await say(2)
            assert {topic for topic, _ in await app.messages()} == {f"devices/{MINE}/temp"}
            await hub.change_device(devices[FOREIGN][0], {"labels": {"site": "north"}})
            await hub.change_device(devices[MINE][0], {"labels": {}})
            await say(3)
            assert {topic for topic, _ in await app.messages()} == {f"devices/{FOREIGN}/temp"}
            assert (await app.publish("common/topic", qos=1))[0].reason == 0x87

    anyrun(scene())
