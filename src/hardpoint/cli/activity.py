"""``hardpoint activity``: who did what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .command import Command, json_option
from .connection import with_client
from .moment import Moment
from .output import document, iso, printable, say, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .client import Client

PAGE = 200


@click.command(
    cls=Command,
    name="activity",
    examples="""
    hardpoint activity
    hardpoint activity --device greenhouse --limit 20
    hardpoint activity --who ada --what devices --json
    """,
)
@click.option("--who", metavar="NAME", help="Only what this person, token or rule did.")
@click.option("--what", metavar="DEED", help="Only this deed (devices.create), or this family (devices).")
@click.option("--device", metavar="DEVICE", help="Only what was done to this device.")
@click.option("--until", type=Moment(), metavar="TIME", help="Only what was before: 6h, 2025-11-23T14:00.")
@click.option("--limit", type=click.IntRange(1), default=50, help="At most so many, the newest first.")
@json_option
@with_client
def command(
    client: Client,
    who: str | None,
    what: str | None,
    device: str | None,
    until: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show who did what, on what, why, and how it ended, the newest first."""
    query = {"who": who, "what": what, "device": device, "until": until}
    items = list(_entries(client, query, limit))
    if as_json:
        print(document("activity", {"items": items}))
        return
    table(("time", "who", "what", "on", "result", "why"), [_row(each) for each in items])
    if not items:
        say("nothing was done" if not any(query.values()) else "nothing fits")


def _entries(client: Client, query: dict[str, Any], limit: int) -> Iterator[dict[str, Any]]:
    """The newest, page by page; a page may be empty and have another behind it."""
    cursor: str | None = None
    left = limit
    while left:
        page = client.get("/api/audit", query={**query, "limit": min(left, PAGE), "cursor": cursor})
        yield from page["items"]
        left -= len(page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    on = entry["device"] or ""
    if entry["subject"] not in ("", on):
        on = f"{on} {entry['subject']}".strip()
    who = f"{entry['who'] or '?'} ({entry['via']}{', ' + entry['address'] if entry['address'] else ''})"
    return (iso(entry["at"]), printable(who), entry["what"], printable(on), entry["result"], printable(entry["why"]))
