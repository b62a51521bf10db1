"""A few marks of SVG: scales, axes and text. Colours are classes, so one file is right on light and on dark pages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

STYLE = """
svg { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
.page { fill: #ffffff; } .panel { fill: #f6f8fa; }
.ink { fill: #1f2328; } .dim { fill: #59636e; } .grid { stroke: #d8dee4; } .axis { stroke: #848d97; }
.title { font-size: 20px; font-weight: 650; } .head { font-size: 14px; font-weight: 600; } .small { font-size: 11.5px; }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
.thin { stroke-width: 1.3; stroke-dasharray: 3 4; opacity: .75; }
.label { font-weight: 600; stroke: #f6f8fa; stroke-width: 4; paint-order: stroke; }
"""
"""The light colours and all measures; `dark_style` is for pages that ask for dark ones."""
DARK_STYLE = """
.page { fill: #0d1117; } .panel { fill: #151b23; }
.ink { fill: #f0f6fc; } .dim { fill: #9198a1; } .grid { stroke: #2a313c; } .axis { stroke: #656c76; }
.label { stroke: #151b23; }
"""
COLOURS = {
    "threads": ("#bc4c00", "#f0883e"),
    "busy": ("#cf222e", "#ff7b72"),
    "select": ("#8250df", "#bc8cff"),
    "poll": ("#0969da", "#58a6ff"),
    "epoll": ("#1a7f37", "#3fb950"),
}
"""Model → its colour on light and on dark: each has a contrast of 4.5 to 1 with its background."""
MARKS = {"threads": "square", "busy": "triangle", "select": "diamond", "poll": "ring", "epoll": "disc"}
"""Model → its shape: nobody has to tell two colours apart."""
MARK_R = 4.5


class Box(NamedTuple):
    """A place on the page, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The x of its right side."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of its lower side."""
        return self.y + self.height


class Log:
    """A logarithmic scale from values to pixels."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        """``low`` and ``high`` are above 0; equal ones are spread a little."""
        if high <= low:
            low, high = low / 2, high * 2
        self._low, self._high = math.log10(low), math.log10(high)
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        """Where the value is; what lies outside is put on the border."""
        share = (math.log10(max(value, 1e-9)) - self._low) / (self._high - self._low)
        return self._start + min(1.0, max(0.0, share)) * (self._end - self._start)

    def decades(self) -> list[float]:
        """The powers of ten within."""
        first, last = math.ceil(self._low - 1e-9), math.floor(self._high + 1e-9)
        return [10.0**power for power in range(first, last + 1)]


def around(values: Iterable[float]) -> tuple[float, float]:
    """The nearest 1, 2 or 5 of a decade at both ends, a little away from the values: ``(0.2, 50)``."""
    known = [value for value in values if value > 0] or [1.0]
    low, high = min(known) * 0.8, max(known) * 1.25
    return max(step for step in _steps(low) if step <= low), min(step for step in _steps(high) if step >= high)


def _steps(value: float) -> list[float]:
    """1, 2 and 5 of the value's decade, and the next decade."""
    decade = 10.0 ** math.floor(math.log10(value))
    return [decade, 2 * decade, 5 * decade, 10 * decade]


def number(value: float) -> str:
    """A value in two digits, or as a whole number: ``0.25``, ``38``, ``1,520``."""
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


class Drawing:
    """An SVG document in the making."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._width, self._height, self._title = width, height, title
        self._marks: list[str] = []

    def text(self, x: float, y: float, text: str, classes: str = "ink", anchor: str = "start") -> None:
        """A line of text; ``y`` is its base line."""
        self._marks.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{classes}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def rect(self, box: Box, classes: str, radius: float = 0) -> None:
        """A filled box."""
        self._marks.append(
            f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{max(0.0, box.width):.1f}" height="{box.height:.1f}" '
            f'rx="{radius:g}" class="{classes}"/>'
        )

    def rule(self, x1: float, y1: float, x2: float, y2: float, classes: str) -> None:
        """A straight line."""
        self._marks.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{classes}"/>')

    def path(self, points: Sequence[tuple[float, float]], classes: str, *, closed: bool = False) -> None:
        """A line through points, or the area they enclose."""
        steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self._marks.append(f'<path d="M{steps}{" Z" if closed else ""}" class="{classes}"/>')

    def cross(self, x: float, y: float, classes: str) -> None:
        """An end that was not wanted."""
        for sign in (1, -1):
            self.rule(x - 8, y - 8 * sign, x + 8, y + 8 * sign, classes)

    def mark(self, x: float, y: float, model: str) -> None:
        """The model's shape in its colour."""
        r = MARK_R
        shapes = {
            "square": [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)],
            "triangle": [(x, y - r * 1.2), (x + r * 1.2, y + r), (x - r * 1.2, y + r)],
            "diamond": [(x, y - r * 1.3), (x + r * 1.3, y), (x, y + r * 1.3), (x - r * 1.3, y)],
        }
        shape = MARKS[model]
        if shape in shapes:
            self.path(shapes[shape], f"f-{model}", closed=True)
        elif shape == "disc":
            self._marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:g}" class="f-{model}"/>')
        else:
            self._marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r - 0.5:g}" class="ring s-{model}"/>')

    def __str__(self) -> str:
        light = "".join(f".f-{name}{{fill:{pair[0]}}}.s-{name}{{stroke:{pair[0]}}}" for name, pair in COLOURS.items())
        dark = "".join(f".f-{name}{{fill:{pair[1]}}}.s-{name}{{stroke:{pair[1]}}}" for name, pair in COLOURS.items())
        style = (
            f"{STYLE}.ring {{ fill: #f6f8fa; stroke-width: 2.2; }}\n{light}\n"
            f"@media (prefers-color-scheme: dark) {{{DARK_STYLE}.ring {{ fill: #151b23; }}\n{dark}\n}}"
        )
        title = escape(self._title, quote=True)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self._width} {self._height}" '
            f'width="{self._width}" height="{self._height}" role="img" aria-label="{title}">\n'
            f"<title>{title}</title>\n<style>{style}</style>\n"
            f'<rect class="page" width="{self._width}" height="{self._height}"/>\n'
            + "\n".join(self._marks)
            + "\n</svg>\n"
        )


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near the wanted ones, at least ``gap`` apart and between ``low`` and ``high`` as far as there is room.

    For labels at the ends of lines. The order is kept.
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed = [0.0] * len(wanted)
    before = low - gap
    for index in order:
        before = placed[index] = max(wanted[index], before + gap)
    after = high + gap
    for index in reversed(order):  # what was pushed out below moves the others up
        after = placed[index] = min(placed[index], after - gap)
    return placed
