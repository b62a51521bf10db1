"""The opening handshake (RFC 6455 §4): an HTTP request that asks to go on with WebSocket, and its answer."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...errors import PeerError
from .deflate import EXTENSION, Agreement, DeflateOptions, answer_offer, encode_offer, read_answer

VERSION = "13"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # §1.3
MAX_OFFERS = 16
"""Elements of one ``Sec-WebSocket-Extensions`` that are looked at; browsers send one or two."""

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"  # a token
_NAMES = re.compile(rf"[ \t]*{_NAME}[ \t]*(?:,[ \t]*{_NAME}[ \t]*)*+")
# §9.1: extension-list, whose quoted values must be tokens inside.
_PARAMETER = re.compile(rf";[ \t]*({_NAME})[ \t]*(?:=[ \t]*(?:({_NAME})|\"({_NAME})\")[ \t]*)?")
_EXTENSION = re.compile(
    rf"[ \t]*({_NAME})[ \t]*((?:;[ \t]*{_NAME}[ \t]*(?:=[ \t]*(?:{_NAME}|\"{_NAME}\")[ \t]*)?)*+)(?:,|$)"
)
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class HandshakeRefused(PeerError):
    """The request cannot be upgraded: answer with ``answer`` and these ``headers``."""

    def __init__(self, answer: int, message: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.answer = answer
        self.headers = list(headers)


@dataclass(slots=True)
class Accepted:
    """A handshake that may go through: the fields of the 101, and what was agreed on."""

    headers: list[tuple[str, str]]
    """``Upgrade`` and ``Sec-WebSocket-…``; ``Connection`` is said by whoever owns the connection."""
    subprotocol: str | None
    agreement: Agreement | None
    """On compression; None for none."""


def accept_key(key: str) -> str:
    """``Sec-WebSocket-Accept`` for a ``Sec-WebSocket-Key`` (§4.2.2 step 5.4)."""
    digest = hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def asks_for_websocket(headers: Mapping[str, str]) -> bool:
    """Whether the request wants to be upgraded to WebSocket, rightly or wrongly."""
    return "websocket" in _lower_tokens(headers.get("upgrade", ""))


def accept(
    method: str,
    headers: Mapping[str, str],
    *,
    subprotocols: Sequence[str] = (),
    options: DeflateOptions | None = None,
) -> Accepted:
    """Check a client's handshake (§4.2.1) and make the answer.

    Args:
        headers: by name in lower case, repeated fields joined by a comma.
        subprotocols: those spoken here; the first of the client's that is among them is chosen.
        options: for compression; None declines every offer of it.

    Raises:
        HandshakeRefused: 405 for another method than GET; 426 when it does not ask for WebSocket, or for another
            version; 400 when a field is missing or malformed.
    """
    if method != "GET":
        raise HandshakeRefused(405, "a WebSocket begins with GET", [("Allow", "GET")])
    if not asks_for_websocket(headers):
        raise HandshakeRefused(426, "a WebSocket is spoken here", [("Upgrade", "websocket")])
    if "upgrade" not in _lower_tokens(headers.get("connection", "")):
        raise HandshakeRefused(400, "Connection does not name Upgrade")
    if headers.get("sec-websocket-version") != VERSION:
        # §4.4: say which version would do.
        fields = [("Upgrade", "websocket"), ("Sec-WebSocket-Version", VERSION)]
        raise HandshakeRefused(426, f"version {VERSION} of WebSocket is spoken here", fields)
    key = headers.get("sec-websocket-key", "")
    if not _is_key(key):
        raise HandshakeRefused(400, "Sec-WebSocket-Key is not 16 bytes in base64")
    subprotocol = _choose(headers.get("sec-websocket-protocol"), subprotocols)
    fields = [("Upgrade", "websocket"), ("Sec-WebSocket-Accept", accept_key(key))]
    if subprotocol is not None:
        fields.append(("Sec-WebSocket-Protocol", subprotocol))
    agreement = None
    for name, parameters in _extensions(headers.get("sec-websocket-extensions")):
        answer = answer_offer(parameters, options) if options is not None and name == EXTENSION else None
        if answer is not None:  # RFC 7692 §5: offers come in the order of the client's preference
            agreement, element = answer
            fields.append(("Sec-WebSocket-Extensions", element))
            break
    return Accepted(fields, subprotocol, agreement)


def same_origin(origin: str, host: str) -> bool:
    """Whether a page of ``origin`` belongs to this ``Host``: the same name and port, written in whichever way.

    The scheme is not compared: behind a proxy that ends TLS the page's is https, and ours is not. For the same reason
    a Host without a port stands for the default port of the page's scheme.
    """
    try:
        theirs, ours = urlsplit(origin), urlsplit(f"//{host}")
        default = _DEFAULT_PORTS.get(theirs.scheme)
        if default is None or theirs.hostname is None or theirs.hostname != ours.hostname:
            return False
        return (theirs.port or default) == (ours.port or default)
    except ValueError:
        return False


# ---- A client's side


def encode_request(
    target: str,
    host: str,
    key: str,
    *,
    subprotocols: Sequence[str] = (),
    options: DeflateOptions | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> bytes:
    """A client's handshake (§4.1); `new_key` makes the key."""
    fields = [
        ("Host", host),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", VERSION),
        *headers,
    ]
    if subprotocols:
        fields.append(("Sec-WebSocket-Protocol", ", ".join(subprotocols)))
    if options is not None:
        fields.append(("Sec-WebSocket-Extensions", encode_offer(options)))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


