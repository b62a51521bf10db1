"""Dashboards over the API: kept, changed by one at a time, bounded; and links that show one to whoever has them."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
import pytest

from hardpoint.errors import StorageFull
from hardpoint.hub import dashboards as boards_module
from hardpoint.model import ShareLink
from hardpoint.stores.memory import MemoryStore
from hardpoint.testing import FakeClock
from hardpoint.web import shapes
from hub.hubs import until

from .test_live import Stream, device_with_session, ingest
from .webs import open_web

VALUE = {"kind": "value", "id": "a", "device": "dev", "key": "temp"}
EVERY_KIND = [
    VALUE,
    {"kind": "gauge", "id": "b", "device": "dev", "key": "hum", "low": 0, "high": 100, "warn": 70, "bad": 90},
    {"kind": "chart", "id": "c", "size": "l", "series": [{"device": "dev", "key": "temp"}], "span_s": 86_400},
    {"kind": "switch", "id": "d", "device": "dev", "key": "on", "act": {"does": "command", "method": "set"}},
    {"kind": "button", "id": "e", "device": "dev", "act": {"does": "command", "method": "blink"}, "value": {"pin": 4}},
    {"kind": "slider", "id": "f", "device": "dev", "act": {"does": "attribute", "key": "limit"}, "high": 40},
    {"kind": "choice", "id": "g", "device": "dev", "act": {"does": "attribute", "key": "mode"}, "values": ["a", 1]},
    {"kind": "text", "id": "h", "text": "<b>Greenhouse</b>"},
]


async def made(client, cards=(VALUE,), name="Greenhouse"):
    answer, board = await client.ask("POST", "/api/dashboards", {"name": name, "cards": list(cards)})
    assert answer.status == 201, board
    return board


@contextlib.asynccontextmanager
async def operating(store=None, clock=None):
    """The web side and an operator's program."""
    async with open_web(store, clock) as web, await web.as_role("operator") as operator:
        yield web, operator


class TestKept:
    def test_every_kind_of_card_comes_back_as_it_went_in(self, run):
        async def scene():
            async with operating() as (web, operator):
                await device_with_session(web.hub)
                board = await made(operator, EVERY_KIND)
                shown = (await operator.ask("GET", f"/api/dashboards/{board['id']}"))[1]
                assert shown == board
                assert [given.items() <= card.items() for given, card in zip(EVERY_KIND, shown["cards"], strict=True)]
                assert shown["cards"][0] == {**VALUE, "size": "s", "title": ""}
                assert (shown["version"], shown["updated_by"], shown["may_edit"]) == (1, "a operator", True)
                msgspec.convert(shown, shapes.Dashboard, strict=True)
                listed = (await operator.ask("GET", "/api/dashboards"))[1]
                entry = msgspec.convert(listed, shapes.DashboardList, strict=True).items[0]
                assert (entry.name, entry.cards, entry.version) == ("Greenhouse", len(EVERY_KIND), 1)

        run(scene())

    def test_it_is_there_after_a_restart(self, anyrun):
        async def scene():
            store = MemoryStore()
            async with operating(store) as (web, operator):
                await device_with_session(web.hub)
                board = await made(operator)
                link = (await operator.ask("POST", f"/api/dashboards/{board['id']}/links", {}))[1]
            async with operating(store) as (web, operator):
                assert (await operator.ask("GET", f"/api/dashboards/{board['id']}"))[1] == board
                async with web.anyone() as guest:
                    assert (await guest.ask("POST", "/api/shared", {"secret": link["secret"]}))[0].status == 200

        anyrun(scene())

    def test_a_failed_commit_changes_nothing(self, anyrun):
        class Full(MemoryStore):
            full = False

            def commit(self, rows, changes, done):
                if self.full:
                    done(StorageFull("no space left"))
                else:
                    super().commit(rows, changes, done)

        async def scene():
            store = Full()
            async with operating(store) as (web, operator):
                await device_with_session(web.hub)
                board = await made(operator)
                one = f"/api/dashboards/{board['id']}"
                store.full = True
                await operator.refused(507, "PUT", one, {"version": 1, "name": "Other", "cards": []})
                await operator.refused(507, "DELETE", one)
                await operator.refused(507, "POST", f"{one}/links", {})
                await operator.refused(507, "POST", "/api/dashboards", {"name": "More"})
                store.full = False
                assert (await operator.ask("GET", one))[1] == board
                assert len((await operator.ask("GET", "/api/dashboards"))[1]["items"]) == 1
                assert (await operator.ask("GET", f"{one}/links"))[1]["items"] == []

        anyrun(scene())


