from __future__ import annotations

from typing import TYPE_CHECKING

from hardpoint.lab.report import COLUMNS, SUMMARY_COLUMNS, rows, stop_lines, summary

if TYPE_CHECKING:
    from hardpoint.lab.results import Results


def test_a_row_a_point(results: Results) -> None:
    made = list(rows(results))
    assert len(made) == len(results.points)
    assert all(len(row) == len(COLUMNS) for row in made)
    assert [cell.strip() for cell in made[5]][:6] == ["poll", "10,000", "9,000 µs", "9.00 ms", "18.00 ms", "80"]


def test_the_summary_tells_what_an_idle_connection_adds(results: Results) -> None:
    made = {row[0]: [cell.strip() for cell in row] for row in summary(results)}
    assert all(len(row) == len(SUMMARY_COLUMNS) for row in made.values())
    assert made["epoll"][3:] == ["0.0 ns a line", "500 bytes"]
    assert made["poll"][3] == "895.9 ns a line"  # (9000 - 50) µs over 9,990 connections
    assert made["select"][4] == ""


def test_one_point_has_no_slope(results: Results) -> None:
    results.points = results.points[:1]
    assert results.slope_ns("threads") is None
    assert next(iter(summary(results)))[3] == ""


def test_where_models_stop(results: Results) -> None:
    assert stop_lines(results) == [
        "select: 1,014 connections. select() cannot watch descriptor 1024",
        "poll: cannot keep up from 10,000 idle connections on: 80 of 100 lines a second",
        "threads, epoll: did not stop; 10,064 connections were the most that were tried",
        "threads: the lowest limit of threads here is 32,765 (kernel.pid_max)",
    ]


def test_a_few_lines_on_their_way_at_the_end_are_not_behind(results: Results) -> None:
    results.seconds = 0.1  # 10 lines were due, 8 answered
    assert not any("cannot keep up" in line for line in stop_lines(results))
