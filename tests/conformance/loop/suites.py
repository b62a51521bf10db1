"""Test suites of others, as their source archives on the package index carry them: fetched once, into the cache.

Each gets an environment of its own with the very version it belongs to. The versions are pinned, so that the reasons
beside the exclusions stay true.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pytest

CACHE = Path(os.environ.get("HARDPOINT_SUITES") or platformdirs.user_cache_path("hardpoint") / "suites")
FETCH_TIMEOUT_S = 600


@dataclass
class Suite:
    """A suite that lies ready."""

    python: str
    """The interpreter of its environment."""
    folder: Path
    """Where its ``tests`` are, without the package itself, which is installed."""


def fetch(name: str, version: str, needs: Sequence[str]) -> Suite:
    """The suite of that package, from the cache or the index. Skips the test when the index cannot be reached."""
    folder = CACHE / f"{name}-{version}-py{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "env" / "bin" / "python"
    if not (folder / "ready").exists():
        folder.mkdir(parents=True, exist_ok=True)
        venv.create(folder / "env", clear=True, with_pip=True)
        pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        _install([*pip, "install", f"{name}=={version}", "pytest", *needs])
        with tempfile.TemporaryDirectory() as archives:
            _install([*pip, "download", "--no-deps", "--no-binary", name, "--dest", archives, f"{name}=={version}"])
            _unpack(next(Path(archives).iterdir()), folder)
        (folder / "ready").touch()
    return Suite(str(python), folder)


def _install(command: Sequence[str]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
    if ran.returncode:
        pytest.skip(f"the package index did not give it: {ran.stderr.strip().splitlines()[-1:]}")


def _unpack(archive: Path, folder: Path) -> None:
    """The tests and pytest's settings; not the package, which would be imported in place of the installed one."""
    with tarfile.open(archive) as opened:
        for member in opened.getmembers():
            _, _, member.name = member.name.partition("/")
            if member.name.startswith("tests/") or member.name in ("pytest.ini", "pyproject.toml"):
                opened.extract(member, folder, filter="data")
