"""Health."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from .words import Ms


class Listener(Struct):
    """A door, where it really is, and how many are in."""

    url: str
    port: int | None
    connections: int


class ShownCertificate(Struct):
    """A certificate that listeners with TLS show. ``not_after`` is in ms; below 0 ``days_left`` it has ended."""

    names: list[str]
    fingerprint: str
    not_after: int
    days_left: int


class BridgeState(Struct):
    """The connection to another MQTT broker: ``error`` says why there is none, ``queued`` are messages that wait."""

    url: str
    connected: bool
    error: str
    queued: int


class Health(Struct):
    """Readiness with every part's state. Strangers are not shown Unix listeners, the bridge, nor the store's ``path``
    and ``free_bytes``.
    """

    status: Literal["ok", "degraded"]
    version: str
    uptime_s: float
    loop: str
    listeners: list[Listener]
    certificates: list[ShownCertificate]
    bridge: BridgeState | None
    store: dict[str, Any]


class Process(Struct):
    """The server's process. ``turn_ms``: how long a turn of the event loop took just now."""

    pid: int
    cpu_s: float
    rss_bytes: int | None
    threads: int
    turn_ms: float
    python: str
    sqlite: str
    platform: str


class Overview(Struct):
    """How the server does. Counters only grow: their difference over a time is a rate."""

    at: Ms
    health: Health
    process: Process
    counters: dict[str, int]
    refused: dict[str, int]
    sessions: dict[str, int]
    gauges: dict[str, int]


class MachineCheck(Struct):
    """One thing that `hardpoint doctor` looks at: ``seen`` is what was found, ``fix`` what helps."""

    id: str
    status: Literal["ok", "warn", "fail", "skip"]
    seen: str
    fix: str | None


class Checkup(Struct):
    """What was found on the server's machine ``at``. Not ``done``: the check behind the last one has no end yet.
    ``ok``: none has failed.
    """

    at: Ms
    done: bool
    ok: bool
    checks: list[MachineCheck]


class Backup(Struct):
    """A copy of everything, kept in the data folder; the last two are null where it cannot be read.

    ``packages`` of firmware are in it; of ``missing_packages`` it knows, without the files: an earlier version's copy.
    """

    name: str
    bytes: int
    made: Ms
    packages: int | None
    missing_packages: int | None


class BackupList(Struct):
    """The copies, the newest first, and how many may be kept."""

    items: list[Backup]
    most: int
