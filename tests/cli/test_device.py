"""``hardpoint device …``: what is asked of the server, and what is printed of its answer."""

from __future__ import annotations

from typing import Any

import pytest

from hardpoint.cli.device import facts
from hardpoint.hub.presence import presence_word
from presence_words import NOW_MS, PRESENCE_WORDS

from .conftest import AWAY, DEVICE, Script, error


@pytest.mark.parametrize(("presence", "word"), PRESENCE_WORDS.values(), ids=PRESENCE_WORDS)
def test_presence_in_a_word(presence: dict[str, Any], word: str) -> None:
    assert presence_word(presence, NOW_MS) == word


BEGAN = 1_763_880_001_000
SESSIONS = [
    {"from": BEGAN, "to": None, "address": "192.168.1.23:51000", "dialect": "line", "encrypted": True, "why": None},
    {
        "from": BEGAN - 20_000,
        "to": BEGAN - 10_000,
        "address": "192.168.1.24:9",
        "dialect": "http",
        "encrypted": False,
        "why": "it polled no more",
    },
]


@pytest.fixture(autouse=True)
def known(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hardpoint.cli.device.now_ms", lambda: DEVICE["presence"]["last_seen"] + 5_000)
    page = {"items": [DEVICE, AWAY], "next_cursor": None, "total": 2}
    script.answers["GET /api/devices"] = (200, page)
    script.answers["GET /api/devices/greenhouse"] = (200, DEVICE)
    script.answers["GET /api/devices/greenhouse/sessions"] = (200, {"items": SESSIONS})


class TestLs:
    def test_a_row_a_device(self, hardpoint) -> None:
        result = hardpoint("device", "ls")
        assert result.code == 0
        head, greenhouse, pump = result.out.splitlines()
        assert head.split() == ["NAME", "STATE", "LAST", "SEEN", "LATEST"]
        assert greenhouse.startswith("greenhouse  online  5 s ago ")
        assert greenhouse.endswith(r"temp=21.5 note=dry\x1b[31m"), "the newest first, and harmless"
        assert pump.split() == ["[red]pump", "never", "never"]

    def test_late_is_what_matters_most(self, hardpoint, script: Script) -> None:
        late = {**DEVICE, "presence": {**DEVICE["presence"], "late": True}}
        script.answers["GET /api/devices"] = (200, {"items": [late], "next_cursor": None, "total": 1})
        assert " late " in hardpoint("device", "ls").out

    def test_a_device_with_many_keys(self, hardpoint, script: Script) -> None:
        many = {**DEVICE, "latest": {f"k{n}": {"value": n, "ts": n} for n in range(5)}}
        script.answers["GET /api/devices"] = (200, {"items": [many], "next_cursor": None, "total": 1})
        assert hardpoint("device", "ls").out.endswith("k4=4 k3=3 k2=2 +2\n")

    def test_json_is_what_the_server_said(self, hardpoint) -> None:
        assert hardpoint("device", "ls", "--json").json == {"schema": "hardpoint.devices.v1", "items": [DEVICE, AWAY]}

    @pytest.mark.parametrize(
        ("argv", "query"),
        [
            ([], "limit=500"),
            (["--online"], "online=true&limit=500"),
            (["--offline"], "online=false&limit=500"),
            (["--search", "a b", "--label", "k=v"], "search=a+b&label=k%3Av&limit=500"),
        ],
    )
    def test_filters_are_the_servers(self, hardpoint, script: Script, argv: list[str], query: str) -> None:
        assert hardpoint("device", "ls", *argv).code == 0
        assert script.last("GET").target == f"/api/devices?{query}"

    def test_every_page_is_asked_for(self, hardpoint, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
        from hardpoint.cli.client import Client

        pages = {None: ([DEVICE], "2"), "2": ([AWAY], None)}

        def get(self: object, path: str, query: dict[str, str]) -> dict[str, object]:
            items, cursor = pages[query["cursor"]]
            return {"items": items, "next_cursor": cursor, "total": 2}

        monkeypatch.setattr(Client, "get", get)
        assert [each["name"] for each in hardpoint("device", "ls", "--json").json["items"]] == [
            "greenhouse",
            "[red]pump",
        ]

    def test_the_first_step_is_told(self, hardpoint, script: Script) -> None:
        script.answers["GET /api/devices"] = (200, {"items": [], "next_cursor": None, "total": 0})
        assert "hardpoint connect" in hardpoint("device", "ls").err
        assert hardpoint("device", "ls", "--search", "x").err == ""


class TestAdd:
    def test_only_the_token_goes_to_stdout(self, hardpoint, script: Script) -> None:
        script.answers["POST /api/devices"] = (201, {**DEVICE, "token": "hp_secret"})
        result = hardpoint("device", "add", "greenhouse", "--label", "place=garden", "--label", "x=a=b")
        assert (result.code, result.out) == (0, "hp_secret\n")
        assert script.last("POST").body == {"name": "greenhouse", "labels": {"place": "garden", "x": "a=b"}}

    def test_json(self, hardpoint, script: Script) -> None:
        script.answers["POST /api/devices"] = (201, {**DEVICE, "token": "hp_secret"})
        result = hardpoint("device", "add", "greenhouse", "--json")
        assert (result.json["token"], result.json["schema"], result.err) == ("hp_secret", "hardpoint.device.v1", "")

    def test_a_taken_name(self, hardpoint, script: Script) -> None:
        script.answers["POST /api/devices"] = (409, error("conflict", "there is one"))
        result = hardpoint("device", "add", "greenhouse")
        assert (result.code, result.err) == (1, "error: there is one\n")

    def test_a_label_without_a_value(self, hardpoint, script: Script) -> None:
        assert hardpoint("device", "add", "x", "--label", "place").code == 2
        assert script.asked == []


class TestShow:
    def test_what_is_known(self, hardpoint) -> None:
        out = hardpoint("device", "show", "greenhouse").out
        for line in ("state         online", "labels        place=garden", "created       2025-11-23T06:40:00.000Z"):
            assert line in out.splitlines()
        assert "over line with TLS from 192.168.1.23:51000" in out
        assert "every 10 s (set)" in out
        assert "line with TLS  192.168.1.23:51000  still attached" in out
        assert "10 s  http           192.168.1.24:9      it polled no more" in out
        assert r"note  dry\x1b[31m  2025-11-23T06:40:01.000Z" in out

    def test_of_one_that_was_never_here(self) -> None:
        assert dict(facts(AWAY, 0)) == {
            "name": "[red]pump",
            "id": "pump",
            "state": "never",
            "last seen": "never",
            "last reading": "never",
            "created": "2025-11-23T06:40:00.000Z",
        }

    def test_unknown(self, hardpoint) -> None:
        result = hardpoint("device", "show", "nope")
        assert (result.code, result.err) == (1, "error: no /api/devices/nope\n")


class TestRename:
    def test_the_new_name(self, hardpoint, script: Script) -> None:
        script.answers["PATCH /api/devices/greenhouse"] = (200, {**DEVICE, "name": "north"})
        result = hardpoint("device", "rename", "greenhouse", "north")
        assert (result.out, result.err) == ("", "greenhouse is now north\n")
        assert script.last("PATCH").body == {"name": "north"}
        assert hardpoint("device", "rename", "greenhouse", "north", "--json").json["name"] == "north"


class TestRm:
    @pytest.fixture(autouse=True)
    def removable(self, script: Script) -> None:
        script.answers["DELETE /api/devices/greenhouse"] = (204, None)

    def test_it_has_to_be_meant(self, hardpoint, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
        assert hardpoint("device", "rm", "greenhouse").code == 2
        assert hardpoint("device", "rm", "greenhouse", "--confirm", "greenhous").code == 1
        assert all(asked.method == "GET" for asked in script.asked)

    def test_by_its_name(self, hardpoint, script: Script) -> None:
        result = hardpoint("device", "rm", "greenhouse", "--confirm", "greenhouse")
        assert (result.code, result.err) == (0, "removed greenhouse\n")
        assert script.last("DELETE").target == "/api/devices/greenhouse"

    def test_a_person_is_asked(self, hardpoint, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("click.prompt", lambda text, err: "greenhouse")
        assert hardpoint("device", "rm", "greenhouse").code == 0
        assert script.last("DELETE").target == "/api/devices/greenhouse"


class TestToken:
    def test_a_new_one(self, hardpoint, script: Script) -> None:
        script.answers["POST /api/devices/greenhouse/token"] = (200, {"id": "greenhouse", "token": "hp_new"})
        assert hardpoint("device", "token", "greenhouse").out == "hp_new\n"
        assert hardpoint("device", "token", "greenhouse", "--json").json["id"] == "greenhouse"
