"""The app API's routes of the wire tap: frames of a device, and of whom has not signed in (SPEC §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..errors import BadInput
from ..http import Response
from . import shapes
from .devices import whole_number

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.hub import Hub

MAX_WAIT_S = 30
"""Proxies cut a silent request off after 30 s at the earliest."""
JSON_LINES = "application/x-ndjson"


class TapRoutes:
    """``/api/devices/{id}/frames`` and ``/api/strangers``."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def register(self, router: Router) -> None:
        """Declare the routes."""
        frames = "/api/devices/{id}/frames"
        router.route(
            "GET",
            frames,
            self.list,
            role="viewer",
            summary="The last frames of a device; those refused are always kept, all of them while it is tapped",
            query=("after", "wait_s", "format"),
            out=shapes.FrameList,
        )
        router.route(
            "PUT",
            frames,
            self.switch,
            role="operator",
            summary="Tap a device: keep every frame of it for so long; 0 stops",
            body=shapes.TapFor,
            out=shapes.Tapped,
        )
        router.route(
            "GET",
            "/api/strangers",
            self.strangers,
            role="operator",
            summary="What was refused of peers that did not sign in, by address",
            out=shapes.StrangerList,
        )

    async def list(self, request: Request) -> Response:
        """``GET frames``: those with a number above ``after``; with ``wait_s``, as soon as there is one."""
        device = self._hub.catalogue.find(request.params["id"])
        tap = self._hub.tap
        after = whole_number(request, "after", 0)
        wait_s = whole_number(request, "wait_s", 0, 0, MAX_WAIT_S)
        wanted = request.query.get("format", "json")
        if wanted not in ("json", "ndjson"):
            raise BadInput("format is json or ndjson", field="format")
        items = [frame.describe() for frame in await tap.wait(device.id, after, wait_s)]
        if wanted == "ndjson":
            name = f'attachment; filename="{device.id}.frames.ndjson"'
            return Response(
                200, msgspec.json.Encoder().encode_lines(items), JSON_LINES, [("Content-Disposition", name)]
            )
        return Response.json({"items": items, "tapped_until": tap.until_ms(device.id) or None})

    def switch(self, request: Request) -> Response:
        """``PUT frames``."""
        device = self._hub.catalogue.find(request.params["id"])
        until_ms = self._hub.tap.switch(device.id, request.json(shapes.TapFor).for_s)
        return Response.json({"tapped_until": until_ms or None})

    def strangers(self, _request: Request) -> Response:
        """``GET /api/strangers``: whoever was heard last comes first."""
        found = self._hub.tap.strangers()
        return Response.json(
            {
                "items": [
                    {"address": address, "frames": [frame.describe() for frame in frames]}
                    for address, frames in found.items()
                ]
            }
        )
