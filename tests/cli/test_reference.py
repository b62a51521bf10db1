"""docs/cli.md and docs/configuration.md say what the program says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "reference.py"


def test_the_pages_are_current() -> None:
    ended = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True, timeout=300, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("page", ["cli.md", "configuration.md"])
def test_a_page_that_is_not_is_found_out(page: str, tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "docs").mkdir()
    for name in ("cli.md", "configuration.md"):
        text = (ROOT / "docs" / name).read_text("utf-8")
        (tmp_path / "docs" / name).write_text(text + "more\n" if name == page else text, "utf-8")
    tool = tmp_path / "tools" / "reference.py"
    tool.write_bytes(TOOL.read_bytes())
    ended = subprocess.run([sys.executable, tool, "--check"], capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 1
    assert f"{page} is not current" in ended.stderr
