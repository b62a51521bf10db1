"""``hardpoint config``: values, origins, and checking a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hardpoint.config import settings

if TYPE_CHECKING:
    import pytest


class TestShow:
    def test_every_setting_with_its_origin(self, hardpoint, tmp_path: Path) -> None:
        (tmp_path / "hardpoint.toml").write_text("[limits]\nmax_devices = 5\n")
        lines = hardpoint("config", "show").out.splitlines()
        assert len(lines) == 1 + len(settings())
        cells = {line.split()[0]: line.split()[1:] for line in lines[1:]}
        assert cells["limits.max_devices"] == ["5", "file", "hardpoint.toml:2"]
        assert cells["data"] == [str(tmp_path / "data"), "environment", "HARDPOINT_DATA"]
        assert cells["allow_anonymous"] == ["false", "default"]
        assert cells["ports_file"] == ["default"]
        assert cells["host.interval_s"] == ["10", "seconds", "default"]

    def test_some(self, hardpoint) -> None:
        assert len(hardpoint("config", "show", "host").out.splitlines()) == 3
        assert hardpoint("config", "show", "nope").code == 2

    def test_json(self, hardpoint, tmp_path: Path) -> None:
        found = hardpoint("config", "show", "--json").json
        assert (found["schema"], found["file"]) == ("hardpoint.config.v1", None)
        assert found["settings"]["data"] == {
            "value": str(tmp_path / "data"),
            "origin": "environment HARDPOINT_DATA",
        }
        assert list(found["settings"]) == list(settings())

    def test_a_file_by_name(self, hardpoint, tmp_path: Path) -> None:
        (tmp_path / "x.toml").write_text('loop = "asyncio"')
        assert hardpoint("config", "show", "--config", "x.toml", "--json").json["file"] == "x.toml"


class TestCheck:
    def test_ok(self, hardpoint, tmp_path: Path) -> None:
        assert hardpoint("config", "check").out == "ok: no file, the defaults and the environment\n"
        (tmp_path / "x.toml").write_text('loop = "asyncio"')
        assert hardpoint("config", "check", "x.toml").out == "ok: x.toml\n"

    def test_wrong(self, hardpoint, tmp_path: Path) -> None:
        (tmp_path / "x.toml").write_text('\nlop = "asyncio"')
        result = hardpoint("config", "check", "x.toml")
        assert result.code == 78
        assert result.err == "error: unknown setting 'lop' (file x.toml:2)\nhint: did you mean 'loop'?\n"

    def test_odd(self, hardpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HARDPOINT_LOPP", "x")
        result = hardpoint("config", "check")
        assert (result.code, result.err) == (
            0,
            "warning: HARDPOINT_LOPP is not a setting: did you mean HARDPOINT_LOOP?\n",
        )
