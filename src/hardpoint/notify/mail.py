"""Mail over SMTP."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING, ClassVar

from ..errors import BadInput
from ..hub.outbox import NotDelivered, Notice, Sender
from ..threads import call_apart
from .settings import refuse_unknown, text

if TYPE_CHECKING:
    from ..model import Json

TIMEOUT_S = 10.0
MAX_RECEIVERS = 50
SECURITY = ("starttls", "tls", "none")

_ADDRESS = re.compile(r"[^@\s<>,;]{1,64}@[^@\s<>,;]{1,255}")
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,255}")


class Mail(Sender):
    """Settings: ``host``; ``port`` (587, or 465 with ``tls``); ``security`` (``starttls``, ``tls``, ``none``); ``user``
    and ``password``; ``sender``; ``to``, an address or a list of them.
    """

    secret: ClassVar[frozenset[str]] = frozenset({"password"})

    def check(self, settings: Mapping[str, Json]) -> dict[str, Json]:
        """See `Sender`."""
        refuse_unknown(settings, ("host", "port", "security", "user", "password", "sender", "to"))
        security = settings.get("security", "starttls")
        if security not in SECURITY:
            raise BadInput(f"security is one of {', '.join(SECURITY)}", field="settings.security")
        port = settings.get("port", 465 if security == "tls" else 587)
        if type(port) is not int or not 0 < port < 65536:
            raise BadInput("port is 1 to 65535", field="settings.port")
        host = text(settings, "host")
        if _HOST.fullmatch(host) is None:
            raise BadInput("host is a name or an address", field="settings.host")
        to = settings.get("to")
        if isinstance(to, str):
            to = [to]
        if not isinstance(to, list) or not 0 < len(to) <= MAX_RECEIVERS:
            raise BadInput(f"to is a list of 1 to {MAX_RECEIVERS} addresses", field="settings.to")
        for address in [*to, settings.get("sender")]:
            if not isinstance(address, str) or _ADDRESS.fullmatch(address) is None:
                raise BadInput(f"{str(address)[:80]!r} is no mail address", field="settings.to")
        return {
            "host": host,
            "port": port,
            "security": security,
            "user": text(settings, "user", ""),
            "password": text(settings, "password", ""),
            "sender": settings["sender"],
            "to": to,
        }

    async def send(self, settings: Mapping[str, Json], notice: Notice) -> str:
        """See `Sender`."""
        message = EmailMessage()
        message["Subject"] = notice.subject[:200]
        message["From"] = settings["sender"]
        message["To"] = ", ".join(settings["to"])
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=settings["sender"].rpartition("@")[2])
        message["X-Hardpoint-Key"] = notice.key
        message.set_content(f"{notice.text}\n")
        return await call_apart("hardpoint-mail", lambda: _send(settings, message))


def _send(settings: Mapping[str, Json], message: EmailMessage) -> str:
    try:
        if settings["security"] == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                settings["host"], settings["port"], timeout=TIMEOUT_S, context=ssl.create_default_context()
            )
        else:
            server = smtplib.SMTP(settings["host"], settings["port"], timeout=TIMEOUT_S)
        with server:
            if settings["security"] == "starttls":
                server.starttls(context=ssl.create_default_context())
            if settings["user"]:
                server.login(settings["user"], settings["password"])
            refused = server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise NotDelivered(f"{settings['host']}: {str(error) or type(error).__name__}") from None
    # An address of several that was refused: the others have it, and a repeat would reach them twice.
    return f"refused for {', '.join(refused)}" if refused else "accepted"
