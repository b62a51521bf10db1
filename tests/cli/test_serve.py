"""``hardpoint serve``: what its flags become."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardpoint.config import Config, settings
from hardpoint.errors import FolderTaken


@pytest.fixture(autouse=True)
def logging_untouched(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the log was set to, instead of setting it for the whole test run."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(logging, "basicConfig", lambda **given: calls.append(given))
    return calls


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """The configurations that a server was started with."""
    found: list[Config] = []

    class FakeServer:
        def __init__(self, config: Config, *, reload: Callable[[], Config]) -> None:
            assert reload() == config
            found.append(config)

        def run(self) -> None:
            pass

    monkeypatch.setattr("hardpoint.app.Server", FakeServer)
    return found


class TestServe:
    def test_flags(self, hardpoint, served: list[Config], logging_untouched) -> None:
        argv = ["--data", "d", "--listen", "line://:1", "--listen", "http://:2", "--loop", "asyncio"]
        argv += ["--allow-anonymous", "--log-level", "debug", "--ports-file", "p", "--set", "host.interval_s=1min"]
        assert hardpoint("serve", *argv).code == 0
        (config,) = served
        assert (config.data, config.listen) == (Path("d"), ("line://:1", "http://:2"))
        assert (config.loop, config.allow_anonymous, config.log_level) == ("asyncio", True, "debug")
        assert (config.ports_file, config.host.interval_s) == (Path("p"), 60)
        assert str(config.origin("allow_anonymous")) == "flag --allow-anonymous"
        assert logging_untouched[0]["level"] == "DEBUG"

    def test_a_flag_that_is_not_given_leaves_the_layers_below(
        self, hardpoint, served: list[Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("HARDPOINT_ALLOW_ANONYMOUS", "true")
        monkeypatch.setenv("HARDPOINT_LISTEN", "line://:5")
        (tmp_path / "x.toml").write_text('loop = "asyncio"')
        assert hardpoint("serve", "--config", "x.toml").code == 0
        (config,) = served
        assert (config.allow_anonymous, config.listen, config.loop) == (True, ("line://:5",), "asyncio")

    def test_every_top_level_setting_has_a_flag_with_its_help(self, hardpoint) -> None:
        out = " ".join(hardpoint("serve", "--help").out.split())
        for path, each in settings().items():
            if "." not in path:
                assert f"--{path.replace('_', '-')}" in out
                assert each.help in out
                assert each.variable in out

    def test_warnings_are_told(self, hardpoint, served: list[Config], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HARDPOINT_LISEN", "x")
        assert hardpoint("serve").err.startswith("warning: HARDPOINT_LISEN is not a setting")

    @pytest.mark.parametrize(
        ("argv", "code"),
        [
            (["--set", "limits.max_devices"], 78),
            (["--set", "limits.max_device=1"], 78),
            (["--listen", "mqttx://x:1"], 78),
            (["--loop", "trio"], 2),
        ],
    )
    def test_wrong_calls(self, hardpoint, served: list[Config], argv: list[str], code: int) -> None:
        assert hardpoint("serve", *argv).code == code
        assert served == []

    def test_a_failed_start_is_its_exit_code(self, hardpoint, monkeypatch: pytest.MonkeyPatch, served) -> None:
        def taken(self: object) -> None:
            raise FolderTaken("process 5 holds it")

        monkeypatch.setattr("hardpoint.app.Server.run", taken)
        assert hardpoint("serve").code == 73
