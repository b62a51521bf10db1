"""ThingsBoard's gateway client, unmodified (``TBGatewayMqttClient`` of ``tb-mqtt-client``), for two devices."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from typing import Any, Self

import pytest
from serving import ServerProcess, wait_until

GATEWAY = """
import json, sys, threading, time
from tb_gateway_mqtt import TBGatewayMqttClient

client = TBGatewayMqttClient("127.0.0.1", int(sys.argv[1]), sys.argv[2])
client.connect(timeout=20)
deadline = time.monotonic() + 20
while not client.is_connected() or client.get_subscriptions_in_progress():  # connect() waits for neither
    assert time.monotonic() < deadline
    time.sleep(0.01)

def say(*words):
    print(json.dumps(words), flush=True)

def asked(ask, *arguments):
    answered, found = threading.Event(), []
    def on_answer(answer, error):
        found.append(answer if error is None else str(error))
        answered.set()
    ask(*arguments, on_answer)
    assert answered.wait(20), arguments
    return found[0]

def on_command(gateway, content):
    data = content["data"]
    gateway.gw_send_rpc_reply(content["device"], data["id"], {"echo": data["params"], "from": content["device"]})

client.gw_set_server_side_rpc_request_handler(on_command)
for name in ("Pump 1", "Lamp"):
    assert client.gw_connect_device(name, "modbus").get() == 0
assert client.gw_subscribe_to_all_attributes(lambda content: say("all", content))
assert client.gw_subscribe_to_attribute("Pump 1", "limit", lambda content: say("limit", content))
assert client.gw_send_telemetry("Pump 1", {"ts": 1700000000000, "values": {"rpm": 50, "on": True}}).get() == 0
assert client.gw_send_telemetry("Pump 1", [{"rpm": 51}, {"ts": 1700000001000, "values": {"rpm": 52}}]).get() == 0
assert client.gw_send_telemetry("Lamp", {"lux": 3.5}).get() == 0
assert client.gw_send_attributes("Pump 1", {"fw": "1.2", "phases": 3}).get() == 0
say("sent")
say("one", asked(client.gw_request_client_attributes, "Pump 1", ["fw"]))
say("two", asked(client.gw_request_client_attributes, "Pump 1", ["fw", "phases"]))
for word in sys.stdin:
    word = word.strip()
    if word == "shared":
        say("shared", asked(client.gw_request_shared_attributes, "Pump 1", ["limit", "site"]))
    elif word == "claim":
        say("claim", client.gw_claim("Lamp", "sesame", 60000).get())
    elif word == "part":
        say("part", client.gw_disconnect_device("Lamp").get())
    elif word == "own":  # the gateway is a device itself
        say("own", client.send_telemetry({"bus_errors": 0}).get())
    else:
        break
client.disconnect()
client.stop()
say("ok")
import os
os._exit(0)  # its threads do not end by themselves
"""


class Gateway:
    """The client's process: what it is told to do, and what it says."""

    def __init__(self, port: int, token: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", GATEWAY, str(port), token],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def heard(self) -> Any:
        """Its next words."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return json.loads(line)

    def tell(self, word: str) -> None:
        """Have it do something."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.process.kill()
        self.process.communicate()


def test_gateway_sdk(server: ServerProcess) -> None:
    if importlib.util.find_spec("tb_gateway_mqtt") is None:
        pytest.skip("tb-mqtt-client is not installed: make conformance installs it")
    api = server.api
    made = api.post("/api/devices", {"name": "gw", "gateway": True})

    def device(name: str) -> Any:
        return api.get(f"/api/devices/{name}")

    with Gateway(server.ports["mqtt"], made["token"]) as gateway:
        assert gateway.heard() == ["sent"]  # every PUBACK has come, so all of it is on disk
        pump = api.readings("Pump%201", "rpm")
        assert pump[:2] == [(1700000000000, 50), (1700000001000, 52)]
        assert [value for _, value in pump] == [50, 52, 51]
        assert api.readings("Pump%201", "on") == [(1700000000000, True)]
        assert [value for _, value in api.readings("Lamp", "lux")] == [3.5]
        assert api.get("/api/devices/Pump%201/attributes", scope="client") == {"fw": "1.2", "phases": 3}
        assert device("Lamp")["labels"] == {"type": "modbus"}
        assert device("Lamp")["presence"]["connected"]
        assert gateway.heard() == ["one", {"id": 1, "device": "Pump 1", "value": "1.2"}]
        assert gateway.heard() == ["two", {"id": 2, "device": "Pump 1", "values": {"fw": "1.2", "phases": 3}}]

        api.put("/api/devices/Pump%201/attributes?scope=shared", {"limit": 80})
        pushed = {"device": "Pump 1", "data": {"limit": 80}}
        assert [gateway.heard(), gateway.heard()] == [["all", pushed], ["limit", pushed]]
        api.put("/api/devices/Pump%201/attributes?scope=shared", {"site": "north"})
        assert gateway.heard() == ["all", {"device": "Pump 1", "data": {"site": "north"}}]
        gateway.tell("shared")
        answer = {"id": 3, "device": "Pump 1", "values": {"limit": 80, "site": "north"}}
        assert gateway.heard() == ["shared", answer]

        wanted = {"method": "set", "params": {"rpm": 60}, "wait_s": 20}
        command = api.post("/api/devices/Pump%201/commands", wanted)
        assert (command["state"], command["result"]) == ("done", {"echo": {"rpm": 60}, "from": "Pump 1"})
        assert [step["state"] for step in command["steps"]][:2] == ["queued", "sent"]

        gateway.tell("claim")
        assert gateway.heard() == ["claim", 0]
        assert api.post("/api/devices/Lamp/claim", {"secret": "sesame"})["labels"]["owner"]
        gateway.tell("own")
        assert gateway.heard() == ["own", 0]
        assert [value for _, value in api.readings("gw", "bus_errors")] == [0]
        gateway.tell("part")
        assert gateway.heard() == ["part", 0]
        wait_until(lambda: not device("Lamp")["presence"]["connected"])
        assert device("Pump%201")["presence"]["connected"]
        gateway.tell("end")
        assert gateway.heard() == ["ok"]
    wait_until(lambda: not device("Pump%201")["presence"]["connected"])
