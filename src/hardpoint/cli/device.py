"""``hardpoint device``: the devices that may attach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import BadInput
from ..hub.presence import presence_word
from .command import Group, json_option
from .connection import with_client
from .device_adopt import adopt, ignore, waiting
from .device_claim import claim, gateway, release
from .moment import Span
from .output import MAX_CELL_CHARS, ago, document, iso, now_ms, printable, say, shown, span, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .client import Client

PAGE = 500
"""Devices asked for at a time."""
SESSIONS_SHOWN = 5
"""Of the last ones; --json and the API have more."""
LATEST_IN_LIST = 3
"""Values of a device that fit in its row."""

command = Group(
    "device",
    help="List, add, adopt, claim, show, rename and remove devices, or renew a token.",
    examples="""
    hardpoint device ls
    hardpoint device add greenhouse --label place=garden
    hardpoint device show greenhouse
    """,
)
for each in (waiting, adopt, ignore, claim, release, gateway):
    command.add_command(each)


def label_option(function: Any) -> Any:
    """``--label k=v``, any number of times, as ``labels``."""
    return click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="May be repeated.")(function)


def parse_labels(labels: tuple[str, ...]) -> dict[str, str]:
    """The labels as a mapping.

    Raises:
        click.UsageError: one has no ``=``.
    """
    found = {}
    for label in labels:
        key, equals, value = label.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--label {label!r}: write KEY=VALUE")
        found[key] = value
    return found


@command.command(
    "ls",
    examples="""
    hardpoint device ls
    hardpoint device ls --online --search green
    hardpoint device ls --filter 'site:roof temp>30C'
    hardpoint device ls --json
    """,
)
@click.option("--online/--offline", default=None, help="Only those attached now, or only the others.")
@click.option("--search", metavar="TEXT", help="Only those with this in their name.")
@click.option("--filter", "filter_text", metavar="FILTER", help="As on the page: 'site:roof temp>30C is:late'.")
@click.option("--label", metavar="KEY=VALUE", help="Only those with this label.")
@json_option
@with_client
def ls(
    client: Client,
    online: bool | None,
    search: str | None,
    filter_text: str | None,
    label: str | None,
    as_json: bool,
) -> None:
    """List devices with their presence and latest values."""
    if label:
        parse_labels((label,))
    query = {
        "search": search,
        "filter": filter_text,
        "online": None if online is None else str(online).lower(),
        "label": label.replace("=", ":", 1) if label else None,
    }
    devices = list(every_device(client, query))
    if as_json:
        print(document("devices", {"items": devices}))
        return
    at = now_ms()
    table(
        ("name", "state", "last seen", "latest"),
        [
            (
                each["name"],
                presence_word(each["presence"], at),
                ago(each["presence"]["last_seen"], at),
                _latest_cell(each),
            )
            for each in devices
        ],
    )
    if not devices and not any(query.values()):
        say("no devices yet: hardpoint connect NAME makes one")


def every_device(client: Client, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All devices that match, page by page."""
    cursor: str | None = None
    while True:
        page = client.get("/api/devices", query={**query, "limit": PAGE, "cursor": cursor})
        yield from page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _latest_cell(device: dict[str, Any]) -> str:
    newest = sorted(device["latest"].items(), key=lambda item: -item[1]["ts"])
    cells = [f"{key}={shown(reading['value'], 24)}" for key, reading in newest[:LATEST_IN_LIST]]
    return " ".join(cells) + (f" +{len(newest) - LATEST_IN_LIST}" if len(newest) > LATEST_IN_LIST else "")


@command.command(
    "add",
    examples="""
    hardpoint device add greenhouse
    hardpoint device add greenhouse --label place=garden --json
    """,
)
@click.argument("name")
@label_option
@json_option
@with_client
def add(client: Client, name: str, labels: tuple[str, ...], as_json: bool) -> None:
    """Make a device and print its token, which is shown this once."""
    device = client.call("POST", "/api/devices", body={"name": name, "labels": parse_labels(labels)})
    _print_token(device, as_json)
    if not as_json:
        say(f"made {printable(device['name'])}; this token is not shown again. See it attach: hardpoint tail")


@command.command("show", examples="hardpoint device show greenhouse")
@click.argument("device")
@json_option
@with_client
def show(client: Client, device: str, as_json: bool) -> None:
    """Show one device: presence, labels and its latest values."""
    found = client.get("/api/devices", device)
    if as_json:
        print(document("device", found))
        return
    sessions = client.get("/api/devices", found["id"], "sessions")["items"]
    for name, value in facts(found, now_ms()):
        print(f"{name:<14}{printable(value)}")
    if found["latest"]:
        print()
        table(
            ("key", "value", "time"),
            [
                (key, shown(each["value"], MAX_CELL_CHARS), iso(each["ts"]))
                for key, each in sorted(found["latest"].items())
            ],
        )
    if sessions:
        print()
        table(("attached", "for", "over", "from", "ended"), [_session_row(each) for each in sessions[:SESSIONS_SHOWN]])


