"""``hardpoint connect``: the device, its snippets, and the proof."""

from __future__ import annotations

from base64 import b64decode
from hashlib import sha256

import pytest

from hardpoint.cli import tail
from hardpoint.cli.client import Address, Client
from hardpoint.cli.connect import TITLES
from hardpoint.cli.refusals import Refusals
from hardpoint.web.snippets import KINDS

from .conftest import AWAY, DEVICE, HEALTH, Script, error
from .test_tail import READINGS, stream
from .test_tap import FRAME

TOKEN = "hp_secret"


@pytest.fixture(autouse=True)
def server(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "RECONNECT_S", (0.0,))
    monkeypatch.setattr("hardpoint.cli.doors.lan_address", lambda: "192.168.1.20")
    script.answers["POST /api/devices"] = (201, {**DEVICE, "token": TOKEN})
    script.answers["GET /api/devices/greenhouse"] = (200, DEVICE)
    script.answers["POST /api/devices/greenhouse/token"] = (200, {"id": "greenhouse", "token": "hp_new"})
    script.answers["GET /api/health"] = (200, HEALTH)
    script.answers["GET /api/devices/greenhouse/frames"] = (200, {"items": [], "tapped_until": None})
    script.answers["GET /api/strangers"] = (200, {"items": []})


class TestDevice:
    def test_it_is_made(self, hardpoint, script: Script) -> None:
        result = hardpoint("connect", "greenhouse", "--label", "place=garden", "--no-wait")
        assert result.code == 0
        assert script.last("POST").body == {"name": "greenhouse", "labels": {"place": "garden"}}
        assert "nc 192.168.1.20 9000" in result.out
        assert "http://127.0.0.1:8080/api/v1/hp_secret/telemetry" in result.out
        assert 'create_connection(("192.168.1.20", 9000))' in result.out

    def test_a_name_is_made_up(self, hardpoint, script: Script) -> None:
        hardpoint("connect", "--no-wait")
        assert script.last("POST").body["name"].startswith("device-")

    def test_json_has_the_snippets_and_does_not_wait(self, hardpoint, script: Script) -> None:
        found = hardpoint("connect", "greenhouse", "--json").json
        assert found["schema"] == "hardpoint.connect.v1"
        assert (found["device"]["token"], list(found["snippets"])) == (
            TOKEN,
            [
                "nc",
                "python",
                "arduino",
                "micropython",
                "homeassistant",
                "nodered",
                "curl",
                "paho",
                "websocket",
                "node",
                "go",
                "powershell",
                "agent",
            ],
        )

    def test_a_taken_name_can_be_connected_again(self, hardpoint, script: Script) -> None:
        script.answers["POST /api/devices"] = (409, error("conflict", "there is a device 'greenhouse'"))
        result = hardpoint("connect", "greenhouse")
        assert result.code == 1
        assert "hint: to connect it again: hardpoint connect greenhouse --new-token" in result.err
        result = hardpoint("connect", "greenhouse", "--new-token", "--no-wait")
        assert "HELLO hp_new" in result.out
        assert hardpoint("connect", "--new-token").code == 2


def test_every_kind_has_a_title() -> None:
    assert set(TITLES) == set(KINDS)


