"""The app API's route of what is set of a device's keys: label, unit, decimals, and how long readings are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..http import Response
from ..hub.fields import Field, change_fields, described_fields
from .deeds import to_its_end

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.hub import Hub


class FieldRoutes:
    """``/api/devices/{id}/fields``."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def register(self, router: Router) -> None:
        """Declare the routes."""
        path = "/api/devices/{id}/fields"
        router.route(
            "GET", path, self.show, role="viewer", summary="What is set of a device's keys", out=dict[str, Field]
        )
        router.route(
            "PATCH",
            path,
            self.change,
            role="operator",
            summary="Set a key's label, unit, decimals and keep_s, all at once; null takes them back",
            body=dict[str, Field | None],
            out=dict[str, Field],
        )

    def show(self, request: Request) -> Response:
        """``GET /api/devices/{id}/fields``."""
        return Response.json(described_fields(self._hub.catalogue.find(request.params["id"])))

    async def change(self, request: Request) -> Response:
        """``PATCH /api/devices/{id}/fields``."""
        device = self._hub.catalogue.find(request.params["id"])
        given = request.json(dict[str, Field | None])
        await to_its_end(change_fields(self._hub, device, given))
        return Response.json(described_fields(device))
