"""A piece of a series as bytes: two columns, each as narrow as its numbers allow, checked, compressed where it pays.

Python spends some 50 ns on anything it does itself with a reading, so nothing here looks at readings one by one: every
pass over a column is a `map`, an `array`, a slice or `zlib`, all of them loops in C. That rules out the bit codes of
Gorilla (VLDB 2015) and leaves this:

* **Times** are differences to the one before, less the smallest difference. Regular times become zeros. Differences of
  differences, which bit codes like, double the noise of a jittering clock: 1.39 bytes a time instead of 1.20.
* **Numbers with few decimals** are integers: 21.5 is 215 with one decimal. What each becomes is worked out once a
  *distinct* value, and divided back and compared, so that every bit returns. Then either the integers or their
  differences are kept, less the smallest, whichever span less.
* **Other floats** stay raw doubles; **everything else** is one MessagePack array.
* Numbers of more than a byte are **transposed**, all first bytes before all second ones: high bytes are nearly
  constant, and zlib sees runs.

Layout, little-endian: crc32 of the rest (4), count (4), column of times, column of values. A column: form (1), detail
(1), first (8), base (8), stored length (4), then the stored bytes. The count's highest bit says that both columns are
compressed together.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, repeat
from operator import add, sub, truediv
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from ...model import INT64_MAX, INT64_MIN, Value, weight

COMPRESS_AT_BYTES = 192
"""Below it setting up zlib costs more than the bytes it saves."""
COMPRESSION_LEVEL = 4
"""Of a sensor at 10 s, 1.57 bytes a reading in 0.6 µs. Level 6 saves 1 % and takes a quarter more of the time that
encoding takes; level 1 loses 7 % and saves little.
"""
QUICK_LEVEL = 1
MAX_DECIMALS = 9
MAX_EXACT = 2**53
"""Integers up to here are floats without loss."""
MAX_INFLATED_BYTES = 64 * 1024 * 1024
"""Of a column, against a damaged length. What `fitting` lets into one is a tenth of it."""
MAX_READINGS = 65_536
"""In one piece, against a damaged count: regular times take no bytes at all. The longest written are 2,048."""
BYTE_VALUES = 256
SAMPLE = 8
"""Values from which the number of decimals is guessed before all are looked at."""

_HEAD = Struct("<II")
_COLUMN = Struct("<BBqqI")
_INTEGERS, _DIFFERENCES, _DOUBLES, _PACKED = range(4)  # the form's low bits
_DECIMAL = 0x10  # of integers: divide by 10 ** detail's high bits
_COMPRESSED = 0x20
_TRANSPOSED = 0x40
_DEFLATED = 0x8000_0000  # of the count: all that follows is compressed together

_WIDTHS = ((0xFF, "B"), (0xFFFF, "H"), (0xFFFF_FFFF, "I"), (2**64 - 1, "Q"))
TYPECODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
_FLOAT_WIDTH = 4
"""Differences of so many bytes are floats without loss, whatever their base."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()


class Damaged(Exception):
    """The bytes are not what `encode` returned."""


def encode(times: Sequence[int], values: Sequence[Value], *, lasting: bool = True) -> bytes:
    """Readings by ascending time, at least one. ``lasting`` False is for bytes that are soon rewritten: numbers are
    narrow still, but nothing is looked for in floats and nothing transposed: half the time, and twice the bytes.

    Raises:
        TypeError, UnicodeEncodeError: a value that no JSON document holds.
    """
    count = len(times)
    body = _encode_integers(times, times[0], times[-1], 0, 0, lasting) + _encode_values(values, lasting)
    if not lasting and len(body) >= COMPRESS_AT_BYTES:
        body, count = zlib.compress(body, QUICK_LEVEL), count | _DEFLATED
    rest = count.to_bytes(4, "little") + body
    return zlib.crc32(rest).to_bytes(4, "little") + rest


def decode(data: bytes) -> tuple[list[int], list[Value]]:
    """What `encode` was given.

    Raises:
        Damaged: the checksum does not fit, or what it covers cannot be read.
    """
    try:
        checksum, count = _HEAD.unpack_from(data)
        if zlib.crc32(memoryview(data)[4:]) != checksum:
            raise Damaged("the checksum does not fit")
        body = data[_HEAD.size :]
        if count & _DEFLATED:
            body, count = _inflated(body), count ^ _DEFLATED
        if count > MAX_READINGS:
            raise Damaged(f"it says that it holds {count} readings")
        times, position = _decode_column(body, 0, count)
        values, _ = _decode_column(body, position, count)
    except (struct.error, zlib.error, msgspec.MsgspecError, ValueError, OverflowError, LookupError) as error:
        raise Damaged(f"the contents cannot be read: {error}") from error
    if len(times) != count or len(values) != count:
        raise Damaged(f"it holds {len(times)} times and {len(values)} values instead of {count}")
    return times, values


