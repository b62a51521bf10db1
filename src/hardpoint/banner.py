"""What ``hardpoint serve`` says once it accepts connections: everything a newcomer needs to go on, and no more."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from .addresses import lan_address


def describe_start(
    *,
    version: str,
    ports: dict[str, int],
    listeners: list[str],
    link: str | None,
    token: str | None,
    store: dict[str, Any],
    devices: int,
    allow_anonymous: bool,
    trust: str | None = None,
) -> str:
    """The start message. ``link``, ``token`` and ``trust`` (the file that tells clients to trust the certificate of the
    server's own) are None where there is nothing to say about them.
    """
    address = _reachable_address(listeners)
    lines = [f"Hardpoint {version} is ready after {seconds_since_process_start():.2f} s", ""]
    web = next((scheme for scheme in ("http", "https", "any") if scheme in ports), None)
    if web is not None:
        page = f"{'https' if web == 'https' else 'http'}://{address}:{ports[web]}/"
        lines.append(f"  Dashboard  {page}welcome#{link}" if link else f"  Dashboard  {page}")
        if link:
            lines.append("             Choose a name and a password there; the link opens until you have.")
    for number, url in enumerate(listeners):
        lines.append(f"  {'Listening' if number == 0 else '         '}  {url}")
    door = next((scheme for scheme in ("line", "any", "lines") if scheme in ports), None)
    if token is not None and door is not None:
        reach = f"openssl s_client -quiet -connect {address}:" if door == "lines" else f"nc {address} "
        lines.append(f"  Try it     printf 'HELLO {token}\\ntemp=21.5\\nQUIT\\n' | {reach}{ports[door]}")
    if trust is not None:
        lines.append(f"  Trust      {trust} is what TLS clients need")
    path = store.get("path")
    size = _size(int(store.get("size_bytes") or 0))
    held = f"{devices} device{'' if devices == 1 else 's'}, {store.get('readings', 0):,} readings, {size}"
    lines.append(f"  Data       {path}: {held}" if path else f"  Data       in memory only: {held}")
    if allow_anonymous:
        lines += ["", "  *** allow_anonymous is on: whoever can reach these ports can attach under any name. ***"]
    return "\n".join([*lines, ""])


def seconds_since_process_start() -> float:
    """Since the kernel started this process, where it tells (Linux, to 10 ms), else since Python did."""
    try:
        with Path("/proc/self/stat").open("rb") as stat, Path("/proc/uptime").open("rb") as uptime:
            # proc(5): the 22nd field, counted behind the name, which may itself hold spaces and parentheses.
            ticks = int(stat.read().rpartition(b")")[2].split()[19])
            return max(0.0, float(uptime.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return time.process_time()


def _reachable_address(listeners: list[str]) -> str:
    """The address to show: this machine's own on the network where we listen on all, else the one we listen on."""
    tcp = [url.partition("://")[2].rpartition(":")[0] for url in listeners if "://" in url]
    if not tcp:
        return "127.0.0.1"
    if tcp[0] not in ("0.0.0.0", "[::]", ""):  # noqa: S104 - compared, not bound
        return tcp[0]
    return lan_address()


def _size(size_bytes: int) -> str:
    amount, unit = float(size_bytes), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
