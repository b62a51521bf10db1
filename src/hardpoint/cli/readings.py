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

AGGREGATES = ("auto", "raw", "avg", "sum", "min", "max", "first", "last", "count", "minmax", "lttb")
BLOCKS = "▁▂▃▄▅▆▇█"
CHART_WIDTH = 60


@click.command(
    "readings",
    cls=Command,
    examples="""
    hardpoint readings greenhouse
    hardpoint readings greenhouse --key temp --from 24h --points 24 --agg avg
    hardpoint readings greenhouse --from 30d --every 1d --tz Europe/Berlin --agg max
    hardpoint readings greenhouse --from 2025-11-23 --agg raw --csv > day.csv
    hardpoint readings greenhouse --from 7d --chart
    """,
)
@click.argument("device")
@click.option("--key", "keys", multiple=True, metavar="KEY", help="May be repeated; without it every key.")
@click.option("--from", "start_ms", type=Moment(), default="1h", help="Since when: 6h, 2025-11-23T14:00, ms.")
@click.option("--to", "end_ms", type=Moment(), default="now", help="Until when.")
@click.option("--points", type=click.IntRange(1, 100_000), default=600, help="At most so many a key; not with raw.")
@click.option(
    "--agg",
    type=click.Choice(AGGREGATES),
    help="What stands for the readings of a point.  [default: auto; with --every avg]",
)
@click.option("--every", metavar="WIDTH", help="A point each 30s, 15m, 1h, 1d, 1w, 1mo or 1y, instead of --points.")
@click.option("--tz", metavar="ZONE", help="By whose clocks and days --every goes, as Europe/Berlin.  [default: UTC]")
@click.option("--chart", is_flag=True, help="Draw the averages of each key on a line.")
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
    agg: str | None,
    every: str | None,
    tz: str | None,
    chart: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Print a device's readings, oldest first."""
    if as_csv + as_json + chart > 1:
        raise click.UsageError("give one of --csv, --json and --chart")
    if start_ms >= end_ms:
        raise click.UsageError("--from must be before --to")
    names = keys or sorted(client.get("/api/devices", device, "latest"))
    if chart:
        points, agg, every = min(points, CHART_WIDTH), "avg", None
    query = {"from": start_ms, "to": end_ms, "points": points, "agg": agg, "every": every, "tz": tz}
    series = [client.get("/api/devices", device, "readings", query={**query, "key": key}) for key in names]
    if as_json:
        print(document("readings", {"device": device, "from": start_ms, "to": end_ms, "series": series}))
        return
    if chart:
        _draw(series, start_ms, end_ms, points)
        return
    rows = [(ts, each["key"], value) for each in series for ts, value in each["points"]]
    rows.sort(key=lambda row: row[:2])
    if as_csv:
        _print_csv(rows)
        return
    table(("time", "key", "value"), [(iso(ts), key, shown(value, MAX_CELL_CHARS)) for ts, key, value in rows])
    if not rows:
        say("nothing in that time: give an earlier --from")


def _draw(series: list[dict[str, Any]], start_ms: int, end_ms: int, points: int) -> None:
    """A line a key: its least average, a block a bucket, its greatest. Empty buckets are left blank."""
    width_ms = max(1, -(-(end_ms - start_ms) // points))
    for each in series:
        drawn = [(ts, value) for ts, value in each["points"] if value is not None]  # None: beyond all numbers
        if not drawn:
            continue
        low, high = min(value for _, value in drawn), max(value for _, value in drawn)
        half = high / 2 - low / 2 or 1  # the whole may be beyond the range of floats
        line = [" "] * points
        for ts, value in drawn:
            line[(ts - start_ms) // width_ms] = BLOCKS[round((value / 2 - low / 2) / half * (len(BLOCKS) - 1))]
        print(f"{each['key']}  {low:.4g} {''.join(line).rstrip()} {high:.4g}")


def _print_csv(rows: list[tuple[int, str, Any]]) -> None:
    """RFC 4180, but with the line end of this system's other tools."""
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("time", "key", "value"))
    writer.writerows((iso(ts), key, value if isinstance(value, str) else shown(value)) for ts, key, value in rows)
