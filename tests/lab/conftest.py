"""Results that nobody had to measure."""

from __future__ import annotations

import pytest

from hardpoint.lab.results import Point, Results, Stop


def point(model: str, idle: int, cpu_us: float, *, answered_per_s: float = 100.0) -> Point:
    return Point(model, idle, cpu_us, cpu_us / 1000, cpu_us / 500, answered_per_s, 0.0, 20_000_000 + idle * 500)


@pytest.fixture
def results() -> Results:
    """epoll is flat, poll rises and falls behind at the end, select stops."""
    made = Results("a machine", "made up", 64, 100, 1.0, "the lowest limit of threads here is 32,765 (kernel.pid_max)")
    made.points = [
        point("threads", 10, 60.0),
        point("threads", 10_000, 60.0),
        point("select", 10, 50.0),
        point("select", 950, 300.0),
        point("poll", 10, 50.0),
        point("poll", 10_000, 9000.0, answered_per_s=80.0),
        point("epoll", 10, 50.0),
        point("epoll", 10_000, 50.0),
    ]
    made.stops = [Stop("select", 1014, "select() cannot watch descriptor 1024")]
    made.bytes_a_connection = {"threads": 15_000.0, "poll": 500.0, "epoll": 500.0}
    return made
