"""The same orders to a device over lines, HTTP long poll, MQTT and WebSocket end in the same ledger; and what a server
that is killed between two steps says of them afterwards.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from serving import DEADLINE_S, Account, ServerProcess, wait_until
from talking import HttpDevice, LineDevice

from hardpoint.cli.mqtt_client import MqttClient
from hardpoint.testing import WebSocketClient

MQTT = ("--listen", "mqtt://127.0.0.1:0")
STUCK = "the door is stuck"
Obey = Callable[[ServerProcess, Account, int], list[int]]
"""Attach, take so many commands and answer each: `STUCK` to ``fail``, its parameters to all others. Their numbers."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One for all tests here, with every dialect."""
    server = ServerProcess(tmp_path_factory.mktemp("shared") / "data", *MQTT).start()
    try:
        yield server
    finally:
        server.end()
    assert server.unexpected_log() == []


def over_lines(server: ServerProcess, device: Account, count: int) -> list[int]:
    numbers = []
    with LineDevice(server.ports["line"], device.token) as line:
        for _ in range(count):
            number, answer = line_answer(line.read())
            line.send(answer)
            numbers.append(number)
        line.ask("PING")
    return numbers


def line_answer(text: str) -> tuple[int, str]:
    number, method, params = text.split(" ", 2)
    return int(number[1:]), f"{number} ERR {STUCK}" if method == "fail" else f"{number} OK {params}"


def over_http(server: ServerProcess, device: Account, count: int) -> list[int]:
    numbers = []
    with HttpDevice(server.ports["http"], device.token) as http:
        for _ in range(count):
            _, command = http.get("rpc?timeout=20000")
            answer = {"error": STUCK} if command["method"] == "fail" else command["params"]
            assert http.post(f"rpc/{command['id']}", answer)[0] == 200
            numbers.append(command["id"])
    return numbers


def over_mqtt(server: ServerProcess, device: Account, count: int) -> list[int]:
    numbers: list[int] = []
    with MqttClient("127.0.0.1", server.ports["mqtt"], device.token) as mqtt:
        mqtt.subscribe([f"devices/{device.name}/commands/+"], qos=1, retained=True)
        messages = mqtt.messages()
        pending = []
        for _ in range(count):
            message = next(messages)
            pending.append((int(message.topic.rpartition("/")[2]), json.loads(message.payload)))
        # Taking the next message is what acknowledges the one before it; answers go by a connection of their own.
        with MqttClient("127.0.0.1", server.ports["mqtt"], device.token) as answering:
            for number, command in pending:
                answer = {"error": STUCK} if command["method"] == "fail" else command["params"]
                topic = f"devices/{device.name}/commands/{number}/answer"
                answering.publish(topic, json.dumps(answer).encode(), qos=1, retain=False)
                numbers.append(number)
    return numbers


def over_websocket(server: ServerProcess, device: Account, count: int) -> list[int]:
    async def scene() -> list[int]:
        numbers = []
        path = f"/api/v1/{device.token}/ws"
        async with WebSocketClient("127.0.0.1", server.ports["http"], path, timeout_s=DEADLINE_S) as ws:
            for _ in range(count):
                number, answer = line_answer(str(await ws.receive()))
                ws.send(answer)
                numbers.append(number)
            ws.send("PING")
            assert await ws.receive() == "PONG"
        return numbers

    return asyncio.run(scene())


DIALECTS: dict[str, Obey] = {"lines": over_lines, "http": over_http, "mqtt": over_mqtt, "websocket": over_websocket}


def ledger(server: ServerProcess, device: Account) -> list[tuple[Any, ...]]:
    """Oldest first: what was asked, what became of it and by which steps. ``delivered`` is left out: only a transport
    that acknowledges can say it.
    """
    items = server.api.get(f"/api/devices/{device.name}/commands")["items"]
    return [
        (
            each["method"],
            each["params"],
            each["state"],
            each["result"],
            [step["state"] for step in each["steps"] if step["state"] != "delivered"],
            each["steps"][-1]["reason"],
        )
        for each in reversed(items)
    ]


EXPECTED = [
    ("go", {"n": 1}, "done", {"n": 1}, ["queued", "sent", "done"], None),
    ("fail", None, "failed", STUCK, ["queued", "sent", "failed"], STUCK),
    ("go", [1, "ü"], "done", [1, "ü"], ["queued", "sent", "done"], None),
]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_same_orders_end_in_the_same_ledger(shared: ServerProcess, device: Account, dialect: str) -> None:
    for method, params, *_ in EXPECTED:
        shared.api.post(f"/api/devices/{device.name}/commands", {"method": method, "params": params})
    numbers = DIALECTS[dialect](shared, device, len(EXPECTED))
    assert numbers == sorted(set(numbers)), "each once, in order"
    wait_until(lambda: all(each[2] in ("done", "failed") for each in ledger(shared, device)))
    assert ledger(shared, device) == EXPECTED


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_attached_device_is_waited_for(shared: ServerProcess, device: Account, dialect: str) -> None:
    obeying = threading.Thread(target=DIALECTS[dialect], args=(shared, device, 1))
    obeying.start()
    body = {"method": "go", "params": 7, "wait_s": DEADLINE_S}
    assert shared.api.post(f"/api/devices/{device.name}/commands", body)["result"] == 7
    obeying.join(DEADLINE_S)
    assert not obeying.is_alive()


def test_a_server_killed_between_any_two_steps(server: ServerProcess) -> None:
    server.keep_ports()
    device = Account("dev", server.api.add_device("dev"))
    path = f"/api/devices/{device.name}/commands"

    def killed_and_back() -> None:
        server.kill()
        server.start()

    number = server.api.post(path, {"method": "go", "params": 1, "ttl_s": 600})["id"]
    killed_and_back()
    assert [each[4] for each in ledger(server, device)] == [["queued"]], "told to its caller, so on disk"
    with LineDevice(server.ports["line"], device.token) as line:
        assert line.read() == f"!{number} go 1"
        assert line.ask("temp=1") == "OK 1", "a later commit: the step before it is on disk too"
        killed_and_back()
    assert [each[4] for each in ledger(server, device)] == [["queued", "sent"]]
    with LineDevice(server.ports["line"], device.token) as line:
        assert line.read() == f"!{number} go 1", "again, with the same number"
        line.send(f"!{number} OK 2")
        assert line.ask("temp=2") == "OK 1"
        killed_and_back()
    assert [each[2:5] for each in ledger(server, device)] == [("done", 2, ["queued", "sent", "done"])]
    with LineDevice(server.ports["line"], device.token) as line:
        assert line.ask(f"!{number} OK 3").startswith("ERR not-found "), "an answer counts once, whatever happens"
        assert server.api.post(path, {"method": "go"})["id"] > number
        assert line.read().startswith(f"!{number + 1} go")
