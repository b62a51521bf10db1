"""A pytest plug-in for a suite of others: puts a loop into asyncio first, and writes each test's outcome as JSON.

Told by the environment: ``OUTCOMES_LOOP`` (``hardpoint`` or ``stock``) and ``OUTCOMES_FILE``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

if os.environ["OUTCOMES_LOOP"] == "hardpoint":
    from plug import plug

    plug()

_WORST_LAST = ("skipped", "passed", "failed")
_outcomes: dict[str, tuple[str, str]] = {}


def pytest_runtest_logreport(report: Any) -> None:
    """A test is as bad as the worst of its set-up, its call, its subtests and its end."""
    outcome = "passed" if hasattr(report, "wasxfail") and report.outcome == "skipped" else report.outcome
    if report.when != "call" and outcome == "passed":
        return
    before = _outcomes.get(report.nodeid, ("skipped", ""))[0]
    if _WORST_LAST.index(outcome) >= _WORST_LAST.index(before):
        _outcomes[report.nodeid] = outcome, report.longreprtext[-1500:] if outcome == "failed" else ""


def pytest_sessionfinish(session: Any) -> None:
    """Write what was seen."""
    Path(os.environ["OUTCOMES_FILE"]).write_text(json.dumps({"tests": _outcomes}))
