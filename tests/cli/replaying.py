"""The commands of a page of the documentation, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ASSIGNED = re.compile(r"([A-Z]+)=\$\(")


def commands(page: Path) -> list[tuple[str, str]]:
    """``(command, what it prints)`` of each console block, in their order."""
    blocks = re.findall(r"```console\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    parts = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def environment(folder: Path, data: Path) -> dict[str, str]:
    """Variables with which ``hardpoint`` is this checkout's, and its server the one of ``data``."""
    program = folder / "bin" / "hardpoint"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m hardpoint "$@"\n')
    program.chmod(0o755)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HARDPOINT_")}
    environ["PATH"] = f"{program.parent}:{environ['PATH']}"
    return environ | {"HARDPOINT_DATA": str(data), "SOCKET": str(data / "hardpoint.sock"), "TZ": "UTC"}


def replay(page: Path, folder: Path, environ: dict[str, str], told: Mapping[str, str]) -> int:
    """Run each command in ``folder`` and hold what it prints against the page; ``…`` stands there for anything. What is
    ``told`` of a command's text is put in the place of what the page says. Returns how many ran.
    """
    found = commands(page)
    for command, expected in found:
        run = command
        for said, meant in told.items():
            run = run.replace(said, meant)
        name = ASSIGNED.match(run)
        # A shell would keep what is assigned: it is said at the end, behind a mark of its own.
        kept = f'\nprintf "\\n=%s" "${name[1]}"' if name else ""
        done = subprocess.run(
            ["sh", "-c", run + kept], cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        out = done.stdout
        if name:
            out, _, environ[name[1]] = out.rpartition("\n=")
        printed = [line.rstrip() for line in (out + done.stderr).splitlines()]
        wanted = expected.rstrip("\n").splitlines()
        assert len(printed) >= len(wanted), (command, printed)
        for line, want in zip(printed, wanted, strict=False):
            pattern = ".*".join(re.escape(part) for part in re.split("…", want))
            assert re.fullmatch(re.sub(r"(\\ )+", r"\\s+", pattern), line), (command, line, want)
    return len(found)