class TestTls:
    PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

    @pytest.fixture(autouse=True)
    def speaks(self, script: Script) -> None:
        more = [{"url": "https://0.0.0.0:8443", "port": 8443}, {"url": "lines://0.0.0.0:9443", "port": 9443}]
        health = {**HEALTH, "listeners": [*HEALTH["listeners"], *more], "certificates": [{"names": ["box"]}]}
        script.answers["GET /api/health"] = (200, health)
        script.answers["GET /api/ca.pem"] = (200, self.PEM.encode())

    def test_it_is_used_where_it_is_wanted_and_the_file_is_told(self, hardpoint) -> None:
        plain = hardpoint("connect", "greenhouse", "--no-wait")
        assert "ca.pem" not in plain.out
        result = hardpoint("connect", "greenhouse", "--no-wait", "--tls", "--with", "nc", "--with", "curl")
        assert "-verify_return_error -verify_ip 192.168.1.20 -CAfile ca.pem" in result.out
        assert "-connect 192.168.1.20:9443\n" in result.out
        assert "curl -f --cacert ca.pem -X POST https://192.168.1.20:8443/api/v1/hp_secret" in result.out
        assert "    curl -o ca.pem http://127.0.0.1:8080/api/ca.pem\n" in result.out
        assert f"    {sha256(b64decode('MIIB')).digest().hex(':').upper()}\n" in result.out

    def test_a_door_that_is_open_over_tls_alone_is_shown_without_asking(self, hardpoint, script: Script) -> None:
        _, health = script.answers["GET /api/health"]
        health["listeners"] = [each for each in health["listeners"] if each["url"].startswith(("https", "lines"))]
        result = hardpoint("connect", "greenhouse", "--no-wait", "--with", "nc", "--with", "mqtt")
        assert "-connect 192.168.1.20:9443" in result.out
        assert "    curl -k -o ca.pem https://192.168.1.20:8443/api/ca.pem\n" in result.out
        assert hardpoint("connect", "greenhouse", "--json").json["ca"] == self.PEM

    def test_a_certificate_by_another_needs_no_file(self, hardpoint, script: Script) -> None:
        del script.answers["GET /api/ca.pem"]
        result = hardpoint("connect", "greenhouse", "--no-wait", "--tls", "--with", "curl")
        assert "curl -f -X POST https://" in result.out
        assert "ca.pem" not in result.out

    def test_a_server_without_it_makes_no_device(self, hardpoint, script: Script) -> None:
        script.answers["GET /api/health"] = (200, HEALTH)
        result = hardpoint("connect", "greenhouse", "--tls")
        assert result.code == 1
        assert "add lines://" in result.err
        assert all(asked.method == "GET" for asked in script.asked)


class TestWaiting:
    def test_up_to_the_first_reading(self, hardpoint, script: Script) -> None:
        events = [
            ("hello", {}),
            ("presence", {"device": "greenhouse", "presence": AWAY["presence"]}),
            ("presence", {"device": "greenhouse", "presence": DEVICE["presence"]}),
            READINGS,
        ]
        script.answers["GET /api/live"] = [stream(*events)]
        result = hardpoint("connect", "greenhouse")
        assert result.code == 0
        assert "nc 192.168.1.20 9000" in result.out
        assert result.err.splitlines() == [
            "waiting for its first reading (Ctrl-C ends the waiting)…",
            "attached over line from 192.168.1.23:51000",
            "first reading: temp = 21.5",
        ]
        assert "/api/live?device=greenhouse" in [request.target for request in script.asked]

    def test_ctrl_c_only_ends_the_waiting(self, hardpoint, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(client: object, query: object, opened):
            opened()
            raise KeyboardInterrupt

        monkeypatch.setattr("hardpoint.cli.connect.follow", interrupted)
        result = hardpoint("connect", "greenhouse")
        assert result.code == 0
        assert "hardpoint tail greenhouse" in result.err


class TestRefusals:
    def test_each_is_said_once_with_what_was_meant(self, script: Script, capsys: pytest.CaptureFixture[str]) -> None:
        client = Client(Address.parse(script.url))
        old = {**FRAME, "number": 3, "verdict": "refused", "reason": "bad_request: no"}
        wrong = {**old, "number": 5, "body": "temp 21.5", "correction": "temp=21.5"}
        stranger = {**old, "number": 4, "body": "hello ***", "correction": "HELLO <token>"}
        frames = "GET /api/devices/greenhouse/frames"
        script.answers[frames] = (200, {"items": [old], "tapped_until": None})
        refusals = Refusals(client, {"id": "greenhouse", "token": TOKEN})
        script.answers[frames] = (
            200,
            {"items": [old, {**FRAME, "number": 6, "verdict": "taken"}, wrong], "tapped_until": None},
        )
        script.answers["GET /api/strangers"] = (200, {"items": [{"address": "192.0.2.9", "frames": [stranger]}]})
        refusals.look()
        refusals.look()
        assert capsys.readouterr().err.splitlines() == [
            "refused from 192.0.2.9 over line: hello ***",
            "  bad_request: no",
            f"  try: HELLO {TOKEN}",
            "refused from the device over line: temp 21.5",
            "  bad_request: no",
            "  try: temp=21.5",
        ]

    def test_a_server_that_is_away_or_refuses_is_asked_again(
        self, script: Script, capsys: pytest.CaptureFixture[str]
    ) -> None:
        script.answers["GET /api/strangers"] = (403, error("forbidden", "operators only"))
        Refusals(Client(Address.parse(script.url)), DEVICE).look()
        assert capsys.readouterr().err == ""
