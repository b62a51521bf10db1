"""``hardpoint store check``: read everything and verify it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import ServerUnreachable
from .command import Command, json_option
from .connection import with_client
from .output import document, iso, say, table

if TYPE_CHECKING:
    from pathlib import Path

    from .client import Client

CHECK_TIMEOUT_S = 6 * 3600.0
"""A hundred gigabytes from an SD card."""


@click.command(
    "check",
    cls=Command,
    examples="""
    hardpoint store check
    hardpoint store check --repair
    """,
)
@click.option("--repair", is_flag=True, help="Put right what can be, and set aside what is damaged.")
@json_option
@with_client
def check(client: Client, repair: bool, as_json: bool) -> int:
    """Read everything that is stored and verify it, in the running server or, where none runs, in its data folder.

    Exits 1 when something is wrong and was not repaired.
    """
    query = {"repair": "true" if repair else None}
    try:
        found = client.call("POST", "/api/store/check", query=query, timeout_s=CHECK_TIMEOUT_S)
    except ServerUnreachable:
        if not client.address.path:
            raise
        from pathlib import Path

        found = _in_folder(Path(client.address.path).parent, repair)
    if as_json:
        print(document("store-check", found))
    else:
        _print(found)
    return 1 if any(finding["done"] != "repaired" for finding in found["findings"]) else 0


def _in_folder(folder: Path, repair: bool) -> dict[str, Any]:
    """The same of a server that does not run."""
    from ..errors import StorageError
    from ..model import Series
    from ..stores.sqlite import SqliteStore

    if not (folder / "hardpoint.db").exists():
        raise StorageError(f"no server runs, and there is no store in {folder}", hint="name the folder: --data DIR")
    say(f"no server runs: looking into {folder}")
    store = SqliteStore(folder)
    store.open()
    try:
        report = store.check(repair=repair)
        names = {series.id: series for series in store.load(Series)}
    finally:
        store.close()
    findings = []
    for finding in report.findings:
        series = names.get(finding.series) if finding.series is not None else None
        findings.append(
            {
                "place": finding.place,
                "device": series and series.device_id,
                "key": series and series.key,
                "from": finding.start_ms,
                "to": finding.end_ms,
                "readings": finding.readings,
                "problem": finding.problem,
                "done": finding.done,
            }
        )
    return {"pieces": report.pieces, "readings": report.readings, "findings": findings}


def _print(found: dict[str, Any]) -> None:
    if found["findings"]:
        table(
            ("place", "series", "from", "to", "readings", "problem", "done"),
            [
                (
                    finding["place"],
                    f"{finding['device']}:{finding['key']}" if finding["device"] else "",
                    *("" if finding[end] is None else iso(finding[end]) for end in ("from", "to")),
                    str(finding["readings"] or ""),
                    finding["problem"],
                    finding["done"],
                )
                for finding in found["findings"]
            ],
        )
    wrong = len(found["findings"])
    said = f"{wrong} things are wrong" if wrong > 1 else "one thing is wrong" if wrong else "nothing is wrong"
    say(f"{found['readings']} readings in {found['pieces']} pieces: {said}")
