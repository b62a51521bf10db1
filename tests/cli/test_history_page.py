"""docs/history.md, command by command: what it shows is what happens. ``…`` stands for anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .serving import serving

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "history.md"
DATA = ROOT / "tests" / "vectors" / "mauna-loa-co2.csv"


def commands() -> list[tuple[str, str]]:
    """``(command, what it prints)`` of each console block, in their order."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    parts = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    with serving(host={"enabled": True, "interval_s": 1}) as folder:
        yield folder


@pytest.mark.slow
def test_the_page_is_true(data: Path, tmp_path: Path) -> None:
    shutil.copy(DATA, tmp_path)
    program = tmp_path / "bin" / "hardpoint"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m hardpoint "$@"\n')
    program.chmod(0o755)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HARDPOINT_")}
    environ |= {"HARDPOINT_DATA": str(data), "SOCKET": str(data / "hardpoint.sock"), "TZ": "UTC"}
    environ["PATH"] = f"{program.parent}:{environ['PATH']}"
    for command, expected in commands():
        if command.startswith("curl") and shutil.which("curl") is None:
            continue
        done = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, (command, done.stderr)
        printed = [line.rstrip() for line in (done.stdout + done.stderr).splitlines()]
        wanted = expected.rstrip("\n").splitlines()
        assert len(printed) >= len(wanted), (command, printed)
        for line, want in zip(printed, wanted, strict=False):
            pattern = ".*".join(re.escape(part) for part in re.split("…", want))
            assert re.fullmatch(re.sub(r"(\\ )+", r"\\s+", pattern), line), (command, line, want)
