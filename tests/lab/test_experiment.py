from __future__ import annotations

import resource

import pytest

from hardpoint.lab import experiment
from hardpoint.lab.experiment import Plan, fitted, percentile, run

QUICK = {"active": 4, "rate": 200, "seconds": 0.15}


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 50, 0), ([7], 50, 7), ([7], 99, 7), ([1, 2, 3, 4], 50, 2), (list(range(1, 101)), 99, 99), ([1, 9], 99, 9)],
)
def test_percentile_is_the_nearest_rank(values: list[int], percent: int, expected: int) -> None:
    assert percentile(values, percent) == expected


def test_a_plan_is_cut_to_the_descriptors_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "raise_descriptor_limit", lambda: 1128)
    plan = fitted(Plan(connections=(5000, 10, 10, 2000), active=64))
    assert list(plan.connections) == [10, 1000]
    assert "1,128 descriptors" in plan.notes[0]
    monkeypatch.setattr(experiment, "raise_descriptor_limit", lambda: 100_000)
    assert fitted(Plan(connections=(5000, 10))).connections == [10, 5000]


def test_a_run_measures_every_model_at_every_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "IDLE_SECONDS", 0.05)
    told: list[tuple[int, int]] = []
    results = run(Plan(("threads", "epoll"), (3, 150), **QUICK), lambda _what, done, total: told.append((done, total)))
    assert [(point.model, point.idle) for point in results.points] == [
        ("threads", 3),
        ("threads", 150),
        ("epoll", 3),
        ("epoll", 150),
    ]
    assert all(point.cpu_us > 0 and 0 < point.p50_ms <= point.p99_ms for point in results.points)
    assert all(point.answered_per_s > 20 for point in results.points)
    assert results.stops == []
    assert set(results.bytes_a_connection) == {"threads", "epoll"}
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.slow
def test_select_stops_at_its_limit_and_is_measured_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "IDLE_SECONDS", 0.05)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2000:
        pytest.skip("fewer descriptors than select can watch")
    results = run(fitted(Plan(("select",), (10, 1200, 1300), **QUICK)), lambda *_: None)
    (stop,) = results.stops
    assert 950 < stop.connections < 1024
    assert "1024" in stop.why
    assert [point.idle for point in results.of("select")] == [10, stop.connections - QUICK["active"]]


def test_a_model_that_leaves_no_memory_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(experiment, "MIN_FREE_BYTES", 1 << 60)
    results = run(Plan(("epoll",), (150, 500), **QUICK), lambda *_: None)
    (stop,) = results.stops
    assert "MiB of memory" in stop.why
    assert [point.idle for point in results.points] == [100]


def test_without_two_cores_nothing_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment.os, "sched_getaffinity", lambda _pid: {3}, raising=False)
    assert experiment.cores() == (None, None)
