"""Every setting, declared once: name, type, unit, default, range and help.

The dataclasses `Config`, `Host` and `Limits` are the declaration. ``--help``, ``docs/configuration.md``,
``hardpoint config show`` and the file's JSON schema (``cli/schema.py``) are derived from them: a new setting is one
line here.

A value comes from the first of these that has it, and `Config.origins` keeps which one it was:

1. a flag of the command,
2. the environment: ``HARDPOINT_`` and the name, ``__`` for the dot (``HARDPOINT_LIMITS__MAX_LINE_BYTES``),
3. ``hardpoint.toml``: the first file found counts whole, files are not merged (`find_file`),
4. the default.

Times are seconds and may be written ``"1.5s"``, ``"2min"``; sizes are bytes and may be written ``"64KiB"``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from .errors import ConfigError

LoopName = Literal["hardpoint", "asyncio", "uvloop"]
LogLevel = Literal["debug", "info", "warning", "error"]
Kind = Literal["string", "strings", "path", "paths", "boolean", "integer", "number"]

FILE_NAME = "hardpoint.toml"
SOCKET_NAME = "hardpoint.sock"
ETC = Path("/etc/hardpoint")
ENV_PREFIX = "HARDPOINT_"
ENV_ELSEWHERE = frozenset({"HARDPOINT_CONFIG", "HARDPOINT_TOKEN", "HARDPOINT_SERVER", "HARDPOINT_DEBUG"})
"""Read by the command line, not settings of the server."""

MAX_NUMBER = 2**53
"""Above it a float, and so a number in JSON, loses digits."""

LISTEN_PORTS = {
    "line": 9000,
    "http": 8080,
    "mqtt": 1883,
    "any": 9000,
    "lines": 9443,
    "https": 8443,
    "mqtts": 8883,
}
"""The schemes of listener URLs, and the port of one without."""
INSIDE_TLS = {"lines": "line", "https": "http", "mqtts": "mqtt"}
"""Schemes that are another one over TLS."""


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
class Limits:
    """What bounds memory, time and disk. Reaching one is answered to the peer and counted in ``/metrics``."""

    max_connections: Annotated[int, About("Connections at a time, of each dialect.", 1)] = 20_000
    max_line_bytes: Annotated[int, About("One line of the line dialect.", 256, 2**24)] = 8 * 1024
    max_head_bytes: Annotated[int, About("Request line and headers of a request.", 1024, 2**20)] = 16 * 1024
    max_body_bytes: Annotated[int, About("Body of a request.", 1024, 2**30)] = 2**20
    head_timeout_s: Annotated[float, About("From a request's first byte to the end of its head.", 0.1)] = 10.0
    body_timeout_s: Annotated[float, About("From the end of the head to that of the body.", 0.1)] = 60.0
    keep_alive_s: Annotated[float, About("An idle HTTP connection is closed after this.", 0.1)] = 75.0
    unattached_idle_s: Annotated[float, About("A silent line connection without HELLO is closed.", 1)] = 600.0
    max_devices: Annotated[int, About("Devices.", 1)] = 100_000
    max_keys_per_device: Annotated[int, About("Different keys one device may send.", 1)] = 1_000
    max_attributes_per_device: Annotated[int, About("Attributes of one device, all scopes.", 1)] = 1_000
    max_open_commands_per_device: Annotated[int, About("Unfinished commands to one device.", 1)] = 100
    max_pending_readings: Annotated[int, About("Readings that wait for the disk.", 1)] = 50_000
    readings_per_s: Annotated[float, About("Readings one device may send; 0 is no limit.", 0)] = 0.0
    live_backlog_bytes: Annotated[int, About("What may wait for one slow live client.", 4096)] = 2**20
    max_live_clients: Annotated[int, About("Live streams at a time.", 0)] = 1_000
    max_reads: Annotated[int, About("Answers made of stored readings at a time.", 1)] = 64
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
    log_level: Annotated[LogLevel, About("Least severe message logged; info shows who comes.")] = "warning"
    ports_file: Annotated[Path | None, About("Write the bound ports here as JSON when ready.")] = None
    host: Host = field(default_factory=Host)
    tls: Tls = field(default_factory=Tls)
    limits: Limits = field(default_factory=Limits)
    retention: Retention = field(default_factory=Retention)
    mqtt: Mqtt = field(default_factory=Mqtt)

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


SECTIONS: dict[str, type] = {"host": Host, "tls": Tls, "limits": Limits, "retention": Retention, "mqtt": Mqtt}
_NOT_SETTINGS = {*SECTIONS, "origins", "file", "warnings"}


@dataclass(frozen=True, slots=True)
class ListenUrl:
    """A listener URL taken apart. ``path`` is set for ``unix`` only, ``host`` and ``port`` for the others."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def speaks_tls(self) -> bool:
        """Whether a client may speak TLS there; on ``any`` it may also not."""
        return self.scheme in INSIDE_TLS or self.scheme == "any"

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix:{self.path}"
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def parse_listen_url(url: str) -> ListenUrl:
    """``line://0.0.0.0:9000``, ``http://[::]:8080`` or ``unix:/run/hardpoint.sock``, taken apart.

    Raises:
        ConfigError: no such dialect, no host, a port outside 0–65535, or anything after the port.
    """
    scheme, colon, rest = url.partition(":")
    known = f"known: {', '.join(f'{name}://HOST:PORT' for name in LISTEN_PORTS)}, unix:PATH"
    if colon and scheme == "unix":
        if not rest.removeprefix("//"):
            raise ConfigError(f"listener {url!r} has no path", hint="write unix:/run/hardpoint.sock")
        return ListenUrl("unix", path=rest.removeprefix("//"))
    if not colon or not rest.startswith("//") or scheme not in LISTEN_PORTS:
        raise ConfigError(f"listener {url!r} names no dialect that can listen", hint=known)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"listener {url!r}: {error}", hint=known) from error
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc or not parts.netloc:
        raise ConfigError(f"listener {url!r} must be {scheme}://HOST:PORT and no more", hint=known)
    return ListenUrl(scheme, parts.hostname or "", LISTEN_PORTS[scheme] if port is None else port)


