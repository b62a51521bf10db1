"""What the garbage collector walks in a server's process."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from hardpoint.collector import ALL_AGAIN_S, Collector


class Ring:
    """What only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    with Collector(clock):
        yield clock


def test_a_ring_that_dies_young_goes_with_the_next_collection(clock: Clock) -> None:
    gone = weakref.ref(Ring())
    gc.collect()
    assert gone() is None


def test_what_a_full_collection_leaves_is_not_walked_again_before_an_hour(clock: Clock) -> None:
    ring = Ring()
    seen = weakref.ref(ring)
    gc.collect()
    del ring
    gc.collect()
    assert seen() is not None, "it was set aside"
    clock.now_s += ALL_AGAIN_S
    gc.collect()
    assert seen() is None
    assert gc.get_freeze_count() > 0, "what stayed is set aside again"


def test_small_collections_set_nothing_aside(clock: Clock) -> None:
    ring = Ring()
    seen = weakref.ref(ring)
    gc.collect(1)
    del ring
    gc.collect()
    assert seen() is None


def test_what_needs_no_collector_goes_at_once_though_set_aside(clock: Clock) -> None:
    plain = Ring()
    plain.itself = None
    seen = weakref.ref(plain)
    gc.collect()
    del plain
    assert seen() is None


def test_afterwards_the_process_collects_as_before() -> None:
    inside = Ring()
    with Collector():
        seen_inside = weakref.ref(inside)
        gc.collect()
        del inside
    ring = Ring()
    seen = weakref.ref(ring)
    gc.collect()
    assert seen_inside() is None, "what was set aside is walked again"
    del ring
    gc.collect()
    assert seen() is None
