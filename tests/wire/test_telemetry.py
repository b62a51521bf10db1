"""Telemetry and attributes as JSON: what every dialect that carries JSON understands."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hardpoint.errors import BadInput, PeerError, TooLarge
from hardpoint.model import INT64_MAX, INT64_MIN, MAX_JSON_DEPTH, MAX_TS_MS, MAX_VALUE_BYTES, checked_json
from hardpoint.wire import telemetry
from hardpoint.wire.telemetry import decode_json, parse_attributes, parse_telemetry
from properties import examples

TS = 1732320000000


@pytest.mark.parametrize(
    ("body", "samples"),
    [
        ('{"temp":21.5}', [(None, "temp", 21.5)]),
        ('{"a":1,"b":true,"c":"x"}', [(None, "a", 1), (None, "b", True), (None, "c", "x")]),
        (f'{{"ts":{TS},"values":{{"a":1,"b":2}}}}', [(TS, "a", 1), (TS, "b", 2)]),
        ('[{"a":1},{"a":2}]', [(None, "a", 1), (None, "a", 2)]),
        (f'[{{"ts":{TS},"values":{{"a":1}}}},{{"a":2}}]', [(TS, "a", 1), (None, "a", 2)]),
        # both keys, else it is a plain object
        ('{"ts":5}', [(None, "ts", 5)]),
        ('{"values":{"a":1}}', [(None, "values", {"a": 1})]),
        ("{}", []),
        ("[]", []),
        ('{"a":null,"b":1}', [(None, "b", 1)]),
        ('{"a":1,"a":2}', [(None, "a", 2)]),
        ('{"o":{"x":[1,null]},"l":[]}', [(None, "o", {"x": [1, None]}), (None, "l", [])]),
        (' \n{ "a" : 1 }\n', [(None, "a", 1)]),
        (f'{{"ts":{MAX_TS_MS},"values":{{"a":1}}}}', [(MAX_TS_MS, "a", 1)]),
    ],
)
@pytest.mark.parametrize("kind", [str, str.encode])
def test_reads(body, samples, kind):
    assert parse_telemetry(kind(body)) == samples


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("21.5", 21.5),
        ("-3", -3),
        ("0", 0),
        ("123456789012345", 123456789012345),
        # a double would lose digits, or it is no plain number
        ("1234567890123456", "1234567890123456"),
        ("1.2345678901234567", "1.2345678901234567"),
        ("1e3", "1e3"),
        ("+1", "+1"),
        (" 1", " 1"),
        ("1.", "1."),
        ("٣", "٣"),
        ("", ""),
    ],
)
def test_a_number_in_a_string_is_that_number(text, value):
    [(_, _, found)] = parse_telemetry(msgspec.json.encode({"a": text}))
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (INT64_MAX, INT64_MAX),
        (INT64_MIN, INT64_MIN),
        (INT64_MAX + 1, str(INT64_MAX + 1)),
        (INT64_MIN - 1, str(INT64_MIN - 1)),
        (10**60, str(10**60)),
    ],
)
def test_an_integer_beyond_64_bits_keeps_its_digits_as_text_wherever_it_is(number, value):
    assert parse_telemetry(f'{{"a":{number},"b":[{number},{{"c":{number}}}]}}') == [
        (None, "a", value),
        (None, "b", [value, {"c": value}]),
    ]
    # What is taken must be encodable for the store, or it fails the commit that holds everybody's readings.
    msgspec.msgpack.encode(parse_telemetry(f'{{"b":[{number}]}}'))


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ("", None, "not JSON: Input data was truncated"),
        ("{", None, "not JSON: Input data was truncated"),
        ('{"a":1,}', None, "not JSON: trailing comma in object (line 1, column 8)"),
        ('{\n  "a": 1\n  "b": 2\n}', None, "not JSON: expected ',' or '}' (line 3, column 3)"),
        ('{"é":1,x}', None, "not JSON: object keys must be strings (line 1, column 9)"),
        ('{"a":NaN}', None, "not JSON: invalid character (line 1, column 6)"),
        ('{"a":1e999}', None, "not JSON: "),
        ("5", None, "telemetry is a JSON object, or an array of objects"),
        ("null", None, "telemetry is a JSON object, or an array of objects"),
        ('[{"a":1},7]', "[1]", "each element must be an object"),
        ('[[{"a":1}]]', "[0]", "each element must be an object"),
        ('{"ts":"5","values":{}}', "ts", "ts must be an integer: milliseconds since 1970-01-01 UTC"),
        ('{"ts":true,"values":{}}', "ts", "ts must be an integer: milliseconds since 1970-01-01 UTC"),
        ('[{},{"ts":1.5,"values":{}}]', "[1].ts", "ts must be an integer: milliseconds since 1970-01-01 UTC"),
        ('{"ts":-1,"values":{"a":1}}', "ts", "time stamp -1 is not in milliseconds since 1970-01-01 UTC"),
        (f'{{"ts":{MAX_TS_MS + 1},"values":{{}}}}', "ts", f"time stamp {MAX_TS_MS + 1} is not in milliseconds"),
        ('[{"ts":5,"values":[1]}]', "[0].values", "values must be an object"),
        ('{"a b":1}', "a b", "key 'a b' must start with"),
        ('{"":1}', "", "key '' must start with"),
    ],
)
def test_refuses_and_names_the_place(body, field, message):
    with pytest.raises(BadInput) as refused:
        parse_telemetry(body)
    assert refused.value.message.startswith(message)
    assert refused.value.field == field


def test_bytes_that_are_no_text_are_refused():
    for body in (b'{"a":"\xff"}', b"\xff\xfe{", b'{"a\xc3":1}'):
        with pytest.raises(BadInput, match="not JSON"):
            decode_json(body)


def test_depth_is_bounded_before_it_can_harm():
    with pytest.raises(BadInput, match="nested too deeply"):
        decode_json(b"[" * 100_000)
    fits = "[" * (MAX_JSON_DEPTH) + "]" * (MAX_JSON_DEPTH)
    parse_telemetry(f'{{"a":{fits}}}')
    for deeper in (f"[{fits}]", f'{{"b":{fits}}}'):
        with pytest.raises(TooLarge, match="32 deep") as refused:
            parse_telemetry(f'{{"ts":5,"values":{{"a":{deeper}}}}}')
        assert refused.value.field == "values.a"


def test_size_is_bounded():
    fits = "x" * MAX_VALUE_BYTES
    assert parse_telemetry(msgspec.json.encode({"a": fits})) == [(None, "a", fits)]
    for value in (fits + "x", "é" * (MAX_VALUE_BYTES // 2 + 1), [fits]):
        with pytest.raises(TooLarge, match="65536 bytes") as refused:
            parse_telemetry(msgspec.json.encode([{"ok": 1}, {"a": value}]))
        assert refused.value.field == "[1].a"


@pytest.mark.parametrize("make", [lambda n: [{"a": i} for i in range(n)], lambda n: {f"k{i}": i for i in range(n)}])
def test_the_number_of_readings_is_bounded(make):
    most = telemetry.MAX_SAMPLES
    assert len(parse_telemetry(msgspec.json.encode(make(most)))) == most
    with pytest.raises(BadInput, match=f"more than {most} readings in one message"):
        parse_telemetry(msgspec.json.encode(make(most + 1)))


def test_attributes_are_an_object_whose_nulls_mean_delete():
    body = b'{"fw":"1.2","n":"5","old":null,"o":{"x":1},"big":%d}' % 2**70
    # A version that looks like a number stays what it is: only readings make charts.
    assert parse_attributes(body) == {"fw": "1.2", "n": "5", "old": None, "o": {"x": 1}, "big": str(2**70)}
    for wrong in (b"[]", b"5", b'{"a b":1}', b"", b'{"a":'):
        with pytest.raises(BadInput):
            parse_attributes(wrong)
    with pytest.raises(TooLarge) as refused:
        parse_attributes(msgspec.json.encode({"a": "x" * (MAX_VALUE_BYTES + 1)}))
    assert refused.value.field == "a"


def test_a_document_that_is_one_big_integer_is_text_too():
    assert checked_json(2**64) == str(2**64)
    assert checked_json(-5) == -5


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=20,
)


@given(JSON)
@examples(60)
def test_whatever_json_is_sent_is_stored_or_refused(document):
    try:
        samples = parse_telemetry(msgspec.json.encode(document))
    except PeerError:
        return
    for ts, key, value in samples:
        assert ts is None or 0 <= ts <= MAX_TS_MS
        assert key
        assert value is not None
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(value)) == value


@given(st.binary(max_size=100))
@example(b'{"a":"\\ud800"}')
@example(b'"\\')
def test_random_bytes_are_refused_and_nothing_else(body):
    for parse in (parse_telemetry, parse_attributes):
        with contextlib.suppress(PeerError):  # and nothing else
            parse(body)
