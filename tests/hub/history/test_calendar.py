"""Buckets by the calendar, over days that are longer and shorter than others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.errors import BadInput
from hardpoint.hub.history.calendar import LAST_DAY_MS, Width, edges, zone

BERLIN = zone("Europe/Berlin")
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def ms(*when, where=BERLIN):
    return round(datetime(*when, tzinfo=where).timestamp() * 1000)


def shown(found, where=BERLIN):
    return [datetime.fromtimestamp(edge / 1000, where).strftime("%d %H:%M%z") for edge in found]


def made(text, start_ms, end_ms, where=BERLIN, limit=10_000):
    return edges(Width.parse(text), where, start_ms, end_ms, limit)


class TestWidth:
    @pytest.mark.parametrize(
        ("text", "width"),
        [
            ("30s", Width(30_000, "ms")),
            ("15m", Width(900_000, "ms")),
            ("15min", Width(900_000, "ms")),
            ("6h", Width(6 * HOUR_MS, "ms")),
            ("24h", Width(1, "days")),
            ("48h", Width(2, "days")),
            ("1d", Width(1, "days")),
            ("2w", Width(14, "days")),
            ("3mo", Width(3, "months")),
            ("1y", Width(12, "months")),
        ],
    )
    def test_taken(self, text, width):
        assert Width.parse(text) == width

    @pytest.mark.parametrize("text", ["", "h", "0h", "-1h", "1.5h", "1 h", "25h", "1q", "999999d", "1h ", "١h"])
    def test_refused(self, text):
        with pytest.raises(BadInput) as refused:
            Width.parse(text)
        assert refused.value.field == "every"


@pytest.mark.parametrize("name", ["", "Europe/Nowhere", "../../etc/passwd", "Europe", "x\0y", "a" * 300])
def test_zones_that_are_none(name):
    with pytest.raises(BadInput) as refused:
        zone(name)
    assert refused.value.field == "tz"


def test_utc_needs_no_file():
    assert zone("utc") is zone("UTC") is UTC


def test_days_are_as_long_as_they_were():
    found = made("1d", ms(2025, 10, 25, 12), ms(2025, 10, 27, 12))
    assert [(after - edge) / HOUR_MS for edge, after in pairwise(found)] == [24, 25, 24]
    found = made("1d", ms(2025, 3, 29, 12), ms(2025, 3, 31, 12))
    assert [(after - edge) / HOUR_MS for edge, after in pairwise(found)] == [24, 23, 24]


def test_the_hour_that_comes_twice_is_two_buckets():
    assert shown(made("1h", ms(2025, 10, 26, 1), ms(2025, 10, 26, 4))) == [
        *("26 01:00+0200", "26 02:00+0200", "26 02:00+0100", "26 03:00+0100", "26 04:00+0100"),
    ]
    assert len(made("1h", ms(2025, 10, 26), ms(2025, 10, 27))) - 1 == 25
    assert len(made("1h", ms(2025, 3, 30), ms(2025, 3, 31))) - 1 == 23


def test_parts_of_a_day_go_by_the_clock_on_the_wall():
    for day in ((2025, 10, 26), (2025, 3, 30), (2025, 7, 1)):
        found = made("6h", ms(*day), ms(*day) + DAY_MS - HOUR_MS)
        hours = [datetime.fromtimestamp(edge / 1000, BERLIN).hour for edge in found]
        assert hours == [0, 6, 12, 18, 0], day


def test_weeks_begin_on_monday_and_months_on_their_first():
    assert shown(made("1w", ms(2025, 1, 1), ms(2025, 1, 8))) == ["30 00:00+0100", "06 00:00+0100", "13 00:00+0100"]
    found = made("1mo", ms(2025, 1, 15), ms(2025, 4, 2))
    assert shown(found) == ["01 00:00+0100", "01 00:00+0100", "01 00:00+0100", "01 00:00+0200", "01 00:00+0200"]
    assert found == [ms(2025, month, 1) for month in range(1, 6)]
    assert made("1y", ms(2024, 6, 1), ms(2025, 6, 1)) == [ms(year, 1, 1) for year in (2024, 2025, 2026)]
    assert made("3mo", ms(2025, 2, 1), ms(2025, 5, 1)) == [ms(2025, month, 1) for month in (1, 4, 7)]


def test_midnight_that_the_clocks_skip_begins_the_day_all_the_same():
    cairo = zone("Africa/Cairo")  # 2024-04-26 00:00 → 01:00
    assert shown(made("1d", ms(2024, 4, 25, where=cairo), ms(2024, 4, 27, where=cairo), cairo), cairo) == [
        *("25 00:00+0200", "26 01:00+0300", "27 00:00+0300"),
    ]


def test_an_offset_of_half_an_hour():
    kolkata = zone("Asia/Kolkata")
    assert shown(
        made("1h", ms(2025, 1, 1, 0, 10, where=kolkata), ms(2025, 1, 1, 1, where=kolkata), kolkata), kolkata
    ) == [
        *("01 00:00+0530", "01 01:00+0530"),
    ]


def test_bounds():
    with pytest.raises(BadInput, match="more than 10 buckets"):
        made("1s", 0, 11_001, UTC, limit=10)
    assert len(made("1s", 0, 10_000, UTC, limit=10)) == 11
    with pytest.raises(BadInput, match="9998"):
        made("1d", 0, LAST_DAY_MS + 1)
    assert made("1y", 0, 1)[0] == ms(1970, 1, 1)


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Pacific/Apia",
]
TIMES = st.integers(1_100_000_000_000, 1_800_000_000_000)


@given(
    TIMES,
    st.integers(1, 20 * DAY_MS),
    st.sampled_from(ZONES),
    st.sampled_from(["30m", "1h", "5h", "6h", "1d", "2d", "1w", "1mo"]),
)
def test_edges_hold_the_range_and_do_not_depend_on_where_it_begins(start_ms, length_ms, name, text):
    where = zone(name)
    found = made(text, start_ms, start_ms + length_ms, where)
    assert found[0] <= start_ms < found[1]
    assert found[-2] < start_ms + length_ms <= found[-1]
    assert found == sorted(set(found))
    earlier = made(text, start_ms - 3 * DAY_MS, start_ms + length_ms, where)
    assert [edge for edge in earlier if edge >= found[0]] == found
    for edge in found:
        local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=edge)).astimezone(where)
        assert (local.minute % 30, local.second) == (0, 0)
