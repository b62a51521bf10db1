"""What ``hardpoint doctor`` and the system page look at on this machine, and the words for what is found.

A check is a function that yields `Check` results. It may block: the server makes them on a thread (`web.checkup`).
"""

from __future__ import annotations

import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from . import __version__
from .addresses import lan_address, reachable
from .errors import HardpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .config import Config, ListenUrl
    from .hardware.mount import Mount

Status = Literal["ok", "warn", "fail", "skip"]

OLDEST_SQLITE = (3, 31, 0)
"""January 2020, in Ubuntu 20.04: older ones miss what the store's statements need."""
SPACE_FAIL_BYTES = 64 * 2**20
SPACE_WARN_BYTES = 2**30
SPARE_DESCRIPTORS = 64
"""Descriptors that are not connections: the database, its readers, the loop, the log."""
NETWORK_FILESYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs"})
"""SQLite's write-ahead log needs memory that all its users share (sqlite.org/wal.html): these have none."""
MEMORY_FILESYSTEMS = frozenset({"tmpfs", "ramfs"})
DIAL_TIMEOUT_S = 2.0
OLDEST_NOW_S = 1_735_689_600
"""2025-01-01: a machine without a battery clock starts in 1970, and its readings would too."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: ``seen`` is what was found, ``fix`` what to do when that is not well."""

    id: str
    status: Status
    seen: str
    fix: str | None = None


def run_checks(
    config: Config, health: Mapping[str, Any] | HardpointError, mount: Mount | None = None
) -> Iterator[Check]:
    """Every check in its order. One that cannot be made is a warning, and the others go on.

    ``health`` is ``/api/health`` of the server on the folder, or why there is none. ``mount`` is the one that is in
    use; without it the sensors are looked for anew.
    """
    checks: tuple[tuple[str, Callable[[], Iterator[Check]]], ...] = (
        ("python", python),
        ("sqlite", sqlite),
        ("config", lambda: configuration(config)),
        ("loop", lambda: loop(config)),
        ("data", lambda: folder(config.data)),
        ("space", lambda: space(config.data)),
        ("filesystem", lambda: filesystem(config.data)),
        ("server", lambda: server(config, health)),
        ("listener", lambda: listeners(config, health)),
        ("tls", lambda: certificates(config)),
        ("descriptors", lambda: descriptors(config.limits.max_connections)),
        ("clock", clock),
        ("hardware", lambda: hardware(config, mount)),
    )
    for name, check in checks:
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001 - a doctor that falls ill itself helps nobody
            yield Check(name, "warn", f"could not be checked: {type(error).__name__}: {error}")


def python() -> Iterator[Check]:
    """The interpreter."""
    seen = f"{sys.implementation.name} {sys.version.split()[0]}, hardpoint {__version__}"
    old = sys.version_info < (3, 11)
    yield Check("python", "fail" if old else "ok", seen, "install Python 3.11 or newer" if old else None)


def sqlite() -> Iterator[Check]:
    """The SQLite library that Python was built with."""
    import sqlite3

    old = sqlite3.sqlite_version_info < OLDEST_SQLITE
    fix = "use a Python built with a newer SQLite" if old else None
    yield Check("sqlite", "fail" if old else "ok", sqlite3.sqlite_version, fix)


def configuration(config: Config) -> Iterator[Check]:
    """The file in use, and variables that look like settings."""
    yield Check("config", "ok", f"{config.file or 'no file'}; {len(config.origins)} settings are not the default")
    for warning in config.warnings:
        yield Check("config", "warn", warning, "correct the variable's name or unset it")


def loop(config: Config) -> Iterator[Check]:
    """Whether the chosen event loop can be had."""
    from importlib.util import find_spec

    missing = config.loop == "uvloop" and find_spec("uvloop") is None
    fix = "pip install 'hardpoint[fast]', or --loop hardpoint" if missing else None
    yield Check("loop", "fail" if missing else "ok", f"{config.loop}{' is not installed' if missing else ''}", fix)


def nearest_existing(path: Path) -> Path:
    """The folder itself, or the one that it would be made in."""
    path = path.absolute()
    return next(each for each in (path, *path.parents) if each.exists())


