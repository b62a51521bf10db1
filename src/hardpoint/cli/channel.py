"""``hardpoint channel``: how people are told of alerts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import BadInput
from .channel_quiet import command as quiet
from .command import Group, json_option
from .connection import with_client
from .output import ago, document, now_ms, printable, say, shown, table
from .rule import find_channel

if TYPE_CHECKING:
    from .client import Client

SEND_TIMEOUT_S = 40.0
"""A little longer than the server gives a receiver."""

command = Group(
    "channel",
    help="List, add, test and remove ways to tell people, and see what was told.",
    examples="""
    hardpoint channel add phone --kind ntfy --set topic=my-greenhouse
    hardpoint channel test phone
    hardpoint channel log
    """,
)
command.add_command(quiet)


@command.command("ls", examples="hardpoint channel ls")
@json_option
@with_client
def ls(client: Client, as_json: bool) -> None:
    """List channels. Secrets are not shown."""
    found = client.get("/api/channels")
    if as_json:
        print(document("channels", {"items": found["items"], "kinds": found["kinds"]}))
        return
    table(
        ("channel", "name", "kind", "settings"),
        [(each["id"], each["name"], each["kind"], _settings(each["settings"])) for each in found["items"]],
    )
    if not found["items"]:
        say(f"no channels yet: hardpoint channel add NAME --kind {'|'.join(found['kinds'])}")


def _settings(settings: dict[str, Any]) -> str:
    return " ".join(
        f"{name}={'(secret)' if value is None else shown(value, 40)}"
        for name, value in settings.items()
        if value not in ("", {}, [])
    )


@command.command(
    "add",
    examples="""
    hardpoint channel add phone --kind ntfy --set topic=my-greenhouse
    hardpoint channel add desk --kind webhook --set url=https://example.org/hook --set-file secret=hook.key
    hardpoint channel add mail --kind mail --set host=mail.example.org --set sender=hub@example.org \\
        --set to=ada@example.org --set user=hub --set-file password=mail.key
    """,
)
@click.argument("name")
@click.option("--kind", required=True, help="webhook, mail, ntfy, telegram, apprise or mqtt.")
@click.option("--set", "given", multiple=True, metavar="SETTING=VALUE", help="May be repeated.")
@click.option(
    "--set-file",
    "files",
    multiple=True,
    metavar="SETTING=PATH",
    help="The value is the first line of a file, - for stdin: for secrets, which others could read in a command line.",
)
@json_option
@with_client
def add(client: Client, name: str, kind: str, given: tuple[str, ...], files: tuple[str, ...], as_json: bool) -> None:
    """Make a channel. VALUE is JSON where it is a list or an object, else text or a number."""
    settings = {key: _value(value) for key, value in (_pair(each) for each in given)}
    settings |= {key: _first_line(path) for key, path in (_pair(each) for each in files)}
    made = client.call("POST", "/api/channels", body={"name": name, "kind": kind, "settings": settings})
    if as_json:
        print(document("channel", made))
    else:
        print(made["id"])
        say(f"see whether it works: hardpoint channel test {made['id']}")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{text!r}: write SETTING=VALUE")
    return name, value


def _value(text: str) -> Any:
    if text.isascii() and text.isdigit():
        return int(text)
    if text[:1] in ("[", "{"):
        import msgspec

        try:
            return msgspec.json.decode(text)
        except msgspec.MsgspecError as error:
            raise BadInput(f"{text[:80]!r} is not JSON: {error}") from error
    return text


def _first_line(path: str) -> str:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")
    except (OSError, UnicodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from error
    return text.partition("\n")[0].strip()


@command.command("test", examples="hardpoint channel test phone")
@click.argument("channel")
@json_option
@with_client
def test(client: Client, channel: str, as_json: bool) -> None:
    """Send a test over a channel now, and print what the receiver said. Exits 1 when it was not taken."""
    found = find_channel(client, channel)
    said = client.call("POST", "/api/channels", found["id"], "test", timeout_s=SEND_TIMEOUT_S)
    if as_json:
        print(document("channel-test", said))
    else:
        print(printable(said["said"]))


@command.command("rm", examples="hardpoint channel rm phone")
@click.argument("channel")
@with_client
def rm(client: Client, channel: str) -> None:
    """Remove a channel that no rule uses. What is under way over it is dropped."""
    client.call("DELETE", "/api/channels", find_channel(client, channel)["id"])
    say(f"removed {printable(channel)}")


@command.command("log", examples="hardpoint channel log --limit 20")
@click.option("--limit", type=click.IntRange(1, 500), default=50, help="At most so many, the newest.")
@json_option
@with_client
def log(client: Client, limit: int, as_json: bool) -> None:
    """Show what was told over which channel: tries, reasons, and what is still under way."""
    page = client.get("/api/deliveries", query={"limit": limit})
    if as_json:
        print(document("deliveries", {"items": page["items"], "next_cursor": page["next_cursor"]}))
        return
    at = now_ms()
    table(
        ("delivery", "channel", "alert", "event", "state", "tries", "last", "created"),
        [
            (
                str(each["id"]),
                each["channel"],
                str(each["alert"]),
                each["event"],
                each["state"],
                str(each["attempts"]),
                each["steps"][-1]["reason"] or "" if each["steps"] else "",
                ago(each["created"], at),
            )
            for each in page["items"]
        ],
    )
