"""Conditions in words: every form is what the engine reads, and what is none is left to the server to refuse."""

from __future__ import annotations

import click
import pytest

from hardpoint.cli.sentence import parse_when
from hardpoint.hub.rules.conditions import parse_condition


@pytest.mark.parametrize(
    ("said", "until", "when"),
    [
        ("temp above 30", None, {"key": "temp", "is": "above", "value": 30}),
        ("  cpu.temp is   above -1.5e2 ", "-200", {"key": "cpu.temp", "is": "above", "value": -150.0, "until": -200}),
        ("temp below 5", "7", {"key": "temp", "is": "below", "value": 5, "until": 7}),
        ("temp outside 5 to 30", "7 to 28", {"key": "temp", "is": "outside", "low": 5, "high": 30, "until": [7, 28]}),
        ("temp is inside 5 and 30", None, {"key": "temp", "is": "inside", "low": 5, "high": 30}),
        ("door is open", None, {"key": "door", "is": "equal", "value": "open"}),
        ("door is not shut tight", None, {"key": "door", "is": "unequal", "value": "shut tight"}),
        ("on is true", None, {"key": "on", "is": "equal", "value": True}),
        ('code is "7"', None, {"key": "code", "is": "equal", "value": "7"}),
        ("code is 7", None, {"key": "code", "is": "equal", "value": 7}),
        ("temp changes by 5 in 60s", None, {"key": "temp", "is": "changing", "by": 5, "within_s": 60.0}),
        (
            "temp changes by more than 5 within 2min",
            None,
            {"key": "temp", "is": "changing", "by": 5, "within_s": 120.0},
        ),
        ("temp missing", None, {"key": "temp", "is": "missing"}),
        ("any is missing", None, {"key": "*", "is": "missing"}),
        ("* missing", None, {"key": "*", "is": "missing"}),
        (
            "temp > 30 and hum < 40",
            "temp < 28",
            {"is": "expression", "text": "temp > 30 and hum < 40", "until": "temp < 28"},
        ),
        ("temp > 30", None, {"is": "expression", "text": "temp > 30"}),
    ],
)
def test_every_form(said: str, until: str | None, when: dict[str, object]) -> None:
    assert parse_when(said, until) == when
    parse_condition(when)


@pytest.mark.parametrize(
    ("said", "until"),
    [
        ("temp above 30", "low"),
        ("temp outside 5 to 30", "7"),
        ("door is open", "shut"),
        ("temp missing", "1"),
        ("temp changes by 5 in moons", None),
    ],
)
def test_what_does_not_fit_is_said(said: str, until: str | None) -> None:
    with pytest.raises(click.UsageError):
        parse_when(said, until)
