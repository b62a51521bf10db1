"""The filter language of the device list: ``site:roof temp>30 is:late -name~pump``. Every term must hold.

The page's ``core/filter.mjs`` reads the same language, and both are tested with the same table of cases::

    pump  "two words"        name, id or a label has it
    is:online,late           presence, in a word (or how it begins)
    name:  id:  label:       begins with; ``label`` looks at keys and values
    site:roof                the label ``site`` begins with it
    over:mqtt  from:10.0.0   how and from where it is attached
    seen<5m  seen>2h         how long ago it was last seen (s, m, h, d)
    hum>60  door=true        the latest value of a key: > >= < <= = !=, and ~ for text that has it
    temp>30C  temp<86°F      a temperature in that unit, whichever it is sent in
    name~x  site~x           has it, anywhere
    -term                    does not hold

A number without a unit is compared with what was sent. The page compares it with what its reader sees, and where that
is a temperature it writes the unit into the address, so that a link means the same to everybody and here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol, TypeAlias

from ..errors import BadInput
from ..hub.fields import fields_of
from ..hub.presence import WORDS, facts, presence_word

if TYPE_CHECKING:
    from ..hub.devices import DeviceState

MAX_CHARS = 500
MAX_TERMS = 32
"""A person's sentence has fewer, and each is looked at for each device."""

_TERM = re.compile(
    r"""(?P<not>-?)(?:(?P<field>[^\s"~<>=!:-][^\s"~<>=!:]*)(?P<op>>=|<=|!=|[:~><=]))?(?P<value>"[^"]*"|[^\s"]*)(?=\s|$)"""
)
_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]{1,3})?)(?:°?([cf])|([℃℉]))?")
_TEMPERATURES = {"c": "°C", "f": "°F", "℃": "°C", "℉": "°F"}
_IN_FAHRENHEIT = re.compile(r"(temp|temperature|dew_?point)_f$|fahrenheit$", re.IGNORECASE)
"""Keys that say so themselves; the pages' core/format.mjs guesses alike."""
_AGE = re.compile(r"([0-9]+\.?[0-9]*)(s|m|h|d)")
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

Check: TypeAlias = "Callable[[View, int], bool]"


class View(Protocol):
    """What a filter looks at of a device."""

    name: str
    id: str
    labels: Mapping[str, str]

    def presence(self) -> Mapping[str, Any]:
        """As the app API gives it."""
        ...

    def value(self, key: str) -> object:
        """The latest value of a key; None: there is none."""
        ...

    def unit(self, key: str) -> str:
        """The unit that is set of a key; empty: none is."""
        ...


class Filter:
    """A filter that was read."""

    def __init__(self, text: str) -> None:
        """Read it.

        Raises:
            BadInput: it is not one; the message says where.
        """
        if len(text) > MAX_CHARS:
            raise BadInput(f"a filter has at most {MAX_CHARS} characters", field="filter")
        self._checks: list[Check] = []
        position = 0
        while (position := _after_space(text, position)) < len(text):
            found = _TERM.match(text, position)
            if found is None:
                _refuse(text, position, 'a " is missing, or stands where none can be')
            self._checks.append(_check(found, text))
            position = found.end()
        if len(self._checks) > MAX_TERMS:
            raise BadInput(f"a filter has at most {MAX_TERMS} terms", field="filter")

    def holds(self, device: View, at_ms: int) -> bool:
        """Whether every term does, at that time."""
        return all(check(device, at_ms) for check in self._checks)


class DeviceView:
    """A device of the hub, looked at by a filter."""

    __slots__ = ("_at_ms", "_device", "id", "labels", "name")

    def __init__(self, device: DeviceState, at_ms: int) -> None:
        self._device = device
        self._at_ms = at_ms
        self.name, self.id = device.record.name, device.id
        self.labels: Mapping[str, str] = device.record.labels

    def presence(self) -> Mapping[str, Any]:
        """As the app API gives it."""
        return facts(self._device, self._at_ms)

    def value(self, key: str) -> object:
        """The latest value of a key."""
        series = (self._device.series or {}).get(key)
        return series.value if series is not None and series.ts >= 0 else None

    def unit(self, key: str) -> str:
        """The unit that is set of a key."""
        field = fields_of(self._device).get(key)
        return field.unit if field is not None else ""


def _after_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _refuse(text: str, position: int, why: str) -> NoReturn:
    raise BadInput(f"{why} (column {position + 1})", field="filter")


def _check(found: re.Match[str], text: str) -> Check:
    field, operator, raw = found["field"], found["op"], found["value"]
    value = raw.strip('"').lower()
    if field is None:
        # A minus alone is a word that somebody looks for.
        return _negated(bool(found["not"]) and bool(raw), _has_word(value if raw else found[0]))
    if not raw:
        _refuse(text, found.start("op"), f"nothing follows {field}{operator}")
    make = _FIELDS.get(field, _key)
    return _negated(bool(found["not"]), make(field, operator, value, text, found.start()))


