"""One HTTP request to somebody else's server, for the channels that need no more than that.

`http.client` on a thread of its own: such a request is rare, may take long, and must not share anything with ours.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..errors import BadInput
from ..hub.outbox import NotDelivered
from ..threads import call_apart

TIMEOUT_S = 10.0
"""For each step: connecting, sending, the head of the answer."""
MAX_ANSWER_BYTES = 64 * 1024
MAX_URL_LENGTH = 2048


def checked_url(url: object, field: str) -> str:
    """The URL itself.

    Raises:
        BadInput: it is not one that can be asked.
    """
    if isinstance(url, str) and len(url) <= MAX_URL_LENGTH and url.isprintable() and url.isascii() and " " not in url:
        try:
            parts = urlsplit(url)
            port_is_one = parts.port != 0  # raises where it is no number
        except ValueError:
            parts, port_is_one = urlsplit(""), False
        if port_is_one and parts.scheme in ("http", "https") and parts.hostname:
            return url
    raise BadInput(f"{field} is a URL that begins with http:// or https://", field=f"settings.{field}")


async def post(url: str, body: bytes, headers: Mapping[str, str]) -> str:
    """``POST`` the body; returns ``HTTP <status>``. A redirection is not followed: what is told may be secret.

    Raises:
        NotDelivered: no answer, or one that is not 2xx.
    """
    return await call_apart("hardpoint-notify", lambda: _post(url, body, headers))


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=TIMEOUT_S, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_S)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, body, {"User-Agent": "hardpoint", **headers})
        response = connection.getresponse()
        said = response.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise NotDelivered(f"{host}: {str(error) or type(error).__name__}") from None
    finally:
        connection.close()
    if not 200 <= response.status < 300:
        words = " ".join(said.decode("utf-8", "replace").split())[:200]
        raise NotDelivered(f"HTTP {response.status} {response.reason}: {words}")
    return f"HTTP {response.status}"
