"""``hardpoint tail``: what each event becomes, and a stream that breaks."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from hardpoint.cli import tail
from hardpoint.cli.client import Address, Client

from .conftest import AWAY, COMMAND, DEVICE, Script, error


def stream(*events: tuple[str, object], last: str = "b-9") -> bytes:
    """Events as the server sends them: the id comes alone at the end."""
    parts = [f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events]
    return "".join([*parts, f"id: {last}\n\n"]).encode()


READINGS = ("reading", {"device": "greenhouse", "readings": [["temp", 1_763_880_000_250, 21.5], ["note", 0, "a\x1b"]]})
EVERYTHING = (
    ("hello", {}),
    READINGS,
    ("presence", {"device": "greenhouse", "presence": DEVICE["presence"]}),
    ("presence", {"device": "pump", "presence": AWAY["presence"]}),
    ("presence", {"device": "pump", "presence": {**AWAY["presence"], "late": True}}),
    ("command", COMMAND),
    ("command", {**COMMAND, "state": "sent", "result": None}),
    ("device", {"action": "added", "device": AWAY}),
)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "RECONNECT_S", (0.0,))


class TestText:
    def test_a_line_for_each_thing(self, hardpoint, script: Script) -> None:
        script.answers["GET /api/live"] = [stream(*EVERYTHING)]
        result = hardpoint("tail", "--count", "8")
        assert result.code == 0
        assert [line.split("  ", 1)[1] for line in result.out.splitlines()] == [
            "greenhouse  temp=21.5",
            r"greenhouse  note=a\x1b",
            "greenhouse  online, over line from 192.168.1.23:51000",
            "pump  offline",
            "pump  late, offline",
            'greenhouse  command 7 blink: done {"ok":true}',
            "greenhouse  command 7 blink: sent",
            "[red]pump  device added",
        ]

    def test_json_is_an_object_a_line(self, hardpoint, script: Script) -> None:
        script.answers["GET /api/live"] = [stream(*EVERYTHING)]
        lines = [json.loads(line) for line in hardpoint("tail", "--json", "--count", "8").out.splitlines()]
        assert lines[0] == {
            "schema": "hardpoint.reading.v1",
            "device": "greenhouse",
            "key": "temp",
            "ts": 1_763_880_000_250,
            "value": 21.5,
        }
        assert [line["schema"].split(".")[1] for line in lines] == [
            *("reading", "reading", "presence", "presence", "presence", "command", "command", "device")
        ]
        assert {line["device"] for line in lines} == {"greenhouse", "pump"}

    @pytest.mark.parametrize(
        ("argv", "kinds"),
        [
            (["--only", "presence", "--count", "3"], {"presence"}),
            (["--only", "command", "--only", "device", "--count", "3"], {"command", "device"}),
            (["--key", "temp", "--count", "2"], {"reading"}),
        ],
    )
    def test_only_some(self, hardpoint, script: Script, argv: list[str], kinds: set[str]) -> None:
        script.answers["GET /api/live"] = [stream(*EVERYTHING)]
        lines = hardpoint("tail", "--json", *argv).out.splitlines()
        assert {json.loads(line)["schema"].split(".")[1] for line in lines} == kinds


class TestConnection:
    def test_the_server_filters(self, hardpoint, script: Script) -> None:
        script.answers["GET /api/live"] = [stream(READINGS)]
        assert hardpoint("tail", "greenhouse", "pump", "--key", "temp", "--count", "1").code == 0
        assert script.last("GET").target == "/api/live?device=greenhouse&device=pump&key=temp"

    def test_a_break_is_told_and_the_stream_goes_on_after_the_last_id(self, hardpoint, script: Script) -> None:
        second = stream(("reset", {}), READINGS, last="b-12")
        script.answers["GET /api/live"] = [stream(READINGS, last="b-10"), second]
        result = hardpoint("tail", "--count", "4")
        assert len(result.out.splitlines()) == 4
        assert result.err.splitlines() == [
            "connection lost, trying again…",
            "connected again",
            "some events were missed while the connection was away",
        ]
        assert [asked.headers.get("Last-Event-ID") for asked in script.asked] == [None, "b-10"]

    def test_it_tries_until_the_server_is_back(self, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
        away = Client(Address(path=f"{script.path}.away"))
        client = Client(Address.parse(script.url))
        script.answers["GET /api/live"] = [stream(READINGS), stream(READINGS)]
        attempts = iter([client, away, away, client])
        monkeypatch.setattr(Client, "events", lambda self, *path, **rest: events_of(next(attempts), *path, **rest))
        assert [event.name for event in islice(tail.follow(client, {}), 2)] == ["reading", "reading"]
        assert next(attempts, None) is None

    def test_no_server_at_first(self, hardpoint, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
        monkeypatch.setenv("HARDPOINT_DATA", str(tmp_path))
        assert hardpoint("tail").code == 69

    def test_an_unknown_device(self, hardpoint, script: Script) -> None:
        script.answers["GET /api/live"] = (404, error("not_found", "there is no device 'x'"))
        result = hardpoint("tail", "x")
        assert (result.code, result.err) == (1, "error: there is no device 'x'\n")


events_of = Client.events
