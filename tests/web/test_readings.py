"""Readings of many series over the app API: ranges, buckets by the calendar, readings of the past."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
import pytest

from hardpoint.hub.history import pages
from hardpoint.hub.history.query import MAX_RAW_POINTS
from hardpoint.web import readings, shapes
from hub.hubs import FULL, HeldStore, NotingSession, attached, until

from .test_devices import checked
from .webs import open_web

DAY_MS = 86_400_000


@contextlib.asynccontextmanager
async def signed_in(store=None, clock=None, role="admin", **limits):
    async with open_web(store, clock, **limits) as web, await web.as_role(role) as client:
        yield web.hub, client


async def filled(hub):
    """Two devices: ``a`` with three days of ``temp`` at one a quarter of an hour, ``b`` with two readings."""
    a, session = await attached(hub, "a")
    b, other = await attached(hub, "b")
    hub.ingest(session, a, [(n * 900_000, "temp", n % 96) for n in range(3 * 96)], 1)
    hub.ingest(other, b, [(5, "temp", 1), (6, "note", "x")], 1)
    await hub.commits.durable()
    return a, b


class TestOfMany:
    def test_several_series_in_one_answer(self, anyrun):
        async def scene():
            async with signed_in(role="viewer") as (hub, client):
                await filled(hub)
                _, found = await client.ask(
                    "GET", "/api/readings?series=b:note&series=a:temp&from=0&to=1800000&agg=raw"
                )
                msgspec.convert(found, shapes.ManyReadings, strict=True)
                assert found == {
                    "from": 0,
                    "to": 1_800_000,
                    "series": [
                        {"device": "a", "key": "temp", "agg": "raw", "points": [[0, 0], [900_000, 1]]},
                        {"device": "b", "key": "note", "agg": "raw", "points": [[6, "x"]]},
                    ],
                }
                _, found = await client.ask("GET", "/api/readings?key=temp&from=0&to=9&agg=count&points=1")
                assert [(each["device"], each["points"]) for each in found["series"]] == [
                    ("a", [[0, 1]]),
                    ("b", [[0, 1]]),
                ]
                _, found = await client.ask("GET", "/api/readings?device=z*&from=0&to=9")
                assert found["series"] == []

        anyrun(scene())

    def test_days_of_a_time_zone(self, anyrun):
        async def scene():
            async with signed_in() as (hub, client):
                await filled(hub)
                where = f"/api/readings?series=a:temp&from=0&to={3 * DAY_MS}&every=1d&tz=Asia/Tokyo"
                _, found = await client.ask("GET", f"{where}&agg=count")
                # Tokyo's day begins at 15:00 UTC: 36 quarters of an hour before, then whole days.
                begin = 15 * 3_600_000 - DAY_MS
                assert found["series"][0]["points"] == [
                    [begin, 60],
                    [begin + DAY_MS, 96],
                    [begin + 2 * DAY_MS, 96],
                    [begin + 3 * DAY_MS, 36],
                ]
                _, found = await client.ask("GET", where)
                assert found["series"][0]["agg"] == "avg"
                _, one = await client.ask(
                    "GET", f"/api/devices/a/readings?key=temp&from=0&to={DAY_MS}&every=6h&agg=max"
                )
                assert one == {
                    "key": "temp",
                    "agg": "max",
                    "points": [[n * DAY_MS // 4, n * 24 + 23] for n in range(4)],
                }

        anyrun(scene())

    @pytest.mark.parametrize(
        ("query", "status", "field"),
        [
            ("", 400, "series"),
            ("series=temp", 400, "series"),
            ("series=a:never", 404, "key"),
            ("series=nobody:temp", 404, "device"),
            ("device=nobody", 404, "device"),
            ("device=a&from=5&to=5", 400, "from"),
            ("device=a&agg=median", 400, "agg"),
            ("device=a&every=1x", 400, "every"),
            ("device=a&every=1s&from=0&to=99999999", 400, "every"),
            ("device=a&every=1d&tz=Mars", 400, "tz"),
            ("device=a&every=1d&agg=lttb", 400, "agg"),
            ("device=b&key=note&agg=lttb&points=1&from=0", 400, "agg"),
        ],
    )
    def test_what_is_refused_names_the_place(self, anyrun, query, status, field):
        async def scene():
            async with signed_in() as (hub, client):
                _, b = await filled(hub)
                hub.ingest(NotingSession(), b, [(7, "note", "y")], 1)
                await hub.commits.durable()
                error = await client.refused(status, "GET", f"/api/readings?{query}")
                assert error["field"] == field

        anyrun(scene())

    def test_one_answer_is_bounded(self, anyrun, monkeypatch):
        async def scene():
            async with signed_in(max_reads=1) as (hub, client):
                await filled(hub)
                monkeypatch.setattr(readings, "MAX_SERIES", 2)
                error = await client.refused(413, "GET", "/api/readings?device=*")
                assert "3 series" in error["message"]
                monkeypatch.setattr(readings, "MAX_RAW_POINTS", 288)
                where = "/api/readings?key=temp&from=0&to=999999999"
                error = await client.refused(413, "GET", f"{where}&agg=raw")
                assert str(MAX_RAW_POINTS) in error["message"]
                await client.refused(413, "GET", f"{where}&points=300")
                with hub.reads.answering():
                    error = await client.refused(429, "GET", where)
                    assert "limits.max_reads (1)" in error["message"]
                answer, _ = await client.ask("GET", f"{where}&points=100")
                assert answer.status == 200

        anyrun(scene())


class TestPast:
    def test_they_are_stored_and_are_no_news(self, anyrun):
        async def scene():
            async with signed_in(role="operator") as (hub, client):
                device, session = await attached(hub, "a")
                hub.ingest(session, device, [(50, "temp", 5)], 1)
                await hub.commits.durable()
                number = hub.live.number
                seen = []
                hub.handlers.add(seen.append, "*", "*")
                body = {
                    "series": [
                        {"device": "a", "key": "temp", "points": [[10, 1], [50, 6], [20, "x"]]},
                        {"device": "a", "key": "old", "points": [[7, {"y": [1]}]]},
                    ]
                }
                answer, stored = await client.ask("POST", "/api/readings", body)
                assert (answer.status, stored) == (200, {"readings": 4})
                assert (await hub.past.readings(device, "temp", 0, 100, agg="raw"))[1] == [(10, 1), (20, "x"), (50, 6)]
                assert device.latest() == {"old": {"value": {"y": [1]}, "ts": 7}, "temp": {"value": 5, "ts": 50}}
                assert (seen, device.last_reading_ms) == ([], hub.clock_ms())
                assert hub.live.number == number
                _, again = await client.ask("GET", "/api/readings?device=a&from=0&to=100&agg=raw")
                answer, stored = await client.ask("POST", "/api/readings", {"series": again["series"]})
                assert stored == {"readings": 4}

        anyrun(scene())

    @pytest.mark.parametrize(
        ("points", "key", "status"),
        [
            ([[-1, 5]], "temp", 400),
            ([[1_700_000_000, 5]], "temp", 400),
            ([["1", 5]], "temp", 400),
            ([[1]], "temp", 400),
            ([[1, "x" * 70_000]], "temp", 413),
            ([[1, 5]], "a b", 400),
            ([[n, 1] for n in range(10_001)], "temp", 413),
        ],
    )
    def test_all_of_a_request_or_nothing(self, anyrun, points, key, status):
        async def scene():
            async with signed_in() as (hub, client):
                device, _ = await attached(hub, "a")
                good = {"device": "a", "key": "good", "points": [[1, 1]]}
                body = {"series": [good, {"device": "a", "key": key, "points": points}]}
                await client.refused(status, "POST", "/api/readings", body)
                assert not device.series

        anyrun(scene())

    def test_the_device_must_be_there_and_the_role_be_enough(self, anyrun):
        async def scene():
            async with signed_in(role="viewer") as (_, client):
                await client.refused(403, "POST", "/api/readings", {"series": []})
            async with signed_in() as (_, client):
                body = {"series": [{"device": "nobody", "key": "k", "points": []}]}
                error = await client.refused(404, "POST", "/api/readings", body)
                assert error["field"] == "device"

        anyrun(scene())

    def test_a_full_disk_is_told(self, anyrun):
        async def scene():
            store = HeldStore()
            async with signed_in(store) as (hub, client):
                await attached(hub, "a")
                store.error = FULL
                body = {"series": [{"device": "a", "key": "k", "points": [[1, 1]]}]}
                await client.refused(507, "POST", "/api/readings", body)
                store.error = None

        anyrun(scene())


class TestSeries:
    def test_first_and_last_times_page_by_page(self, anyrun):
        async def scene():
            async with signed_in(role="viewer") as (hub, client):
                await filled(hub)
                _, page = await client.ask("GET", "/api/series?limit=2")
                checked(page, shapes.SeriesList)
                last = (3 * 96 - 1) * 900_000
                assert page == {
                    "items": [
                        {"device": "a", "key": "temp", "first": 0, "last": last, "latest": {"value": 95, "ts": last}},
                        {"device": "b", "key": "note", "first": 6, "last": 6, "latest": {"value": "x", "ts": 6}},
                    ],
                    "next_cursor": "b:note",
                    "total": 3,
                }
                _, page = await client.ask("GET", "/api/series?limit=2&cursor=b:note")
                assert [(each["device"], each["key"]) for each in page["items"]] == [("b", "temp")]
                assert page["next_cursor"] is None
                await hub.past.delete_readings(hub.catalogue.find("b"), "note", 0, 100)
                _, page = await client.ask("GET", "/api/series?key=note")
                assert page["items"] == [{"device": "b", "key": "note", "first": None, "last": None, "latest": None}]

        anyrun(scene())


class TestStreams:
    def test_lines_of_any_number_of_readings(self, anyrun, monkeypatch):
        async def scene():
            async with signed_in(role="viewer") as (hub, client):
                await filled(hub)
                monkeypatch.setattr(pages, "PAGE_READINGS", 50)
                answer, _ = await client.ask("GET", "/api/readings?device=*&from=0&to=999999999&agg=raw&format=ndjson")
                assert answer.headers["content-type"] == "application/x-ndjson"
                lines = [msgspec.json.decode(line) for line in answer.body.splitlines()]
                assert len(lines) == 3 * 96 + 2
                assert lines[0] == {"device": "a", "key": "temp", "ts": 0, "value": 0}
                assert [line["value"] for line in lines[:288]] == [n % 96 for n in range(288)]
                assert lines[-2:] == [
                    {"device": "b", "key": "note", "ts": 6, "value": "x"},
                    {"device": "b", "key": "temp", "ts": 5, "value": 1},
                ]
                assert hub.reads.under_way == 0

        anyrun(scene())

    def test_csv_has_a_head_and_only_one(self, anyrun, monkeypatch):
        async def scene():
            async with signed_in() as (hub, client):
                device, session = await attached(hub, "a")
                values = [1, 2.5, True, 'x, "y"', {"z": [1]}]
                hub.ingest(session, device, [(n, "v", value) for n, value in enumerate(values)], 1)
                await hub.commits.durable()
                monkeypatch.setattr(pages, "PAGE_READINGS", 2)
                where = "/api/readings?device=a&from=0&to=999&format=csv&agg="
                answer, _ = await client.ask("GET", f"{where}raw")
                assert answer.body.decode().split("\r\n") == [
                    "time,device,key,value",
                    "1970-01-01T00:00:00.000Z,a,v,1",
                    "1970-01-01T00:00:00.001Z,a,v,2.5",
                    "1970-01-01T00:00:00.002Z,a,v,true",
                    '1970-01-01T00:00:00.003Z,a,v,"x, ""y"""',
                    '1970-01-01T00:00:00.004Z,a,v,"{""z"":[1]}"',
                    "",
                ]
                answer, _ = await client.ask("GET", f"{where}avg&points=1")
                assert answer.body.decode().splitlines()[1:] == ["1970-01-01T00:00:00.000Z,a,v,1.75"]
                answer, _ = await client.ask("GET", "/api/readings?device=z*&format=csv")
                assert answer.body == b"time,device,key,value\r\n"
                answer, _ = await client.ask("GET", "/api/readings?device=z*&format=ndjson")
                assert (answer.status, answer.body) == (200, b"")

        anyrun(scene())

    def test_what_is_wrong_is_told_with_its_status(self, anyrun):
        async def scene():
            async with signed_in(max_reads=1) as (hub, client):
                await filled(hub)
                error = await client.refused(400, "GET", "/api/readings?device=a&format=xml")
                assert error["field"] == "format"
                hub.ingest(NotingSession(), hub.catalogue.find("b"), [(7, "note", "y")], 1)
                await hub.commits.durable()
                where = "/api/readings?series=b:note&agg=lttb&points=1&from=0&format=csv"
                error = await client.refused(400, "GET", where)
                assert "lttb needs numbers" in error["message"]
                with hub.reads.answering():
                    await client.refused(429, "GET", "/api/readings?device=a&format=csv")
                assert hub.reads.refused == 1

        anyrun(scene())

    def test_when_the_client_goes_away_reading_stops(self, anyrun, monkeypatch):
        async def scene():
            async with open_web() as web, await web.as_role("viewer") as client:
                device, session = await attached(web.hub, "a")
                hub = web.hub
                text = "x" * 1000
                hub.ingest(session, device, [(n, "v", text) for n in range(20_000)], 1)
                await hub.commits.durable()
                monkeypatch.setattr(pages, "PAGE_READINGS", 10)
                seen = []
                real = hub.store.stretches

                def counted(*args):
                    seen.append(args)
                    for stretch in real(*args):
                        for begin in range(0, len(stretch.times), 10):
                            yield type(stretch)(stretch.times[begin : begin + 10], stretch.values[begin : begin + 10])

                hub.store.stretches = counted
                reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
                token = client.headers["Authorization"]
                where = "/api/readings?device=a&from=0&to=99999&agg=raw&format=ndjson"
                writer.write(f"GET {where} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode())
                await reader.readexactly(1000)
                assert hub.reads.under_way == 1
                writer.close()
                await until(lambda: hub.reads.under_way == 0)
                assert len(seen) < 2000

        anyrun(scene())
