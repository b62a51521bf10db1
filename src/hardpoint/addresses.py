"""What others in the network dial to reach this machine."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

MAX_SHOWN = 8
"""Addresses that are offered to choose from; a machine with containers has dozens."""
SPOKEN_ON_ANY = frozenset({"line", "http", "mqtt"})
WITHIN_TLS_ON_ANY = frozenset({"lines", "https", "mqtts"})


def lan_address() -> str:
    """This machine's address in its network, as another machine would dial it; 127.0.0.1 where there is none.

    Connecting a UDP socket sends nothing: it asks the kernel which address it would send from. The destination is
    TEST-NET-1 (RFC 5737), which no network routes specially. In a network that leads nowhere the kernel knows of no
    way there; the first address of an interface is the one then.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return next((each for each in lan_addresses() if ":" not in each), "127.0.0.1")
        return str(probe.getsockname()[0])


def lan_addresses() -> list[str]:
    """This machine's addresses that have a meaning on others, IPv4 first, at most `MAX_SHOWN`."""
    import psutil  # 15 ms that a start in an ordinary network does without

    found = [
        ip_address(each.address.partition("%")[0])
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family in (socket.AF_INET, socket.AF_INET6)
    ]
    dialled = [each for each in found if not each.is_loopback and not each.is_link_local]
    return [str(each) for each in sorted(dialled, key=lambda each: each.version)][:MAX_SHOWN]


def reachable(health: Mapping[str, Any], scheme: str, here: str) -> tuple[str, int] | None:
    """Host and port to dial for a dialect: its first listener in ``/api/health``, else one for any, or None.

    ``here`` stands for a listener that is on every address.
    """
    found: dict[str, tuple[str, int]] = {}
    for each in health["listeners"]:
        parts = urlsplit(each["url"])
        found.setdefault(parts.scheme, (parts.hostname or "", each["port"]))
    spoken = SPOKEN_ON_ANY | WITHIN_TLS_ON_ANY if health.get("certificates") else SPOKEN_ON_ANY
    where = found.get(scheme) or found.get("any" if scheme in spoken else "")
    if where is None:
        return None
    host, port = where
    return (here if host in ("", "0.0.0.0", "::") else host), port  # noqa: S104 - compared with, not bound to
