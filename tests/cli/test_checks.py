"""What a command asks the folder's server before it makes the checks."""

from __future__ import annotations

from pathlib import Path

from hardpoint.cli.checks import health_of, run_checks
from hardpoint.config import configure
from hardpoint.errors import HardpointError, ServerUnreachable

from .serving import serving


def test_the_folders_server_is_asked() -> None:
    with serving() as data:
        config = configure(data=data, listen=["line://127.0.0.1:0"], host={"enabled": False})
        health = health_of(config)
        assert not isinstance(health, HardpointError)
        assert health["status"] == "ok"
        assert {check.status for check in run_checks(config) if check.id == "server"} == {"ok"}


def test_there_may_be_none(tmp_path: Path) -> None:
    config = configure(data=tmp_path / "data", listen=["line://127.0.0.1:0"], host={"enabled": False})
    assert isinstance(health_of(config), ServerUnreachable)
    assert {check.status for check in run_checks(config) if check.id == "server"} == {"skip"}