def folder(data: Path) -> Iterator[Check]:
    """Whether the data folder is there, ours and private."""
    there = nearest_existing(data)
    if not there.is_dir():
        yield Check("data", "fail", f"{there} is not a folder", "name another: --data DIR")
    elif not os.access(there, os.W_OK | os.X_OK):
        yield Check("data", "fail", f"{there} is not writable", f"chown it to {os.getuid()}, or --data DIR")
    elif there != data.absolute():
        yield Check("data", "ok", f"{data} will be made at the first start")
    elif there.stat().st_mode & 0o077:
        yield Check("data", "warn", f"{data} can be read by other users", f"chmod 700 {data}")
    else:
        yield Check("data", "ok", f"{data}")


def space(data: Path) -> Iterator[Check]:
    """Free space where the data folder is."""
    import shutil

    free = shutil.disk_usage(nearest_existing(data)).free
    status: Status = "fail" if free < SPACE_FAIL_BYTES else "warn" if free < SPACE_WARN_BYTES else "ok"
    yield Check(
        "space", status, f"{free / 2**30:,.2f} GiB free", None if status == "ok" else "free some, or move --data"
    )


def filesystem(data: Path, mounts: Path = Path("/proc/self/mounts")) -> Iterator[Check]:
    """Whether what is written there is kept, and can be kept safely."""
    there = nearest_existing(data).resolve()
    found: tuple[Path, str, str] | None = None
    for line in mounts.read_text("utf-8", "surrogateescape").splitlines():
        device, point, kind = line.split(" ")[:3]
        # proc_mounts escapes space, tab, newline and backslash as octal.
        path = Path(point.encode("latin-1", "surrogateescape").decode("unicode_escape"))
        if there.is_relative_to(path) and (found is None or len(path.parts) >= len(found[0].parts)):
            found = (path, kind, device)
    if found is None:
        yield Check("filesystem", "skip", "no mount point found")
        return
    _, kind, device = found
    seen = f"{kind} on {device}"
    if kind in NETWORK_FILESYSTEMS:
        fix = "put the data folder on a local disk: SQLite's write-ahead log is unsafe over a network"
        yield Check("filesystem", "fail", seen, fix)
    elif kind in MEMORY_FILESYSTEMS:
        yield Check("filesystem", "warn", f"{seen}, which a restart of the machine empties", "choose another --data")
    elif "mmcblk" in device:
        yield Check("filesystem", "ok", f"{seen}: an SD card, keep a backup")
    else:
        yield Check("filesystem", "ok", seen)


def server(config: Config, health: Mapping[str, Any] | HardpointError) -> Iterator[Check]:
    """Whether a server runs on the folder, is well, and is this version."""
    if isinstance(health, HardpointError):
        holder = _lock_holder(config.data / "lock")
        if holder is None:
            yield Check("server", "skip", "none is running on this data folder", "hardpoint serve")
        else:
            fix = f"look at its log, or end it: kill {holder}"
            yield Check("server", "fail", f"process {holder} holds the folder but does not answer", fix)
        return
    well = health["status"] == "ok"
    more = None if well else "hardpoint status tells more"
    yield Check("server", "ok" if well else "fail", f"{health['status']}, version {health['version']}", more)
    if health["version"] != __version__:
        seen = f"the server is {health['version']}, this command {__version__}"
        yield Check("server", "warn", seen, "restart the server after an update")


