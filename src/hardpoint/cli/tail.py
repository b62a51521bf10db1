"""``hardpoint tail``: what happens, live."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from ..errors import ServerUnreachable, TimedOut
from .command import Command, json_option
from .connection import with_client
from .output import clock, line, printable, say, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .client import Client, Event

KINDS = ("reading", "presence", "command", "device")
RECONNECT_S = (0.5, 1.0, 2.0, 5.0)
"""Waits between attempts; the last one is repeated for as long as it takes."""


@click.command(
    "tail",
    cls=Command,
    examples="""
    hardpoint tail
    hardpoint tail greenhouse --key temp
    hardpoint tail --only presence --json
    """,
)
@click.argument("devices", nargs=-1, metavar="[DEVICE]...")
@click.option("--key", metavar="KEY", help="Only readings of this key.")
@click.option("--only", type=click.Choice(KINDS), multiple=True, help="Only these events; may be repeated.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N events (a reading counts as one).")
@json_option
@with_client
def command(
    client: Client, devices: tuple[str, ...], key: str | None, only: tuple[str, ...], count: int | None, as_json: bool
) -> None:
    """Follow readings, presence and commands live, until Ctrl-C.

    Of the devices that are named, or of all. When the connection breaks it is made again, and goes on
    without a gap where the server still has what was missed. With --json one object a line.
    """
    query = {"device": devices, "key": key}
    kinds = set(only) or ({"reading"} if key else set(KINDS))
    left = count
    for event in follow(client, query):
        for name, text, body in flatten(event):
            if name not in kinds:
                continue
            print(line(name, body) if as_json else text, flush=True)
            if left is not None:
                left -= 1
                if left == 0:
                    return


def follow(client: Client, query: dict[str, Any], opened: Callable[[], None] = lambda: None) -> Iterator[Event]:
    """Live events for ever: a stream that breaks is opened anew after the last event that came. ``opened`` is called
    once, when the first stream is open: what happens from then on is not missed.

    Raises:
        HardpointError: the server cannot be reached at first, or refuses.
    """
    last_id, attempt, begun = "", 0, False
    while True:
        try:
            with client.events("/api/live", query=query, last_id=last_id) as events:
                if not begun:
                    opened()
                elif attempt:
                    say("connected again")
                attempt, begun = 0, True
                yield from events
                last_id = events.last_id
        except (ServerUnreachable, TimedOut):
            if not begun:
                raise
        if attempt == 0:
            say("connection lost, trying again…")
        time.sleep(RECONNECT_S[min(attempt, len(RECONNECT_S) - 1)])
        attempt += 1


def flatten(event: Event) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """What an event holds, one thing at a time: its kind, a line of text, and its JSON with ``device`` (an id)."""
    data = event.data
    if event.name == "reading":
        for key, ts, value in data["readings"]:
            body = {"device": data["device"], "key": key, "ts": ts, "value": value}
            yield "reading", f"{clock(ts)}  {_device(data)}  {key}={shown(value)}", body
    elif event.name == "presence":
        yield "presence", f"{_now()}  {_device(data)}  {_presence(data['presence'])}", data
    elif event.name == "command":
        text = f"command {data['id']} {printable(data['method'])}: {data['state']}"
        result = "" if data["result"] is None else f" {shown(data['result'])}"
        yield "command", f"{_now()}  {_device(data)}  {text}{result}", data
    elif event.name == "device":
        body = {"device": data["device"]["id"], "action": data["action"], "record": data["device"]}
        yield "device", f"{_now()}  {printable(data['device']['name'])}  device {data['action']}", body
    elif event.name == "reset":
        say("some events were missed while the connection was away")


def _now() -> str:
    return clock(time.time_ns() // 1_000_000)


def _device(data: dict[str, Any]) -> str:
    return printable(data["device"])


def _presence(presence: dict[str, Any]) -> str:
    connected = presence["connected"]
    if connected:
        return f"online, over {connected['dialect']} from {connected['from']}{', late' if presence['late'] else ''}"
    return "late, offline" if presence["late"] else "offline"