def _negated(negate: bool, check: Check) -> Check:
    return (lambda device, at_ms: not check(device, at_ms)) if negate else check


def _has_word(word: str) -> Check:
    def check(device: View, _at_ms: int) -> bool:
        labels = (f"{key}:{value}" for key, value in device.labels.items())
        return any(word in each.lower() for each in (device.name, device.id, *labels))

    return check


def _compared(operator: str, value: str) -> Callable[[str], bool] | None:
    """How a text is compared; None: not by this operator."""
    values = [each for each in value.split(",") if each] or [value]
    match operator:
        case ":":
            return lambda text: text.lower().startswith(tuple(values))
        case "=":
            return lambda text: text.lower() in values
        case "!=":
            return lambda text: text.lower() not in values
        case "~":
            return lambda text: value in text.lower()
    return None


def _text(field: str, operator: str, value: str, text: str, position: int) -> Check:
    compare = _compared(operator, value)
    if compare is None:
        _refuse(text, position, f"{field} is a text: use : = != or ~")

    def check(device: View, _at_ms: int) -> bool:
        if field == "label":
            return any(compare(each) for pair in device.labels.items() for each in pair)
        if field in ("name", "id"):
            return compare(device.name if field == "name" else device.id)
        connected = device.presence()["connected"]
        return connected is not None and compare(connected["dialect" if field == "over" else "from"] or "")

    return check


def _is(field: str, operator: str, value: str, text: str, position: int) -> Check:
    if operator not in (":", "="):
        _refuse(text, position, f"after {field} comes a colon")
    meant = []
    for given in value.split(","):
        words = [word for word in WORDS if word.startswith(given)]
        if not words or not given:
            _refuse(text, position, f"{field}: knows {', '.join(WORDS)}, not {given!r}")
        meant += words
    return lambda device, at_ms: presence_word(device.presence(), at_ms) in meant


def _seen(field: str, operator: str, value: str, text: str, position: int) -> Check:
    found = _AGE.fullmatch(value)
    if operator[0] not in "<>" or found is None:
        _refuse(text, position, f"{field} is compared with a time: {field}<5m, {field}>2h (s, m, h, d)")
    age_ms = float(found[1]) * _UNITS_S[found[2]] * 1000

    def check(device: View, at_ms: int) -> bool:
        seen = device.presence()["last_seen"]
        # Of who never came, every time is longer ago.
        past = seen is None or at_ms - seen > age_ms
        return past if operator[0] == ">" else not past

    return check


def _key(field: str, operator: str, value: str, text: str, position: int) -> Check:
    limit = _Limit.read(field, value)
    if operator[0] in "<>":
        if limit is None:
            _refuse(text, position, f"{field}{operator} is followed by a number, which may end in °C or °F")
        return _number(limit, operator)
    compare = _compared(operator, value)
    assert compare is not None, "every operator but those of numbers is one of texts"

    def check(device: View, _at_ms: int) -> bool:
        found = None if operator == ":" else device.value(field)
        if found is None:
            return field in device.labels and compare(device.labels[field])
        if limit is None or operator == "~" or type(found) not in (int, float):
            return compare(_shown(found))
        seen = limit.seen(device)
        return seen is not None and (seen == limit.number) is (operator == "=")

    return check


class _Limit(NamedTuple):
    """The number that a key's latest is compared with, and the unit of temperature that it is in, if one is named."""

    key: str
    number: float
    unit: str | None

    @classmethod
    def read(cls, key: str, value: str) -> _Limit | None:
        """Of a value in small letters; None: it is no number."""
        found = _NUMBER.fullmatch(value)
        if found is None:
            return None
        unit = found[2] or found[3]
        return cls(key, float(found[1]), _TEMPERATURES[unit] if unit else None)

    def seen(self, device: View) -> float | None:
        """The latest number in that unit; None: there is none, or it is no temperature."""
        found = device.value(self.key)
        if not isinstance(found, int | float) or isinstance(found, bool):
            return None
        if self.unit is None:
            return found
        # Who names a unit says that it is a temperature, whatever it is called.
        sent_in = device.unit(self.key) or ("°F" if _IN_FAHRENHEIT.search(self.key) else "°C")
        if sent_in == self.unit:
            return found
        # Without what a conversion leaves in the last digits: 21.5 °C is 70.7 °F.
        if sent_in == "°C":
            return round(float(found) * 1.8 + 32, 9)
        return round((float(found) - 32) / 1.8, 9) if sent_in == "°F" else None


def _number(limit: _Limit, operator: str) -> Check:
    def check(device: View, _at_ms: int) -> bool:
        found = limit.seen(device)
        if found is None:
            return False
        match operator:
            case ">":
                return found > limit.number
            case ">=":
                return found >= limit.number
            case "<":
                return found < limit.number
        return found <= limit.number

    return check


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_FIELDS: Mapping[str, Callable[[str, str, str, str, int], Check]] = {
    "is": _is,
    "seen": _seen,
    **dict.fromkeys(("name", "id", "label", "over", "from"), _text),
}
