"""Programs that send a first reading, with the address and the token filled in. Each is run by the tests."""

from __future__ import annotations

import shlex
import socket
from string import Template
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from .client import Address

SPOKEN_ON_ANY = frozenset({"line", "http", "mqtt"})

PYTHON = Template("""\
import socket

with socket.create_connection(("$host", $port)) as connection:
    connection.sendall(b"HELLO $token\\ntemp=21.5\\n")
    for line in connection.makefile(encoding="utf-8"):
        print(line, end="")
        if line.startswith("!"):  # a command: !<id> <method> <params>
            number = line[1:].split()[0]
            connection.sendall(f"!{number} OK true\\n".encode())
""")
"""Sends a reading, then stays and answers every command. Only the standard library."""


def lan_address() -> str:
    """This machine's address in its network, as another machine would dial it; 127.0.0.1 where there is none.

    Connecting a UDP socket sends nothing: it asks the kernel which address it would send from. The destination is
    TEST-NET-1 (RFC 5737), which no network routes specially.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


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
    host, port = found.get(scheme) or found.get("any" if scheme in SPOKEN_ON_ANY else "") or (None, 0)
    if host is None:
        return None
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared with, not bound to
        host = lan_address() if address.path else address.host
    return host, port


def snippets(token: str, line: tuple[str, int] | None, http: tuple[str, int] | None) -> dict[str, str]:
    """Name → text, for the dialects that listen."""
    made = {}
    if line:
        # QUIT makes the server close: OpenBSD's nc never half-closes without -N, and would stay.
        text = f"HELLO {token}\\ntemp=21.5\\nQUIT\\n"
        made["nc"] = f"printf '{text}' | nc {line[0]} {line[1]}"
    if http:
        host = f"[{http[0]}]" if ":" in http[0] else http[0]
        url = f"http://{host}:{http[1]}/api/v1/{token}/telemetry"
        made["curl"] = f"curl -H 'Content-Type: application/json' -d '{{\"temp\":21.5}}' {shlex.quote(url)}"
    if line:
        made["python"] = PYTHON.substitute(host=line[0], port=line[1], token=token)
    return made
