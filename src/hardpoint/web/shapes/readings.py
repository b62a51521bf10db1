"""Readings, as they come in and as they are asked for."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from .devices import Latest
from .words import Ms


class PastSeries(Struct):
    """Readings of one key. ``device`` is an id or a name; each point is ``[ts, value]``."""

    device: str
    key: str
    points: list[tuple[int, Any]]


class PastReadings(Struct):
    """Readings to be stored, in the form in which ``GET /api/readings`` gives them."""

    series: list[PastSeries]


class Readings(Struct):
    """A range of one key. Each point is ``[ts, value]``."""

    key: str
    agg: str
    points: list[tuple[Ms, Any]]


class SeriesReadings(Struct):
    """A range of one series."""

    device: str
    key: str
    agg: str
    points: list[tuple[Ms, Any]]


class ManyReadings(Struct, rename={"from_ms": "from", "to_ms": "to"}):
    """A range of many series, by device and key."""

    from_ms: Ms
    to_ms: Ms
    series: list[SeriesReadings]


class SeriesEntry(Struct):
    """One key of one device. ``first`` and ``last`` are times of stored readings, null where there is none."""

    device: str
    key: str
    first: Ms | None
    last: Ms | None
    latest: Latest | None


class SeriesList(Struct):
    """A page of series."""

    items: list[SeriesEntry]
    next_cursor: str | None
    total: int


class Stored(Struct):
    """How many readings are on disk now."""

    readings: int
