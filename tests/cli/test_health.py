"""``hardpoint health``: a word and an exit code."""

from __future__ import annotations

import pytest

from .conftest import HEALTH, Script


@pytest.fixture(autouse=True)
def server(script: Script) -> None:
    script.answers["GET /api/health"] = (200, HEALTH)


class TestHealth:
    def test_ok(self, hardpoint) -> None:
        result = hardpoint("health")
        assert (result.code, result.out) == (0, "ok\n")

    def test_not_well(self, hardpoint, script: Script) -> None:
        script.answers["GET /api/health"] = (503, {**HEALTH, "status": "degraded"})
        result = hardpoint("health")
        assert (result.code, result.out) == (69, "degraded\n")
        assert hardpoint("health", "--json").json["status"] == "degraded"

    def test_no_server(self, hardpoint, tmp_path) -> None:
        result = hardpoint("health", "--data", str(tmp_path))
        assert (result.code, result.out) == (69, "")
