"""The options that say which server a command talks to, and the client they make."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import BadInput
from .command import Option

if TYPE_CHECKING:
    from .client import Client

R = TypeVar("R")

HEADING = "Which server"


def read_secret(file: Path | None) -> str | None:
    """The first line of a token file, or of stdin for ``-``; None for no file.

    Raises:
        click.UsageError: it cannot be read, or is empty.
    """
    if file is None:
        return None
    try:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--token-file {file}: {getattr(error, 'strerror', None) or error}") from error
    lines = text.split()
    if not lines:
        raise click.UsageError(f"--token-file {file}: it is empty")
    return lines[0]


data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    cls=Option,
    heading=HEADING,
    metavar="DIR",
    help="The data folder of a server on this machine.  [env var: HARDPOINT_DATA]",
)
config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Instead of the first hardpoint.toml found.  [env var: HARDPOINT_CONFIG]",
)
_server_option = click.option(
    "--server",
    cls=Option,
    heading=HEADING,
    metavar="URL",
    help="http://HOST:8080 or unix:PATH of a server elsewhere.  [env var: HARDPOINT_SERVER]",
)
_token_option = click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    cls=Option,
    heading=HEADING,
    metavar="FILE",
    help="An API token for --server; - is stdin.  [env var: HARDPOINT_TOKEN, the token itself]",
)

_ca_option = click.option(
    "--ca",
    type=click.Path(path_type=Path),
    cls=Option,
    heading=HEADING,
    metavar="FILE",
    help="Who signs the certificate of --server https://…, as PEM.  [env var: HARDPOINT_CA]",
)


def with_client(function: Callable[..., R]) -> Callable[..., R]:
    """Give a command ``--data``, ``--server``, ``--token-file`` and ``--ca``, and call it with ``client`` for them.

    Without ``--server`` and ``HARDPOINT_SERVER`` it is the server of the data folder, found as the server itself
    finds it: ``--data``, ``HARDPOINT_DATA``, ``hardpoint.toml``, the default.
    """

    @data_option
    @_server_option
    @_token_option
    @_ca_option
    @wraps(function)
    def command(
        *args: Any, server: str | None, data: Path | None, token_file: Path | None, ca: Path | None, **kwargs: Any
    ) -> R:
        return function(*args, client=make_client(server, data, token_file, ca), **kwargs)

    return command


def make_client(server: str | None, data: Path | None, token_file: Path | None, ca: Path | None = None) -> Client:
    """The client that these options describe. It has not connected yet.

    Raises:
        click.UsageError: two servers are named, or the address or the token cannot be one.
    """
    from .client import Address, Client

    if server and data:
        raise click.UsageError("--server and --data name two servers: give one of them")
    if data is None:
        # Not click's envvar: --data must win over this variable as over its own.
        server = server or os.environ.get("HARDPOINT_SERVER")
    if server:
        secret = read_secret(token_file) or os.environ.get("HARDPOINT_TOKEN")
        environ_ca = os.environ.get("HARDPOINT_CA")
        try:
            address = Address.parse(server)
            if ca and address.scheme != "https":
                raise click.UsageError("--ca is for --server https://HOST")
            return Client(address, secret, ca or (Path(environ_ca) if environ_ca else None))
        except BadInput as error:
            hint = f" ({error.hint})" if error.hint else ""
            raise click.UsageError(f"{error.message}{hint}") from None
    from ..config import load

    return Client(Address(path=str(load({"data": data}).socket_path)))
