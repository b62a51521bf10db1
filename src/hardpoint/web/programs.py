"""The texts of programs that attach a device, for `string.Template`: ``$host``, ``$port``, ``$token``, ``$origin``.

Each is the smallest full round trip: it says a reading, and those that stay answer a command. What TLS changes in one
stands behind it. ``$..._ca`` is how it is told whom to trust, where that is the server's own authority and not one that
the machine knows: by the file ``ca.pem`` beside it, or on a board by the certificate in its text (`OWN_AUTHORITY`).
"""

from __future__ import annotations

OWN_AUTHORITY = {
    "openssl_ca": " -CAfile ca.pem",
    "curl_ca": " --cacert ca.pem",
    "python_ca": 'cafile="ca.pem"',
    "mosquitto_ca": "--cafile ca.pem",
    "paho_ca": '"ca.pem"',
    "node_ca": ', ca: require("fs").readFileSync("ca.pem")',
    "node_red_ca": "ca.pem",
    "agent_ca": " --ca ca.pem",
}
"""How each is told to trust the server's own authority."""
KNOWN_AUTHORITY = dict.fromkeys(OWN_AUTHORITY, "") | {"mosquitto_ca": "--tls-use-os-certs"}
"""And where the certificate is by one that everybody knows."""
ITS_CERTIFICATE = "the certificate of the authority that signed the server's"
"""In the place of an authority's certificate that only the person has."""


def _changed(text: str, *changes: tuple[str, str]) -> str:
    """The text with each of these pieces, which are in it once, replaced by another."""
    for old, new in changes:
        before, found, behind = text.partition(old)
        if not found or old in behind:
            raise ValueError(f"this is not in it once: {old!r}")
        text = before + new + behind
    return text


NC = r"printf 'HELLO $token\ntemp=21.5\nQUIT\n' | nc $host $port"
"""QUIT makes the server close: OpenBSD's nc never half-closes without -N, and would stay."""
NC_TLS = r"""printf 'HELLO $token\ntemp=21.5\nQUIT\n' |
  openssl s_client -quiet -verify_return_error $verified$openssl_ca -connect $address"""
"""nc itself speaks no TLS, and openssl takes any name unless it is told which. -quiet also makes it wait for the
answers, behind the end of what it was given.
"""

CURL = """\
curl -f$curl_ca -X POST $origin/api/v1/$token/telemetry \\
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

PYTHON_TLS = _changed(
    PYTHON,
    ("import socket\n", "import socket\nimport ssl\n"),
    (
        'with socket.create_connection(("$host", $port)) as connection:',
        """trust = ssl.create_default_context($python_ca)
server = socket.create_connection(("$host", $port))
with trust.wrap_socket(server, server_hostname="$host") as connection:""",
    ),
)

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

MICROPYTHON_TLS = _changed(
    MICROPYTHON,
    ("import socket\n", "import binascii\nimport socket\nimport ssl\n"),
    (
        'wlan.connect("your network", "its password")\n',
        """wlan.connect("your network", "its password")
# And the time, without which no certificate can be judged: import ntptime; ntptime.settime()
CA = "$base64_ca"
trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
trust.load_verify_locations(cadata=binascii.a2b_base64(CA))
""",
    ),
    (
        "$port)[0][-1])\n",
        """$port)[0][-1])
connection = trust.wrap_socket(connection, server_hostname="$host")
""",
    ),
)
"""What it loads is the certificate as bytes (DER), which CPython takes as well."""

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

ARDUINO_TLS = _changed(
    ARDUINO,
    (
        "#include <WiFi.h>  // ESP8266: <ESP8266WiFi.h>\n",
        "#include <WiFi.h>\n#include <WiFiClientSecure.h>\n#include <time.h>\n",
    ),
    (
        "WiFiClient server;\n",
        """const char *CA = R"($pem_ca)";

WiFiClientSecure server;
""",
    ),
    (
        "delay(250);\n",
        """delay(250);
  configTime(0, 0, "pool.ntp.org");  // no certificate can be judged without the time
  while (time(nullptr) < 1700000000) delay(250);
  server.setCACert(CA);
