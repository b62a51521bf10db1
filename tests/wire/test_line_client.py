"""The device's side of the line dialect, alone and against the server's side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.errors import BadInput, TooLarge
from hardpoint.wire import lines
from hardpoint.wire.line_client import (
    MAX_ANSWER_BYTES,
    MAX_TAG_BYTES,
    Answer,
    CommandLine,
    LineClient,
    decode_params,
    encode_failure,
    encode_hello,
    encode_readings,
    encode_result,
)
from hardpoint.wire.lines import MAX_LINE_BYTES
from properties import examples

TS = 1_732_320_000_000

SESSION = (
    b"hardpoint 1.0 ready - HELLO <token> attaches, HELP explains\n"
    b"OK greenhouse\r\n"
    b"\n"
    b"#1 OK 4\n"
    b"#2 ERR bad-line no value after temp=\n"
    b"PONG\n"
    b'!17 set-interval {"s": 5}\n'
    b"!18 ping\n"
    b'ATTR {"fw":"2"}\n'
)
EVENTS = [
    Answer(None, "hardpoint", "1.0 ready - HELLO <token> attaches, HELP explains"),
    Answer(None, "OK", "greenhouse"),
    Answer("1", "OK", "4"),
    Answer("2", "ERR", "bad-line no value after temp="),
    Answer(None, "PONG", ""),
    CommandLine("17", "set-interval", b'{"s": 5}'),
    CommandLine("18", "ping", b""),
    Answer(None, "ATTR", '{"fw":"2"}'),
]


def test_whole():
    assert LineClient().receive(SESSION) == EVENTS


def test_byte_by_byte():
    client = LineClient()
    assert [event for n in range(len(SESSION)) for event in client.receive(SESSION[n : n + 1])] == EVENTS


@given(st.lists(st.integers(0, len(SESSION)), max_size=8).map(sorted))
def test_any_split_gives_the_same_events(cuts):
    client = LineClient()
    parts = [SESSION[start:end] for start, end in zip([0, *cuts], [*cuts, len(SESSION)], strict=True)]
    assert [event for part in parts for event in client.receive(part)] == EVENTS


@given(st.binary(max_size=300))
def test_random_bytes_give_events_only(data):
    client = LineClient()
    for event in client.receive(data + b"\n"):
        assert isinstance(event, (Answer, CommandLine))
        if isinstance(event, CommandLine):
            try:
                decode_params(event.params)
            except BadInput:
                pass


@pytest.mark.parametrize("data", [b"x" * (MAX_ANSWER_BYTES + 1), b"x" * (MAX_ANSWER_BYTES + 1) + b"\n"])
def test_an_endless_line_fails_once_and_for_all(data):
    client = LineClient()
    with pytest.raises(TooLarge):
        client.receive(data)
    with pytest.raises(TooLarge):
        client.receive(b"OK\n")


def test_the_longest_line_passes():
    client = LineClient()
    assert client.receive(b"x" * MAX_ANSWER_BYTES) == []
    assert client.receive(b"\n") == [Answer(None, "x" * MAX_ANSWER_BYTES, "")]


def test_params():
    assert decode_params(b"") is None
    assert decode_params(b'{"s":5}') == {"s": 5}
    with pytest.raises(BadInput):
        decode_params(b"{")


@pytest.mark.parametrize("token", ["", "a b", "a\nHELLO b", "ä", "a\x00"])
def test_a_token_cannot_smuggle_a_line(token):
    with pytest.raises(BadInput):
        encode_hello(token)


def test_hello():
    assert encode_hello("hp_x") == b"HELLO hp_x\n"


def test_readings_are_what_a_person_would_type():
    values = {"cpu.temp": 48.5, "n": 3, "door": True, "note": 'two "words"', "fw": "21"}
    assert list(encode_readings(values, TS)) == [
        b'cpu.temp=48.5 n=3 door=true note="two \\"words\\"" fw="21" @1732320000000'
    ]


def test_json_values_go_on_lines_of_their_own():
    assert list(encode_readings({"a": 1, "gps": {"lat": 1.5}, "b": 2}, TS)) == [
        b'{"ts":1732320000000,"values":{"gps":{"lat":1.5}}}',
        b"a=1 b=2 @1732320000000",
    ]


@pytest.mark.parametrize("values", [{}, {"a": None}])
def test_nothing_to_say(values):
    assert list(encode_readings(values, TS)) == []


@pytest.mark.parametrize(
    "value",
    ["x" * MAX_LINE_BYTES, ["x" * MAX_LINE_BYTES], float("nan"), object()],
    ids=["long", "long-json", "nan", "object"],
)
def test_what_fits_no_line_is_refused(value):
    with pytest.raises(BadInput):
        list(encode_readings({"a": value}, TS))


keys = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
numbers = st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False)
nested = st.dictionaries(texts, st.integers(-1000, 1000), max_size=3) | st.lists(st.booleans(), max_size=5)


@given(st.dictionaries(keys, numbers | st.booleans() | texts | nested, max_size=20), st.integers(10**10, 10**13))
@examples(50)
def test_the_server_reads_back_what_was_encoded(values, ts):
    """Every value comes back with its time, value and type, from lines that are short enough even with a tag."""
    decoder = lines.LineDecoder()
    tag = b"#" + b"9" * (MAX_TAG_BYTES - 2) + b" "
    found = {}
    for line in encode_readings(values, ts):
        assert len(tag + line) <= MAX_LINE_BYTES
        [(kind, _, samples)] = decoder.receive(tag + line + b"\n")
        assert kind == lines.READINGS
        for at, key, value in samples:
            assert at == ts
            found[key] = value
    assert found == values
    assert all(type(found[key]) is type(values[key]) for key in values)


def test_many_readings_are_spread_over_lines():
    values = {f"sensor_{n}": n / 7 for n in range(1000)}
    encoded = list(encode_readings(values, TS))
    assert len(encoded) > 1
    assert all(MAX_LINE_BYTES // 2 < len(line) <= MAX_LINE_BYTES - MAX_TAG_BYTES for line in encoded[:-1])


def test_results():
    assert encode_result("7", {"s": 5}) == b'!7 OK {"s":5}\n'
    with pytest.raises(BadInput, match="8192"):
        encode_result("7", "x" * MAX_LINE_BYTES)
    assert encode_failure("7", "no\nsuch  key") == b"!7 ERR no such key\n"
    assert len(encode_failure("7", "ä" * MAX_LINE_BYTES)) <= MAX_LINE_BYTES + 1


def test_the_server_reads_back_results():
    decoder = lines.LineDecoder()
    assert decoder.receive(encode_result("7", {"a": [1, "ü"]}) + encode_failure("8", "no such key")) == [
        (lines.ANSWER, "", 7, True, {"a": [1, "ü"]}),
        (lines.ANSWER, "", 8, False, "no such key"),
    ]


def test_a_failure_may_name_a_file_that_is_not_utf8():
    assert encode_failure("7", "no such file: n\udcff\n.bin") == b"!7 ERR no such file: n? .bin\n"
