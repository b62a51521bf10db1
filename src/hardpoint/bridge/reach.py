"""How the other broker is reached: names, TCP, TLS, and the files that are needed for it.

What may block for long (a name server, a file on a network disk) is called on a thread that nobody waits for.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ..config import parse_bridge_url
from ..errors import ConfigError, HardpointError
from ..threads import call_apart

if TYPE_CHECKING:
    from ..config import Bridge as Settings

P = TypeVar("P", bound=asyncio.Protocol)

OPEN_TIMEOUT_S = 30.0
"""For the name, TCP and TLS together."""
MAX_CREDENTIALS_BYTES = 4096


class RemoteFailed(HardpointError):
    """The other broker cannot be reached, or does not let us in."""


async def open_connection(settings: Settings, make: Callable[[tuple[str, str | None] | None], P]) -> P:
    """Connect, to the first of its addresses that answers. ``make`` gives the protocol, for the user name and password
    that are to be used, or None.

    Raises:
        RemoteFailed: it could not be done.
    """
    url = parse_bridge_url(settings.url)

    def prepare() -> tuple[tuple[str, str | None] | None, ssl.SSLContext | None, list[tuple[str, int]]]:
        credentials = read_credentials(settings) if settings.credentials is not None else None
        context = _context(settings) if url.scheme == "mqtts" else None
        found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
        return credentials, context, [(str(each[4][0]), int(each[4][1])) for each in found]

    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            credentials, context, addresses = await call_apart("hardpoint-bridge", prepare)
            failed: OSError = OSError(f"{url.host} has no address")
            for host, port in addresses:
                try:
                    _, protocol = await asyncio.get_running_loop().create_connection(
                        lambda: make(credentials),
                        host,
                        port,
                        ssl=context,
                        server_hostname=None if context is None else url.host,
                    )
                except OSError as error:
                    failed = error
                else:
                    return protocol
            raise failed
    except TimeoutError:
        raise RemoteFailed("it does not answer") from None
    except (OSError, ValueError) as error:
        raise RemoteFailed(str(error) or type(error).__name__) from None


def read_credentials(settings: Settings) -> tuple[str, str | None]:
    """User name and password of ``bridge.credentials``, read anew for each connection.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not two lines of text.
    """
    assert settings.credentials is not None
    with settings.credentials.open("rb") as file:
        lines = file.read(MAX_CREDENTIALS_BYTES).decode().splitlines()
    if not lines or len(lines) > 2 or not lines[0]:
        raise ValueError("bridge.credentials must have the user name in its first line, the password in the next")
    return lines[0], lines[1] if len(lines) == 2 else None


def check_tls(settings: Settings) -> None:
    """Whether the files of a ``mqtts://`` bridge can be used.

    Raises:
        ConfigError: one cannot.
    """
    try:
        _context(settings)
    except (OSError, ValueError) as error:
        raise ConfigError(f"bridge.ca, bridge.cert or bridge.key cannot be used: {error}") from None


def _context(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ca)
    if settings.cert is not None:
        context.load_cert_chain(settings.cert, settings.key)
    return context
