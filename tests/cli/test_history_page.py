"""docs/history.md, command by command: what it shows is what happens. ``…`` stands for anything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .replaying import environment, replay
from .serving import serving

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "history.md"
DATA = ROOT / "tests" / "vectors" / "mauna-loa-co2.csv"


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    with serving(host={"enabled": True, "interval_s": 1}) as folder:
        yield folder


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")
def test_the_page_is_true(data: Path, tmp_path: Path) -> None:
    shutil.copy(DATA, tmp_path)
    replay(PAGE, tmp_path, environment(tmp_path, data), {})
