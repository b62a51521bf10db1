"""``hardpoint agent``: this machine's hardware, attached to a server on another."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ..config import LISTEN_PORTS, LoopName, default_data
from ..errors import BadInput
from .command import Command, Option
from .connection import read_secret
from .moment import FiniteRange
from .serve import LOG_FORMAT

AGENT_FOLDER = "agent"
"""Below the platform's data folder: a server on the same machine keeps its own files beside it."""


@click.command(
    "agent",
    cls=Command,
    examples="""
    hardpoint agent --server 192.168.1.20 --token-file ~/.hardpoint-token
    hardpoint agent --server 192.168.1.20:9000 --token hp_… --interval 60
    hardpoint agent --server lines://hub.local --ca ca.pem --token-file ~/.hardpoint-token
    """,
)
@click.option(
    "--server", required=True, metavar="HOST[:PORT]", help="The server's line listener; lines://HOST is one over TLS."
)
@click.option("--token", cls=Option, envvar="HARDPOINT_TOKEN", metavar="TOKEN", help="The device's token.")
@click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE", help="A file with it; - is stdin.")
@click.option(
    "--ca", type=click.Path(path_type=Path), metavar="FILE", help="Over TLS: who signs the server's certificate."
)
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Where unsent readings wait."
)
@click.option("--interval", "interval_s", type=FiniteRange(1, 86_400), default=10.0, help="Seconds between readings.")
@click.option(
    "--loop", type=click.Choice(["hardpoint", "asyncio", "uvloop"]), default="hardpoint", help="The event loop."
)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", help="To stderr."
)
def command(
    server: str,
    token: str | None,
    token_file: Path | None,
    ca: Path | None,
    data: Path | None,
    interval_s: float,
    loop: LoopName,
    log_level: str,
) -> None:
    """Attach this machine's sensors to a server elsewhere, as the device whose token it is.

    Make the device on the server first: hardpoint device add NAME prints its token. While the server is away,
    readings are kept on disk; they are sent in order, with their own times, when it is back.
    """
    import logging

    secret = read_secret(token_file) or token
    if not secret:
        raise click.UsageError("the device's token is missing: --token-file FILE, or HARDPOINT_TOKEN")
    try:
        host, port, tls = parse_server(server)
    except BadInput as error:
        raise click.UsageError(f"{error.message} ({error.hint})") from None
    if ca and not tls:
        raise click.UsageError("--ca is for a server that speaks TLS: --server lines://HOST[:PORT]")
    logging.basicConfig(level=log_level.upper(), format=LOG_FORMAT)
    from ..agent import AgentSettings, run_agent

    folder = data or Path(os.environ.get("HARDPOINT_DATA") or default_data()) / AGENT_FOLDER
    run_agent(
        AgentSettings(host=host, port=port, token=secret, data=folder, interval_s=interval_s, loop=loop, tls=tls, ca=ca)
    )


def parse_server(text: str) -> tuple[str, int, bool]:
    """Host, port, and whether TLS is spoken, of ``HOST``, ``HOST:PORT``, ``[::1]:PORT``, or any of them after
    ``line://`` or ``lines://``.

    Raises:
        BadInput: something else.
    """
    from urllib.parse import urlsplit

    scheme, separator, rest = text.partition("://")
    if scheme not in ("line", "lines") or not separator:
        scheme, rest = "line", text
    try:
        parts = urlsplit("//" + rest)
        port = parts.port
        # As the look-up of its address will want it; "a..b" is no name. UnicodeError is a ValueError.
        (parts.hostname or "").encode("idna")
    except ValueError:
        raise _no_server(text) from None
    if not parts.hostname or parts.path or parts.query or parts.username is not None:
        raise _no_server(text)
    return parts.hostname, LISTEN_PORTS[scheme] if port is None else port, scheme == "lines"


def _no_server(text: str) -> BadInput:
    return BadInput(f"--server {text!r} is not a host and a port", hint="write 192.168.1.20:9000")
