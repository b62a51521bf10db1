"""A dashboard as its link shows it: that dashboard's series and nothing else, and nothing to change.

The link is ``/shared#<secret>``: what is behind the ``#`` is never sent by itself, so no log and no ``Referer`` holds
it. The page gives it in once and gets a cookie for the paths of this one link. Every request is judged anew: a link
that was removed, or is over, opens nothing, and its streams end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..errors import NotFound, Unauthorized
from ..http import Response
from ..hub.dashboards import Series, devices_of, series_of
from ..hub.fields import fields_of
from ..wire.sse import encode_event
from . import shapes
from .live import LiveClient, encode_readings
from .readings import RANGE
from .signin import refuse_foreign_page

if TYPE_CHECKING:
    from ..http import EventStream, Outlet, Request, Router, StreamResponse
    from ..hub.dashboards import Dashboards
    from ..hub.devices import DeviceState, SeriesState
    from ..hub.hub import Hub
    from ..model import Dashboard, Json, ShareLink
    from .live import LiveStreams, Part
    from .readings import ReadingRoutes

COOKIE = "hardpoint_link"
COOKIE_S = 400 * 86_400
"""As long as browsers keep one at most; the link itself says when it is over."""
_OVER = "this link is over, or was removed"


class SharedRoutes:
    """``/api/shared``. Its routes have no role: whoever asks has no account, and each handler asks for the link."""

    def __init__(self, hub: Hub, boards: Dashboards, live: LiveStreams, readings: ReadingRoutes) -> None:
        self._hub = hub
        self._boards = boards
        self._live = live
        self._readings = readings

    def register(self, router: Router) -> None:
        """Declare the routes."""
        route, one = router.route, "/api/shared/{id}"
        route(
            "POST",
            "/api/shared",
            self.open,
            role=None,
            summary="Open a shared dashboard by its link's secret; sets a cookie for it",
            body=shapes.LinkSecret,
            out=shapes.SharedDashboard,
        )
        route("GET", one, self.show, role=None, summary="A shared dashboard", out=shapes.SharedDashboard)
        route(
            "GET",
            f"{one}/devices/{{device}}/readings",
            self.readings,
            role=None,
            summary="A range of a key that is on a shared dashboard",
            query=("key", *RANGE),
            out=shapes.Readings,
        )
        route(
            "GET",
            f"{one}/readings",
            self.many_readings,
            role=None,
            summary="A range of many series that are on a shared dashboard",
            query=("series", *RANGE, "format"),
            out=shapes.ManyReadings,
        )
        route(
            "GET",
            f"{one}/live",
            self.live,
            role=None,
            head=False,
            summary="Live events of what is on a shared dashboard: reading, presence, dashboard",
        )

    def open(self, request: Request) -> Response:
        """``POST /api/shared``."""
        refuse_foreign_page(request)
        given = request.json(shapes.LinkSecret)
        address = request.address
        self._hub.throttle.check(address)
        link = self._boards.link_of(given.secret)
        if link is None:
            self._hub.throttle.failed(address)
            raise Unauthorized(_OVER)
        secure = "; Secure" if request.scheme == "https" else ""
        path = f"/api/shared/{link.id}"
        cookie = f"{COOKIE}={given.secret}; Path={path}; Max-Age={COOKIE_S}; HttpOnly; SameSite=Strict{secure}"
        return Response.json(self._describe(link), headers=[("Set-Cookie", cookie)])

    def show(self, request: Request) -> Response:
        """``GET /api/shared/{id}``."""
        return Response.json(self._describe(self._link(request)))

    async def readings(self, request: Request) -> Response:
        """``GET /api/shared/{id}/devices/{device}/readings``."""
        view = SharedView(self._boards, self._link(request))
        device = self._hub.catalogue.by_id.get(request.params["device"])
        if device is None or (device.id, request.query.get("key", "")) not in view.series:
            raise NotFound("this dashboard shows no such key")
        return await self._readings.of_device(device, request)

    async def many_readings(self, request: Request) -> Response | StreamResponse:
        """``GET /api/shared/{id}/readings``."""
        view = SharedView(self._boards, self._link(request))
        chosen: list[SeriesState] = []
        for text in request.query.get_all("series"):
            device_id, _, key = text.rpartition(":")
            device = self._hub.catalogue.by_id.get(device_id)
            if device is None or (device_id, key) not in view.series:
                raise NotFound("this dashboard shows no such series")
            chosen.append(device.series_of(key))
        return await self._readings.of_series(chosen, request)

    def live(self, request: Request) -> EventStream:
        """``GET /api/shared/{id}/live``."""
        view = SharedView(self._boards, self._link(request))
        return self._live.stream(request, lambda outlet: SharedClient(outlet, self._hub, view))

    # -- inside

    def _link(self, request: Request) -> ShareLink:
        secret = request.cookies.get(COOKIE)
        link = self._boards.link_of(secret) if secret else None
        if link is None or link.id != request.params["id"]:
            raise Unauthorized(_OVER)
        return link

    def _describe(self, link: ShareLink) -> dict[str, Json]:
        board = self._boards.get(link.dashboard_id)
        shown = series_of(board.cards)
        by_id = self._hub.catalogue.by_id
        devices = [by_id[device_id] for device_id in sorted(devices_of(board.cards)) if device_id in by_id]
        return {
            "link": link.id,
            "name": board.name,
            "cards": board.cards,
            "version": board.version,
            "expires": link.expires_ms,
            "devices": [
                {
                    "id": device.id,
                    "name": device.record.name,
                    "presence": shared_presence(self._hub, device),
                    "latest": {key: value for key, value in device.latest().items() if (device.id, key) in shown},
                    "fields": {
                        key: {"label": field.label, "unit": field.unit, "decimals": field.decimals}
                        for key, field in fields_of(device).items()
                        if (device.id, key) in shown
                    },
                }
                for device in devices
            ],
        }


class SharedView:
    """What a link shows now: it follows its dashboard's changes, and ends with it."""

    def __init__(self, boards: Dashboards, link: ShareLink) -> None:
        self._boards = boards
        self._board: Dashboard | None = None
        self._series: set[Series] = set()
        self._devices: set[str] = set()
        self.link = link

    @property
    def is_open(self) -> bool:
        """Whether it still shows anything."""
        return self._boards.is_open(self.link)

    @property
    def series(self) -> set[Series]:
        """The series on the dashboard."""
        self._look()
        return self._series

    @property
    def devices(self) -> set[str]:
        """The ids of the devices on it."""
        self._look()
        return self._devices

    def _look(self) -> None:
        """Each change of a dashboard is another object: what is on it is worked out once for each."""
        board = self._boards.get(self.link.dashboard_id)
        if board is not self._board:
            self._board = board
            self._series, self._devices = series_of(board.cards), devices_of(board.cards)


