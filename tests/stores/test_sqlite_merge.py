"""Where chunks end: at round times, after enough readings, and with little left open."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.stores.sqlite.merge import ENOUGH_READINGS, MAX_READINGS, MIN_READINGS, cuts
from properties import examples

HOUR_MS = 3_600_000


@examples(60)
@given(st.integers(1, 6000), st.integers(0, 10**12), st.sampled_from([1, 1000, 10_000, 60_000, 86_400_000]))
def test_each_is_long_enough_and_what_stays_open_is_short(count: int, start_ms: int, every_ms: int) -> None:
    times = [start_ms + place * every_ms for place in range(count)]
    found = cuts(times, [0.5] * count)
    ends = [0, *found, count]
    assert all(MIN_READINGS <= end - begin <= MAX_READINGS for begin, end in pairwise(ends[:-1]))
    assert 0 < ends[-1] - ends[-2] <= MAX_READINGS


@pytest.mark.parametrize("count", [1100, 2000, 5000])
def test_what_compaction_brings_of_a_sensor_ends_at_whole_hours(count: int) -> None:
    times = [7 * HOUR_MS + 10_000 * place for place in range(count)]
    found = cuts(times, [0.5] * count)
    assert found
    assert all(times[end] % HOUR_MS == 0 for end in found)
    assert count - found[-1] < ENOUGH_READINGS


def test_large_values_end_a_chunk_sooner() -> None:
    times = list(range(0, 100_000, 1000))
    found = cuts(times, ["x" * 60_000] * 100)
    assert max(end - begin for begin, end in pairwise([0, *found, 100])) < 20
