"""The usual attacks on a site that people sign in to: each is tried, over real connections."""

from __future__ import annotations

import asyncio
import gzip
import re

import msgspec
import pytest

from hardpoint import Server
from hardpoint.model import AuditEntry
from hardpoint.testing import HttpDevice
from hardpoint.web import passwords
from web.webs import cookie_of, open_web

PERSON = {"name": "Ada", "password": "correct horse"}


async def with_ada(web):
    async with web.linked() as browser:
        await browser.ask("POST", "/api/setup", PERSON)


async def sign_in(web, **headers):
    """A cookie of Ada's."""
    async with web.anyone(**headers) as browser:
        answer, _ = await browser.ask("POST", "/api/login", PERSON)
        assert answer.status == 200
        return cookie_of(answer)


async def raw(port, data):
    """Bytes as they are; all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()
        await writer.wait_closed()


class TestSignIn:
    def test_costs_the_same_for_a_name_that_nobody_has_or_who_is_disabled(self, anyrun, monkeypatch):
        """By the work that is done: a clock tells little on a busy machine."""
        work = []
        derive = passwords.hashlib.scrypt

        def counted(password, **cost):
            work.append({name: cost[name] for name in ("n", "r", "p")})
            return derive(password, **cost)

        async def scene():
            async with open_web() as web:
                await with_ada(web)
                async with web.anyone(Cookie=await sign_in(web)) as ada:
                    await ada.ask("POST", "/api/users", {"name": "Bob", "password": "correct horse"})
                    await ada.ask("PATCH", "/api/users/Bob", {"disabled": True})
                monkeypatch.setattr(passwords.hashlib, "scrypt", counted)
                tries = [
                    {**PERSON, "password": "wrong"},
                    {**PERSON, "name": "nobody"},
                    {**PERSON, "name": "Bob"},
                    {**PERSON, "name": "Bob", "password": "wrong"},
                    {},
                ]
                told = []
                async with web.anyone() as stranger:
                    for each in tries:
                        told.append(await stranger.refused(401, "POST", "/api/login", each))
                assert len(work) == len(tries)
                assert all(cost == work[0] for cost in work)
                assert all(each == told[0] for each in told)

        anyrun(scene())

    def test_takes_over_no_session_that_somebody_else_has_put_there(self, anyrun):
        """Session fixation: neither a made-up cookie nor one of the attacker's own becomes the victim's."""

        async def scene():
            async with open_web() as web:
                await with_ada(web)
                planted = await sign_in(web)
                for cookie in (planted, "hardpoint_session=chosen-by-me"):
                    fresh = await sign_in(web, Cookie=cookie)
                    assert fresh != cookie
                    async with web.anyone(Cookie=cookie) as attacker:
                        await attacker.refused(401, "GET", "/api/session")
                    async with web.anyone(Cookie=fresh) as ada:
                        assert (await ada.ask("GET", "/api/session"))[0].status == 200

        anyrun(scene())

    def test_gives_a_cookie_that_scripts_and_other_sites_do_not_get(self, anyrun):
        async def scene():
            async with open_web() as web:
                await with_ada(web)
                async with web.anyone() as browser:
                    answer, _ = await browser.ask("POST", "/api/login", PERSON)
                    said = answer.headers["set-cookie"]
                    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(said.split("; "))
                    assert "Domain" not in said

        anyrun(scene())

    def test_is_throttled_by_address_also_over_many_connections(self, anyrun):
        async def scene():
            async with open_web(sign_in_failures_per_min=5) as web:
                await with_ada(web)

                async def guess(number):
                    async with web.anyone() as stranger:
                        answer, _ = await stranger.ask("POST", "/api/login", {**PERSON, "password": f"guess {number}"})
                        return answer.status

                statuses = await asyncio.gather(*[guess(number) for number in range(30)])
                assert sorted(statuses) == [401] * 5 + [429] * 25

        anyrun(scene())


class TestForeignPages:
    def test_cannot_change_anything_by_any_route_and_method(self, anyrun):
        async def scene():
            async with open_web() as web:
                await with_ada(web)
                web.app.declare()
                routes = [each for each in web.app.router.routes if each.meta["role"] and each.method != "GET"]
                assert len(routes) > 40
                async with web.anyone(Cookie=await sign_in(web)) as browser:
                    for route in routes:
                        path = re.sub(r"\{[a-z_]+:int\}", "1", route.path)
                        path = re.sub(r"\{[a-z_]+\}", "x", path)
                        for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Origin": "http://evil.example"}):
                            error = await browser.refused(403, route.method, path, {}, **headers)
                            assert error["message"] == "this request comes from another site's page"

        anyrun(scene())

    def test_cannot_sign_anybody_in(self, anyrun):
        """Else somebody would go on, unaware, in the attacker's account; and a link would be opened for them."""

        async def scene():
            async with open_web() as web:
                await with_ada(web)
                async with web.anyone() as browser:
                    for path, document in (("/api/login", PERSON), ("/api/shared", {"secret": "hps_x"})):
                        for headers in ({"Sec_Fetch_Site": "same-site"}, {"Origin": "http://evil.example"}):
                            answer, _ = await browser.ask("POST", path, document, **headers)
                            assert answer.status == 403
                            assert "set-cookie" not in answer.headers
                    answer, _ = await browser.ask("POST", "/api/login", PERSON, Sec_Fetch_Site="same-origin")
                    assert answer.status == 200

        anyrun(scene())

    def test_cannot_read_or_frame_what_the_api_says(self, anyrun):
        async def scene():
            async with open_web() as web:
                await with_ada(web)
                async with web.anyone(Cookie=await sign_in(web)) as browser:
                    for path in ("/api/session", "/api/devices", "/api/health", "/api/nothing", "/api/commands/x"):
                        answer, _ = await browser.ask("GET", path, Origin="http://evil.example")
                        headers = answer.headers
                        assert "access-control-allow-origin" not in headers
                        assert headers["x-frame-options"] == "DENY"
                        assert "frame-ancestors 'none'" in headers["content-security-policy"]
                        assert headers["x-content-type-options"] == "nosniff"
                        assert headers["cross-origin-resource-policy"] == "same-origin"
                        assert headers["referrer-policy"] == "no-referrer"
                        assert headers["cache-control"] == "no-store"
                    for path in ("/", "/login", "/people", "/nothing", "/shared", "/welcome", "/system"):
                        answer, _ = await browser.ask("GET", path, Accept="text/html")
                        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
                        assert "require-trusted-types-for 'script'" in answer.headers["content-security-policy"]
                        assert answer.headers["x-frame-options"] == "DENY"
                        assert answer.headers["x-content-type-options"] == "nosniff"

        anyrun(scene())


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "/ui/{hash}/../../../../etc/passwd",
            "/ui/{hash}/..%2f..%2f..%2fetc/passwd",
            "/ui/{hash}/%2e%2e/%2e%2e/signin.py",
            "/ui/{hash}/..\\..\\signin.py",
            "/ui/{hash}//etc/passwd",
            "/ui/{hash}/app.mjs%00.png",
            "/ui/{hash}/.hidden",
            "/../etc/passwd",
            "/api/devices/..%2f..%2fusers",
            "/api/devices/../users",
        ],
    )
    def test_lead_to_nothing_outside(self, anyrun, path):
        async def scene():
            async with open_web() as web:
                tree_hash = (await web.app.site.load()).static.tree_hash
                for given in (path.replace("{hash}", tree_hash), path.replace("{hash}", "x")):
                    answer = await raw(
                        web.port, f"GET {given} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
                    )
                    status = int(answer.split(b" ")[1])
                    assert status in (400, 401, 404), answer[:200]
                    assert b"root:" not in answer
                    assert b"import annotations" not in answer

        anyrun(scene())


