"""Programs that send a first reading, by what one has in hand, with the address filled in: for the pages and the CLI.

The texts are in `programs`. Hosts are checked and tokens are ``[A-Za-z0-9_]``, so that none needs quoting in any of
these languages.
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
from . import programs

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.hub import Hub

TOKEN = "YOUR_TOKEN"  # noqa: S105 - stands where one belongs
"""What the API has in the token's place: a token is shown once, and the server keeps only its digest."""

_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")

KINDS = {
    "nc": ("line", programs.NC),
    "python": ("line", programs.PYTHON),
    "arduino": ("line", programs.ARDUINO),
    "micropython": ("line", programs.MICROPYTHON),
    "esphome": ("mqtt", programs.ESPHOME),
    "nodered": ("http", programs.NODE_RED),
    "curl": ("http", programs.CURL),
    "mqtt": ("mqtt", programs.MQTT),
    "paho": ("mqtt", programs.PAHO),
    "websocket": ("http", programs.WEBSOCKET),
    "node": ("line", programs.NODE),
    "agent": ("line", programs.AGENT),
}
"""Name → the door it goes through, and its text. Where `Doors.relayed`, paho goes through ``http``."""
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Doors:
    """Where a device reaches this server: host and port of a dialect, None where it does not listen. ``http`` is an
    origin, ``http://host:port``. ``relayed``: somebody stands there and hands on what is HTTP; the other ports have to
    be reached past it.
    """

    line: tuple[str, int] | None = None
    http: str | None = None
    mqtt: tuple[str, int] | None = None
    relayed: bool = False


def snippets(token: str, doors: Doors) -> dict[str, str]:
    """Name → program, for the doors that are open, in the order of `KINDS`."""
    made = {}
    for name, (scheme, text) in KINDS.items():
        values = _values(name, scheme, doors)
        if values is not None:
            made[name] = Template(text).substitute(values, token=token)
    return made


def _values(name: str, scheme: str, doors: Doors) -> dict[str, object] | None:
    """What is filled in; None: that door is closed."""
    over_http = scheme == "http" or (name == "paho" and (doors.relayed or not doors.mqtt))
    if over_http:
        if not doors.http:
            return None
        parts = urlsplit(doors.http)
        client = programs.PAHO_CLIENT_WEBSOCKET + programs.PAHO_TLS * (parts.scheme == "https")
        return {
            "origin": doors.http,
            "ws": doors.http.replace("http", "ws", 1),  # ws:// for http://, wss:// for https://
            "client": client,
            "host": parts.hostname,
            "port": parts.port or DEFAULT_PORTS[parts.scheme],
        }
    door = doors.line if scheme == "line" else doors.mqtt
    if door is None:
        return None
    host, port = door
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return {"host": host, "port": port, "address": address, "client": programs.PAHO_CLIENT}


class Snippet(Struct):
    """A program that attaches a device."""

    name: str
    text: str


class Snippets(Struct):
    """Programs by what one has in hand. ``token`` is what stands in the place of the device's token; ``relayed``: the
    origin is a proxy's, and only what goes over HTTP is sure to get through it.
    """

    token: str
    relayed: bool
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
        doors = doors_at(origin, host, health["listeners"])
        items = [{"name": name, "text": text} for name, text in snippets(TOKEN, doors).items()]
        return Response.json({"token": TOKEN, "relayed": doors.relayed, "items": items})


def doors_at(origin: str, host: str, listeners: list[dict[str, Any]]) -> Doors:
    """The doors of a server that is reached at an origin. Where none of its own listeners has the origin's port,
    somebody relays to one: a reverse proxy, or a container's host.
    """
    ports: dict[str, int] = {}
    for each in listeners:
        ports.setdefault(each["url"].partition(":")[0], each["port"])
    parts = urlsplit(origin)
    asked = parts.port or DEFAULT_PORTS[parts.scheme]
    own = {each["port"] for each in listeners if each["url"].partition(":")[0] in (parts.scheme, "any")}
    line, mqtt = (
        (host, port) if (port := ports.get(scheme) or ports.get("any")) else None for scheme in ("line", "mqtt")
    )
    return Doors(line, origin, mqtt, relayed=asked not in own)


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