def new_key() -> str:
    """A fresh ``Sec-WebSocket-Key``."""
    return base64.b64encode(os.urandom(16)).decode("ascii")


def read_response(
    status: int,
    headers: Mapping[str, str],
    key: str,
    *,
    subprotocols: Sequence[str] = (),
    options: DeflateOptions | None = None,
) -> Accepted:
    """Check a server's answer (§4.1) to `encode_request` with the same arguments.

    Raises:
        HandshakeRefused: it is not one to that request; ``answer`` is the status that came.
    """
    if status != 101:
        raise HandshakeRefused(status, f"the server answered {status}, not 101")
    if not asks_for_websocket(headers) or "upgrade" not in _lower_tokens(headers.get("connection", "")):
        raise HandshakeRefused(status, "the server has not upgraded to WebSocket")
    if headers.get("sec-websocket-accept") != accept_key(key):
        raise HandshakeRefused(status, "Sec-WebSocket-Accept does not belong to the key")
    subprotocol = headers.get("sec-websocket-protocol")
    if subprotocol is not None and subprotocol not in subprotocols:
        raise HandshakeRefused(status, f"the server chose the subprotocol {subprotocol}, which was not offered")
    agreement = None
    for name, parameters in _extensions(headers.get("sec-websocket-extensions")):
        if options is None or name != EXTENSION or agreement is not None:
            raise HandshakeRefused(status, f"the server uses {name}, which was not offered")
        agreement = read_answer(parameters, options)
        if agreement is None:
            raise HandshakeRefused(status, "the server's parameters of compression do not fit the offer")
    return Accepted([], subprotocol, agreement)


# ---- Fields


def _lower_tokens(value: str) -> list[str]:
    return [token.strip(" \t").lower() for token in value.split(",")]


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key.encode("ascii"), validate=True)) == 16
    except (binascii.Error, UnicodeEncodeError):
        return False


def _choose(value: str | None, spoken: Sequence[str]) -> str | None:
    if value is None:
        return None
    if _NAMES.fullmatch(value) is None:
        raise HandshakeRefused(400, "Sec-WebSocket-Protocol is not a list of tokens")
    return next((name for name in (each.strip(" \t") for each in value.split(",")) if name in spoken), None)


def _extensions(value: str | None) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """The elements of ``Sec-WebSocket-Extensions`` (§9.1), with their parameters."""
    found: list[tuple[str, list[tuple[str, str | None]]]] = []
    position = 0
    value = (value or "").rstrip(" \t")
    while position < len(value) and len(found) < MAX_OFFERS:
        element = _EXTENSION.match(value, position)
        if element is None:
            raise HandshakeRefused(400, "Sec-WebSocket-Extensions cannot be read")
        parameters = [(name, token or quoted or None) for name, token, quoted in _PARAMETER.findall(element[2])]
        found.append((element[1], parameters))
        position = element.end()
    return found
