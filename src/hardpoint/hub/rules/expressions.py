"""Free expressions over a device's latest values: ``temp > 30 and (hum < 40 or key("door.open"))``.

The language is a part of simpleeval's: its operators, which watch how much they make, over a syntax tree of which only
what is listed here is let in (`closures` evaluates it). So nothing of Python is within reach. Values are scalars, and
functions our few (objects in reach of ``names`` were CVE-2026-32640); there are no powers and no multiplied strings; an
expression is at most `MAX_LENGTH` characters long and has at most `MAX_NODES` nodes, and none of them can repeat.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from ...errors import BadInput
from ...model import KEY_PATTERN
from .closures import KEY, WORDS, closure_of
from .thresholds import thresholds_of

if TYPE_CHECKING:
    from ...model import Value

MAX_LENGTH = 500
MAX_NODES = 200

_NODES = (
    ast.Expression,
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.Not,
    ast.USub,
    ast.UAdd,
    ast.BinOp,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.FloorDiv,
    ast.Mod,
    ast.Compare,
    ast.Eq,
    ast.NotEq,
    ast.Lt,
    ast.LtE,
    ast.Gt,
    ast.GtE,
    ast.In,
    ast.NotIn,
    ast.IfExp,
    ast.Call,
    ast.Name,
    ast.Load,
    ast.Constant,
)


class Expression:
    """One expression, parsed. ``keys`` are those whose values it reads; ``thresholds`` what it compares its one key
    with, where it does nothing else (see that module).
    """

    def __init__(self, text: str) -> None:
        """Parse it.

        Raises:
            BadInput: it is no expression of this language.
        """
        if not 0 < len(text) <= MAX_LENGTH:
            raise BadInput(f"an expression has 1 to {MAX_LENGTH} characters", field="when.text")
        self.text = text
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise BadInput(f"{text[:80]!r} is no expression: {_reason(error)}", field="when.text") from None
        self.keys = _keys_of(tree)
        self.thresholds = thresholds_of(tree.body) if len(self.keys) == 1 else None
        self._evaluate = closure_of(tree.body, operators(), FUNCTIONS)

    def is_true(self, values: Mapping[str, Value]) -> bool:
        """Whether it is true of these values.

        Raises:
            ValueError: a key has no value yet, or the values do not fit; the message says which.
        """
        for key in self.keys:
            if key not in values:
                raise ValueError(f"{key} has no reading yet")
        try:
            return bool(self._evaluate(values))
        except Exception as error:  # noqa: BLE001 - simpleeval's operators raise its own, Python's theirs
            raise ValueError(f"{self.text[:80]}: {_reason(error)}") from None


def _keys_of(tree: ast.Expression) -> tuple[str, ...]:
    """Names that are no function, and what ``key("…")`` is called with; refuses every node that is not listed."""
    nodes = list(ast.walk(tree))
    if len(nodes) > MAX_NODES:
        raise BadInput(f"an expression has at most {MAX_NODES} parts", field="when.text")
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    keys: dict[str, None] = {}
    for node in nodes:
        if not isinstance(node, _NODES):
            raise BadInput(f"{type(node).__name__} has no place in an expression", field="when.text")
        if isinstance(node, ast.Constant) and not isinstance(node.value, str | int | float):
            raise BadInput("an expression holds numbers, strings, true and false", field="when.text")
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if name != KEY and name not in FUNCTIONS:
                raise BadInput(f"functions are {KEY}, {', '.join(FUNCTIONS)}", field="when.text")
            if node.keywords:
                raise BadInput(f"{name} takes no named arguments", field="when.text")
            if name == KEY:
                keys[_quoted_key(node)] = None
        elif isinstance(node, ast.Name) and id(node) not in called and node.id not in WORDS:
            if node.id in FUNCTIONS or node.id == KEY:
                raise BadInput(f"{node.id} is a function: {node.id}(…)", field="when.text")
            keys[node.id] = None
    return tuple(keys)


def _quoted_key(node: ast.Call) -> str:
    argument = node.args[0] if len(node.args) == 1 else None
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str) and KEY_PATTERN.fullmatch(argument.value):
        return argument.value
    raise BadInput('key takes the name of a key in quotes: key("cpu.temp")', field="when.text")


def _average(*values: float) -> float:
    return sum(values) / len(values)


def _rounded(value: float, digits: int = 0) -> float:
    return round(float(value), digits)  # of an int, round(5, -999999999) would work out 10**999999999


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "round": _rounded,
    "avg": _average,
}


def _times(a: Any, b: Any) -> Any:
    if isinstance(a, str) or isinstance(b, str):
        raise TypeError("strings cannot be multiplied")
    return a * b


def _modulo(a: Any, b: Any) -> Any:
    if isinstance(a, str):
        raise TypeError("a string has no remainder")  # "%999999999d" % 1 would fill memory
    return a % b


@cache
def operators() -> dict[type, Callable[..., Any]]:
    """simpleeval's, of those nodes that are let in, with ours where its own are for more than scalars. Imported when
    the first expression is made.
    """
    from simpleeval import DEFAULT_OPERATORS

    found = {kind: function for kind, function in DEFAULT_OPERATORS.items() if issubclass(kind, _NODES)}
    return found | {ast.Mult: _times, ast.Mod: _modulo, ast.In: lambda a, b: operator.contains(b, a)}


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is neither a number, a string nor a boolean"
    if isinstance(error, SyntaxError):
        return error.msg  # str() adds a file and a line
    return str(error).partition("\n")[0] or type(error).__name__
