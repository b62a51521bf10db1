"""What each column of a file means: which is the time, which names the device, and under what key the others go."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ...errors import BadInput
from ...model import checked_key, checked_value
from .times import clock

if TYPE_CHECKING:
    from datetime import tzinfo

    from .times import Clock

TIME_NAMES = ("time", "ts", "timestamp", "datetime", "date")
MISSING = frozenset({"", "na", "nan", "null", "none", "-"})
"""Fields that say that there is no value, in any case."""

_NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]*|(?=\.[0-9]))(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class Found(NamedTuple):
    """One reading of a file."""

    device: str
    key: str
    ts: int
    value: Any


@dataclass(frozen=True, slots=True)
class Columns:
    """How a record, name → field, becomes readings.

    Long records have a key and a value each; wide ones have a key a column. A record whose ``values`` are an object of
    its own (ThingsBoard's form) is taken as if these stood beside its time.
    """

    time: str | None
    """None: the one whose name looks most like it, in each record."""
    clock: Clock | None
    """None: by its size, but ``ts`` is in ms: so this server and ThingsBoard write it, also of years before 1973."""
    zone: tzinfo
    """Of times that name none."""
    device: str | None = None
    """Of every reading; None: each record names it in ``device_column``."""
    device_column: str = "device"
    key_column: str = "key"
    """A record that has it and ``value_column`` is long."""
    value_column: str = "value"
    keys: Mapping[str, str] = field(default_factory=dict)
    """Column → key. Columns that are not in it are left out, unless it is empty: then each goes by its own name."""

    def readings(self, record: Mapping[str, Any], parse: Callable[[Any], Any]) -> Iterator[Found]:
        """The readings of one record; ``parse`` gives the value of a field, None for none.

        Raises:
            BadInput: a column is missing, or holds what cannot be. The message names the column.
        """
        inner = record.get("values")
        if isinstance(inner, dict):
            record = {**{name: each for name, each in record.items() if name != "values"}, **inner}
        time = self.time or time_column(record) or TIME_NAMES[0]
        ts = self._time(record, time)
        device = self.device or self._text(record, self.device_column)
        for name, key in self._pairs(record, time):
            try:
                value = parse(record[name])
                if value is not None:
                    yield Found(device, checked_key(key), ts, checked_value(value))
            except BadInput as error:
                hint = f"name another key: --map '{name}=KEY'" if error.field else None
                raise BadInput(f"column {name!r}: {error.message}", hint=hint) from None

    def _time(self, record: Mapping[str, Any], column: str) -> int:
        if column not in record:
            raise BadInput(f"there is no column {column!r} for the time", hint="name it: --time COLUMN")
        said = record[column]
        try:
            return (self.clock or clock("ms" if column == "ts" else "auto", self.zone))(said)
        except (ValueError, TypeError, OverflowError, OSError):
            raise BadInput(f"{str(said)[:60]!r} is not a time", hint="say how it is written: --time-format") from None

    def _text(self, record: Mapping[str, Any], column: str) -> str:
        said = record.get(column)
        if said is None or said == "":
            raise BadInput(f"no {column!r} says whose reading it is", hint="name one for all: --device NAME")
        return str(said)

    def _pairs(self, record: Mapping[str, Any], time: str) -> Iterator[tuple[str, str]]:
        """The columns that hold values, and the key of each."""
        if self.key_column in record and self.value_column in record:
            key = self._text(record, self.key_column)
            if not self.keys or key in self.keys:
                yield self.value_column, self.keys.get(key, key)
            return
        if self.keys:
            for name, key in self.keys.items():
                if name in record:
                    yield name, key
            return
        for name in record:
            if name not in (time, self.device_column):
                yield name, name


def time_column(names: Iterable[str]) -> str | None:
    """The column that is most likely the time, by its name."""
    by_name = {name.lower(): name for name in names}
    return next((by_name[each] for each in TIME_NAMES if each in by_name), None)


def from_text(text: str) -> Any:
    """What a field of a CSV file says: a number, a boolean, an object or array where it reads as one, else the text
    itself; None where it says that there is nothing. ``007`` is no number: somebody meant the zeros.
    """
    stripped = text.strip()
    if _NUMBER.fullmatch(stripped):
        try:
            return int(stripped)
        except ValueError:
            return float(stripped)
    if stripped.lower() in MISSING:
        return None
    if stripped in _WORDS:
        return _WORDS[stripped]
    if stripped[0] in "{[":
        try:
            return msgspec.json.decode(stripped)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return text
    return text


def as_it_is(value: Any) -> Any:
    """The field of an NDJSON record: it has a kind already, and null is none."""
    return value
