"""A device's day over the wire: its presence, commands that reach it and come back answered, attributes that are
pushed, readings that were late, and who watches it live.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from serving import DEADLINE_S, UnixConnection, wait_until
from talking import HttpDevice, LineDevice, LiveStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving import Account, ServerProcess


@pytest.fixture
def elsewhere() -> Iterator[ThreadPoolExecutor]:
    """For a call that waits for what the test does meanwhile."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


def presence(server: ServerProcess, device: Account) -> dict[str, Any]:
    return dict(server.api.get(f"/api/devices/{device.name}")["presence"])


def states(command: dict[str, Any]) -> list[str]:
    return [step["state"] for step in command["steps"]]


# Presence


def test_presence_follows_the_connection(shared: ServerProcess, device: Account) -> None:
    began = time.time_ns() // 1_000_000
    assert presence(shared, device)["connected"] is None
    assert presence(shared, device)["last_seen"] is None
    with LineDevice(shared.ports["line"], device.token) as line:
        connected = presence(shared, device)["connected"]
        host, port = line.sock.getsockname()
        assert connected["from"] == f"{host}:{port}"
        assert connected["dialect"] == "line"
        assert connected["since"] >= began
        assert presence(shared, device)["last_reading"] is None
        line.ask("temp=1")
        assert presence(shared, device)["last_reading"] >= began
    wait_until(lambda: presence(shared, device)["connected"] is None)
    gone = presence(shared, device)
    assert gone["last_seen"] >= gone["last_reading"]


def test_a_post_is_seen_but_not_a_connection(shared: ServerProcess, device: Account) -> None:
    with HttpDevice(shared.ports["http"], device.token) as http:
        assert http.post("telemetry", {"temp": 1})[0] == 200
        facts = presence(shared, device)
        assert facts["connected"] is None
        assert facts["last_reading"] == facts["last_seen"] > 0


def test_a_list_of_who_is_there(shared: ServerProcess, device: Account) -> None:
    def found(online: str) -> list[str]:
        return [each["id"] for each in shared.api.get("/api/devices", online=online, search=device.name)["items"]]

    assert (found("true"), found("false")) == ([], [device.name])
    with LineDevice(shared.ports["line"], device.token):
        assert (found("true"), found("false")) == ([device.name], [])


# Commands


def test_a_command_over_a_line(shared: ServerProcess, device: Account, elsewhere: ThreadPoolExecutor) -> None:
    with LineDevice(shared.ports["line"], device.token) as line:
        body = {"method": "set-led", "params": {"on": True}, "wait_s": DEADLINE_S}
        waiting = elsewhere.submit(shared.api.post, f"/api/devices/{device.name}/commands", body)
        number, method, params = line.read().split(" ", 2)
        assert (method, json.loads(params)) == ("set-led", {"on": True})
        line.send(f'{number} OK {{"was":false}}')
        command = waiting.result(DEADLINE_S)
    assert number == f"!{command['id']}"
    assert command["result"] == {"was": False}
    assert states(command) == ["queued", "sent", "done"]
    times = [step["at"] for step in command["steps"]]
    assert times == sorted(times)
    assert shared.api.get(f"/api/commands/{command['id']}") == command


def test_a_device_that_says_it_failed(shared: ServerProcess, device: Account, elsewhere: ThreadPoolExecutor) -> None:
    with LineDevice(shared.ports["line"], device.token) as line:
        body = {"method": "open", "wait_s": DEADLINE_S}
        waiting = elsewhere.submit(shared.api.post, f"/api/devices/{device.name}/commands", body)
        number = line.read().split()[0]
        line.send(f"{number} ERR the door is stuck")
        command = waiting.result(DEADLINE_S)
        assert command["state"] == "failed"
        assert command["steps"][-1]["reason"] == "the door is stuck"
        assert line.ask(f"{number} OK 1").startswith("ERR not-found "), "an answer counts once"


