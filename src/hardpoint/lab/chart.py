"""The results as one picture: what a line costs, how long it takes, what idle connections cost, where models stop."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .models import MODELS
from .report import stop_lines
from .svg import Box, Drawing, Log, around, number, spread

if TYPE_CHECKING:
    from .results import Point, Results

WIDTH, MARGIN = 1080, 32
PANEL_TOP, PANEL_HEIGHT, PANEL_GAP = 128, 360, 24
BARS_HEIGHT = 190
LABEL_GAP = 15.0
STOP_LINE_HEIGHT, STOP_CHARS = 18, 145


def chart(results: Results) -> str:
    """An SVG document."""
    stops = [line for each in stop_lines(results) for line in textwrap.wrap(each, STOP_CHARS, subsequent_indent="    ")]
    bars_top = PANEL_TOP + PANEL_HEIGHT + PANEL_GAP
    stops_top = bars_top + BARS_HEIGHT + PANEL_GAP
    stops_height = 48 + STOP_LINE_HEIGHT * len(stops)
    height = stops_top + stops_height + PANEL_GAP
    drawing = Drawing(WIDTH, height, "I/O models: cost and latency of a line against the number of idle connections")
    head(drawing, results)
    half = (WIDTH - 2 * MARGIN - PANEL_GAP) / 2
    left = Box(MARGIN, PANEL_TOP, half, PANEL_HEIGHT)
    right = Box(MARGIN + half + PANEL_GAP, PANEL_TOP, half, PANEL_HEIGHT)
    curves(
        drawing,
        results,
        left,
        ("Server CPU a line, µs", "Flat: O(k), the idle connections cost nothing. Rising: O(n)."),
        lambda point: (point.cpu_us, None),
    )
    curves(
        drawing,
        results,
        right,
        ("Latency, ms", "Solid: the median. Dashed: the 99th percentile."),
        lambda point: (point.p50_ms, point.p99_ms),
    )
    idle_cpu = [(model, results.of(model)[-1].idle_cpu_percent) for model in results.models]
    bars(drawing, Box(left.x, bars_top, half, BARS_HEIGHT), "CPU while nobody says anything, % of a core", idle_cpu)
    memory = [(model, bytes_each / 1024) for model, bytes_each in results.bytes_a_connection.items()]
    bars(drawing, Box(right.x, bars_top, half, BARS_HEIGHT), "Process memory an idle connection, KiB", memory)
    box = Box(MARGIN, stops_top, WIDTH - 2 * MARGIN, stops_height)
    drawing.rect(box, "panel", 8)
    drawing.text(box.x + 16, box.y + 26, "Where it stops", "ink head")
    for place, line in enumerate(stops):
        drawing.text(box.x + 16, box.y + 50 + place * STOP_LINE_HEIGHT, line, "dim")
    return str(drawing)


def head(drawing: Drawing, results: Results) -> None:
    """Title, what was measured on what, and the legend."""
    drawing.text(MARGIN, 40, "One line service, five ways to wait", "ink title")
    drawing.text(
        MARGIN,
        62,
        f"{results.active} active connections send {results.rate:,} lines a second in all.  {results.machine}",
        "dim",
    )
    x = float(MARGIN)
    for model in results.models:
        drawing.rule(x, 94, x + 26, 94, f"line s-{model}")
        drawing.mark(x + 13, 94, model)
        title = MODELS[model].title
        drawing.text(x + 34, 98.5, title)
        x += 34 + 7.1 * len(title) + 26


def curves(
    drawing: Drawing,
    results: Results,
    panel: Box,
    heading: tuple[str, str],
    values: Callable[[Point], tuple[float, float | None]],
) -> None:
    """A panel of lines on two logarithmic axes: what is the same for any number of connections lies flat."""
    drawing.rect(panel, "panel", 8)
    drawing.text(panel.x + 16, panel.y + 26, heading[0], "ink head")
    drawing.text(panel.x + 16, panel.y + 45, heading[1], "dim small")
    plot = Box(panel.x + 58, panel.y + 66, panel.width - 58 - 104, panel.height - 66 - 52)
    every = [value for point in results.points for value in values(point) if value is not None]
    x = Log(
        min(point.idle for point in results.points), max(point.idle for point in results.points), plot.x, plot.right
    )
    y = Log(*around(every), plot.bottom, plot.y)
    axes(drawing, plot, x, y, sorted({point.idle for point in results.points}))
    ends = []
    for model in results.models:
        points = results.of(model)
        middle = [(x(point.idle), y(values(point)[0])) for point in points]
        upper = [(x(point.idle), y(high)) for point in points if (high := values(point)[1]) is not None]
        if upper:
            drawing.path(upper, f"line thin s-{model}")
        drawing.path(middle, f"line s-{model}")
        for place in middle:
            drawing.mark(*place, model)
        if results.stop_of(model) is not None:
            drawing.cross(*middle[-1], f"line s-{model}")
        ends.append((middle[-1], model, number(values(points[-1])[0])))
    places = spread([place[1] for place, _, _ in ends], LABEL_GAP, plot.y, plot.bottom)
    for (place, model, value), label_y in zip(ends, places, strict=True):
        drawing.text(place[0] + 11, label_y + 4, f"{model} {value}", f"label small f-{model}")


def axes(drawing: Drawing, plot: Box, x: Log, y: Log, idle: Sequence[int]) -> None:
    """Grid lines at the decades of the one axis and at the measured numbers of the other."""
    for value in y.decades():
        drawing.rule(plot.x, y(value), plot.right, y(value), "grid")
        drawing.text(plot.x - 8, y(value) + 4, number(value), "dim small", "end")
    last_x = None
    for count in reversed(idle):
        at = x(count)
        if last_x is not None and last_x - at < 40:
            continue  # two labels would overlap: the greater number stays
        last_x = at
        drawing.rule(at, plot.y, at, plot.bottom, "grid")
        drawing.text(at, plot.bottom + 18, f"{count:,}", "dim small", "middle")
    drawing.rule(plot.x, plot.bottom, plot.right, plot.bottom, "axis")
    drawing.text((plot.x + plot.right) / 2, plot.bottom + 40, "idle connections", "dim", "middle")


def bars(drawing: Drawing, panel: Box, title: str, values: Sequence[tuple[str, float]]) -> None:
    """A panel of horizontal bars, one a model, with its value at the end."""
    drawing.rect(panel, "panel", 8)
    drawing.text(panel.x + 16, panel.y + 26, title, "ink head")
    most = max((value for _, value in values), default=0.0) or 1.0
    full = panel.width - 84 - 72
    for place, (model, value) in enumerate(values):
        y = panel.y + 46 + place * 27
        drawing.text(panel.x + 72, y + 13, model, "dim", "end")
        drawing.rect(Box(panel.x + 84, y, max(1.5, full * value / most), 17), f"f-{model}", 3)
        drawing.text(panel.x + 84 + max(1.5, full * value / most) + 8, y + 13, f"{value:,.1f}", "ink small")
