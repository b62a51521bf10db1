"""The app API's routes of claims: a person takes a device that has offered itself, or lets it go (`hub.claims`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..http import Response
from . import shapes
from .deeds import to_its_end

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.claims import Claims
    from ..hub.hub import Hub


class ClaimRoutes:
    """``/api/devices/{id}/claim``."""

    def __init__(self, hub: Hub, claims: Claims) -> None:
        self._hub = hub
        self._claims = claims

    def register(self, router: Router) -> None:
        """Declare the routes. The secret is what gives the right to claim, so every role may."""
        path = "/api/devices/{id}/claim"
        router.route(
            "POST",
            path,
            self.claim,
            role="viewer",
            scope="each",  # of whom it is not seen yet, it may become the first device that is
            summary="Become the owner of a device that has offered itself, by its secret",
            body=shapes.Claim,
            out=shapes.Device,
        )
        router.route(
            "DELETE",
            path,
            self.release,
            role="operator",
            summary="Let a device go: it may be claimed again",
            out=shapes.Device,
        )

    async def claim(self, request: Request) -> Response:
        """``POST``."""
        name, catalogue = request.params["id"], self._hub.catalogue
        # Also one that they do not see: it may be about to become the first that they do.
        device = catalogue.named(name)
        secret = request.json(shapes.Claim).secret
        await to_its_end(self._claims.claim(request.peer, device, secret, request.user.name))
        assert device is not None
        return Response.json(self._hub.describe(device))

    async def release(self, request: Request) -> Response:
        """``DELETE``."""
        device = request.user.find(self._hub.catalogue, request.params["id"])
        await to_its_end(self._claims.release(device))
        return Response.json(self._hub.describe(device))
