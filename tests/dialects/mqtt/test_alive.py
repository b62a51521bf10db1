"""The wheel of keep-alives against its plain definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hardpoint.dialects.mqtt.alive import RING_S, KeepAliveWheel


class Silent:
    def __init__(self, patience_s, heard_s=0):
        self.patience_s = patience_s
        self.heard_s = heard_s
        self.bucket = 0


def test_tells_who_is_overdue_once():
    wheel = KeepAliveWheel()
    clients = [Silent(patience_s) for patience_s in (0, 1, 15, 300, 98_303)]
    for client in clients:
        wheel.watch(client)
    told = {}
    for now_s in range(1, 99_000):
        for client in wheel.turn(now_s):
            assert client not in told
            told[client] = now_s
    assert [told.get(client) for client in clients] == [None, 2, 16, 301, 98_304]


def test_whoever_is_gone_is_not_told():
    wheel = KeepAliveWheel()
    client = Silent(5)
    wheel.watch(client)
    wheel.forget(client)
    wheel.forget(client)
    assert not any(wheel.turn(now_s) for now_s in range(1, 20))


def test_a_clock_that_jumps_finds_everybody():
    wheel = KeepAliveWheel()
    clients = [Silent(patience_s) for patience_s in (3, 200, 1000)]
    for client in clients:
        wheel.watch(client)
    assert set(wheel.turn(RING_S * 3)) == set(clients[:2])
    assert set(wheel.turn(RING_S * 6)) == {clients[2]}


@given(st.lists(st.tuples(st.integers(1, 400), st.sets(st.integers(1, 700), max_size=5)), max_size=5))
def test_nobody_is_told_too_early_or_more_than_a_second_late(plans):
    wheel = KeepAliveWheel()
    clients = {Silent(patience_s): heard for patience_s, heard in plans}
    for client in clients:
        wheel.watch(client)
    gone = {}
    for now_s in range(1, 1500):
        for client in wheel.turn(now_s):
            gone[client] = now_s
        for client, heard in clients.items():
            if now_s in heard and client not in gone:
                client.heard_s = now_s
    for client in clients:
        assert gone[client] == client.heard_s + client.patience_s + 1
