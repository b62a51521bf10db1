"""The system page's document, the bundle that helps to find a fault, and copies kept beside the data."""

from __future__ import annotations

import contextlib
import io
import logging
import zipfile

import msgspec
import pytest

from hardpoint import Server
from hardpoint.testing import HttpDevice, LineDevice
from hardpoint.web import backups, shapes
from hardpoint.web.recent import MAX_LINE_LENGTH, MAX_LINES, RecentLog


@contextlib.asynccontextmanager
async def serving(tmp_path):
    """A server and an admin's client; ``ask(method, path, status)`` is one request of it."""
    server = Server(data=tmp_path, listen=["line://127.0.0.1:0", "http://127.0.0.1:0"], host={"enabled": False})
    async with server, HttpDevice("127.0.0.1", server.ports["http"]) as client:
        secret, _ = await server._running.web.accounts.add_token("admin", "admin", [], None, "test")

        async def ask(method, path, status=200):
            answer = await client.request(method, path, headers={"Authorization": f"Bearer {secret}"})
            assert answer.status == status, answer
            return answer

        yield server, ask, secret


def test_the_overview_counts_what_happens(run, tmp_path):
    async def scene():
        async with serving(tmp_path) as (server, ask, _):
            _, token = await server.hub.create_device("dev")
            async with LineDevice("127.0.0.1", server.ports["line"], token) as device:
                await device.send(a=1, b=2)
                found = msgspec.convert((await ask("GET", "/api/system")).json(), shapes.Overview, strict=True)
            assert found.sessions == {"line": 1}
            assert (found.counters["readings"], found.gauges["devices"], found.gauges["connected"]) == (2, 1, 1)
            assert found.process.cpu_s > 0
            assert found.health.status == "ok"

    run(scene())


def test_the_bundle_holds_no_secret(anyrun, tmp_path, caplog):
    async def scene():
        async with serving(tmp_path) as (server, ask, secret):
            log = logging.getLogger("hardpoint.test")
            logging.getLogger().addHandler(server._recent)
            log.setLevel("INFO")
            try:
                log.info("a line with %s and https://ada:geheim@example.org/x", secret)
            finally:
                logging.getLogger().removeHandler(server._recent)
            answer = await ask("GET", "/api/system/bundle")
            assert answer.headers["content-type"] == "application/zip"
            assert answer.headers["content-disposition"].endswith('.zip"')
            bundle = zipfile.ZipFile(io.BytesIO(answer.body))
            parts = {name: bundle.read(name) for name in bundle.namelist()}
            assert set(parts) == {
                "README.txt", "about.json", "health.json", "system.json", "metrics.txt", "settings.json", "log.txt"
            }  # fmt: skip
            assert b"a line with [left out] and https://[left out]example.org/x" in parts["log.txt"]
            everything = b"".join(parts.values())
            assert secret.encode() not in everything
            assert b"geheim" not in everything
            settings = msgspec.json.decode(parts["settings.json"])
            assert settings["data"]["value"] == str(tmp_path)
            assert settings["loop"] == {"value": "hardpoint", "from": "default"}
            assert b"hardpoint_readings_total" in parts["metrics.txt"]

    anyrun(scene())


def test_copies_are_made_listed_fetched_and_removed(anyrun, tmp_path, monkeypatch):
    monkeypatch.setattr(backups, "MAX_KEPT", 1)

    async def scene():
        async with serving(tmp_path) as (_, ask, _):
            path = "/api/store/backups"
            assert (await ask("GET", path)).json() == {"items": [], "most": 1}
            made = msgspec.convert((await ask("POST", path, 201)).json(), shapes.Backup, strict=True)
            listed = msgspec.convert((await ask("GET", path)).json(), shapes.BackupList, strict=True)
            assert [(each.name, each.bytes) for each in listed.items] == [(made.name, made.bytes)]
            fetched = await ask("GET", f"{path}/{made.name}")
            assert (fetched.body[:15], len(fetched.body)) == (b"SQLite format 3", made.bytes)
            assert "one" in (await ask("POST", path, 409)).json()["error"]["message"]
            await ask("DELETE", f"{path}/{made.name}", 204)
            await ask("DELETE", f"{path}/{made.name}", 404)
            await ask("GET", f"{path}/{made.name}", 404)
            assert list((tmp_path / backups.FOLDER).iterdir()) == []

    anyrun(scene())


@pytest.mark.parametrize("name", ["..%2Fhardpoint.db", "hardpoint.db", "hardpoint-20261123T000000Z.db.partial", "%2e"])
def test_no_other_file_is_a_copy(anyrun, tmp_path, name):
    async def scene():
        async with serving(tmp_path) as (_, ask, _):
            await ask("GET", f"/api/store/backups/{name}", 404)
            await ask("DELETE", f"/api/store/backups/{name}", 404)
            assert (tmp_path / "hardpoint.db").exists()

    anyrun(scene())


def test_the_recent_log_is_bounded():
    recent = RecentLog()
    for number in range(MAX_LINES + 5):
        recent.emit(logging.LogRecord("n", logging.INFO, "f", 1, "line %d %s", (number, "x" * MAX_LINE_LENGTH), None))
    lines = recent.lines()
    assert len(lines) == MAX_LINES
    assert "line 5 x" in lines[0]
    assert {len(line) for line in lines} == {MAX_LINE_LENGTH}
