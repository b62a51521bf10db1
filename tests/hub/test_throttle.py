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


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("[2001:db8:1:2::1]", "2001:db8:1:2::2", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("unix:a", "unix:b", False),
    ],
)
def test_ipv6_is_counted_by_what_one_customer_has(clock, one, other, together):
    throttle = Throttle(1, clock)
    throttle.failed(one)
    if together:
        with pytest.raises(RateLimited):
            throttle.check(other)
        throttle.succeeded(other)
        throttle.check(one)
    else:
        throttle.check(other)
