"""The app API's routes of readings: of one key as SPEC §5 has it, of many series at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING

import msgspec

from ..errors import BadInput, TooLarge
from ..http import Response
from ..hub.history import DEFAULT_POINTS, MAX_RAW_POINTS, RangeQuery, reduce_range
from ..hub.history.calendar import Width, zone
from ..hub.history.select import select
from . import shapes
from .devices import DEFAULT_PAGE, MAX_PAGE, to_its_end, whole_number

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.devices import SeriesState
    from ..hub.history.reduce import Wanted
    from ..hub.hub import Hub

DEFAULT_RANGE_MS = 3_600_000
MAX_SERIES = 1_000
"""In one whole answer."""
RANGE = ("from", "to", "points", "agg", "every", "tz")
WHICH = ("series", "device", "key")


class ReadingRoutes:
    """``/api/devices/{id}/readings``, ``/api/readings`` and ``/api/series``."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def register(self, router: Router) -> None:
        """Declare the routes."""
        one = "/api/devices/{id}/readings"
        router.route(
            "GET",
            one,
            self.of_one,
            role="viewer",
            summary="A range of one key, as it is or reduced to so many points",
            query=("key", *RANGE),
            out=shapes.Readings,
        )
        router.route(
            "DELETE",
            one,
            self.delete,
            role="admin",
            summary="Remove a range of one key",
            query=("key", "from", "to"),
            status=204,
        )
        router.route(
            "GET",
            "/api/readings",
            self.of_many,
            role="viewer",
            summary="A range of many series at once",
            query=(*WHICH, *RANGE),
            out=shapes.ManyReadings,
        )
        router.route(
            "POST",
            "/api/readings",
            self.add,
            role="operator",
            summary="Store readings of the past; the live stream and handlers do not see them",
            body=shapes.PastReadings,
            out=shapes.Stored,
        )
        router.route(
            "GET",
            "/api/series",
            self.series,
            role="viewer",
            summary="Series with their first and latest readings",
            query=(*WHICH, "limit", "cursor"),
            out=shapes.SeriesList,
        )

    async def of_one(self, request: Request) -> Response:
        """``GET /api/devices/{id}/readings``: the last hour where nothing else is said."""
        device = self._hub.catalogue.find(request.params["id"])
        key = request.query.get("key")
        if not key:
            raise BadInput("say which key", field="key")
        agg, found = await self._hub.read_range(device, key, self._range(request))
        return Response.json({"key": key, "agg": agg, "points": found})

    async def delete(self, request: Request) -> Response:
        """``DELETE /api/devices/{id}/readings``: both ends must be named."""
        device = self._hub.catalogue.find(request.params["id"])
        for name in ("key", "from", "to"):
            if not request.query.get(name):
                raise BadInput(f"say {name}" + (" in milliseconds since 1970-01-01 UTC" * (name != "key")), field=name)
        await self._hub.delete_readings(
            device, request.query["key"], whole_number(request, "from", 0), whole_number(request, "to", 0)
        )
        return Response.empty(204)

    async def of_many(self, request: Request) -> Response:
        """``GET /api/readings``: all in one document."""
        chosen = _chosen(self._hub, request)
        query = self._range(request)
        query.check()
        return await self._whole(chosen, query)

    async def add(self, request: Request) -> Response:
        """``POST /api/readings``: 200 when all of them are on disk, and none of them when it is refused."""
        given = request.json(shapes.PastReadings)
        chosen = [(self._hub.catalogue.find(each.device), each.key, each.points) for each in given.series]
        return Response.json({"readings": await to_its_end(self._hub.backfill(chosen))})

    async def series(self, request: Request) -> Response:
        """``GET /api/series``: by device and key; the cursor is the ``device:key`` that the page before ended with."""
        chosen = _chosen(self._hub, request, or_all=True)
        limit = whole_number(request, "limit", DEFAULT_PAGE, 1, MAX_PAGE)
        device, _, key = request.query.get("cursor", "").rpartition(":")
        behind = [each for each in chosen if (each.device.id, each.key) > (device, key)]
        page = behind[:limit]
        store = self._hub.store
        with self._hub.reads.answering():
            extents = await self._hub.reads.run(lambda wanted: [store.extent(each.id) for each in page if wanted()])
        last = page[-1] if len(behind) > limit else None
        return Response.json(
            {
                "items": [
                    {
                        "device": each.device.id,
                        "key": each.key,
                        "first": None if extent is None else extent[0],
                        "last": None if extent is None else extent[1],
                        "latest": None if each.ts < 0 else {"value": each.value, "ts": each.ts},
                    }
                    for each, extent in zip(page, extents, strict=True)
                ],
                "next_cursor": None if last is None else f"{last.device.id}:{last.key}",
                "total": len(chosen),
            }
        )

    def _range(self, request: Request) -> RangeQuery:
        query = request.query
        end_ms = whole_number(request, "to", self._hub.clock_ms() + 1)
        every, where = query.get("every"), query.get("tz")
        return RangeQuery(
            whole_number(request, "from", max(0, end_ms - DEFAULT_RANGE_MS)),
            end_ms,
            query.get("agg", "auto" if every is None else "avg"),
            whole_number(request, "points", DEFAULT_POINTS),
            None if every is None else Width.parse(every),
            UTC if where is None else zone(where),
        )

    async def _whole(self, chosen: Sequence[SeriesState], query: RangeQuery) -> Response:
        if len(chosen) > MAX_SERIES:
            raise TooLarge(f"these are {len(chosen)} series, one answer holds {MAX_SERIES}: name fewer")
        store = self._hub.store
        meant = [(series.id, series.device.id, series.key) for series in chosen]

        def read(wanted: Wanted) -> bytes:
            """On a thread, the encoding as well: a megabyte of JSON would hold up the loop for milliseconds."""
            parts: list[bytes] = []
            room = MAX_RAW_POINTS
            for number, device, key in meant:
                agg, points = reduce_range(store, number, query, room=room, wanted=wanted)
                room -= len(points)
                if room < 0:
                    raise TooLarge(f"more than {MAX_RAW_POINTS} points in one answer: ask for fewer of them")
                parts.append(msgspec.json.encode({"device": device, "key": key, "agg": agg, "points": points}))
            return b'{"from":%d,"to":%d,"series":[%b]}' % (query.start_ms, query.end_ms, b",".join(parts))

        with self._hub.reads.answering():
            return Response(200, await self._hub.reads.run(read), "application/json")


def _chosen(hub: Hub, request: Request, *, or_all: bool = False) -> list[SeriesState]:
    query = request.query
    named, devices, keys = (query.get_all(name) for name in WHICH)
    if or_all and not (named or devices or keys):
        devices = ["*"]
    return select(hub.catalogue, named, devices, keys)