class TestChanged:
    def test_the_second_of_two_at_once_is_told(self, anyrun):
        async def scene():
            async with operating() as (web, operator):
                await device_with_session(web.hub)
                board = await made(operator)
                one = f"/api/dashboards/{board['id']}"
                first = {"version": 1, "name": "First", "cards": []}
                answer, changed = await operator.ask("PUT", one, first)
                assert (answer.status, changed["version"], changed["name"]) == (200, 2, "First")
                error = await operator.refused(409, "PUT", one, {"version": 1, "name": "Second", "cards": []})
                assert (error["field"], "a operator" in error["message"]) == ("version", True)
                assert (await operator.ask("GET", one))[1]["name"] == "First"

        anyrun(scene())

    def test_open_pages_are_told(self, anyrun):
        async def scene():
            async with operating() as (web, operator):
                seen = []
                web.hub.live.listeners.add(lambda entry: seen.append((entry.kind, entry.describe().get("action"))))
                board = await made(operator, ())
                one = f"/api/dashboards/{board['id']}"
                await operator.ask("PUT", one, {"version": 1, "name": "Other", "cards": []})
                await operator.ask("DELETE", one)
                told = [action for kind, action in seen if kind == "dashboard"]
                assert told == ["added", "changed", "removed"]
                await operator.refused(404, "GET", one)

        anyrun(scene())

    @pytest.mark.parametrize(
        ("cards", "field"),
        [
            ([VALUE, VALUE], "cards"),
            ([{**VALUE, "id": "no space"}], "cards[0].id"),
            ([{**VALUE, "key": "1st"}], "cards[0].key"),
            ([{**VALUE, "colour": "red"}], "cards[0]"),
            ([{**VALUE, "size": "xl"}], "cards[0].size"),
            ([{"kind": "chart", "id": "c", "series": []}], "cards[0].series"),
            ([{"kind": "picture", "id": "c"}], "cards[0].kind"),
            ([{"kind": "hidden", "id": "c"}], "cards"),
            ([{"kind": "text", "id": "c", "text": "x" * 4_001}], "cards[0].text"),
            ([{**VALUE, "id": f"c{n}"} for n in range(101)], "cards"),
        ],
    )
    def test_a_card_that_cannot_be_is_refused(self, anyrun, cards, field):
        async def scene():
            async with operating() as (web, operator):
                await device_with_session(web.hub)
                error = await operator.refused(400, "POST", "/api/dashboards", {"name": "Board", "cards": cards})
                assert error["field"].removeprefix("$.") == field

        anyrun(scene())

    def test_names_and_numbers_are_bounded(self, anyrun, monkeypatch):
        monkeypatch.setattr(boards_module, "MAX_DASHBOARDS", 1)
        monkeypatch.setattr(boards_module, "MAX_LINKS", 1)
        monkeypatch.setattr(boards_module, "MAX_DASHBOARD_BYTES", 1_000)

        async def scene():
            async with operating() as (_web, operator):
                for name in ("", "  ", "x" * 129, "a\nb"):
                    error = await operator.refused(400, "POST", "/api/dashboards", {"name": name})
                    assert error["field"] == "name"
                text = {"kind": "text", "id": "a", "text": "x" * 1_000}
                await operator.refused(413, "POST", "/api/dashboards", {"name": "Long", "cards": [text]})
                board = await made(operator, ())
                await operator.refused(413, "POST", "/api/dashboards", {"name": "One more"})
                links = f"/api/dashboards/{board['id']}/links"
                assert (await operator.ask("POST", links, {}))[0].status == 201
                await operator.refused(413, "POST", links, {})

        anyrun(scene())

    def test_a_viewer_looks_and_changes_nothing(self, anyrun):
        async def scene():
            async with operating() as (web, operator), contextlib.AsyncExitStack() as stack:
                viewer = await stack.enter_async_context(await web.as_role("viewer"))
                board = await made(operator, ())
                one = f"/api/dashboards/{board['id']}"
                answer, shown = await viewer.ask("GET", one)
                assert (answer.status, shown["may_edit"]) == (200, False)
                for method, path, body in (
                    ("POST", "/api/dashboards", {"name": "Mine"}),
                    ("PUT", one, {"version": 1, "name": "Mine", "cards": []}),
                    ("DELETE", one, None),
                    ("GET", f"{one}/links", None),
                    ("POST", f"{one}/links", {}),
                    ("DELETE", f"{one}/links/ln-1", None),
                ):
                    await viewer.refused(403, method, path, body)

        anyrun(scene())