def to_column(value: Value) -> float | int | str | bytes | None:
    """A value as one column of a table keeps it; what is in that form already stays as it is. A bytes is JSON."""
    kind = type(value)
    if kind is float or kind is str or kind is bytes or value is None:
        return value  # type: ignore[no-any-return]
    if kind is int:
        return value if INT64_MIN <= value <= INT64_MAX else str(value)  # as `checked_value` does
    return msgspec.json.encode(value)


def from_column(column: Any) -> Value:
    """The value that `to_column` was given."""
    return msgspec.json.decode(column) if type(column) is bytes else column


def fitting(values: Sequence[Value], start: int, most: int) -> int:
    """Where a piece that begins at ``start`` ends: after ``most`` readings, or sooner where values are large: each of
    these counts as several.
    """
    end = min(start + most, len(values))
    if set(map(type, values[start:end])) <= {float, int, bool}:
        return end
    left = most
    for position in range(start, end):
        left -= 1 + weight(values[position])
        if left < 0:
            return max(position, start + 1)
    return end


# -- values


def _encode_values(values: Sequence[Value], lasting: bool) -> bytes:
    kinds = set(map(type, values))
    if kinds == {float}:
        return _encode_floats(values, lasting)
    if kinds == {int}:
        low, high = min(values), max(values)
        if low >= INT64_MIN and high <= INT64_MAX:
            return _encode_integers(values, low, high, 0, 0, lasting)
    return _column(_PACKED, 0, 0, 0, packed(values), 1, lasting)


def packed(values: Sequence[Value]) -> bytes:
    """Values of any kind.

    Raises:
        TypeError, UnicodeEncodeError: one that no JSON document holds.
    """
    try:
        return _encoder.encode(values)
    except OverflowError:
        # An integer beyond 64 bits inside an object or array: msgpack has none, JSON spells it out.
        return _encoder.encode([to_column(value) for value in values])


def unpacked(data: bytes) -> list[Value]:
    """What `packed` was given.

    Raises:
        msgspec.MsgspecError: it is not that.
    """
    values: list[Value] = _decoder.decode(data)
    return list(map(from_column, values)) if bytes in set(map(type, values)) else values


def _encode_floats(values: Sequence[float], lasting: bool) -> bytes:
    if not lasting:
        return _column(_DOUBLES, 8, 0, 0, little_endian(array("d", values)), 8, lasting)
    found = scaled(values)
    if found is not None:
        return _encode_integers(found.integers, found.low, found.high, _DECIMAL, found.decimals << 4, lasting)
    return _column(_DOUBLES, 8, 0, 0, little_endian(array("d", values)), 8, lasting)


class Scaled(NamedTuple):
    """Floats as integers: each divided by ten to the power of ``decimals`` is the float, bit by bit."""

    integers: list[int]
    low: int
    high: int
    decimals: int


def scaled(values: Sequence[float]) -> Scaled | None:
    """At least one float as integers; None where they have too many decimals, or no end of them."""
    distinct = set(values)
    # 0.0 and -0.0 are one member of a set; they are told apart only as raw doubles.
    if 0.0 in distinct and b"\0\0\0\0\0\0\0\x80" in array("d", values).tobytes():
        return None
    known = list(distinct)
    decimals = _decimals(known[:SAMPLE])
    integers = _times_ten_to(decimals, known)
    if integers is None and len(known) > SAMPLE:
        decimals = _decimals(known)
        integers = _times_ten_to(decimals, known)
    if integers is None:
        return None
    table = dict(zip(known, integers, strict=True))
    return Scaled(list(map(table.__getitem__, values)), min(integers), max(integers), decimals)


def _decimals(known: list[float]) -> int:
    """With how many decimals the longest of these floats is written."""
    return max(len(repr(value).partition(".")[2]) for value in known)


def _times_ten_to(decimals: int, known: list[float]) -> list[int] | None:
    """Integers that are these floats when they are divided back; None when they are not, or there are none."""
    if decimals > MAX_DECIMALS:
        return None
    scale = 10.0**decimals
    if not all(map((MAX_EXACT / scale).__gt__, map(abs, known))):
        return None
    integers = list(map(round, map(scale.__mul__, known)))
    # Converting back is a division of two exact floats, rounded once: the float nearest to the decimal.
    return integers if list(map(truediv, integers, repeat(scale))) == known else None


# -- integers


