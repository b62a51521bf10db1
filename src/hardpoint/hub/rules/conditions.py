"""Conditions: the *when* of a rule, read from its JSON once and then asked for every reading.

::

    {"key": "temp", "is": "above", "value": 30, "until": 28}       {"key": "temp", "is": "below", "value": 5}
    {"key": "temp", "is": "outside", "low": 5, "high": 30}         {"key": "temp", "is": "inside", "low": 5, "high": 30}
    {"key": "door", "is": "equal", "value": "open"}                {"key": "door", "is": "unequal", "value": "shut"}
    {"key": "temp", "is": "changing", "by": 5, "within_s": 60}     {"key": "temp", "is": "missing"}
    {"is": "expression", "text": "temp > 30 and hum < 40", "until": "temp < 28"}

``until`` is the hysteresis: what holds goes on holding until the value is past it. For ``outside`` and ``inside`` it is
``[low, high]``. ``missing`` holds when no reading has come for the rule's ``for_s``; its key may be ``*``, any key.

A *probe* looks at the readings of one device. Most conditions keep nothing of a device, so they are their own probe.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ...errors import BadInput
from ...model import checked_key
from ..fields import label_of, with_unit
from .expressions import Expression
from .thresholds import around

if TYPE_CHECKING:
    from ...model import Json, Value
    from ..fields import Field

MAX_WITHIN_S = 24 * 3600.0
MAX_SAMPLES = 64
"""Readings that ``changing`` keeps of a device, spread evenly over its time."""
ANY_KEY = "*"


Calm: TypeAlias = tuple[float, float]
"""From and to, both included: a number in between changes nothing."""
NOTHING_CALM: Calm = (math.inf, -math.inf)
ALL_CALM: Calm = (-math.inf, math.inf)


class Unusable(Exception):
    """The condition cannot tell, and why: shown as the rule's state ``error``. It neither raises nor ends an alert."""


class Probe(ABC):
    """Looks at the readings of one device."""

    __slots__ = ()

    @abstractmethod
    def holds(self, key: str, ts: int, value: Value, held: bool) -> bool:
        """Whether the condition holds now that this reading came. ``held``: it did before, so ``until`` counts.

        Raises:
            Unusable: that cannot be told.
        """

    def calm(self, held: bool) -> Calm:
        """Numbers for which `holds` is ``held`` again and need not be asked: most readings are such, and one look at
        two bounds spares them a call for every rule. By default there are none.
        """
        return NOTHING_CALM


class Condition(ABC):
    """What a rule waits for."""

    keys: tuple[str, ...]
    """Which readings concern it; `ANY_KEY` for all of them."""

    @abstractmethod
    def probe(self, latest: Mapping[str, Value]) -> Probe:
        """What looks at one device, whose latest values are these."""

    @abstractmethod
    def told(self, fields: Mapping[str, Field]) -> str:
        """In words, with the labels and units that are set of the keys: ``Air temperature is above 30 °C``."""

    def __str__(self) -> str:
        """In words, with keys as they are: ``temp is above 30``."""
        return self.told({})


