"""``hardpoint connect``: a device, how to attach it, and the proof that it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import Conflict, NotFound
from .command import Command, json_option
from .connection import with_client
from .device import label_option, parse_labels
from .output import document, printable, say, shown
from .refusals import Refusals
from .tail import follow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .client import Client

TITLES = {
    "nc": "In a terminal",
    "curl": "Over HTTP",
    "python": "In Python (also answers commands)",
    "arduino": "For an ESP32 with Arduino",
    "micropython": "In MicroPython",
    "esphome": "For ESPHome",
    "homeassistant": "For Home Assistant: what sends a sensor's states",
    "nodered": "For Node-RED: a flow to import",
    "mqtt": "Over MQTT",
    "paho": "Over MQTT, in Python (also answers commands)",
    "websocket": "In a browser, over WebSocket",
    "node": "In Node.js (also answers commands)",
    "go": "In Go (also answers commands)",
    "powershell": "In PowerShell (also answers commands)",
    "agent": "For another machine's own sensors",
}
USUALLY = ("nc", "curl", "python")


@click.command(
    "connect",
    cls=Command,
    examples="""
    hardpoint connect greenhouse
    hardpoint connect greenhouse --with arduino
    hardpoint connect greenhouse --tls --with curl --with mqtt
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
@click.option("--tls", is_flag=True, help="Over TLS, where the server speaks it.")
@click.option("--new-token", is_flag=True, help="For a device that exists: its old token stops at once.")
@click.option("--no-wait", is_flag=True, help="Do not wait for the first reading. --json does not either.")
@json_option
@with_client
def command(
    client: Client,
    name: str | None,
    labels: tuple[str, ...],
    kinds: tuple[str, ...],
    tls: bool,
    new_token: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Make a device, print how to send its first reading, and wait for it.

    Without NAME it makes one up. Ctrl-C only ends the waiting: the device stays.
    """
    from ..web.snippets import KINDS, snippets
    from .doors import doors

    health = client.health()
    found = doors(health, client.address, _authority(client) if health.get("certificates") else None)
    if tls and not (found.lines or found.https or found.mqtts):
        raise Conflict(
            "this server does not speak TLS",
            hint="add lines://, https:// or mqtts:// to what it listens on: --listen, or listen in hardpoint.toml",
        )
    device = _device(client, name, parse_labels(labels), new_token)
    plain, over_tls = (snippets(device["token"], found, tls=each) for each in (False, True))
    # Where a door is open in one way only, that one is shown.
    first, other = (over_tls, plain) if tls else (plain, over_tls)
    made = {kind: first.get(kind) or other[kind] for kind in KINDS if kind in first or kind in other}
    if as_json:
        print(document("connect", {"device": device, "snippets": made, "ca": found.ca}))
        return
    made = {kind: made[kind] for kind in kinds or USUALLY if kind in made}
    needs_ca = found.ca and any(over_tls.get(kind) == text for kind, text in made.items())
    notes = [_trust_note(found.ca, found.http, found.https)] if found.ca and needs_ca else []
    if no_wait:
        _print_snippets(device, made, notes)
        return
    wait_for_reading(client, device, made, notes)


def _authority(client: Client) -> str | None:
    """The PEM of the server's own authority; None where its certificate is by another."""
    try:
        with client.stream("GET", "/api/ca.pem") as content:
            return b"".join(content).decode("ascii")
    except NotFound:
        return None


def _trust_note(ca: str, http: str | None, https: str | None) -> str:
    """Where ca.pem comes from, and how one knows that it is the right one. A file fetched over a connection that
    proves nothing yet is as good as its fingerprint.
    """
    from ..web.snippets import fingerprint

    lines = ["These trust the server by the file ca.pem beside them (boards have it in their text)."]
    if http or https:
        fetch = f"curl -o ca.pem {http}/api/ca.pem" if http else f"curl -k -o ca.pem {https}/api/ca.pem"
        lines += ["Fetch it once, and compare its fingerprint with the one below:", "", f"    {fetch}"]
    return "\n".join([*lines, "    openssl x509 -in ca.pem -noout -fingerprint -sha256", f"    {fingerprint(ca)}", ""])


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


def _print_snippets(device: dict[str, Any], made: dict[str, str], notes: Sequence[str] = ()) -> None:
    print(f"device {printable(device['name'])}, token {device['token']} (not shown again)\n", flush=True)
    for note in notes:
        print(note)
    for kind, text in made.items():
        print(f"{TITLES[kind]}:\n")
        print("".join(f"    {line}\n" if line else "\n" for line in text.splitlines()))


def wait_for_reading(client: Client, device: dict[str, Any], made: dict[str, str], notes: Sequence[str] = ()) -> None:
    """Print the snippets and then what the server sees of the device, also what it refuses, up to its first reading."""

    def begin() -> None:
        _print_snippets(device, made, notes)
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
