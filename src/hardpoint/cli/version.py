"""``hardpoint version``: this program's version, and that of what it runs on."""

from __future__ import annotations

import platform
import sys

import click

from .. import __version__
from .command import Command, json_option
from .output import document

DEPENDENCIES = ("click", "msgspec", "platformdirs", "prometheus-client", "psutil", "rich", "uvloop")


def versions() -> dict[str, str | None]:
    """Name → version; None for what is not installed (uvloop need not be)."""
    import sqlite3
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {
        "hardpoint": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    for name in DEPENDENCIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


@click.command(
    "version",
    cls=Command,
    examples="""
    hardpoint version
    hardpoint version --json
    """,
)
@json_option
def command(as_json: bool) -> None:
    """Print the version; with --json of the libraries too."""
    if as_json:
        print(document("version", {"versions": versions(), "executable": sys.executable}))
    else:
        print(f"hardpoint {__version__}")
