"""``hardpoint completion``: the Tab key."""

from __future__ import annotations

import click

from .command import Command

SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    cls=Command,
    examples="""
    hardpoint completion bash > ~/.local/share/bash-completion/completions/hardpoint
    hardpoint completion fish > ~/.config/fish/completions/hardpoint.fish
    """,
)
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the script with which a shell completes commands and options."""
    from click.shell_completion import get_completion_class

    from .main import program

    made = get_completion_class(shell)
    assert made is not None  # SHELLS are those that click has
    print(made(program, {}, "hardpoint", "_HARDPOINT_COMPLETE").source())
