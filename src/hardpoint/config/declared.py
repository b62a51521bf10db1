"""Every setting, declared once: name, type, unit, default, range and help.

The dataclasses are the declaration. ``--help``, ``docs/configuration.md``, ``hardpoint config show`` and the file's
JSON schema (``cli/schema.py``) are derived from them: a new setting is one line here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from .urls import ListenUrl, parse_listen_url, parse_mount

LoopName = Literal["hardpoint", "asyncio", "uvloop"]
LogLevel = Literal["debug", "info", "warning", "error"]
Kind = Literal["string", "strings", "path", "paths", "boolean", "integer", "number"]

FILE_NAME = "hardpoint.toml"
SOCKET_NAME = "hardpoint.sock"
ETC = Path("/etc/hardpoint")
ENV_PREFIX = "HARDPOINT_"
ENV_ELSEWHERE = frozenset(
    {"HARDPOINT_CONFIG", "HARDPOINT_TOKEN", "HARDPOINT_SERVER", "HARDPOINT_CA", "HARDPOINT_DEBUG"}
)
"""Read by the command line, not settings of the server."""

MAX_NUMBER = 2**53
"""Above it a float, and so a number in JSON, loses digits."""


def default_data() -> Path:
    """``$STATE_DIRECTORY`` (systemd), else the platform's folder for a user's data: ``~/.local/share/hardpoint``."""
    from platformdirs import user_data_path

    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(given) if given else user_data_path("hardpoint", appauthor=False)


@dataclass(frozen=True, slots=True)
class About:
    """What a setting is for, and its range: ``minimum`` and ``maximum`` are allowed values themselves."""

    help: str
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """The hardware mounted on the server's own machine, shown as the device ``host``."""

    enabled: Annotated[bool, About("Mount this machine's own sensors as the device 'host'.")] = True
    interval_s: Annotated[float, About("How often they are read.", 1, 86_400)] = 10.0


