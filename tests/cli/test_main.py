"""The program: finding commands, errors, exit codes, help."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys

import click
import pytest

from hardpoint.cli import main as main_module
from hardpoint.cli.main import COMMANDS, EXIT_CODES, main, program, run
from hardpoint.errors import (
    AddressTaken,
    BadInput,
    ConfigError,
    FolderTaken,
    Forbidden,
    HardpointError,
    ServerUnreachable,
    TimedOut,
    Unauthorized,
)

ENDINGS = [
    (BadInput("x"), 1),
    (HardpointError("x"), 1),
    (click.UsageError("x"), 2),
    (click.ClickException("x"), 1),
    (ServerUnreachable("x"), 69),
    (AddressTaken("x"), 73),
    (FolderTaken("x"), 73),
    (TimedOut("x"), 75),
    (Unauthorized("x"), 77),
    (Forbidden("x"), 77),
    (ConfigError("x"), 78),
    (ZeroDivisionError("x"), 1),
]


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch):
    """Make the program end with this exception."""

    def set_ending(error: BaseException) -> None:
        def fail(*_args: object, **_options: object) -> None:
            raise error

        monkeypatch.setattr(program, "main", fail)

    return set_ending


class TestEndings:
    @pytest.mark.parametrize(("error", "code"), ENDINGS, ids=lambda value: type(value).__name__)
    def test_an_error_is_a_line_and_an_exit_code(self, hardpoint, ending, error: Exception, code: int) -> None:
        ending(error)
        result = hardpoint("anything")
        assert (result.code, result.out) == (code, "")
        assert result.err.startswith("error: ")
        assert "Traceback" not in result.err
        assert code in EXIT_CODES

    @pytest.mark.parametrize(("error", "code"), ENDINGS, ids=lambda value: type(value).__name__)
    def test_with_json_it_is_a_document_on_stderr(self, hardpoint, ending, error: Exception, code: int) -> None:
        ending(error)
        result = hardpoint("anything", "--json")
        document = json.loads(result.err)
        assert document["schema"] == "hardpoint.error.v1"
        assert document["error"]["exit_code"] == code
        assert document["error"]["message"]

    def test_the_hint_is_a_line_of_its_own(self, hardpoint, ending) -> None:
        ending(ConfigError("a is wrong", hint="write b"))
        assert hardpoint("x").err == "error: a is wrong\nhint: write b\n"

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()], ids=["ctrl-c", "abort"])
    def test_interrupted(self, hardpoint, ending, error: BaseException) -> None:
        ending(error)
        assert hardpoint("x").code == 130

    def test_our_own_fault_is_shown_in_full_on_request(self, ending, monkeypatch: pytest.MonkeyPatch) -> None:
        ending(ZeroDivisionError())
        monkeypatch.setenv("HARDPOINT_DEBUG", "1")
        with pytest.raises(ZeroDivisionError):
            run(["x"])

    @pytest.mark.parametrize("argv", [["store", "backup"], ["store", "export", "--format", "csv"], ["bugreport"]])
    def test_a_name_that_no_file_can_have(self, hardpoint, tmp_path, argv: list[str]) -> None:
        """Asking whether it exists is an error before Python 3.14, and opening it afterwards."""
        ended = hardpoint(*argv, "--data", str(tmp_path), "x" * 300)
        assert ended.code in (1, 69)
        assert "HARDPOINT_DEBUG" not in ended.err

    def test_with_a_closed_stdout(self) -> None:
        ended = subprocess.run(
            ["/bin/sh", "-c", f"exec {shlex.quote(sys.executable)} -m hardpoint version >&-"],
            stderr=subprocess.PIPE,
            check=False,
            timeout=120,
        )
        assert (ended.returncode, ended.stderr) == (0, b"")

    @pytest.mark.parametrize(
        ("encoding", "text"),
        [("ascii", "\\u00e4 \\u20ac \\ud83d\\ude00"), ("latin-1", "ä \\u20ac \\ud83d\\ude00"), ("utf-8", "ä € 😀")],
    )
    def test_an_output_that_lacks_a_character_has_it_escaped(self, script, encoding: str, text: str) -> None:
        state = {"id": 1, "device": "d", "method": "m", "state": "done", "result": "ä € 😀"}
        script.answers["POST /api/devices/x/commands"] = (200, state)

        def told(*argv: str) -> tuple[int, str, str]:
            ended = subprocess.run(
                [sys.executable, "-m", "hardpoint", "send", *argv],
                env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"},
                capture_output=True,
                check=False,
                timeout=120,
            )
            return ended.returncode, ended.stdout.decode(encoding), ended.stderr.decode(encoding)

        assert told("x", "m") == (0, f"{text}\n", "done: command 1\n")
        code, out, _ = told("x", "m", "--json")
        assert (code, json.loads(out)["result"]) == (0, "ä € 😀")
        code, out, err = told("y", "ä😀", "--params", '"€"', "--json", "--no-wait")
        assert (code, out) == (1, "")
        assert json.loads(err)["error"]["code"] == "not_found"

    def test_what_is_half_a_character_is_escaped_in_every_output(self) -> None:
        """An argument that is not UTF-8 comes as lone surrogates, and is told back in the error."""
        ended = subprocess.run(
            [sys.executable, "-m", "hardpoint", b"n\xff"], capture_output=True, check=False, timeout=120
        )
        assert (ended.returncode, ended.stdout) == (2, b"")
        assert b"Traceback" not in ended.stderr

    def test_the_process_ends_with_the_code(self, ending) -> None:
        ending(ConfigError("x"))
        with pytest.raises(SystemExit) as ended:
            main([])
        assert ended.value.code == 78

    @pytest.mark.parametrize("argv", [["version"], ["config", "schema"]], ids=["one line", "many"])
    def test_a_reader_that_goes_away_ends_it_quietly(self, argv: list[str]) -> None:
        read_end, write_end = os.pipe()
        os.close(read_end)
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "hardpoint", *argv],
                stdout=write_end,
                stderr=subprocess.PIPE,
                check=False,
                timeout=60,
            )
        finally:
            os.close(write_end)
        assert (ended.returncode, ended.stderr) == (1, b"")


class TestFinding:
    def test_every_command_of_the_table_exists_and_has_examples_that_parse(self) -> None:
        for name in program.list_commands(click.Context(program)):
            found = program.get_command(click.Context(program), name)
            assert found is not None
            assert found.name == name
            assert found.get_short_help_str(), name
            for example in found.examples.splitlines():  # type: ignore[attr-defined]
                assert "hardpoint" in example, example

    def test_a_name_that_is_nearly_a_command(self, hardpoint) -> None:
        result = hardpoint("serv")
        assert result.code == 2
        assert result.err == "error: no such command 'serv': did you mean 'serve'?\nhint: hardpoint --help\n"
        assert hardpoint("zzzzzz").err.startswith("error: no such command 'zzzzzz'\n")

    def test_a_wrong_option_names_the_help_of_its_command(self, hardpoint) -> None:
        result = hardpoint("device", "ls", "--nope")
        assert result.code == 2
        assert "hint: hardpoint device ls --help" in result.err

    @pytest.mark.parametrize("argv", [[], ["device"], ["config"]])
    def test_alone_it_prints_help(self, hardpoint, argv: list[str]) -> None:
        result = hardpoint(*argv)
        assert (result.code, result.err) == (0, "")
        assert result.out == hardpoint(*argv, "--help").out

    @pytest.mark.parametrize("flag", ["-h", "--help"])
    def test_help_names_every_command_and_exit_code(self, hardpoint, flag: str) -> None:
        result = hardpoint(flag)
        assert result.code == 0
        for name in (name for names in COMMANDS.values() for name in names):
            assert f"\n  {name} " in result.out
        for code in EXIT_CODES:
            assert f"\n  {code} " in result.out

    def test_help_shows_examples_before_options(self, hardpoint) -> None:
        out = hardpoint("connect", "-h").out
        assert 0 < out.index("Examples:") < out.index("Make a device") < out.index("Options:")
        assert out.index("Options:") < out.index("Which server:")

    def test_version(self, hardpoint) -> None:
        assert hardpoint("--version").out == f"hardpoint {main_module.import_module('hardpoint').__version__}\n"


HEAVY = ("rich", "psutil", "http.client", "ssl", "asyncio", "sqlite3", "msgspec", "platformdirs", "hardpoint.app")


@pytest.mark.parametrize("argv", [["--help"], ["serve", "--help"], ["device", "ls", "--help"], ["version"]])
def test_help_imports_nothing_heavy(argv: list[str]) -> None:
    """What keeps help under 150 ms; a time limit itself would fail on a busy machine."""
    program_text = (
        f"import sys; from hardpoint.cli.main import run; run({argv!r}); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program_text], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.splitlines()[-1] == "[]"
