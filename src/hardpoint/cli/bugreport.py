"""``hardpoint bugreport``: all that helps to find a fault, in one file without secrets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import BadInput, HardpointError
from .command import Command, json_option
from .connection import with_client
from .output import document, printable, say, size, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .client import Client


@click.command(
    "bugreport",
    cls=Command,
    examples="""
    hardpoint bugreport
    hardpoint bugreport --hide-names /tmp/report.tar.gz
    hardpoint bugreport --server http://192.168.1.20:8080 --token-file token
    """,
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--hide-names", is_flag=True, help="Leave out names of devices, and all foreign text in the log.")
@json_option
@with_client
def command(client: Client, file: Path | None, hide_names: bool, as_json: bool) -> None:
    """Write what helps to find a fault to FILE, and list what is in it.

    Versions, health, counters, settings and the last lines of the server's log, and what 'hardpoint doctor' finds on
    this machine. No token, no password, no reading. Without FILE it is hardpoint-TIME.tar.gz in the current folder.
    Where no server answers, it is what can be had without one.
    """
    import time

    from ..web import diagnostics
    from .store_copy import write_whole

    now_s = time.time()
    file = file or Path(diagnostics.file_name(now_s))
    if file.exists():
        raise BadInput(f"{file} exists already", hint="name another file, or remove that one")
    parts = _of_server(client, hide_names)
    if client.address.path:
        parts |= _of_machine(Path(client.address.path).parent, parts, hide_names)
    written = write_whole(file, [diagnostics.pack(parts, now_s)], lambda _: None)
    sizes = {name: len(content) for name, content in parts.items()}
    if as_json:
        print(document("bugreport", {"file": str(file), "bytes": written, "names": not hide_names, "parts": sizes}))
        return
    table(("part", "size"), [(name, size(count)) for name, count in sizes.items()])
    say(f"{printable(str(file))}: {size(written)}. Look through it before you give it away: tar -xzf {file}")


def _of_server(client: Client, hide_names: bool) -> dict[str, bytes]:
    """The parts that the server has made. One on this machine that does not answer is what the report is about, and
    the rest is made without it.

    Raises:
        HardpointError: one elsewhere gives nothing, and there is nothing else to be had.
    """
    from ..web import diagnostics

    query = {"names": "hidden"} if hide_names else None
    try:
        with client.stream("GET", "/api/system/bundle", query=query) as content:
            data = b"".join(_bounded(content, diagnostics.MAX_BYTES))
        return diagnostics.unpack(data)
    except ValueError as error:
        raise HardpointError(f"what answers at {client.address} sent {error}") from error
    except HardpointError as error:
        if not client.address.path:
            raise
        say(f"without the server's part, and so without its log: {error.message}")
        return {"README.txt": diagnostics.readme(hide_names=hide_names)}


def _bounded(pieces: Iterable[bytes], most: int) -> Iterable[bytes]:
    came = 0
    for piece in pieces:
        came += len(piece)
        if came > most:
            raise ValueError("more than a diagnostics bundle has")
        yield piece


def _of_machine(data: Path, parts: dict[str, bytes], hide_names: bool) -> dict[str, bytes]:
    """What this command sees by itself: the doctor's checks, and where no server has said so versions and settings."""
    import platform
    import sqlite3
    from dataclasses import asdict

    from .. import __version__
    from ..config import load
    from ..web import diagnostics
    from .checks import run_checks

    config = load({"data": data})
    checks: list[dict[str, Any]] = [asdict(check) for check in run_checks(config)]
    found = {"doctor.json": diagnostics.as_json({"checks": checks})}
    if "about.json" not in parts:
        about = {
            "version": __version__,
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "platform": platform.platform(),
        }
        found["about.json"] = diagnostics.as_json(about)
        listed = diagnostics.listed_settings(config)
        found["settings.json"] = diagnostics.settings_part(listed, hide_names=hide_names)
    return found
