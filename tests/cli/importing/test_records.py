"""Files as records, and the places behind them."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from hardpoint.cli.importing import records
from hardpoint.cli.importing.records import Records, format_of, open_file
from hardpoint.errors import BadInput

CSV = b'\xef\xbb\xbftime, note\r\n1,"a,\nb"\r\n\r\n2,c\n3\n4,d,e\n5,\xff'
NDJSON = b'{"ts":1}\n\n[1]\n{"ts":2\n{"ts":3}'


def made(data, form, **options):
    return Records(io.BytesIO(data), form, **options)


def test_csv():
    found = made(CSV, "csv")
    assert found.names == ["time", "note"]
    rows = list(found)
    assert [row.fields for row in rows] == [
        *({"time": "1", "note": "a,\nb"}, {"time": "2", "note": "c"}, None, None),
        {"time": "5", "note": "\ufffd"},
    ]
    assert [row.line for row in rows] == [3, 5, 6, 7, 8]
    assert rows[2].problem == "1 fields under 2 columns"
    assert rows[-1].offset == len(CSV)


def test_ndjson():
    rows = list(made(NDJSON, "ndjson"))
    assert [row.fields for row in rows] == [{"ts": 1}, None, None, {"ts": 3}]
    assert "not a JSON object" in rows[1].problem
    assert [row.line for row in rows] == [1, 3, 4, 5]


@pytest.mark.parametrize(("data", "form"), [(CSV, "csv"), (NDJSON, "ndjson")])
def test_going_on_anywhere_gives_the_rest(data, form):
    whole = list(made(data, form))
    for number, record in enumerate(whole):
        rest = made(data, form)
        rest.go_on(record.line, record.offset)
        assert list(rest) == whole[number + 1 :]


def test_a_quote_that_never_ends_is_a_bad_record_and_bounded():
    data = b'time,x\n1,"' + b"a\n" * 200_000 + b"2,3\n"
    rows = list(made(data, "csv"))
    assert rows[0].fields is None
    assert "field larger than" in rows[0].problem


def test_a_line_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(records, "MAX_LINE_BYTES", 100)
    with pytest.raises(BadInput, match="line 2 has more than 100 bytes"):
        list(made(b'{"ts":1}\n' + b"x" * 200, "ndjson"))


@pytest.mark.parametrize(("data", "message"), [(b"", "empty"), (b"a,b,a\n", "same name")])
def test_heads_that_are_none(data, message):
    with pytest.raises(BadInput, match=message):
        made(data, "csv")


def test_packed_files_and_names(tmp_path):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"time;a\n1;2\n"))
    with open_file(path) as file:
        assert [record.fields for record in Records(file, "csv", delimiter=";")] == [{"time": "1", "a": "2"}]
    assert [format_of(Path(name)) for name in ("x.csv.gz", "x.TSV", "x.jsonl", "x.ndjson", "x.txt", "x")] == [
        *("csv", "csv", "ndjson", "ndjson", None, None)
    ]
    with pytest.raises(BadInput, match="No such file"):
        open_file(tmp_path / "none.csv")


def packed(tmp_path, data):
    file = tmp_path / "in.csv.gz"
    file.write_bytes(data)
    return file


LINES = b"".join(b"%d,%d\n" % (n, n * n) for n in range(2000))


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:200] + b"\xff" * 9 + data[209:]])
def test_a_packed_file_that_is_damaged_is_said_behind_what_can_be_read(tmp_path, damage):
    with open_file(packed(tmp_path, damage(gzip.compress(b"time,note\n" + LINES)))) as file:
        found = Records(file, "csv")
        with pytest.raises(BadInput, match=r"behind line \d+ the file cannot be read"):
            list(found)


def test_a_file_that_was_never_packed(tmp_path):
    with open_file(packed(tmp_path, LINES)) as file, pytest.raises(BadInput, match="behind line 0"):
        Records(file, "csv")


def test_a_head_that_is_no_head():
    with pytest.raises(BadInput, match="names no columns"):
        made(b"x" * 200_000, "csv")
