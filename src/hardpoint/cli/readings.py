"""``hardpoint readings``: what a device sent."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .command import Command, json_option
from .connection import with_client
from .moment import Moment
from .output import MAX_CELL_CHARS, document, iso, say, shown, table

if TYPE_CHECKING:
    from .client import Client

AGGREGATES = ("auto", "raw", "avg", "min", "max", "last", "count", "lttb")


@click.command(
    "readings",
    cls=Command,
    examples="""
    hardpoint readings greenhouse
    hardpoint readings greenhouse --key temp --from 24h --points 24 --agg avg
    hardpoint readings greenhouse --from 2025-11-23 --agg raw --csv > day.csv
    """,
)
@click.argument("device")
@click.option("--key", "keys", multiple=True, metavar="KEY", help="May be repeated; without it every key.")
@click.option("--from", "start_ms", type=Moment(), default="1h", help="Since when: 6h, 2025-11-23T14:00, ms.")
@click.option("--to", "end_ms", type=Moment(), default="now", help="Until when.")
@click.option("--points", type=click.IntRange(1, 100_000), default=600, help="At most so many a key; not with raw.")
@click.option("--agg", type=click.Choice(AGGREGATES), default="auto", help="What stands for the readings of a point.")
@click.option("--csv", "as_csv", is_flag=True, help="Print time,key,value with a head line.")
@json_option
@with_client
def command(
    client: Client,
    device: str,
    keys: tuple[str, ...],
    start_ms: int,
    end_ms: int,
    points: int,
    agg: str,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Print a device's readings, oldest first."""
    if as_csv and as_json:
        raise click.UsageError("give --csv or --json, not both")
    if start_ms >= end_ms:
        raise click.UsageError("--from must be before --to")
    names = keys or sorted(client.get("/api/devices", device, "latest"))
    query = {"from": start_ms, "to": end_ms, "points": points, "agg": agg}
    series = [client.get("/api/devices", device, "readings", query={**query, "key": key}) for key in names]
    if as_json:
        print(document("readings", {"device": device, "from": start_ms, "to": end_ms, "series": series}))
        return
    rows = [(ts, each["key"], value) for each in series for ts, value in each["points"]]
    rows.sort(key=lambda row: row[:2])
    if as_csv:
        _print_csv(rows)
        return
    table(("time", "key", "value"), [(iso(ts), key, shown(value, MAX_CELL_CHARS)) for ts, key, value in rows])
    if not rows:
        say("nothing in that time: give an earlier --from")


def _print_csv(rows: list[tuple[int, str, Any]]) -> None:
    """RFC 4180, but with the line end of this system's other tools."""
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("time", "key", "value"))
    writer.writerows((iso(ts), key, value if isinstance(value, str) else shown(value)) for ts, key, value in rows)
