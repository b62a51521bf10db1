"""What columns mean."""

from __future__ import annotations

from datetime import UTC

import pytest

from hardpoint.cli.importing.columns import Columns, as_it_is, from_text, time_column
from hardpoint.errors import BadInput


def read(record, parse=as_it_is, **given):
    return [
        tuple(found) for found in Columns(**{"time": None, "clock": None, "zone": UTC, **given}).readings(record, parse)
    ]


def test_long_and_wide_records():
    assert read({"ts": 5, "device": "a", "key": "t", "value": 1}) == [("a", "t", 5, 1)]
    assert read({"ts": 5, "device": "a", "t": 1, "h": True}) == [("a", "t", 5, 1), ("a", "h", 5, True)]
    assert read({"ts": 5, "device": "a", "values": {"t": 1, "h": [2]}}) == [("a", "t", 5, 1), ("a", "h", 5, [2])]
    assert read({"ts": 5, "device": "a", "t": None}) == []


def test_names_can_be_told():
    record = {"when": 5, "who": "a", "what": "t", "how": 1, "Temp (°C)": 2}
    given = {"time": "when", "device_column": "who"}
    assert read(record, **given, key_column="what", value_column="how") == [("a", "t", 5_000, 1)]
    assert read(record, **given, keys={"Temp (°C)": "temp"}) == [("a", "temp", 5_000, 2)]
    assert read(record, time="when", device="b", keys={"how": "x", "not there": "y"}) == [("b", "x", 5_000, 1)]
    long = {"ts": 5, "device": "a", "key": "t", "value": 1}
    assert read(long, keys={"t": "temp"}) == [("a", "temp", 5, 1)]
    assert read(long, keys={"other": "temp"}) == []


@pytest.mark.parametrize(
    ("record", "given", "message", "hint"),
    [
        ({"device": "a", "t": 1}, {}, "no column 'time'", "--time"),
        ({"time": "nan", "device": "a", "t": 1}, {}, "'nan' is not a time", "--time-format"),
        ({"time": "soon", "device": "a", "t": 1}, {}, "'soon' is not a time", "--time-format"),
        ({"time": None, "device": "a", "t": 1}, {}, "'None' is not a time", "--time-format"),
        ({"time": 1e308, "device": "a", "t": 1}, {"clock": lambda field: int(field * 1e308)}, "is not a time", None),
        ({"ts": 5, "t": 1}, {}, "whose reading", "--device"),
        ({"ts": 5, "device": "", "t": 1}, {}, "whose reading", "--device"),
        ({"ts": 5, "device": "a", "Temp (°C)": 1}, {}, "column 'Temp (°C)'", "--map 'Temp (°C)=KEY'"),
        ({"ts": 5, "device": "a", "t": float("inf")}, {}, "finite", None),
        ({"ts": 5, "device": "a", "key": "", "value": 1}, {}, "'key'", None),
    ],
)
def test_what_cannot_be(record, given, message, hint):
    with pytest.raises(BadInput) as refused:
        read(record, **given)
    assert message in refused.value.message
    assert hint is None or hint in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("21.5", 21.5),
        ("-4", -4),
        ("+5", 5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("0", 0),
        ("9007199254740993", 9007199254740993),
        ("true", True),
        ("FALSE", False),
        ("", None),
        (" NaN ", None),
        ("null", None),
        ("007", "007"),
        ("1,5", "1,5"),
        ("on", "on"),
        ('{"a": 1}', {"a": 1}),
        ("[1]", [1]),
        ("[no", "[no"),
        ("0x10", "0x10"),
        ("1.2.3", "1.2.3"),
        ("٣", "٣"),
    ],
)
def test_fields_of_csv(text, value):
    found = from_text(text)
    assert found == value
    assert type(found) is type(value)


def test_the_time_is_found_by_its_name():
    assert time_column(["a", "Date", "TIME"]) == "TIME"
    assert time_column(["Timestamp"]) == "Timestamp"
    assert time_column(["a"]) is None
