"""A piece of a series as bytes: every bit comes back, few are needed, and damage is told."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.stores.sqlite import columns
from hardpoint.stores.sqlite.columns import Damaged, decode, encode, fitting, from_column, to_column
from properties import examples

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
DOCUMENTS = st.recursive(
    SCALARS | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
VALUES = SCALARS | st.lists(DOCUMENTS) | st.dictionaries(st.text(), DOCUMENTS)
TIMES = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40, unique=True).map(sorted)
DECIMALS = st.integers(-(10**6), 10**6).map(lambda number: number / 100)
COLUMNS = st.one_of(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=40, max_size=40),
    st.lists(DECIMALS | st.just(-0.0), min_size=40, max_size=40),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=40, max_size=40),
    st.lists(st.integers(-3, 3), min_size=40, max_size=40),
    st.lists(VALUES, min_size=40, max_size=40),
)


@examples(150)
@given(TIMES, COLUMNS, st.booleans(), st.sampled_from([0, 192]))
def test_decoding_undoes_encoding(times: list[int], values: list[Any], lasting: bool, compress_at: int) -> None:
    values = values[: len(times)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "COMPRESS_AT_BYTES", compress_at)
        data = encode(times, values, lasting=lasting)
    assert repr(decode(data)) == repr((times, values))


@examples(60)
@given(VALUES)
def test_from_column_undoes_to_column(value: Any) -> None:
    column = to_column(value)
    assert column is None or type(column) in (int, float, str, bytes), "what SQLite can hold"
    assert repr(from_column(column)) == repr(value)
    assert to_column(column) == column, "a value in its column's form stays as it is"


def test_an_integer_that_no_column_holds_becomes_text() -> None:
    assert to_column(2**63) == "9223372036854775808"
    assert to_column(-(2**63) - 1) == "-9223372036854775809"


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ([21.5, 21.6, 21.5], "decimal"),
        ([0.1, 0.25, 0.000123456], "decimal"),
        ([float(number) for number in range(9)] + [0.5], "decimal"),  # the sample has no decimals
        ([0.1 + 0.2, 0.3], "doubles"),
        ([5e-324, 1.7976931348623157e308], "doubles"),
        ([2.0**53, 1.0], "doubles"),
        ([0.0, -0.0], "doubles"),
        ([0.0, 0.5], "decimal"),
        ([1, 2], "integers"),
        ([1, True], "packed"),
        ([1, 1.0], "packed"),
    ],
)
def test_how_values_are_kept(values: list[Any], form: str) -> None:
    data = encode(range(len(values)), values)
    kind = data[columns._HEAD.size + columns._COLUMN.size]  # the first column, of regular times, stores nothing
    forms = {columns._DOUBLES: "doubles", columns._PACKED: "packed"}
    assert ("decimal" if kind & columns._DECIMAL else forms.get(kind & 0x0F, "integers")) == form
    assert repr(decode(data)[1]) == repr(values)


def test_what_a_reading_takes() -> None:
    """Real shapes: every 10 s by a clock that jitters, one decimal."""
    chance = random.Random(1)
    times = [1_700_000_000_000 + place * 10_000 + round(chance.gauss(0, 40)) for place in range(1080)]
    walk, level = [], 21.0
    for _ in times:
        level += chance.gauss(0, 0.08)
        walk.append(round(level + chance.gauss(0, 0.05), 1))
    noise = [round(chance.gauss(50, 5), 1) for _ in times]
    regular = range(0, 10_800_000, 10_000)
    switch = [place % 300 < 100 for place in range(1080)]
    assert len(encode(times, walk)) < 1.7 * 1080
    assert len(encode(times, noise)) < 2.5 * 1080
    assert len(encode(regular, walk)) < 0.6 * 1080
    assert len(encode(regular, switch)) < 0.1 * 1080
    assert len(encode(times[:26], walk[:26], lasting=False)) < 7 * 26


def test_a_number_of_any_size_fits() -> None:
    assert decode(encode([1, 2], [-(2**63), 2**63 - 1]))[1] == [-(2**63), 2**63 - 1]
    assert decode(encode([1, 2], [{"a": 10**30}, 2]))[1] == [{"a": 10**30}, 2]


@pytest.mark.parametrize("value", [object(), "\ud800", {1: {2: object()}}])
def test_what_no_json_document_holds_is_refused(value: object) -> None:
    with pytest.raises((TypeError, UnicodeEncodeError)):
        encode([1], [value])


@pytest.mark.parametrize("lasting", [True, False])
def test_any_flipped_bit_is_told(lasting: bool) -> None:
    data = encode(range(0, 3000, 7), [place / 10 for place in range(429)], lasting=lasting)
    for place in range(0, len(data) * 8, 37):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(Damaged):
            decode(bytes(damaged))


@examples(300)
@given(st.binary(max_size=80), st.data())
def test_what_was_never_encoded_is_damaged(noise: bytes, data: st.DataObject) -> None:
    """Also behind a checksum that fits: nothing but `Damaged` comes out."""
    import zlib

    whole = encode([1, 5, 9], [1.5, 2.5, 3.5])
    rest = bytearray(whole[4:])
    place = data.draw(st.integers(0, len(rest) - 1))
    rest[place : place + len(noise)] = noise
    for forged in (noise, zlib.crc32(rest).to_bytes(4, "little") + bytes(rest)):
        try:
            times, values = decode(forged)
        except Damaged:
            continue
        assert len(times) == len(values)


def test_large_values_make_short_pieces() -> None:
    numbers: list[Any] = [1.5] * 3000
    assert fitting(numbers, 0, 1536) == 1536
    assert fitting(numbers, 2900, 1536) == 3000
    large: list[Any] = ["x" * 64_000] * 10
    assert fitting(large, 0, 1536) == 3
    assert fitting(large, 9, 1536) == 10
    assert fitting(large, 0, 10) == 1, "at least one"
    assert fitting(["on", "off", True, 2], 1, 1536) == 4
