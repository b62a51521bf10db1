"""``hardpoint user``, ``token`` and ``activity``: what they ask the server for, and what they print."""

from __future__ import annotations

import io
from typing import Any

import pytest

ADA: dict[str, Any] = {
    "name": "ada\x1b[31m",
    "role": "admin",
    "labels": [],
    "disabled": False,
    "created": 1,
    "sessions": 1,
    "used": 1_763_880_000_000,
}
BOB = ADA | {"name": "bob", "role": "operator", "labels": ["site:north", "row"], "disabled": True, "used": None}
TOKEN: dict[str, Any] = {
    "id": "t1",
    "name": "grafana",
    "role": "viewer",
    "labels": [],
    "prefix": "hpa_abcdef",
    "created": 1,
    "expires": None,
    "made_by": "ada",
    "used": None,
    "used_from": "",
}


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))


class TestUser:
    def test_ls_tells_role_limits_and_use(self, script, hardpoint):
        script.answers["GET /api/users"] = (200, {"items": [ADA, BOB]})
        result = hardpoint("user", "ls")
        assert result.code == 0
        assert "\x1b" not in result.out
        assert "all devices" in result.out
        assert "bob (may not sign in)" in result.out
        assert "site=north, row" in result.out
        assert hardpoint("user", "ls", "--json").json["items"][1]["name"] == "bob"

    def test_add_reads_the_password_from_stdin_and_never_from_a_flag(self, script, hardpoint, typed):
        script.answers["POST /api/users"] = (201, BOB)
        result = hardpoint("user", "add", "bob", "--role", "operator", "--label", "site=north", "--label", "row")
        assert result.code == 0
        assert script.last("POST").body == {
            "name": "bob",
            "role": "operator",
            "labels": ["site:north", "row"],
            "password": "correct horse",
        }
        assert "correct horse" not in result.out + result.err

    @pytest.mark.parametrize(
        ("flags", "body"),
        [
            (["--role", "viewer"], {"role": "viewer"}),
            (["--all-devices"], {"labels": []}),
            (["--disable"], {"disabled": True}),
            (["--enable"], {"disabled": False}),
            (["--password"], {"password": "correct horse"}),
            (["--password-stdin"], {"password": "correct horse"}),
        ],
    )
    def test_set_changes_what_is_said_and_nothing_else(self, script, hardpoint, typed, flags, body):
        script.answers["PATCH /api/users/bob"] = (200, BOB)
        assert hardpoint("user", "set", "bob", *flags).code == 0
        assert script.last("PATCH").body == body

    @pytest.mark.parametrize("flags", [[], ["--label", "a", "--all-devices"], ["--role", "root"]])
    def test_set_needs_something_that_makes_sense(self, script, hardpoint, flags):
        assert hardpoint("user", "set", "bob", *flags).code == 2
        assert script.asked == []

    def test_rm_says_why_the_last_admin_stays(self, script, hardpoint):
        refusal = {"error": {"code": "conflict", "message": "nobody else may do everything"}}
        script.answers["DELETE /api/users/ada"] = (409, refusal)
        result = hardpoint("user", "rm", "ada")
        assert (result.code, "nobody else may do everything" in result.err) == (1, True)

    def test_sessions_are_listed_and_ended(self, script, hardpoint):
        entry = {"id": "s", "user": "bob", "created": 1, "used": 1, "expires": 2, "address": "192.0.2.1"}
        script.answers["GET /api/sessions"] = (200, {"items": [entry | {"agent": "Firefox", "current": False}]})
        script.answers["DELETE /api/sessions"] = (204, None)
        assert "192.0.2.1" in hardpoint("user", "sessions").out
        assert script.last("GET").target == "/api/sessions?user=%2A"
        assert hardpoint("user", "sessions", "bob", "--end").code == 0
        assert script.last("DELETE").target == "/api/sessions?user=bob"
        assert hardpoint("user", "sessions", "--end").code == 2


class TestToken:
    def test_add_prints_the_token_alone_on_stdout(self, script, hardpoint):
        made = {"id": "t1", "name": "grafana", "role": "viewer", "labels": [], "expires": 1_800_000_000_000}
        script.answers["POST /api/tokens"] = (201, made | {"token": "hpa_secret"})
        result = hardpoint("token", "add", "grafana", "--expires", "90d")
        assert result.out == "hpa_secret\n"
        assert "until 2027-01-15" in result.err
        body = {"name": "grafana", "role": "viewer", "labels": [], "expires_s": 90 * 86_400.0}
        assert script.last("POST").body == body

    def test_ls_tells_what_has_ended(self, script, hardpoint):
        script.answers["GET /api/tokens"] = (200, {"items": [TOKEN, TOKEN | {"id": "t2", "expires": 1}]})
        result = hardpoint("token", "ls")
        assert "has ended" in result.out
        assert "hpa_abcdef…" in result.out

    def test_rm_takes_an_id_or_a_name_that_is_one_tokens_alone(self, script, hardpoint):
        items = [TOKEN, TOKEN | {"id": "t2", "name": "twice"}, TOKEN | {"id": "t3", "name": "twice"}]
        script.answers["GET /api/tokens"] = (200, {"items": items})
        script.answers["DELETE /api/tokens/t1"] = (204, None)
        assert hardpoint("token", "rm", "grafana").code == 0
        assert hardpoint("token", "rm", "t1").code == 0
        assert hardpoint("token", "rm", "twice").code == 2
        assert hardpoint("token", "rm", "nothing").code == 1
        assert len([asked for asked in script.asked if asked.method == "DELETE"]) == 2


ENTRY: dict[str, Any] = {
    "id": 9,
    "at": 1_763_880_000_000,
    "who": "hot",
    "via": "rule",
    "address": "",
    "what": "devices.commands",
    "device": "fan",
    "subject": "cool\x1b[31m",
    "detail": {},
    "why": "alert 1: temp is above 30",
    "result": "done",
}


class TestActivity:
    def test_tells_who_what_where_why_and_how_it_ended(self, script, hardpoint):
        script.answers["GET /api/audit"] = (200, {"items": [ENTRY], "next_cursor": None})
        result = hardpoint("activity", "--device", "fan", "--who", "hot", "--what", "devices")
        assert "\x1b" not in result.out
        for word in ("hot (rule)", "devices.commands", "fan cool", "done", "temp is above 30"):
            assert word in result.out.replace("\n", " ")
        assert script.last("GET").target == "/api/audit?who=hot&what=devices&device=fan&limit=50"
        assert hardpoint("activity", "--json").json["items"] == [ENTRY]

    def test_goes_on_over_a_page_that_is_empty(self, script, hardpoint, monkeypatch):
        pages = iter([{"items": [], "next_cursor": "5"}, {"items": [ENTRY], "next_cursor": None}])

        class Pages(dict):
            def get(self, key, default=None):
                return (200, next(pages))

        script.answers = Pages()
        assert len(hardpoint("activity", "--json").json["items"]) == 1
        assert script.last("GET").target.endswith("cursor=5")
