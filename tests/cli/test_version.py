"""``hardpoint version``: one line, and everything as JSON."""

from __future__ import annotations

import platform
import sqlite3
from typing import TYPE_CHECKING

from hardpoint import __version__
from hardpoint.cli import version

if TYPE_CHECKING:
    import pytest


def test_version(hardpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hardpoint("version").out == f"hardpoint {__version__}\n"
    monkeypatch.setattr(version, "DEPENDENCIES", ("click", "not-a-package"))
    versions = hardpoint("version", "--json").json["versions"]
    assert (versions["hardpoint"], versions["python"]) == (__version__, platform.python_version())
    assert versions["sqlite"] == sqlite3.sqlite_version
    assert versions["click"]
    assert versions["not-a-package"] is None
