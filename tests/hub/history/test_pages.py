"""A range page by page."""

from __future__ import annotations

import pytest

from hardpoint.hub.history import pages
from hardpoint.hub.history.pages import read_page
from hardpoint.hub.history.reduce import Abandoned

from .pieced import Pieced

DATA = [(n * 10, n) for n in range(100)]


@pytest.mark.parametrize("page_readings", [1, 7, 99, 100, 1000])
def test_every_reading_comes_once(monkeypatch, page_readings):
    monkeypatch.setattr(pages, "PAGE_READINGS", page_readings)
    store, found, turns = Pieced(DATA, range(0, 100, 3)), [], 0
    next_ms = 50
    while next_ms is not None:
        page = read_page(store, 1, next_ms, 900)
        found.extend(row for stretch in page.stretches for row in zip(*stretch, strict=True))
        next_ms = page.next_ms
        turns += 1
    assert found == [row for row in DATA if 50 <= row[0] < 900]
    assert turns >= len(found) / (page_readings + 3)


def test_a_page_ends_where_the_range_does():
    page = read_page(Pieced([(5, 1)]), 1, 0, 6)
    assert page.next_ms is None
    assert read_page(Pieced([]), 1, 0, 6) == pages.Page([], None)


def test_it_stops_when_nobody_waits():
    with pytest.raises(Abandoned):
        read_page(Pieced(DATA), 1, 0, 900, wanted=lambda: False)