class _OneKey(Condition, Probe):
    """A condition on the value of one key, that needs no memory."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.keys = (key,)

    def probe(self, latest: Mapping[str, Value]) -> Probe:
        """See `Condition`."""
        return self


class Above(_OneKey):
    """Greater than ``value``; once it was, until it is no longer greater than ``until``."""

    def __init__(self, key: str, limit: float, until: float) -> None:
        super().__init__(key)
        self.limit, self.until = limit, until

    def holds(self, key: str, ts: int, value: Value, held: bool) -> bool:
        """See `Probe`."""
        if type(value) is not float and type(value) is not int:
            raise _not_a_number(key, value)
        return value > (self.until if held else self.limit)

    def calm(self, held: bool) -> Calm:
        """See `Probe`."""
        return (math.nextafter(self.until, math.inf), math.inf) if held else (-math.inf, self.limit)

    def told(self, fields: Mapping[str, Field]) -> str:
        """See `Condition`."""
        return f"{label_of(self.key, fields)} is above {with_unit(f'{self.limit:g}', self.key, fields)}"


class Below(_OneKey):
    """Less than ``value``; once it was, until it is no longer less than ``until``."""

    def __init__(self, key: str, limit: float, until: float) -> None:
        super().__init__(key)
        self.limit, self.until = limit, until

    def holds(self, key: str, ts: int, value: Value, held: bool) -> bool:
        """See `Probe`."""
        if type(value) is not float and type(value) is not int:
            raise _not_a_number(key, value)
        return value < (self.until if held else self.limit)

    def calm(self, held: bool) -> Calm:
        """See `Probe`."""
        return (-math.inf, math.nextafter(self.until, -math.inf)) if held else (self.limit, math.inf)

    def told(self, fields: Mapping[str, Field]) -> str:
        """See `Condition`."""
        return f"{label_of(self.key, fields)} is below {with_unit(f'{self.limit:g}', self.key, fields)}"


class Range(_OneKey):
    """Below ``low`` or above ``high``, or (``outside`` false) neither. Once that held, it holds until the value has
    crossed the bounds of ``until``.
    """

    def __init__(self, key: str, low: float, high: float, until: tuple[float, float], outside: bool) -> None:
        super().__init__(key)
        self.limits, self.until, self.outside = (low, high), until, outside

    def holds(self, key: str, ts: int, value: Value, held: bool) -> bool:
        """See `Probe`."""
        if type(value) is not float and type(value) is not int:
            raise _not_a_number(key, value)
        low, high = self.until if held else self.limits
        return (low <= value <= high) != self.outside

    def calm(self, held: bool) -> Calm:
        """See `Probe`. What lies on two sides is no stretch."""
        if held == self.outside:
            return NOTHING_CALM
        return self.until if held else self.limits

    def told(self, fields: Mapping[str, Field]) -> str:
        """See `Condition`."""
        low, high = self.limits
        bounds = with_unit(f"{low:g} to {high:g}", self.key, fields)
        return f"{label_of(self.key, fields)} is {'outside ' if self.outside else ''}{bounds}"


class Equal(_OneKey):
    """The value is this one, or (``equal`` false) another. True is not 1, and 1 is 1.0."""

    def __init__(self, key: str, value: Value, equal: bool) -> None:
        super().__init__(key)
        self.value, self.equal = value, equal

    def holds(self, key: str, ts: int, value: Value, held: bool) -> bool:
        """See `Probe`."""
        same = value == self.value and isinstance(value, bool) == isinstance(self.value, bool)
        return same == self.equal

    def calm(self, held: bool) -> Calm:
        """See `Probe`. Of what lies on both sides of a number, the lower side."""
        if type(self.value) is not float and type(self.value) is not int:
            return NOTHING_CALM if held == self.equal else ALL_CALM  # a number is no string
        if held == self.equal:
            return self.value, self.value
        return -math.inf, math.nextafter(self.value, -math.inf)

    def told(self, fields: Mapping[str, Field]) -> str:
        """See `Condition`."""
        if isinstance(self.value, str | bool):
            value = str(self.value).lower() if isinstance(self.value, bool) else self.value
        else:
            value = with_unit(str(self.value), self.key, fields)
        return f"{label_of(self.key, fields)} is {'' if self.equal else 'not '}{value}"


class Changing(Condition):
    """Some two values of the last ``within_s`` seconds, by the readings' own times, differ by more than ``by``."""

    def __init__(self, key: str, by: float, within_s: float) -> None:
        self.key, self.by, self.within_s = key, by, within_s
        self.keys = (key,)

    def probe(self, latest: Mapping[str, Value]) -> Probe:
        """See `Condition`."""
        return _ChangingProbe(self.by, int(self.within_s * 1000))

    def told(self, fields: Mapping[str, Field]) -> str:
        """See `Condition`."""
        by = with_unit(f"{self.by:g}", self.key, fields)
        return f"{label_of(self.key, fields)} changes by more than {by} within {self.within_s:g} s"