@dataclass(frozen=True, slots=True)
class Retention:
    """How long readings are kept, and on how much disk. Nothing is thinned or dropped unless this says so."""

    thin_after_s: Annotated[float, About("Of older readings least, greatest, first and last stay; 0: never.", 0)] = 0.0
    drop_after_s: Annotated[float, About("Older readings are deleted; 0: never.", 0)] = 0.0
    max_bytes: Annotated[int, About("Of the store: its oldest is thinned, then dropped; 0: no limit.", 0)] = 0
    rules: Annotated[
        tuple[str, ...],
        About("'DEVICE:KEY thin 90d drop 5y' or '… keep'; the first that fits holds, before the above."),
    ] = ()
    every_s: Annotated[float, About("How often this is applied.", 1, 86_400)] = 600.0


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificates of listeners that speak TLS. Files are PEM, and are read again when they change."""

    cert: Annotated[Path | None, About("Certificate and chain; without it the server makes one of its own.")] = None
    key: Annotated[Path | None, About("Its private key, if it is not in the same file.")] = None
    more: Annotated[
        tuple[Path, ...],
        About("For further server names: files with chain and key, or folders as certbot keeps them."),
    ] = ()
    client_ca: Annotated[Path | None, About("Who signs the certificates that devices may sign in with.")] = None
    min_version: Annotated[Literal["1.2", "1.3"], About("The oldest version of TLS that is spoken.")] = "1.2"


@dataclass(frozen=True, slots=True)
class Http:
    """How HTTP is spoken to proxies in front, and what is written down of it."""

    access_log: Annotated[Path | None, About("Append a line a request to this file.")] = None
    trusted_proxies: Annotated[
        tuple[str, ...], About("Addresses and networks whose Forwarded and X-Forwarded-For are believed.")
    ] = ()
    proxy_protocol: Annotated[
        tuple[str, ...],
        About("Listeners (http, mqtts, any …) where these begin each connection with a PROXY header."),
    ] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds memory, time and disk. Reaching one is answered to the peer and counted in ``/metrics``."""

    max_connections: Annotated[int, About("Connections at a time, of each dialect.", 1)] = 20_000
    max_connections_per_address: Annotated[
        int, About("Of one address (IPv6: /64), all dialects together; 0: no limit.", 0)
    ] = 2_000
    max_line_bytes: Annotated[int, About("One line of the line dialect.", 256, 2**24)] = 8 * 1024
    max_head_bytes: Annotated[int, About("Request line and headers of a request.", 1024, 2**20)] = 16 * 1024
    max_body_bytes: Annotated[int, About("Body of a request.", 1024, 2**30)] = 2**20
    head_timeout_s: Annotated[float, About("From a request's first byte to the end of its head.", 0.1)] = 10.0
    body_timeout_s: Annotated[float, About("From the end of the head to that of the body.", 0.1)] = 60.0
    keep_alive_s: Annotated[float, About("An idle HTTP connection is closed after this.", 0.1)] = 75.0
    max_requests_per_connection: Annotated[
        int, About("Answers on one HTTP connection; the last one closes it. 0: no limit.", 0)
    ] = 100_000
    unattached_idle_s: Annotated[float, About("A silent line connection without HELLO is closed.", 1)] = 600.0
    max_devices: Annotated[int, About("Devices.", 1)] = 100_000
    max_devices_per_gateway: Annotated[int, About("Devices that one gateway may bring in.", 1)] = 10_000
    max_keys_per_device: Annotated[int, About("Different keys one device may send.", 1)] = 1_000
    max_attributes_per_device: Annotated[int, About("Attributes of one device, all scopes.", 1)] = 1_000
    max_open_commands_per_device: Annotated[int, About("Unfinished commands to one device.", 1)] = 100
    max_pending_readings: Annotated[int, About("Readings that wait for the disk.", 1)] = 50_000
    readings_per_s: Annotated[float, About("Readings one device may send; 0 is no limit.", 0)] = 0.0
    live_backlog_bytes: Annotated[int, About("What may wait for one slow live client.", 4096)] = 2**20
    max_live_clients: Annotated[int, About("Live streams at a time.", 0)] = 1_000
    max_reads: Annotated[int, About("Answers made of stored readings at a time.", 1)] = 64
    max_audit_entries: Annotated[int, About("Entries of who did what; the oldest go.", 100)] = 100_000
    audit_s: Annotated[float, About("How long they are kept.", 1)] = 365.0 * 86_400
    sign_in_failures_per_min: Annotated[int, About("Failed sign-ins from one address.", 1)] = 30


@dataclass(frozen=True, slots=True)
class Mqtt:
    """The MQTT dialect and its broker. Reaching a limit is answered with MQTT's own reason."""

    connect_timeout_s: Annotated[float, About("From a connection to the end of its CONNECT.", 1)] = 10.0
    max_packet_bytes: Annotated[int, About("One packet.", 1024, 268_435_455)] = 2**20
    max_keep_alive_s: Annotated[int, About("Clients of MQTT 5 that ask for more, or none, get this.", 1, 65_535)] = (
        65_535
    )
    max_sessions: Annotated[int, About("Sessions, those of absent clients included.", 1)] = 100_000
    max_sessions_per_principal: Annotated[
        int, About("Those of one device or API token; who needs no token has the above alone.", 1)
    ] = 1_000
    max_session_expiry_s: Annotated[int, About("How long a session outlives its connection.", 0, 4_294_967_295)] = (
        30 * 86_400
    )
    max_subscriptions_per_client: Annotated[int, About("Topic filters of one session.", 1)] = 1_000
    max_inflight: Annotated[int, About("Messages sent to a client and not acknowledged.", 1, 65_535)] = 100
    receive_maximum: Annotated[int, About("Messages of a client that wait for our answer.", 1, 65_535)] = 1_000
    max_queued_messages: Annotated[int, About("Messages that wait for one client.", 1)] = 1_000
    max_queued_bytes: Annotated[int, About("The same in bytes.", 1024)] = 2**22
    max_queued_bytes_total: Annotated[int, About("What waits for all clients together.", 1024)] = 2**28
    max_unread_bytes: Annotated[int, About("Beyond it a client that does not read loses QoS 0.", 4096)] = 2**20
    max_retained_messages: Annotated[int, About("Retained messages.", 0)] = 50_000
    max_retained_bytes: Annotated[int, About("The same in bytes.", 0)] = 2**26
    max_topic_aliases: Annotated[int, About("Topic aliases of one client.", 0, 65_535)] = 32


