from __future__ import annotations

import pytest

from hardpoint.testing import FakeClock
from hardpoint.web import passwords


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(autouse=True)
def quick_passwords(request, monkeypatch):
    """0.2 s a password is right for people, and wrong for tests."""
    monkeypatch.setattr(passwords, "SCRYPT_N", 2**8)