def shared_presence(hub: Hub, device: DeviceState) -> dict[str, Json]:
    """A device's presence without what tells of its network."""
    presence = hub.presence(device)
    return {
        "connected": presence["connected"] is not None,
        **{name: presence[name] for name in ("last_seen", "last_reading", "expected_every_s", "late", "silent")},
    }


class SharedClient(LiveClient):
    """A stream that gets readings of the dashboard's series, presence of its devices without their addresses, and word
    of its own changes. Everything else is left out by naming what is let in.
    """

    __slots__ = ("_hub", "_view")

    def __init__(self, outlet: Outlet, hub: Hub, view: SharedView) -> None:
        super().__init__(outlet)
        self._hub = hub
        self._view = view

    @property
    def is_open(self) -> bool:
        """Whether the link still opens its dashboard."""
        return self._view.is_open

    @property
    def gets_all(self) -> bool:
        """Never: what it may see is on the dashboard."""
        return False

    def select(self, part: Part) -> bytes:
        """What of a part is on the dashboard."""
        view = self._view
        if not view.is_open:
            return b""
        if part.kind == "reading":
            series = view.series
            wanted = [reading for reading in part.readings if (part.device, reading[0]) in series]
            return encode_readings(part.device, wanted) if wanted else b""
        if part.kind == "dashboard" and part.device == view.link.dashboard_id:
            return part.encoded
        if part.kind == "presence" and part.device in view.devices:
            device = self._hub.catalogue.by_id.get(part.device)
            if device is not None:
                shown = {"device": part.device, "presence": shared_presence(self._hub, device)}
                return encode_event(msgspec.json.encode(shown), event="presence")
        return b""