def test_a_command_waits_for_its_device(shared: ServerProcess, device: Account) -> None:
    first, second = (
        shared.api.post(f"/api/devices/{device.name}/commands", {"method": method})["id"] for method in ("one", "two")
    )
    with LineDevice(shared.ports["line"], device.token) as line:
        assert [line.read(), line.read()] == [f"!{first} one null", f"!{second} two null"], "in their order"
        line.send(f"!{first} OK")
        wait_until(lambda: shared.api.get(f"/api/commands/{first}")["state"] == "done")
    wait_until(lambda: presence(shared, device)["connected"] is None)
    with LineDevice(shared.ports["line"], device.token) as line:
        assert line.read() == f"!{second} two null", "sent again, with the same number, as it was never answered"
        line.send(f"!{second} OK 7")
        wait_until(lambda: shared.api.get(f"/api/commands/{second}")["state"] == "done")
    ledger = shared.api.get(f"/api/devices/{device.name}/commands")["items"]
    assert [command["id"] for command in ledger] == [second, first]


def test_nobody_answers_in_time(shared: ServerProcess, device: Account) -> None:
    path = f"/api/devices/{device.name}/commands"
    status, answer = shared.api.request("POST", path, {"method": "blink", "wait_s": 0.05})
    assert (status, answer["error"]["code"]) == (504, "timed_out")
    assert answer["command"]["state"] == "queued"
    assert shared.api.request("DELETE", f"/api/commands/{answer['command']['id']}")[0] == 200
    command = shared.api.post(path, {"method": "blink", "ttl_s": 0.2})
    expired = wait_until(
        lambda: (now := shared.api.get(f"/api/commands/{command['id']}"))["state"] == "expired" and now
    )
    assert states(expired) == ["queued", "expired"]
    with LineDevice(shared.ports["line"], device.token) as line:
        assert line.ask("PING") == "PONG", "what has expired is not sent"


def test_a_cancelled_command_is_not_sent(shared: ServerProcess, device: Account) -> None:
    number = shared.api.post(f"/api/devices/{device.name}/commands", {"method": "blink"})["id"]
    status, cancelled = shared.api.request("DELETE", f"/api/commands/{number}")
    assert (status, states(cancelled)) == (200, ["queued", "cancelled"])
    assert shared.api.request("DELETE", f"/api/commands/{number}")[0] == 409
    with LineDevice(shared.ports["line"], device.token) as line:
        assert line.ask("PING") == "PONG"


def test_a_command_over_a_long_poll(shared: ServerProcess, device: Account, elsewhere: ThreadPoolExecutor) -> None:
    with HttpDevice(shared.ports["http"], device.token) as http:
        assert http.get("rpc?timeout=50")[0] == 408
        polling = elsewhere.submit(http.get, "rpc?timeout=20000")
        wait_until(lambda: presence(shared, device)["connected"])
        assert presence(shared, device)["connected"]["dialect"] == "http"
        body = {"method": "read", "params": {"pin": 4}, "wait_s": DEADLINE_S}
        waiting = elsewhere.submit(shared.api.post, f"/api/devices/{device.name}/commands", body)
        status, command = polling.result(DEADLINE_S)
        assert (status, command["method"], command["params"]) == (200, "read", {"pin": 4})
        assert http.post(f"rpc/{command['id']}", {"level": 1})[0] == 200
        assert waiting.result(DEADLINE_S)["result"] == {"level": 1}
        assert http.post(f"rpc/{command['id']}", 1)[0] == 404


# Attributes and back-fill


def test_shared_attributes_are_pushed(shared: ServerProcess, device: Account, elsewhere: ThreadPoolExecutor) -> None:
    path = f"/api/devices/{device.name}/attributes?scope=shared"
    with LineDevice(shared.ports["line"], device.token) as line, HttpDevice(shared.ports["http"], device.token) as http:
        polling = elsewhere.submit(http.get, "attributes/updates?timeout=20000")
        wait_until(lambda: presence(shared, device)["connected"]["dialect"] == "http")
        assert shared.api.put(path, {"rate": 5, "name": "x"}) == {"rate": 5, "name": "x"}
        assert polling.result(DEADLINE_S) == (200, {"rate": 5, "name": "x"})
        verb, _, told = line.read().partition(" ")
        assert (verb, json.loads(told)) == ("ATTR", {"rate": 5, "name": "x"})
        assert shared.api.put(path, {"name": None}) == {"rate": 5}
        assert line.read() == 'ATTR {"name":null}'
        assert http.get("attributes?sharedKeys=rate,name") == (200, {"shared": {"rate": 5}})


