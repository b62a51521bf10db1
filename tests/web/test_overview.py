"""The system page's document, the bundle that helps to find a fault, and copies kept beside the data."""

from __future__ import annotations

import contextlib
import logging

import msgspec
import pytest

from hardpoint import Server
from hardpoint.testing import HttpDevice, LineDevice
from hardpoint.web import backups, diagnostics, shapes
from hardpoint.web.recent import MAX_LINE_LENGTH, MAX_LINES, RecentLog


@contextlib.asynccontextmanager
async def serving(tmp_path):
    """A server and an admin's client; ``ask(method, path, status)`` is one request of it."""
    server = Server(
        data=tmp_path,
        listen=["line://127.0.0.1:0", "http://127.0.0.1:0"],
        host={"enabled": False},
        retention={"rules": ["grandma-*:* drop 9y"]},
    )
    async with server, HttpDevice("127.0.0.1", server.ports["http"]) as client:
        secret, _ = await server._running.web.accounts.add_token("admin", "admin", [], None, "test")

        async def ask(method, path, status=200, document=None):
            body = b"" if document is None else msgspec.json.encode(document)
            answer = await client.request(method, path, body, {"Authorization": f"Bearer {secret}"})
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


def test_the_bundle_holds_no_secret_and_names_only_when_they_are_wanted(anyrun, tmp_path, caplog):
    async def scene():
        async with serving(tmp_path) as (server, ask, secret):
            _, token = await server.hub.create_device("grandma-bed")
            hook = {"url": "https://hooks.example/services/T0/B0", "secret": "signing-key"}
            channel = {"name": "hook", "kind": "webhook", "settings": hook}
            await ask("POST", "/api/channels", 201, channel)
            await ask("POST", "/api/users", 201, {"name": "ada", "role": "viewer", "password": "pass of ada's own"})
            log = logging.getLogger("hardpoint.test")
            logging.getLogger().addHandler(server._recent)
            log.setLevel("INFO")
            try:
                log.info("%s with %s, %s, %s: %s", "grandma-bed", secret, token, hook, "https://ada:geheim@h/x")
            finally:
                logging.getLogger().removeHandler(server._recent)
            answer = await ask("GET", "/api/system/bundle")
            assert answer.headers["content-type"] == "application/gzip"
            assert answer.headers["content-disposition"].endswith('.tar.gz"')
            parts = diagnostics.unpack(answer.body)
            assert list(parts) == [
                "README.txt",
                "about.json",
                "health.json",
                "system.json",
                "metrics.txt",
                "settings.json",
                "doctor.json",
                "log.txt",
            ]
            checks = {each["id"]: each["seen"] for each in msgspec.json.decode(parts["doctor.json"])["checks"]}
            assert checks["data"] == str(tmp_path)
            (line,) = parts["log.txt"].decode().splitlines()
            assert line.endswith(
                "grandma-bed with [left out], [left out], {'url': '[left out]', 'secret': '[left out]'}: "
                "https://[left out]h/x"
            )
            everything = b"".join(parts.values())
            for text in (secret, token, "hooks.example", "signing-key", "geheim", "pass of ada"):
                assert text.encode() not in everything
            settings = msgspec.json.decode(parts["settings.json"])
            assert settings["data"]["value"] == str(tmp_path)
            assert settings["loop"] == {"value": "hardpoint", "from": "default"}
            assert settings["retention.rules"]["value"] == ["grandma-*:* drop 9y"]
            assert b"hardpoint_readings_total" in parts["metrics.txt"]

            hidden = diagnostics.unpack((await ask("GET", "/api/system/bundle?names=hidden")).body)
            assert b"grandma" not in b"".join(hidden.values())
            assert hidden["log.txt"].decode().endswith("… with …, …, …: …")
            await ask("GET", "/api/system/bundle?names=some", 400)

    anyrun(scene())


def test_copies_are_made_listed_fetched_and_removed(anyrun, tmp_path, monkeypatch):
    monkeypatch.setattr(backups, "MAX_KEPT", 1)

    async def scene():
        async with serving(tmp_path) as (_, ask, _):
            path = "/api/store/backups"
            kept = "/api/packages?title=pump&version="
            _, lost = [(await ask("POST", f"{kept}{number}", 201, number)).json() for number in (1, 2)]
            (tmp_path / "packages" / lost["sha256"]).unlink()
            assert (await ask("GET", path)).json() == {"items": [], "most": 1}
            made = msgspec.convert((await ask("POST", path, 201)).json(), shapes.Backup, strict=True)
            listed = msgspec.convert((await ask("GET", path)).json(), shapes.BackupList, strict=True)
            assert [(each.name, each.bytes) for each in listed.items] == [(made.name, made.bytes)]
            assert [(each.packages, each.missing_packages) for each in (made, *listed.items)] == [(1, 1)] * 2
            fetched = await ask("GET", f"{path}/{made.name}")
            assert (fetched.body[:15], len(fetched.body)) == (b"SQLite format 3", made.bytes)
            assert "one" in (await ask("POST", path, 409)).json()["error"]["message"]
            await ask("DELETE", f"{path}/{made.name}", 204)
            await ask("DELETE", f"{path}/{made.name}", 404)
            await ask("GET", f"{path}/{made.name}", 404)
            assert list((tmp_path / backups.FOLDER).iterdir()) == []

    anyrun(scene())


def test_a_copy_that_cannot_be_read_is_listed_as_such(anyrun, tmp_path):
    async def scene():
        async with serving(tmp_path) as (_, ask, _):
            (tmp_path / backups.FOLDER).mkdir()
            (tmp_path / backups.FOLDER / "hardpoint-20261123T000000Z.db").write_bytes(b"cut off")
            listed = msgspec.convert((await ask("GET", "/api/store/backups")).json(), shapes.BackupList, strict=True)
            assert [(each.bytes, each.packages, each.missing_packages) for each in listed.items] == [(7, None, None)]

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
