"""What `MemoryStore` does beyond the contract: it has a limit, as a disk has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from storing import commit_and_wait

from hardpoint.errors import StorageFull
from hardpoint.model import DeleteReadings, Device, Put, Series
from hardpoint.stores.memory import MemoryStore

EVER = (0, 2**62)


@pytest.fixture
def small() -> Iterator[MemoryStore]:
    store = MemoryStore(max_readings=3)
    store.open()
    yield store
    store.close()


def test_full_takes_nothing_of_the_commit(small: MemoryStore) -> None:
    assert commit_and_wait(small, [(1, 1, 1), (1, 2, 2)]) is None
    error = commit_and_wait(small, [(1, 3, 3), (1, 4, 4)], [Put(Device("d", "d", 0))])
    assert type(error) is StorageFull
    assert "3 readings" in error.message
    assert [ts for ts, _ in small.readings(1, *EVER)] == [1, 2]
    assert small.load(Device) == []


def test_replacing_is_possible_when_it_is_full(small: MemoryStore) -> None:
    commit_and_wait(small, [(1, ts, "old") for ts in range(3)])
    assert commit_and_wait(small, [(1, 2, "new")]) is None
    assert list(small.latest()) == [(1, 2, "new")]


def test_goes_on_when_readings_were_deleted(small: MemoryStore) -> None:
    commit_and_wait(small, [(1, ts, 0) for ts in range(3)])
    assert commit_and_wait(small, [], [DeleteReadings(1, 0, 2), Put(Series(1, "d", "k"))]) is None
    assert commit_and_wait(small, [(1, 5, 0), (2, 5, 0)]) is None
    assert type(commit_and_wait(small, [(3, 5, 0)])) is StorageFull
    assert small.describe()["readings"] == 3
