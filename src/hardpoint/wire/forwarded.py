"""What proxies say of the client behind them: ``Forwarded`` (RFC 7239), ``X-Forwarded-*``, and the PROXY protocol.

Nothing here is to be believed of anybody: whoever asks must know that the bytes came from a proxy of its own.
"""

from __future__ import annotations

import re
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from ..errors import PeerError

MAX_HOPS = 32
"""Elements that are read of one field, from its end: those our own proxies have added."""

MAX_PROXY_V1_BYTES = 107
"""PROXY protocol, section 2.1: the longest line, CRLF included."""
MAX_PROXY_V2_BYTES = 16 + 1024
"""The longest header we take: addresses have at most 216 bytes, the rest is for TLVs."""
PROXY_V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_V1_SIGNATURE = b"PROXY "

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110's word for it
_PAIR = re.compile(rf'[ \t]*({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*")[ \t]*')
_NODE = re.compile(
    r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?|([0-9.]+)(?::([0-9]{1,5}))?|([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)"
)


class Hop(NamedTuple):
    """One element: who asked this proxy, and how. None where it does not say, or says no address."""

    address: IPv4Address | IPv6Address | None
    port: int | None
    scheme: str | None
    host: str | None


class ProxyHeader(NamedTuple):
    """A PROXY header: the client's address, or None for the proxy's own connections (``LOCAL``, ``UNKNOWN``)."""

    address: IPv4Address | IPv6Address | None
    port: int
    size_bytes: int
    """What it took of the connection: the client's own bytes follow."""


def parse_node(text: str) -> tuple[IPv4Address | IPv6Address | None, int | None]:
    """An address with or without a port, as either field writes it; ``(None, None)`` for ``unknown`` and made-up names
    (RFC 7239 §6).
    """
    found = _NODE.fullmatch(text)
    if found is None:
        return None, None
    try:
        address = ip_address(found[1] or found[3] or found[5])
    except ValueError:
        return None, None
    port = found[2] or found[4]
    return address, int(port) if port and int(port) < 65536 else None


def parse_forwarded(value: str) -> list[Hop]:
    """The elements of ``Forwarded``, the nearest proxy's last. From one that is malformed on, nothing further away is
    read: it may be the client's own.
    """
    hops: list[Hop] = []
    for element in reversed(_split(value, ",")[-MAX_HOPS:]):
        pairs: dict[str, str] = {}
        for part in _split(element, ";"):
            found = _PAIR.fullmatch(part)
            if found is None or found[1].lower() in pairs:
                return hops[::-1]
            text = found[2]
            pairs[found[1].lower()] = re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
        address, port = parse_node(pairs.get("for", ""))
        hops.append(Hop(address, port, _scheme(pairs.get("proto")), pairs.get("host")))
    return hops[::-1]


def parse_x_forwarded(addresses: str, schemes: str = "", hosts: str = "") -> list[Hop]:
    """The same from ``X-Forwarded-For``, ``-Proto`` and ``-Host``. The last two are matched from their ends; a single
    one goes for the last proxy alone, which is how nginx and Traefik send them.
    """
    nodes = [parse_node(part.strip(" \t")) for part in addresses.split(",")[-MAX_HOPS:]]
    protos = [part.strip(" \t") for part in schemes.split(",")] if schemes else []
    names = [part.strip(" \t") for part in hosts.split(",")] if hosts else []
    hops = []
    for back, (address, port) in enumerate(reversed(nodes), 1):
        proto = protos[-back] if back <= len(protos) else None
        hops.append(Hop(address, port, _scheme(proto), names[-back] if back <= len(names) else None))
    return hops[::-1]


def _scheme(text: str | None) -> str | None:
    return text.lower() if text and text.lower() in ("http", "https") else None


def _split(text: str, separator: str) -> list[str]:
    """Split outside quoted strings."""
    parts, start, quoted, position = [], 0, False, 0
    while position < len(text):
        char = text[position]
        if quoted and char == "\\":
            position += 1
        elif char == '"':
            quoted = not quoted
        elif char == separator and not quoted:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    parts.append(text[start:])
    return parts


def parse_proxy_header(data: bytes) -> ProxyHeader | None:
    """Read the PROXY header (version 1 or 2) at the start of a connection; None while it is not whole.

    Raises:
        PeerError: it is none. The connection must be closed: the specification forbids to guess.
    """
    if data.startswith(PROXY_V2_SIGNATURE):
        return _parse_v2(data)
    if data.startswith(_V1_SIGNATURE):
        return _parse_v1(data)
    if PROXY_V2_SIGNATURE.startswith(data) or _V1_SIGNATURE.startswith(data):
        return None
    raise PeerError("a connection from this proxy must begin with a PROXY header")


def _parse_v1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, MAX_PROXY_V1_BYTES)
    if end < 0:
        if len(data) >= MAX_PROXY_V1_BYTES:
            raise PeerError("the PROXY line has no end")
        return None
    parts = data[:end].split(b" ")
    if parts[1:2] == [b"UNKNOWN"]:
        return ProxyHeader(None, 0, end + 2)
    try:
        family, source, _, port, _ = (part.decode("ascii") for part in parts[1:])
        address = ip_address(source)
        if family != f"TCP{address.version}" or not port.isdigit() or int(port) > 65535:
            raise ValueError
    except ValueError:
        raise PeerError("the PROXY line is malformed") from None
    return ProxyHeader(address, int(port), end + 2)


def _parse_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < 16:
        return None
    version_and_command, family, length = struct.unpack_from("!BBH", data, 12)
    size = 16 + length
    if version_and_command >> 4 != 2 or version_and_command & 15 > 1 or size > MAX_PROXY_V2_BYTES:
        raise PeerError("the PROXY header is malformed")
    if len(data) < size:
        return None
    if not version_and_command & 15:  # LOCAL: the proxy asks whether we live
        return ProxyHeader(None, 0, size)
    width = {0x11: 4, 0x21: 16}.get(family)
    if width is None:  # UNSPEC, datagrams and Unix sockets: no address that means anything here
        return ProxyHeader(None, 0, size)
    if length < 2 * width + 4:
        raise PeerError("the PROXY header is malformed")
    address = ip_address(data[16 : 16 + width])
    (port,) = struct.unpack_from("!H", data, 16 + 2 * width)
    return ProxyHeader(address, port, size)
