"""Runs a suite of others on stock asyncio and on our loop, and says where the two differ."""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE.parents[2] / "src"
SUITE_TIMEOUT_S = 900
"""One suite on one loop; they take a minute or two on two cores."""
MAX_RETRIED = 60
"""More differences than this are no bad luck; running them all again would take as long as the suite."""

Outcomes = dict[str, tuple[str, str]]
"""Test name -> ``passed``, ``failed`` or ``skipped``, and the end of its trace-back."""


@dataclass
class Comparison:
    """What became of one suite."""

    suite: str
    stock: int = 0
    """Tests that stock asyncio passed."""
    ours: int = 0
    """Of those, the ones that our loop passed too."""
    excluded: list[str] = field(default_factory=list)
    differing: dict[str, str] = field(default_factory=dict)
    """What stock asyncio passed and ours did not, with no reason given: test -> the end of its trace-back."""


compared: list[Comparison] = []
"""Of this session, for the summary."""


def run(command: Sequence[str], out: Path, loop: str, cwd: Path, tests: Sequence[str] = ()) -> Outcomes:
    """One run in a process of its own.

    Raises:
        AssertionError: it wrote no outcomes; says what it printed last.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        "PYTHONPATH": f"{HERE}{os.pathsep}{SOURCE}",
        "OUTCOMES_LOOP": loop,
        "OUTCOMES_FILE": str(out),
    }
    out.unlink(missing_ok=True)
    ran = subprocess.run(
        [*command, *tests],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SUITE_TIMEOUT_S,
        check=False,
    )
    assert out.exists(), f"{loop}: no outcomes, exit {ran.returncode}:\n{ran.stdout[-3000:].decode('utf-8', 'replace')}"
    return {name: (outcome, detail) for name, (outcome, detail) in json.loads(out.read_text())["tests"].items()}


def compare(
    suite: str,
    command: Sequence[str],
    folder: Path,
    excluded: Mapping[str, str],
    *,
    cwd: Path = HERE,
    tests: Sequence[str] = (),
) -> Comparison:
    """Run the suite on both loops. ``excluded`` maps patterns of test names to the reason.

    What only ours failed gets a second chance alone, on both: these suites have tests that fail now and then.

    Raises:
        AssertionError: a test that stock asyncio passes fails on ours without a reason.
    """
    found = Comparison(suite)
    stock = run(command, folder / "stock.json", "stock", cwd, tests)
    ours = run(command, folder / "hardpoint.json", "hardpoint", cwd, tests)
    passed = [name for name, (outcome, _) in stock.items() if outcome == "passed"]
    differing = [name for name in passed if ours.get(name, ("", ""))[0] != "passed"]
    found.excluded = [name for name in differing if any(fnmatch.fnmatch(name, pattern) for pattern in excluded)]
    differing = [name for name in differing if name not in found.excluded]
    if 0 < len(differing) <= MAX_RETRIED:
        again = run(command, folder / "again.json", "hardpoint", cwd, differing)
        ours.update({name: again[name] for name in differing if name in again})
        differing = [name for name in differing if ours.get(name, ("", ""))[0] != "passed"]
    found.stock = len(passed)
    found.ours = len(passed) - len(found.excluded) - len(differing)
    found.differing = {name: ours.get(name, ("", "it was not run"))[1] for name in differing}
    compared.append(found)
    assert passed, f"{suite}: stock asyncio passed nothing; the suite did not run"
    assert not found.differing, "\n\n".join(f"{name}:\n{detail}" for name, detail in found.differing.items())
    return found
