"""Real clients: mosquitto's, paho, gmqtt, aiomqtt, MQTT.js, ThingsBoard's SDK, a publisher of Home Assistant discovery.

Each Python client runs in a process of its own: what it warns of is its own affair.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from serving import DEADLINE_S, ServerProcess, wait_until


def run_script(script: str, *arguments: object, modules: tuple[str, ...] = ()) -> list[str]:
    """What a Python program says, line by line."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: make conformance installs it")
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


needs_mosquitto = pytest.mark.skipif(
    shutil.which("mosquitto_sub") is None, reason="mosquitto_sub is not installed: apt-get install mosquitto-clients"
)


@needs_mosquitto
@pytest.mark.parametrize("version", ["mqttv31", "mqttv311", "mqttv5"])
@pytest.mark.parametrize("qos", ["0", "1", "2"])
class TestMosquitto:
    def test_publish_and_subscribe(self, broker: ServerProcess, version: str, qos: str) -> None:
        at = ["-h", "127.0.0.1", "-p", str(broker.ports["mqtt"]), "-V", version, "-q", qos]
        topic = f"mosquitto/{version}/{qos}"
        will = ["--will-topic", f"{topic}/will", "--will-payload", "gone"]
        subprocess.run(
            ["mosquitto_pub", *at, "-t", f"{topic}/kept", "-m", "kept", "-r"], check=True, timeout=DEADLINE_S
        )
        with subprocess.Popen(
            ["mosquitto_sub", *at, "-t", f"{topic}/#", "-v", "-C", "102", *will], stdout=subprocess.PIPE, text=True
        ) as listener:
            assert listener.stdout is not None
            assert listener.stdout.readline() == f"{topic}/kept kept\n"  # it has subscribed
            lines = "".join(f"{number}\n" for number in range(100))
            subprocess.run(
                ["mosquitto_pub", *at, "-t", f"{topic}/many", "-l"],
                input=lines,
                text=True,
                check=True,
                timeout=DEADLINE_S,
            )
            got = [listener.stdout.readline() for _ in range(100)]
            assert got == [f"{topic}/many {number}\n" for number in range(100)]
            payload = "x" * 100_000
            subprocess.run(
                ["mosquitto_pub", *at, "-t", f"{topic}/large", "-s"],
                input=payload,
                text=True,
                check=True,
                timeout=DEADLINE_S,
            )
            assert listener.stdout.readline() == f"{topic}/large {payload}\n"
            assert listener.wait(DEADLINE_S) == 0

    def test_a_device(self, server: ServerProcess, version: str, qos: str) -> None:
        name = f"box-{version}-{qos}"
        token = server.api.add_device(name)
        at = ["-h", "127.0.0.1", "-p", str(server.ports["mqtt"]), "-V", version, "-q", qos, "-u", token]
        subprocess.run(
            ["mosquitto_pub", *at, "-t", f"devices/{name}/temp", "-m", "21.5"], check=True, timeout=DEADLINE_S
        )
        wait_until(lambda: [value for _, value in server.api.readings(name, "temp")] == [21.5])
        wrong = ["mosquitto_pub", *at[:-1], "hp_wrong", "-t", "a", "-m", "b"]
        assert subprocess.run(wrong, capture_output=True, check=False, timeout=DEADLINE_S).returncode != 0


PAHO = """
import sys, threading
import paho.mqtt.client as mqtt
port, version = int(sys.argv[1]), int(sys.argv[2])
done, subscribed = threading.Event(), threading.Event()
got = []
def on_connect(client, userdata, flags, reason, properties):
    client.subscribe("paho/%d/#" % version, qos=2)
def on_subscribe(*arguments):
    subscribed.set()
def on_message(client, userdata, message):
    got.append((message.topic.rpartition("/")[2], message.qos, message.payload))
    if len(got) == 300:
        done.set()
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "paho-%d" % version, protocol=version)
client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
client.connect("127.0.0.1", port, 30)
client.loop_start()
assert subscribed.wait(20)
for number in range(100):
    for qos in range(3):
        client.publish("paho/%d/%d" % (version, qos), b"%d" % number, qos)
assert done.wait(30), len(got)
for qos in range(3):
    assert [payload for name, level, payload in got if name == str(qos)] == [b"%d" % n for n in range(100)], qos
    assert {level for name, level, _ in got if name == str(qos)} == {qos}
client.disconnect()
client.loop_stop()
print("ok")
"""

GMQTT = """
import asyncio, sys
from gmqtt import Client
async def main():
    done = asyncio.Event()
    got = []
    client = Client("gmqtt", user_property=("a", "b"))
    def on_message(client, topic, payload, qos, properties):
        got.append((topic, payload, properties.get("user_property")))
        if len(got) == 50:
            done.set()
        return 0
    client.on_message = on_message
    subscribed = asyncio.Event()
    client.on_subscribe = lambda *arguments: subscribed.set()
    await client.connect("127.0.0.1", int(sys.argv[1]))
    client.subscribe("gmqtt/#", qos=1)
    await asyncio.wait_for(subscribed.wait(), 20)
    for number in range(50):
        client.publish("gmqtt/x", str(number), qos=1, user_property=("k", "v"), message_expiry_interval=60)
    await asyncio.wait_for(done.wait(), 20)
    assert [payload for _, payload, _ in got] == [b"%d" % number for number in range(50)]
    assert got[0][2] == [("k", "v")], got[0]
    await client.disconnect()
    print("ok")
asyncio.run(main())
"""

