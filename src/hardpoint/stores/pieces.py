"""A series in pieces: readings as two columns, and what is said of a piece instead of its readings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..model import Stretch, Summary

if TYPE_CHECKING:
    from ..model import Value

PIECE_READINGS = 4096
"""At most so many readings in one `Stretch`: some 300 KB of plain numbers, read in about a millisecond."""

_NUMBERS = (float, int)


def summarise(times: Sequence[int], values: Sequence[Value]) -> Summary:
    """The summary of a piece that has at least one reading."""
    kinds = set(map(type, values))
    if not kinds <= {float, int}:
        chosen = [(ts, value) for ts, value in zip(times, values, strict=True) if type(value) in _NUMBERS]
        number_times: Sequence[int] = [ts for ts, _ in chosen]
        numbers: Sequence[float] = [value for _, value in chosen]
    else:
        number_times, numbers = times, values
    if not numbers:
        return Summary(times[0], times[-1], len(times), 0, None, None, None, None, None, values[0], values[-1])
    low, high = min(numbers), max(numbers)
    return Summary(
        times[0],
        times[-1],
        len(times),
        len(numbers),
        low,
        number_times[numbers.index(low)],
        high,
        number_times[numbers.index(high)],
        total(numbers, integers=kinds == {int}),
        values[0],
        values[-1],
    )


def total(numbers: Sequence[float], *, integers: bool) -> float:
    """Their sum: exact of integers; rounded once of floats, so that it is the same on every Python and in any order.

    Beyond the range of floats it is infinite, and never NaN.
    """
    if integers:
        return sum(numbers)
    try:
        return math.fsum(numbers)
    except OverflowError:
        return (
            math.fsum(number / 2**64 for number in numbers) * 2**64
        )  # of ±1e308 it may be within the range all the same


def cut(times: Sequence[int], values: Sequence[Value], *, newest_first: bool = False) -> Iterator[Stretch]:
    """Columns of any length as stretches of at most `PIECE_READINGS`; within each the times ascend in either order."""
    if 0 < len(times) <= PIECE_READINGS:
        yield Stretch(times, values)
        return
    starts = range(0, len(times), PIECE_READINGS)
    for start in reversed(starts) if newest_first else starts:
        yield Stretch(times[start : start + PIECE_READINGS], values[start : start + PIECE_READINGS])
