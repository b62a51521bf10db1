"""The app API's routes of unknown devices: who waits to be adopted, and what becomes of it (`hub.adoption`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ..http import Response
from . import shapes
from .deeds import to_its_end

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.hub import Hub


class UnknownDevice(Struct):
    """A device that has named itself and has no token, or a wrong one. ``frames`` are the first that were refused of
    it; ``known`` is the id of a device that is called so already; ``adopted`` the device that it became, while that
    has not taken its token yet.
    """

    id: int
    name: str
    address: str
    dialect: str
    first_seen: shapes.Ms
    last_seen: shapes.Ms
    tries: int
    connected: bool
    ignored: bool
    known: str | None
    adopted: str | None
    frames: list[shapes.Frame]


class UnknownDevices(Struct):
    """Whoever was heard last comes first. With ``enabled`` false nobody ever waits: the server runs without --adopt."""

    enabled: bool
    items: list[UnknownDevice]


class Adopt(Struct, forbid_unknown_fields=True):
    """How the device is to be called, if not as it calls itself. With ``replace`` it may be one that exists: it gets a
    new token, and the old one stops.
    """

    name: str | None = None
    labels: dict[str, str] = {}
    replace: bool = False


class AdoptedDevice(shapes.DeviceWithToken):
    """The device. ``told``: its token is on its way over a connection of its own; else it is told when it comes back,
    or by you.
    """

    told: bool


class AdoptionRoutes:
    """``/api/unknown-devices``."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def register(self, router: Router) -> None:
        """Declare the routes."""
        router.route(
            "GET",
            "/api/unknown-devices",
            self.list,
            role="operator",
            summary="Devices that have named themselves and wait to be adopted",
            out=UnknownDevices,
        )
        router.route(
            "POST",
            "/api/unknown-devices/{id:int}/adopt",
            self.adopt,
            role="operator",
            summary="Make it a device, and send it its token over its own connection",
            body=Adopt,
            out=AdoptedDevice,
            status=201,
        )
        router.route(
            "DELETE",
            "/api/unknown-devices/{id:int}",
            self.ignore,
            role="operator",
            summary="Ignore it from now on",
            status=204,
        )

    def list(self, _request: Request) -> Response:
        """``GET /api/unknown-devices``."""
        adoption = self._hub.adoption
        return Response.json({"enabled": adoption.enabled, "items": adoption.list()})

    async def adopt(self, request: Request) -> Response:
        """``POST /api/unknown-devices/{id}/adopt``."""
        given = request.json(Adopt)
        device, token, told = await to_its_end(
            self._hub.adoption.adopt(request.params["id"], given.name, given.labels, replace=given.replace)
        )
        return Response.json(
            self._hub.describe(device) | {"token": token, "told": told},
            status=201,
            headers=[("Location", f"/api/devices/{device.id}")],
        )

    def ignore(self, request: Request) -> Response:
        """``DELETE /api/unknown-devices/{id}``."""
        self._hub.adoption.ignore(request.params["id"])
        return Response.empty(204)
