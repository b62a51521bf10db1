from __future__ import annotations

import pytest

from hardpoint.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()
