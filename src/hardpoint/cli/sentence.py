"""A rule's condition as people say it: ``temp above 30``, and what ends it: ``28``."""

from __future__ import annotations

import re
from typing import Any

import click

from .moment import Span

_NUMBER = r"[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_KEY = r"[A-Za-z_][A-Za-z0-9_.-]*"
_ONE_LIMIT = re.compile(rf"({_KEY}) (?:is )?(above|below) ({_NUMBER})")
_RANGE = re.compile(rf"({_KEY}) (?:is )?(outside|inside) ({_NUMBER}) (?:to|and) ({_NUMBER})")
_CHANGING = re.compile(rf"({_KEY}) changes by (?:more than )?({_NUMBER}) (?:with)?in (\S+)")
_MISSING = re.compile(rf"({_KEY}|\*) (?:is )?missing")
_EQUAL = re.compile(rf"({_KEY}) is (not )?(\S.*)")
_PAIR = re.compile(rf"({_NUMBER}) (?:to|and) ({_NUMBER})")

FORMS = """\
KEY above|below NUMBER, KEY outside|inside LOW to HIGH, KEY is VALUE, KEY is not VALUE,
KEY changes by NUMBER in SPAN, KEY missing ('any' for any key), or an expression: 'temp > 30 and hum < 40'"""


def parse_when(text: str, until: str | None = None) -> dict[str, Any]:
    """The ``when`` of a rule. What is none of the forms is a free expression: the server says what is wrong with it.

    Raises:
        click.UsageError: ``until`` does not fit the condition.
    """
    said = " ".join(text.split())
    if found := _ONE_LIMIT.fullmatch(said):
        when: dict[str, Any] = {"key": found[1], "is": found[2], "value": _number(found[3])}
        return when if until is None else when | {"until": _limit(until)}
    if found := _RANGE.fullmatch(said):
        when = {"key": found[1], "is": found[2], "low": _number(found[3]), "high": _number(found[4])}
        return when if until is None else when | {"until": _limits(until)}
    plain = _without_end(said)
    if plain is None:
        when = {"is": "expression", "text": text}
        return when if until is None else when | {"until": until}
    if until is not None:
        raise click.UsageError(f"--until: {said!r} ends by itself; it goes with above, below, outside and inside")
    return plain


def _without_end(said: str) -> dict[str, Any] | None:
    if found := _CHANGING.fullmatch(said):
        within_s = Span().convert(found[3], None, None)
        return {"key": found[1], "is": "changing", "by": _number(found[2]), "within_s": within_s}
    if found := _MISSING.fullmatch(said):
        return {"key": "*" if found[1] == "any" else found[1], "is": "missing"}
    if found := _EQUAL.fullmatch(said):
        return {"key": found[1], "is": "unequal" if found[2] else "equal", "value": _value(found[3])}
    return None


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _limit(text: str) -> int | float:
    if re.fullmatch(_NUMBER, text.strip()) is None:
        raise click.UsageError(f"--until {text!r} is not a number")
    return _number(text.strip())


def _limits(text: str) -> list[int | float]:
    found = _PAIR.fullmatch(" ".join(text.split()))
    if found is None:
        raise click.UsageError(f"--until {text!r}: write LOW to HIGH")
    return [_number(found[1]), _number(found[2])]


def _value(text: str) -> Any:
    """As in the line dialect (SPEC §3): numbers are numbers, true and false booleans, the rest is strings."""
    if re.fullmatch(_NUMBER, text):
        return _number(text)
    if text in ("true", "false"):
        return text == "true"
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1]
    return text
