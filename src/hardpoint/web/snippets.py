"""Programs that send a first reading, by what one has in hand, with the address filled in: for the pages and the CLI.

The texts are in `programs`. Hosts are checked and tokens are ``[A-Za-z0-9_]``, so that none needs quoting in any of
these languages.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from string import Template
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from ..addresses import lan_addresses
from ..errors import BadInput, NotFound
from ..http import Response
from . import programs

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.hub import Hub

TOKEN = "YOUR_TOKEN"  # noqa: S105 - stands where one belongs
"""What the API has in the token's place: a token is shown once, and the server keeps only its digest."""

_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")

KINDS = {
    "nc": ("line", programs.NC, programs.NC_TLS),
    "python": ("line", programs.PYTHON, programs.PYTHON_TLS),
    "arduino": ("line", programs.ARDUINO, programs.ARDUINO_TLS),
    "micropython": ("line", programs.MICROPYTHON, programs.MICROPYTHON_TLS),
    "esphome": ("mqtt", programs.ESPHOME, programs.ESPHOME_TLS),
    "homeassistant": ("http", programs.HOME_ASSISTANT, programs.HOME_ASSISTANT),
    "nodered": ("http", programs.NODE_RED, programs.NODE_RED_TLS),
    "curl": ("http", programs.CURL, programs.CURL),
    "mqtt": ("mqtt", programs.MQTT, programs.MQTT_TLS),
    "paho": ("mqtt", programs.PAHO, programs.PAHO),
    "websocket": ("http", programs.WEBSOCKET, programs.WEBSOCKET),
    "node": ("line", programs.NODE, programs.NODE_TLS),
    "go": ("line", programs.GO, programs.GO_TLS),
    "powershell": ("line", programs.POWERSHELL, programs.POWERSHELL_TLS),
    "agent": ("line", programs.AGENT, programs.AGENT_TLS),
}
"""Name → the dialect it speaks, and its text without and with TLS. Where MQTT has no door of its own, or
`Doors.relayed`, paho goes over WebSocket.
"""
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Doors:
    """Where a device reaches this server: host and port of a dialect, plainly and over TLS, None where it does not
    listen. ``http`` and ``https`` are origins, ``http://host:port``. ``relayed``: somebody stands there and hands on
    what is HTTP, with a certificate of theirs; the other ports have to be reached past it. ``ca``: the PEM of the
    server's own authority, None where its certificate is by another.
    """

    line: tuple[str, int] | None = None
    http: str | None = None
    mqtt: tuple[str, int] | None = None
    lines: tuple[str, int] | None = None
    https: str | None = None
    mqtts: tuple[str, int] | None = None
    relayed: bool = False
    ca: str | None = None


def snippets(token: str, doors: Doors, *, tls: bool = False) -> dict[str, str]:
    """Name → program, for the doors that are open, in the order of `KINDS`; all of them plainly, or all over TLS."""
    made = {}
    for name, (dialect, plain, over_tls) in KINDS.items():
        values = _values(name, dialect, doors, tls=tls)
        if values is None or (tls and not _can_trust(name, doors)):
            continue
        text = over_tls if tls else plain
        if text is programs.GO_TLS and doors.ca:
            text = programs.GO_TLS_OWN
        made[name] = Template(text).substitute(values, token=token)
    return made


def _can_trust(name: str, doors: Doors) -> bool:
    """Whether it can be told of an authority: Home Assistant's rest_command knows only those that everybody does."""
    return name != "homeassistant" or doors.relayed or not doors.ca


def _values(name: str, dialect: str, doors: Doors, *, tls: bool) -> Mapping[str, object] | None:
    """What is filled in; None: that door is closed."""
    line, origin, mqtt = (doors.lines, doors.https, doors.mqtts) if tls else (doors.line, doors.http, doors.mqtt)
    over_http = dialect == "http" or (name == "paho" and (doors.relayed or not mqtt))
    # Who relays shows a certificate of theirs.
    trust = _trust(doors.ca if tls and not (over_http and doors.relayed) else None, tls=tls)
    secured = Template(programs.PAHO_TLS).substitute(trust) if tls else ""
    if over_http:
        if not origin:
            return None
        parts = urlsplit(origin)
        return trust | {
            "origin": origin,
            "ws": origin.replace("http", "ws", 1),  # ws:// for http://, wss:// for https://
            "client": programs.PAHO_CLIENT_WEBSOCKET + secured,
            "host": parts.hostname,
            "port": parts.port or DEFAULT_PORTS[parts.scheme],
        }
    door = line if dialect == "line" else mqtt
    if door is None:
        return None
    host, port = door
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return trust | {
        "host": host,
        "port": port,
        "address": address,
        "client": programs.PAHO_CLIENT + secured,
        "verified": f"-verify_ip {host}" if _is_address(host) else f"-verify_hostname {host}",
    }


def _trust(ca: str | None, *, tls: bool) -> dict[str, object]:
    """How each program is told whom to trust: the server's own authority, or whom the machine knows."""
    if not tls:
        return dict.fromkeys(programs.OWN_AUTHORITY, "")  # of the texts that are the same with and without
    pieces = programs.OWN_AUTHORITY if ca else programs.KNOWN_AUTHORITY
    pem = (ca or programs.ITS_CERTIFICATE).strip()
    base64 = "".join(line for line in pem.splitlines() if "-----" not in line)
    return {**pieces, "pem_ca": pem, "indented_ca": pem.replace("\n", "\n    "), "base64_ca": base64}


