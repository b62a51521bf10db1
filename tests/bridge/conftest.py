"""Short pauses between two connections."""

from __future__ import annotations

import pytest

from hardpoint.bridge import bridge


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(bridge, "FIRST_BACKOFF_S", 0.01)