class TestHeaders:
    @pytest.mark.parametrize("evil", ["a\r\nSet-Cookie: x=1", "a\nX-Evil: 1", "\u560d\u560aX-Evil: 1", 'a"; x=1'])
    def test_of_answers_hold_nothing_that_was_slipped_into_a_name(self, anyrun, evil):
        async def scene():
            async with open_web() as web, await web.as_role("admin") as admin:
                documents = (
                    ("/api/devices", {"name": evil}),
                    ("/api/users", {"name": evil, "password": "correct horse"}),
                    ("/api/tokens", {"name": evil}),
                )
                for path, document in documents:
                    answer, _ = await admin.ask("POST", path, document)
                    assert "x-evil" not in answer.headers
                    assert "set-cookie" not in answer.headers
                    assert all(character.isprintable() for value in answer.headers.values() for character in value)

        anyrun(scene())

    @pytest.mark.parametrize(
        "head",
        [
            b"GET / HTTP/1.1\r\nHost: x\r\nX-A: a\rX-B: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX-A : a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n",
            b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        ],
    )
    def test_of_requests_that_could_mean_two_things_are_refused(self, anyrun, head):
        async def scene():
            async with open_web() as web:
                assert (await raw(web.port, head)).startswith(b"HTTP/1.1 400 ")

        anyrun(scene())


