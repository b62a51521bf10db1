"""Where a device reaches the server, as this command found it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..addresses import lan_address
from ..web.snippets import Doors, doors_at

if TYPE_CHECKING:
    from .client import Address

SPOKEN_ON_ANY = frozenset({"line", "http", "mqtt"})
WITHIN_TLS_ON_ANY = frozenset({"lines", "https", "mqtts"})


def reachable(health: dict[str, Any], address: Address, scheme: str) -> tuple[str, int] | None:
    """Host and port for a device to dial: the first listener of that dialect in ``/api/health``, else one for any, or
    None.

    A listener on every address is shown by the name that this command reached the server by, or, from the server's
    own machine, by the machine's address in its network.
    """
    found: dict[str, tuple[str, int]] = {}
    for each in health["listeners"]:
        parts = urlsplit(each["url"])
        found.setdefault(parts.scheme, (parts.hostname or "", each["port"]))
    spoken = SPOKEN_ON_ANY | WITHIN_TLS_ON_ANY if health.get("certificates") else SPOKEN_ON_ANY
    host, port = found.get(scheme) or found.get("any" if scheme in spoken else "") or (None, 0)
    if host is None:
        return None
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared with, not bound to
        host = lan_address() if address.path else address.host
    return host, port


def doors(health: dict[str, Any], address: Address, ca: str | None = None) -> Doors:
    """Every door that snippets go through. ``ca``: the PEM of the server's own authority, if it has one."""
    line, mqtt, lines, mqtts = (reachable(health, address, scheme) for scheme in ("line", "mqtt", "lines", "mqtts"))
    if not address.path:
        # As the pages do: where this command got through, a device will as well, also past a proxy.
        certified = bool(health.get("certificates"))
        found = doors_at(str(address), address.host, health["listeners"], certified=certified, ca=ca)
        return replace(found, line=line, mqtt=mqtt, lines=lines, mqtts=mqtts)
    http, https = (_origin(scheme, reachable(health, address, scheme)) for scheme in ("http", "https"))
    return Doors(line, http, mqtt, lines, https, mqtts, ca=ca)


def _origin(scheme: str, where: tuple[str, int] | None) -> str | None:
    if where is None:
        return None
    host, port = where
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
