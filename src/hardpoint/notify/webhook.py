"""Webhook: the news as JSON to a URL, with a key that is the same for every try and, if wanted, a signature."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from ..errors import BadInput
from ..hub.outbox import Notice, Sender
from .body import notice_body
from .post import checked_url, post
from .settings import refuse_unknown, text

if TYPE_CHECKING:
    from ..model import Json

MAX_HEADERS = 16

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")  # RFC 9110 §5.6.2


class Webhook(Sender):
    """``POST {"key", "subject", "text", "severity", "news": [{"event", "alert"}]}``.

    Settings: ``url``; ``secret`` (then ``X-Hardpoint-Signature: sha256=<HMAC of the body>`` is sent); ``headers``.
    """

    secret: ClassVar[frozenset[str]] = frozenset({"secret", "headers"})

    def check(self, settings: Mapping[str, Json]) -> dict[str, Json]:
        """See `Sender`."""
        refuse_unknown(settings, ("url", "secret", "headers"))
        headers = settings.get("headers", {})
        if not isinstance(headers, dict) or len(headers) > MAX_HEADERS:
            raise BadInput(f"headers are at most {MAX_HEADERS} names with values", field="settings.headers")
        for name, value in headers.items():
            fits = isinstance(value, str) and len(value) <= 1024 and value.isascii() and value.isprintable()
            if _HEADER_NAME.fullmatch(name) is None or not fits:
                raise BadInput("a header is a name and a line of ASCII", field=f"settings.headers.{name[:64]}")
        return {
            "url": checked_url(settings.get("url"), "url"),
            "secret": text(settings, "secret", ""),
            "headers": headers,
        }

    async def send(self, settings: Mapping[str, Json], notice: Notice) -> str:
        """See `Sender`."""
        body = notice_body(notice)
        headers = {"Content-Type": "application/json", "Idempotency-Key": notice.key, **settings["headers"]}
        if settings["secret"]:
            signature = hmac.new(settings["secret"].encode(), body, hashlib.sha256).hexdigest()
            headers["X-Hardpoint-Signature"] = f"sha256={signature}"
        return await post(settings["url"], body, headers)
