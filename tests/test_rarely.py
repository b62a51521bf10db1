"""The same warning once a minute, with what was left out."""

from __future__ import annotations

import logging

from hardpoint.rarely import Rarely


def test_once_a_minute_and_how_often_meanwhile(caplog) -> None:
    now = 1000.0
    rarely = Rarely(logging.getLogger("test"), clock_s=lambda: now)
    rarely.warn("%s is wrong", "a")
    for _ in range(3):
        rarely.warn("%s is wrong", "a")
    rarely.warn("%s is odd", "a")
    now += 59.9
    rarely.warn("%s is wrong", "a")
    now += 0.1
    rarely.warn("%s is wrong", "b")
    now += 60
    rarely.warn("%s is wrong", "c")
    assert [record.getMessage() for record in caplog.records] == [
        "a is wrong",
        "a is odd",
        "b is wrong (and 4 times since the last such line)",
        "c is wrong",
    ]


def test_the_first_is_said_at_any_time(caplog) -> None:
    """A clock that stands at 0.1 s, or where 60 s less and 60 s more is not the same float."""
    for now in (0.0, 0.1, 1000.7, 69.3, 12345.6789, 1e9 + 0.1):
        Rarely(logging.getLogger("test"), clock_s=lambda now=now: now).warn("at %s", now)
    assert len(caplog.records) == 6
