"""``hardpoint connect``: a device, how to attach it, and the proof that it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import Conflict
from .command import Command, json_option
from .connection import with_client
from .device import label_option, parse_labels
from .output import document, printable, say, shown
from .refusals import Refusals
from .tail import follow

if TYPE_CHECKING:
    from .client import Client

TITLES = {
    "nc": "In a terminal",
    "curl": "Over HTTP",
    "python": "In Python (also answers commands)",
    "arduino": "For an ESP32 with Arduino",
    "micropython": "In MicroPython",
    "esphome": "For ESPHome",
    "nodered": "For Node-RED: a flow to import",
    "mqtt": "Over MQTT",
    "paho": "Over MQTT, in Python (also answers commands)",
    "websocket": "In a browser, over WebSocket",
    "node": "In Node.js (also answers commands)",
    "agent": "For another machine's own sensors",
}
USUALLY = ("nc", "curl", "python")


@click.command(
    "connect",
    cls=Command,
    examples="""
    hardpoint connect greenhouse
    hardpoint connect greenhouse --with arduino
    hardpoint connect greenhouse --new-token
    hardpoint connect --no-wait --json
    """,
)
@click.argument("name", required=False)
@label_option
@click.option(
    "--with",
    "kinds",
    type=click.Choice(list(TITLES)),
    multiple=True,
    help=f"What to print. [default: {', '.join(USUALLY)}]",
)
@click.option("--new-token", is_flag=True, help="For a device that exists: its old token stops at once.")
@click.option("--no-wait", is_flag=True, help="Do not wait for the first reading. --json does not either.")
@json_option
@with_client
def command(
    client: Client,
    name: str | None,
    labels: tuple[str, ...],
    kinds: tuple[str, ...],
    new_token: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Make a device, print how to send its first reading, and wait for it.

    Without NAME it makes one up. Ctrl-C only ends the waiting: the device stays.
    """
    from ..web.snippets import snippets
    from .doors import doors

    device = _device(client, name, parse_labels(labels), new_token)
    health = client.health()
    made = snippets(device["token"], doors(health, client.address))
    if as_json:
        print(document("connect", {"device": device, "snippets": made}))
        return
    if no_wait:
        _print_snippets(device, made, kinds)
        return
    wait_for_reading(client, device, made, kinds)


def _device(client: Client, name: str | None, labels: dict[str, str], new_token: bool) -> dict[str, Any]:
    """The device with its ``token``, made, or given a new one."""
    if new_token:
        if name is None:
            raise click.UsageError("--new-token needs the device's NAME")
        found: dict[str, Any] = client.get("/api/devices", name)
        return {**found, "token": client.call("POST", "/api/devices", found["id"], "token")["token"]}
    import secrets

    body = {"name": name or f"device-{secrets.token_hex(2)}", "labels": labels}
    try:
        made: dict[str, Any] = client.call("POST", "/api/devices", body=body)
    except Conflict as error:
        raise Conflict(error.message, hint=f"to connect it again: hardpoint connect {name} --new-token") from None
    return made


def _print_snippets(device: dict[str, Any], made: dict[str, str], kinds: tuple[str, ...]) -> None:
    print(f"device {printable(device['name'])}, token {device['token']} (not shown again)\n", flush=True)
    for kind in kinds or USUALLY:
        if kind in made:
            print(f"{TITLES[kind]}:\n")
            print("".join(f"    {line}\n" if line else "\n" for line in made[kind].splitlines()))


def wait_for_reading(client: Client, device: dict[str, Any], made: dict[str, str], kinds: tuple[str, ...] = ()) -> None:
    """Print the snippets and then what the server sees of the device, also what it refuses, up to its first reading."""

    def begin() -> None:
        _print_snippets(device, made, kinds)
        say("waiting for its first reading (Ctrl-C ends the waiting)…")

    try:
        with Refusals(client, device):
            for event in follow(client, {"device": device["id"]}, opened=begin):
                if event.name == "presence" and event.data["presence"]["connected"]:
                    connected = event.data["presence"]["connected"]
                    say(f"attached over {connected['dialect']} from {connected['from']}")
                elif event.name == "reading":
                    key, _, value = event.data["readings"][0]
                    say(f"first reading: {key} = {shown(value)}")
                    return
    except KeyboardInterrupt:
        say(f"\nthe device stays. See it later: hardpoint tail {printable(device['name'])}")
