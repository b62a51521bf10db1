"""TLS from the other side: what our own clients trust."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from ..errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def client_context(ca: Path | None) -> ssl.SSLContext:
    """A server's certificate and its name are checked by the authorities in this file alone, or, without one, by those
    of the system.

    Raises:
        ConfigError: the file cannot be read, or holds no certificate in PEM.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError:
        why = "it holds no certificate in PEM"
    except OSError as error:
        why = error.strerror or str(error)
    raise ConfigError(f"{ca}: {why}", hint="the server keeps its own authority in DATA/tls/ca.pem")
