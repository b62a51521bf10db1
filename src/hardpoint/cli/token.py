"""``hardpoint token``: API tokens, the keys of programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import NotFound
from .command import Group, json_option
from .connection import with_client
from .moment import Span
from .output import ago, document, iso, now_ms, printable, say, table
from .user import limits, limits_option, limits_shown, role_option

if TYPE_CHECKING:
    from .client import Client

command = Group(
    "token",
    help="List, make and remove API tokens: the keys of programs.",
    examples="""
    hardpoint token add grafana --expires 90d
    hardpoint token ls
    hardpoint token rm grafana
    """,
)


@command.command("ls", examples="hardpoint token ls")
@json_option
@with_client
def ls(client: Client, as_json: bool) -> None:
    """List API tokens by the beginning of each; the whole was shown once."""
    items = client.get("/api/tokens")["items"]
    if as_json:
        print(document("tokens", {"items": items}))
        return
    at = now_ms()
    table(
        ("id", "name", "token", "role", "sees", "ends", "last used"),
        [
            (
                each["id"],
                printable(each["name"]),
                f"{each['prefix']}…",
                each["role"],
                limits_shown(each["labels"]),
                _end(each["expires"], at),
                ago(each["used"], at),
            )
            for each in items
        ],
    )
    if not items:
        say("no API tokens yet: hardpoint token add NAME")


def _end(expires_ms: int | None, at: int) -> str:
    if expires_ms is None:
        return "never"
    return "has ended" if expires_ms <= at else iso(expires_ms)


@command.command(
    "add",
    examples="""
    hardpoint token add grafana --expires 90d
    hardpoint token add node-red --role operator --label site=north
    """,
)
@click.argument("name")
@role_option
@limits_option
@click.option("--expires", "expires_s", type=Span(), metavar="SPAN", help="It opens nothing after this.")
@json_option
@with_client
def add(
    client: Client, name: str, role: str | None, labels: tuple[str, ...], expires_s: float | None, as_json: bool
) -> None:
    """Make an API token and print it, this once: a viewer's, unless --role says more."""
    body: dict[str, Any] = {"name": name, "role": role or "viewer", "labels": limits(labels), "expires_s": expires_s}
    made = client.call("POST", "/api/tokens", body=body)
    if as_json:
        print(document("token", made))
        return
    print(made["token"])
    end = f"until {iso(made['expires'])}" if made["expires"] else "until it is removed"
    say(f"it opens the API as {made['role']} for {limits_shown(made['labels'])}, {end}; it is not shown again")


@command.command("rm", examples="hardpoint token rm grafana")
@click.argument("token")
@with_client
def rm(client: Client, token: str) -> None:
    """Remove an API token, by its id or its name; what it has opened ends."""
    items = client.get("/api/tokens")["items"]
    found = [each for each in items if each["id"] == token] or [each for each in items if each["name"] == token]
    if not found:
        raise NotFound(f"there is no API token {token!r}", hint="hardpoint token ls")
    if len(found) > 1:
        raise click.UsageError(f"{len(found)} tokens are called {token!r}: name one by its id")
    client.call("DELETE", "/api/tokens", found[0]["id"])
    say(f"removed {printable(found[0]['name'])}")
