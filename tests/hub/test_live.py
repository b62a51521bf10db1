"""The live feed: numbered, bounded, resumable."""

from __future__ import annotations

from hardpoint.hub import live as live_module
from hardpoint.hub.devices import DeviceState, SeriesState
from hardpoint.hub.live import LiveFeed
from hardpoint.model import Device, weight


def make_feed():
    one, two = DeviceState(Device("one", "One", 0)), DeviceState(Device("two", "Two", 0))
    return LiveFeed({1: SeriesState(1, one, "a"), 2: SeriesState(2, one, "b"), 3: SeriesState(3, two, "a")})


def test_entries_are_numbered_and_handed_on():
    feed, heard = make_feed(), []
    feed.publish("presence", "one", {"x": 1})
    feed.listeners.add(heard.append)
    feed.publish_rows([(1, 5, 0)])
    feed.publish("device", "two", {})
    assert [(entry.number, entry.kind, entry.device) for entry in heard] == [(2, "reading", ""), (3, "device", "two")]
    assert feed.number == 3


def test_resuming_gives_what_was_missed_or_says_that_it_is_gone(monkeypatch):
    monkeypatch.setattr(live_module, "MAX_ENTRIES", 3)
    feed = make_feed()
    assert feed.since(0) == []
    for n in range(5):
        feed.publish("presence", "one", {"n": n})
    assert [entry.number for entry in feed.since(2)] == [3, 4, 5]
    assert [entry.number for entry in feed.since(4)] == [5]
    assert feed.since(5) == []
    assert feed.since(1) is None  # 2 is no longer kept
    assert feed.since(6) is None  # of a feed that is not this one


def test_what_is_kept_is_bounded_by_rows_too(monkeypatch):
    monkeypatch.setattr(live_module, "MAX_ROWS", 10)
    feed = make_feed()
    for _ in range(4):
        feed.publish_rows([(1, n, n) for n in range(4)])
    assert [entry.number for entry in feed.since(2)] == [3, 4]
    assert feed.since(1) is None
    feed.publish_rows([(1, n, n) for n in range(50)])  # one batch beyond the bound is kept alone
    assert [entry.number for entry in feed.since(4)] == [5]
    assert feed.since(3) is None


def test_a_batch_is_grouped_by_device_in_its_order():
    rows = [(1, 5, 1), (3, 5, 2), (2, 5, 3), (9, 5, 4), (1, 6, 5)]
    assert make_feed().group(rows) == {"one": [("a", 5, 1), ("b", 5, 3), ("a", 6, 5)], "two": [("a", 5, 2)]}


def test_large_values_count_as_several():
    feed = LiveFeed({})
    for number in range(200):
        feed.publish_rows([(1, number, "x" * 60_000)], weight("x" * 60_000))
    assert sum(len(entry.rows) for entry in feed._kept) * 60_000 < 4_000_000
    assert feed.since(0) is None
    assert len(feed.since(199)) == 1
