"""``hardpoint status``: what the server is doing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from ..hub.presence import WORDS, presence_word
from .command import Command, json_option
from .connection import with_client
from .device import every_device
from .output import document, now_ms, printable, shown, size, span, table

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    at = now_ms()
    states = Counter(presence_word(each["presence"], at) for each in every_device(client, {}))
    devices = {"total": states.total(), **{state: states[state] for state in WORDS}}
    if as_json:
        print(document("status", {**health, "devices": devices}))
        return
    for name, value in facts(health, devices):
        print(f"{name:<22}{printable(value)}")
    print()
    rows = [(each["url"], str(each["port"] or ""), str(each["connections"])) for each in health["listeners"]]
    table(("listener", "port", "connections"), [(printable(row[0]), *row[1:]) for row in rows])


def facts(health: dict[str, Any], devices: dict[str, int]) -> Iterator[tuple[str, str]]:
    """What is said line by line: name and text."""
    counted = ", ".join(f"{devices[state]} {state}{' seen' if state == 'never' else ''}" for state in WORDS)
    yield "server", f"{health['status']}, version {health['version']}, up {span(health['uptime_s'])}"
    yield "loop", health["loop"]
    yield "devices", f"{devices['total']}: {counted}"
    for name, value in health["store"].items():
        is_size = name.endswith("_bytes") and isinstance(value, int)
        yield f"store {name.removesuffix('_bytes')}".replace("_", " "), size(value) if is_size else shown(value)