""",
    ),
)

MQTT = """\
mosquitto_pub -h $host -p $port -u $token -q 1 -t v1/devices/me/telemetry -m '{"temp": 21.5}'
# Commands arrive here:
mosquitto_sub -h $host -p $port -u $token -q 1 -v -t v1/devices/me/rpc/request/+"""

MQTT_TLS = """\
mosquitto_pub -h $host -p $port $mosquitto_ca -u $token -q 1 -t v1/devices/me/telemetry -m '{"temp": 21.5}'
# Commands arrive here:
mosquitto_sub -h $host -p $port $mosquitto_ca -u $token -q 1 -v -t v1/devices/me/rpc/request/+"""

WEBSOCKET = """\
const device = new WebSocket("$ws/api/v1/$token/ws");
device.onopen = () => device.send("temp=21.5");
device.onmessage = ({ data }) => {
  console.log(data);
  // A command: !<id> <method> <params>
  if (data.startsWith("!")) device.send(`$${data.split(" ")[0]} OK true`);
};"""

AGENT = "hardpoint agent --server $address --token $token"
AGENT_TLS = "hardpoint agent --server lines://$address$agent_ca --token $token"

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

NODE_TLS = _changed(
    NODE,
    (
        'const connection = require("net").connect($port, "$host");',
        'const connection = require("tls").connect({ host: "$host", port: $port$node_ca });',
    ),
)

GO = """\
package main

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"strings"
)

func main() {
	connection, err := net.Dial("tcp", "$address")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(connection, "HELLO $token\\ntemp=21.5\\n")
	lines := bufio.NewScanner(connection)
	for lines.Scan() {
		line := lines.Text()
		fmt.Println(line)
		if strings.HasPrefix(line, "!") { // a command: !<id> <method> <params>
			fmt.Fprintln(connection, strings.Fields(line)[0], "OK true")
		}
	}
}
"""
GO_TLS = _changed(
    GO,
    ('import (\n\t"bufio"\n', 'import (\n\t"bufio"\n\t"crypto/tls"\n'),
    ('\t"net"\n', ""),
    ('net.Dial("tcp", "$address")', 'tls.Dial("tcp", "$address", nil)'),
)
GO_TLS_OWN = _changed(
    GO_TLS,
    ('\t"crypto/tls"\n', '\t"crypto/tls"\n\t"crypto/x509"\n'),
    ('\t"log"\n', '\t"log"\n\t"os"\n'),
    (
        '\tconnection, err := tls.Dial("tcp", "$address", nil)\n',
        """\
	ca, err := os.ReadFile("ca.pem")
	if err != nil {
		log.Fatal(err)
	}
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(ca)
	connection, err := tls.Dial("tcp", "$address", &tls.Config{RootCAs: trust})
""",
    ),
)
"""Another text than `GO_TLS`: Go refuses imports that nothing uses."""

POWERSHELL = """\
$$server = [System.Net.Sockets.TcpClient]::new("$host", $port)
$$stream = $$server.GetStream()
$$reader = [System.IO.StreamReader]::new($$stream)
$$writer = [System.IO.StreamWriter]::new($$stream)
$$writer.AutoFlush = $$true
$$writer.WriteLine("HELLO $token")
$$writer.WriteLine("temp=21.5")
while ($$null -ne ($$line = $$reader.ReadLine())) {
  $$line
  if ($$line.StartsWith("!")) {  # a command: !<id> <method> <params>
    $$writer.WriteLine($$line.Split(" ")[0] + " OK true")
  }
}
"""
POWERSHELL_TLS = _changed(
    POWERSHELL,
    (
        "$$stream = $$server.GetStream()\n",
        """\
$$stream = [System.Net.Security.SslStream]::new($$server.GetStream())
$$stream.AuthenticateAsClient("$host")
""",
    ),
)
"""It trusts whom the machine trusts."""

HOME_ASSISTANT = """\
# configuration.yaml
rest_command:
  hardpoint:
    url: "$origin/api/v1/$token/telemetry"
    method: post
    content_type: "application/json"
    payload: '{"temp": {{ temp }}}'

automation hardpoint:
  - alias: "Temperature to Hardpoint"
    triggers:
      - trigger: state
        entity_id: sensor.living_room_temperature  # yours
    conditions:
      - condition: template
        value_template: "{{ is_number(trigger.to_state.state) }}"
    actions:
      - action: rest_command.hardpoint
        data:
          temp: "{{ trigger.to_state.state }}"
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
PAHO_TLS = "\nclient.tls_set($paho_ca)"

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

ESPHOME_TLS = _changed(
    ESPHOME,
    ("    type: arduino\n", "    type: esp-idf\n"),
    (
        '  broker: "$host"\n',
        """\
  certificate_authority: |-
    $indented_ca
  broker: "$host"
""",
    ),
)

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
NODE_RED_TLS = _changed(
    NODE_RED,
    ('"path": "$ws/api/v1/$token/ws", "tls": "",', '"path": "$ws/api/v1/$token/ws", "tls": "hardpoint_tls",'),
    (
        '  { "id": "hardpoint_reading",',
        """\
  { "id": "hardpoint_tls", "type": "tls-config", "name": "Hardpoint", "cert": "", "key": "", "ca": "$node_red_ca",
    "certname": "", "keyname": "", "caname": "", "servername": "", "verifyservercert": true },
  { "id": "hardpoint_reading",""",
    ),
)
