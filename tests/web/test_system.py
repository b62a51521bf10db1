"""Health, metrics, the API's description and the pages, of a whole server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re

import msgspec
import pytest

from hardpoint import Server
from hardpoint.errors import StorageFull
from hardpoint.stores.memory import MemoryStore
from hardpoint.testing import HttpDevice, LineDevice
from hardpoint.web import shapes
from hardpoint.web.openapi import describe_api
from hardpoint.web.site import CLIENT_ROUTES

from .webs import open_web


@contextlib.asynccontextmanager
async def serving(tmp_path, store=None):
    server = Server(
        data=tmp_path, listen=["line://127.0.0.1:0", "http://127.0.0.1:0"], host={"enabled": False}, store=store
    )
    async with server, HttpDevice("127.0.0.1", server.ports["http"]) as client:
        yield server, client


def test_health_says_what_listens_where(run, tmp_path):
    async def scene():
        async with serving(tmp_path) as (server, client):
            answer = await client.request("GET", "/api/health")
            health = msgspec.convert(answer.json(), shapes.Health, strict=True)
            assert (answer.status, health.status) == (200, "ok")
            listeners = {listener.url.split(":")[0]: listener for listener in health.listeners}
            assert listeners["line"].port == server.ports["line"]
            assert (listeners["http"].port, listeners["http"].connections) == (server.ports["http"], 1)
            assert health.store["kind"] == "sqlite"

    run(scene())


def test_health_tells_strangers_nothing_of_the_machines_files(anyrun, tmp_path):
    async def scene():
        async with serving(tmp_path) as (server, client):
            sign_ins = server._running.web.sign_ins
            answer = await client.request("POST", "/api/login", msgspec.json.encode({"link": sign_ins.new_link()}))
            cookie = {"Cookie": answer.headers["set-cookie"].split(";")[0]}
            new_token = msgspec.json.encode({"name": "monitor", "role": "viewer"})
            token = (await client.request("POST", "/api/tokens", new_token, cookie)).json()["token"]

            for headers in ({}, {"Cookie": "hardpoint_session=guess"}, {"Authorization": "Bearer guess"}):
                answer = await client.request("GET", "/api/health", headers=headers)
                health = msgspec.convert(answer.json(), shapes.Health, strict=True)
                assert answer.status == 200
                assert str(tmp_path).encode() not in answer.body
                assert {listener.url.split(":")[0] for listener in health.listeners} == {"line", "http"}
                assert "kind" in health.store
                assert "free_bytes" not in health.store

            answers = [
                (await client.request("GET", "/api/health", headers=headers)).json()
                for headers in (cookie, {"Authorization": f"Bearer {token}"})
            ]
            reader, writer = await asyncio.open_unix_connection(str(server.config.socket_path))
            with contextlib.closing(writer):
                writer.write(b"GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answers.append(msgspec.json.decode((await reader.read()).partition(b"\r\n\r\n")[2]))
            for health in answers:
                assert health["store"]["path"].startswith(str(tmp_path))
                assert health["store"]["free_bytes"] > 0
                assert f"unix:{server.config.socket_path}" in {listener["url"] for listener in health["listeners"]}

    anyrun(scene())


def test_health_is_503_while_the_store_fails(anyrun, tmp_path, caplog):
    class Full(MemoryStore):
        full = False

        def commit(self, rows, changes, done):
            if self.full:
                done(StorageFull("no space left"))
            else:
                super().commit(rows, changes, done)

    async def scene():
        store = Full()
        async with serving(tmp_path, store) as (server, client):
            for full, status in ((True, 503), (False, 200)):
                store.full = full
                with contextlib.suppress(StorageFull):
                    await server.hub.commits.durable()
                answer = await client.request("GET", "/api/health")
                assert (answer.status, answer.json()["store"]["failing"]) == (status, full)

    anyrun(scene())


def test_metrics_count_what_happened(anyrun, tmp_path):
    from prometheus_client.parser import text_string_to_metric_families

    async def scene():
        async with serving(tmp_path) as (server, client):
            _, token = await server.hub.create_device("dev")
            async with LineDevice("127.0.0.1", server.ports["line"], token) as device:
                await device.send(a=1, b=2)
                await device.write(b"nonsense\n")
                await device.get("a")
                answer = await client.request("GET", "/metrics")
            assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
            text = answer.body.decode()
            assert token not in text
            samples = {
                (sample.name, *sample.labels.values()): sample.value
                for family in text_string_to_metric_families(text)
                for sample in family.samples
            }
            assert samples["hardpoint_readings_total",] == 2
            assert samples["hardpoint_devices",] == 1
            assert samples["hardpoint_devices_connected",] == 1
            assert samples["hardpoint_series",] == 2
            assert samples["hardpoint_sessions_attached_total",] == 1
            assert samples["hardpoint_refused_total", "unknown_verb"] == 1
            assert samples["hardpoint_commands_finished_total", "expired"] == 0
            assert samples["hardpoint_commits_total",] >= 2

    anyrun(scene())


def test_every_described_path_is_routed_and_every_reference_leads_somewhere(anyrun, tmp_path):
    async def scene():
        async with serving(tmp_path) as (server, client):
            document = (await client.request("GET", "/api/openapi.json")).json()
            assert document["openapi"] == "3.1.0"
            described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
            routed = {
                (route.method, re.sub(r":(int|path)\}", "}", route.path)) for route in server._running.web.router.routes
            }
            assert described <= routed
            api = {one for one in routed if one[1].startswith("/api")}
            assert api <= described
            names = set(document["components"]["schemas"])
            references = set(re.findall(r'"#/components/schemas/([^"]+)"', msgspec.json.encode(document).decode()))
            assert references == names
            operations = [one for methods in document["paths"].values() for one in methods.values()]
            identifiers = [operation["operationId"] for operation in operations]
            assert len(set(identifiers)) == len(identifiers)
            for path, methods in document["paths"].items():
                for operation in methods.values():
                    named = {entry["name"] for entry in operation["parameters"] if entry["in"] == "path"}
                    assert named == set(re.findall(r"\{([a-z]+)\}", path))
                    assert operation["summary"]

    anyrun(scene())


def test_what_is_not_summed_up_is_not_described():
    assert describe_api([], "1")["paths"] == {}


class TestPages:
    @pytest.mark.parametrize("path", [path.replace("{id}", "some%20device") for path in CLIENT_ROUTES])
    def test_every_client_route_is_the_shell(self, anyrun, path):
        async def scene():
            async with open_web() as web, web.anyone() as browser:
                answer = await browser.request("GET", path)
                assert answer.status == 200
                assert answer.headers["content-type"] == "text/html; charset=utf-8"
                assert answer.headers["cache-control"] == "no-store"
                policy = answer.headers["content-security-policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert b"%UI%" not in answer.body
                assert b"%IMPORT_MAP%" not in answer.body
                script = re.search(rb'<script type="importmap">(.*?)</script>', answer.body)
                assert script is not None
                digest = base64.b64encode(hashlib.sha256(script[1]).digest()).decode()
                assert f"script-src 'self' 'sha256-{digest}';" in policy

        anyrun(scene())

    def test_every_asset_it_names_is_there_and_immutable(self, anyrun):
        async def scene():
            async with open_web() as web, web.anyone() as browser:
                shell = (await browser.request("GET", "/")).body.decode()
                assets = set(re.findall(r'(?:src|href)="(/ui/[^"#]+)', shell))
                assert len(assets) > 3
                for asset in assets:
                    answer = await browser.request("GET", asset)
                    assert answer.status == 200, asset
                    assert "immutable" in answer.headers["cache-control"]
                root = min(assets).split("/")[2]
                answer = await browser.request("GET", f"/ui/{root}/never.mjs")
                assert answer.status == 404
                answer = await browser.request("GET", f"/ui/{'0' * len(root)}/app.mjs")
                assert (answer.status, "reload" in answer.json()["error"]["message"]) == (404, True)

        anyrun(scene())

    def test_what_is_nothing_is_a_page_for_people_and_json_for_programs(self, anyrun):
        async def scene():
            async with open_web() as web, web.anyone() as client:
                people = {"Accept": "text/html,*/*;q=0.8"}
                answer = await client.request("GET", "/nothing", headers=people)
                assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
                for path, headers in (("/nothing", {}), ("/api/nothing", people)):
                    answer = await client.request("GET", path, headers=headers)
                    assert (answer.status, answer.json()["error"]["code"]) == (404, "not_found")
                answer = await client.request("POST", "/nothing", headers=people)
                assert answer.status == 404
                assert answer.json()

        anyrun(scene())
