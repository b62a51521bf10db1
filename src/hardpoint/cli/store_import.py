"""``hardpoint store import``: readings from a CSV or NDJSON file."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .command import Command, json_option
from .connection import with_client
from .moment import Moment
from .output import document, iso, say, table

if TYPE_CHECKING:
    from .client import Client
    from .importing.job import Notes, Report
    from .importing.records import Record, Records

NOTE_SUFFIX = ".hardpoint-import"
SHOWN_SERIES = 20


@click.command(
    "import",
    cls=Command,
    examples="""
    hardpoint store import readings.ndjson
    hardpoint store import old.csv --device greenhouse --time Zeit --time-format '%d.%m.%Y %H:%M' --tz Europe/Berlin
    hardpoint store import old.csv --device greenhouse --map 'Temp (°C)=temp' --map 'RH=hum' --create --dry-run
    """,
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(("csv", "ndjson")), help="If the file's name does not tell.")
@click.option("--device", metavar="NAME", help="Whose readings they are, for all records.")
@click.option("--device-column", default="device", metavar="COLUMN", help="The column that names the device.")
@click.option("--time", "time_name", metavar="COLUMN", help="The column of the time; found by its name if left out.")
@click.option(
    "--time-format",
    default="auto",
    metavar="FORMAT",
    help="auto, iso, s, ms, us, ns, or a strptime pattern like '%d.%m.%Y %H:%M'.",
)
@click.option("--tz", default="UTC", metavar="ZONE", help="The zone of times that name none.")
@click.option("--key-column", metavar="COLUMN", help="The column of the key, for one reading a record.  [default: key]")
@click.option("--value-column", default="value", metavar="COLUMN", help="The column of the value, beside the key's.")
@click.option("--map", "maps", multiple=True, metavar="COLUMN=KEY", help="Only these columns, under these keys.")
@click.option("--delimiter", default=",", metavar="CHAR", help="Between the fields of CSV; 'tab' is a tab.")
@click.option("--from", "start_ms", type=Moment(), help="Leave out what is older.")
@click.option("--to", "end_ms", type=Moment(), help="Leave out what is newer, or as new.")
@click.option("--create", is_flag=True, help="Make devices that do not exist.")
@click.option("--skip-bad", is_flag=True, help="Leave out records that cannot be used, and say how many.")
@click.option("--dry-run", is_flag=True, help="Read everything, say what it is, send nothing.")
@click.option("--restart", is_flag=True, help="Begin anew, although an import of this file was interrupted.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@json_option
@with_client
def import_file(client: Client, file: Path, quiet: bool, as_json: bool, **given: Any) -> int:
    """Store the readings of FILE, or of stdin for -.

    A record has a time and either a key and a value (long, as 'store export' writes them) or a value in each of its
    other columns (wide). A reading with the key and time of a stored one replaces it, so importing twice does no harm;
    an import that was interrupted goes on where it was when the same command is given again.
    """
    from .importing.job import Import
    from .importing.records import Records, format_of, open_file
    from .progress import Progress

    from_stdin = str(file) == "-"
    form = given["form"] or format_of(file)
    if form is None:
        raise click.UsageError("its name does not tell what the file is: --format csv or ndjson")
    delimiter = "\t" if given["delimiter"] == "tab" or file.suffix.lower() == ".tsv" else given["delimiter"]
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise click.UsageError("--delimiter is one character, or 'tab', and no quote or end of a line")
    with closing(sys.stdin.buffer if from_stdin else open_file(file)) as source:
        records = Records(source, form, delimiter=delimiter)
        job = Import(
            records,
            *_meaning(records, form, given),
            None if given["dry_run"] else client,
            _notes(file, given, from_stdin),
            **{name: given[name] for name in ("start_ms", "end_ms", "skip_bad", "create")},
        )
        place = None if given["restart"] else job.go_on()
        if place is not None:
            say(f"going on behind line {place.line}: {place.readings} readings of this file were stored before")
        total = None if from_stdin or file.suffix.lower() == ".gz" else file.stat().st_size
        with Progress("importing", total, quiet=quiet or as_json) as progress:

            def tell(record: Record, report: Report) -> None:
                progress.to(record.offset, f"{report.readings} readings")

            report = job.run(tell)
    _print(report, dry_run=given["dry_run"], as_json=as_json)
    return 1 if given["dry_run"] and report.bad else 0


def _meaning(records: Records, form: str, given: dict[str, Any]) -> tuple[Any, Any]:
    """The `Columns` of the file, and what reads their fields.

    Raises:
        click.UsageError: the options contradict the file, or one another.
    """
    from ..errors import BadInput
    from ..hub.history.calendar import zone
    from .importing.columns import Columns, as_it_is, from_text, time_column
    from .importing.times import clock

    names = records.names
    time_name = given["time_name"] or time_column(names)
    if names and time_name not in names:
        said = f"no column {time_name!r}" if time_name else "no column that looks like a time"
        raise click.UsageError(f"{said} among {', '.join(names)}: --time COLUMN")
    if names and given["key_column"] not in (None, *names):
        raise click.UsageError(f"no column {given['key_column']!r} among {', '.join(names)}")
    key_column = given["key_column"] or "key"
    is_long = {key_column, given["value_column"]} <= set(names)
    keys = {}
    for text in given["maps"]:
        column, equals, key = text.rpartition("=")
        if not equals or (names and not is_long and column not in names):
            raise click.UsageError(f"--map {text!r}: it is COLUMN=KEY, and the columns are {', '.join(names) or 'any'}")
        keys[column] = key
    try:
        where = zone(given["tz"])
    except BadInput as error:
        raise click.UsageError(f"--tz: {error.message}") from None
    columns = Columns(
        time_name,
        None if given["time_format"] == "auto" else clock(given["time_format"], where),
        where,
        given["device"],
        given["device_column"],
        key_column,
        given["value_column"],
        keys,
    )
    return columns, from_text if form == "csv" else as_it_is


def _notes(file: Path, given: dict[str, Any], from_stdin: bool) -> Notes:
    """Of one file with one meaning: with other options it is another import, and begins at the first line."""
    import hashlib

    from .importing.job import Notes

    if from_stdin or given["dry_run"]:
        return Notes(None, "")
    stat = file.stat()
    changes_nothing = ("restart", "skip_bad", "create", "dry_run")
    meaning = sorted((name, str(value)) for name, value in given.items() if name not in changes_nothing)
    said = repr((str(file.resolve()), stat.st_size, stat.st_mtime_ns, meaning))
    return Notes(file.with_name(file.name + NOTE_SUFFIX), hashlib.sha256(said.encode()).hexdigest())


def _print(report: Report, *, dry_run: bool, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        print(document("import", {"dry_run": dry_run, **asdict(report)}))
        return
    for problem in report.problems:
        say(f"left out, {problem}")
    if report.bad > len(report.problems):
        say(f"… and {report.bad - len(report.problems)} more")
    shown = sorted(report.series.items())
    table(
        ("series", "readings", "first", "last"),
        [(name, str(told.readings), iso(told.first), iso(told.last)) for name, told in shown[:SHOWN_SERIES]],
    )
    if len(shown) > SHOWN_SERIES:
        say(f"… and {len(shown) - SHOWN_SERIES} series more")
    counts = [
        f"{report.readings} readings {'would be stored' if dry_run else 'stored'} from {report.records} records",
        *([f"{report.stored_before} were stored before"] if report.stored_before else []),
        *([f"{report.outside} outside --from and --to"] if report.outside else []),
        *([f"{report.empty} records without a value"] if report.empty else []),
        *([f"{report.bad} records that cannot be used"] if report.bad else []),
        *([f"devices made: {', '.join(report.made)}"] if report.made else []),
    ]
    say("; ".join(counts))
