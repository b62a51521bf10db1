"""``hardpoint channel quiet``: parts of the day in which channels are silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import NotFound
from .command import Group, json_option
from .connection import with_client
from .output import document, printable, say, table
from .rule import find_channel

if TYPE_CHECKING:
    from .client import Client

PATH = "/api/quiet-hours"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

command = Group(
    "quiet",
    help="List, add and remove quiet hours: what is told then waits for their end.",
    examples="""
    hardpoint channel quiet add 22:00 07:00 --zone Europe/Berlin
    hardpoint channel quiet ls
    hardpoint channel quiet rm 1
    """,
)


@command.command("ls", examples="hardpoint channel quiet ls")
@json_option
@with_client
def ls(client: Client, as_json: bool) -> None:
    """List quiet hours."""
    items = client.get(PATH)["items"]
    if as_json:
        print(document("quiet-hours", {"items": items}))
        return
    table(
        ("number", "from", "to", "zone", "days", "channels", "but for"),
        [
            (
                str(number),
                each["begins"],
                each["ends"],
                each["time_zone"],
                ",".join(DAYS[day] for day in each["days"]) if len(each["days"]) < len(DAYS) else "every day",
                ",".join(each["channels"]) or "all",
                f"{each['but_for']} and above" if each["but_for"] else "nothing",
            )
            for number, each in enumerate(items, 1)
        ],
    )
    if not items:
        say("no quiet hours: hardpoint channel quiet add 22:00 07:00 --zone Europe/Berlin")


@command.command(
    "add",
    examples="""
    hardpoint channel quiet add 22:00 07:00 --zone Europe/Berlin
    hardpoint channel quiet add 00:00 23:59 --zone UTC --day sat --day sun --channel desk --but-for nothing
    """,
)
@click.argument("begins")
@click.argument("ends")
@click.option("--zone", required=True, help="The clocks that are meant, as Europe/Berlin or UTC.")
@click.option("--day", "days", multiple=True, type=click.Choice(DAYS), help="Only on these; may be repeated.")
@click.option("--channel", "channels", multiple=True, metavar="CHANNEL", help="Only these; may be repeated.")
@click.option(
    "--but-for",
    type=click.Choice(["info", "warning", "critical", "nothing"]),
    default="critical",
    help="Alerts of this severity and above are told all the same.",
)
@json_option
@with_client
def add(
    client: Client,
    begins: str,
    ends: str,
    zone: str,
    days: tuple[str, ...],
    channels: tuple[str, ...],
    but_for: str,
    as_json: bool,
) -> None:
    """Add quiet hours from BEGINS to ENDS, as 22:00 and 07:00."""
    made: dict[str, Any] = {
        "begins": begins,
        "ends": ends,
        "time_zone": zone,
        "channels": [find_channel(client, each)["id"] for each in channels],
        "but_for": None if but_for == "nothing" else but_for,
    }
    if days:
        made["days"] = sorted({DAYS.index(day) for day in days})
    _put(client, [*client.get(PATH)["items"], made], as_json)
    if not as_json:
        say(f"quiet from {printable(begins)} to {printable(ends)}, {printable(zone)}")


@command.command("rm", examples="hardpoint channel quiet rm 1")
@click.argument("number", type=click.IntRange(1))
@json_option
@with_client
def rm(client: Client, number: int, as_json: bool) -> None:
    """Remove the quiet hours of that number in the list."""
    items = client.get(PATH)["items"]
    if number > len(items):
        raise NotFound(f"there are no quiet hours of the number {number}", hint="hardpoint channel quiet ls")
    gone = items.pop(number - 1)
    _put(client, items, as_json)
    if not as_json:
        say(f"no longer quiet from {gone['begins']} to {gone['ends']}")


def _put(client: Client, items: list[dict[str, Any]], as_json: bool) -> None:
    """The API takes all of them at once."""
    changed = client.call("PUT", PATH, body={"items": items})
    if as_json:
        print(document("quiet-hours", {"items": changed["items"]}))
