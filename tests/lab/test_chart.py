from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.lab.chart import WIDTH, chart
from hardpoint.lab.models import MODELS
from hardpoint.lab.svg import COLOURS, MARKS, Log, around, number, spread

if TYPE_CHECKING:
    from hardpoint.lab.results import Results

SVG = "{http://www.w3.org/2000/svg}"


def texts(drawn: str) -> list[str]:
    return ["".join(each.itertext()) for each in ET.fromstring(drawn).iter(f"{SVG}text")]


def test_the_chart_names_axes_models_and_stops(results: Results) -> None:
    said = texts(chart(results))
    for expected in (
        "Server CPU a line, µs",
        "Latency, ms",
        "idle connections",
        "10,000",
        MODELS["threads"].title,
        "epoll 50",
        "select 300",
        "Where it stops",
    ):
        assert expected in said, expected
    assert any(line.startswith("select: 1,014 connections") for line in said)


def test_everything_is_on_the_page(results: Results) -> None:
    root = ET.fromstring(chart(results))
    height = float(root.attrib["height"])
    for each in root.iter():
        for name, most in (("x", WIDTH), ("x1", WIDTH), ("cx", WIDTH), ("y", height), ("y2", height), ("cy", height)):
            if name in each.attrib:
                assert 0 <= float(each.attrib[name]) <= most, each.attrib


def test_text_is_escaped(results: Results) -> None:
    results.machine = "<script>&"
    assert any("<script>&" in line for line in texts(chart(results)))


@pytest.mark.parametrize("kept", [1, 2, 4])
def test_few_points_are_drawn_too(results: Results, kept: int) -> None:
    results.points = results.points[:kept]
    assert "threads 60" in texts(chart(results))


def test_every_model_has_a_colour_for_both_pages_and_a_shape_of_its_own() -> None:
    assert COLOURS.keys() == MODELS.keys() == MARKS.keys()
    assert len(set(MARKS.values())) == len(MARKS)
    for light, dark in COLOURS.values():
        assert contrast(light, "#f6f8fa") >= 4.5, light
        assert contrast(dark, "#151b23") >= 4.5, dark


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_decade_is_the_same_way_everywhere() -> None:
    scale = Log(1, 1000, 0, 300)
    assert [round(scale(value)) for value in (1, 10, 100, 1000)] == [0, 100, 200, 300]
    assert scale(0.1) == 0
    assert scale(1e6) == 300
    assert scale.decades() == [1, 10, 100, 1000]


@given(st.lists(st.floats(1e-3, 1e7), min_size=1))
def test_the_axis_holds_all_values(values: list[float]) -> None:
    low, high = around(values)
    assert low < min(values)
    assert high > max(values)
    for end in (low, high):
        assert round(end / 10.0 ** math.floor(math.log10(end) + 1e-9), 6) in (1, 2, 5)


@given(st.lists(st.floats(0, 100), max_size=6))
def test_labels_do_not_overlap(wanted: list[float]) -> None:
    placed = spread(wanted, 15.0, 0.0, 100.0)
    ordered = sorted(placed)
    assert all(after - before >= 15.0 - 1e-6 for before, after in itertools.pairwise(ordered))
    assert all(place <= 100.0 + 1e-6 for place in placed)
    for one in range(len(wanted)):
        for other in range(len(wanted)):
            if wanted[one] < wanted[other]:
                assert placed[one] < placed[other]


@pytest.mark.parametrize(("value", "shown"), [(0.234, "0.23"), (9.87, "9.9"), (38.2, "38"), (1519.7, "1,520")])
def test_numbers_are_short(value: float, shown: str) -> None:
    assert number(value) == shown
