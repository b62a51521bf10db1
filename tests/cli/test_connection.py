"""Which server a command talks to, and with what token."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from hardpoint.cli.client import Address, Client
from hardpoint.cli.connection import make_client, read_secret

from .conftest import HEALTH, Script


class TestWhichServer:
    def test_the_data_folders_by_flag_variable_file_in_turn(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert make_client(None, Path("/by/flag"), None).address == Address(path="/by/flag/hardpoint.sock")
        assert make_client(None, None, None).address == Address(path=str(tmp_path / "data/hardpoint.sock"))
        monkeypatch.delenv("HARDPOINT_DATA")
        (tmp_path / "hardpoint.toml").write_text('data = "/by/file"')
        assert make_client(None, None, None).address == Address(path="/by/file/hardpoint.sock")

    def test_another_by_its_address(self) -> None:
        assert make_client("http://box:8080", None, None).address == Address(host="box", port=8080)

    def test_a_variable_names_it_for_every_command(
        self, hardpoint, script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        script.answers["GET /api/health"] = (200, HEALTH)
        monkeypatch.delenv("HARDPOINT_DATA")
        monkeypatch.setenv("HARDPOINT_SERVER", script.url)
        assert hardpoint("health").code == 0

    @pytest.mark.parametrize("url", ["unix:", "box:8080"])
    def test_no_address_is_a_wrong_call(self, hardpoint, url: str) -> None:
        result = hardpoint("health", "--server", url)
        assert result.code == 2
        assert f"{url!r} is not a server's address (write " in result.err

    def test_two_are_one_too_many(self, hardpoint) -> None:
        assert hardpoint("health", "--data", "x", "--server", "http://y").code == 2

    def test_a_flag_beats_the_other_ones_variable(self, hardpoint, script: Script) -> None:
        script.answers["GET /api/health"] = (200, HEALTH)
        assert hardpoint("health", "--server", script.url).code == 0, "HARDPOINT_DATA is set as well"


class TestToken:
    def test_a_file_beats_the_variable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HARDPOINT_TOKEN", "by-variable")
        (tmp_path / "token").write_text("by-file\n")
        assert token_of(make_client("http://box", None, None)) == "Bearer by-variable"
        assert token_of(make_client("http://box", None, tmp_path / "token")) == "Bearer by-file"

    def test_the_data_folders_server_is_given_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HARDPOINT_TOKEN", "by-variable")
        assert token_of(make_client(None, None, None)) is None

    def test_from_stdin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO("by-stdin\nrest"))
        assert read_secret(Path("-")) == "by-stdin"
        assert read_secret(None) is None

    @pytest.mark.parametrize("token", ["a\nb", "gr\u00fcn"])
    def test_one_that_no_header_can_hold(self, hardpoint, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
        monkeypatch.setenv("HARDPOINT_TOKEN", token)
        result = hardpoint("health", "--server", "http://127.0.0.1:1")
        assert result.code == 2
        assert "the API token holds a character that no token has" in result.err
        assert token not in result.err

    @pytest.mark.parametrize(("content", "said"), [(b"", "it is empty"), (b" \n", "it is empty"), (b"\xff", "utf-8")])
    def test_a_file_without_one(self, hardpoint, tmp_path: Path, content: bytes, said: str) -> None:
        (tmp_path / "token").write_bytes(content)
        result = hardpoint("health", "--server", "http://box", "--token-file", str(tmp_path / "token"))
        assert result.code == 2
        assert said in result.err

    def test_a_file_that_is_not_there(self, hardpoint) -> None:
        result = hardpoint("health", "--server", "http://box", "--token-file", "nope")
        assert (result.code, result.err.splitlines()[0]) == (2, "error: --token-file nope: No such file or directory")


def token_of(client: Client) -> str | None:
    return client._headers.get("Authorization")
