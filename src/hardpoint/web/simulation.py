"""The app API's route of simulated devices, for who has no hardware at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..http import Response
from ..hub.simulation import Simulations
from . import shapes
from .deeds import tell, to_its_end

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.hub import Hub


class SimulationRoutes:
    """``/api/devices/{id}/simulation``."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._simulations = Simulations(hub)

    def register(self, router: Router) -> None:
        """Declare the routes."""
        path = "/api/devices/{id}/simulation"
        router.route(
            "GET",
            path,
            self.show,
            role="viewer",
            summary="Whether the server makes its readings up",
            out=shapes.Simulated,
        )
        router.route(
            "PUT",
            path,
            self.switch,
            role="operator",
            summary="Let the server make readings up for so long, in place of the device; 0 stops",
            body=shapes.SimulateFor,
            out=shapes.Simulated,
        )

    def show(self, request: Request) -> Response:
        """``GET /api/devices/{id}/simulation``."""
        device = self._hub.catalogue.find(request.params["id"])
        return Response.json({"simulated_until": self._simulations.until_ms(device) or None})

    async def switch(self, request: Request) -> Response:
        """``PUT /api/devices/{id}/simulation``."""
        device = self._hub.catalogue.find(request.params["id"])
        given = request.json(shapes.SimulateFor)
        tell(request, {"for_s": given.for_s})
        until_ms = await to_its_end(self._simulations.switch(device, given.for_s))
        return Response.json({"simulated_until": until_ms or None})
