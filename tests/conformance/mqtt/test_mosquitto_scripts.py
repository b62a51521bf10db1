"""mosquitto's own broker tests, against an open broker of ours in mosquitto's place.

``HARDPOINT_MOSQUITTO_TESTS`` names the folder ``test`` of a checkout of github.com/eclipse-mosquitto/mosquitto. Each
script starts ``$BUILD_ROOT/src/mosquitto`` itself: there lies `launcher.py`, which reads mosquitto's arguments and
becomes a Hardpoint that does the same. `run.py` runs one script and compares as the standard does.

Every script of their list is run, but for those that ``docs/mqtt-conformance.md`` leaves out, with the reason.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent / "mosquitto"
TABLE = Path(__file__).parents[3] / "docs" / "mqtt-conformance.md"
SUITE = Path(os.environ.get("HARDPOINT_MOSQUITTO_TESTS", "/nowhere"))
FIRST_PORT = 21_000
TIMEOUT_S = 300
"""Some sleep for half a minute, and on a busy machine each server takes seconds to start."""

needs_suite = pytest.mark.skipif(
    not SUITE.exists(), reason="HARDPOINT_MOSQUITTO_TESTS does not name mosquitto's folder of tests"
)


class Script(NamedTuple):
    """One of theirs: its name, and what it is called with."""

    name: str
    ports: int
    arguments: tuple[str, ...]


def listed() -> list[Script]:
    """Their list, from ``test.py``; empty where there is no suite."""
    path = SUITE / "broker" / "test.py"
    if not path.exists():
        return []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "tests":
            found = ast.literal_eval(node.value)
            return [Script(name.removeprefix("./"), ports, tuple(more)) for ports, name, *more in found]
    raise AssertionError(f"{path} has no list of tests")


def left_out() -> set[str]:
    """The scripts in the table of those that are not run."""
    rows = re.findall(r"^\| (`.+?`) \| .+ \|$", TABLE.read_text("utf-8"), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\S+\.py)`", row)}


SCRIPTS = [script for script in listed() if script.name not in left_out()]


@pytest.fixture
def build_root(tmp_path: Path) -> Iterator[Path]:
    """A folder with a mosquitto in it that is none."""
    launcher = tmp_path / "src" / "mosquitto"
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE / "launcher.py"} "$@"\n')
    launcher.chmod(0o755)
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


@needs_suite
def test_what_is_left_out_is_theirs() -> None:
    assert left_out() <= {script.name for script in listed()}


@needs_suite
@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS or [None], ids=[script.name for script in SCRIPTS] or ["none"])
def test_script(build_root: Path, script: Script) -> None:
    first = FIRST_PORT + sum(each.ports for each in SCRIPTS[: SCRIPTS.index(script)])
    ports = [str(first + number) for number in range(script.ports)]
    done = subprocess.run(
        [sys.executable, HERE / "run.py", SUITE, script.name, *script.arguments, *ports],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env={**os.environ, "BUILD_ROOT": str(build_root)},
    )
    said = done.stdout + done.stderr
    refused = build_root / "refused"
    assert not refused.exists(), refused.read_text()  # a script need not notice that its broker did not start
    assert done.returncode == 0, said[-3000:]
