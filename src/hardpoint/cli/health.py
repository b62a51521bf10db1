"""``hardpoint health``: one word and an exit code, for supervisors and containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..errors import ServerUnreachable
from .command import Command, json_option
from .connection import with_client
from .output import document

if TYPE_CHECKING:
    from .client import Client


@click.command(
    "health",
    cls=Command,
    examples="""
    hardpoint health
    hardpoint health --server http://127.0.0.1:8080 && echo up
    """,
)
@json_option
@with_client
def command(client: Client, as_json: bool) -> int:
    """Ask whether the server is well: prints ok, or exits 69."""
    health = client.health()
    print(document("health", health) if as_json else health["status"])
    return 0 if health["status"] == "ok" else ServerUnreachable.exit_code
