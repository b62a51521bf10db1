"""``hardpoint device waiting|adopt|ignore``, scripted and against a real server."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from hardpoint.cli.client import Address, Client

from .conftest import DEVICE, Script, error
from .serving import serving

LIST = "GET /api/unknown-devices"
UNKNOWN: dict[str, Any] = {
    "id": 3,
    "name": "esp",
    "address": "192.0.2.1",
    "dialect": "line",
    "first_seen": 1_763_880_000_000,
    "last_seen": 1_763_880_000_000,
    "tries": 1,
    "connected": True,
    "ignored": False,
    "known": None,
    "adopted": None,
    "frames": [
        {"head": "", "body": "HELLO ***"},
        {"head": "", "body": "temp=21.5 note=dry\x1b[31m"},
    ],
}


def waiting(script: Script, *items: dict[str, Any], enabled: bool = True) -> None:
    script.answers[LIST] = (200, {"enabled": enabled, "items": list(items)})


class TestWaiting:
    def test_is_a_table(self, hardpoint, script: Script) -> None:
        known = {**UNKNOWN, "name": "pump", "connected": False, "known": "pump", "frames": []}
        waiting(script, UNKNOWN, known, {**UNKNOWN, "name": "lamp", "adopted": "lamp"})
        result = hardpoint("device", "waiting")
        assert result.code == 0
        rows = result.out.splitlines()[1:]
        assert [row.split()[0] for row in rows] == ["esp", "pump", "lamp"]
        assert "connected" in rows[0]
        assert "temp=21.5" in rows[0]
        assert "\x1b" not in rows[0]
        assert "comes and goes, named as a device that exists" in rows[1]
        assert "adopted as lamp, not back yet" in rows[2]

    def test_is_json(self, hardpoint, script: Script) -> None:
        waiting(script, UNKNOWN, {**UNKNOWN, "name": "pump", "ignored": True})
        found = hardpoint("device", "waiting", "--ignored", "--json").json
        assert (found["schema"], found["items"][0]["name"]) == ("hardpoint.unknown-devices.v1", "pump")

    def test_says_why_it_is_empty(self, hardpoint, script: Script) -> None:
        waiting(script)
        assert hardpoint("device", "waiting").err == "nobody waits\n"
        assert hardpoint("device", "waiting", "--ignored").err == "nobody is ignored\n"
        waiting(script, enabled=False)
        assert "without --adopt" in hardpoint("device", "waiting").err


class TestAdopt:
    def test_prints_the_token(self, hardpoint, script: Script) -> None:
        waiting(script, UNKNOWN, {**UNKNOWN, "id": 4, "address": "192.0.2.2"})
        script.answers["POST /api/unknown-devices/4/adopt"] = (201, {**DEVICE, "token": "hp_1", "told": False})
        argv = ("device", "adopt", "esp", "--from", "192.0.2.2", "--as", "greenhouse", "--label", "place=garden")
        result = hardpoint(*argv, "--replace")
        assert (result.code, result.out) == (0, "hp_1\n")
        assert "when it asks for commands" in result.err
        assert script.last("POST").body == {"name": "greenhouse", "labels": {"place": "garden"}, "replace": True}
        assert hardpoint(*argv, "--json").json["token"] == "hp_1"

    def test_asks_which_is_meant(self, hardpoint, script: Script) -> None:
        waiting(script, UNKNOWN, {**UNKNOWN, "id": 4, "address": "192.0.2.2"})
        result = hardpoint("device", "adopt", "esp")
        assert result.code != 0
        assert "192.0.2.1, 192.0.2.2" in result.err
        assert "--from" in result.err

    def test_says_that_nobody_waits(self, hardpoint, script: Script) -> None:
        waiting(script)
        result = hardpoint("device", "adopt", "esp")
        assert (result.code, "nobody waits under the name 'esp'" in result.err) == (1, True)
        waiting(script, enabled=False)
        assert "hardpoint serve --adopt" in hardpoint("device", "ignore", "esp").err

    def test_tells_what_the_server_refuses(self, hardpoint, script: Script) -> None:
        script.answers[LIST] = (403, error("forbidden", "operators only"))
        assert hardpoint("device", "adopt", "esp").code == 77


def test_a_device_from_its_name_to_its_first_reading(hardpoint, monkeypatch) -> None:
    with serving(listen=["line://127.0.0.1:0", "http://127.0.0.1:0"], adopt=True) as data:
        monkeypatch.setenv("HARDPOINT_DATA", str(data))
        port = port_of(data)
        with socket.create_connection(("127.0.0.1", port), timeout=60) as stream, stream.makefile("rw") as lines:
            lines.readline()
            print("HELLO esp", file=lines, flush=True)
            assert lines.readline().startswith("ERR unauthorized esp is not known here")
            assert hardpoint("device", "waiting", "--json").json["items"][0]["name"] == "esp"
            result = hardpoint("device", "adopt", "esp", "--as", "greenhouse", "--label", "place=garden")
            assert result.code == 0, result.err
            assert result.err == "adopted greenhouse; its token is on its way to it, and is not shown again\n"
            assert lines.readline() == f'!0 adopt {{"token":"{result.out.strip()}"}}\n'
            print("!0 OK\ntemp=21.5", file=lines, flush=True)
            assert lines.readline() == "OK 1\n"
        shown = hardpoint("device", "show", "greenhouse", "--json").json
        assert (shown["latest"]["temp"]["value"], shown["labels"]) == (21.5, {"place": "garden"})
        with socket.create_connection(("127.0.0.1", port), timeout=60) as stream, stream.makefile("rw") as lines:
            print("HELLO pump", file=lines, flush=True)
            lines.readline()
            lines.readline()
            assert hardpoint("device", "ignore", "pump").err == "ignores pump from 127.0.0.1\n"
            assert lines.readline() == "BYE it is not wanted here\n"
        assert "pump" in hardpoint("device", "waiting", "--ignored").out


def port_of(data: Path) -> int:
    listeners = Client(Address(path=f"{data}/hardpoint.sock")).health()["listeners"]
    return next(each["port"] for each in listeners if each["url"].startswith("line:"))
