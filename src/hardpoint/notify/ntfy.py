"""ntfy: push messages to phones, through ntfy.sh or a server of one's own (https://docs.ntfy.sh/publish/)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from ..errors import BadInput
from ..hub.outbox import Notice, Sender
from .post import checked_url, post
from .settings import refuse_unknown, text

if TYPE_CHECKING:
    from ..model import Json

PRIORITIES = {"info": "2", "warning": "3", "critical": "5"}


class Ntfy(Sender):
    """Settings: ``topic``; ``server`` (https://ntfy.sh); ``token`` where the topic is protected."""

    secret: ClassVar[frozenset[str]] = frozenset({"token"})

    def check(self, settings: Mapping[str, Json]) -> dict[str, Json]:
        """See `Sender`."""
        refuse_unknown(settings, ("topic", "server", "token"))
        token = text(settings, "token", "")
        if not token.isascii():
            raise BadInput("token is ASCII", field="settings.token")
        return {
            "topic": text(settings, "topic"),
            "server": checked_url(settings.get("server", "https://ntfy.sh"), "server").rstrip("/"),
            "token": token,
        }

    async def send(self, settings: Mapping[str, Json], notice: Notice) -> str:
        """See `Sender`."""
        # A header holds ASCII only; what is beyond is in the text as well.
        headers = {
            "Title": notice.subject.encode("ascii", "replace").decode()[:200],
            "Priority": PRIORITIES[notice.severity],
        }
        if settings["token"]:
            headers["Authorization"] = f"Bearer {settings['token']}"
        url = f"{settings['server']}/{quote(settings['topic'], safe='')}"
        return await post(url, notice.text.encode(), headers)
