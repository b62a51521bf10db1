"""A syntax tree as nested functions, made once: a rule evaluates it with every reading that is not calm for it.

simpleeval, whose operators these are, walks the tree anew each time, which is 11 µs for ``temp > 100 and temp < 300``;
these functions take 0.4 µs. What each kind of node means is simpleeval's, and a test holds them to it. Nothing is
compiled to Python's own code: a node that has no line here cannot be evaluated, whatever it is.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ...errors import BadInput

Evaluate: TypeAlias = Callable[[Mapping[str, Any]], Any]
"""The value of an expression, or of a part of it, for these values of keys."""

Operators: TypeAlias = Mapping[type, Callable[..., Any]]
Functions: TypeAlias = Mapping[str, Callable[..., Any]]

KEY = "key"
"""The function that reads a key whose name is no word: ``key("cpu.temp")``."""
WORDS = {"true": True, "false": False}
_SCALARS = frozenset({float, int, bool, str})


def closure_of(node: ast.expr, operators: Operators, functions: Functions) -> Evaluate:
    """The function that evaluates a node.

    Raises:
        BadInput: it is none that an expression may hold.
    """

    def of(part: ast.expr) -> Evaluate:
        return closure_of(part, operators, functions)

    match node:
        case ast.Constant(value):
            return lambda values: value
        case ast.Name(name):
            return _constant(WORDS[name]) if name in WORDS else _reading(name)
        case ast.Call(ast.Name(name), [ast.Constant(str(key))]) if name == KEY:
            return _reading(key)
        case ast.Call(ast.Name(name), arguments, []) if name in functions:
            return _call(functions[name], [of(each) for each in arguments])
        case ast.UnaryOp(operation, operand) if type(operation) in operators:
            return _unary(operators[type(operation)], of(operand))
        case ast.BinOp(left, operation, right) if type(operation) in operators:
            return _binary(operators[type(operation)], of(left), of(right))
        case ast.BoolOp(operation, parts):
            return _until(isinstance(operation, ast.Or), [of(part) for part in parts])
        case ast.IfExp(test, then, otherwise):
            return _choice(of(test), of(then), of(otherwise))
        case ast.Compare(left, [operation], [right]) if type(operation) in operators:
            return _binary(operators[type(operation)], of(left), of(right))  # the common one
        case ast.Compare(left, operations, rights) if all(type(each) in operators for each in operations):
            steps = [(operators[type(each)], of(right)) for each, right in zip(operations, rights, strict=True)]
            return _comparisons(of(left), steps)
    raise BadInput(f"{type(node).__name__} has no place in an expression", field="when.text")


def _constant(value: object) -> Evaluate:
    return lambda values: value


def _reading(key: str) -> Evaluate:
    def read(values: Mapping[str, Any]) -> Any:
        value = values[key]
        if type(value) in _SCALARS:
            return value
        raise KeyError(key)  # JSON, or nothing

    return read


def _call(function: Callable[..., Any], arguments: list[Evaluate]) -> Evaluate:
    return lambda values: function(*[each(values) for each in arguments])


def _unary(operation: Callable[[Any], Any], operand: Evaluate) -> Evaluate:
    return lambda values: operation(operand(values))


def _binary(operation: Callable[[Any, Any], Any], left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda values: operation(left(values), right(values))


def _until(found: bool, parts: list[Evaluate]) -> Evaluate:
    """The first part that is as true as ``found``, or the last one: ``or``, and with False ``and``."""

    def evaluate(values: Mapping[str, Any]) -> Any:
        value = None
        for part in parts:
            value = part(values)
            if bool(value) is found:
                break
        return value

    return evaluate


def _choice(test: Evaluate, then: Evaluate, otherwise: Evaluate) -> Evaluate:
    return lambda values: then(values) if test(values) else otherwise(values)


def _comparisons(first: Evaluate, steps: list[tuple[Callable[[Any, Any], Any], Evaluate]]) -> Evaluate:
    """``0 < temp < 30``: each is compared with the one before it, until one comparison is false."""

    def evaluate(values: Mapping[str, Any]) -> Any:
        left, holds = first(values), True
        for operation, right in steps:
            value = right(values)
            holds = operation(left, value)
            if not holds:
                break
            left = value
        return holds

    return evaluate