def parse_mount(text: str) -> tuple[str, str]:
    """``/app=package.module:app``, taken apart.

    Raises:
        ConfigError: it is not of that form.
    """
    path, equals, reference = text.partition("=")
    if not equals or not re.fullmatch(r"/[A-Za-z0-9._~/-]*", path) or not re.fullmatch(r"[\w.]+:[\w.]+", reference):
        raise ConfigError(f"mount {text!r} is not PATH=MODULE:APP", hint="write /app=package.module:app")
    return path, reference


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


def load(
    flags: Mapping[str, object] | None = None,
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """The configuration as a command sees it.

    Args:
        flags: setting path → value, as text or as its type; a value of None is a flag that was not given.
        file: the file of ``--config``; it must exist.
        environ: instead of ``os.environ``.

    Raises:
        ConfigError: an unknown setting, a value that cannot be, a file that cannot be read; it says where.
    """
    environ = os.environ if environ is None else environ
    found = file or find_file(environ)
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    if found is not None:
        _take(_read_file(found), values, origins, base=found.parent)
    variables = {each.variable: path for path, each in settings().items()}
    given = {
        variables[name]: (text, Origin("environment", name)) for name, text in environ.items() if name in variables
    }
    _take(given, values, origins)
    chosen = {path: value for path, value in (flags or {}).items() if value is not None}
    _take({path: (value, Origin("flag", flag_of(path))) for path, value in chosen.items()}, values, origins)
    return _made(values, origins, found, _odd_variables(environ, variables))


def configure(**given: object) -> Config:
    """A configuration from Python: the defaults and these settings; no file and no environment is read.

    A section is a mapping, and None stands for the default:
    ``configure(data="./data", limits={"max_line_bytes": 1024})``.

    Raises:
        ConfigError: an unknown setting, or a value that cannot be.
    """
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    flat = {path: value for path, value in _flatten(given) if value is not None}
    _take({path: (value, Origin("argument", path)) for path, value in flat.items()}, values, origins)
    return _made(values, origins, None, ())


def find_file(environ: Mapping[str, str]) -> Path | None:
    """The configuration file: ``$HARDPOINT_CONFIG``, else the first that exists of ``./hardpoint.toml``,
    ``$XDG_CONFIG_HOME/hardpoint/hardpoint.toml`` and ``/etc/hardpoint/hardpoint.toml``.
    """
    if environ.get("HARDPOINT_CONFIG"):
        return Path(environ["HARDPOINT_CONFIG"]).expanduser()
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "~")).expanduser() / ".config")
    folders = (Path(), home / "hardpoint", ETC)
    return next((folder / FILE_NAME for folder in folders if (folder / FILE_NAME).is_file()), None)


def flag_of(path: str) -> str:
    """How it is given on the command line: those outside a section have a flag, ``--set`` reaches every one."""
    return f"--set {path}" if "." in path else f"--{path.replace('_', '-')}"


_Given = Mapping[str, tuple[object, Origin]]


def _read_file(file: Path) -> _Given:
    import tomllib

    try:
        text = file.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}", hint="check --config and HARDPOINT_CONFIG") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    lines = _key_lines(text)
    given = {}
    for path, value in _flatten(document):
        # A section that does not exist has no line of its own when it is empty: the file alone is named then.
        line = lines.get(path)
        given[path] = (value, Origin("file", f"{file}:{line}" if line else str(file)))
    return given


