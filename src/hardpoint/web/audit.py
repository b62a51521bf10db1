"""The app API's route of the audit log: who did what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import NotFound
from ..http import Response
from . import shapes
from .devices import DEFAULT_PAGE, MAX_PAGE, whole_number

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.hub import Hub
    from ..hub.principal import Principal
    from ..model import AuditEntry

MAX_LOOKED_THROUGH = 5_000
"""Entries that one answer looks through for what may be seen by whoever asks; the cursor goes on behind them."""
ADMINS_ONLY = ("users", "tokens", "session", "sessions", "store", "channels")
"""Families of deeds that are about no device and nobody's business but an admin's."""


class AuditRoutes:
    """``/api/audit``."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def register(self, router: Router) -> None:
        """Declare the route."""
        router.route(
            "GET",
            "/api/audit",
            self.list,
            role="operator",
            scope="each",
            summary="Who did what, the newest first; of people and keys only an admin learns",
            query=("who", "what", "device", "until", "limit", "cursor"),
            out=shapes.AuditList,
        )

    async def list(self, request: Request) -> Response:
        """``GET /api/audit``: the cursor is the number that the page before ended with. A page may be short, or empty,
        and have a cursor: what is left out was looked through.
        """
        query, user = request.query, request.user
        limit = whole_number(request, "limit", DEFAULT_PAGE, 1, MAX_PAGE)
        cursor: int | None = whole_number(request, "cursor", 0) or None
        device = query.get("device")
        device_id = self._device_id(user, device) if device is not None else None
        # An admin sees every entry: no more are read than are shown.
        read_at_once = limit if user.role == "admin" else MAX_PAGE
        found: list[AuditEntry] = []
        looked = 0
        while len(found) < limit and looked < MAX_LOOKED_THROUGH:
            entries = await self._hub.audit.entries(
                before_id=cursor,
                until_ms=whole_number(request, "until", 0) or None,
                who=query.get("who"),
                what=query.get("what"),
                device_id=device_id,
                limit=read_at_once,
            )
            for entry in entries:
                cursor = entry.id
                if self._may_see(user, entry):
                    found.append(entry)
                    if len(found) == limit:
                        break
            else:
                if len(entries) < read_at_once:
                    cursor = None
                    break
            looked += len(entries)
        return Response.json(
            {"items": [_describe(entry) for entry in found], "next_cursor": None if cursor is None else str(cursor)}
        )

    def _device_id(self, user: Principal, device: str) -> str:
        """Of a device that is gone the id itself, for whoever sees all."""
        try:
            return user.find(self._hub.catalogue, device).id
        except NotFound:
            if user.labels:
                raise
            return device

    def _may_see(self, user: Principal, entry: AuditEntry) -> bool:
        if user.role == "admin":
            return True
        if entry.device_id:
            return user.sees_id(self._hub.catalogue, entry.device_id)
        return not user.labels and entry.what.partition(".")[0] not in ADMINS_ONLY


def _describe(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.at_ms,
        "who": entry.who,
        "via": entry.via,
        "address": entry.address,
        "what": entry.what,
        "device": entry.device_id or None,
        "subject": entry.subject,
        "detail": entry.detail,
        "why": entry.why,
        "result": entry.result,
    }
