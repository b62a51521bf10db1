"""Quiet hours: when channels are not to be used, and until when."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from ..errors import BadInput
from ..model import SEVERITIES

if TYPE_CHECKING:
    from ..model import QuietHours

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def checked_quiet_hours(hours: QuietHours) -> QuietHours:
    """The quiet hours themselves.

    Raises:
        BadInput: a part cannot be used; the field says which.
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # 3 ms, and most servers know no quiet hours

    for name in ("begins", "ends"):
        if _CLOCK.fullmatch(getattr(hours, name)) is None:
            raise BadInput(f"{name} is a time of day, HH:MM", field=name)
    if hours.begins == hours.ends:
        raise BadInput("quiet hours end at another time than they begin", field="ends")
    try:
        ZoneInfo(hours.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder, such as "Europe"
        raise BadInput(f"there is no time zone {hours.time_zone[:64]!r}", field="time_zone") from None
    if not hours.days or not set(hours.days) <= set(range(7)):
        raise BadInput("days are 0 (Monday) to 6", field="days")
    if hours.but_for is not None and hours.but_for not in SEVERITIES:
        raise BadInput(f"but_for is one of {', '.join(SEVERITIES)}, or null", field="but_for")
    return hours


def quiet_until(all_hours: Iterable[QuietHours], channel_id: str, severity: str, now_ms: int) -> int | None:
    """When the channel may be used again for news of that severity; None: now."""
    until_ms = [
        ends_ms
        for hours in all_hours
        if (not hours.channels or channel_id in hours.channels)
        and (hours.but_for is None or SEVERITIES.index(severity) < SEVERITIES.index(hours.but_for))
        and (ends_ms := _ends_ms(hours, now_ms)) is not None
    ]
    return max(until_ms, default=None)


def _ends_ms(hours: QuietHours, now_ms: int) -> int | None:
    """When the quiet time that now falls into ends; None: it is not quiet now."""
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(hours.time_zone)
    now = datetime.fromtimestamp(now_ms / 1000, zone)
    begins, ends = time.fromisoformat(hours.begins), time.fromisoformat(hours.ends)
    for back in (0, 1):  # begun today, or yesterday and over midnight
        day = now.date() - timedelta(days=back)
        if day.weekday() not in hours.days:
            continue
        from_time = datetime.combine(day, begins, zone)
        to_time = datetime.combine(day + timedelta(days=ends <= begins), ends, zone)
        if from_time <= now < to_time:
            return int(to_time.timestamp() * 1000)
    return None
