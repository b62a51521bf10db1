"""``hardpoint lab``: the I/O models side by side on this machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .command import Command, json_option
from .moment import FiniteRange
from .output import document, say, table

if TYPE_CHECKING:
    from ..lab.experiment import Progress

MODELS = ("threads", "busy", "select", "poll", "epoll")
"""As in lab/models.py, which is not imported for a help text; a test compares them."""
MAX_CONNECTIONS = 100_000
MAX_ACTIVE = 512
MAX_RATE = 10_000
MAX_SECONDS = 20
SAY_EVERY_S = 10.0
"""Without a terminal there is no bar but a line now and then."""


class Names(click.ParamType):  # type: ignore[type-arg] # generic from click 8.4 on only
    """Names of models, separated by commas."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Each name once, in the models' own order."""
        given = [name.strip() for name in value.split(",")]
        wrong = [name for name in given if name not in MODELS]
        if wrong:
            self.fail(f"no model {wrong[0]!r}; there are {', '.join(MODELS)}", param, ctx)
        return tuple(name for name in MODELS if name in given)


class Counts(click.ParamType):  # type: ignore[type-arg]
    """Numbers of connections, separated by commas."""

    name = "counts"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The numbers, ascending."""
        try:
            counts = sorted({int(each) for each in value.split(",")})
        except ValueError:
            self.fail(f"{value!r} is not numbers with commas between them", param, ctx)
        if counts[0] < 1 or counts[-1] > MAX_CONNECTIONS:
            self.fail(f"each must be 1 to {MAX_CONNECTIONS:,}", param, ctx)
        return tuple(counts)


@click.command(
    "lab",
    cls=Command,
    examples="""
    hardpoint lab --chart models.svg
    hardpoint lab --models poll,epoll --connections 100,1000,10000
    """,
)
@click.option("--models", type=Names(), default=",".join(MODELS), help="Which ones.")
@click.option(
    "--connections", type=Counts(), default="10,100,1000,5000,15000", help="Numbers of idle connections to measure at."
)
@click.option("--active", type=click.IntRange(1, MAX_ACTIVE), default=64, help="Connections that send lines.")
@click.option("--rate", type=click.IntRange(1, MAX_RATE), default=128, help="Lines a second over all of them.")
@click.option(
    "--seconds", type=FiniteRange(0.1, MAX_SECONDS), default=2.0, help="Under load for each model and number."
)
@click.option(
    "--chart",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="FILE.svg",
    help="Draw the results into this file.",
)
@json_option
def command(
    models: tuple[str, ...],
    connections: tuple[int, ...],
    active: int,
    rate: int,
    seconds: float,
    chart: Path | None,
    as_json: bool,
) -> None:
    """Measure five ways to wait for many connections, on this machine.

    The same line service runs as blocking threads, busy polling, and Hardpoint's own loop on select, poll and epoll,
    each in a process of its own under the same load. Takes about a minute. Docs: docs/io-models.md
    """
    from ..lab.experiment import Plan, fitted, run

    if chart is not None:
        check_chart(chart)
    plan = fitted(Plan(models, connections, active, rate, seconds))
    if not as_json:
        for note in plan.notes:
            say(note)
    with shown(quiet=as_json) as progress:
        results = run(plan, progress)
    if chart is not None:
        from ..lab.chart import chart as drawn

        chart.write_text(drawn(results), "utf-8")
    if as_json:
        print(document("lab", {**asdict(results), "notes": plan.notes}))
        return
    print_results(results)
    say(f"chart: {chart}" if chart else "hardpoint lab --chart models.svg draws it")


def check_chart(chart: Path) -> None:
    """Refuse at once what would fail after a minute.

    Raises:
        click.UsageError: not a name or a folder that an SVG file can be written to.
    """
    if chart.suffix != ".svg":
        raise click.UsageError(f"--chart writes SVG: {chart.name!r} does not end in .svg")
    if not chart.absolute().parent.is_dir():
        raise click.UsageError(f"--chart: there is no folder {chart.absolute().parent}")


def print_results(results: Any) -> None:
    """Both tables, and where models stopped."""
    from ..lab.report import COLUMNS, SUMMARY_COLUMNS, rows, stop_lines, summary

    print(f"{results.machine}. Temperature: {results.sensor}.")
    print(f"{results.active} active connections, {results.rate:,} lines a second in all.\n")
    table(COLUMNS, rows(results))
    print()
    table(SUMMARY_COLUMNS, summary(results))
    stops = stop_lines(results)
    if stops:
        print("\nWhere it stops")
        for line in stops:
            print(f"  {line}")


@contextmanager
def shown(*, quiet: bool) -> Iterator[Progress]:
    """Something to tell the progress to: a bar on a terminal, else a line every `SAY_EVERY_S`."""
    if quiet:
        yield lambda _what, _done, _total: None
    elif sys.stderr.isatty():
        with bar() as progress:
            yield progress
    else:
        yield spoken()


def spoken() -> Progress:
    """Progress in lines on stderr."""
    said_at = time.monotonic()

    def progress(what: str, done: int, total: int) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= SAY_EVERY_S:
            said_at = time.monotonic()
            say(f"{done} of {total}: {what}")

    return progress


@contextmanager
def bar() -> Iterator[Progress]:
    """Progress as a bar, which goes when it is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task("")

        def progress(what: str, done: int, total: int) -> None:
            drawn.update(task, description=what, completed=done, total=total)

        yield progress
