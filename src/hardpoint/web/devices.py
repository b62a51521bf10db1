"""The app API's routes of devices and their attributes (SPEC §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from ..errors import BadInput, Forbidden
from ..http import Response, with_compression
from ..wire.telemetry import parse_attributes
from . import shapes
from .deeds import changed_of, tell, to_its_end
from .filters import DeviceView, Filter

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.devices import DeviceState
    from ..hub.hub import Hub
    from ..model import Json

DEFAULT_PAGE = 100
MAX_PAGE = 1_000


class DeviceRoutes:
    """``/api/devices`` and what lies below it but for readings and commands."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def register(self, router: Router) -> None:
        """Declare the routes."""
        route = router.route
        one = "/api/devices/{id}"
        route(
            "GET",
            "/api/devices",
            with_compression(self.list),  # a tenth of it, and no secret in it
            role="viewer",
            scope="each",
            summary="Devices with presence and latest values",
            query=("search", "online", "label", "filter", "limit", "cursor"),
            out=shapes.DeviceList,
        )
        route(
            "POST",
            "/api/devices",
            self.create,
            role="operator",
            scope="each",
            summary="Make a device; its token is shown this once",
            body=shapes.NewDevice,
            out=shapes.DeviceWithToken,
            status=201,
        )
        route("GET", one, self.show, role="viewer", summary="One device", out=shapes.Device)
        route(
            "PATCH",
            one,
            self.change,
            role="operator",
            summary="Change name, labels, the expected interval, or what it is as a gateway",
            body=shapes.ChangedDevice,
            out=shapes.Device,
        )
        route("DELETE", one, self.remove, role="admin", summary="Remove a device with all its data", status=204)
        route(
            "POST",
            f"{one}/token",
            self.new_token,
            role="operator",
            summary="A new token; the old one stops at once, or opens as well for keep_old_s",
            out=shapes.DeviceToken,
        )
        self._register_parts(router, one)

    def _register_parts(self, router: Router, one: str) -> None:
        route = router.route
        route(
            "GET",
            f"{one}/sessions",
            self.sessions,
            role="viewer",
            summary="When it was attached, from where, and why that ended",
            out=shapes.DeviceSessions,
        )
        route(
            "GET",
            f"{one}/latest",
            self.latest,
            role="viewer",
            summary="Latest values",
            out=dict[str, shapes.Latest],
        )
        route(
            "GET",
            f"{one}/attributes",
            self.attributes,
            role="viewer",
            summary="Attributes of a scope",
            query=("scope",),
            out=dict,
        )
        route(
            "PUT",
            f"{one}/attributes",
            self.put_attributes,
            role="operator",
            summary="Merge attributes of the shared or server scope; null deletes",
            query=("scope",),
            body=dict,
            out=dict,
        )
        route(
            "GET",
            f"{one}/desired",
            self.desired,
            role="viewer",
            summary="Shared attributes against client attributes of the same keys: what is wanted, what is reported",
            out=dict[str, shapes.Desired],
        )

    def list(self, request: Request) -> Response:
        """``GET /api/devices``: by name; the cursor is the name that the page before ended with."""
        query = request.query
        search = query.get("search", "").lower()
        online = query.get("online")
        if online not in (None, "true", "false"):
            raise BadInput("online is true or false", field="online")
        labels = [label.partition(":") for label in query.get_all("label")]
        limit = whole_number(request, "limit", DEFAULT_PAGE, 1, MAX_PAGE)
        fits, now_ms = Filter(query.get("filter", "")), self._hub.clock_ms()
        found = [
            device
            for device in self._hub.catalogue
            if request.user.sees(device)
            and fits.holds(DeviceView(device, now_ms), now_ms)
            and (not search or search in device.record.name.lower() or search in device.id)
            and (online is None or bool(device.sessions) is (online == "true"))
            and all(_has_label(device, key, value if colon else None) for key, colon, value in labels)
        ]
        found.sort(key=_order)
        cursor = query.get("cursor")
        page = [device for device in found if _order(device) > (cursor.lower(), cursor)] if cursor else found
        more = len(page) > limit
        page = page[:limit]
        return Response.json(
            {
                "items": [self._hub.describe(device) for device in page],
                "next_cursor": page[-1].record.name if more else None,
                "total": len(found),
            }
        )

    async def create(self, request: Request) -> Response:
        """``POST /api/devices``."""
        given = request.json(shapes.NewDevice)
        request.user.check_labels(given.labels)
        tell(request, {"name": given.name, "labels": given.labels})
        _check_gateway(request, given.gateway)
        device, token = await to_its_end(self._hub.create_device(given.name, given.labels, gateway=given.gateway))
        return Response.json(
            self._hub.describe(device) | {"token": token},
            status=201,
            headers=[("Location", f"/api/devices/{device.id}")],
        )

    def show(self, request: Request) -> Response:
        """``GET /api/devices/{id}``."""
        return Response.json(self._hub.describe(self._device(request)))

    async def change(self, request: Request) -> Response:
        """``PATCH /api/devices/{id}``."""
        device = self._device(request)
        given = request.json(shapes.ChangedDevice)
        changes = {
            name: value
            for name in ("name", "labels", "expected_every_s")
            if (value := getattr(given, name)) is not UNSET
        }
        if "labels" in changes:
            request.user.check_labels(changes["labels"])
        if given.gateway is not UNSET:
            _check_gateway(request, given.gateway)
            changes["gateway"] = int(given.gateway)
        if given.via is not UNSET:
            gateway = request.user.find(self._hub.catalogue, given.via) if given.via else None
            changes["via"] = f"{gateway.id}/{device.record.name}" if gateway is not None else ""
        tell(request, changed_of(device.record, changes))
        await to_its_end(self._hub.change_device(device, changes))
        return Response.json(self._hub.describe(device))

    async def remove(self, request: Request) -> Response:
        """``DELETE /api/devices/{id}``."""
        device = self._device(request)
        tell(request, {"name": device.record.name})
        await to_its_end(self._hub.remove_device(device))
        return Response.empty(204)

    async def new_token(self, request: Request) -> Response:
        """``POST /api/devices/{id}/token``."""
        device = self._device(request)
        keep_old_s = request.json(shapes.NewDeviceToken).keep_old_s if request.body else 0.0
        tell(request, {"keep_old_s": keep_old_s})
        token = await to_its_end(self._hub.new_device_token(device, keep_old_s=keep_old_s))
        return Response.json({"id": device.id, "token": token, "old_until": device.record.old_token_until_ms or None})

    async def sessions(self, request: Request) -> Response:
        """``GET /api/devices/{id}/sessions``."""
        return Response.json({"items": await self._hub.past.attachments(self._device(request))})

    def latest(self, request: Request) -> Response:
        """``GET /api/devices/{id}/latest``."""
        return Response.json(self._device(request).latest())

    def attributes(self, request: Request) -> Response:
        """``GET /api/devices/{id}/attributes``."""
        return Response.json(self._hub.attributes(self._device(request), request.query.get("scope", "client")))

    def desired(self, request: Request) -> Response:
        """``GET /api/devices/{id}/desired``: a key that the device has not reported is not met."""
        device = self._device(request)
        reported = self._hub.attributes(device, "client")
        return Response.json(
            {
                key: {
                    "desired": value,
                    "reported": reported.get(key),
                    "met": key in reported and same_json(value, reported[key]),
                }
                for key, value in sorted(self._hub.attributes(device, "shared").items())
            }
        )

    async def put_attributes(self, request: Request) -> Response:
        """``PUT /api/devices/{id}/attributes``."""
        device = self._device(request)
        scope = request.query.get("scope", "shared")
        if scope == "client":
            raise Forbidden("client attributes are the device's own: use shared or server")
        self._hub.set_attributes(device, scope, parse_attributes(request.body))
        await self._hub.commits.durable()
        return Response.json(self._hub.attributes(device, scope))

    def _device(self, request: Request) -> DeviceState:
        return self._hub.catalogue.find(request.params["id"])


def _check_gateway(request: Request, gateway: bool) -> None:
    """Whether they may make a gateway: what that brings in has none of the labels that somebody may be limited to.

    Raises:
        Forbidden: they are limited.
    """
    if gateway and request.user.labels:
        raise Forbidden("who is limited to some devices may make no gateway", field="gateway")


def same_json(one: Json, other: Json) -> bool:
    """Equal as JSON: 1 and 1.0 are, 1 and true are not, though Python says so."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def whole_number(request: Request, name: str, default: int, least: int = 0, most: int = 2**53) -> int:
    """A whole number from the query.

    Raises:
        BadInput: it is something else, or out of range.
    """
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 16 or not least <= int(text) <= most:
        raise BadInput(f"{name} is a whole number from {least} to {most}", field=name)
    return int(text)


def _order(device: DeviceState) -> tuple[str, str]:
    return device.record.name.lower(), device.record.name


def _has_label(device: DeviceState, key: str, value: str | None) -> bool:
    labels = device.record.labels
    return key in labels if value is None else labels.get(key) == value
