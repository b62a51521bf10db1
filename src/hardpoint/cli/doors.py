"""Where a device reaches the server, as this command found it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import addresses
from ..addresses import lan_address
from ..web.snippets import Doors, doors_at

if TYPE_CHECKING:
    from .client import Address


def reachable(health: dict[str, Any], address: Address, scheme: str) -> tuple[str, int] | None:
    """Host and port for a device to dial, or None where no listener speaks that dialect.

    A listener on every address is shown by the name that this command reached the server by, or, from the server's
    own machine, by the machine's address in its network.
    """
    return addresses.reachable(health, scheme, lan_address() if address.path else address.host)


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
