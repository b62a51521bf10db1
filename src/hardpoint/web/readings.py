"""The app API's routes of readings: of one key as SPEC §5 has it, of many series at once, and as a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import UTC
from typing import TYPE_CHECKING

import msgspec

from ..errors import BadInput, TooLarge
from ..http import Response, StreamResponse
from ..hub.history.calendar import Width, zone
from ..hub.history.pages import read_page
from ..hub.history.query import DEFAULT_POINTS, MAX_RAW_POINTS, RangeQuery
from ..hub.history.reduce import reduce_range
from ..hub.history.select import select
from . import shapes
from .deeds import to_its_end
from .devices import DEFAULT_PAGE, MAX_PAGE, whole_number
from .formats import FORMATS, Format

if TYPE_CHECKING:
    from ..http import Request, Router
    from ..hub.devices import DeviceState, SeriesState
    from ..hub.history.buckets import Point
    from ..hub.history.reduce import Wanted
    from ..hub.hub import Hub

DEFAULT_RANGE_MS = 3_600_000
MAX_SERIES = 1_000
"""In one whole answer. A stream takes any number: it holds one page at a time."""
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
            scope="each",
            summary="A range of many series at once; format=ndjson or csv streams any number of readings",
            query=(*WHICH, *RANGE, "format"),
            out=shapes.ManyReadings,
        )
        router.route(
            "POST",
            "/api/readings",
            self.add,
            role="operator",
            scope="each",
            summary="Store readings of the past; the live stream and handlers do not see them",
            body=shapes.PastReadings,
            out=shapes.Stored,
        )
        router.route(
            "GET",
            "/api/series",
            self.series,
            role="viewer",
            scope="each",
            summary="Series with their first and latest readings",
            query=(*WHICH, "limit", "cursor"),
            out=shapes.SeriesList,
        )

    async def of_one(self, request: Request) -> Response:
        """``GET /api/devices/{id}/readings``: the last hour where nothing else is said."""
        return await self.of_device(self._hub.catalogue.find(request.params["id"]), request)

    async def of_device(self, device: DeviceState, request: Request) -> Response:
        """The same of a device that whoever asks may see.

        Raises:
            BadInput: the query names no key, or an impossible range.
            NotFound: the device has no such key.
        """
        key = request.query.get("key")
        if not key:
            raise BadInput("say which key", field="key")
        agg, found = await self._hub.past.read_range(device, key, self._range(request))
        return Response.json({"key": key, "agg": agg, "points": found})

    async def delete(self, request: Request) -> Response:
        """``DELETE /api/devices/{id}/readings``: both ends must be named."""
        device = self._hub.catalogue.find(request.params["id"])
        for name in ("key", "from", "to"):
            if not request.query.get(name):
                raise BadInput(f"say {name}" + (" in milliseconds since 1970-01-01 UTC" * (name != "key")), field=name)
        await self._hub.past.delete_readings(
            device, request.query["key"], whole_number(request, "from", 0), whole_number(request, "to", 0)
        )
        return Response.empty(204)

    async def of_many(self, request: Request) -> Response | StreamResponse:
        """``GET /api/readings``: all in one document, or as lines that come while they are read."""
        return await self.of_series(_chosen(self._hub, request), request)

    async def of_series(self, chosen: Sequence[SeriesState], request: Request) -> Response | StreamResponse:
        """The same of series that whoever asks may see.

        Raises:
            BadInput: an impossible range, or a format that there is not.
        """
        query = self._range(request)
        query.check()
        name = request.query.get("format", "json")
        if name == "json":
            return await self._whole(chosen, query)
        if name not in FORMATS:
            raise BadInput(f"format is json, {' or '.join(FORMATS)}", field="format")
        lines = _Lines(self._hub, chosen, query, FORMATS[name])
        await lines.begin()
        return StreamResponse(lines, content_type=FORMATS[name].content_type)

    async def add(self, request: Request) -> Response:
        """``POST /api/readings``: 200 when all of them are on disk, and none of them when it is refused."""
        given = request.json(shapes.PastReadings)
        chosen = [(request.user.find(self._hub.catalogue, each.device), each.key, each.points) for each in given.series]
        return Response.json({"readings": await to_its_end(self._hub.past.backfill(chosen))})

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
            raise TooLarge(f"these are {len(chosen)} series, one answer holds {MAX_SERIES}: name fewer, or a format")
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
                    raise TooLarge(
                        f"more than {MAX_RAW_POINTS} points in one answer: ask for fewer of them, or for a format"
                    )
                parts.append(msgspec.json.encode({"device": device, "key": key, "agg": agg, "points": points}))
            return b'{"from":%d,"to":%d,"series":[%b]}' % (query.start_ms, query.end_ms, b",".join(parts))

        with self._hub.reads.answering():
            return Response(200, await self._hub.reads.run(read), "application/json")


class _Lines(AsyncIterator[bytes]):
    """The pieces of a streamed answer. It counts as one answer in the making from `begin` until it ends or is closed;
    when its client goes away the page that is being read is the last.
    """

    def __init__(self, hub: Hub, chosen: Sequence[SeriesState], query: RangeQuery, form: Format) -> None:
        self._hub = hub
        self._query = query
        self._form = form
        self._chosen = chosen
        self._pieces: AsyncGenerator[bytes] = self._make()
        self._first: bytes | None = None

    async def begin(self) -> None:
        """Read the first piece, so that what is wrong with the question is answered with its own status.

        Raises:
            RateLimited: too many answers are being read.
            BadInput: the aggregation cannot be used.
        """
        self._first = await anext(self._pieces)

    async def __anext__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return await anext(self._pieces)

    async def aclose(self) -> None:
        """Let go of it. Idempotent."""
        await self._pieces.aclose()

    async def _make(self) -> AsyncGenerator[bytes]:
        head = self._form.head
        with self._hub.reads.answering():
            if not self._chosen:
                yield head
            for number, series in enumerate(self._chosen):
                next_ms: int | None = self._query.start_ms
                while next_ms is not None:
                    data, next_ms = await self._read(series, next_ms)
                    if data or number == 0:
                        yield head + data
                    head = b""

    async def _read(self, series: SeriesState, start_ms: int) -> tuple[bytes, int | None]:
        """The next lines of a series, and where those behind them begin."""
        store, query, number = self._hub.store, self._query, series.id
        device, key, lines = series.device.id, series.key, self._form.lines

        def read(wanted: Wanted) -> tuple[bytes, int | None]:
            if query.agg != "raw":
                _, points = reduce_range(store, number, query, wanted=wanted)
                return lines(device, key, *_columns(points)), None
            page = read_page(store, number, start_ms, query.end_ms, wanted=wanted)
            return b"".join([lines(device, key, *stretch) for stretch in page.stretches]), page.next_ms

        return await self._hub.reads.run(read)


def _columns(points: Sequence[Point]) -> tuple[list[int], list[object]]:
    return [ts for ts, _ in points], [value for _, value in points]


def _chosen(hub: Hub, request: Request, *, or_all: bool = False) -> list[SeriesState]:
    query = request.query
    named, devices, keys = (query.get_all(name) for name in WHICH)
    if or_all and not (named or devices or keys):
        devices = ["*"]
    return select(hub.catalogue, named, devices, keys, sees=request.user.sees)
