"""``hardpoint doctor``: looks for what is wrong on this machine, and says what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .command import Command, json_option
from .connection import config_option, data_option
from .output import document, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..checks import Check
    from ..config import Config

SYMBOLS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL", "skip": "-   "}


@click.command(
    "doctor",
    cls=Command,
    examples="""
    hardpoint doctor
    hardpoint doctor --json
    hardpoint doctor --upgrade
    """,
)
@data_option
@config_option
@click.option("--upgrade", is_flag=True, help="Rehearse what this version will do to the stored data, on a copy.")
@json_option
def command(data: Path | None, config_file: Path | None, upgrade: bool, as_json: bool) -> int:
    """Check this machine and the server on it.

    Looks at the data folder, disk, ports, limits, clock and sensors. Changes nothing. Exits 1 when a check fails.
    """
    from dataclasses import asdict

    from ..config import load

    config = load({"data": data}, file=config_file)
    found = []
    for check in _checks(config, upgrade):
        found.append(check)
        if not as_json:
            print(f"{SYMBOLS[check.status]}  {check.id:<12}{printable(check.seen)}", flush=True)
            if check.fix and check.status in ("warn", "fail"):
                print(f"{'':18}fix: {printable(check.fix)}")
    failed = any(check.status == "fail" for check in found)
    if as_json:
        print(document("doctor", {"ok": not failed, "checks": [asdict(check) for check in found]}))
    return 1 if failed else 0


def _checks(config: Config, upgrade: bool) -> Iterator[Check]:
    if upgrade:
        from .upgrade import rehearse

        return rehearse(config)
    from .checks import run_checks

    return run_checks(config)
