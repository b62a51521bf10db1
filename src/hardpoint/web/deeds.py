"""What people and programs do over the app API, written down.

Every route that changes something is a deed: its name is made of its path (``POST /api/devices/{id}/token`` is
``devices.token``), unless it says another in ``deed``; one that changes nothing says ``deed=None``. What was sent is
never kept, only the names of the fields in it: they may hold a password, a token or a network's key. Where more can be
told a handler adds it with `tell`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

import msgspec

from ..errors import HardpointError, NotFound
from ..http import Response

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from ..http import Answer, Request
    from ..http.router import Route
    from ..hub.hub import Hub
    from ..hub.principal import Principal
    from ..model import AuditEntry, Json

T = TypeVar("T")

MAX_LOOKED_AT_BYTES = 64 * 1024
MAX_FIELDS = 32
"""Of a body whose fields are named in an entry: its size, and how many."""

_CAPTURE = re.compile(r"\{[a-z_]+(?::(?:int|path))?\}")
_VERBS = {"PATCH": "change", "DELETE": "remove", "PUT": "set"}


def deed_of(route: Route) -> str | None:
    """What it is called to use this route; None where nothing is done."""
    if route.method == "GET" or route.meta["role"] is None:
        return None
    if "deed" in route.meta:
        said: str | None = route.meta["deed"]
        return said
    words = [word for word in route.path.removeprefix("/api/").split("/") if not _CAPTURE.fullmatch(word)]
    if route.method != "POST":
        words.append(_VERBS[route.method])
    elif len(words) == 1:
        words.append("create")
    return ".".join(words)


def tell(
    request: Request, detail: Mapping[str, Json] = MappingProxyType({}), *, subject: str = "", device_id: str = ""
) -> None:
    """Add to the entry of what this request does. What is told is shown to whoever may read the log: no secrets."""
    entry: AuditEntry | None = request.audit
    if entry is not None:
        entry.subject = subject or entry.subject
        entry.device_id = device_id or entry.device_id
        entry.detail.update(detail)


def changed_of(before: object, changes: Mapping[str, Json]) -> dict[str, Json]:
    """What of a record is another then: ``{name: {"from": …, "to": …}}``."""
    return {
        name: {"from": getattr(before, name), "to": value}
        for name, value in changes.items()
        if getattr(before, name) != value
    }


class Auditor:
    """Writes down what requests do: `begin` when one may be handled, `handled` when its handler has answered."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def begin(self, request: Request, route: Route, user: Principal) -> None:
        """It may be done, and is begun."""
        deed = deed_of(route)
        if deed is None:
            return
        device_id, subject = self._object(request)
        request.audit = self._hub.audit.begin(
            deed,
            who=user.name,
            via=user.via,
            address=request.address if user.via != "unix" else "",
            device_id=device_id,
            subject=subject,
            detail=_fields(request.body),
        )

    def refuse(self, request: Request, route: Route, user: Principal, error: HardpointError) -> None:
        """It may not be done."""
        deed = deed_of(route)
        if deed is not None:
            device_id, subject = self._object(request)
            self._hub.audit.refuse(
                deed,
                error.code,
                who=user.name,
                via=user.via,
                address=request.address,
                device_id=device_id,
                subject=subject,
            )

    def handled(self, request: Request, answer: Answer | Awaitable[Answer]) -> Answer | Awaitable[Answer]:
        """The answer itself, whose result is noted as soon as it is there."""
        if request.audit is None:
            return answer
        if isinstance(answer, Awaitable):
            return self._awaited(request, answer)
        self._end(request, answer)
        return answer

    def failed(self, request: Request, error: Exception) -> None:
        """The handler raised this."""
        if request.audit is not None:
            self._hub.audit.end(request.audit, error.code if isinstance(error, HardpointError) else "internal")

    async def _awaited(self, request: Request, answer: Awaitable[Answer]) -> Answer:
        try:
            found = await answer
        except Exception as error:
            self.failed(request, error)
            raise
        self._end(request, found)
        return found

    def _end(self, request: Request, answer: Answer) -> None:
        entry: AuditEntry = request.audit
        status = getattr(answer, "status", 200)
        if isinstance(answer, Response) and not entry.subject:
            made = next((value for name, value in answer.headers if name == "Location"), "")
            entry.subject = unquote(made.rpartition("/")[2])
            if made.startswith("/api/devices/"):
                entry.device_id = entry.subject
        self._hub.audit.end(entry, "done" if status < 400 else f"status {status}")

    def _object(self, request: Request) -> tuple[str, str]:
        """``(device id, subject)`` of what the path names."""
        params = request.params
        named = next((str(value) for name, value in params.items() if name in ("id", "name", "number")), "")
        if not request.path.startswith("/api/devices/"):
            return "", named
        try:
            return self._hub.catalogue.find(named).id, named
        except NotFound:
            return "", named


async def to_its_end(change: Coroutine[None, None, T]) -> T:
    """Wait for the change. It goes on when the client goes away meanwhile: of half a change, the sessions would stay
    whose token no longer opens anything, and memory could differ from the disk.
    """
    return await asyncio.shield(asyncio.get_running_loop().create_task(change))


def _fields(body: bytes) -> dict[str, Json]:
    """The names of the fields of a JSON object, as what an entry says of it."""
    if not body or len(body) > MAX_LOOKED_AT_BYTES:
        return {}
    try:
        sent = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return {"fields": [name[:64] for name in list(sent)[:MAX_FIELDS]]} if isinstance(sent, dict) and sent else {}
