"""A rule's record, checked and compiled; and which devices it concerns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...errors import BadInput
from ...model import MAX_NAME_LENGTH, SEVERITIES, checked_json
from .conditions import parse_condition
from .watch import Compiled

if TYPE_CHECKING:
    from ...model import Device, Rule

MAX_FOR_S = 31 * 24 * 3600.0
MIN_REPEAT_S = 60.0
"""More often is what people turn alerts off for."""
MAX_CHANNELS = 32

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_METHOD = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")


def checked_rule(rule: Rule) -> Compiled:
    """The rule with its condition.

    Raises:
        BadInput: a part of it cannot be used; the field says which.
        TooLarge: the parameters of its command are too long.
    """
    if _ID.fullmatch(rule.id) is None:
        raise BadInput("an id has 1 to 63 small letters, digits and -", field="id")
    if not 0 < len(rule.name) <= MAX_NAME_LENGTH or not rule.name.isprintable():
        raise BadInput(f"a name has 1 to {MAX_NAME_LENGTH} visible characters", field="name")
    _check_scope(rule.scope)
    if rule.severity not in SEVERITIES:
        raise BadInput(f"severity is one of {', '.join(SEVERITIES)}", field="severity")
    if rule.repeat_s is not None and rule.repeat_s < MIN_REPEAT_S:
        raise BadInput(f"repeat_s is at least {MIN_REPEAT_S:.0f}", field="repeat_s")
    if len(rule.channels) > MAX_CHANNELS:
        raise BadInput(f"a rule has at most {MAX_CHANNELS} channels", field="channels")
    if rule.command is not None:
        _check_command(rule)
    compiled = Compiled(rule, parse_condition(rule.when))
    if compiled.waits_for_nothing and not 1 <= rule.for_s <= MAX_FOR_S:
        raise BadInput(f"missing needs for_s, 1 to {MAX_FOR_S:.0f}", field="for_s")
    if not 0 <= rule.for_s <= MAX_FOR_S:
        raise BadInput(f"for_s is between 0 and {MAX_FOR_S:.0f}", field="for_s")
    return compiled


def concerns(rule: Rule, device: Device) -> bool:
    """Whether the rule looks at this device."""
    if not rule.enabled:
        return False
    kind, _, which = rule.scope.partition(":")
    if kind == "all":
        return True
    if kind == "device":
        return device.id == which
    name, equals, value = which.partition("=")
    return name in device.labels and (not equals or device.labels[name] == value)


def _check_scope(scope: str) -> None:
    kind, _, which = scope.partition(":")
    if (kind == "all" and not which and ":" not in scope) or (kind in ("device", "label") and 0 < len(which) <= 300):
        return
    raise BadInput("scope is all, device:<id>, label:<name> or label:<name>=<value>", field="scope")


def _check_command(rule: Rule) -> None:
    command = rule.command
    if not isinstance(command, dict) or not command.keys() <= {"method", "params", "device"}:
        raise BadInput("a command is {method, params, device}", field="command")
    if not isinstance(command.get("method"), str) or _METHOD.fullmatch(command["method"]) is None:
        raise BadInput("a method is one word of letters, digits, _ . : - (at most 64)", field="command.method")
    if not isinstance(command.get("device"), str | None):
        raise BadInput("device is the id of one, or left out: the one the alert is about", field="command.device")
    checked_json(command.get("params"))
