"""The README's commands, as they are written there, on a server whose ports are free ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from serving import DEADLINE_S, ServerProcess, clean_environment, wait_until

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"<!-- replayed -->\n+```console\n(.*?)```", re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ")
    for block in BLOCK.findall(README.read_text())
    for line in block.splitlines()
    if line.startswith("$ ")
]
WRITTEN_PORTS = {"9000": "line", "8080": "http"}


class Terminal:
    """Where a reader types: with the command on the path, and the variables that the README has them set."""

    def __init__(self, server: ServerProcess) -> None:
        self.variables = clean_environment() | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HARDPOINT_DATA": str(server.folder),
            "HOST": "127.0.0.1",
        }
        self._server = server

    def type(self, command: str) -> str:
        """What it printed. Every command must end by itself."""
        command = re.sub(r"\b(9000|8080)\b", lambda port: str(self._server.ports[WRITTEN_PORTS[port[0]]]), command)
        with subprocess.Popen(
            ["sh", "-c", command], stdout=subprocess.PIPE, text=True, env=self.variables, start_new_session=True
        ) as running:
            printed, _ = running.communicate(timeout=DEADLINE_S)
            assert running.returncode == 0, command
            return printed


def test_the_readme_is_true(server: ServerProcess) -> None:
    assert len(COMMANDS) >= 5, "the README has lost its marks"
    for program in ("nc", "curl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    terminal = Terminal(server)
    sent: list[float] = []
    for command in COMMANDS:
        printed = terminal.type(command)
        if command.startswith("hardpoint device add"):
            (terminal.variables["TOKEN"],) = re.findall(r"hp_\w+", printed)
        for value in re.findall(r"temp\"?[=:] ?([0-9.]+)", command):
            sent.append(float(value))
            wait_until(lambda: [value for _, value in server.api.readings("greenhouse-1", "temp")] == sent, command)
        if command.startswith("hardpoint readings"):
            assert all(str(value) in printed for value in sent), printed
    assert len(sent) >= 2