@contextlib.asynccontextmanager
async def sharing(clock=None, cards=(VALUE,), **link):
    """The web side, an operator, a device ``dev`` with readings and a link to a dashboard that shows it."""
    async with operating(clock=clock) as (web, operator):
        _, session = await device_with_session(web.hub)
        await ingest(web.hub, session, (None, "temp", 21.5), (None, "secret", 1))
        board = await made(operator, cards)
        answer, made_link = await operator.ask("POST", f"/api/dashboards/{board['id']}/links", link)
        assert answer.status == 201
        async with web.anyone() as guest:
            yield web, session, operator, board, made_link, guest


async def opened(guest, link):
    """Open the link: from now on the guest's requests carry its cookie. The shared dashboard."""
    answer, shown = await guest.ask("POST", "/api/shared", {"secret": link["secret"]})
    assert answer.status == 200, shown
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", f"Path=/api/shared/{link['id']}"} <= set(cookie.split("; "))
    guest.headers["Cookie"] = cookie.split(";")[0]
    return shown


@contextlib.asynccontextmanager
async def listening(web, guest, link):
    """The link's open stream, behind its first event."""
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    cookie = guest.headers["Cookie"]
    writer.write(f"GET /api/shared/{link['id']}/live HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    assert head.split()[1] == b"200"
    stream = Stream(reader, writer)
    assert (await stream.next())[0] == "hello"
    try:
        yield stream
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


class TestShared:
    def test_it_shows_its_dashboard_and_no_more_of_its_devices(self, run):
        async def scene():
            async with sharing() as (_, _, _, board, link, guest):
                shown = msgspec.convert(await opened(guest, link), shapes.SharedDashboard, strict=True)
                assert (shown.name, shown.link, shown.version) == ("Greenhouse", link["id"], 1)
                assert [card.id for card in shown.cards] == ["a"]
                assert [device.id for device in shown.devices] == ["dev"]
                assert set(shown.devices[0].latest) == {"temp"}
                one = f"/api/shared/{link['id']}"
                answer, again = await guest.ask("GET", one)
                assert (answer.status, again["cards"]) == (200, board["cards"])
                assert b"127.0.0.1" not in answer.body
                answer, readings = await guest.ask("GET", f"{one}/devices/dev/readings?key=temp&from=0")
                assert [value for _, value in readings["points"]] == [21.5]
                answer, many = await guest.ask("GET", f"{one}/readings?series=dev:temp&from=0&device=*&key=*")
                assert [(each["key"], len(each["points"])) for each in many["series"]] == [("temp", 1)]
                for series in ("dev:secret", "dev:temp&series=dev:secret", "gone:temp", "temp"):
                    await guest.refused(404, "GET", f"{one}/readings?series={series}")
                for path in ("dev/readings?key=secret", "dev/readings", "other/readings?key=temp"):
                    await guest.refused(404, "GET", f"{one}/devices/{path}")

        run(scene())

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/api/devices"),
            ("GET", "/api/devices/dev"),
            ("GET", "/api/devices/dev/readings?key=temp"),
            ("POST", "/api/devices/dev/commands"),
            ("GET", "/api/live"),
            ("GET", "/api/dashboards"),
            ("GET", "/api/session"),
        ],
    )
    def test_its_cookie_opens_nothing_else(self, anyrun, method, path):
        async def scene():
            async with sharing() as (_, _, _, _, link, guest):
                await opened(guest, link)
                await guest.refused(401, method, path, {} if method == "POST" else None)
                secret = {"Authorization": f"Bearer {link['secret']}"}
                await guest.refused(401, method, path, {} if method == "POST" else None, **secret)

        anyrun(scene())

    def test_it_opens_no_other_dashboard(self, anyrun):
        async def scene():
            async with sharing() as (_, _, operator, _, link, guest):
                other = await made(operator, (), "Other")
                other_link = (await operator.ask("POST", f"/api/dashboards/{other['id']}/links", {}))[1]
                await opened(guest, link)
                for path in ("", "/live", "/devices/dev/readings?key=temp"):
                    await guest.refused(401, "GET", f"/api/shared/{other_link['id']}{path}")
                await operator.refused(404, "DELETE", f"/api/dashboards/{other['id']}/links/{link['id']}")

        anyrun(scene())

    def test_its_stream_holds_what_is_on_the_dashboard(self, run):
        async def scene():
            async with sharing() as (web, session, operator, board, link, guest):
                await opened(guest, link)
                async with listening(web, guest, link) as stream:
                    foreign, foreign_session = await device_with_session(web.hub, "foreign")
                    await ingest(web.hub, foreign_session, (None, "temp", 1))
                    await ingest(web.hub, session, (None, "temp", 22), (None, "secret", 2))
                    kind, data = await stream.next()
                    assert kind == "reading"
                    assert [(key, value) for key, _, value in data["readings"]] == [("temp", 22)]
                    web.hub.detach(session)
                    kind, data = await stream.next()
                    assert (kind, data["presence"]["connected"]) == ("presence", False)
                    assert set(data["presence"]) == set(shapes.SharedPresence.__struct_fields__)
                    # What is put on the dashboard is seen from then on, without a new stream.
                    cards = [{**VALUE, "device": foreign.id}]
                    await operator.ask(
                        "PUT", f"/api/dashboards/{board['id']}", {"version": 1, "name": "Greenhouse", "cards": cards}
                    )
                    assert await stream.next() == (
                        "dashboard",
                        {"action": "changed", "id": board["id"], "version": 2},
                    )
                    await ingest(web.hub, foreign_session, (None, "temp", 2))
                    assert (await stream.next())[1]["device"] == "foreign"

        run(scene())

    @pytest.mark.parametrize("how", ["link removed", "dashboard removed"])
    def test_it_ends_when_it_is_removed(self, anyrun, how):
        async def scene():
            async with sharing() as (web, _, operator, board, link, guest):
                await opened(guest, link)
                async with listening(web, guest, link) as stream:
                    one = f"/api/dashboards/{board['id']}"
                    answer, _ = await operator.ask(
                        "DELETE", one if how == "dashboard removed" else f"{one}/links/{link['id']}"
                    )
                    assert answer.status == 204
                    await stream.ended()
                    assert len(web.app.live) == 0
                    await guest.refused(401, "GET", f"/api/shared/{link['id']}")
                    await guest.refused(401, "POST", "/api/shared", {"secret": link["secret"]})

        anyrun(scene())

    def test_it_is_over_at_its_time(self, anyrun):
        async def scene():
            clock = FakeClock()
            async with sharing(clock, expires_s=3_600) as (web, _, operator, board, link, guest):
                shown = await opened(guest, link)
                assert shown["expires"] == link["expires"] == link["created"] + 3_600_000
                async with listening(web, guest, link) as stream:
                    clock.advance(3_599)
                    assert (await guest.ask("GET", f"/api/shared/{link['id']}"))[0].status == 200
                    web.app.live.end_closed()
                    assert len(web.app.live) == 1
                    clock.advance(1)
                    await guest.refused(401, "GET", f"/api/shared/{link['id']}")
                    await guest.refused(401, "GET", f"/api/shared/{link['id']}/live")
                    web.app.live._keep_alive()
                    await stream.ended()
                    listed = (await operator.ask("GET", f"/api/dashboards/{board['id']}/links"))[1]
                    assert msgspec.convert(listed, shapes.LinkList, strict=True).items[0].id == link["id"]

        anyrun(scene())

    def test_guessing_is_slowed_down(self, anyrun):
        async def scene():
            async with open_web() as web, web.anyone() as guest:
                answers = [await guest.ask("POST", "/api/shared", {"secret": f"hps_{n}"}) for n in range(100)]
                assert {answer.status for answer, _ in answers} == {401, 429}

        anyrun(scene())

    def test_its_secret_is_nowhere_in_the_store(self, anyrun):
        async def scene():
            store = MemoryStore()
            async with operating(store) as (_web, operator):
                board = await made(operator, ())
                link = (await operator.ask("POST", f"/api/dashboards/{board['id']}/links", {"name": "Hall"}))[1]
                await until(lambda: list(store.load(ShareLink)))
                (kept,) = store.load(ShareLink)
                assert (kept.name, kept.created_by) == ("Hall", "a operator")
                assert link["secret"] not in str(kept)

        anyrun(scene())