_HEADER = re.compile(r"\[\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"\s*([\w.\"'-]+)\s*=")


def _key_lines(text: str) -> dict[str, int]:
    """The line each key stands on, which tomllib does not tell. A multi-line string that looks like TOML can
    only make a message name a wrong line.
    """
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = header[1]
            lines.setdefault(section, number)
        elif key := _KEY.match(line):
            lines.setdefault(f"{section}.{key[1]}" if section else key[1], number)
    return lines


def _flatten(document: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Nested tables as paths. An empty table that is no section stays, so that it is refused as unknown."""
    for name, value in document.items():
        path = prefix + name
        if isinstance(value, Mapping) and (value or path in SECTIONS):
            yield from _flatten(value, path + ".")
        else:
            yield path, value


def _take(given: _Given, values: dict[str, Any], origins: dict[str, Origin], base: Path | None = None) -> None:
    """Check one layer's values and put them over those of the layers below."""
    for path, (value, origin) in given.items():
        known = settings().get(path)
        if known is None:
            raise _unknown(path, origin)
        try:
            values[path] = _converted(known, value, base)
        except ValueError as error:
            raise ConfigError(f"{path} ({origin}): {error}", hint=known.help) from error
        except ConfigError as error:
            raise ConfigError(f"{path} ({origin}): {error.message}", hint=error.hint) from error
        origins[path] = origin


def _unknown(path: str, origin: Origin) -> ConfigError:
    from difflib import get_close_matches

    if path in SECTIONS:
        return ConfigError(
            f"{path} ({origin}) is a section, not a setting", hint=f"write [{path}] and the settings under it"
        )
    close = get_close_matches(path, settings(), n=1)
    hint = f"did you mean {close[0]!r}?" if close else "hardpoint config show lists them all"
    return ConfigError(f"unknown setting {path!r} ({origin})", hint=hint)


def _made(
    values: Mapping[str, Any], origins: Mapping[str, Origin], file: Path | None, warnings: tuple[str, ...]
) -> Config:
    parts: dict[str, dict[str, Any]] = {"": {}, **{section: {} for section in SECTIONS}}
    for path, value in values.items():
        section, _, name = path.rpartition(".")
        parts[section][name] = value
    made = {section: owner(**parts[section]) for section, owner in SECTIONS.items()}
    return Config(**parts[""], **made, origins=origins, file=file, warnings=warnings)


def _odd_variables(environ: Mapping[str, str], variables: Mapping[str, str]) -> tuple[str, ...]:
    """Unknown variables are told, not refused: Kubernetes gives every pod ``HARDPOINT_PORT`` and
    ``HARDPOINT_SERVICE_HOST`` of its own accord once a service is named hardpoint.
    """
    from difflib import get_close_matches

    odd = sorted(n for n in environ if n.startswith(ENV_PREFIX) and n not in variables and n not in ENV_ELSEWHERE)
    close = {name: get_close_matches(name, variables, n=1, cutoff=0.8) for name in odd}
    return tuple(f"{name} is not a setting: did you mean {near[0]}?" for name, near in close.items() if near)


def _converted(known: Setting, value: object, base: Path | None) -> Any:
    """The value in its type and within its range. Text is read as the environment writes it.

    Raises:
        ValueError: it cannot be; the message completes "<setting>: …".
    """
    match known.kind:
        case "path":
            if not isinstance(value, str | Path) or not str(value):
                raise ValueError("must be the path of a file or folder")
            return _path(value, base)
        case "paths":
            return _paths(value, base)
        case "strings":
            return {"listen": _listen_urls, "mount": _mounts, "retention.rules": _retention_rules}[known.path](value)
        case "boolean":
            return _boolean(value)
        case "string":
            if value not in known.choices:
                raise ValueError(f"must be one of {', '.join(known.choices)}, not {value!r}")
            return value
    number = _number(known, value)
    if known.minimum is not None and number < known.minimum:
        raise ValueError(f"must be at least {known.minimum:g}, not {value!r}")
    if known.maximum is not None and number > known.maximum:
        raise ValueError(f"must be at most {known.maximum:g}, not {value!r}")
    return number


def _path(value: str | Path, base: Path | None) -> Path:
    # A path in a file is meant from where the file lies: the server may be started from anywhere.
    path = Path(value).expanduser()
    return base / path if base else path


def _paths(value: object, base: Path | None) -> tuple[Path, ...]:
    """Any number of paths; text may hold several, separated by the platform's mark for search paths (``:``)."""
    if isinstance(value, str | Path):
        value = [each for each in str(value).split(os.pathsep) if each]
    if not isinstance(value, Sequence) or not all(isinstance(each, str | Path) and str(each) for each in value):
        raise ValueError("must be a path or a list of them")
    return tuple(_path(each, base) for each in value)


def _listen_urls(value: object) -> tuple[str, ...]:
    """At least one listener URL; text may hold several, separated by commas or spaces."""
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if not isinstance(value, Sequence) or not value or not all(isinstance(url, str) for url in value):
        raise ValueError("must be a listener URL or a list of them")
    parsed = [parse_listen_url(url) for url in value]
    taken = [str(url) for url in parsed if url.scheme == "unix" or url.port]
    twice = next((url for url in taken if taken.count(url) > 1), None)
    if twice:
        raise ValueError(f"{twice} is given twice")
    return tuple(str(url) for url in parsed)


def _mounts(value: object) -> tuple[str, ...]:
    """Mounts; text may hold several, separated by commas or spaces."""
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if not isinstance(value, Sequence) or not all(isinstance(text, str) for text in value):
        raise ValueError("must be PATH=MODULE:APP or a list of them")
    if len({parse_mount(text)[0] for text in value}) != len(value):
        raise ValueError("a path is given twice")
    return tuple(value)


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """One of ``retention.rules``, taken apart. ``device`` and ``key`` are shell patterns; None is never."""

    device: str
    key: str
    thin_after_s: float | None = None
    drop_after_s: float | None = None


_RULE = re.compile(r"(?P<device>\S+):(?P<key>[^\s:]+)\s+(?P<what>\S.*)")


def parse_retention_rule(text: str) -> RetentionRule:
    """``greenhouse-*:temp thin 90d drop 5y``, ``*:debug.* drop 7d`` or ``host:* keep``.

    Raises:
        ValueError: something else; the message completes "<setting>: …".
    """
    found = _RULE.fullmatch(text.strip())
    words = found["what"].split() if found else []
    if found and words == ["keep"]:
        return RetentionRule(found["device"], found["key"])
    ages: dict[str, float] = {}
    for name, age in zip(words[::2], words[1::2], strict=False):
        amount = _AMOUNT.fullmatch(age)
        factor = _DURATIONS.get(amount[2].upper()) if amount and amount[2] else None
        if name not in ("thin", "drop") or name in ages or amount is None or not factor or float(amount[1]) <= 0:
            break
        ages[name] = float(amount[1]) * factor
    if found is None or not words or len(ages) * 2 != len(words):
        raise ValueError(
            f"must be like '*:debug.* drop 7d', 'pump-*:* thin 90d drop 5y' or 'host:* keep', not {text!r}"
        )
    return RetentionRule(found["device"], found["key"], ages.get("thin"), ages.get("drop"))


def _retention_rules(value: object) -> tuple[str, ...]:
    """Any number of rules; text may hold several, separated by commas."""
    rules = value.split(",") if isinstance(value, str) else value
    if not isinstance(rules, Sequence) or not all(isinstance(rule, str) for rule in rules):
        raise ValueError("must be a rule or a list of them")
    given = tuple(" ".join(rule.split()) for rule in rules if rule.strip())
    for rule in given:
        parse_retention_rule(rule)
    return given


_BOOLEANS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def _boolean(value: object) -> bool:
    found = value if isinstance(value, bool) else _BOOLEANS.get(str(value).lower())
    if found is None or isinstance(value, float):
        raise ValueError(f"must be true or false, not {value!r}")
    return found


_AMOUNT = re.compile(r"(-?[0-9][0-9_]*(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_SIZES = {"": 1.0, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_DURATIONS = {
    "": 1.0,
    "MS": 1e-3,
    "S": 1,
    "M": 60,
    "MIN": 60,
    "H": 3600,
    "D": 86_400,
    "W": 7 * 86_400,
    "Y": 365.25 * 86_400,
}
UNITS = {"bytes": _SIZES, "seconds": _DURATIONS}


def _number(known: Setting, value: object) -> float | int:
    number = _amount(known, value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError(f"must be a number, not {value!r}")  # noqa: TRY004 - as any other value that cannot be
    if not abs(number) <= MAX_NUMBER:  # written so that NaN is refused as well
        raise ValueError(f"must be a number up to 2^53, not {value!r}")
    if known.kind == "integer" and number != int(number):
        raise ValueError(f"must be a whole number, not {value!r}")
    return int(number) if known.kind == "integer" else float(number)


def _amount(known: Setting, text: str) -> float:
    """A number with the unit it may carry, in the setting's own unit."""
    found = _AMOUNT.fullmatch(text.strip())
    factor = UNITS.get(known.unit, {"": 1.0}).get(found[2].upper()) if found else None
    if found is None or factor is None:
        example = {"bytes": " like 65536 or 64KiB", "seconds": " like 30 or 1.5s or 2min"}.get(known.unit, "")
        raise ValueError(f"must be a number{example}, not {text!r}")
    return float(found[1]) * factor
