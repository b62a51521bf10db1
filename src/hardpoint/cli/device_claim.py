"""``hardpoint device claim|release|gateway``: whose a device is, and whether it attaches others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .command import Command, json_option
from .connection import with_client
from .output import document, printable, say

if TYPE_CHECKING:
    from .client import Client


@click.command(
    "claim",
    cls=Command,
    examples="""
    hardpoint device claim greenhouse --secret 4711-0815
    hardpoint device ls --label owner=anna
    """,
)
@click.argument("device")
@click.option("--secret", default="", help="What the device has offered itself with; often on its box.")
@json_option
@with_client
def claim(client: Client, device: str, secret: str, as_json: bool) -> None:
    """Become the owner of a device that has offered itself to be claimed."""
    found = client.call("POST", "/api/devices", device, "claim", body={"secret": secret})
    if as_json:
        print(document("device", found))
    else:
        say(f"{printable(found['name'])} belongs to {printable(found['labels']['owner'])}")


@click.command("release", cls=Command, examples="hardpoint device release greenhouse")
@click.argument("device")
@json_option
@with_client
def release(client: Client, device: str, as_json: bool) -> None:
    """Let a device go: it belongs to nobody, and may be claimed again."""
    found = client.call("DELETE", "/api/devices", device, "claim")
    if as_json:
        print(document("device", found))
    else:
        say(f"{printable(found['name'])} belongs to nobody")


@click.command(
    "gateway",
    cls=Command,
    examples="""
    hardpoint device gateway plc-room
    hardpoint device gateway plc-room --off
    """,
)
@click.argument("device")
@click.option("--off", is_flag=True, help="It may attach others no more.")
@json_option
@with_client
def gateway(client: Client, device: str, off: bool, as_json: bool) -> None:
    """Let a device attach others, which have no connection of their own (v1/gateway/… over MQTT)."""
    found = client.call("PATCH", "/api/devices", device, body={"gateway": not off})
    if as_json:
        print(document("device", found))
    else:
        say(f"{printable(found['name'])} {'is no gateway any more' if off else 'may attach other devices now'}")
