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
