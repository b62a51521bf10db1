"""What is due when, and that it still is when somebody sets the clock."""

from __future__ import annotations

from hardpoint.hub.agenda import Agenda
from hardpoint.testing import FakeClock


def test_what_is_put_on_it_after_the_clock_was_set_does_not_follow_it():
    clock, steady, done = FakeClock(), FakeClock(0), []
    agenda = Agenda(clock, steady)

    def passes(seconds):
        clock.advance(seconds)
        steady.advance(seconds)
        agenda.run_due(agenda.now_ms())

    agenda.at(clock() + 30_000, lambda: done.append("before"))
    clock.advance(3600)  # set, and nobody has noticed yet
    agenda.at(clock() + 60_000, lambda: done.append("after"))
    passes(29)
    assert done == []
    passes(1)
    assert done == ["before"]
    passes(29)
    assert done == ["before"]
    passes(1)
    assert done == ["before", "after"]