def _encode_integers(integers: Sequence[int], low: int, high: int, flags: int, detail: int, lasting: bool) -> bytes:
    """``low`` and ``high`` are the least and the greatest of them."""
    if len(integers) > 1:
        differences = list(map(sub, integers[1:], integers))
        least, most = min(differences), max(differences)
        if most - least < high - low and INT64_MIN <= least <= INT64_MAX:
            data, width = narrow(differences, least, most)
            return _column(_DIFFERENCES | flags, width | detail, integers[0], least, data, width, lasting)
    data, width = narrow(integers, low, high)
    return _column(_INTEGERS | flags, width | detail, 0, low, data, width, lasting)


def narrow(integers: Sequence[int], low: int, high: int) -> tuple[bytes, int]:
    """The integers less the lowest in as few bytes as the highest needs, and how many that are for each: none when all
    are the same.
    """
    if low == high:
        return b"", 0
    typecode = next(code for limit, code in _WIDTHS if high - low <= limit)
    numbers = array(typecode, map(sub, integers, repeat(low)) if low else integers)
    return little_endian(numbers), numbers.itemsize


def little_endian(numbers: array[Any]) -> bytes:
    """As they are kept, whatever the machine's order."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _column(form: int, detail: int, first: int, base: int, data: bytes, width: int, lasting: bool) -> bytes:
    if lasting and len(data) >= COMPRESS_AT_BYTES:
        if width > 1:
            data, form = b"".join([data[place::width] for place in range(width)]), form | _TRANSPOSED
        # Z_FILTERED is for small numbers with little to repeat, as differences are: 4 % less for jitter and noise.
        compressor = zlib.compressobj(COMPRESSION_LEVEL, strategy=zlib.Z_FILTERED)
        smaller = compressor.compress(data) + compressor.flush()
        if len(smaller) < len(data):
            data, form = smaller, form | _COMPRESSED
    return _COLUMN.pack(form, detail, first, base, len(data)) + data


# -- and back


def _decode_column(data: bytes, position: int, count: int) -> tuple[list[Any], int]:
    form, detail, first, base, length = _COLUMN.unpack_from(data, position)
    position += _COLUMN.size
    stored = data[position : position + length]
    if len(stored) != length:
        raise Damaged("it ends early")
    if form & _COMPRESSED:
        stored = _inflated(stored)
    kind = form & 0x0F
    if kind == _PACKED:
        return unpacked(stored), position + length
    if kind == _DOUBLES:
        return _straight("d", stored, form).tolist(), position + length
    width = detail & 0x0F
    amount = count - (kind == _DIFFERENCES)
    numbers: Sequence[int] = _straight(TYPECODES[width], stored, form) if width else bytes(amount)
    if kind == _INTEGERS and form & _DECIMAL and width <= 1 and amount >= BYTE_VALUES:
        # Divided once a value and not once a reading, and each value is one object: half the time.
        table = list(map(truediv, range(base, base + BYTE_VALUES), repeat(10.0 ** (detail >> 4))))
        return list(map(table.__getitem__, numbers)), position + length
    integers: Iterable[float] = numbers
    if base and width <= 1 and amount >= BYTE_VALUES:
        integers = map(list(range(base, base + BYTE_VALUES)).__getitem__, numbers)
    elif base:
        integers = map(add, numbers, repeat(base))
    if kind == _DIFFERENCES:
        # Each step is the difference and the base: adding the base up separately would overflow no Python integer.
        # What will be divided is added up as floats, which hold these integers: dividing them takes half the time.
        as_floats = form & _DECIMAL and width <= _FLOAT_WIDTH and abs(base) < MAX_EXACT // 2
        integers = accumulate(integers, initial=float(first) if as_floats else first)
    if form & _DECIMAL:
        return list(map(truediv, integers, repeat(10.0 ** (detail >> 4)))), position + length
    return list(integers), position + length


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    inflated = inflater.decompress(data, MAX_INFLATED_BYTES)
    if not inflater.eof:
        raise Damaged("a column is longer than any can be")
    return inflated


def from_little_endian(typecode: str, data: bytes) -> array[Any]:
    """What `little_endian` was given."""
    found = array(typecode, data)
    if sys.byteorder == "big":
        found.byteswap()
    return found


def _straight(typecode: str, data: bytes, form: int) -> array[Any]:
    """The same of what may be transposed."""
    if form & _TRANSPOSED:
        width = array(typecode).itemsize
        rows = len(data) // width
        straight = bytearray(rows * width)
        for place in range(width):
            straight[place::width] = data[place * rows : (place + 1) * rows]
        data = bytes(straight)
    return from_little_endian(typecode, data)
