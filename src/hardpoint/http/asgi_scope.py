"""What an ASGI application is told of a request and its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from asyncio import Transport

    from .messages import Request

ASGI = {"version": "3.0", "spec_version": "2.5"}
"""2.4 made `send` raise OSError when the client is gone, 2.5 gave ``websocket.disconnect`` its reason."""
_TLS_VERSIONS = {"TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


def request_scope(request: Request, root_path: str) -> dict[str, Any]:
    """The scope of an HTTP request, but for ``state``: the same for every request of its connection with that head."""
    connection, head = request.connection, request.head
    assert connection is not None
    transport = connection.transport
    client = _address(transport.get_extra_info("peername"))
    if connection.proxied:
        client = request.address, int(request.peer.rpartition(":")[2] or 0)
    extensions: dict[str, Any] = {
        "http.response.early_hint": {},
        "http.response.pathsend": {},
        "http.response.trailers": {},
    }
    tls = _tls(transport)
    if tls is not None:
        extensions["tls"] = tls
    return {
        "type": "http",
        "asgi": ASGI,
        "http_version": "1.1" if head.minor else "1.0",
        "server": _address(transport.get_extra_info("sockname")),
        "client": client,
        "scheme": request.scheme,
        "method": head.method,
        "root_path": root_path,
        "path": head.path,
        "raw_path": head.raw_path.encode("ascii"),
        "query_string": head.query.encode("ascii"),
        "headers": [(name.encode("ascii"), value.encode("latin-1")) for name, value in head.headers.fields],
        "extensions": extensions,
    }


def _address(name: Any) -> tuple[str, int | None] | None:
    """``(host, port)``, ``(path, None)`` of a Unix socket, or None."""
    if isinstance(name, tuple):
        return name[0], name[1]
    return (name, None) if name else None


def _tls(transport: Transport) -> dict[str, Any] | None:
    """ASGI's TLS extension, of a connection that is encrypted."""
    secured: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    if secured is None:
        return None
    from ssl import DER_cert_to_PEM_cert

    certificate = secured.getpeercert(binary_form=True)
    cipher = secured.cipher()
    suites = {each["name"]: each["id"] & 0xFFFF for each in secured.context.get_ciphers()}
    subject = (secured.getpeercert() or {}).get("subject", ())
    names = [f"{key}={value}" for group in reversed(subject) for key, value in group]
    return {
        "server_cert": None,
        "client_cert_chain": [DER_cert_to_PEM_cert(certificate)] if certificate else [],
        "client_cert_name": ",".join(names) or None,
        "client_cert_error": None,
        "tls_version": _TLS_VERSIONS.get(secured.version() or ""),
        "cipher_suite": suites.get(cipher[0]) if cipher else None,
    }
