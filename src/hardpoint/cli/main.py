"""The ``hardpoint`` program: finds the command, and turns whatever ends it into a message and an exit code."""

from __future__ import annotations

import codecs
import errno
import os
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, NoReturn

import click

from ..errors import HardpointError
from .command import HELP_SETTINGS, Group

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "Run": ("serve", "agent"),
    "Devices": ("connect", "device", "send", "tail", "readings", "tap", "replay", "firmware"),
    "Rules": ("rule", "alert", "channel"),
    "People": ("user", "token", "activity"),
    "Messages": ("pub", "sub"),
    "History": ("store",),
    "See how it is": ("status", "health", "doctor", "bugreport", "lab"),
    "Set up": ("config", "tls", "completion", "version"),
}
"""Heading in the help → commands. Each is ``command`` in the module of its name, imported when it is called."""

EXIT_CODES = {
    0: "done",
    1: "it failed",
    2: "the call was wrong",
    69: "the server could not be reached, or is not well",
    73: "an address or folder is taken",
    75: "timed out, or too many requests: try again",
    77: "refused: no token, a wrong one, or one that may not do this",
    78: "the configuration is wrong",
    130: "interrupted",
}
"""The numbers of sysexits.h where it has one."""
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Program(Group):
    """The top-level group. It imports a command's module only when that command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names in the order of the help."""
        return [name for names in COMMANDS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in self.list_commands(ctx):
            return None
        found: click.Command = import_module(f"hardpoint.cli.{cmd_name}").command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, but a name that is none is answered with the nearest one that is."""
        from difflib import get_close_matches

        names = self.list_commands(ctx)
        if args[0] not in names:
            close = get_close_matches(args[0], names, n=1)
            raise click.UsageError(
                f"no such command {args[0]!r}" + (f": did you mean {close[0]!r}?" if close else ""), ctx
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands under their headings, and the exit codes."""
        for heading, names in COMMANDS.items():
            found = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(heading):
                formatter.write_dl([(name, each.get_short_help_str(100)) for name, each in found if each])
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])


def _print_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from .. import __version__

        click.echo(f"hardpoint {__version__}")
        ctx.exit()


program = Program(
    name="hardpoint",
    context_settings=HELP_SETTINGS,
    help="The server that hardware attaches to.",
    examples="""
    hardpoint serve                    start the server with its embedded defaults
    hardpoint connect greenhouse       make a device and see its first reading arrive
    hardpoint tail                     watch every reading live
    """,
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_print_version,
            help="Show the version.",
        )
    ],
)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the program with ``sys.argv`` or these arguments, and end the process with its exit code."""
    codecs.register_error("hardpoint-escape", _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # None without one (`>&-`)
            stream.reconfigure(errors="hardpoint-escape")
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def _escaped(error: UnicodeError) -> tuple[str, int]:
    r"""What an output's encoding has no character for (`LC_ALL=de_DE`, `PYTHONIOENCODING=ascii`), and half of a
    surrogate pair in any: as ``\u00e4``. Python's own ``backslashreplace`` writes ``\xe4``, which is no JSON.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4)), error.end


def run(argv: Sequence[str]) -> int:
    """Run one command to its end; errors are reported on stderr. Returns the exit code."""
    as_json = "--json" in argv
    try:
        ended = program.main(list(argv), prog_name="hardpoint", standalone_mode=False)
        print(end="", flush=True)  # also without a stdout (`>&-`), where there is nothing to flush
    except HardpointError as error:
        return _report(as_json, error.exit_code, error.code, error.message, error.hint)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "hardpoint"
        return _report(as_json, 2, "usage", error.format_message(), f"{path} --help")
    except click.ClickException as error:
        return _report(as_json, error.exit_code, "failed", error.format_message(), None)
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nobody to tell. click ends the same way when it is a write
        # within the command that finds it out. Python flushes stdout once more at exit: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get("HARDPOINT_DEBUG"):
            raise
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            what = f"{error.filename or 'the output'} cannot be written: {os.strerror(error.errno)}"
            return _report(as_json, 1, "storage_full", what, None)
        if isinstance(error, OSError) and error.filename and error.strerror:  # a name that no file can have, say
            return _report(as_json, 1, "failed", f"{os.fsdecode(error.filename)}: {error.strerror}", None)
        what = f"{type(error).__name__}: {error}"
        return _report(as_json, 1, "internal", what, "HARDPOINT_DEBUG=1 shows where it happened")
    return ended if isinstance(ended, int) else 0


def _report(as_json: bool, exit_code: int, code: str, message: str, hint: str | None) -> int:
    if as_json:
        from .output import document

        error = {"code": code, "message": message, "hint": hint, "exit_code": exit_code}
        print(document("error", {"error": error}), file=sys.stderr)
    else:
        print(f"error: {message}", file=sys.stderr)
        if hint:
            print(f"hint: {hint}", file=sys.stderr)
    return exit_code
