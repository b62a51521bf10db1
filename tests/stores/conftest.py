"""A store a test, on each implementation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from storing import KINDS, Commit, commit_and_wait, fold_eagerly, make_store

from hardpoint.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from hardpoint.stores.base import Store


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    if request.param == "sqlite-folding":
        fold_eagerly(monkeypatch)
    made = make_store(request.param, tmp_path / "data")
    made.open()
    yield made
    made.close()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "data")
    made.open()
    yield made
    made.close()


@pytest.fixture
def commit() -> Commit:
    return commit_and_wait
