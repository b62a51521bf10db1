"""Rules on a real server: the same over every dialect, and each piece of news arrives whoever dies in between."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from serving import DEADLINE_S, wait_until
from talking import HttpDevice, LineDevice
from test_mqtt import MQTT, Client

from hardpoint.testing import WebSocketClient

if TYPE_CHECKING:
    from serving import Serve, ServerProcess

BASE_MS = 1_763_880_000_000
STORY = [
    (0, 20),
    (1000, 31),
    (2000, 33),
    (40_000, 31),
    (61_500, 32),
    (65_000, 29),
    (70_000, 27),
    (80_000, 31),
    (90_000, "warm"),
    (91_000, 5),
]
"""``(ms, value)``: crosses limits both ways, holds for a minute, and once is no number."""


class Hook:
    """A webhook's receiver. ``answer`` is a status, or None: it takes the news and never answers."""

    def __init__(self) -> None:
        self.answer: int | None = 200
        self.messages: list[dict[str, Any]] = []
        self.taken = threading.Event()
        self.released = threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.headers["Idempotency-Key"] == body["key"]
                answer = hook.answer
                if answer in (200, None):
                    hook.messages.append(body)
                hook.taken.set()
                if answer is None:
                    hook.released.wait(DEADLINE_S)
                    self.close_connection = True
                    return
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def news(self) -> list[tuple[int, str]]:
        """``(alert, event)`` of every piece that was taken, repeats left out, in their order."""
        seen = dict.fromkeys((one["alert"]["id"], one["event"]) for message in self.messages for one in message["news"])
        return list(seen)


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.released.set()
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def over_lines(server: ServerProcess, token: str) -> None:
    with LineDevice(server.ports["line"], token) as device:
        for after_ms, value in STORY:
            assert device.ask(f"temp={value} @{BASE_MS + after_ms}") == "OK 1"


def over_http(server: ServerProcess, token: str) -> None:
    with HttpDevice(server.ports["http"], token) as device:
        for after_ms, value in STORY:
            assert device.post("telemetry", {"ts": BASE_MS + after_ms, "values": {"temp": value}})[0] == 200


def over_mqtt(server: ServerProcess, token: str) -> None:
    device = Client(server.ports["mqtt"], "", username=token)
    for number, (after_ms, value) in enumerate(STORY, 1):
        body = {"ts": BASE_MS + after_ms, "values": {"temp": value}}
        device.publish("v1/devices/me/telemetry", json.dumps(body).encode(), packet_id=number)
    device.close()


def over_websocket(server: ServerProcess, token: str) -> None:
    async def talk() -> None:
        async with WebSocketClient("127.0.0.1", server.ports["http"], f"/api/v1/{token}/ws") as device:
            for after_ms, value in STORY:
                device.send(f"temp={value} @{BASE_MS + after_ms}")
                assert await device.receive() == "OK 1"

    asyncio.run(talk())


DIALECTS = {"lines": over_lines, "http": over_http, "mqtt": over_mqtt, "websocket": over_websocket}


def test_every_dialect_raises_the_same_alerts(serve: Serve) -> None:
    server = serve(*MQTT)
    for name, when, for_s in (
        ("hot", {"key": "temp", "is": "above", "value": 30, "until": 28}, 0),
        ("long", {"key": "temp", "is": "above", "value": 30, "until": 28}, 60),
        ("fast", {"key": "temp", "is": "changing", "by": 10, "within_s": 5}, 0),
        ("warm", {"key": "temp", "is": "equal", "value": "warm"}, 0),
        ("odd", {"is": "expression", "text": "temp > 30 and temp % 2 == 1"}, 0),
    ):
        server.api.post("/api/rules", {"id": name, "name": name, "when": when, "for_s": for_s})
    for name, talk in DIALECTS.items():
        talk(server, server.api.add_device(name))
    told = {
        name: [
            {key: value for key, value in alert.items() if key not in ("id", "device")}
            for alert in server.api.get("/api/alerts", device=name, limit=100)["items"]
        ]
        for name in DIALECTS
    }
    assert {alert["rule"] for alert in told["lines"]} == {"hot", "long", "fast", "warm", "odd"}
    for name in DIALECTS:
        by_rule = [sorted(told[each], key=lambda alert: (alert["rule"], alert["fired"])) for each in ("lines", name)]
        assert by_rule[0] == by_rule[1], name
    hot = [(alert["fired"] - BASE_MS, alert["resolved"]) for alert in told["http"] if alert["rule"] == "hot"]
    assert hot == [(80_000, BASE_MS + 91_000), (1000, BASE_MS + 70_000)]


@pytest.mark.slow  # half a minute: a receiver that was out is tried again after 15 s
def test_each_piece_of_news_arrives_through_kills_and_outages(serve: Serve, hook: Hook) -> None:
    server = serve()
    channel = server.api.post("/api/channels", {"name": "desk", "kind": "webhook", "settings": {"url": hook.url}})["id"]
    when = {"key": "temp", "is": "above", "value": 30}
    server.api.post("/api/rules", {"id": "hot", "name": "Hot", "when": when, "channels": [channel]})
    tokens = {name: server.api.add_device(name) for name in ("a", "b", "c")}

    def say(name: str, value: float) -> None:
        with LineDevice(server.ports["line"], tokens[name]) as device:
            assert device.ask(f"temp={value}") == "OK 1"

    # Killed while the receiver has the message and has not answered.
    hook.answer = None
    say("a", 31)
    say("b", 31)
    assert hook.taken.wait(DEADLINE_S)
    server.kill()
    hook.answer = 503
    hook.taken.clear()
    server.start()
    # The same message again, which the receiver refuses; killed at once after a reading was acknowledged.
    assert hook.taken.wait(DEADLINE_S)
    wait_until(lambda: server.api.get("/api/deliveries")["items"][-1]["attempts"])
    say("a", 20)
    say("c", 31)
    server.kill()
    hook.answer = 200
    server.start()
    say("b", 20)
    server.kill()
    server.start()
    wanted = {(1, "firing"), (2, "firing"), (1, "resolved"), (3, "firing"), (2, "resolved")}
    wait_until(lambda: set(hook.news()) >= wanted, "the news")

    alerts = server.api.get("/api/alerts")["items"]
    assert [(alert["device"], alert["state"]) for alert in alerts] == [
        ("c", "firing"),
        ("b", "resolved"),
        ("a", "resolved"),
    ]
    assert set(hook.news()) == wanted, "and nothing else"
    for alert in (1, 2):
        assert [event for number, event in hook.news() if number == alert] == ["firing", "resolved"], "in their order"
    by_key = defaultdict(set)
    keys = defaultdict(set)
    for message in hook.messages:
        by_key[message["key"]].add(tuple(one["id"] for one in message["news"]))
        for one in message["news"]:
            keys[one["id"]].add(message["key"])
    assert all(len(contents) == 1 for contents in by_key.values()), "a repeat is of the same news"
    assert all(len(each) == 1 for each in keys.values()), "and has the same key"
    assert len(hook.messages) > len(by_key), "the first was repeated"
    wait_until(lambda: all(one["state"] == "sent" for one in server.api.get("/api/deliveries")["items"]))
