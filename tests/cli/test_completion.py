"""``hardpoint completion``: the script, and what it asks the program for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hardpoint.cli.completion import SHELLS


@pytest.mark.parametrize("shell", SHELLS)
def test_completion(hardpoint, shell: str) -> None:
    assert "_HARDPOINT_COMPLETE" in hardpoint("completion", shell).out


def test_bash_completes_what_the_script_asks_for() -> None:
    environ = {"_HARDPOINT_COMPLETE": "bash_complete", "COMP_WORDS": "hardpoint dev", "COMP_CWORD": "1"}
    program = "import sys; sys.argv[0] = 'hardpoint'; from hardpoint.cli.main import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stdout == "plain,device\n"
