"""``hardpoint config``: each setting, its value and where that came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..config import Config, load, settings
from .command import Group, json_option
from .connection import config_option
from .output import document, say, table

command = Group(
    "config",
    help="Show the settings and where each came from, or check a file.",
    examples="""
    hardpoint config show
    hardpoint config check /etc/hardpoint/hardpoint.toml
    hardpoint config schema > hardpoint.schema.json
    """,
)


@command.command(
    "show",
    examples="""
    hardpoint config show
    hardpoint config show limits
    HARDPOINT_LOOP=asyncio hardpoint config show loop
    """,
)
@click.argument("prefix", default="")
@config_option
@json_option
def show(prefix: str, config_file: Path | None, as_json: bool) -> None:
    """Show every setting, or those whose name starts with PREFIX: value, unit, and where it came from."""
    config = load(file=config_file)
    paths = [path for path in settings() if path.startswith(prefix)]
    if not paths:
        raise click.UsageError(f"no setting starts with {prefix!r}")
    if as_json:
        body = {path: {"value": plain(config, path), "origin": str(config.origin(path))} for path in paths}
        print(document("config", {"file": str(config.file) if config.file else None, "settings": body}))
        return
    rows = [(path, _cell(plain(config, path)), settings()[path].unit, str(config.origin(path))) for path in paths]
    table(("setting", "value", "unit", "from"), rows)


def plain(config: Config, path: str) -> Any:
    """A setting's value as JSON has it."""
    value = config.value(path)
    if isinstance(value, tuple):
        return tuple(str(each) for each in value)
    return str(value) if isinstance(value, Path) else value


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return " ".join(value)
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


@command.command(
    "check",
    examples="""
    hardpoint config check
    hardpoint config check ./hardpoint.toml
    """,
)
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
def check(file: Path | None) -> None:
    """Check FILE and the environment without starting anything. Exits 78 and says where when one is wrong."""
    config = load(file=file)
    for warning in config.warnings:
        say(f"warning: {warning}")
    print(f"ok: {config.file or 'no file, the defaults and the environment'}")


@command.command("schema", examples="hardpoint config schema > hardpoint.schema.json")
def schema() -> None:
    """Print the JSON Schema of hardpoint.toml, for an editor that checks and completes it."""
    import msgspec

    from .schema import schema as made

    print(msgspec.json.format(msgspec.json.encode(made()), indent=2).decode())
