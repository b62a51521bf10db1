"""Times and spans as people write them on a command line."""

from __future__ import annotations

import re
import time
from datetime import datetime
from math import inf, isfinite
from typing import Any

import click

UNITS_MS = {"s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_SPAN = re.compile(r"-?(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)")

_LONG_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w|y)")


class Moment(click.ParamType):  # type: ignore[type-arg] # generic from click 8.4 on only
    """A time: ``now``, a span before now (``6h``), ISO 8601 (local unless it says otherwise), or ms since 1970."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The time in ms since 1970-01-01 UTC."""
        now_ms = time.time_ns() // 1_000_000
        if isinstance(value, int):
            return value
        if value == "now":
            return now_ms
        try:
            if value.isdecimal():
                return int(value)
            if found := _SPAN.fullmatch(value):
                return now_ms - round(float(found[1]) * UNITS_MS[found[2]])
            return round(datetime.fromisoformat(value).timestamp() * 1000)
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r} is not a time: write 6h, now, 2025-11-23T14:00 or ms since 1970", param, ctx)


class Span(click.ParamType):  # type: ignore[type-arg] # generic from click 8.4 on only
    """How long: ``30s``, ``12h``, ``30d``, ``4w``, ``1y``. In seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The span in seconds."""
        if isinstance(value, float):
            return value
        found = _LONG_SPAN.fullmatch(value)
        span_s = float(found[1]) * (UNITS_MS | {"y": 365 * 86_400_000})[found[2]] / 1000 if found else inf
        if span_s == inf:
            self.fail(f"{value!r} is not a span: write 12h, 30d or 1y", param, ctx)
        return span_s


class FiniteRange(click.FloatRange):
    """A number between two others. click's own takes ``nan``, which is neither below the least nor above the most."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        found: float = super().convert(value, param, ctx)
        if not isfinite(found):
            self.fail(f"{value!r} is not a number", param, ctx)
        return found
