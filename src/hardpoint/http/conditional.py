"""Conditional and range requests (RFC 9110 §13, §14): what of a file a client has, and which part it wants."""

from __future__ import annotations

import calendar
import itertools
import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..wire.http1 import Headers
    from .messages import Request

MAX_RANGES = 16
"""Parts of one answer. A header of thousands of overlapping one-byte ranges once brought servers down (CVE-2011-3192);
with more than this, or with overlaps, the whole is sent, as RFC 9110 §14.2 allows."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FORMATS = (
    re.compile(r"[A-Z][a-z]{2}, (?P<d>\d\d) (?P<m>[A-Z][a-z]{2}) (?P<y>\d{4}) (?P<t>\d\d:\d\d:\d\d) GMT"),
    re.compile(r"[A-Z][a-z]{5,8}, (?P<d>\d\d)-(?P<m>[A-Z][a-z]{2})-(?P<y>\d\d) (?P<t>\d\d:\d\d:\d\d) GMT"),  # RFC 850
    re.compile(r"[A-Z][a-z]{2} (?P<m>[A-Z][a-z]{2}) (?P<d>[ \d]\d) (?P<t>\d\d:\d\d:\d\d) (?P<y>\d{4})"),  # asctime
)
_ENTITY_TAG = re.compile(r'[ \t,]*((?:W/)?"[!#-~\x80-\xff]*")')
_RANGE = re.compile(r"[ \t]*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]*")


def http_date(seconds: float) -> str:
    """Seconds since 1970 as an IMF-fixdate (RFC 9110 §5.6.7), whatever the locale says a month is called."""
    at = time.gmtime(seconds)
    return (
        f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year:04} "
        f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT"
    )


def parse_http_date(text: str) -> int | None:
    """Seconds since 1970, from any of the three formats a recipient must read (RFC 9110 §5.6.7); None for anything
    else, which a condition then ignores.
    """
    for form in _FORMATS:
        found = form.fullmatch(text)
        if found is None:
            continue
        hour, minute, second = (int(part) for part in found["t"].split(":"))
        year, day = int(found["y"]), int(found["d"])
        if year < 100:  # §5.6.7: one that seems more than 50 years ahead is in the past
            now = time.gmtime().tm_year
            year += now // 100 * 100
            year -= 100 if year > now + 50 else 0
        if found["m"] not in _MONTHS or not 1 <= day <= 31 or hour > 23 or minute > 59 or second > 60:
            return None
        return calendar.timegm((year, _MONTHS.index(found["m"]) + 1, day, hour, minute, second))
    return None


def failed_condition(request: Request, tag: str | None, modified_s: int | None) -> int | None:
    """What a request's conditions come to, for a representation with this entity tag (``"x"`` or ``W/"x"``) and time of
    its last change: 304, 412, or None where they let the request through. In the order of RFC 9110 §13.2.2.
    """
    headers = request.headers.joined
    reading = request.method in ("GET", "HEAD")
    if "if-match" in headers:
        if not _matches(headers["if-match"], tag, weakly=False):
            return 412
    elif "if-unmodified-since" in headers:
        since = parse_http_date(headers["if-unmodified-since"])
        if since is not None and modified_s is not None and modified_s > since:
            return 412
    if "if-none-match" in headers:
        if _matches(headers["if-none-match"], tag, weakly=True):
            return 304 if reading else 412
    elif reading and "if-modified-since" in headers:
        since = parse_http_date(headers["if-modified-since"])
        if since is not None and modified_s is not None and modified_s <= since:
            return 304
    return None


def _matches(listed: str, tag: str | None, *, weakly: bool) -> bool:
    """Whether a list of entity tags names this one (RFC 9110 §8.8.3.2)."""
    if listed.strip(" \t") == "*":
        return True
    if tag is None:
        return False
    tags = _ENTITY_TAG.findall(listed)
    if weakly:
        return tag.removeprefix("W/") in {each.removeprefix("W/") for each in tags}
    return not tag.startswith("W/") and tag in tags


def wanted_ranges(headers: Headers, size: int, tag: str | None, modified_s: int | None) -> list[tuple[int, int]] | None:
    """The parts of a content of ``size`` bytes that a GET asks for, as ``(first, behind the last)``; None when it is to
    have the whole, an empty list when none of them exists (416).
    """
    asked = headers.joined.get("range")
    if asked is None or not _range_applies(headers, tag, modified_s):
        return None
    unit, equals, text = asked.partition("=")
    if not equals or unit.lower() != "bytes":
        return None  # §14.2: an unknown unit is ignored
    ranges: list[tuple[int, int]] = []
    parts = text.split(",")
    for part in parts:
        found = _RANGE.fullmatch(part)
        if found is None:
            return None
        if found[3] is not None:  # the last so many bytes
            first, end = max(0, size - int(found[3])), size
        else:
            first, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
            if found[2] and int(found[2]) < first:
                return None  # §14.1.1: not a valid range
        if first < end:
            ranges.append((first, end))
    ordered = sorted(ranges)
    overlap = any(first < before for (_, before), (first, _) in itertools.pairwise(ordered))
    return None if overlap or len(parts) > MAX_RANGES else ranges


def _range_applies(headers: Headers, tag: str | None, modified_s: int | None) -> bool:
    """``If-Range`` (RFC 9110 §13.1.5): a part is only of use to whoever has the rest of the same content."""
    condition = headers.joined.get("if-range")
    if condition is None:
        return True
    if condition.startswith(('"', "W/")):
        return tag is not None and not tag.startswith("W/") and condition == tag
    return modified_s is not None and parse_http_date(condition) == modified_s
