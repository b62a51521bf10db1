from __future__ import annotations

import pytest

from hardpoint.errors import RateLimited
from hardpoint.hub import throttle as throttle_module
from hardpoint.hub.throttle import Throttle
from hardpoint.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


def test_an_address_may_be_wrong_so_often_a_minute(clock):
    throttle = Throttle(3, clock)
    for _ in range(3):
        throttle.check("a")
        throttle.failed("a")
        clock.advance(s=10)
    with pytest.raises(RateLimited, match="too many failed sign-ins from a; try again in 31 s"):
        throttle.check("a")
    throttle.check("b")
    clock.advance(s=30)
    throttle.check("a")
    throttle.failed("a")  # a new minute begins
    throttle.check("a")


def test_a_clock_that_is_set_back_locks_nobody_out(clock):
    throttle = Throttle(2, clock)
    throttle.failed("a")
    throttle.failed("a")
    clock.advance(s=-3600)
    throttle.check("a")
    throttle.failed("a")  # a new minute begins
    throttle.check("a")
    throttle.failed("a")
    with pytest.raises(RateLimited, match="try again in 61 s"):
        throttle.check("a")


def test_a_success_takes_back_what_was_counted_in_advance(clock):
    throttle = Throttle(2, clock)
    for _ in range(10):
        throttle.check("a")
        throttle.failed("a")
        throttle.succeeded("a")
    throttle.failed("a")
    throttle.failed("a")
    throttle.succeeded("a")
    throttle.failed("a")
    with pytest.raises(RateLimited):
        throttle.check("a")
    throttle.succeeded("never seen")


def test_addresses_are_forgotten_from_the_oldest_on(clock, monkeypatch):
    monkeypatch.setattr(throttle_module, "MAX_ADDRESSES", 2)
    throttle = Throttle(1, clock)
    for address in ("a", "b", "a", "c"):
        throttle.failed(address)
    throttle.check("b")
    for address in ("a", "c"):
        with pytest.raises(RateLimited):
            throttle.check(address)
