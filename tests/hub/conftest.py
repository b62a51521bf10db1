"""Fixtures of the hub's tests; what they stand on is in `hubs`."""

from __future__ import annotations

import pytest

from hardpoint.stores.memory import MemoryStore
from hardpoint.stores.sqlite import SqliteStore
from hardpoint.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(params=["memory", "sqlite"])
def make_store(request, tmp_path):
    """Makes a store that holds what the one before it held: the same object, or the same folder."""
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / "data")
    kept = MemoryStore()
    return lambda: kept
