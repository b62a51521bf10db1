"""People: added, changed, disabled and removed; their sessions; their passwords; and tokens that end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

import msgspec
import pytest

from hardpoint.errors import Conflict, StorageFull
from hardpoint.model import ApiToken, SignIn, User
from hardpoint.testing import FakeClock
from hardpoint.web import accounts, shapes
from hub.hubs import FULL, HeldStore, turn, until

from .webs import cookie_of, open_web

PASSWORD = "correct horse"
BOB = {"name": "Bob", "password": PASSWORD, "role": "operator", "labels": ["site:north"]}


@contextlib.asynccontextmanager
async def signed_in(web, name, password=PASSWORD, **headers):
    async with web.anyone(**headers) as browser:
        answer, _ = await browser.ask("POST", "/api/login", {"name": name, "password": password})
        assert answer.status == 200, answer
        browser.headers["Cookie"] = cookie_of(answer)
        yield browser


@contextlib.asynccontextmanager
async def opened(store=None, clock=None, **limits):
    """The web side with an admin Ada who is signed in, and Bob."""
    async with open_web(store, clock, **limits) as web:
        async with web.linked() as browser:
            await browser.ask("POST", "/api/setup", {"name": "Ada", "password": PASSWORD})
        async with signed_in(web, "Ada") as ada:
            answer, _ = await ada.ask("POST", "/api/users", BOB)
            assert (answer.status, answer.headers["location"]) == (201, "/api/users/Bob")
            yield web, ada


class TestPeople:
    def test_are_listed_with_their_rights_and_sessions_and_without_secrets(self, anyrun):
        async def scene():
            async with opened() as (web, ada), signed_in(web, "Bob") as bob:
                answer, found = await ada.ask("GET", "/api/users")
                listed = msgspec.convert(found, shapes.UserList, strict=True).items
                assert [(one.name, one.role, one.labels, one.sessions) for one in listed] == [
                    ("Ada", "admin", [], 2),
                    ("Bob", "operator", ["site:north"], 1),
                ]
                assert b"scrypt" not in answer.body
                _, found = await bob.ask("GET", "/api/session")
                assert found["user"] == {"name": "Bob", "role": "operator", "labels": ["site:north"]}

        anyrun(scene())

    def test_rights_that_change_hold_from_the_next_request_on(self, anyrun):
        async def scene():
            async with opened() as (web, ada), signed_in(web, "Bob") as bob:
                await ada.ask("PATCH", "/api/users/Bob", {"role": "viewer", "labels": []})
                await bob.refused(403, "POST", "/api/devices", {"name": "x"})
                _, found = await ada.ask("PATCH", "/api/users/Bob", {"labels": ["a"]})
                _, found = await ada.ask("PATCH", "/api/users/Bob", {"role": "admin"})
                assert found["labels"] == []  # who may do everything is limited no more
                assert (await bob.ask("GET", "/api/users"))[0].status == 200

        anyrun(scene())

    def test_who_is_disabled_is_out_at_once_and_told_nothing_new(self, anyrun):
        async def scene():
            async with opened() as (web, ada), signed_in(web, "Bob") as bob:
                await ada.ask("PATCH", "/api/users/Bob", {"disabled": True})
                await bob.refused(401, "GET", "/api/session")
                error = await bob.refused(401, "POST", "/api/login", {"name": "Bob", "password": PASSWORD})
                assert error["message"] == "wrong name or password"
                await ada.ask("PATCH", "/api/users/Bob", {"disabled": False})
                async with signed_in(web, "Bob"):
                    pass

        anyrun(scene())

    def test_who_was_let_in_just_before_being_disabled_is_out_too(self, anyrun):
        async def scene():
            async with opened() as (web, ada):
                await ada.ask("PATCH", "/api/users/Bob", {"disabled": True})
                secret, _ = await web.app.sign_ins.accounts.open_session("Bob", "192.0.2.1", "")
                async with web.anyone(Cookie=f"hardpoint_session={secret}") as bob:
                    await bob.refused(401, "GET", "/api/session")
                    await ada.ask("PATCH", "/api/users/Bob", {"disabled": False})
                    assert (await bob.ask("GET", "/api/session"))[0].status == 200, "it was the door, not the cookie"

        anyrun(scene())

    def test_who_is_removed_is_nobody(self, anyrun):
        async def scene():
            store = HeldStore()
            async with opened(store) as (web, ada), signed_in(web, "Bob") as bob:
                answer, _ = await ada.ask("DELETE", "/api/users/Bob")
                assert answer.status == 204
                await bob.refused(401, "GET", "/api/session")
                await ada.refused(404, "DELETE", "/api/users/Bob")
                assert {entry.user for entry in store.load(SignIn)} <= {"Ada", "setup"}

        anyrun(scene())

    @pytest.mark.parametrize(
        ("method", "change"),
        [("DELETE", None), ("PATCH", {"disabled": True}), ("PATCH", {"role": "operator"})],
    )
    def test_the_last_admin_stays(self, anyrun, method, change):
        async def scene():
            async with opened() as (_, ada):
                error = await ada.refused(409, method, "/api/users/Ada", change)
                assert error["message"] == "nobody else may do everything: make another admin first"
                await ada.ask("PATCH", "/api/users/Bob", {"role": "admin", "disabled": True})
                await ada.refused(409, method, "/api/users/Ada", change)  # one who may not come in is none
                await ada.ask("PATCH", "/api/users/Bob", {"disabled": False})
                answer, _ = await ada.ask(method, "/api/users/Ada", change)
                assert answer.status in (200, 204)

        anyrun(scene())

    def test_two_admins_cannot_remove_one_another_at_once(self, anyrun):
        async def scene():
            async with opened() as (web, ada):
                await ada.ask("PATCH", "/api/users/Bob", {"role": "admin"})
                async with signed_in(web, "Bob") as bob:
                    answers = await asyncio.gather(
                        ada.ask("DELETE", "/api/users/Bob"), bob.ask("DELETE", "/api/users/Ada")
                    )
                assert sorted(answer.status for answer, _ in answers) in ([204, 401], [204, 409])
                assert len(web.app.accounts.users) == 1

        anyrun(scene())

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"role": "root"}, "$.role"),
            ({"labels": ["x"] * 65}, "labels"),
            ({"labels": [""]}, "labels"),
            ({"labels": ["a:"]}, "labels"),
            ({"labels": ["a\n:b"]}, "labels"),
            ({"role": "admin", "labels": ["a"]}, "labels"),
            ({"password": "short"}, "$.password"),
            ({"name": "*"}, "name"),
            ({"name": "local"}, "name"),
        ],
    )
    def test_what_cannot_be(self, anyrun, change, field):
        async def scene():
            async with opened() as (_, ada):
                error = await ada.refused(400, "POST", "/api/users", {**BOB, "name": "New", **change})
                assert error["field"].lstrip("$.") == field.lstrip("$.")
                if "name" not in change:
                    await ada.refused(400, "PATCH", "/api/users/Bob", change)
                await ada.refused(409, "POST", "/api/users", BOB)

        anyrun(scene())

    def test_a_change_that_could_not_be_stored_is_none(self, anyrun, caplog):
        async def scene():
            store = HeldStore()
            async with opened(store) as (web, ada), signed_in(web, "Bob") as bob:
                store.error = FULL
                for method, change in (("PATCH", {"disabled": True}), ("DELETE", None)):
                    await ada.refused(507, method, "/api/users/Bob", change)
                await ada.refused(507, "POST", "/api/users", {**BOB, "name": "New"})
                store.error = None
                assert (await bob.ask("GET", "/api/session"))[0].status == 200
                assert set(web.app.accounts.users) == {"Ada", "Bob"}
                await web.hub.commits.durable()
                assert [user.disabled for user in store.load(User)] == [0, 0]
                assert len([entry for entry in store.load(SignIn) if entry.user == "Bob"]) == 1

        anyrun(scene())


class TestSessions:
    def test_are_ones_own_and_an_admins_all(self, anyrun):
        async def scene():
            async with opened() as (web, ada), signed_in(web, "Bob", User_Agent="Lynx") as bob:
                _, found = await bob.ask("GET", "/api/sessions")
                [session] = msgspec.convert(found, shapes.SessionList, strict=True).items
                assert (session.user, session.address, session.current) == ("Bob", "127.0.0.1", True)
                assert "Ada" not in str(found)
                for query in ("?user=Ada", "?user=*"):
                    await bob.refused(403, "GET", f"/api/sessions{query}")
                    await bob.refused(403, "DELETE", f"/api/sessions{query}")
                _, everybody = await ada.ask("GET", "/api/sessions?user=*")
                assert {one["user"] for one in everybody["items"]} == {"Ada", "Bob"}
                [adas] = [one["id"] for one in everybody["items"] if one["current"]]
                await bob.refused(404, "DELETE", f"/api/sessions/{adas}")
                answer, _ = await ada.ask("DELETE", f"/api/sessions/{session.id}")
                assert answer.status == 204
                await bob.refused(401, "GET", "/api/session")

        anyrun(scene())

    def test_all_others_of_ones_own_end_at_a_wish(self, anyrun):
        async def scene():
            async with opened() as (web, ada), signed_in(web, "Bob") as one, signed_in(web, "Bob") as other:
                await one.ask("DELETE", "/api/sessions")
                assert (await one.ask("GET", "/api/session"))[0].status == 200
                await other.refused(401, "GET", "/api/session")
                assert (await ada.ask("GET", "/api/session"))[0].status == 200
                await ada.ask("DELETE", "/api/sessions?user=Bob")
                await one.refused(401, "GET", "/api/session")

        anyrun(scene())

    def test_tokens_that_are_being_stored_count(self, anyrun, monkeypatch):
        monkeypatch.setattr(accounts, "MAX_API_TOKENS", 2)

        async def scene():
            store = HeldStore()
            async with open_web(store) as web:
                add = web.app.accounts.add_token
                store.held = True
                made = [asyncio.ensure_future(add(str(each), "viewer", [], None, "test")) for each in range(4)]
                await until(lambda: store.waiting)
                store.held = False
                store.release()
                results = await asyncio.gather(*made, return_exceptions=True)
                assert [isinstance(each, Conflict) for each in results] == [False, False, True, True]
                assert len(store.load(ApiToken)) == len(web.app.accounts.tokens) == 2

        anyrun(scene())

    @pytest.mark.parametrize("how", ["fails", "is cancelled"])
    def test_a_token_that_nobody_will_have_is_none(self, anyrun, how):
        async def scene():
            store = HeldStore()
            async with open_web(store) as web:
                store.held = True
                made = asyncio.ensure_future(web.app.accounts.add_token("a", "admin", [], None, "test"))
                await until(lambda: store.waiting)
                if how == "is cancelled":
                    made.cancel()
                    await turn()
                store.held = False
                store.release(FULL if how == "fails" else None)
                with pytest.raises((StorageFull, asyncio.CancelledError)):
                    await made
                await web.hub.commits.durable()
                assert web.app.accounts.tokens == {}
                assert store.load(ApiToken) == []

        anyrun(scene())

    def test_a_program_called_like_a_person_is_not_that_person(self, anyrun):
        async def scene():
            async with opened() as (web, ada):
                secret, _ = await web.app.accounts.add_token("Ada", "viewer", [], None, "test")
                async with web.anyone(Authorization=f"Bearer {secret}") as program:
                    assert (await program.ask("GET", "/api/sessions"))[1] == {"items": []}
                    answer, _ = await program.ask("DELETE", "/api/sessions")
                    assert answer.status == 204
                    change = {"current": PASSWORD, "new": "another horse"}
                    await program.refused(409, "POST", "/api/session/password", change)
                assert (await ada.ask("GET", "/api/session"))[0].status == 200

        anyrun(scene())

    def test_their_last_use_is_stored_now_and_then(self, anyrun, clock):
        async def scene():
            store = HeldStore()
            async with opened(store, clock) as (web, ada):
                await web.hub.commits.durable()  # how the requests before ended lingers for a moment
                del store.batches[:]
                for _ in range(5):
                    await ada.ask("GET", "/api/session")
                assert store.batches == []
                clock.advance(s=accounts.NOTED_EVERY_MS / 1000)
                await ada.ask("GET", "/api/session")
                _, found = await ada.ask("GET", "/api/sessions")
                assert found["items"][0]["used"] == clock.now_ms

        anyrun(scene())


class TestOnesOwnPassword:
    def test_takes_the_current_one_and_ends_all_other_sessions(self, anyrun):
        async def scene():
            async with (
                opened(sign_in_failures_per_min=3) as (web, _),
                signed_in(web, "Bob") as bob,
                signed_in(web, "Bob") as elsewhere,
            ):
                wrong = {"current": "wrong", "new": "another horse"}
                error = await bob.refused(403, "POST", "/api/session/password", wrong)
                assert error["field"] == "current"
                change = {"current": PASSWORD, "new": "another horse"}
                answer, _ = await bob.ask("POST", "/api/session/password", change)
                assert answer.status == 204
                assert (await bob.ask("GET", "/api/session"))[0].status == 200
                await elsewhere.refused(401, "GET", "/api/session")
                for _ in range(2):
                    await bob.refused(403, "POST", "/api/session/password", change)
                await bob.refused(429, "POST", "/api/session/password", change)

        anyrun(scene())


class TestTokens:
    def test_open_until_their_time_is_up_and_are_listed_until_they_are_removed(self, anyrun, clock):
        async def scene():
            async with opened(clock=clock) as (web, ada):
                _, made = await ada.ask("POST", "/api/tokens", {"name": "t", "labels": ["a:b"], "expires_s": 60})
                token = msgspec.convert(made, shapes.TokenWithSecret, strict=True)
                assert (token.labels, token.expires) == (["a:b"], clock.now_ms + 60_000)
                async with web.anyone(Authorization=f"Bearer {token.token}") as program:
                    assert (await program.ask("GET", "/api/devices"))[0].status == 200
                    clock.advance(s=60)
                    await program.refused(401, "GET", "/api/devices")
                    assert web.app.accounts.find_token(token.token) is None
                _, found = await ada.ask("GET", "/api/tokens")
                [listed] = msgspec.convert(found, shapes.TokenList, strict=True).items
                assert (listed.made_by, listed.used_from) == ("Ada", "127.0.0.1")
                assert listed.used == clock.now_ms - 60_000

        anyrun(scene())

    def test_are_made_to_the_end_also_for_who_has_gone(self, anyrun):
        """What the disk knows after a restart and the memory does not before it would be a token that nobody sees."""

        async def scene():
            store = HeldStore()
            async with open_web(store) as web, await web.as_role("admin") as program:
                store.held = True
                asked = asyncio.ensure_future(program.ask("POST", "/api/tokens", {"name": "t"}))
                await until(lambda: store.waiting)
                asked.cancel()
                await asyncio.gather(asked, return_exceptions=True)
                sock = program._writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, no half-close
                await program.close()
                await until(lambda: not web.server.connections)
                await turn()
                store.held = False
                while store.waiting:
                    store.release()
                await web.hub.commits.durable()
                await turn()
                for known in (web.app.accounts.tokens.values(), store.load(ApiToken)):
                    assert sorted(token.name for token in known) == ["a admin", "t"]

        anyrun(scene())

    def test_end_at_their_time_also_when_the_clock_is_set_meanwhile(self, anyrun, clock):
        async def scene():
            steady, told = FakeClock(0), []
            async with opened(clock=clock, steady_ms=steady) as (web, ada):
                agenda = web.hub.alerting.agenda
                await ada.ask("POST", "/api/tokens", {"name": "t", "expires_s": 600})
                web.app.accounts.rights_changed.append(lambda: told.append(clock()))
                clock.advance(s=300)
                agenda.now_ms()
                told.clear()
                for seconds, doors_look_anew in ((299, False), (1, True)):
                    clock.advance(s=seconds)
                    steady.advance(s=seconds)
                    agenda.run_due(agenda.now_ms())
                    assert bool(told) is doors_look_anew

        anyrun(scene())

    @pytest.mark.parametrize("wrong", [{"expires_s": 0}, {"expires_s": 1e12}, {"labels": ["a"], "role": "admin"}])
    def test_what_cannot_be(self, anyrun, wrong):
        async def scene():
            async with opened() as (_, ada):
                await ada.refused(400, "POST", "/api/tokens", {"name": "t", **wrong})

        anyrun(scene())
