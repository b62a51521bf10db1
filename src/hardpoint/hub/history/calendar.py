"""Buckets by the calendar: so many minutes, days, weeks or months, as a time zone's clocks show them.

A bucket is told by its beginning alone, so a day has 23, 24 or 25 hours as it really had. Days begin at local midnight,
weeks on Monday (ISO 8601), months and years on their first. Several days, weeks, months or years are counted from the
year 1, and less than a day from the local clock: ``6h`` are four parts of each day, ``1h`` comes twice in the night in
which the clocks are set back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal

from ...errors import BadInput

UNITS_MS = {"s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000}
DAY_MS = 86_400_000
FIRST_DAY_MS, LAST_DAY_MS = -62_135_596_800_000 + 2 * DAY_MS, 253_402_300_799_999 - 400 * DAY_MS
"""What a date can hold with room for a step to either side: from the year 1 to 9998."""
MAX_COUNT = 100_000

_WIDTH = re.compile(r"([1-9][0-9]{0,5})(s|m|min|h|d|w|mo|y)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True, frozen=True)
class Width:
    """How wide a bucket is: ``count`` clock milliseconds, days or months."""

    count: int
    unit: Literal["ms", "days", "months"]

    @classmethod
    def parse(cls, text: str) -> Width:
        """``30s``, ``15m``, ``1h``, ``1d``, ``1w``, ``1mo``, ``1y``.

        Raises:
            BadInput: something else, or more than a day that is no whole number of days.
        """
        found = _WIDTH.fullmatch(text)
        if found is None:
            raise BadInput("every is a width like 30s, 15m, 1h, 1d, 1w, 1mo or 1y", field="every")
        count, unit = int(found[1]), found[2]
        if unit in UNITS_MS:
            width_ms = count * UNITS_MS[unit]
            if width_ms < DAY_MS:
                return cls(width_ms, "ms")
            if width_ms % DAY_MS:
                raise BadInput("a width of more than a day is a whole number of days", field="every")
            count, unit = width_ms // DAY_MS, "d"
        made = {"d": cls(count, "days"), "w": cls(7 * count, "days"), "mo": cls(count, "months")}.get(unit)
        made = made or cls(12 * count, "months")
        if made.count > MAX_COUNT:
            raise BadInput("every is too wide", field="every")
        return made


def zone(name: str) -> tzinfo:
    """The time zone of a name, as ``Europe/Berlin``.

    Raises:
        BadInput: there is no such zone on this machine.
    """
    if name.upper() in ("UTC", "Z"):
        return UTC
    # Imported for whoever asks for a zone: 3 ms that no start should pay.
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):  # ZoneInfoNotFoundError is a KeyError; a folder's name is an OSError
        raise BadInput(f"there is no time zone {name[:64]!r}: write one like Europe/Berlin", field="tz") from None


def edges(width: Width, where: tzinfo, start_ms: int, end_ms: int, limit: int) -> list[int]:
    """Beginnings of the buckets that hold ``start_ms <= ts < end_ms``, and the end of the last one.

    Raises:
        BadInput: they are more than ``limit``, or the range is beyond what a calendar has.
    """
    if start_ms < FIRST_DAY_MS or end_ms > LAST_DAY_MS:
        raise BadInput("with every, from and to are between the years 1 and 9998", field="to")
    steps = _clock_steps(width.count, where, start_ms) if width.unit == "ms" else _date_steps(width, where, start_ms)
    found: list[int] = []
    for edge in steps:
        found.append(edge)
        if edge >= end_ms:
            return found
        if len(found) > limit:
            break
    raise BadInput(f"more than {limit} buckets of that width in this range: ask for wider ones", field="every")


def _clock_steps(width_ms: int, where: tzinfo, start_ms: int) -> Iterator[int]:
    """Every moment at which the local clock begins a new width, from the last one at or before ``start_ms`` on."""
    offset = _offset_ms(where, start_ms)
    edge = start_ms - (start_ms + offset) % width_ms
    if _offset_ms(where, edge) != offset:
        # The clocks were changed since: walk over the change, as anybody does who comes from further back.
        steps = _clock_steps(width_ms, where, edge)
        edge = next(steps)
        for after in steps:
            if after > start_ms:
                break
            edge = after
        offset = _offset_ms(where, edge)
    while True:
        yield edge
        after = edge + width_ms
        new_offset = _offset_ms(where, after)
        if new_offset != offset:
            # From the change on the new clock counts: its first round time is earlier or later than the old one's.
            after -= (after + new_offset) % width_ms
            if after <= edge or _offset_ms(where, after) != new_offset:
                after += width_ms
            offset = new_offset
        edge = after


def _date_steps(width: Width, where: tzinfo, start_ms: int) -> Iterator[int]:
    day = (_EPOCH + timedelta(milliseconds=start_ms)).astimezone(where).date()
    if width.unit == "days":
        # Ordinal 1 is a Monday, so whole weeks begin on Mondays.
        number = (day.toordinal() - 1) // width.count
        while True:
            yield _midnight_ms(date.fromordinal(max(1, number * width.count + 1)), where)
            number += 1
    number = ((day.year - 1) * 12 + day.month - 1) // width.count
    while True:
        year, month = divmod(number * width.count, 12)
        yield _midnight_ms(date(year + 1, month + 1, 1), where)
        number += 1


def _offset_ms(where: tzinfo, ts: int) -> int:
    offset = (_EPOCH + timedelta(milliseconds=ts)).astimezone(where).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() * 1000)


def _midnight_ms(day: date, where: tzinfo) -> int:
    """When a day begins. Where the clocks skip midnight that is the moment of the change, and where it comes twice the
    first of the two (PEP 495: ``fold`` is 0).
    """
    return round((datetime(day.year, day.month, day.day, tzinfo=where) - _EPOCH).total_seconds() * 1000)
