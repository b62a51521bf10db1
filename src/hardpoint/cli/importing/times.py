"""Times as files write them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any, TypeAlias

Clock: TypeAlias = Callable[[Any], int]
"""A field to ms since 1970-01-01 UTC; it raises ValueError, OverflowError, TypeError or OSError for what is no time."""

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

# By their size: 1e11 seconds are the year 5138, 1e11 milliseconds are 1973, and so on by the thousand.
_SIZES = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"), (0.0, "s"))


def clock(form: str, where: tzinfo) -> Clock:
    """What reads times of that form: ``auto``, ``iso``, ``s``, ``ms``, ``us``, ``ns``, or a pattern of ``strptime``.

    ``auto`` takes numbers by their size and anything else as ISO 8601. ``where`` is the zone of times that name none.
    """
    if form in PER_SECOND:
        return lambda field: _number(field, form)
    if form == "iso":
        return lambda field: _iso(field, where)
    if form == "auto":
        return lambda field: _auto(field, where)
    return lambda field: _ms(datetime.strptime(str(field), form), where)  # noqa: DTZ007 - `_ms` gives it its zone


def _auto(field: Any, where: tzinfo) -> int:
    try:
        size = abs(float(field))
    except ValueError:
        return _iso(field, where)
    # NaN, which tables write where a time is missing, has no size, and no unit makes a time of it.
    return _number(field, next((unit for least, unit in _SIZES if size >= least), "s"))


def _number(field: Any, unit: str) -> int:
    per_second = PER_SECOND[unit]
    try:
        whole = int(field) if not isinstance(field, float) else None
    except ValueError:
        whole = None
    if whole is not None:  # exact, also of nanoseconds, which a float cannot hold
        return whole * 1000 // per_second
    return round(float(field) * 1000 / per_second)


def _iso(field: Any, where: tzinfo) -> int:
    return _ms(datetime.fromisoformat(str(field).strip()), where)


def _ms(moment: datetime, where: tzinfo) -> int:
    return round((moment if moment.tzinfo is not None else moment.replace(tzinfo=where)).timestamp() * 1000)
