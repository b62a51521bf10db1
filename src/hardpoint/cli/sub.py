"""``hardpoint sub``: messages of topics, as they come."""

from __future__ import annotations

import base64
import sys
from typing import TYPE_CHECKING, Any

import click

from .command import Command, json_option
from .connection import with_client
from .output import line, printable

if TYPE_CHECKING:
    from ..wire.mqtt.packets import Publish
    from .client import Client


@click.command(
    "sub",
    cls=Command,
    examples="""
    hardpoint sub 'lights/#'
    hardpoint sub 'devices/+/temp' --json
    hardpoint sub clock --raw --count 1
    """,
)
@click.argument("filters", nargs=-1, required=True, metavar="FILTER...")
@click.option("--qos", type=click.IntRange(0, 2), default=1, help="Quality of service.", show_default=True)
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N messages.")
@click.option("--no-retained", is_flag=True, help="Only what is published from now on.")
@click.option("--raw", is_flag=True, help="Payloads as they are, and nothing else.")
@json_option
@with_client
def command(
    client: Client,
    filters: tuple[str, ...],
    qos: int,
    count: int | None,
    no_retained: bool,
    raw: bool,
    as_json: bool,
) -> None:
    """Print the messages of MQTT topics until Ctrl-C. + stands for a level, # for all that follow.

    devices/ID/KEY has the readings of every device, whatever dialect they came over.
    """
    from .mqtt_client import open_mqtt

    left = count
    with open_mqtt(client, "viewer") as mqtt:
        mqtt.subscribe(list(filters), qos=qos, retained=not no_retained)
        for message in mqtt.messages():
            if raw:
                sys.stdout.buffer.write(message.payload)
                sys.stdout.buffer.flush()
            else:
                print(line("message", describe(message)) if as_json else shown_message(message), flush=True)
            if left is not None:
                left -= 1
                if left == 0:
                    return


def shown_message(message: Publish) -> str:
    """``topic payload``; a payload that is no text as its size."""
    try:
        text = printable(message.payload.decode())
    except UnicodeDecodeError:
        text = f"({len(message.payload)} bytes)"
    return f"{printable(message.topic)} {text}"


def describe(message: Publish) -> dict[str, Any]:
    """A message as JSON: ``payload`` is text, or else ``payload_base64``."""
    found: dict[str, Any] = {"topic": message.topic, "qos": message.qos, "retain": message.retain}
    try:
        found["payload"] = message.payload.decode()
    except UnicodeDecodeError:
        found["payload_base64"] = base64.b64encode(message.payload).decode()
    return found
