"""The table of normative statements in ``docs/mqtt-statements.md``: whole, and true of the sources and the tests."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src" / "hardpoint"
TESTS = ROOT / "tests"

# Of each section of the standard's appendix B the last number. They begin with 1, but for FIRST.
LAST = {
    "1.5.4": 3, "1.5.5": 1, "1.5.7": 1, "2.1.3": 1, "2.2.1": 6, "2.2.2": 1, "3.1.0": 2, "3.1.2": 30, "3.1.3": 12,
    "3.1.4": 6, "3.2.0": 2, "3.2.2": 22, "3.3.1": 13, "3.3.2": 20, "3.3.4": 10, "3.4.2": 3, "3.5.2": 3, "3.6.1": 1,
    "3.6.2": 3, "3.7.2": 3, "3.8.1": 1, "3.8.3": 5, "3.8.4": 8, "3.9.2": 2, "3.9.3": 2, "3.10.1": 1, "3.10.3": 2,
    "3.10.4": 6, "3.11.2": 2, "3.11.3": 2, "3.12.4": 1, "3.14.0": 1, "3.14.1": 1, "3.14.2": 4, "3.14.4": 3,
    "3.15.1": 1, "3.15.2": 3, "4.1.0": 2, "4.2.0": 1, "4.3.1": 1, "4.3.2": 5, "4.3.3": 13, "4.4.0": 2, "4.5.0": 2,
    "4.6.0": 6, "4.7.0": 1, "4.7.1": 2, "4.7.2": 1, "4.7.3": 4, "4.8.2": 6, "4.9.0": 3, "4.12.0": 7, "4.12.1": 2,
    "4.13.1": 1, "4.13.2": 1, "6.0.0": 4,
}  # fmt: skip
FIRST = {"2.2.1": 2}
STATEMENTS = [f"{section}-{n}" for section, last in LAST.items() for n in range(FIRST.get(section, 1), last + 1)]

ROW = re.compile(r"^\| [0-9.]+-[0-9]+ \|.*\|$", re.MULTILINE)
# ``[MQTT-3.2.2-6], -7`` is two of them.
CITATION = re.compile(r"\[MQTT-([0-9.]+)-([0-9]+)\]((?:(?:,| and)\s+(?:#\s+)?-[0-9]+)*)")


@cache
def cited(path: Path) -> frozenset[str]:
    """The statements whose numbers stand in a file."""
    found = set()
    for section, number, more in CITATION.findall(path.read_text("utf-8")):
        found |= {f"{section}-{each}" for each in (number, *re.findall(r"-([0-9]+)", more))}
    return frozenset(found)


def rows() -> list[tuple[str, str, str, str]]:
    table = (ROOT / "docs" / "mqtt-statements.md").read_text("utf-8")
    found = []
    for line in ROW.findall(table):
        _, number, files, shown, why, _ = map(str.strip, line.split("|"))
        found.append((number, files, shown, why))
    return found


def test_every_statement_has_one_row() -> None:
    assert [number for number, *_ in rows()] == STATEMENTS


@pytest.mark.parametrize(("number", "files", "shown", "why"), rows(), ids=[row[0] for row in rows()])
def test_each_row_is_true(number: str, files: str, shown: str, why: str) -> None:
    named = re.findall(r"`(.+?)`", files)
    assert bool(why) is not bool(named)
    for name in named:
        assert number in cited(SOURCE / name), f"{name} does not cite it"
    if named:
        where, test = re.findall(r"`(.+?)`", shown)
        assert f"def {test}(" in (TESTS / where).read_text("utf-8")


def test_what_is_cited_is_in_the_table() -> None:
    listed = defaultdict(set)
    for number, files, *_ in rows():
        for name in re.findall(r"`(.+?)`", files):
            listed[name].add(number)
    for path in SOURCE.rglob("*.py"):
        name = str(path.relative_to(SOURCE))
        assert cited(path) == listed[name], name