AIOMQTT = """
import asyncio, sys
import aiomqtt
async def main():
    async with aiomqtt.Client("127.0.0.1", int(sys.argv[1])) as client:
        await client.subscribe("aiomqtt/#", qos=2)
        for number in range(50):
            await client.publish("aiomqtt/x", number, qos=number % 3)
        got = []
        async for message in client.messages:
            got.append(int(message.payload))
            if len(got) == 50:
                break
        assert sorted(got) == list(range(50))
    print("ok")
asyncio.run(asyncio.wait_for(main(), 40))
"""


@pytest.mark.parametrize("version", [3, 4, 5])
def test_paho(broker: ServerProcess, version: int) -> None:
    assert run_script(PAHO, broker.ports["mqtt"], version, modules=("paho",)) == ["ok"]


def test_gmqtt(broker: ServerProcess) -> None:
    assert run_script(GMQTT, broker.ports["mqtt"], modules=("gmqtt",))[-1] == "ok"


def test_aiomqtt(broker: ServerProcess) -> None:
    assert run_script(AIOMQTT, broker.ports["mqtt"], modules=("aiomqtt",)) == ["ok"]


THINGSBOARD = """
import sys, threading, time
from tb_device_mqtt import TBDeviceMqttClient
port, token = int(sys.argv[1]), sys.argv[2]
client = TBDeviceMqttClient("127.0.0.1", port, token)
client.connect(timeout=20)
deadline = time.monotonic() + 20
while not client.is_connected():  # connect() does not wait for it
    assert time.monotonic() < deadline
    time.sleep(0.01)
result = client.send_telemetry({"temp": 21.5, "door": True})
assert result.get() == 0, result.get()
assert client.send_attributes({"fw": "1.2"}).get() == 0
asked = threading.Event()
answers = []
def on_attributes(answer, error):
    answers.append(answer)
    asked.set()
client.request_attributes(["fw"], [], callback=on_attributes)
assert asked.wait(20)
assert answers == [{"client": {"fw": "1.2"}}], answers
called = threading.Event()
def on_rpc(number, request):
    client.send_rpc_reply(number, {"echo": request["params"]})
    called.set()
client.set_server_side_rpc_request_handler(on_rpc)
print("ready", flush=True)
assert called.wait(30)
sys.stdin.readline()
client.disconnect()
client.stop()
print("ok", flush=True)
import os
os._exit(0)  # its threads do not end by themselves
"""


def test_thingsboard_sdk(server: ServerProcess) -> None:
    if importlib.util.find_spec("tb_device_mqtt") is None:
        pytest.skip("tb-mqtt-client is not installed: make conformance installs it")
    token = server.api.add_device("tb")
    with subprocess.Popen(
        [sys.executable, "-c", THINGSBOARD, str(server.ports["mqtt"]), token],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as device:
        assert device.stdout is not None
        assert device.stdin is not None
        assert device.stderr is not None
        assert device.stdout.readline() == "ready\n", device.stderr.read()
        assert [value for _, value in server.api.readings("tb", "temp")] == [21.5]
        command = server.api.post("/api/devices/tb/commands", {"method": "set", "params": {"x": 1}, "wait_s": 20})
        assert (command["state"], command["result"]) == ("done", {"echo": {"x": 1}})
        assert [step["state"] for step in command["steps"]][:2] == ["queued", "sent"]
        device.stdin.write("\n")
        device.stdin.flush()
        assert device.stdout.readline() == "ok\n", device.stderr.read()


HOME_ASSISTANT = """
import sys, time
from ha_mqtt_discoverable import Settings, DeviceInfo
from ha_mqtt_discoverable.sensors import Sensor, SensorInfo
mqtt = Settings.MQTT(host="127.0.0.1", port=int(sys.argv[1]))
device = DeviceInfo(name="Box 1", identifiers="box1")
info = SensorInfo(name="CPU temp", unique_id="cpu", device=device, unit_of_measurement="C")
sensor = Sensor(Settings(mqtt=mqtt, entity=info))
sensor.set_state(21.5)
time.sleep(1)
print("ok", flush=True)
import os
os._exit(0)
"""


@needs_mosquitto
def test_home_assistant_discovery(broker: ServerProcess) -> None:
    assert run_script(HOME_ASSISTANT, broker.ports["mqtt"], modules=("ha_mqtt_discoverable",))[-1] == "ok"
    found = subprocess.run(
        ["mosquitto_sub", "-p", str(broker.ports["mqtt"]), "-t", "homeassistant/#", "-C", "1", "-W", "10"],
        capture_output=True,
        check=True,
        timeout=DEADLINE_S,
    )
    assert json.loads(found.stdout)["unit_of_measurement"] == "C"


OPERATIONS = Path(__file__).parent / "mqtt_js" / "operations.js"


@pytest.fixture(scope="module")
def mqtt_js(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with MQTT.js in it."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed: apt-get install nodejs npm")
    folder = tmp_path_factory.mktemp("node")
    done = subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--prefix", str(folder), "mqtt@5"],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm cannot install MQTT.js: {done.stderr[-200:]}")
    return folder


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("transport", ["tcp", "ws"])
def test_mqtt_js(broker: ServerProcess, mqtt_js: Path, version: int, transport: str) -> None:
    url = f"mqtt://127.0.0.1:{broker.ports['mqtt']}"
    if transport == "ws":
        url = f"ws://127.0.0.1:{broker.ports['http']}/mqtt"
    done = subprocess.run(
        ["node", OPERATIONS, url, str(version)],
        env={**os.environ, "NODE_PATH": str(mqtt_js / "node_modules")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == {3: 12, 4: 13, 5: 20}[version]  # each says its name
