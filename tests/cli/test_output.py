"""What is printed: harmless text, documents, tables, times."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.cli import output

MS = 1_763_880_000_250


class TestHarmless:
    @given(st.text())
    def test_a_terminal_can_obey_nothing_of_it(self, text: str) -> None:
        assert output.printable(text).isprintable()
        assert output.shown(text).isprintable()

    @pytest.mark.parametrize(
        ("text", "safe"),
        [("plain ü 温室", "plain ü 温室"), ("\x1b[2J", r"\x1b[2J"), ("a\nb\u202ec", r"a\nb\u202ec"), ("", "")],
    )
    def test_escaped_as_python_writes_it(self, text: str, safe: str) -> None:
        assert output.printable(text) == safe

    def test_values(self) -> None:
        assert [output.shown(value) for value in (21.5, 3, True, None, "on", {"a": [1]})] == [
            *("21.5", "3", "true", "null", "on", '{"a":[1]}')
        ]
        assert output.shown("x" * 10, 5) == "xxxx…"
        assert output.shown("x" * 5, 5) == "xxxxx"


class TestDocuments:
    def test_the_schema_comes_first(self) -> None:
        text = output.document("device", {"name": "ü"})
        assert text.splitlines()[1] == '  "schema": "hardpoint.device.v1",'
        assert json.loads(text) == {"schema": "hardpoint.device.v1", "name": "ü"}
        assert output.line("reading", {"a": 1}) == '{"schema":"hardpoint.reading.v1","a":1}'


class TestWords:
    def test_times(self) -> None:
        assert output.iso(MS) == "2025-11-23T06:40:00.250Z"
        assert output.clock(MS).endswith(":00.250")
        assert output.ago(None, MS) == "never"
        assert output.ago(MS - 90_000, MS) == "90 s ago"
        assert output.ago(MS + 5000, MS) == "0 s ago"

    @pytest.mark.parametrize(
        ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d")]
    )
    def test_spans(self, seconds: float, text: str) -> None:
        assert output.span(seconds) == text

    @pytest.mark.parametrize(
        ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**30, "1.0 GiB"), (2**50, "1024.0 TiB")]
    )
    def test_sizes(self, count: int, text: str) -> None:
        assert output.size(count) == text


TABLE = "from hardpoint.cli.output import table; table(('name', 'value'), [('[red]x', '\\x1b[2J'), ('温室', '1')])"


class TestTables:
    def test_aligned_plain_text_in_a_pipe(self, capsys: pytest.CaptureFixture[str]) -> None:
        output.table(("name", "value"), [("greenhouse", "1"), ("x", "\x1b")])
        assert capsys.readouterr().out == "NAME        VALUE\ngreenhouse  1\nx           \\x1b\n"

    def test_no_rows(self, capsys: pytest.CaptureFixture[str]) -> None:
        output.table(("name", "value"), [])
        assert capsys.readouterr().out == "NAME  VALUE\n"

    @pytest.mark.parametrize(("term", "drawn"), [("xterm", True), ("dumb", False)])
    def test_drawn_on_a_terminal(self, term: str, drawn: bool) -> None:
        out = on_a_terminal(TABLE, TERM=term, NO_COLOR="1", PYTHONUTF8="1")
        assert ("─" in out) == drawn
        assert "[red]x" in out, "a name is not markup"
        assert r"\x1b[2J" in out
        assert "\x1b[2J" not in out


def on_a_terminal(program: str, **environ: str) -> str:
    """What a program prints when stdout is a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=theirs, env={**os.environ, **environ}) as process:
        os.close(theirs)
        parts = []
        try:
            while data := os.read(ours, 65536):
                parts.append(data)
        except OSError:  # Linux: EIO when the other end is closed
            pass
        finally:
            os.close(ours)
    assert process.returncode == 0
    return b"".join(parts).decode()