@dataclass(frozen=True, slots=True)
class Provision:
    """Devices that make themselves, by ThingsBoard's provisioning over MQTT and HTTP. Off without ``credentials``."""

    credentials: Annotated[
        Path | None, About("A file with the provisioning key in the first line, its secret in the next.")
    ] = None


@dataclass(frozen=True, slots=True)
class Bridge:
    """One connection to another MQTT broker, over which topics go out and come in."""

    url: Annotated[str, About("mqtt://HOST:PORT or mqtts://HOST:PORT of the other broker; empty: no bridge.")] = ""
    topics_out: Annotated[
        tuple[str, ...],
        About("What goes there: 'FILTER [qos 0|1|2] [local PREFIX] [remote PREFIX]'; the prefixes change places."),
    ] = ()
    topics_in: Annotated[tuple[str, ...], About("What is fetched from there, written alike.")] = ()
    client_id: Annotated[str, About("Its name there; by default made of the machine's and the data folder's.")] = ""
    credentials: Annotated[Path | None, About("A file with the user name in the first line, the password next.")] = None
    ca: Annotated[Path | None, About("PEM of who signed the other broker's certificate, if the system knows not.")] = (
        None
    )
    cert: Annotated[Path | None, About("Certificate and chain to show to it.")] = None
    key: Annotated[Path | None, About("Its private key, if it is not in the same file.")] = None
    keep_alive_s: Annotated[int, About("After this silence each side looks for the other.", 5, 65_535)] = 60
    session_expiry_s: Annotated[int, About("How long the other broker keeps what is for us.", 0, 4_294_967_295)] = (
        7 * 86_400
    )
    max_backoff_s: Annotated[float, About("The longest pause between two tries to connect.", 1, 86_400)] = 60.0
    max_queued_messages: Annotated[int, About("Messages that wait while it is away; more are dropped.", 1)] = 100_000
    max_queued_bytes: Annotated[int, About("The same in bytes.", 1024)] = 2**26


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: ``where`` is the flag, the variable or ``FILE:LINE``, empty for a default."""

    source: Literal["flag", "environment", "file", "argument", "default"]
    where: str = ""

    def __str__(self) -> str:
        return f"{self.source} {self.where}".rstrip()


DEFAULT = Origin("default")


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one server. Made by `load` or `configure`; immutable."""

    data: Annotated[Path, About("The folder that holds everything the server keeps.")] = field(
        default_factory=default_data
    )
    listen: Annotated[tuple[str, ...], About("SCHEME://HOST:PORT or unix:PATH; port 0 is any free one.")] = (
        "line://0.0.0.0:9000",
        "http://0.0.0.0:8080",
        "mqtt://0.0.0.0:1883",
    )
    mount: Annotated[
        tuple[str, ...], About("PATH=MODULE:APP: serve an ASGI application at a path, beside the pages.")
    ] = ()
    loop: Annotated[LoopName, About("The event loop: our own, the stock one, or uvloop.")] = "hardpoint"
    allow_anonymous: Annotated[bool, About("Devices may attach without a token. For a bench only.")] = False
    adopt: Annotated[bool, About("Unknown devices that name themselves wait for 'hardpoint device adopt'.")] = False
    log_level: Annotated[LogLevel, About("Least severe message logged; info shows who comes.")] = "warning"
    ports_file: Annotated[Path | None, About("Write the bound ports here as JSON when ready.")] = None
    host: Host = field(default_factory=Host)
    http: Http = field(default_factory=Http)
    tls: Tls = field(default_factory=Tls)
    limits: Limits = field(default_factory=Limits)
    retention: Retention = field(default_factory=Retention)
    mqtt: Mqtt = field(default_factory=Mqtt)
    provision: Provision = field(default_factory=Provision)
    bridge: Bridge = field(default_factory=Bridge)

    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False)
    """Setting path → where its value came from; a setting that is not in it has its default."""
    file: Path | None = field(default=None, compare=False)
    """The file that was read, if one was."""
    warnings: tuple[str, ...] = field(default=(), compare=False)
    """What is odd but not wrong, for the log: variables that look like a setting and are none."""

    @property
    def tls_folder(self) -> Path:
        """Where the certificate of the server's own is kept."""
        return self.data / "tls"

    @property
    def socket_path(self) -> Path:
        """Where the administration API listens for the command line."""
        return self.data / SOCKET_NAME

    @property
    def listeners(self) -> tuple[ListenUrl, ...]:
        """`listen`, taken apart."""
        return tuple(parse_listen_url(url) for url in self.listen)

    @property
    def mounts(self) -> tuple[tuple[str, str], ...]:
        """`mount`, taken apart: paths and the applications there."""
        return tuple(parse_mount(text) for text in self.mount)

    def value(self, path: str) -> Any:
        """The value of a setting by its path, as ``limits.max_line_bytes``."""
        found: Any = self
        for name in path.split("."):
            found = getattr(found, name)
        return found

    def origin(self, path: str) -> Origin:
        """Where the value of that setting came from."""
        return self.origins.get(path, DEFAULT)