def _lock_holder(lock: Path) -> int | None:
    """The process that the lock file names, if it lives. The lock itself is not tried: a server that starts at this
    very moment would then find it taken.
    """
    import psutil

    try:
        pid = int(lock.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pid if psutil.pid_exists(pid) else None


def listeners(config: Config, health: Mapping[str, Any] | HardpointError) -> Iterator[Check]:
    """Of a running server: whether each listener can be dialled. Else: whether each address is free."""
    if isinstance(health, HardpointError):
        for url in config.listeners:
            if url.scheme != "unix":
                yield _bindable(url)
        return
    here = lan_address()
    for scheme in dict.fromkeys(each["url"].partition(":")[0] for each in health["listeners"]):
        where = reachable(health, scheme, here)
        if where is None or scheme == "unix":
            continue
        try:
            socket.create_connection(where, DIAL_TIMEOUT_S).close()
        except OSError as error:
            fix = f"is a firewall between? try: nc -vz {where[0]} {where[1]}"
            yield Check("listener", "fail", f"{scheme} at {where[0]}:{where[1]}: {error.strerror or error}", fix)
        else:
            yield Check("listener", "ok", f"{scheme} answers at {where[0]}:{where[1]}")


def _bindable(url: ListenUrl) -> Check:
    family = socket.AF_INET6 if ":" in url.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the server does: without it a port whose last connections are in TIME_WAIT looks taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((url.host, url.port))
        except OSError as error:
            by = _port_owner(url.port)
            seen = f"{url}: {error.strerror or error}{f', by {by}' if by else ''}"
            return Check("listener", "fail", seen, f"end it, or listen elsewhere: --listen {url.scheme}://HOST:PORT")
    return Check("listener", "ok", f"{url} is free")


def _port_owner(port: int) -> str | None:
    """The process that listens on a TCP port, where this user may see it."""
    import psutil

    try:
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid:
                return f"{psutil.Process(each.pid).name()} (process {each.pid})"
    except psutil.Error:
        return None
    return None


def certificates(config: Config) -> Iterator[Check]:
    """Of listeners with TLS: whether the certificate can be used, and for how long."""
    if not any(url.speaks_tls for url in config.listeners):
        yield Check("tls", "skip", "no listener speaks TLS")
        return
    from .tls.certificates import RENEW_BEFORE_S, Certificates

    found = Certificates(config.tls, config.tls_folder)
    try:
        found.load()
    except HardpointError as error:
        yield Check("tls", "fail", error.message, error.hint or "hardpoint tls init")
        return
    now = time.time()
    for each in found.shown:
        days = each.days_left(now)
        status: Status = "fail" if days < 0 else "warn" if each.not_after_s - now < RENEW_BEFORE_S else "ok"
        fix = "hardpoint tls renew" if found.is_own else "renew it where it comes from"
        seen = f"{each.path}: {days} days left" if days >= 0 else f"{each.path} has ended"
        yield Check("tls", status, seen, fix)


def descriptors(max_connections: int) -> Iterator[Check]:
    """Whether the process may open as many descriptors as connections are allowed."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    seen = f"{soft} now, at most {'any number' if allowed == sys.maxsize else allowed}"
    if allowed >= max_connections + SPARE_DESCRIPTORS:
        yield Check("descriptors", "ok", seen)
    else:
        fix = f"raise it (ulimit -Hn, LimitNOFILE=) above {max_connections}, or lower limits.max_connections"
        yield Check("descriptors", "warn", f"{seen}: fewer than limits.max_connections", fix)


def clock() -> Iterator[Check]:
    """Whether the time can be right: readings without a time of their own get this one."""
    import shutil
    import subprocess
    import time

    if time.time() < OLDEST_NOW_S:
        yield Check("clock", "fail", f"it says {time.ctime()}", "set it: timedatectl set-ntp true")
        return
    timedatectl = shutil.which("timedatectl")
    if timedatectl is None:
        yield Check("clock", "skip", "timedatectl is not there to ask whether it is synchronised")
        return
    asked: list[str] = [timedatectl, "show", "--property=NTPSynchronized", "--value"]
    answer = subprocess.run(asked, capture_output=True, text=True, timeout=DIAL_TIMEOUT_S, check=False)  # noqa: S603
    said = answer.stdout.strip()
    if said == "yes":
        yield Check("clock", "ok", "synchronised")
    elif said == "no":
        yield Check("clock", "warn", "not synchronised", "timedatectl set-ntp true")
    else:
        yield Check("clock", "skip", "timedatectl cannot tell here")


def hardware(config: Config, mount: Mount | None = None) -> Iterator[Check]:
    """What is mounted on this machine, and what is not and why."""
    if not config.host.enabled:
        yield Check("hardware", "skip", "host.enabled is false")
        return
    if mount is None:
        from .hardware.mount import mount_host

        mount = mount_host()
    yield Check("hardware", "ok", f"mounted: {', '.join(mount.mounted) or 'nothing'}")
    for name, reason in mount.left_out.items():
        yield Check("hardware", "skip", f"{name} is left out: {reason}")
