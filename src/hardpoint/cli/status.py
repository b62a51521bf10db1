"""``hardpoint status``: what the server is doing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from .command import Command, json_option
from .connection import with_client
from .device import every_device, state_word
from .output import document, printable, shown, size, span, table

if TYPE_CHECKING:
    from .client import Client


@click.command(
    "status",
    cls=Command,
    examples="""
    hardpoint status
    hardpoint status --server http://192.168.1.20:8080 --json
    """,
)
@json_option
@with_client
def command(client: Client, as_json: bool) -> None:
    """Show the server's state, listeners, store and devices."""
    health = client.health()
    states = Counter(state_word(each) for each in every_device(client, {}))
    devices = {"total": states.total(), **{state: states[state] for state in ("online", "late", "offline")}}
    if as_json:
        print(document("status", {**health, "devices": devices}))
        return
    counted = ", ".join(f"{devices[state]} {state}" for state in ("online", "late", "offline"))
    print(f"server     {health['status']}, version {health['version']}, up {span(health['uptime_s'])}")
    print(f"loop       {health['loop']}")
    print(f"devices    {devices['total']}: {counted}")
    for name, value in health["store"].items():
        is_size = name.endswith("_bytes") and isinstance(value, int)
        label = f"store {name.removesuffix('_bytes')}"
        print(f"{label:<18} {size(value) if is_size else shown(value)}")
    print()
    rows = [(each["url"], str(each["port"] or ""), str(each["connections"])) for each in health["listeners"]]
    table(("listener", "port", "connections"), [(printable(row[0]), *row[1:]) for row in rows])
