"""Listener URLs and mounts, as they are written in a setting."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import ConfigError

LISTEN_PORTS = {
    "line": 9000,
    "http": 8080,
    "mqtt": 1883,
    "any": 9000,
    "lines": 9443,
    "https": 8443,
    "mqtts": 8883,
}
"""The schemes of listener URLs, and the port of one without."""
INSIDE_TLS = {"lines": "line", "https": "http", "mqtts": "mqtt"}
"""Schemes that are another one over TLS."""


@dataclass(frozen=True, slots=True)
class ListenUrl:
    """A listener URL taken apart. ``path`` is set for ``unix`` only, ``host`` and ``port`` for the others."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def speaks_tls(self) -> bool:
        """Whether a client may speak TLS there; on ``any`` it may also not."""
        return self.scheme in INSIDE_TLS or self.scheme == "any"

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix:{self.path}"
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def parse_listen_url(url: str) -> ListenUrl:
    """``line://0.0.0.0:9000``, ``http://[::]:8080`` or ``unix:/run/hardpoint.sock``, taken apart.

    Raises:
        ConfigError: no such dialect, no host, a port outside 0–65535, or anything after the port.
    """
    scheme, colon, rest = url.partition(":")
    known = f"known: {', '.join(f'{name}://HOST:PORT' for name in LISTEN_PORTS)}, unix:PATH"
    if colon and scheme == "unix":
        if not rest.removeprefix("//"):
            raise ConfigError(f"listener {url!r} has no path", hint="write unix:/run/hardpoint.sock")
        return ListenUrl("unix", path=rest.removeprefix("//"))
    if not colon or not rest.startswith("//") or scheme not in LISTEN_PORTS:
        raise ConfigError(f"listener {url!r} names no dialect that can listen", hint=known)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"listener {url!r}: {error}", hint=known) from error
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc or not parts.netloc:
        raise ConfigError(f"listener {url!r} must be {scheme}://HOST:PORT and no more", hint=known)
    return ListenUrl(scheme, parts.hostname or "", LISTEN_PORTS[scheme] if port is None else port)


def parse_mount(text: str) -> tuple[str, str]:
    """``/app=package.module:app``, taken apart.

    Raises:
        ConfigError: it is not of that form.
    """
    path, equals, reference = text.partition("=")
    if not equals or not re.fullmatch(r"/[A-Za-z0-9._~/-]*", path) or not re.fullmatch(r"[\w.]+:[\w.]+", reference):
        raise ConfigError(f"mount {text!r} is not PATH=MODULE:APP", hint="write /app=package.module:app")
    return path, reference
