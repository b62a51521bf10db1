"""Who may come in, by which door, and what is never told to whom."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time

import msgspec
import pytest

from hardpoint.model import ROLES, ApiToken, SignIn, User
from hardpoint.testing import HttpDevice
from hardpoint.web import accounts, passwords, shapes
from hub.hubs import FULL, HeldStore

from .webs import cookie_of, open_web

PERSON = {"name": "Ada", "password": "correct horse"}


async def set_up(web):
    async with web.linked() as browser:
        answer, _ = await browser.ask("POST", "/api/setup", PERSON)
        assert answer.status == 200
        return cookie_of(answer)


class TestRoutes:
    def test_every_one_says_who_may_use_it(self, anyrun):
        async def scene():
            async with open_web() as web:
                web.app.declare()
                routes = list(web.app.router.routes)
                assert len(routes) > 20
                for route in routes:
                    assert route.meta.get("role", "nothing") in (None, *ROLES), route.path
                open_ones = {f"{route.method} {route.path}" for route in routes if route.meta["role"] is None}
                assert {one for one in open_ones if "/api/" in one} == {
                    "POST /api/login",
                    "GET /api/health",
                    "GET /api/openapi.json",
                    "GET /api/ca.pem",  # a certificate, which every handshake shows
                    # Their handlers ask for the link's cookie: tests/web/test_dashboards.py.
                    "POST /api/shared",
                    "GET /api/shared/{id}",
                    "GET /api/shared/{id}/devices/{device}/readings",
                    "GET /api/shared/{id}/readings",
                    "GET /api/shared/{id}/live",
                }

        anyrun(scene())


class TestTheLink:
    def test_opens_until_somebody_has_a_password_and_only_the_newest(self, anyrun):
        async def scene():
            async with open_web() as web:
                older = web.app.sign_ins.new_link()
                link = web.app.sign_ins.new_link()
                async with web.anyone() as browser:
                    for wrong in (older, "guess", link + "x"):
                        error = await browser.refused(401, "POST", "/api/login", {"link": wrong})
                        assert error["message"] == "this link is over, or not the newest"
                    answer, found = await browser.ask("POST", "/api/login", {"link": link})
                    signed_in = msgspec.convert(found, shapes.SignedIn, strict=True)
                    assert (signed_in.user.name, signed_in.user.role, signed_in.setup_needed) == (
                        "setup",
                        "admin",
                        True,
                    )
                    assert "HttpOnly" in answer.headers["set-cookie"]
                    assert "SameSite=Lax" in answer.headers["set-cookie"]
                async with web.anyone() as other:  # the first browser was closed too early
                    answer, _ = await other.ask("POST", "/api/login", {"link": link})
                    assert answer.status == 200

        anyrun(scene())

    def test_may_be_tried_again_when_its_session_or_the_person_could_not_be_stored(self, anyrun, caplog):
        async def scene():
            store = HeldStore()
            async with open_web(store) as web, web.anyone() as browser:
                link = {"link": web.app.sign_ins.new_link()}
                store.error = FULL
                await browser.refused(507, "POST", "/api/login", link)
                assert not web.app.sign_ins.accounts.sessions
                store.error = None
                answer, _ = await browser.ask("POST", "/api/login", link)
                browser.headers["Cookie"] = cookie_of(answer)
                store.error = FULL
                await browser.refused(507, "POST", "/api/setup", PERSON)
                store.error = None
                answer, found = await browser.ask("POST", "/api/setup", PERSON)
                assert found["setup_needed"] is False
                await browser.refused(401, "POST", "/api/login", link)

        anyrun(scene())

    def test_is_not_needed_on_the_machine_itself_to_set_a_new_password(self, anyrun, tmp_path):
        async def scene():
            path = str(tmp_path / "s")
            changed = {**PERSON, "password": "a new password"}
            async with open_web(unix=path) as web:
                async with web.linked() as browser:
                    await browser.ask("POST", "/api/setup", PERSON)
                reader, writer = await asyncio.open_unix_connection(path)
                body = msgspec.json.encode(changed)
                head = (
                    f"POST /api/setup HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
                )
                writer.write(head.encode() + body)
                assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
                writer.close()
                await writer.wait_closed()
                async with web.anyone() as browser:
                    credentials = {"name": PERSON["name"], "password": PERSON["password"]}
                    await browser.refused(401, "POST", "/api/login", credentials)
                    answer, _ = await browser.ask("POST", "/api/login", credentials | {"password": "a new password"})
                    assert answer.status == 200

        anyrun(scene())

    def test_ends_when_somebody_has_a_password(self, anyrun):
        async def scene():
            async with open_web() as web:
                async with web.linked() as first, web.linked() as second:
                    answer, found = await first.ask("POST", "/api/setup", PERSON)
                    assert found["user"] == {"name": "Ada", "role": "admin", "labels": []}
                    assert found["setup_needed"] is False
                    # The link's own sessions are nobody any more.
                    for browser in (first, second):
                        await browser.refused(401, "GET", "/api/session")
                    second.headers["Cookie"] = cookie_of(answer)
                    _, found = await second.ask("GET", "/api/session")
                    assert found["user"]["name"] == "Ada"
                    error = await second.refused(409, "POST", "/api/setup", {**PERSON, "name": "Eve"})
                    assert error["message"] == "somebody has a password already: sign in"
                async with web.anyone() as browser:
                    link = {"link": web.app.sign_ins.new_link()}
                    await browser.refused(401, "POST", "/api/login", link)

        anyrun(scene())

    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            ({"password": "1234567"}, "password"),
            ({"password": "x" * 257}, "password"),
            ({"name": ""}, "name"),
            ({"name": " Ada"}, "name"),
            ({"name": "a\nb"}, "name"),
            ({"name": "setup"}, "name"),
            ({"more": 1}, None),
        ],
    )
    def test_the_first_person_needs_a_name_and_a_password(self, anyrun, changed, field):
        async def scene():
            async with open_web() as web, web.linked() as browser:
                error = await browser.refused(400, "POST", "/api/setup", PERSON | changed)
                assert error.get("field") == field
                assert web.app.sign_ins.setup_needed

        anyrun(scene())

    def test_a_person_who_could_not_be_stored_is_nobody(self, anyrun, caplog):
        async def scene():
            store = HeldStore()
            async with open_web(store) as web, web.linked() as browser:
                store.error = FULL
                await browser.refused(507, "POST", "/api/setup", PERSON)
                assert web.app.sign_ins.setup_needed
                store.error = None
                answer, _ = await browser.ask("POST", "/api/setup", PERSON)
                assert answer.status == 200

        anyrun(scene())


class TestPasswords:
    def test_open_a_session_that_ends_by_signing_out_or_by_time(self, anyrun, clock):
        async def scene():
            store = HeldStore()
            async with open_web(store, clock) as web:
                await set_up(web)
                async with web.anyone() as browser:
                    answer, found = await browser.ask("POST", "/api/login", PERSON)
                    assert found["user"] == {"name": "Ada", "role": "admin", "labels": []}
                    browser.headers["Cookie"] = f"other=1; {cookie_of(answer)}"
                    assert (await browser.ask("GET", "/api/session"))[0].status == 200
                    answer, _ = await browser.ask("POST", "/api/logout")
                    assert answer.status == 204
                    assert "Max-Age=0" in answer.headers["set-cookie"]
                    await browser.refused(401, "GET", "/api/session")
                    answer, _ = await browser.ask("POST", "/api/login", PERSON)
                    browser.headers["Cookie"] = cookie_of(answer)
                    clock.advance(s=accounts.SESSION_S - 1)
                    assert (await browser.ask("GET", "/api/session"))[0].status == 200
                    clock.advance(s=1)
                    await browser.refused(401, "GET", "/api/session")
                    await browser.ask("POST", "/api/login", PERSON)
                assert len(store.load(SignIn)) == 1  # what ran out was removed

        anyrun(scene())

    def test_a_session_outlives_the_server(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_web(store) as web:
                cookie = await set_up(web)
            async with open_web(store) as web, web.anyone(Cookie=cookie) as browser:
                _, found = await browser.ask("GET", "/api/session")
                assert found["user"]["name"] == "Ada"
                answer, _ = await browser.ask("POST", "/api/login", PERSON)
                assert answer.status == 200

        anyrun(scene())

    def test_wrong_ones_are_told_alike_and_counted(self, anyrun, clock):
        async def scene():
            async with open_web(clock=clock, sign_in_failures_per_min=4) as web:
                await set_up(web)
                async with web.anyone() as browser:
                    for wrong in ({**PERSON, "password": "wrong"}, {**PERSON, "name": "Eve"}, {}, {"name": "Ada"}):
                        error = await browser.refused(401, "POST", "/api/login", wrong)
                        assert error["message"] == "wrong name or password"
                    error = await browser.refused(429, "POST", "/api/login", PERSON)
                    assert "try again in" in error["message"]
                    clock.advance(s=61)
                    answer, _ = await browser.ask("POST", "/api/login", PERSON)
                    assert answer.status == 200

        anyrun(scene())

    def test_many_tries_at_once_are_counted_before_they_are_known(self, anyrun):
        async def scene():
            async with open_web(sign_in_failures_per_min=3) as web:
                await set_up(web)

                async def guess():
                    async with web.anyone() as browser:
                        answer, _ = await browser.ask("POST", "/api/login", {**PERSON, "password": "wrong"})
                        return answer.status

                statuses = await asyncio.gather(*[guess() for _ in range(10)])
                assert sorted(statuses) == [401] * 3 + [429] * 7

        anyrun(scene())

    def test_right_ones_are_not_counted(self, anyrun):
        async def scene():
            async with open_web(sign_in_failures_per_min=1) as web:
                await set_up(web)
                async with web.anyone() as browser:
                    for _ in range(5):
                        answer, _ = await browser.ask("POST", "/api/login", PERSON)
                        assert answer.status == 200

        anyrun(scene())

    def test_are_kept_as_a_slow_hash(self, anyrun, monkeypatch):
        monkeypatch.setattr(passwords, "SCRYPT_N", 2**14)

        async def scene():
            store = HeldStore()
            async with open_web(store) as web:
                await set_up(web)
                [user] = store.load(User)
                assert re.fullmatch(
                    r"\$scrypt\$ln=14,r=8,p=5\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}", user.password_hash
                )
                began = time.process_time()
                async with web.anyone() as browser:
                    await browser.refused(401, "POST", "/api/login", {"name": "nobody", "password": "x"})
                assert time.process_time() - began > 0.01  # a name that is unknown takes as long

        anyrun(scene())


class TestForeignPages:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://["},
        ],
    )
    def test_may_change_nothing(self, anyrun, headers):
        async def scene():
            async with open_web() as web, web.linked() as browser:
                error = await browser.refused(403, "POST", "/api/devices", {"name": "x"}, **headers)
                assert error["message"] == "this request comes from another site's page"
                await browser.refused(403, "POST", "/api/login", PERSON, **headers)
                assert len(web.hub.catalogue) == 0
                assert (await browser.ask("GET", "/api/devices", **headers))[0].status == 200  # and cannot read it

        anyrun(scene())

    def test_our_own_may(self, anyrun):
        async def scene():
            async with open_web() as web, web.linked() as browser:
                for number, headers in enumerate(
                    ({"Sec_Fetch_Site": "same-origin"}, {"Origin": f"http://127.0.0.1:{web.port}"}, {})
                ):
                    answer, _ = await browser.ask("POST", "/api/devices", {"name": f"d{number}"}, **headers)
                    assert answer.status == 201

        anyrun(scene())

    def test_do_not_matter_to_a_program_with_a_token(self, anyrun):
        async def scene():
            async with open_web() as web, await web.as_role("operator") as program:
                answer, _ = await program.ask("POST", "/api/devices", {"name": "x"}, Origin="http://elsewhere")
                assert answer.status == 201

        anyrun(scene())


class TestApiTokens:
    def test_are_shown_once_listed_by_prefix_and_stop_when_removed(self, anyrun):
        async def scene():
            store = HeldStore()
            async with open_web(store) as web, web.linked() as admin:
                answer, found = await admin.ask("POST", "/api/tokens", {"name": "grafana"})
                assert answer.status == 201
                made = msgspec.convert(found, shapes.TokenWithSecret, strict=True)
                assert made.role == "viewer"
                _, found = await admin.ask("GET", "/api/tokens")
                [listed] = msgspec.convert(found, shapes.TokenList, strict=True).items
                assert (listed.id, made.token.startswith(listed.prefix), len(listed.prefix)) == (made.id, True, 10)
                [stored] = store.load(ApiToken)
                assert made.token not in str(stored)
                async with web.anyone(Authorization=f"bearer  {made.token} ") as program:
                    _, found = await program.ask("GET", "/api/session")
                    assert found["user"] == {"name": "grafana", "role": "viewer", "labels": []}
                    answer, _ = await admin.ask("DELETE", f"/api/tokens/{made.id}")
                    assert answer.status == 204
                    await program.refused(401, "GET", "/api/session")
                await admin.refused(404, "DELETE", f"/api/tokens/{made.id}")
                assert store.load(ApiToken) == []

        anyrun(scene())

    def test_wrong_ones_are_refused_and_throttled(self, anyrun):
        async def scene():
            async with (
                open_web(sign_in_failures_per_min=3) as web,
                web.anyone() as program,
                await web.as_role("viewer") as known,
            ):
                for wrong in ("Bearer nope", "Basic YTpi", "Bearer"):
                    answer, _ = await program.ask("GET", "/api/session", Authorization=wrong)
                    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
                await program.refused(429, "GET", "/api/session", Authorization="Bearer nope")
                assert (await known.ask("GET", "/api/session"))[0].status == 200

        anyrun(scene())

    def test_are_of_no_interest_where_no_role_is_needed(self, anyrun):
        async def scene():
            async with open_web() as web, web.anyone(Authorization="Basic cHJveHk6cHJveHk=") as behind_a_proxy:
                assert (await behind_a_proxy.ask("GET", "/api/health"))[0].status == 200

        anyrun(scene())

    @pytest.mark.parametrize("document", [{"name": ""}, {"name": "x", "role": "root"}, {"role": "viewer"}, [], None])
    def test_what_cannot_be_made(self, anyrun, document):
        async def scene():
            async with open_web() as web, web.linked() as admin:
                await admin.refused(400, "POST", "/api/tokens", document)

        anyrun(scene())


@contextlib.asynccontextmanager
async def closing(client):
    try:
        yield client
    finally:
        await client.close()


def test_whoever_may_open_the_unix_socket_is_the_administrator(run, tmp_path):
    async def scene():
        path = str(tmp_path / "s")
        async with open_web(unix=path):
            client = HttpDevice("localhost", 80)
            client._reader, client._writer = await asyncio.open_unix_connection(path)
            async with closing(client):
                answer = await client.request("GET", "/api/session")
                assert answer.json()["user"] == {"name": "local", "role": "admin", "labels": []}
                answer = await client.request("POST", "/api/tokens", b'{"name":"x"}', {"Origin": "http://evil"})
                assert answer.status == 201

    run(scene())


def test_no_secret_is_ever_logged_or_told(anyrun, caplog):
    async def scene():
        secrets = [PERSON["password"]]
        told = []
        store = HeldStore()
        async with open_web(store) as web:
            secrets.append((await set_up(web)).partition("=")[2])
            link = web.app.sign_ins.new_link()
            secrets.append(link)
            async with web.anyone() as browser:
                _, found = await browser.ask("POST", "/api/login", {"link": link})
                told.append(found)
                _, found = await browser.ask("POST", "/api/login", {"name": "Ada", "password": secrets[0] + "!"})
                told.append(found)
            async with web.anyone() as anyone:
                answer, _ = await anyone.ask("POST", "/api/login", PERSON)
                anyone.headers["Cookie"] = cookie_of(answer)
                secrets.append(cookie_of(answer).partition("=")[2])
                _, device = await anyone.ask("POST", "/api/devices", {"name": "dev"})
                secrets.append(device["token"])
                _, made = await anyone.ask("POST", "/api/tokens", {"name": "x"})
                secrets.append(made["token"])
                for path in ("/api/devices", "/api/devices/dev", "/api/tokens", "/api/session", "/metrics"):
                    answer, _ = await anyone.ask("GET", path)
                    told.append(answer.body.decode())
                store.error = FULL
                told.append(await anyone.refused(507, "POST", "/api/devices", {"name": "more"}))
        everything = caplog.text + str(told) + str([store.load(kind) for kind in (User, SignIn, ApiToken)])
        for secret in secrets:
            assert len(secret) > 8
            assert secret not in everything

    with caplog.at_level(logging.DEBUG):
        anyrun(scene())
