"""What a connection's transport knows of the client at its other end."""

from __future__ import annotations

import asyncio


def peer_name(transport: asyncio.BaseTransport) -> str:
    """``ip:port``, ``[ip6]:port``, or ``unix``."""
    name = transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return "unix"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def is_encrypted(transport: asyncio.BaseTransport) -> bool:
    """Whether it goes over TLS, ours or the loop's own."""
    return transport.get_extra_info("sslcontext") is not None


def certificate_name(transport: asyncio.BaseTransport) -> str:
    """The common name of the certificate that the client has shown and that was found good; empty without one."""
    return common_name(transport.get_extra_info("peercert"))


def common_name(peercert: object) -> str:
    """The common name in what `ssl.SSLSocket.getpeercert` gave; empty where there is none."""
    if not isinstance(peercert, dict):
        return ""
    return next((value for entry in peercert.get("subject", ()) for key, value in entry if key == "commonName"), "")