class Snippet(Struct):
    """A program that attaches a device: its text plainly and over TLS, None where that door is closed."""

    name: str
    text: str | None
    tls: str | None


class Snippets(Struct):
    """Programs by what one has in hand. ``token`` is what stands in the place of the device's token; ``relayed``: the
    origin is a proxy's, and only what goes over HTTP is sure to get through it. ``hosts``: where the origin is one that
    only this machine knows, its addresses in the network. ``ca``: the file that those over TLS need, as
    ``/api/ca.pem`` gives it, and its fingerprint; None where they need none.
    """

    token: str
    relayed: bool
    items: list[Snippet]
    hosts: list[str]
    ca: OwnAuthority | None


class OwnAuthority(Struct):
    """The certificate of the server's own authority. ``fingerprint``: SHA-256 of it, as hex."""

    pem: str
    fingerprint: str


class SnippetRoutes:
    """``/api/devices/{id}/snippets`` and ``/api/ca.pem``, which those over TLS need."""

    def __init__(self, hub: Hub, health: Callable[[], dict[str, Any]], ca: Callable[[], str | None]) -> None:
        """``ca`` reads the certificate of the server's own authority; None: there is none, or it is not used."""
        self._hub = hub
        self._health = health
        self._ca = ca

    def register(self, router: Router) -> None:
        """Declare the routes. The authority's certificate is public: whoever shakes hands is shown as much."""
        router.route(
            "GET",
            "/api/devices/{id}/snippets",
            self.of_device,
            role="viewer",
            summary="Programs that attach a device to origin (else the Host that was asked), by what is in hand",
            query=("origin",),
            out=Snippets,
        )
        router.route(
            "GET",
            "/api/ca.pem",
            self.authority,
            role=None,
            summary="The certificate of the server's own authority, for whoever is to trust the server",
        )

    async def of_device(self, request: Request) -> Response:
        """``GET /api/devices/{id}/snippets``."""
        self._hub.catalogue.find(request.params["id"])
        origin = request.query.get("origin") or f"http://{request.headers.get('host', '')}"
        host = checked_origin(origin)
        # On a thread: it asks the disk for its free space.
        health, ca = await asyncio.to_thread(lambda: (self._health(), self._ca()))
        doors = doors_at(origin, host, health["listeners"], certified=bool(health["certificates"]), ca=ca)
        plain, over_tls = snippets(TOKEN, doors), snippets(TOKEN, doors, tls=True)
        names = [name for name in KINDS if name in plain or name in over_tls]
        items = [Snippet(name, plain.get(name), over_tls.get(name)) for name in names]
        hosts = await asyncio.to_thread(lan_addresses) if _only_here(host) and _everywhere(health["listeners"]) else []
        needed = OwnAuthority(ca, fingerprint(ca)) if ca and over_tls else None
        return Response.json(msgspec.to_builtins(Snippets(TOKEN, doors.relayed, items, hosts, needed)))

    async def authority(self, request: Request) -> Response:
        """``GET /api/ca.pem``."""
        ca = await asyncio.to_thread(self._ca)
        if ca is None:
            raise NotFound("this server has no authority of its own: its certificate is by another, or it has none")
        headers = [("Content-Disposition", 'attachment; filename="ca.pem"')]
        # The type at which phones and browsers offer to trust it.
        return Response(200, ca.encode(), "application/x-x509-ca-cert", headers)


def fingerprint(pem: str) -> str:
    """SHA-256 of a certificate, as pairs of hex digits with colons, which is how other programs show it."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest().hex(":").upper()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _only_here(host: str) -> bool:
    """Whether a host is a name of the asking machine for itself."""
    return ip_address(host).is_loopback if _is_address(host) else host.lower() == "localhost"


def _everywhere(listeners: list[dict[str, Any]]) -> bool:
    """Whether something listens on every address of the machine."""
    return any(urlsplit(each["url"]).hostname in ("0.0.0.0", "::") for each in listeners)  # noqa: S104 - compared with


def doors_at(
    origin: str, host: str, listeners: list[dict[str, Any]], *, certified: bool = False, ca: str | None = None
) -> Doors:
    """The doors of a server that is reached at an origin. Where none of its own listeners has the origin's port,
    somebody relays to one: a reverse proxy, or a container's host. ``certified``: it has a certificate, without which
    ``any://`` speaks no TLS.
    """
    ports: dict[str, int] = {}
    for each in listeners:
        ports.setdefault(each["url"].partition(":")[0], each["port"])
    plainly, over_tls = ports.get("any"), ports.get("any") if certified else None
    parts = urlsplit(origin)
    asked = parts.port or DEFAULT_PORTS[parts.scheme]
    own = {each["port"] for each in listeners if each["url"].partition(":")[0] in (parts.scheme, "any")}
    relayed = asked not in own
    bare = f"[{host}]" if ":" in host else host

    def at(scheme: str, else_port: int | None) -> tuple[str, int] | None:
        port = ports.get(scheme) or else_port
        return (host, port) if port else None

    def origin_of(scheme: str, else_port: int | None) -> str | None:
        if scheme == parts.scheme:
            return origin
        port = None if relayed else ports.get(scheme) or else_port
        return f"{scheme}://{bare}:{port}" if port else None

    return Doors(
        at("line", plainly),
        origin_of("http", plainly),
        at("mqtt", plainly),
        at("lines", over_tls),
        origin_of("https", over_tls),
        at("mqtts", over_tls),
        relayed,
        ca,
    )


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
