"""Programs that send a first reading, by what one has in hand, with the address filled in: for the pages and the CLI.

Each is the smallest full round trip: it says a reading, and those that stay answer a command. Hosts are checked and
tokens are ``[A-Za-z0-9_]``, so that none needs quoting in any of these languages.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct

from ..errors import BadInput
from ..http import Response

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.hub import Hub

TOKEN = "YOUR_TOKEN"  # noqa: S105 - stands where one belongs
"""What the API has in the token's place: a token is shown once, and the server keeps only its digest."""

_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")

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

KINDS = {
    "nc": ("line", NC),
    "python": ("line", PYTHON),
    "arduino": ("line", ARDUINO),
    "micropython": ("line", MICROPYTHON),
    "curl": ("http", CURL),
    "mqtt": ("mqtt", MQTT),
    "websocket": ("http", WEBSOCKET),
    "agent": ("line", AGENT),
}
"""Name → the door it goes through, and its text."""


@dataclass(frozen=True)
class Doors:
    """Where a device reaches this server: host and port of a dialect, None where it does not listen. ``http`` is an
    origin, ``http://host:port``.
    """

    line: tuple[str, int] | None = None
    http: str | None = None
    mqtt: tuple[str, int] | None = None


def snippets(token: str, doors: Doors) -> dict[str, str]:
    """Name → program, for the doors that are open, in the order of `KINDS`."""
    made = {}
    for name, (scheme, text) in KINDS.items():
        if scheme == "http":
            if doors.http:
                # ws:// for http://, wss:// for https://
                values = {"origin": doors.http, "ws": doors.http.replace("http", "ws", 1)}
                made[name] = Template(text).substitute(values, token=token)
        elif door := doors.line if scheme == "line" else doors.mqtt:
            host, port = door
            address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            made[name] = Template(text).substitute(host=host, port=port, address=address, token=token)
    return made


class Snippet(Struct):
    """A program that attaches a device."""

    name: str
    text: str


class Snippets(Struct):
    """Programs by what one has in hand. ``token`` is what stands in the place of the device's token."""

    token: str
    items: list[Snippet]


class SnippetRoutes:
    """``/api/devices/{id}/snippets``."""

    def __init__(self, hub: Hub, health: Callable[[], dict[str, Any]]) -> None:
        self._hub = hub
        self._health = health

    def register(self, router: Router) -> None:
        """Declare the route."""
        router.route(
            "GET",
            "/api/devices/{id}/snippets",
            self.of_device,
            role="viewer",
            summary="Programs that attach a device to origin (else the Host that was asked), by what is in hand",
            query=("origin",),
            out=Snippets,
        )

    async def of_device(self, request: Request) -> Response:
        """``GET /api/devices/{id}/snippets``."""
        self._hub.catalogue.find(request.params["id"])
        origin = request.query.get("origin") or f"http://{request.headers.get('host', '')}"
        host = checked_origin(origin)
        # On a thread: it asks the disk for its free space.
        health = await asyncio.to_thread(self._health)
        ports: dict[str, int] = {}
        for each in health["listeners"]:
            ports.setdefault(each["url"].partition(":")[0], each["port"])
        found = {scheme: ports.get(scheme) or ports.get("any") for scheme in ("line", "mqtt")}
        doors = {scheme: (host, port) for scheme, port in found.items() if port}
        made = snippets(TOKEN, Doors(http=origin, **doors))
        items = [{"name": name, "text": text} for name, text in made.items()]
        return Response.json({"token": TOKEN, "items": items})


def checked_origin(origin: str) -> str:
    """The host of an origin, without brackets.

    Raises:
        BadInput: it is no origin, or its host has characters that would need quoting.
    """
    try:
        parts = urlsplit(origin)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    bare = f"[{host}]" if ":" in host else host
    if _HOST.fullmatch(host) is None or not re.fullmatch(rf"https?://{re.escape(bare)}(:\d+)?", origin, re.IGNORECASE):
        raise BadInput(
            "origin is http:// or https://, a host, and a port where it is not the usual one", field="origin"
        )
    return host
