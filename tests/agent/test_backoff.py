from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hardpoint.agent.backoff import Backoff


def test_doubles_up_to_a_minute_and_begins_anew():
    backoff = Backoff(lambda: 1.0)
    assert [backoff.next_s() for _ in range(7)] == [2, 4, 8, 16, 32, 60, 60]
    backoff.reset()
    assert backoff.next_s() == 2


@given(st.lists(st.floats(0, 1, exclude_max=True), max_size=12))
def test_between_a_second_and_a_minute(randoms):
    given_ = iter(randoms)
    backoff = Backoff(lambda: next(given_))
    assert all(1 <= backoff.next_s() <= 60 for _ in randoms)
