"""Apprise: more than a hundred services by URL (https://github.com/caronc/apprise). Needs the extra ``notify``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import apprise

from ..errors import BadInput
from ..hub.outbox import NotDelivered, Notice, Sender
from ..threads import call_apart
from .settings import refuse_unknown, text

if TYPE_CHECKING:
    from ..model import Json

KINDS = {"info": "info", "warning": "warning", "critical": "failure"}


class Apprise(Sender):
    """Settings: ``url``, as Apprise has it: ``slack://…``, ``pover://…``, ``matrixs://…``."""

    secret: ClassVar[frozenset[str]] = frozenset({"url"})

    def check(self, settings: Mapping[str, Json]) -> dict[str, Json]:
        """See `Sender`."""
        refuse_unknown(settings, ("url",))
        url = text(settings, "url")
        if not apprise.Apprise().add(url):
            raise BadInput("Apprise knows no service of this URL", field="settings.url")
        return {"url": url}

    async def send(self, settings: Mapping[str, Json], notice: Notice) -> str:
        """See `Sender`."""

        def notify() -> bool:
            service = apprise.Apprise()
            service.add(settings["url"])
            return bool(service.notify(notice.text, title=notice.subject, notify_type=KINDS[notice.severity]))

        if not await call_apart("hardpoint-apprise", notify):
            raise NotDelivered("the service did not take it; its own log lines say why")
        return "accepted"