class _ChangingProbe(Probe):
    __slots__ = ("_began_ms", "_by", "_samples", "_within_ms")

    def __init__(self, by: float, within_ms: int) -> None:
        self._by = by
        self._within_ms = within_ms
        self._began_ms: int | None = None
        self._samples: deque[tuple[int, float, float]] = deque()  # (from ts, least, greatest) of a short stretch

    def holds(self, key: str, ts: int, value: Value, held: bool) -> bool:
        """See `Probe`."""
        if type(value) is not float and type(value) is not int:
            raise _not_a_number(key, value)
        samples = self._samples
        if self._began_ms is None:
            self._began_ms = ts
        if samples and ts < samples[-1][0]:  # the clock was set back: what was before cannot be set against it
            samples.clear()
        while samples and samples[0][0] <= ts - self._within_ms:
            samples.popleft()
        if samples and ts - samples[-1][0] < self._within_ms // MAX_SAMPLES:
            since, low, high = samples[-1]
            samples[-1] = (since, min(low, value), max(high, value))
        else:
            samples.append((ts, value, value))
        if max(high for _, _, high in samples) - min(low for _, low, _ in samples) > self._by:
            return True
        # After a restart nothing is known of what was before: what held then holds until the whole time was seen.
        return held and 0 <= ts - self._began_ms < self._within_ms


class Missing(_OneKey):
    """No reading has come for a while: every one that comes ends it. When it begins is the clock's business."""

    def holds(self, key: str, ts: int, value: Value, held: bool) -> bool:
        """See `Probe`."""
        return False

    def told(self, fields: Mapping[str, Field]) -> str:
        """See `Condition`."""
        return "nothing comes" if self.key == ANY_KEY else f"{label_of(self.key, fields)} is missing"


class OfExpression(Condition):
    """A free expression over the device's latest values is true."""

    def __init__(self, text: str, until: str | None) -> None:
        self.text = text
        self.expression = Expression(text)
        self.end = Expression(until) if until is not None else None
        self.keys = tuple(dict.fromkeys([*self.expression.keys, *(self.end.keys if self.end else ())]))
        if not self.keys:
            raise BadInput("an expression names at least one key", field="when.text")

    def probe(self, latest: Mapping[str, Value]) -> Probe:
        """See `Condition`."""
        return _ExpressionProbe(self, {key: latest[key] for key in self.keys if key in latest})

    def told(self, fields: Mapping[str, Field]) -> str:
        """See `Condition`. An expression is about keys, and stays as it was written."""
        return self.text


class _ExpressionProbe(Probe):
    __slots__ = ("_condition", "_values")

    def __init__(self, condition: OfExpression, values: dict[str, Value]) -> None:
        self._condition = condition
        self._values = values

    def holds(self, key: str, ts: int, value: Value, held: bool) -> bool:
        """See `Probe`."""
        self._values[key] = value
        try:
            if held and self._condition.end is not None:
                return not self._condition.end.is_true(self._values)
            return self._condition.expression.is_true(self._values)
        except ValueError as error:
            raise Unusable(str(error)) from None

    def calm(self, held: bool) -> Calm:
        """See `Probe`. With one key that is compared with numbers, those between which the latest value lies."""
        condition = self._condition
        expression = condition.end if held and condition.end is not None else condition.expression
        if len(condition.keys) != 1 or expression.thresholds is None:
            return NOTHING_CALM
        value = self._values.get(condition.keys[0])
        if type(value) is not float and type(value) is not int:
            return NOTHING_CALM
        try:
            steady = self.holds(condition.keys[0], 0, value, held) == held
        except Unusable:
            return NOTHING_CALM
        return (steady and around(value, expression.thresholds)) or NOTHING_CALM


# What comes in → a condition.


def parse_condition(when: Mapping[str, Json]) -> Condition:
    """The condition that a rule's ``when`` describes.

    Raises:
        BadInput: it is none; the field says where.
    """
    kind = when.get("is")
    parse = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parse is None:
        raise BadInput(f"is is one of {', '.join(_PARSERS)}", field="when.is")
    fields, make = parse
    unknown = [name for name in when if name not in ("is", *fields)]
    if unknown:
        raise BadInput(f"{kind} takes {', '.join(fields)}, not {unknown[0][:64]}", field=f"when.{unknown[0][:64]}")
    return make(when)


def only_key(when: Mapping[str, Json]) -> str | None:
    """The one key that a rule's ``when`` is about; None: any, several, or it is no condition."""
    try:
        keys = parse_condition(when).keys
    except BadInput:
        return None
    return keys[0] if len(keys) == 1 and keys[0] != ANY_KEY else None


