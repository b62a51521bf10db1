"""Times as files write them."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from hardpoint.cli.importing.times import clock

MS = 1_763_880_000_000  # 2025-11-23T06:40:00Z
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("form", "field", "ms"),
    [
        ("auto", "1763880000", MS),
        ("auto", 1763880000.25, MS + 250),
        ("auto", str(MS), MS),
        ("auto", MS * 1000, MS),
        ("auto", MS * 1_000_000 + 999_999, MS),
        ("auto", "2025-11-23T06:40:00Z", MS),
        ("auto", " 2025-11-23 06:40:00.5 ", MS + 500),
        ("auto", "2025-11-23T07:40:00+01:00", MS),
        ("auto", "-86400", -86_400_000),
        ("iso", "2025-11-23", MS - 24_000_000),
        ("s", "5", 5_000),
        ("s", "5.0015", 5_002),
        ("ms", "5", 5),
        ("us", "1999", 1),
        ("ns", "1763880000123456789", MS + 123),
        ("%d.%m.%Y %H:%M", "23.11.2025 06:40", MS),
    ],
)
def test_read(form, field, ms):
    assert clock(form, UTC)(field) == ms


@pytest.mark.parametrize(
    ("form", "field"), [("auto", "23.11.2025 07:40"), ("%d.%m.%Y %H:%M", "x"), ("s", "x"), ("iso", "5")]
)
def test_no_time(form, field):
    with pytest.raises(ValueError):
        clock(form, UTC)(field)


def test_the_zone_is_for_times_that_name_none():
    assert clock("%d.%m.%Y %H:%M", BERLIN)("23.11.2025 07:40") == MS
    assert clock("auto", BERLIN)("2025-11-23 07:40") == MS
    assert clock("auto", BERLIN)("2025-11-23T06:40Z") == MS
    assert clock("auto", BERLIN)("2025-07-01 02:00") == 1_751_328_000_000


@pytest.mark.parametrize("field", ["nan", "NaN", float("nan"), "inf", float("-inf"), None, [1], "9" * 5000])
def test_what_is_no_time_is_said_with_an_error_that_is_expected(field):
    with pytest.raises((ValueError, OverflowError, TypeError, OSError)):
        clock("auto", UTC)(field)
