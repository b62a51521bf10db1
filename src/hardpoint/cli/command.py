"""What every command is made of: help that shows examples first, and options under headings."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

import click

HELP_SETTINGS: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
    "show_default": True,
    "auto_envvar_prefix": None,
}


class Option(click.Option):
    """An option shown under a heading of its own in the help."""

    def __init__(self, *args: Any, heading: str = "Options", **kwargs: Any) -> None:
        super().__init__(*args, **{"show_envvar": True, **kwargs})
        self.heading = heading


class _Laid(click.Command):
    """Help in the order: usage, examples, what it does, options under their headings."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        kwargs["context_settings"] = HELP_SETTINGS | (kwargs.get("context_settings") or {})
        super().__init__(*args, **kwargs)
        self.examples = cleandoc(examples)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the whole help."""
        self.format_usage(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                # As they are written: click would wrap them like prose.
                indent = " " * formatter.current_indent
                formatter.write("".join(f"{indent}{line}\n" for line in self.examples.splitlines()))
        self.format_help_text(ctx, formatter)
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options by heading, those without one first; then a group's commands."""
        headings: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            # Arguments are in the usage line and in the text; click would list them once more.
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                headings.setdefault(getattr(parameter, "heading", "Options"), []).append(record)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)
        for heading, records in headings.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


class Command(_Laid):
    """One verb."""


class Group(_Laid, click.Group):
    """A noun with verbs under it. Alone it prints its help, which is no error."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does it, but for no arguments at all."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON that names its schema.")
