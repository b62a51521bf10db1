"""``hardpoint tap``: what a device sends and is sent, frame by frame, with the reason where something was refused."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from .command import Command, json_option
from .connection import with_client
from .output import clock, document, line, printable, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .client import Client

WAIT_S = 20
"""One answer is waited for so long: proxies cut a silent request off after 30 s at the earliest."""
TAP_S = 60.0
"""The device is tapped for so long at a time, and it is asked for anew at half of it: a tap whose listener was killed
ends within a minute.
"""
ARROWS = {"in": "→", "out": "←"}


@click.command(
    "tap",
    cls=Command,
    examples="""
    hardpoint tap greenhouse
    hardpoint tap greenhouse --last
    hardpoint tap greenhouse --json > frames.ndjson
    hardpoint tap --strangers
    """,
)
@click.argument("device", required=False)
@click.option("--last", is_flag=True, help="Print what is kept, and end. Refused frames always are.")
@click.option("--strangers", is_flag=True, help="Instead of a device: what was refused before a sign-in, by address.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N frames.")
@json_option
@with_client
def command(client: Client, device: str | None, last: bool, strangers: bool, count: int | None, as_json: bool) -> None:
    """Show every frame of a device, live, until Ctrl-C; those that are kept already come first.

    → is from the device, ← is to it. Tokens are not shown. With --json one frame a line: `hardpoint replay` sends
    such a file again.
    """
    if strangers != (device is None):
        raise click.UsageError("name a DEVICE, or ask for --strangers")
    if device is None:
        _print_strangers(client, as_json)
        return
    left = count
    for frame in _kept(client, device) if last else follow(client, device):
        print(line("frame", frame) if as_json else text_of(frame), flush=True)
        if left is not None:
            left -= 1
            if left == 0:
                return


def follow(client: Client, device: str) -> Iterator[dict[str, Any]]:
    """Frames for ever, each once."""
    after, asked_s = 0, 0.0
    while True:
        if time.monotonic() - asked_s > TAP_S / 2 or not asked_s:
            client.call("PUT", "/api/devices", device, "frames", body={"for_s": TAP_S})
            asked_s = time.monotonic()
        found = client.get("/api/devices", device, "frames", query={"after": after, "wait_s": WAIT_S})
        for frame in found["items"]:
            after = frame["number"]
            yield frame


def text_of(frame: dict[str, Any]) -> str:
    """A frame as a line, or two: why it was refused is below it."""
    what = " ".join(printable(part) for part in (frame["head"], frame["body"]) if part)
    marks = f"{' (hex)' if frame['binary'] else ''}{' (cut)' if frame['cut'] else ''}"
    shown = f"{clock(frame['at'])}  {frame['dialect']:<9} {ARROWS[frame['way']]} {what}{marks}"
    if frame["verdict"] == "refused":
        shown += f"\n{'':<14}refused: {printable(frame['reason'] or '')}"
    return shown


def _kept(client: Client, device: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get("/api/devices", device, "frames")["items"]
    return items


def _print_strangers(client: Client, as_json: bool) -> None:
    found = client.get("/api/strangers")
    if as_json:
        print(document("strangers", found))
        return
    for each in found["items"]:
        print(printable(each["address"]))
        for frame in each["frames"]:
            print(text_of(frame))
    if not found["items"]:
        say("nobody was refused")
