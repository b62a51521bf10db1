"""``hardpoint doctor``: looks for what is wrong on this machine, and says what to do about it."""

from __future__ import annotations

from pathlib import Path

import click

from .command import Command, json_option
from .connection import data_option
from .output import document, printable

SYMBOLS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL", "skip": "-   "}


@click.command(
    "doctor",
    cls=Command,
    examples="""
    hardpoint doctor
    hardpoint doctor --json
    """,
)
@data_option
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Instead of the first hardpoint.toml found.  [env var: HARDPOINT_CONFIG]",
)
@json_option
def command(data: Path | None, config_file: Path | None, as_json: bool) -> int:
    """Check this machine and the server on it.

    Looks at the data folder, disk, ports, limits, clock and sensors. Changes nothing. Exits 1 when a check fails.
    """
    from dataclasses import asdict

    from ..config import load
    from .checks import run_checks

    config = load({"data": data}, file=config_file)
    found = []
    for check in run_checks(config):
        found.append(check)
        if not as_json:
            print(f"{SYMBOLS[check.status]}  {check.id:<12}{printable(check.seen)}", flush=True)
            if check.fix and check.status in ("warn", "fail"):
                print(f"{'':18}fix: {printable(check.fix)}")
    failed = any(check.status == "fail" for check in found)
    if as_json:
        print(document("doctor", {"ok": not failed, "checks": [asdict(check) for check in found]}))
    return 1 if failed else 0
