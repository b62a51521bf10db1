"""``hardpoint tap`` and ``hardpoint replay`` against a real server, over every dialect."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from hardpoint.cli import tap
from hardpoint.cli.client import Address, Client
from hardpoint.cli.mqtt_client import MqttClient, MqttFailed
from hardpoint.testing import WebSocketClient

from .conftest import Script, error
from .serving import serving

LISTEN = ["line://127.0.0.1:0", "http://127.0.0.1:0", "mqtt://127.0.0.1:0"]
FRAME: dict[str, Any] = {
    "number": 3,
    "at": 1_763_880_000_000,
    "dialect": "line",
    "way": "in",
    "from": "192.0.2.1:50000",
    "head": "",
    "body": "tmp",
    "binary": False,
    "cut": False,
    "verdict": "refused",
    "reason": "unknown_verb: 'tmp' is no verb",
}


class Bench:
    """A server with one device, and that device over each dialect."""

    def __init__(self, data: Path) -> None:
        self.data = str(data)
        self.client = Client(Address(path=f"{data}/hardpoint.sock"))
        listeners = self.client.health()["listeners"]
        self.ports = {each["url"].partition(":")[0]: each["port"] for each in listeners}
        self.token = self.client.call("POST", "/api/devices", body={"name": "dev"})["token"]

    def frames(self, device: str = "dev") -> list[tuple[str, str, str, str, str]]:
        found = self.client.get("/api/devices", device, "frames")["items"]
        return [(each["dialect"], each["way"], each["head"], each["body"], each["verdict"]) for each in found]

    def line(self, text: str, token: str | None = None) -> list[str]:
        with socket.create_connection(("127.0.0.1", self.ports["line"]), timeout=60) as stream:
            stream.sendall(f"HELLO {token or self.token}\n{text}QUIT\n".encode())
            with stream.makefile() as answers:
                return answers.read().splitlines()[1:]

    def post(self, path: str, body: bytes, token: str | None = None) -> int:
        url = f"http://127.0.0.1:{self.ports['http']}/api/v1/{token or self.token}/{path}"
        try:
            with urllib.request.urlopen(url, body, timeout=60) as response:
                return int(response.status)
        except urllib.error.HTTPError as failed:
            failed.close()
            return failed.code

    def mqtt(self, topic: str, payload: bytes) -> None:
        with MqttClient("127.0.0.1", self.ports["mqtt"], self.token) as mqtt:
            mqtt.publish(topic, payload, qos=1, retain=False)

    def websocket(self, message: str) -> str | bytes:
        async def scene() -> str | bytes:
            path = f"/api/v1/{self.token}/ws"
            async with WebSocketClient("127.0.0.1", self.ports["http"], path) as ws:
                ws.send(message)
                return await ws.receive()

        return asyncio.run(scene())


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    with serving(listen=LISTEN) as data:
        monkeypatch.setenv("HARDPOINT_DATA", str(data))
        yield Bench(data)


class TestRefused:
    """What is kept though nobody listened."""

    def test_over_lines(self, bench: Bench) -> None:
        bench.line('temp=1\ntmp\n{"a":\n!99 OK 1\nhello SECRET\n')
        assert [(body, verdict) for _, _, _, body, verdict in bench.frames()] == [
            ("tmp", "refused"),
            ('{"a":', "refused"),
            ("!99 OK 1", "refused"),
            ("hello ***", "refused"),
        ]

    def test_over_http(self, bench: Bench) -> None:
        assert bench.post("telemetry", b'{"temp":1}') == 200
        assert bench.post("telemetry?x=1", b'{"temp":') == 400
        assert bench.post("telemetry", b"\xff\xfe") == 400
        assert bench.frames() == [
            ("http", "in", "POST /api/v1/***/telemetry?x=1", '{"temp":', "refused"),
            ("http", "in", "POST /api/v1/***/telemetry", "fffe", "refused"),
        ]

    def test_over_mqtt(self, bench: Bench) -> None:
        bench.mqtt("devices/dev/temp", b"1")
        with pytest.raises(MqttFailed):
            bench.mqtt("devices/dev", b"\xff")
        with pytest.raises(MqttFailed):
            bench.mqtt("devices/other/temp", b"2")
        assert bench.frames() == [
            ("mqtt", "in", "PUBLISH qos=1 retain=0 id=1 devices/dev", "ff", "refused"),
            ("mqtt", "in", "PUBLISH qos=1 retain=0 id=1 devices/other/temp", "2", "refused"),
        ]

    def test_over_websocket(self, bench: Bench) -> None:
        assert str(bench.websocket("tmp")).startswith("ERR unknown-verb")
        assert bench.frames() == [("websocket", "in", "", "tmp", "refused")]

    def test_of_strangers_without_their_tokens(self, hardpoint, bench: Bench) -> None:
        bench.line("", token="WRONG-TOKEN")
        assert bench.post("telemetry", b"{}", token="WRONG-TOKEN") == 401
        bench.token = "WRONG-TOKEN"
        with pytest.raises(Exception, match="refused"):
            bench.mqtt("a", b"")
        with pytest.raises(Exception, match="401"):
            bench.websocket("a=1")
        result = hardpoint("tap", "--strangers")
        assert (result.code, "WRONG-TOKEN" in result.out) == (0, False)
        assert [text.split("  ", 1)[1].split(None, 2) for text in result.out.splitlines()[1::2]] == [
            ["line", "→", "HELLO ***"],
            ["http", "→", "POST /api/v1/***/telemetry {}"],
            ["mqtt", "→", "CONNECT version=5 client_id=" + result.out.split("client_id=")[1].splitlines()[0]],
            ["http", "→", "GET /api/v1/***/ws"],
        ]
        assert "username=***" in result.out
        assert result.out.count("refused: unauthorized") == 4 - 1
        assert hardpoint("tap", "--strangers", "--json").json["items"][0]["address"] == "127.0.0.1"


def test_everything_of_a_tapped_device_over_every_dialect(bench: Bench) -> None:
    bench.client.call("PUT", "/api/devices/dev/frames", body={"for_s": 60})
    bench.line("temp=1\ntmp\n")
    assert bench.post("telemetry", b'{"temp":1}') == 200
    assert bench.post("telemetry", b'{"temp":') == 400
    bench.mqtt("devices/dev/temp", b"1")
    bench.websocket("temp=2")
    shown = [(dialect, way, head.partition(" ")[0], verdict) for dialect, way, head, _, verdict in bench.frames()]
    assert shown == [
        ("line", "in", "", "taken"),
        ("line", "in", "", "refused"),
        ("line", "in", "", "taken"),
        ("line", "out", "", "sent"),
        ("line", "out", "", "sent"),
        ("line", "out", "", "sent"),
        ("http", "in", "POST", "taken"),
        ("http", "out", "200", "sent"),
        ("http", "in", "POST", "refused"),
        ("http", "out", "400", "sent"),
        ("mqtt", "in", "PUBLISH", "taken"),
        ("mqtt", "out", "PUBACK", "sent"),
        ("mqtt", "in", "DISCONNECT", "taken"),
        ("websocket", "in", "", "taken"),
        ("websocket", "out", "", "sent"),
    ]
    bodies = [body for dialect, way, _, body, _ in bench.frames() if (dialect, way) == ("line", "out")]
    assert [body.split(" ")[0] for body in bodies] == ["OK", "ERR", "BYE"]
    assert bench.token not in str(bench.frames())


class TestReplay:
    def test_what_was_tapped_is_sent_again_and_ends_the_same(self, hardpoint, bench: Bench, tmp_path: Path) -> None:
        bench.client.call("PUT", "/api/devices", "dev", "frames", body={"for_s": 60})
        bench.line("temp=1 @1763880000000\n#7 tmp\n")
        bench.post("telemetry", b'{"ts":1763880001000,"values":{"temp":2}}')
        bench.mqtt("devices/dev", b'{"ts":1763880002000,"values":{"temp":3}}')
        bench.websocket("temp=4 @1763880003000")
        saved = hardpoint("tap", "dev", "--last", "--json")
        file = tmp_path / "frames.ndjson"
        file.write_text(saved.out + "\n", "utf-8")
        result = hardpoint("replay", str(file), "--new", "again")
        assert result.code == 1
        assert "error: 1 of 5 frames were refused" in result.err
        assert "left out, it is no message: DISCONNECT" in result.err
        assert [text for text in result.out.splitlines() if text.startswith("←")][:2] == [
            "← OK 1",
            "← #7 ERR unknown-verb 'tmp' is neither a verb nor key=value; HELP lists what is understood",
        ]
        query = {"key": "temp", "from": 0, "to": 2_000_000_000_000, "agg": "raw"}
        points = [
            bench.client.get("/api/devices", name, "readings", query=query)["points"] for name in ("dev", "again")
        ]
        assert points[0] == points[1]
        assert [value for _, value in points[1]] == [1, 2, 3, 4]

    def test_as_the_device_itself_and_only_what_was_refused(self, hardpoint, bench: Bench, tmp_path: Path) -> None:
        bench.line("tmp\n")
        bench.post("telemetry", b"\xff")
        file, secret = tmp_path / "frames", tmp_path / "token"
        file.write_text(hardpoint("tap", "dev", "--last", "--json").out, "utf-8")
        secret.write_text(bench.token, "utf-8")
        result = hardpoint("replay", str(file), "--device-token-file", str(secret), "--refused", "--speed", "1000")
        assert (result.code, result.err.splitlines()[-1]) == (1, "error: 2 of 2 frames were refused")
        assert len(bench.frames()) == 4

    def test_what_cannot_be_sent(self, hardpoint, bench: Bench, tmp_path: Path) -> None:
        file = tmp_path / "frames"
        frames = [
            FRAME | {"cut": True},
            FRAME | {"way": "out"},
            FRAME | {"body": "HELLO ***"},
            FRAME | {"body": "#1 QUIT"},
            FRAME | {"dialect": "http", "head": "GET /api/v1/***/rpc?timeout=9"},
            FRAME | {"dialect": "http", "head": "200"},
        ]
        file.write_text("\n".join(map(json.dumps, frames)), "utf-8")
        result = hardpoint("replay", str(file), "--new", "again")
        assert (result.code, result.out) == (0, "")
        assert [text.split(":")[0] for text in result.err.splitlines()] == [
            "left out, it was cut",
            "left out, it signs in or out",
            "left out, it signs in or out",
            "left out, it waits for something",
            "left out, it is no request",
            "sent 0, refused 0, left out 5",
        ]

    @pytest.mark.parametrize(
        "text",
        [
            *("{", "[]", '"x"', "{}", json.dumps(FRAME | {"dialect": "fax"})),
            json.dumps({name: each for name, each in FRAME.items() if name != "cut"}),
            json.dumps({name: each for name, each in FRAME.items() if name != "binary"}),
            json.dumps(FRAME | {"binary": True, "body": "no hex"}),
            json.dumps(FRAME | {"dialect": "w\u00e4rm"}, ensure_ascii=False),
        ],
    )
    def test_a_file_that_is_none(self, hardpoint, script: Script, tmp_path: Path, text: str) -> None:
        file = tmp_path / "frames"
        file.write_text(json.dumps(FRAME) + "\n" + text, "utf-8")
        script.answers["POST /api/devices"] = (201, {"id": "x", "token": "t"})
        result = hardpoint("replay", str(file), "--new", "x")
        assert (result.code, result.err.splitlines()[0]) == (1, f"error: line 2 of {file} is no frame")

    def test_a_file_that_is_no_text(self, hardpoint, script: Script, tmp_path: Path) -> None:
        file = tmp_path / "frames"
        file.write_bytes(json.dumps(FRAME).encode() + b"\n\xff\n")
        script.answers["POST /api/devices"] = (201, {"id": "x", "token": "t"})
        result = hardpoint("replay", str(file), "--new", "x")
        assert result.code == 1
        assert "is no frame: it is not UTF-8" in result.err
        assert script.asked == []

    def test_who_sends_must_be_said(self, hardpoint, tmp_path: Path) -> None:
        (tmp_path / "f").touch()
        assert hardpoint("replay", "f").code == 2
        assert hardpoint("replay", "f", "--new", "a", "--device-token-file", "f").code == 2


class TestLive:
    def test_it_is_asked_for_anew_and_goes_on_behind_what_it_had(
        self, hardpoint, script: Script, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tap, "TAP_S", 0.0)
        path = "/api/devices/greenhouse/frames"
        script.answers[f"PUT {path}"] = (200, {"tapped_until": 1})
        script.answers[f"GET {path}"] = (200, {"items": [FRAME, FRAME | {"number": 4, "way": "out", "head": "200"}]})
        result = hardpoint("tap", "greenhouse", "--count", "3")
        assert result.code == 0
        texts = [text.split("  ", 1)[-1] for text in result.out.splitlines()]
        assert texts[0] == "line      → tmp"
        assert result.out.splitlines()[1].strip() == "refused: unknown_verb: 'tmp' is no verb"
        assert [asked.target.rpartition("?")[2] for asked in script.asked if asked.method == "GET"] == [
            "after=0&wait_s=20",
            "after=4&wait_s=20",
        ]
        assert sum(asked.method == "PUT" for asked in script.asked) == 2

    def test_as_json_and_unprintable(self, hardpoint, script: Script) -> None:
        script.answers["GET /api/devices/greenhouse/frames"] = (200, {"items": [FRAME | {"body": "\x1b[2J"}]})
        assert hardpoint("tap", "greenhouse", "--last", "--json").json["schema"] == "hardpoint.frame.v1"
        assert "\x1b" not in hardpoint("tap", "greenhouse", "--last").out

    def test_marks(self) -> None:
        shown = tap.text_of(FRAME | {"binary": True, "cut": True, "verdict": "taken", "head": "PUBLISH a"})
        assert shown.endswith("→ PUBLISH a tmp (hex) (cut)")

    def test_the_call_and_its_errors(self, hardpoint, script: Script) -> None:
        assert hardpoint("tap").code == 2
        assert hardpoint("tap", "a", "--strangers").code == 2
        script.answers["PUT /api/devices/x/frames"] = (404, error("not_found", "there is no device 'x'"))
        assert hardpoint("tap", "x").code == 1
        script.answers["GET /api/strangers"] = (200, {"items": []})
        assert hardpoint("tap", "--strangers").err == "nobody was refused\n"
