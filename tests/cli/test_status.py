"""``hardpoint status``: text and JSON."""

from __future__ import annotations

import pytest

from .conftest import AWAY, DEVICE, HEALTH, Script


@pytest.fixture(autouse=True)
def server(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hardpoint.cli.status.now_ms", lambda: DEVICE["presence"]["last_seen"] + 5_000)
    script.answers["GET /api/health"] = (200, HEALTH)
    script.answers["GET /api/devices"] = (200, {"items": [DEVICE, AWAY, AWAY], "next_cursor": None, "total": 3})


class TestStatus:
    def test_text(self, hardpoint) -> None:
        lines = hardpoint("status").out.splitlines()
        for line in (
            "server                ok, version 0.1.0, up 3 min",
            "devices               3: 1 online, 0 late, 0 offline, 2 never seen",
            "store size            4.0 KiB",
            "store free            null",
            "LISTENER                PORT  CONNECTIONS",
            "unix:/x/hardpoint.sock        1",
        ):
            assert line in lines

    def test_json(self, hardpoint) -> None:
        found = hardpoint("status", "--json").json
        assert found["schema"] == "hardpoint.status.v1"
        assert found["devices"] == {"total": 3, "online": 1, "late": 0, "offline": 0, "never": 2}
        assert found["listeners"] == HEALTH["listeners"]
