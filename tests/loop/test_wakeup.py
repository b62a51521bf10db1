"""The pair of sockets that ends a sleep."""

from __future__ import annotations

import select

from hardpoint.loop.wakeup import DRAIN_BYTES, Wakeup


def readable(wakeup):
    return bool(select.select([wakeup.read_fd], [], [], 0)[0])


def test_wake_makes_it_readable_once():
    got = []
    wakeup = Wakeup(got.append)
    assert not readable(wakeup)
    wakeup.wake()
    wakeup.wake()
    assert readable(wakeup)
    wakeup.on_readable()
    assert not readable(wakeup)
    assert got == [], "zeros are nobody's signal"
    wakeup.wake()
    assert readable(wakeup)
    wakeup.close()


def test_signal_numbers_are_passed_on():
    got = []
    wakeup = Wakeup(got.append)
    wakeup._writer.send(b"\x0a\x0c")
    wakeup.on_readable()
    assert got == [b"\x0a\x0c"]
    wakeup.close()


def test_a_spurious_event_is_borne():
    wakeup = Wakeup(lambda _data: None)
    wakeup.on_readable()
    wakeup.on_writable()
    wakeup.close()


def test_a_full_pair_wakes_without_an_error():
    wakeup = Wakeup(lambda _data: None)
    try:
        while True:
            wakeup._writer.send(b"\0" * DRAIN_BYTES)
    except BlockingIOError:
        pass
    wakeup.wake()
    assert readable(wakeup)
    wakeup.close()


def test_wake_during_and_after_close_does_nothing():
    wakeup = Wakeup(lambda _data: None)
    wakeup.close()
    wakeup.wake()
