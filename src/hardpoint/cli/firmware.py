"""``hardpoint firmware``: packages that devices fetch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import NotFound
from .command import Group, json_option
from .connection import with_client
from .output import ago, document, now_ms, printable, say, table

if TYPE_CHECKING:
    from .client import Client

UPLOAD_TIMEOUT_S = 600.0

command = Group(
    "firmware",
    help="List, add, give to devices and remove packages of firmware.",
    examples="""
    hardpoint firmware add build/pump.bin --title pump --version 1.3
    hardpoint firmware give pump 1.3 north-pump south-pump
    """,
)
kind_option = click.option(
    "--software", "kind", flag_value="sw", default="fw", help="Other software instead of firmware (sw_… attributes)."
)


@command.command("ls", examples="hardpoint firmware ls")
@json_option
@with_client
def ls(client: Client, as_json: bool) -> None:
    """List the packages."""
    items = client.get("/api/packages")["items"]
    if as_json:
        print(document("packages", {"items": items}))
        return
    at = now_ms()
    table(
        ("kind", "title", "version", "bytes", "file", "added"),
        [
            (
                *(each[name] for name in ("kind", "title", "version")),
                f"{each['size']:,}",
                each["file_name"],
                ago(each["created"], at),
            )
            for each in items
        ],
    )
    if not items:
        say("no packages yet: hardpoint firmware add FILE --title T --version V")


@command.command("add", examples="hardpoint firmware add build/pump.bin --title pump --version 1.3")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--title", required=True, help="What it is for; a device knows it as fw_title.")
@click.option("--version", required=True)
@kind_option
@json_option
@with_client
def add(client: Client, file: Path, title: str, version: str, kind: str, as_json: bool) -> None:
    """Upload a package."""
    query = {"kind": kind, "title": title, "version": version, "file_name": file.name}
    made = client.call("POST", "/api/packages", query=query, body=file.read_bytes(), timeout_s=UPLOAD_TIMEOUT_S)
    if as_json:
        print(document("package", made))
    else:
        say(f"stored {printable(title)} {printable(version)}, {made['size']:,} bytes, SHA-256 {made['sha256']}")


@command.command("give", examples="hardpoint firmware give pump 1.3 north-pump south-pump")
@click.argument("title")
@click.argument("version")
@click.argument("devices", nargs=-1, required=True)
@kind_option
@with_client
def give(client: Client, title: str, version: str, devices: tuple[str, ...], kind: str) -> None:
    """Tell devices to fetch a package, by their shared attributes."""
    package = _find(client, kind, title, version)["id"]
    for device in devices:
        client.call("PUT", "/api/devices", device, "packages", kind, body={"package": package})
        say(f"{printable(device)} is to have {printable(title)} {printable(version)}")


@command.command("withdraw", examples="hardpoint firmware withdraw north-pump")
@click.argument("devices", nargs=-1, required=True)
@kind_option
@with_client
def withdraw(client: Client, devices: tuple[str, ...], kind: str) -> None:
    """Let devices fetch nothing: what is to be fetched is taken out of their shared attributes."""
    for device in devices:
        client.call("PUT", "/api/devices", device, "packages", kind, body={"package": None})
        say(f"{printable(device)} is to have none")


@command.command("rm", examples="hardpoint firmware rm pump 1.2")
@click.argument("title")
@click.argument("version")
@kind_option
@with_client
def rm(client: Client, title: str, version: str, kind: str) -> None:
    """Remove a package. Devices that are to have it find it no more."""
    client.call("DELETE", "/api/packages", _find(client, kind, title, version)["id"])
    say(f"removed {printable(title)} {printable(version)}")


def _find(client: Client, kind: str, title: str, version: str) -> Any:
    for each in client.get("/api/packages")["items"]:
        if (each["kind"], each["title"], each["version"]) == (kind, title, version):
            return each
    raise NotFound(f"there is no package {title} {version}: see hardpoint firmware ls")
