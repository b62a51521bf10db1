"""``hardpoint agent``: what its flags become."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from hardpoint.agent import AgentSettings
from hardpoint.cli.agent import parse_server
from hardpoint.errors import BadInput


@pytest.fixture(autouse=True)
def logging_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is not set for the whole test run."""
    monkeypatch.setattr(logging, "basicConfig", lambda **given: None)


@pytest.fixture
def agents(monkeypatch: pytest.MonkeyPatch) -> list[AgentSettings]:
    """The settings that an agent was started with."""
    found: list[AgentSettings] = []
    monkeypatch.setattr("hardpoint.agent.run_agent", found.append)
    return found


class TestAgent:
    def test_flags(self, hardpoint, agents: list[AgentSettings]) -> None:
        argv = ["--server", "box:9001", "--token", "hp_t", "--data", "d", "--interval", "60", "--loop", "asyncio"]
        assert hardpoint("agent", *argv).code == 0
        assert agents == [AgentSettings("box", 9001, "hp_t", Path("d"), 60.0, "asyncio")]

    def test_defaults(self, hardpoint, agents: list[AgentSettings], monkeypatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HARDPOINT_TOKEN", "hp_v")
        assert hardpoint("agent", "--server", "box").code == 0
        assert agents == [AgentSettings("box", 9000, "hp_v", tmp_path / "data" / "agent")]

    def test_over_tls(self, hardpoint, agents: list[AgentSettings], tmp_path: Path) -> None:
        argv = ["--token", "hp_t", "--ca", "ca.pem"]
        assert hardpoint("agent", "--server", "lines://box", *argv).code == 0
        assert agents == [AgentSettings("box", 9443, "hp_t", tmp_path / "data" / "agent", tls=True, ca=Path("ca.pem"))]
        result = hardpoint("agent", "--server", "box", *argv)
        assert (result.code, len(agents)) == (2, 1)
        assert "--server lines://HOST[:PORT]" in result.err

    def test_a_token_file_beats_the_variable(self, hardpoint, agents, monkeypatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HARDPOINT_TOKEN", "hp_v")
        (tmp_path / "t").write_text("hp_f\n")
        assert hardpoint("agent", "--server", "box", "--token-file", "t").code == 0
        assert agents[0].token == "hp_f"

    def test_without_a_token(self, hardpoint, agents) -> None:
        result = hardpoint("agent", "--server", "box")
        assert (result.code, agents) == (2, [])
        assert "--token-file FILE" in result.err

    def test_a_wrong_address_is_a_wrong_call(self, hardpoint, agents) -> None:
        result = hardpoint("agent", "--server", "a..b", "--token", "hp_t")
        assert (result.code, agents) == (2, [])
        assert "--server 'a..b' is not a host and a port (write 192.168.1.20:9000)" in result.err

    @pytest.mark.parametrize(
        ("text", "parsed"),
        [
            ("box", ("box", 9000, False)),
            ("box:9001", ("box", 9001, False)),
            ("line://box:9001", ("box", 9001, False)),
            ("lines://box", ("box", 9443, True)),
            ("lines://[fe80::1]:9001", ("fe80::1", 9001, True)),
            ("[fe80::1]:9001", ("fe80::1", 9001, False)),
            ("192.168.1.20", ("192.168.1.20", 9000, False)),
        ],
    )
    def test_server(self, text: str, parsed: tuple[str, int, bool]) -> None:
        assert parse_server(text) == parsed

    @pytest.mark.parametrize(
        "text", ["", ":9000", "box:x", "box:70000", "http://box", "box/x", "a@box", "[::1", "a..b", "x" * 64]
    )
    def test_no_server(self, text: str) -> None:
        with pytest.raises(BadInput, match="not a host and a port"):
            parse_server(text)