def _session_row(session: dict[str, Any]) -> tuple[str, str, str, str, str]:
    end = session["to"]
    over = f"{session['dialect']}{' with TLS' if session['encrypted'] else ''}"
    lasted = "" if end is None else span((end - session["from"]) / 1000)
    return iso(session["from"]), lasted, over, session["address"], session["why"] or "still attached"


def facts(device: dict[str, Any], at: int) -> Iterator[tuple[str, str]]:
    """What `show` says of a device at a time in ms, line by line."""
    presence = device["presence"]
    connected = presence["connected"]
    yield "name", device["name"]
    yield "id", device["id"]
    yield "state", presence_word(presence, at)
    if connected:
        since = span(max(0, at - connected["since"]) / 1000)
        tls = " with TLS" if connected.get("encrypted") else ""
        yield "connected", f"over {connected['dialect']}{tls} from {connected['from']}, for {since}"
    yield "last seen", ago(presence["last_seen"], at)
    yield "last reading", ago(presence["last_reading"], at)
    if presence["expected_every_s"] is not None:
        yield "expected", f"every {span(presence['expected_every_s'])}{' (set)' if presence['expected_set'] else ''}"
    if device["labels"]:
        yield "labels", " ".join(f"{key}={value}" for key, value in sorted(device["labels"].items()))
    if (device.get("muted_until") or 0) > at:
        yield "muted until", f"{iso(device['muted_until'])}: nobody is told of its alerts"
    if device.get("gateway"):
        yield "gateway", "it may attach other devices"
    if device.get("via"):
        yield "behind", device["via"]
    yield "created", iso(device["created"])


@command.command("rename", examples="hardpoint device rename greenhouse 'north greenhouse'")
@click.argument("device")
@click.argument("name")
@json_option
@with_client
def rename(client: Client, device: str, name: str, as_json: bool) -> None:
    """Give a device another name. Its id, token and readings stay."""
    changed = client.call("PATCH", "/api/devices", device, body={"name": name})
    if as_json:
        print(document("device", changed))
    else:
        say(f"{printable(device)} is now {printable(changed['name'])}")


@command.command(
    "rm",
    examples="""
    hardpoint device rm greenhouse
    hardpoint device rm greenhouse --confirm greenhouse
    """,
)
@click.argument("device")
@click.option("--confirm", metavar="NAME", help="The device's name again, instead of being asked for it.")
@with_client
def rm(client: Client, device: str, confirm: str | None) -> None:
    """Remove a device with its readings, attributes and commands. This cannot be undone."""
    import sys

    found = client.get("/api/devices", device)
    name = found["name"]
    if confirm is None and sys.stdin.isatty():
        confirm = click.prompt(f"Removes {printable(name)} and all its readings. Type its name", err=True)
    if confirm is None:
        raise click.UsageError(f"say that you mean it: --confirm {printable(name)}")
    if confirm != name:
        raise BadInput(f"{confirm!r} is not its name, {name!r}: nothing was removed")
    client.call("DELETE", "/api/devices", found["id"])
    say(f"removed {printable(name)}")


@command.command(
    "mute",
    examples="""
    hardpoint device mute greenhouse --for 8h
    hardpoint device mute greenhouse --for 0s
    """,
)
@click.argument("device")
@click.option("--for", "for_s", type=Span(), default="1h", help="How long; 0s ends it.")
@json_option
@with_client
def mute(client: Client, device: str, for_s: float, as_json: bool) -> None:
    """Tell nobody of a device's alerts for a time. They are raised and listed all the same."""
    changed = client.call("POST", "/api/devices", device, "mute", body={"for_s": for_s})
    if as_json:
        print(document("device", changed))
    elif changed["muted_until"] is None:
        say(f"alerts on {printable(changed['name'])} are told again")
    else:
        say(f"nobody is told of alerts on {printable(changed['name'])} until {iso(changed['muted_until'])}")


@command.command(
    "token",
    examples="""
    hardpoint device token greenhouse
    hardpoint device token greenhouse --keep-old 2d    the old one opens as well, until the device has the new one
    """,
)
@click.argument("device")
@click.option("--keep-old", "keep_old_s", type=Span(), metavar="SPAN", help="For how long the old one opens as well.")
@json_option
@with_client
def token(client: Client, device: str, keep_old_s: float | None, as_json: bool) -> None:
    """Give a device a new token and print it. The old one stops at once, unless it is kept for a time."""
    body = None if keep_old_s is None else {"keep_old_s": keep_old_s}
    answer = client.call("POST", "/api/devices", device, "token", body=body)
    _print_token(answer, as_json)
    if not as_json and answer.get("old_until"):
        say(f"the old one opens until {iso(answer['old_until'])}")


def _print_token(answer: dict[str, Any], as_json: bool) -> None:
    print(document("device", answer) if as_json else answer["token"])
