"""The results in words and tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .models import MODELS

if TYPE_CHECKING:
    from .results import Point, Results

KEEPS_UP = 0.95
"""Fewer answers than this share of the lines that were due, and the model cannot keep up."""
ALLOWED_MISSING = 10
"""But so many may be missing in any case: lines whose answer was on its way when a slice of the load ended."""

COLUMNS = ("model", "idle connections", "cpu a line", "median", "99 %", "lines/s", "idle cpu", "memory")
SUMMARY_COLUMNS = ("model", "a wake-up costs", "cpu a line, few to many", "an idle connection adds", "and weighs")


def rows(results: Results) -> Iterator[tuple[str, ...]]:
    """A row a point, under `COLUMNS`. Figures are padded, so that they stand under each other."""
    for model in results.models:
        for point in results.of(model):
            yield (
                model,
                f"{point.idle:>16,}",
                f"{point.cpu_us:>7,.0f} µs",
                f"{point.p50_ms:>6,.2f} ms",
                f"{point.p99_ms:>7,.2f} ms",
                f"{point.answered_per_s:>7,.0f}",
                f"{point.idle_cpu_percent:>6.1f} %",
                f"{point.resident_bytes / 2**20:>6,.1f} MiB",
            )


def summary(results: Results) -> Iterator[tuple[str, ...]]:
    """A row a model, under `SUMMARY_COLUMNS`: whether its cost follows the idle connections."""
    for model in results.models:
        points = results.of(model)
        slope = results.slope_ns(model)
        weight = results.bytes_a_connection.get(model)
        yield (
            model,
            MODELS[model].work,
            f"{points[0].cpu_us:>6,.0f} → {points[-1].cpu_us:>6,.0f} µs",
            "" if slope is None else f"{slope:>7,.1f} ns a line",
            "" if weight is None else f"{weight:>6,.0f} bytes",
        )


def stop_lines(results: Results) -> list[str]:
    """A sentence for each model that stopped or could not keep up, and one for those that bore everything."""
    lines = []
    well = []
    for model in results.models:
        stop = results.stop_of(model)
        if stop is not None:
            lines.append(f"{model}: {stop.connections:,} connections. {stop.why}")
        behind = next((point for point in results.of(model) if is_behind(point, results)), None)
        if behind is not None:
            lines.append(
                f"{model}: cannot keep up from {behind.idle:,} idle connections on: "
                f"{behind.answered_per_s:,.0f} of {results.rate:,} lines a second"
            )
        if stop is None and behind is None:
            well.append(model)
    if well:
        most = max(point.idle for point in results.points if point.model in well) + results.active
        lines.append(f"{', '.join(well)}: did not stop; {most:,} connections were the most that were tried")
    if "threads" in well:
        lines.append(f"threads: {results.thread_limit}")
    return lines


def is_behind(point: Point, results: Results) -> bool:
    """Whether the model could not answer the lines as fast as they were due."""
    missing = (results.rate - point.answered_per_s) * results.seconds
    return missing > ALLOWED_MISSING and point.answered_per_s < KEEPS_UP * results.rate
