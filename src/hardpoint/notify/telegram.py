"""Telegram: a bot writes to a chat (https://core.telegram.org/bots/api#sendmessage)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import msgspec

from ..errors import BadInput
from ..hub.outbox import Notice, Sender
from .post import checked_url, post
from .settings import refuse_unknown, text

if TYPE_CHECKING:
    from ..model import Json

MAX_MESSAGE_LENGTH = 4096
"""Telegram's own limit."""

_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{1,100}")


class Telegram(Sender):
    """Settings: ``token`` of the bot; ``chat``, its number or ``@name``; ``server`` (https://api.telegram.org)."""

    secret: ClassVar[frozenset[str]] = frozenset({"token"})

    def check(self, settings: Mapping[str, Json]) -> dict[str, Json]:
        """See `Sender`."""
        refuse_unknown(settings, ("token", "chat", "server"))
        token = text(settings, "token")
        if _TOKEN.fullmatch(token) is None:  # it becomes a part of the path
            raise BadInput(
                "a bot's token is digits, a colon and letters, as BotFather gives it", field="settings.token"
            )
        return {
            "token": token,
            "chat": text(settings, "chat"),
            "server": checked_url(settings.get("server", "https://api.telegram.org"), "server").rstrip("/"),
        }

    async def send(self, settings: Mapping[str, Json], notice: Notice) -> str:
        """See `Sender`."""
        body = msgspec.json.encode({"chat_id": settings["chat"], "text": notice.text[:MAX_MESSAGE_LENGTH]})
        url = f"{settings['server']}/bot{settings['token']}/sendMessage"
        return await post(url, body, {"Content-Type": "application/json"})
