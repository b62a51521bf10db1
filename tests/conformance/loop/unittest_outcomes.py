"""Run unittest modules and tests, named on the command line, and write each test's outcome as JSON.

Runs in a process of its own, because it puts another loop into asyncio for good. Told by the environment as
pytest_outcomes.py is.
"""

# ruff: noqa: N802 - unittest's names

from __future__ import annotations

import json
import os
import sys
import unittest
from pathlib import Path
from typing import Any


class Outcomes(unittest.TextTestResult):
    """Keeps what became of each test, with the last lines of its trace-back."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.of: dict[str, tuple[str, str]] = {}

    def _note(self, test: Any, outcome: str, detail: str = "") -> None:
        name = test.test_case.id() if hasattr(test, "test_case") else test.id()  # a subTest counts for its test
        if self.of.get(name, ("passed", ""))[0] in ("passed", "skipped"):
            self.of[name] = outcome, detail

    def addSuccess(self, test: Any) -> None:
        super().addSuccess(test)
        self._note(test, "passed")

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self._note(test, "skipped", reason)

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self._note(test, "failed", self.failures[-1][1][-1500:])

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self._note(test, "failed", self.errors[-1][1][-1500:])

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test, "failed", str(err[1])[-1500:])

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self._note(test, "passed")

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        self._note(test, "failed", "unexpected success")


def main() -> None:
    """Run what is named on the command line."""
    if os.environ["OUTCOMES_LOOP"] == "hardpoint":
        from plug import plug

        plug()
    suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:])
    result = unittest.TextTestRunner(resultclass=Outcomes, verbosity=2).run(suite)
    assert isinstance(result, Outcomes)
    Path(os.environ["OUTCOMES_FILE"]).write_text(json.dumps({"tests": result.of}))


if __name__ == "__main__":
    main()
