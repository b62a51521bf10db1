"""Devices, readings, attributes and commands over the app API; every answer is held against its type."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import struct

import msgspec
import pytest

from hardpoint.web import shapes
from hub.hubs import FULL, HeldStore, NotingSession, until

from .webs import open_web


def checked(document, kind):
    """The document as its type, and nothing in it that the type does not tell."""
    found = msgspec.convert(document, kind, strict=True)
    assert msgspec.to_builtins(found) == document
    return found


@contextlib.asynccontextmanager
async def signed_in(store=None, clock=None, role="admin", **limits):
    async with open_web(store, clock, **limits) as web, await web.as_role(role) as client:
        yield web.hub, client


def attach(hub, device):
    session = NotingSession()
    hub.attach(session, device)
    return session


class TestDevices:
    def test_a_long_list_is_packed_for_who_takes_that(self, anyrun):
        async def scene():
            async with signed_in() as (_, client):
                for n in range(20):
                    await client.ask("POST", "/api/devices", {"name": f"device-{n:02}"})
                _, plain = await client.ask("GET", "/api/devices")
                packed = await client.request(
                    "GET", "/api/devices", headers=client.headers | {"Accept-Encoding": "gzip"}
                )
                assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
                assert msgspec.json.decode(gzip.decompress(packed.body)) == plain
                assert len(packed.body) < len(msgspec.json.encode(plain)) / 4

        anyrun(scene())

    def test_are_made_shown_changed_and_removed(self, anyrun, clock):
        async def scene():
            async with signed_in(clock=clock) as (hub, client):
                answer, document = await client.ask("POST", "/api/devices", {"name": "Pump 1", "labels": {"a": "b"}})
                assert (answer.status, answer.headers["location"]) == (201, "/api/devices/pump-1")
                made = checked(document, shapes.DeviceWithToken)
                assert (made.id, made.name, made.labels, made.created) == ("pump-1", "Pump 1", {"a": "b"}, clock())
                assert hub.authenticate(made.token).id == "pump-1"
                for name in ("pump-1", "Pump%201"):
                    _, document = await client.ask("GET", f"/api/devices/{name}")
                    assert checked(document, shapes.Device).id == "pump-1"
                    assert "token" not in document
                _, document = await client.ask(
                    "PATCH", "/api/devices/pump-1", {"name": "P", "labels": {}, "expected_every_s": 5.5}
                )
                changed = checked(document, shapes.Device)
                assert (changed.id, changed.name, changed.labels) == ("pump-1", "P", {})
                assert (changed.presence.expected_every_s, changed.presence.expected_set) == (5.5, True)
                _, document = await client.ask("PATCH", "/api/devices/P", {"expected_every_s": None})
                assert checked(document, shapes.Device).presence.expected_set is False
                _, document = await client.ask("POST", "/api/devices/P/token")
                renewed = checked(document, shapes.DeviceToken)
                assert hub.authenticate(renewed.token).id == "pump-1"
                answer, _ = await client.ask("DELETE", "/api/devices/P")
                assert (answer.status, answer.body) == (204, b"")
                for method in ("GET", "DELETE", "PATCH"):
                    error = await client.refused(404, method, "/api/devices/P", {})
                    assert error == {"code": "not_found", "message": "there is no device 'P'", "field": "device"}

        anyrun(scene())

    @pytest.mark.parametrize(
        ("method", "path", "document", "status", "field"),
        [
            ("POST", "/api/devices", {}, 400, None),
            ("POST", "/api/devices", None, 400, None),
            ("POST", "/api/devices", {"name": 5}, 400, "name"),
            ("POST", "/api/devices", {"name": ""}, 400, "name"),
            ("POST", "/api/devices", {"name": "x", "token": "mine"}, 400, None),
            ("POST", "/api/devices", {"name": "x", "labels": {"": "v"}}, 400, "labels."),
            ("POST", "/api/devices", {"name": "dev"}, 409, "name"),
            ("PATCH", "/api/devices/dev", {"name": None}, 400, "name"),
            ("PATCH", "/api/devices/dev", {"id": "x"}, 400, None),
            ("PATCH", "/api/devices/dev", {"expected_every_s": 0}, 400, "expected_every_s"),
            ("PATCH", "/api/devices/dev", {"expected_every_s": "5"}, 400, "expected_every_s"),
            ("GET", "/api/devices?online=yes", None, 400, "online"),
            ("GET", "/api/devices?limit=0", None, 400, "limit"),
            ("GET", "/api/devices?limit=1001", None, 400, "limit"),
            ("GET", "/api/devices?limit=%D9%A3", None, 400, "limit"),
            ("GET", "/api/devices/dev/readings", None, 400, "key"),
            ("GET", "/api/devices/dev/readings?key=never", None, 404, "key"),
            ("GET", "/api/devices/dev/readings?key=a&from=5&to=5", None, 400, "from"),
            ("GET", "/api/devices/dev/readings?key=a&from=-1", None, 400, "from"),
            ("GET", "/api/devices/dev/readings?key=a&to=now", None, 400, "to"),
            ("GET", "/api/devices/dev/readings?key=a&points=0", None, 400, "points"),
            ("GET", "/api/devices/dev/readings?key=a&agg=median", None, 400, "agg"),
            ("DELETE", "/api/devices/dev/readings?key=a&from=5", None, 400, "to"),
            ("DELETE", "/api/devices/dev/readings?key=a&to=5", None, 400, "from"),
            ("DELETE", "/api/devices/dev/readings?key=a&from=5&to=4", None, 400, "from"),
            ("GET", "/api/devices/dev/attributes?scope=other", None, 400, "scope"),
            ("PUT", "/api/devices/dev/attributes?scope=client", {"a": 1}, 403, None),
            ("PUT", "/api/devices/dev/attributes", [], 400, None),
            ("PUT", "/api/devices/dev/attributes", {"a b": 1}, 400, "a b"),
            ("POST", "/api/devices/dev/commands", {}, 400, None),
            ("POST", "/api/devices/dev/commands", {"method": "a b"}, 400, "method"),
            ("POST", "/api/devices/dev/commands", {"method": "a", "ttl_s": 0}, 400, "ttl_s"),
            ("POST", "/api/devices/dev/commands", {"method": "a", "wait_s": 0}, 400, "wait_s"),
            ("POST", "/api/devices/dev/commands", {"method": "a", "wait_s": 301}, 400, "wait_s"),
            ("POST", "/api/devices/dev/commands", {"method": "a", "params": "x" * 66000}, 413, None),
            ("GET", "/api/devices/dev/commands?cursor=x", None, 400, "cursor"),
            ("GET", "/api/commands/99", None, 404, None),
            ("GET", "/api/commands/x", None, 404, None),
            ("DELETE", "/api/commands/99", None, 404, None),
            ("PUT", "/api/devices", {}, 405, None),
            ("GET", "/api/nothing", None, 404, None),
        ],
    )
    def test_what_is_refused_names_the_place(self, anyrun, method, path, document, status, field):
        async def scene():
            async with signed_in() as (hub, client):
                device, _ = await hub.create_device("dev")
                hub.ingest(attach(hub, device), device, [(1, "a", 1)], 1)
                await hub.commits.durable()
                answer, found = await client.ask(method, path, document)
                error = checked(found, shapes.Failure).error if "field" in found["error"] else None
                assert (answer.status, error.field if error else None) == (status, field), found
                assert len(hub.catalogue) == 1

        anyrun(scene())

    def test_the_list_is_by_name_filtered_and_paged(self, anyrun):
        async def scene():
            async with signed_in() as (hub, client):
                for number in range(7):
                    labels = {"room": "north" if number % 2 else "south"} if number < 6 else {}
                    await hub.create_device(f"{'Dd'[number % 2]}ev {number}", labels)
                attach(hub, hub.catalogue.find("dev-3"))

                async def names(query=""):
                    _, document = await client.ask("GET", f"/api/devices?{query}")
                    page = checked(document, shapes.DeviceList)
                    return [item.name[-1] for item in page.items], page.total, page.next_cursor

                assert await names() == (list("0123456"), 7, None)
                assert await names("search=EV%203") == (["3"], 1, None)
                assert await names("online=true") == (["3"], 1, None)
                assert await names("online=false&label=room:north") == (["1", "5"], 2, None)
                assert await names("label=room") == (list("012345"), 6, None)
                assert await names("label=room&label=room:south") == (["0", "2", "4"], 3, None)
                assert await names("label=room:") == ([], 0, None)
                found, cursor = [], ""
                while cursor is not None:
                    page, total, cursor = await names(f"limit=3&cursor={cursor.replace(' ', '%20')}")
                    assert total == 7
                    found.append(page)
                assert found == [["0", "1", "2"], ["3", "4", "5"], ["6"]]

        anyrun(scene())

    def test_what_could_not_be_stored_is_507(self, anyrun, caplog):
        async def scene():
            store = HeldStore()
            async with signed_in(store) as (hub, client):
                await hub.create_device("dev")
                store.error = FULL
                for method, path, document in (
                    ("POST", "/api/devices", {"name": "x"}),
                    ("PATCH", "/api/devices/dev", {"name": "x"}),
                    ("POST", "/api/devices/dev/token", None),
                    ("DELETE", "/api/devices/dev", None),
                    ("PUT", "/api/devices/dev/attributes", {"a": 1}),
                    ("POST", "/api/devices/dev/commands", {"method": "go"}),
                ):
                    error = await client.refused(507, method, path, document)
                    assert error == {"code": "storage_full", "message": "no space left"}

        anyrun(scene())

    @pytest.mark.parametrize(("method", "path"), [("POST", "/api/devices/dev/token"), ("DELETE", "/api/devices/dev")])
    def test_a_change_is_whole_also_when_its_client_goes_away(self, anyrun, method, path):
        async def scene():
            store = HeldStore()
            async with open_web(store) as web, await web.as_role("admin") as client:
                device, _ = await web.hub.create_device("dev")
                session = attach(web.hub, device)
                store.held = True
                asking = asyncio.ensure_future(client.ask(method, path))
                await until(lambda: store.waiting)
                sock = client._writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
                client._writer.transport.abort()
                await asyncio.gather(asking, return_exceptions=True)
                await asyncio.sleep(0.05)
                store.held = False
                store.release()
                await until(lambda: session.ended)

        anyrun(scene())


class TestReadings:
    def test_of_the_last_hour_or_any_range(self, anyrun, clock):
        async def scene():
            async with signed_in(clock=clock) as (hub, client):
                device, _ = await hub.create_device("dev")
                now = clock()
                samples = [(now - n * 600_000, "a", float(n)) for n in range(12)] + [(now, "on", True)]
                hub.ingest(attach(hub, device), device, samples, 1)
                await hub.commits.durable()

                async def points(query):
                    _, document = await client.ask("GET", f"/api/devices/dev/readings?key=a{query}")
                    found = checked_readings(document)
                    return found.agg, [value for _, value in found.points]

                assert await points("") == ("raw", [5, 4, 3, 2, 1, 0])
                assert await points("&from=0") == ("raw", list(range(11, -1, -1)))
                assert await points(f"&to={now - 600_000 * 9}") == ("raw", [11, 10])
                assert await points(f"&from={now - 600_000 * 3}&to={now}&agg=max&points=1") == ("max", [3])
                assert await points("&from=0&agg=count&points=1") == ("count", [12])
                _, document = await client.ask("GET", "/api/devices/dev/latest")
                latest = msgspec.convert(document, dict[str, shapes.Latest], strict=True)
                assert (latest["a"].value, latest["a"].ts, latest["on"].value) == (0.0, now, True)
                answer, _ = await client.ask("DELETE", f"/api/devices/dev/readings?key=a&from=0&to={now - 600_000}")
                assert answer.status == 204
                assert await points("&from=0") == ("raw", [1, 0])

        anyrun(scene())


def checked_readings(document):
    return msgspec.convert(document, shapes.Readings, strict=True)


class TestAttributes:
    def test_are_merged_and_pushed(self, anyrun):
        async def scene():
            async with signed_in() as (hub, client):
                device, _ = await hub.create_device("dev")
                session = attach(hub, device)
                path = "/api/devices/dev/attributes"
                assert (await client.ask("PUT", path, {"rate": 5, "x": [1]}))[1] == {"rate": 5, "x": [1]}
                assert (await client.ask("PUT", f"{path}?scope=shared", {"x": None}))[1] == {"rate": 5}
                assert (await client.ask("PUT", f"{path}?scope=server", {"note": "z"}))[1] == {"note": "z"}
                hub.set_attributes(device, "client", {"fw": 1})
                for query, expected in (
                    ("", {"fw": 1}),
                    ("?scope=shared", {"rate": 5}),
                    ("?scope=server", {"note": "z"}),
                ):
                    assert (await client.ask("GET", path + query))[1] == expected
                assert session.attributes == [({"rate": 5, "x": [1]}, []), ({}, ["x"])]

        anyrun(scene())


class TestCommands:
    def test_are_queued_or_waited_for(self, anyrun):
        async def scene():
            async with signed_in() as (hub, client):
                device, _ = await hub.create_device("dev")
                path = "/api/devices/dev/commands"
                answer, document = await client.ask("POST", path, {"method": "go"})
                assert (answer.status, checked(document, shapes.QueuedCommand).state) == (202, "queued")
                session = attach(hub, device)
                waiting = asyncio.ensure_future(
                    client.ask("POST", path, {"method": "led", "params": [1], "wait_s": 30})
                )
                async with asyncio.timeout(60):
                    while len(session.delivered) < 2:
                        await asyncio.sleep(0.001)
                hub.answer(device, 2, True, {"was": 0})
                answer, document = await waiting
                command = checked(document, shapes.Command)
                assert (answer.status, command.state, command.result, command.params) == (200, "done", {"was": 0}, [1])
                assert [step.state for step in command.steps] == ["queued", "sent", "done"]
                answer, document = await client.ask("POST", path, {"method": "slow", "wait_s": 0.01})
                assert answer.status == 504
                assert document["error"]["message"] == "no answer within 0.01 s; the command is sent"
                assert checked(document["command"], shapes.Command).id == 3

        anyrun(scene())

    def test_are_listed_shown_and_cancelled(self, anyrun):
        async def scene():
            async with signed_in() as (hub, client):
                device, _ = await hub.create_device("dev")
                for _ in range(5):
                    await hub.ledger.queue(device, "go")
                _, document = await client.ask("GET", "/api/devices/dev/commands?limit=3")
                page = checked(document, shapes.CommandList)
                assert ([item.id for item in page.items], page.next_cursor) == ([5, 4, 3], "3")
                _, document = await client.ask("GET", "/api/devices/dev/commands?limit=3&cursor=3")
                page = checked(document, shapes.CommandList)
                assert ([item.id for item in page.items], page.next_cursor) == ([2, 1], None)
                _, document = await client.ask("DELETE", "/api/commands/4")
                cancelled = checked(document, shapes.Command)
                assert (cancelled.state, cancelled.steps[-1].reason) == ("cancelled", "by a admin")
                _, document = await client.ask("GET", "/api/commands/4")
                assert checked(document, shapes.Command) == cancelled
                error = await client.refused(409, "DELETE", "/api/commands/4")
                assert error["message"] == "command 4 is already cancelled"
                assert attach(hub, device).delivered == [(n, "go", None) for n in (1, 2, 3, 5)]

        anyrun(scene())


def test_what_is_desired_against_what_is_reported(run):
    async def scene():
        async with signed_in() as (hub, client):
            device, _ = await hub.create_device("dev")
            hub.set_attributes(device, "shared", {"rate": 5, "on": True, "zone": {"a": [1, True]}, "new": 1})
            hub.set_attributes(device, "client", {"rate": 5.0, "on": 1, "zone": {"a": [1, 1]}, "fw": "2"})
            _, document = await client.ask("GET", "/api/devices/dev/desired")
            assert document == {
                "new": {"desired": 1, "reported": None, "met": False},
                "on": {"desired": True, "reported": 1, "met": False},
                "rate": {"desired": 5, "reported": 5.0, "met": True},
                "zone": {"desired": {"a": [1, True]}, "reported": {"a": [1, 1]}, "met": False},
            }
            for each in document.values():
                checked(each, shapes.Desired)

    run(scene())
