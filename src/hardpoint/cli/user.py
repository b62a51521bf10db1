"""``hardpoint user``: people who may sign in, what they may do, and where they are signed in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .command import Group, json_option
from .connection import with_client
from .output import ago, document, iso, now_ms, printable, say, table

if TYPE_CHECKING:
    from .client import Client

ROLES = ("viewer", "operator", "admin")

command = Group(
    "user",
    help="List, add, change and remove people who may sign in, and end their sessions.",
    examples="""
    hardpoint user ls
    hardpoint user add bob --role operator --label site=north
    hardpoint user sessions bob
    """,
)

role_option = click.option("--role", type=click.Choice(ROLES), help="What they may do.")
limits_option = click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="KEY[=VALUE]",
    help="See only devices with one of these; may be repeated.",
)
password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from stdin instead of asking for it."
)


def limits(labels: tuple[str, ...]) -> list[str]:
    """Labels as the API has them: ``key:value``, or ``key``."""
    return [label.replace("=", ":", 1) for label in labels]


def limits_shown(labels: list[str]) -> str:
    """Labels as they are written here."""
    return ", ".join(printable(label.replace(":", "=", 1)) for label in labels) or "all devices"


def _password(from_stdin: bool) -> str:
    if from_stdin or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return asked


@command.command("ls", examples="hardpoint user ls")
@json_option
@with_client
def ls(client: Client, as_json: bool) -> None:
    """List people: role, limits, and when they were here last."""
    items = client.get("/api/users")["items"]
    if as_json:
        print(document("users", {"items": items}))
        return
    at = now_ms()
    table(
        ("name", "role", "sees", "sessions", "last used"),
        [
            (
                printable(each["name"]) + (" (may not sign in)" if each["disabled"] else ""),
                each["role"],
                limits_shown(each["labels"]),
                str(each["sessions"]),
                ago(each["used"], at),
            )
            for each in items
        ],
    )
    if not items:
        say("nobody has a password yet: open the link that 'hardpoint serve' printed, or hardpoint user add NAME")


@command.command(
    "add",
    examples="""
    hardpoint user add bob --role operator --label site=north
    hardpoint user add ada --role admin --password-stdin < password.txt
    """,
)
@click.argument("name")
@role_option
@limits_option
@password_option
@json_option
@with_client
def add(
    client: Client, name: str, role: str | None, labels: tuple[str, ...], password_stdin: bool, as_json: bool
) -> None:
    """Add a person: a viewer, unless --role says more. The first password is asked for."""
    body = {"name": name, "role": role or "viewer", "labels": limits(labels), "password": _password(password_stdin)}
    made = client.call("POST", "/api/users", body=body)
    if as_json:
        print(document("user", made))
    else:
        say(f"{printable(made['name'])} may sign in as {made['role']} and sees {limits_shown(made['labels'])}")


@command.command(
    "set",
    examples="""
    hardpoint user set bob --role viewer
    hardpoint user set bob --all-devices
    hardpoint user set bob --disable
    hardpoint user set bob --password
    """,
)
@click.argument("name")
@role_option
@limits_option
@click.option("--all-devices", is_flag=True, help="End the limit to labels.")
@click.option("--disable/--enable", "disabled", default=None, help="May not sign in any more, or may again.")
@click.option("--password", "new_password", is_flag=True, help="Give them a new password, which is asked for.")
@password_option
@json_option
@with_client
def change(
    client: Client,
    name: str,
    role: str | None,
    labels: tuple[str, ...],
    all_devices: bool,
    disabled: bool | None,
    new_password: bool,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Change a person's role, limits or password, or whether they may sign in."""
    body: dict[str, Any] = {}
    if role is not None:
        body["role"] = role
    if labels or all_devices:
        if labels and all_devices:
            raise click.UsageError("--label and --all-devices contradict one another")
        body["labels"] = limits(labels)
    if disabled is not None:
        body["disabled"] = disabled
    if new_password or password_stdin:
        body["password"] = _password(password_stdin)
    if not body:
        raise click.UsageError("say what to change: --role, --label, --all-devices, --disable, --enable or --password")
    changed = client.call("PATCH", "/api/users", name, body=body)
    if as_json:
        print(document("user", changed))
    else:
        state = "may not sign in" if changed["disabled"] else f"is {changed['role']}"
        say(f"{printable(changed['name'])} {state} and sees {limits_shown(changed['labels'])}")


@command.command("rm", examples="hardpoint user rm bob")
@click.argument("name")
@with_client
def rm(client: Client, name: str) -> None:
    """Remove a person; their sessions end. The last admin stays."""
    client.call("DELETE", "/api/users", name)
    say(f"removed {printable(name)}")


@command.command(
    "sessions",
    examples="""
    hardpoint user sessions
    hardpoint user sessions bob --end
    """,
)
@click.argument("name", required=False)
@click.option("--end", is_flag=True, help="End all of this person's sessions.")
@json_option
@with_client
def sessions(client: Client, name: str | None, end: bool, as_json: bool) -> None:
    """List who is signed in, from where and with what; or end all sessions of a person."""
    if end:
        if name is None:
            raise click.UsageError("say whose sessions are to end")
        client.call("DELETE", "/api/sessions", query={"user": name})
        say(f"{printable(name)} is signed out everywhere")
        return
    items = client.get("/api/sessions", query={"user": name or "*"})["items"]
    if as_json:
        print(document("sessions", {"items": items}))
        return
    at = now_ms()
    table(
        ("name", "signed in", "last used", "from", "with"),
        [
            (
                printable(each["user"]),
                iso(each["created"]),
                ago(each["used"], at),
                each["address"],
                printable(each["agent"])[:60],
            )
            for each in items
        ],
    )
