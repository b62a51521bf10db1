"""``hardpoint device waiting|adopt|ignore``: devices that have named themselves and have no token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import BadInput, NotFound
from .command import Command, json_option
from .connection import with_client
from .output import ago, document, now_ms, printable, say, table

if TYPE_CHECKING:
    from .client import Client

SHOWN_CHARS = 60
"""Of what a device has sent, in its row."""
OFF = "nobody waits: this server runs without --adopt, so unknown devices are refused"


@click.command("waiting", cls=Command, examples="hardpoint device waiting")
@click.option("--ignored", is_flag=True, help="Instead, those that are ignored.")
@json_option
@with_client
def waiting(client: Client, ignored: bool, as_json: bool) -> None:
    """List devices that have named themselves and wait to be adopted."""
    found = client.get("/api/unknown-devices")
    items = [each for each in found["items"] if each["ignored"] is ignored]
    if as_json:
        print(document("unknown-devices", {"enabled": found["enabled"], "items": items}))
        return
    at = now_ms()
    table(
        ("name", "address", "over", "state", "last seen", "has sent"),
        [
            (each["name"], each["address"], each["dialect"], _state(each), ago(each["last_seen"], at), _sent(each))
            for each in items
        ],
    )
    if not found["enabled"]:
        say(OFF)
    elif not items:
        say("nobody is ignored" if ignored else "nobody waits")


def _state(unknown: dict[str, Any]) -> str:
    if unknown["adopted"]:
        return f"adopted as {unknown['adopted']}, not back yet"
    state = "connected" if unknown["connected"] else "comes and goes"
    return f"{state}, named as a device that exists" if unknown["known"] else state


def _sent(unknown: dict[str, Any]) -> str:
    """Of its first frames the last: the first is often no more than its name."""
    if not unknown["frames"]:
        return ""
    frame = unknown["frames"][-1]
    return printable(f"{frame['head']} {frame['body']}".strip())[:SHOWN_CHARS]


@click.command(
    "adopt",
    cls=Command,
    examples="""
    hardpoint device adopt greenhouse
    hardpoint device adopt esp-4f21 --as greenhouse --label place=garden
    hardpoint device adopt greenhouse --replace
    """,
)
@click.argument("name")
@click.option("--as", "new_name", metavar="NAME", help="Call it so, instead of as it calls itself.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="May be repeated.")
@click.option("--from", "address", metavar="ADDRESS", help="Which, where several call themselves that.")
@click.option("--replace", is_flag=True, help="It is a device that exists: give that one a new token.")
@json_option
@with_client
def adopt(
    client: Client,
    name: str,
    new_name: str | None,
    labels: tuple[str, ...],
    address: str | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Make a device of one that waits, and give it a token over its own connection.

    The token is printed too, for a device that cannot be told: one that speaks HTTP and never polls for commands, or
    MQTT and has not subscribed to them.
    """
    from .device import parse_labels

    unknown = _find(client, name, address)
    body = {"name": new_name, "labels": parse_labels(labels), "replace": replace}
    made = client.call("POST", "/api/unknown-devices", str(unknown["id"]), "adopt", body=body)
    print(document("device", made) if as_json else made["token"])
    if not as_json:
        told = "its token is on its way to it" if made["told"] else "it is told its token when it asks for commands"
        say(f"adopted {printable(made['name'])}; {told}, and is not shown again")


@click.command("ignore", cls=Command, examples="hardpoint device ignore esp-4f21")
@click.argument("name")
@click.option("--from", "address", metavar="ADDRESS", help="Which, where several call themselves that.")
@with_client
def ignore(client: Client, name: str, address: str | None) -> None:
    """Refuse a device that waits as anybody else, and list it no more. It can still be adopted."""
    unknown = _find(client, name, address)
    client.call("DELETE", "/api/unknown-devices", str(unknown["id"]))
    say(f"ignores {printable(unknown['name'])} from {unknown['address']}")


def _find(client: Client, name: str, address: str | None) -> dict[str, Any]:
    """The one that is meant; a name alone will do where only one has it.

    Raises:
        NotFound: nobody waits under that name.
        BadInput: several do.
    """
    page = client.get("/api/unknown-devices")
    found = [each for each in page["items"] if each["name"] == name and address in (None, each["address"])]
    if not page["enabled"]:
        raise NotFound(OFF, hint="hardpoint serve --adopt")
    if not found:
        raise NotFound(f"nobody waits under the name {name!r}", hint="hardpoint device waiting")
    if len(found) > 1:
        addresses = ", ".join(each["address"] for each in found)
        raise BadInput(f"{len(found)} call themselves {name!r}, at {addresses}", hint="say which: --from ADDRESS")
    return dict(found[0])
