"""``hardpoint serve``: start the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..config import Config, Setting, flag_of, load, settings
from ..errors import ConfigError
from .command import Command, Option
from .output import say

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def _serve(config_file: Path | None, sets: tuple[str, ...], **flags: Any) -> None:
    """Start the server, and run until SIGTERM or Ctrl-C. SIGHUP reads the limits, the
    retention and the log level anew.

    Once it accepts connections it prints where it listens: on every address of this machine, and every door needs a
    token. The first start also prints a one-time link to sign in with, and a line that sends a reading.
    """
    import logging

    given = {name: value or None for name, value in flags.items()} | parse_sets(sets)

    def load_config() -> Config:
        return load(given, file=config_file)

    config = load_config()
    logging.basicConfig(level=config.log_level.upper(), format=LOG_FORMAT)
    for warning in config.warnings:
        say(f"warning: {warning}")
    from ..app import Server

    Server(config, reload=load_config).run()


def parse_sets(sets: tuple[str, ...]) -> dict[str, str]:
    """``NAME=VALUE`` of each ``--set``.

    Raises:
        ConfigError: one has no ``=``. An unknown name is found by `config.load`, which knows a near one.
    """
    found = {}
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text!r} has no value", hint="write --set limits.max_line_bytes=16KiB")
        found[name.strip()] = value.strip()
    return found


def _option(each: Setting) -> click.Option:
    """The flag of a setting: its name, help, default and variable come from the one declaration."""
    # click must know neither the variable nor the default: a flag that was not given has to stay apart from them.
    default = " ".join(each.default) if each.kind == "strings" else each.default
    extra = f"env var: {each.variable}" + (f"; default: {default}" if default else "")
    common: dict[str, Any] = {"help": f"{each.help}  [{extra}]", "default": None}
    if each.kind == "boolean":
        common |= {"is_flag": True}
    elif each.kind == "strings":
        common |= {"multiple": True, "metavar": "PATH=MODULE:APP" if each.path == "mount" else "URL"}
    elif each.choices:
        common |= {"type": click.Choice(each.choices)}
    else:
        common |= {"type": str, "metavar": "DIR" if each.path == "data" else "FILE"}
    return Option([flag_of(each.path), each.path], **common)


command = Command(
    "serve",
    callback=_serve,
    help=_serve.__doc__,
    params=[
        *(_option(each) for each in settings().values() if "." not in each.path),
        Option(
            ["--config", "config_file"],
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Read this file instead of the first hardpoint.toml found.  [env var: HARDPOINT_CONFIG]",
        ),
        Option(
            ["--set", "sets"],
            multiple=True,
            metavar="NAME=VALUE",
            help="Any setting of 'hardpoint config show'.",
        ),
    ],
    examples="""
    hardpoint serve
    hardpoint serve --data ./data --listen line://127.0.0.1:9000 --listen http://127.0.0.1:8080
    hardpoint serve --set limits.max_line_bytes=16KiB --set host.enabled=false
    """,
)
