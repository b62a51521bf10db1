"""What the tests of the stores share: making one, a commit that waits, waiting for what another thread does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hardpoint.errors import StorageError
from hardpoint.stores.memory import MemoryStore
from hardpoint.stores.sqlite import SqliteStore, compaction, fold, merge, purge, work

if TYPE_CHECKING:
    import pytest

    from hardpoint.model import Change, Row
    from hardpoint.stores.base import Store

DEADLINE_S = 60.0

KINDS = ("memory", "sqlite", "sqlite-folding")
"""The last one folds after every few readings, compacts and purges too, in the smallest slices: reads meet all of it at
every stage."""

Commit = Callable[..., StorageError | None]


def commit_and_wait(store: Store, rows: Sequence[Row] = (), changes: Sequence[Change] = ()) -> StorageError | None:
    """Commit and return what ``done`` was called with."""
    called = threading.Event()
    outcome: list[StorageError | None] = []

    def done(error: StorageError | None) -> None:
        outcome.append(error)
        called.set()

    store.commit(list(rows), list(changes), done)
    assert called.wait(DEADLINE_S), "done was not called"
    assert len(outcome) == 1
    return outcome[0]


def wait_until(condition: Callable[[], bool]) -> None:
    """Return as soon as it holds; fail after the deadline. For what another thread does without telling."""
    tick = threading.Event()
    for _ in range(int(DEADLINE_S / 0.002)):
        if condition():
            return
        tick.wait(0.002)
    raise AssertionError("the condition did not come true")


def fold_eagerly(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(work, "FOLD_AT_READINGS", 3)
    patch.setattr(work, "FOLD_AT_READINGS_A_SERIES", 1)
    patch.setattr(work, "FOLD_AT_LEAST_A_SERIES", 1)
    patch.setattr(fold, "DIRECT_READINGS", 2)
    patch.setattr(work, "SLICE_S", 0.0)
    patch.setattr(work, "MAX_SLICE_S", 0.0)
    patch.setattr(fold, "MAX_BLOCK_READINGS", 2)
    patch.setattr(compaction, "READINGS_A_SERIES", 3)
    patch.setattr(compaction, "MAX_BLOCKS", 4)
    patch.setattr(fold, "MAX_SHARED_READINGS", 1)
    patch.setattr(merge, "MIN_READINGS", 2)
    patch.setattr(merge, "MAX_READINGS", 5)
    patch.setattr(purge, "SLICE_CHUNKS", 1)


def make_store(kind: str, folder: Path) -> Store:
    return MemoryStore() if kind == "memory" else SqliteStore(folder)