def _above(when: Mapping[str, Json]) -> Condition:
    limit = _number(when, "value")
    until = _number(when, "until", limit)
    if until > limit:
        raise BadInput("until is not above value", field="when.until")
    return Above(_key(when), limit, until)


def _below(when: Mapping[str, Json]) -> Condition:
    limit = _number(when, "value")
    until = _number(when, "until", limit)
    if until < limit:
        raise BadInput("until is not below value", field="when.until")
    return Below(_key(when), limit, until)


def _outside(when: Mapping[str, Json]) -> Condition:
    low, high = _range(when)
    until = _pair(when, (low, high))
    if not low <= until[0] <= until[1] <= high:
        raise BadInput("until lies within low and high", field="when.until")
    return Range(_key(when), low, high, until, outside=True)


def _inside(when: Mapping[str, Json]) -> Condition:
    low, high = _range(when)
    until = _pair(when, (low, high))
    if not until[0] <= low <= high <= until[1]:
        raise BadInput("until lies around low and high", field="when.until")
    return Range(_key(when), low, high, until, outside=False)


def _equal(when: Mapping[str, Json]) -> Condition:
    value = when.get("value")
    if not isinstance(value, str | int | float):
        raise BadInput("value is a number, a string or a boolean", field="when.value")
    return Equal(_key(when), value, when["is"] == "equal")


def _changing(when: Mapping[str, Json]) -> Condition:
    by, within_s = _number(when, "by"), _number(when, "within_s")
    if by <= 0:
        raise BadInput("by is greater than 0", field="when.by")
    if not 0 < within_s <= MAX_WITHIN_S:
        raise BadInput(f"within_s is between 0 and {MAX_WITHIN_S:.0f}", field="when.within_s")
    return Changing(_key(when), by, within_s)


def _missing(when: Mapping[str, Json]) -> Condition:
    return Missing(ANY_KEY) if when.get("key") == ANY_KEY else Missing(_key(when))


def _expression(when: Mapping[str, Json]) -> Condition:
    texts = [when.get("text"), when.get("until")]
    for name, text in zip(("text", "until"), texts, strict=True):
        if not isinstance(text, str) and (text is not None or name == "text"):
            raise BadInput("an expression is a string", field=f"when.{name}")
    return OfExpression(str(when["text"]), texts[1])


_PARSERS: dict[str, tuple[tuple[str, ...], Callable[[Mapping[str, Json]], Condition]]] = {
    "above": (("key", "value", "until"), _above),
    "below": (("key", "value", "until"), _below),
    "outside": (("key", "low", "high", "until"), _outside),
    "inside": (("key", "low", "high", "until"), _inside),
    "equal": (("key", "value"), _equal),
    "unequal": (("key", "value"), _equal),
    "changing": (("key", "by", "within_s"), _changing),
    "missing": (("key",), _missing),
    "expression": (("text", "until"), _expression),
}


def _key(when: Mapping[str, Json]) -> str:
    key = when.get("key")
    if not isinstance(key, str):
        raise BadInput("key names the reading that is looked at", field="when.key")
    return checked_key(key)


def _number(when: Mapping[str, Json], name: str, default: float | None = None) -> float:
    value: Any = when.get(name)
    if value is None and default is not None:
        return default
    try:
        number = float(value) if type(value) is int or type(value) is float else math.nan
    except OverflowError:  # an integer of four hundred digits
        number = math.inf
    if not math.isfinite(number):
        raise BadInput(f"{name} is a number", field=f"when.{name}")
    return number


def _range(when: Mapping[str, Json]) -> tuple[float, float]:
    low, high = _number(when, "low"), _number(when, "high")
    if low > high:
        raise BadInput("low is not above high", field="when.low")
    return low, high


def _pair(when: Mapping[str, Json], default: tuple[float, float]) -> tuple[float, float]:
    value = when.get("until")
    if value is None:
        return default
    if not isinstance(value, list) or len(value) != 2:
        raise BadInput("until is [low, high]", field="when.until")
    low, high = (_number({"until": part}, "until") for part in value)
    return low, high


def _not_a_number(key: str, value: Value) -> Unusable:
    return Unusable(f"{key} is {msgspec.json.encode(value).decode()[:40]}, not a number")