SECTIONS: dict[str, type] = {
    "host": Host,
    "http": Http,
    "tls": Tls,
    "limits": Limits,
    "retention": Retention,
    "mqtt": Mqtt,
    "provision": Provision,
    "bridge": Bridge,
}
_NOT_SETTINGS = {*SECTIONS, "origins", "file", "warnings"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, described: what help, docs and schema are made from."""

    path: str
    kind: Kind
    default: Any
    """For ``data`` None: it depends on the machine (`default_data`)."""
    help: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return ENV_PREFIX + self.path.upper().replace(".", "__")

    @property
    def unit(self) -> str:
        """``seconds``, ``bytes``, ``per second``, ``per minute`` or nothing; the name's ending says it."""
        for ending, unit in (
            ("_per_s", "per second"),
            ("_per_min", "per minute"),
            ("_s", "seconds"),
            ("_bytes", "bytes"),
        ):
            if self.path.endswith(ending):
                return unit
        return ""


@cache
def settings() -> Mapping[str, Setting]:
    """Every setting by its path, in the order of declaration."""
    declared = {"": Config, **SECTIONS}
    return {found.path: found for section, owner in declared.items() for found in _declared(section, owner)}


def _declared(section: str, owner: type) -> Iterator[Setting]:
    hints = get_type_hints(owner, include_extras=True)
    for each in fields(owner):
        if not section and each.name in _NOT_SETTINGS:
            continue
        hint, about = get_args(hints[each.name])
        yield Setting(
            path=f"{section}.{each.name}" if section else each.name,
            kind="string" if get_origin(hint) is Literal else _KINDS[hint],
            default=None if each.default is MISSING else each.default,
            help=about.help,
            minimum=about.minimum,
            maximum=about.maximum,
            choices=get_args(hint) if get_origin(hint) is Literal else (),
        )


_KINDS: dict[Any, Kind] = {
    Path: "path",
    Path | None: "path",
    tuple[str, ...]: "strings",
    tuple[Path, ...]: "paths",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
}
