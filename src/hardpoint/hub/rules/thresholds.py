"""Between which numbers an expression cannot change: most expressions only compare one key with numbers, and such a one
is as true anywhere between two neighbours of those numbers as at one place there.
"""

from __future__ import annotations

import ast
from math import inf, nextafter

from .closures import KEY, WORDS

_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


def thresholds_of(node: ast.expr) -> frozenset[float] | None:
    """The numbers that an expression over one key compares it with; None: it does something else as well."""
    match node:
        case ast.Name(name) if name in WORDS:
            return frozenset()
        case ast.UnaryOp(ast.Not(), operand):
            return thresholds_of(operand)
        case ast.BoolOp(_, parts):
            return _all(parts)
        case ast.IfExp(test, then, otherwise):
            return _all([test, then, otherwise])
        case ast.Compare(left, operations, rights) if all(isinstance(each, _COMPARISONS) for each in operations):
            found = [_number(part) for part in (left, *rights) if not _is_key(part)]
            exact = [number for number in found if number is not None]
            return frozenset(exact) if len(exact) == len(found) else None
    return None


def around(value: float, thresholds: frozenset[float]) -> tuple[float, float] | None:
    """From and to, both included: the numbers on the same side of every threshold. None: the value is one itself."""
    if value in thresholds:
        return None
    below = max((each for each in thresholds if each < value), default=-inf)
    above = min((each for each in thresholds if each > value), default=inf)
    return nextafter(below, inf) if below != -inf else -inf, nextafter(above, -inf) if above != inf else inf


def _all(parts: list[ast.expr]) -> frozenset[float] | None:
    found: frozenset[float] = frozenset()
    for part in parts:
        more = thresholds_of(part)
        if more is None:
            return None
        found |= more
    return found


def _is_key(node: ast.expr) -> bool:
    match node:
        case ast.Name(name):
            return name not in WORDS
        case ast.Call(ast.Name(name)):
            return name == KEY
    return False


def _number(node: ast.expr) -> float | None:
    """A number as it is written, if a float is exactly that."""
    match node:
        case ast.UnaryOp(ast.USub(), operand):
            number = _number(operand)
            return None if number is None else -number
        case ast.Constant(int(value) | float(value)) if type(value) is not bool and abs(value) < 2**53:
            return float(value)
    return None
