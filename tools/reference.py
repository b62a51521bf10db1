"""Write docs/cli.md and docs/configuration.md from the commands' own help and the settings' own declaration.

python tools/reference.py          write them
python tools/reference.py --check  exit 1 when one is not what it would write
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from hardpoint.cli.main import program
from hardpoint.config import SECTIONS, Setting, settings

DOCS = Path(__file__).resolve().parent.parent / "docs"
WIDTH = 100
NOTE = "<!-- Made by tools/reference.py: change the source it is made from, then run `make docs`. -->\n"

CLI_HEAD = """
# The command line

`hardpoint COMMAND --help` shows what is below. What holds for every command:

- Data goes to stdout, talk to stderr. `--json` prints one JSON document, or one a line for `tail`, whose `schema` names
  its shape (`hardpoint.device.v1`); fields may be added to a schema, never changed.
- An error is `error: …` and, where something can be done, `hint: …`; with `--json` an object on stderr. Exit codes are
  in the first help below. `HARDPOINT_DEBUG=1` shows where an internal error happened.
- Client commands speak to the server of the data folder over `DATA/hardpoint.sock`: whoever may open that file is
  admin. `--server URL` with an API token speaks to a server elsewhere.
- A token on the command line can be read by other users of the machine: prefer `--token-file`, or `-` for stdin.
"""

CONFIGURATION_HEAD = """
# Configuration

Nothing has to be configured. A setting comes from the first of these that has it, and `hardpoint config show` says
which one it was:

1. a flag of `hardpoint serve`; every setting can be given as `--set NAME=VALUE`;
2. the environment: `HARDPOINT_` and the name in capitals, with `__` for the dot;
3. `hardpoint.toml`: `--config FILE`, else `$HARDPOINT_CONFIG`, else the first that exists of `./hardpoint.toml`,
   `$XDG_CONFIG_HOME/hardpoint/hardpoint.toml` and `/etc/hardpoint/hardpoint.toml`. One file counts whole; files are not
   merged;
4. the default.

`hardpoint config check` names the file and line of what is wrong; an unknown setting in the file is an error. An
unknown `HARDPOINT_…` variable that looks like a setting is a warning only, because Kubernetes makes such variables by
itself.
Sizes may be written `64KiB`, times `1.5s`, `2min`, `1h`. A relative path in the file counts from the file's folder.

```toml
# hardpoint.toml
listen = ["line://0.0.0.0:9000", "http://127.0.0.1:8080"]

[host]
interval_s = 30

[limits]
max_line_bytes = "16KiB"
```

`hardpoint config schema` prints the JSON Schema of the file, for editors.
"""

CONFIGURATION_TAIL = """
The data folder is `--data`, else `$HARDPOINT_DATA`, else `data` in the file, else `$STATE_DIRECTORY` (which systemd
sets), else the platform's folder for a user's data, as `~/.local/share/hardpoint`.

A listener URL is `SCHEME://HOST:PORT` or `unix:PATH`, and may be given any number of times. `line`, `http` and
`mqtt` speak plainly, `lines`, `https` and `mqtts` the same over TLS ([TLS](tls.md)), `any` all of it on one port: the
first bytes decide.
`0.0.0.0` is every IPv4 address of the machine, `[::]` every address; port 0 is any free port, which `--ports-file` and
`/api/health` tell.
"""


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """A command and, of a group, all below it, by full name."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found is not None
            yield from commands(found, f"{name} {each}")


def help_of(command: click.Command, name: str) -> str:
    """What ``--help`` prints, at a fixed width."""
    context = command.context_class(command, info_name=name, terminal_width=WIDTH, **command.context_settings)
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


def cli_page() -> str:
    """docs/cli.md."""
    parts = [NOTE + CLI_HEAD]
    for name, command in commands(program, "hardpoint"):
        parts.append(f"## {name}\n\n```text\n{help_of(command, name)}\n```\n")
    return "\n".join(parts)


def configuration_page() -> str:
    """docs/configuration.md."""
    parts = [NOTE + CONFIGURATION_HEAD]
    for section, title in (("", "Top level"), *((name, f"`[{name}]`") for name in SECTIONS)):
        rows = [row(each) for path, each in settings().items() if path.rpartition(".")[0] == section]
        about = ""
        if section:
            about = " ".join((SECTIONS[section].__doc__ or "").replace("``", "`").split()) + "\n\n"
        parts.append(f"## {title}\n\n{about}| setting | default | unit or values | meaning |\n|---|---|---|---|\n")
        parts[-1] += "".join(rows)
        if not section:
            parts[-1] += CONFIGURATION_TAIL
    return "\n".join(parts)


def row(each: Setting) -> str:
    """A setting as a row of its table."""
    default = each.default
    if each.kind == "strings":
        default = "` `".join(each.default)
    elif each.kind == "boolean":
        default = str(each.default).lower()
    elif each.kind == "number":
        default = f"{each.default:g}"
    values = ", ".join(f"`{choice}`" for choice in each.choices) or each.unit
    if each.minimum is not None and each.maximum is not None:
        values = f"{values}, {each.minimum:g} to {each.maximum:.15g}".removeprefix(", ")
    elif each.minimum is not None:
        values = f"{values}, at least {each.minimum:g}".removeprefix(", ")
    shown = f"`{default}`" if default not in (None, "", ()) else ""
    return f"| `{each.path}` | {shown} | {values} | {each.help} |\n"


PAGES = {"cli.md": cli_page, "configuration.md": configuration_page}


def main() -> int:
    """Write or check every page; the exit code."""
    stale = 0
    for name, made in PAGES.items():
        path, text = DOCS / name, made()
        if "--check" in sys.argv[1:]:
            if not path.exists() or path.read_text("utf-8") != text:
                print(f"{path} is not current: run python tools/reference.py", file=sys.stderr)
                stale = 1
        else:
            path.write_text(text, "utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main())
