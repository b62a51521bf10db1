"""The texts of programs that attach a device, for `string.Template`: ``$host``, ``$port``, ``$token``, ``$origin``.

Each is the smallest full round trip: it says a reading, and those that stay answer a command.
"""

from __future__ import annotations

NC = r"printf 'HELLO $token\ntemp=21.5\nQUIT\n' | nc $host $port"
"""QUIT makes the server close: OpenBSD's nc never half-closes without -N, and would stay."""

CURL = """\
curl -X POST $origin/api/v1/$token/telemetry \\
  -H 'Content-Type: application/json' -d '{"temp": 21.5}'"""

PYTHON = """\
import socket

with socket.create_connection(("$host", $port)) as connection:
    connection.sendall(b"HELLO $token\\ntemp=21.5\\n")
    for line in connection.makefile(encoding="utf-8"):
        print(line, end="")
        if line.startswith("!"):  # a command: !<id> <method> <params>
            number = line[1:].split()[0]
            connection.sendall(f"!{number} OK true\\n".encode())
"""

MICROPYTHON = """\
import socket

# On a board, first: import network; wlan = network.WLAN(network.STA_IF)
# wlan.active(True); wlan.connect("your network", "its password")
connection = socket.socket()
connection.connect(socket.getaddrinfo("$host", $port)[0][-1])
lines = connection.makefile("rwb")


def say(line):
    lines.write(line.encode() + b"\\n")
    lines.flush()


say("HELLO $token")
say("temp=21.5")
while True:
    line = lines.readline()
    if not line:
        break
    print(line.decode().rstrip())
    if line.startswith(b"!"):  # a command: !<id> <method> <params>
        say(line.decode().split()[0] + " OK true")
"""

ARDUINO = """\
#include <WiFi.h>  // ESP8266: <ESP8266WiFi.h>

const char *NETWORK = "your network";
const char *PASSWORD = "its password";
const char *HOST = "$host";
const int PORT = $port;
const char *TOKEN = "$token";

WiFiClient server;
unsigned long saidAt = 0;

void setup() {
  Serial.begin(115200);
  WiFi.begin(NETWORK, PASSWORD);
  while (WiFi.status() != WL_CONNECTED) delay(250);
}

void loop() {
  if (!server.connected()) {
    if (!server.connect(HOST, PORT)) {
      delay(2000);
      return;
    }
    server.print("HELLO ");
    server.println(TOKEN);
    saidAt = 0;
  }
  if (saidAt == 0 || millis() - saidAt > 10000) {
    saidAt = millis();
    server.print("temp=");
    server.println(21.5);
  }
  while (server.available()) {
    String line = server.readStringUntil('\\n');
    Serial.println(line);
    if (line.startsWith("!")) {  // a command: !<id> <method> <params>
      server.println(line.substring(0, line.indexOf(' ')) + " OK true");
    }
  }
}
"""

MQTT = """\
mosquitto_pub -h $host -p $port -u $token -q 1 -t v1/devices/me/telemetry -m '{"temp": 21.5}'
# Commands arrive here:
mosquitto_sub -h $host -p $port -u $token -q 1 -v -t v1/devices/me/rpc/request/+"""

WEBSOCKET = """\
const device = new WebSocket("$ws/api/v1/$token/ws");
device.onopen = () => device.send("temp=21.5");
device.onmessage = ({ data }) => {
  console.log(data);
  // A command: !<id> <method> <params>
  if (data.startsWith("!")) device.send(`$${data.split(" ")[0]} OK true`);
};"""

AGENT = "hardpoint agent --server $address --token $token"

NODE = """\
const connection = require("net").connect($port, "$host");
connection.write("HELLO $token\\ntemp=21.5\\n");
require("readline")
  .createInterface({ input: connection })
  .on("line", (line) => {
    console.log(line);
    // A command: !<id> <method> <params>
    if (line.startsWith("!")) connection.write(line.split(" ")[0] + " OK true\\n");
  });
"""

PAHO = """\
import paho.mqtt.client as mqtt  # pip install paho-mqtt


def on_connect(client, *_):
    client.subscribe("v1/devices/me/rpc/request/+", qos=1)
    client.publish("v1/devices/me/telemetry", '{"temp": 21.5}', qos=1)


def on_message(client, _, message):  # a command
    print(message.topic, message.payload.decode())
    client.publish(message.topic.replace("request", "response"), "true", qos=1)


$client
client.on_connect, client.on_message = on_connect, on_message
client.username_pw_set("$token")
client.connect("$host", $port)
client.loop_forever()
"""
PAHO_CLIENT = "client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)"
PAHO_CLIENT_WEBSOCKET = """\
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, transport="websockets")
client.ws_set_options("/mqtt")"""
PAHO_TLS = "\nclient.tls_set()"

ESPHOME = """\
esphome:
  name: hardpoint-node
  on_boot:
    - priority: -100
      then:
        - lambda: |-
            mqtt::global_mqtt_client->subscribe(
                "v1/devices/me/rpc/request/+",
                [](const std::string &topic, const std::string &payload) {  // a command
                  ESP_LOGI("hardpoint", "%s", payload.c_str());
                  std::string number = topic.substr(topic.rfind('/') + 1);
                  mqtt::global_mqtt_client->publish("v1/devices/me/rpc/response/" + number, std::string("true"), 1);
                },
                1);

esp32:
  board: esp32dev
  framework:
    type: arduino

logger:

wifi:
  ssid: "your network"
  password: "its password"

mqtt:
  broker: "$host"
  port: $port
  username: "$token"
  topic_prefix: null
  discovery: false

sensor:
  - platform: template
    name: Temperature
    id: temp
    lambda: return 21.5;
    update_interval: 10s
    on_value:
      - mqtt.publish_json:
          topic: v1/devices/me/telemetry
          qos: 1
          payload: |-
            root["temp"] = x;
"""

NODE_RED = """\
[
  { "id": "hardpoint_tab", "type": "tab", "label": "Hardpoint" },
  { "id": "hardpoint_socket", "type": "websocket-client", "path": "$ws/api/v1/$token/ws", "tls": "",
    "wholemsg": "false", "hb": "0", "subprotocol": "", "headers": [] },
  { "id": "hardpoint_reading", "type": "inject", "z": "hardpoint_tab", "name": "temp, every 10 s",
    "props": [{ "p": "payload" }], "payload": "temp=21.5", "payloadType": "str",
    "repeat": "10", "once": true, "onceDelay": 1, "x": 140, "y": 80, "wires": [["hardpoint_out"]] },
  { "id": "hardpoint_out", "type": "websocket out", "z": "hardpoint_tab", "name": "to Hardpoint",
    "server": "", "client": "hardpoint_socket", "x": 580, "y": 80, "wires": [] },
  { "id": "hardpoint_in", "type": "websocket in", "z": "hardpoint_tab", "name": "from Hardpoint",
    "server": "", "client": "hardpoint_socket", "x": 130, "y": 160,
    "wires": [["hardpoint_command", "hardpoint_debug"]] },
  { "id": "hardpoint_command", "type": "function", "z": "hardpoint_tab", "name": "answer a command",
    "func": "return msg.payload.startsWith('!') ? { payload: msg.payload.split(' ')[0] + ' OK true' } : null;",
    "outputs": 1, "x": 360, "y": 160, "wires": [["hardpoint_out"]] },
  { "id": "hardpoint_debug", "type": "debug", "z": "hardpoint_tab", "name": "", "active": true,
    "tosidebar": true, "complete": "payload", "x": 350, "y": 220, "wires": [] }
]
"""
