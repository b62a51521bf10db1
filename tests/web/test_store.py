"""The store over the app API: what retention will do, a check, a copy."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
import struct
import threading

import msgspec
import pytest

from hardpoint.config import Retention
from hardpoint.hub.pace import LEAST_READINGS, Sample
from hardpoint.stores.sqlite import SqliteStore
from hardpoint.testing import FakeClock
from hardpoint.web import shapes, store
from hub.hubs import attached, until

from .webs import open_web

DAY_MS = 86_400_000


@contextlib.asynccontextmanager
async def signed_in(given=None, role="admin"):
    async with open_web(given, FakeClock(100 * DAY_MS)) as web, await web.as_role(role) as client:
        yield web.hub, client


def test_the_plan_says_when_the_limit_is_reached(anyrun, monkeypatch):
    async def scene():
        async with signed_in(role="viewer") as (hub, client):

            async def days():
                return (await client.ask("GET", "/api/store/plan"))[1]["days_to_max"]

            planned = hub.store.plan
            monkeypatch.setattr(hub.store, "plan", lambda *given: planned(*given)._replace(size_bytes=10**6))
            monkeypatch.setattr(hub.store, "describe", lambda: {"readings": LEAST_READINGS})
            hub.pace.samples.append(Sample(1, 10.0))
            assert await days() is None
            hub.retention.use(Retention(max_bytes=87_400_000))
            assert await days() == 10.0
            hub.retention.use(Retention(max_bytes=10**6))
            assert await days() == 0.0

    anyrun(scene())


async def filled(hub):
    for name in ("a", "b"):
        device, session = await attached(hub, name)
        hub.ingest(session, device, [(day * DAY_MS, "temp", day) for day in range(90, 100)], 1)
    await hub.commits.durable()


def test_the_plan_says_what_and_when(anyrun, monkeypatch):
    async def scene():
        async with signed_in(role="viewer") as (hub, client):
            await filled(hub)
            hub.retention.use(Retention(rules=("b:* keep",), drop_after_s=5 * 86_400, max_bytes=10**9))
            _, plan = await client.ask("GET", "/api/store/plan")
            msgspec.convert(plan, shapes.Plan, strict=True)
            assert plan == {
                "at": 100 * DAY_MS,
                "size_bytes": 0,
                "max_bytes": 10**9,
                "days_to_max": None,
                "freed_bytes": 0,
                "rules": [
                    {"device": "b", "key": "*", "thin_after_s": None, "drop_after_s": None},
                    {"device": "*", "key": "*", "thin_after_s": None, "drop_after_s": 432000.0},
                ],
                "steps": [
                    {
                        "device": "a",
                        "key": "temp",
                        "action": "drop",
                        "reason": "age",
                        "readings": 5,
                        "bytes": 0,
                        "from": 90 * DAY_MS,
                        "to": 95 * DAY_MS,
                        "due": 100 * DAY_MS,
                    }
                ],
                "more_steps": 0,
            }
            _, later = await client.ask("GET", f"/api/store/plan?within_s={4 * 86_400}")
            assert (later["at"], later["steps"][0]["readings"]) == (104 * DAY_MS, 9)
            monkeypatch.setattr(store, "MAX_STEPS", 0)
            _, short = await client.ask("GET", "/api/store/plan")
            assert (short["steps"], short["more_steps"]) == ([], 1)
            error = await client.refused(400, "GET", "/api/store/plan?within_s=soon")
            assert error["field"] == "within_s"

    anyrun(scene())


@pytest.mark.parametrize("call", ["check", "backup"])
def test_only_an_admin_may(anyrun, call):
    async def scene():
        async with signed_in(role="operator") as (_, client):
            await client.refused(403, "POST", f"/api/store/{call}")

    anyrun(scene())


def test_a_check_tells_what_it_looked_at(anyrun, tmp_path):
    async def scene():
        async with signed_in(SqliteStore(tmp_path / "data")) as (hub, client):
            await filled(hub)
            for query in ("", "?repair=true"):
                _, report = await client.ask("POST", f"/api/store/check{query}")
                msgspec.convert(report, shapes.CheckReport, strict=True)
                assert report["findings"] == []

    anyrun(scene())


def test_a_copy_is_a_whole_database_and_leaves_nothing_behind(anyrun, tmp_path):
    async def scene():
        folder = tmp_path / "data"
        async with signed_in(SqliteStore(folder)) as (hub, client):
            await filled(hub)
            (folder / "backup-0123").write_bytes(b"left by a crash")
            answer = await client.request("POST", "/api/store/backup", b"", client.headers)
            assert answer.status == 200
            assert answer.headers["content-type"] == "application/vnd.sqlite3"
            (tmp_path / "copy.db").write_bytes(answer.body)
            assert not list(folder.glob("backup-*"))
            with contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
                assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert copy.execute("SELECT name FROM devices ORDER BY name").fetchall() == [("a",), ("b",)]

    anyrun(scene())


def test_of_a_store_in_memory_there_is_no_copy(anyrun):
    async def scene():
        async with signed_in() as (_, client):
            error = await client.refused(503, "POST", "/api/store/backup")
            assert "in memory" in error["message"]

    anyrun(scene())


def test_one_at_a_time(anyrun, tmp_path):
    async def scene():
        async with open_web(SqliteStore(tmp_path / "data")) as web:
            begun, go_on = threading.Event(), threading.Event()
            real = web.hub.store.check

            def slow(*, repair):
                begun.set()
                assert go_on.wait(60)
                return real(repair=repair)

            web.hub.store.check = slow
            async with await web.as_role("admin") as one, await web.as_role("admin") as other:
                first = asyncio.ensure_future(one.ask("POST", "/api/store/check"))
                assert await asyncio.to_thread(begun.wait, 60)
                error = await other.refused(409, "POST", "/api/store/backup")
                assert "a check is under way" in error["message"]
                go_on.set()
                assert (await first)[0].status == 200

    anyrun(scene())


def test_one_at_a_time_also_when_who_asked_has_gone(anyrun, tmp_path):
    """The thread goes on: a second check would repair what the first one is repairing."""

    async def scene():
        async with open_web(SqliteStore(tmp_path / "data")) as web:
            begun, go_on = threading.Event(), threading.Event()
            real = web.hub.store.check

            def slow(*, repair):
                begun.set()
                assert go_on.wait(60)
                return real(repair=repair)

            web.hub.store.check = slow
            async with await web.as_role("admin") as one:
                asked = asyncio.ensure_future(one.ask("POST", "/api/store/check?repair=true"))
                assert await asyncio.to_thread(begun.wait, 60)
                asked.cancel()
                sock = one._writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
            await until(lambda: not web.server.connections)
            async with await web.as_role("admin") as other:
                error = await other.refused(409, "POST", "/api/store/check")
                assert "a check is under way" in error["message"]
                go_on.set()
                async with asyncio.timeout(60):
                    while (await other.ask("POST", "/api/store/check"))[0].status == 409:
                        await asyncio.sleep(0)

    anyrun(scene())


def test_plans_are_as_many_at_a_time_as_other_answers_that_are_read(anyrun, tmp_path):
    async def scene():
        async with open_web(SqliteStore(tmp_path / "data"), max_reads=1) as web, await web.as_role("viewer") as client:
            with web.hub.reads.answering():
                await client.refused(429, "GET", "/api/store/plan")
            assert (await client.ask("GET", "/api/store/plan"))[0].status == 200

    anyrun(scene())