def test_back_filled_readings_keep_their_own_times(shared: ServerProcess, device: Account) -> None:
    now = time.time_ns() // 1_000_000
    with LineDevice(shared.ports["line"], device.token) as line, HttpDevice(shared.ports["http"], device.token) as http:
        assert line.ask("temp=3") == "OK 1"
        assert line.ask(f"temp=1 @{now - 7_200_000}") == "OK 1"
        assert http.post("telemetry", [{"ts": now - 3_600_000, "values": {"temp": 2}}])[0] == 200
        assert [value for _, value in shared.api.readings(device.name, "temp")] == [1, 2, 3]
        assert line.ask("GET temp").startswith("temp=3 @"), "the latest is the one with the latest time"
        assert line.ask(f"temp=1.5 @{now - 7_200_000}") == "OK 1"
        assert [value for _, value in shared.api.readings(device.name, "temp")] == [1.5, 2, 3], (
            "the same time: replaced"
        )


def test_the_same_reading_over_every_dialect_is_the_same_row(shared: ServerProcess, device: Account) -> None:
    values = {"number": 21.5, "whole": 7, "yes": True, "text": 'two "words"', "unicode": "23 °C"}
    with LineDevice(shared.ports["line"], device.token) as line, HttpDevice(shared.ports["http"], device.token) as http:
        written = " ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
        assert line.ask(f"{written} @1000") == "OK 5"
        assert line.ask(json.dumps({"ts": 2000, "values": values})) == "OK 5"
        assert http.post("telemetry", {"ts": 3000, "values": values}) == (200, "")
    for key, value in values.items():
        found = shared.api.readings(device.name, key)
        assert found == [(1000, value), (2000, value), (3000, value)]
        assert {type(each) for _, each in found} == {type(value)}


# Live


def live(server: ServerProcess, query: str = "", last_id: str | None = None) -> LiveStream:
    return LiveStream(UnixConnection(server.folder / "hardpoint.sock"), query, last_id)


def test_what_happens_is_seen_live(shared: ServerProcess, device: Account) -> None:
    with live(shared, f"device={device.name}") as stream, LineDevice(shared.ports["line"], device.token) as line:
        assert stream.next("presence")["presence"]["connected"]["dialect"] == "line"
        assert line.ask("temp=21.5") == "OK 1"
        seen = stream.next("reading")
        assert (seen["device"], seen["readings"][0][0], seen["readings"][0][2]) == (device.name, "temp", 21.5)
        number = shared.api.post(f"/api/devices/{device.name}/commands", {"method": "blink"})["id"]
        assert [stream.next("command")["state"] for _ in range(2)] == ["queued", "sent"]
        assert line.read() == f"!{number} blink null"
        line.close()
        assert stream.next("presence")["presence"]["connected"] is None


def test_a_stream_resumes_where_it_broke(shared: ServerProcess, device: Account) -> None:
    query = f"device={device.name}&key=n"
    with LineDevice(shared.ports["line"], device.token) as line:
        seen: list[int] = []
        last_id: str | None = None
        for first in range(0, 50, 10):
            with live(shared, query, last_id) as stream:
                line.ask(f"n={first} other=1")
                while not seen or seen[-1] < first:
                    seen += [value for _, _, value in stream.next("reading")["readings"]]
                last_id = stream.last_id
            for number in range(first + 1, first + 10):  # nobody is watching
                assert line.ask(f"n={number}") == "OK 1"
        with live(shared, query, last_id) as stream:
            while seen[-1] < 49:
                seen += [value for _, _, value in stream.next("reading")["readings"]]
    # A stream may repeat what it was sent just before it broke, and leaves nothing out.
    assert sorted(set(seen)) == list(range(50))


def test_a_stream_of_an_earlier_start_is_told_to_fetch_anew(server: ServerProcess) -> None:
    with live(server) as stream:
        stream.next("hello")
        last_id = stream.last_id
    assert server.stop() == 0
    server.start()
    with live(server, last_id=last_id) as stream:
        assert stream.next("reset") == {}


def test_a_stream_ends_when_the_server_stops(server: ServerProcess) -> None:
    with live(server) as stream:
        stream.next("hello")
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        with pytest.raises((EOFError, http.client.HTTPException)):
            stream.next("never")
        stopping.join(DEADLINE_S)