class TestBombs:
    def test_a_body_that_would_unfold_is_not_unfolded(self, anyrun):
        async def scene():
            async with open_web() as web, await web.as_role("admin") as admin:
                bomb = gzip.compress(b'{"name": "' + b"a" * 50_000_000 + b'"}')
                assert len(bomb) < 100_000
                headers = {**admin.headers, "Content-Encoding": "gzip", "Content-Type": "application/json"}
                answer = await admin.request("POST", "/api/devices", bomb, headers)
                assert answer.status in (400, 415)
                assert len(web.hub.catalogue) == 0

        anyrun(scene())

    @pytest.mark.parametrize(
        "body", [b"[" * 500_000, b'{"name":' * 100_000, b'{"labels":' + b"[" * 100_000], ids=["list", "object", "mixed"]
    )
    def test_a_body_that_is_nested_deeply_is_answered_in_words(self, anyrun, body):
        async def scene():
            async with open_web() as web, await web.as_role("admin") as admin:
                answer = await admin.request("POST", "/api/devices", body, admin.headers)
                assert answer.status in (400, 413)
                assert answer.json()["error"]["code"] in ("bad_request", "too_large")
                assert len(web.hub.catalogue) == 0

        anyrun(scene())


def test_no_secret_is_in_a_log_an_error_or_the_audit_log(anyrun, tmp_path, caplog):
    """Of a whole server: every secret that it hands out, looked for in all that it writes and says of itself."""

    async def scene():
        access_log = tmp_path / "access.log"
        server = Server(
            data=tmp_path / "data",
            listen=["line://127.0.0.1:0", "http://127.0.0.1:0", "mqtt://127.0.0.1:0"],
            host={"enabled": False},
            http={"access_log": access_log},
        )
        secrets, told = [PERSON["password"], "a new password"], []
        async with server, HttpDevice("127.0.0.1", server.ports["http"]) as client:
            link = server._running.web.sign_ins.new_link()

            async def ask(method, path, document=None, headers=None):
                body = b"" if document is None else msgspec.json.encode(document)
                answer = await client.request(method, path, body, headers or {})
                told.append((path, answer))
                return answer

            answer = await ask("POST", "/api/login", {"link": link})
            cookie = {"Cookie": cookie_of(answer)}
            answer = await ask("POST", "/api/setup", PERSON, cookie)
            cookie = {"Cookie": cookie_of(answer)}
            device = (await ask("POST", "/api/devices", {"name": "dev"}, cookie)).json()["token"]
            renewed = (await ask("POST", "/api/devices/dev/token", {"keep_old_s": 60}, cookie)).json()["token"]
            token = (await ask("POST", "/api/tokens", {"name": "t", "role": "admin"}, cookie)).json()["token"]
            made = len(told)
            key = "network-key-in-a-command"
            await ask("POST", "/api/devices/dev/commands", {"method": "join", "params": {"key": key}}, cookie)
            change = {"current": PERSON["password"], "new": "a new password"}
            await ask("POST", "/api/session/password", change, cookie)
            await ask("POST", f"/api/v1/{renewed}/telemetry", {"temp": 1})
            await ask("POST", f"/api/v1/{device}x/telemetry", {"temp": 1})
            await ask("GET", f"/api/nothing/{token}?token={token}", None, {"Authorization": f"Bearer {token}x"})
            for path in ("/api/tokens", "/api/users", "/api/sessions", "/api/devices/dev", "/api/audit", "/metrics"):
                await ask("GET", path, None, {"Authorization": f"Bearer {token}"})
            secrets += [link, cookie["Cookie"].partition("=")[2], device, renewed, token, key]
            entries = server.hub.store.load(AuditEntry)
            assert len(entries) >= 6
        said = "".join(answer.body.decode() for path, answer in told[made:] if "commands" not in path)
        everything = caplog.text + said + str(entries) + access_log.read_text().replace(f"/api/nothing/{token}", "")
        for secret in secrets:
            assert len(secret) > 8
            assert secret not in everything

    with caplog.at_level("DEBUG"):
        anyrun(scene())
