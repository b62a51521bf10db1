"""`make fuzz` asks for more examples of every property, also of those that have a number of their own."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

from properties import examples

TESTS = Path(__file__).parent


@pytest.mark.parametrize(("asked", "tried"), [(100, 60), (20_000, 12_000), (1, 1)])
def test_the_number_grows_with_that_of_all(asked: int, tried: int) -> None:
    usual = hypothesis.settings()
    hypothesis.settings.register_profile("counted", parent=usual, max_examples=asked)
    before = hypothesis.settings.get_current_profile_name()
    hypothesis.settings.load_profile("counted")
    try:
        found = examples(60, stateful_step_count=7)
    finally:
        hypothesis.settings.load_profile(before)
    assert (found.max_examples, found.stateful_step_count, found.derandomize) == (tried, 7, usual.derandomize)


def test_no_property_has_a_number_that_stays() -> None:
    found = [path for path in TESTS.rglob("test_*.py") if "@settings(max_examples" in path.read_text("utf-8")]
    assert [path.name for path in found if path != Path(__file__)] == []
    assert sum("@examples(" in path.read_text("utf-8") for path in TESTS.rglob("test_*.py")) > 5
