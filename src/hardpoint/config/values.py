"""Values as people write them: text with units, lists in a line, rules of retention."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .bridges import parse_bridge_topic, parse_bridge_url
from .declared import MAX_NUMBER, Setting
from .urls import LISTEN_PORTS, parse_listen_url, parse_mount


def converted(known: Setting, value: object, base: Path | None) -> Any:
    """The value in its type and within its range. Text is read as the environment writes it.

    Raises:
        ValueError: it cannot be; the message completes "<setting>: …".
    """
    match known.kind:
        case "path":
            if not isinstance(value, str | Path) or not str(value):
                raise ValueError("must be the path of a file or folder")
            return _path(value, base)
        case "paths":
            return _paths(value, base)
        case "strings":
            return _STRINGS[known.path](value)
        case "boolean":
            return _boolean(value)
        case "string":
            if not known.choices:
                return _TEXTS[known.path](value)
            if value not in known.choices:
                raise ValueError(f"must be one of {', '.join(known.choices)}, not {value!r}")
            return value
    number = _number(known, value)
    if known.minimum is not None and number < known.minimum:
        raise ValueError(f"must be at least {known.minimum:g}, not {value!r}")
    if known.maximum is not None and number > known.maximum:
        raise ValueError(f"must be at most {known.maximum:g}, not {value!r}")
    return number


def _path(value: str | Path, base: Path | None) -> Path:
    # A path in a file is meant from where the file lies: the server may be started from anywhere.
    path = Path(value).expanduser()
    return base / path if base else path


def _paths(value: object, base: Path | None) -> tuple[Path, ...]:
    """Any number of paths; text may hold several, separated by the platform's mark for search paths (``:``)."""
    if isinstance(value, str | Path):
        value = [each for each in str(value).split(os.pathsep) if each]
    if not isinstance(value, Sequence) or not all(isinstance(each, str | Path) and str(each) for each in value):
        raise ValueError("must be a path or a list of them")
    return tuple(_path(each, base) for each in value)


def _listen_urls(value: object) -> tuple[str, ...]:
    """At least one listener URL; text may hold several, separated by commas or spaces."""
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if not isinstance(value, Sequence) or not value or not all(isinstance(url, str) for url in value):
        raise ValueError("must be a listener URL or a list of them")
    parsed = [parse_listen_url(url) for url in value]
    taken = [str(url) for url in parsed if url.scheme == "unix" or url.port]
    twice = next((url for url in taken if taken.count(url) > 1), None)
    if twice:
        raise ValueError(f"{twice} is given twice")
    return tuple(str(url) for url in parsed)


def _mounts(value: object) -> tuple[str, ...]:
    """Mounts; text may hold several, separated by commas or spaces."""
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if not isinstance(value, Sequence) or not all(isinstance(text, str) for text in value):
        raise ValueError("must be PATH=MODULE:APP or a list of them")
    if len({parse_mount(text)[0] for text in value}) != len(value):
        raise ValueError("a path is given twice")
    return tuple(value)


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """One of ``retention.rules``, taken apart. ``device`` and ``key`` are shell patterns; None is never."""

    device: str
    key: str
    thin_after_s: float | None = None
    drop_after_s: float | None = None


_RULE = re.compile(r"(?P<device>\S+):(?P<key>[^\s:]+)\s+(?P<what>\S.*)")


def parse_retention_rule(text: str) -> RetentionRule:
    """``greenhouse-*:temp thin 90d drop 5y``, ``*:debug.* drop 7d`` or ``host:* keep``.

    Raises:
        ValueError: something else; the message completes "<setting>: …".
    """
    found = _RULE.fullmatch(text.strip())
    words = found["what"].split() if found else []
    if found and words == ["keep"]:
        return RetentionRule(found["device"], found["key"])
    ages: dict[str, float] = {}
    for name, age in zip(words[::2], words[1::2], strict=False):
        amount = _AMOUNT.fullmatch(age)
        factor = _DURATIONS.get(amount[2].upper()) if amount and amount[2] else None
        if name not in ("thin", "drop") or name in ages or amount is None or not factor or float(amount[1]) <= 0:
            break
        ages[name] = float(amount[1]) * factor
    if found is None or not words or len(ages) * 2 != len(words):
        raise ValueError(
            f"must be like '*:debug.* drop 7d', 'pump-*:* thin 90d drop 5y' or 'host:* keep', not {text!r}"
        )
    return RetentionRule(found["device"], found["key"], ages.get("thin"), ages.get("drop"))


def _retention_rules(value: object) -> tuple[str, ...]:
    """Any number of rules; text may hold several, separated by commas."""
    rules = value.split(",") if isinstance(value, str) else value
    if not isinstance(rules, Sequence) or not all(isinstance(rule, str) for rule in rules):
        raise ValueError("must be a rule or a list of them")
    given = tuple(" ".join(rule.split()) for rule in rules if rule.strip())
    for rule in given:
        parse_retention_rule(rule)
    return given


def _trusted_proxies(value: object) -> tuple[str, ...]:
    """Addresses and networks; text may hold several, separated by commas or spaces."""
    from ipaddress import ip_network  # 10 ms that a server without a proxy does not pay

    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if not isinstance(value, Sequence) or not all(isinstance(name, str) for name in value):
        raise ValueError("must be an address, a network, or a list of them")
    for name in value:
        if name == "unix":  # whoever comes through that listener administers the server
            raise ValueError("the unix: listener is for administration: put the proxy in front of http://")
        ip_network(name, strict=False)
    return tuple(value)


def _proxy_protocol(value: object) -> tuple[str, ...]:
    """Schemes of listeners; text may hold several, separated by commas or spaces."""
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if not isinstance(value, Sequence) or not all(scheme in LISTEN_PORTS for scheme in value):
        raise ValueError(f"must be a list of {', '.join(LISTEN_PORTS)}")
    return tuple(value)


def _bridge_topics(value: object) -> tuple[str, ...]:
    """Any number of them; text may hold several, separated by commas."""
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, Sequence) or not all(isinstance(text, str) for text in given):
        raise ValueError("must be a topic filter or a list of them")
    topics = tuple(" ".join(text.split()) for text in given if text.strip())
    for text in topics:
        parse_bridge_topic(text)
    return topics


def _bridge_url(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be mqtt://HOST:PORT or mqtts://HOST:PORT")  # noqa: TRY004 - as any other value
    return str(parse_bridge_url(value)) if value else ""


def _text(value: object) -> str:
    """One line."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("must be a line of text")
    return value


_TEXTS: dict[str, Callable[[object], str]] = {"bridge.url": _bridge_url, "bridge.client_id": _text}
"""How each setting of free text is read."""
_STRINGS: dict[str, Callable[[object], tuple[str, ...]]] = {
    "listen": _listen_urls,
    "mount": _mounts,
    "http.trusted_proxies": _trusted_proxies,
    "http.proxy_protocol": _proxy_protocol,
    "retention.rules": _retention_rules,
    "bridge.topics_out": _bridge_topics,
    "bridge.topics_in": _bridge_topics,
}
"""How each setting of several strings is read."""

_BOOLEANS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def _boolean(value: object) -> bool:
    found = value if isinstance(value, bool) else _BOOLEANS.get(str(value).lower())
    if found is None or isinstance(value, float):
        raise ValueError(f"must be true or false, not {value!r}")
    return found


_AMOUNT = re.compile(r"(-?[0-9][0-9_]*(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_SIZES = {"": 1.0, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_DURATIONS = {
    "": 1.0,
    "MS": 1e-3,
    "S": 1,
    "M": 60,
    "MIN": 60,
    "H": 3600,
    "D": 86_400,
    "W": 7 * 86_400,
    "Y": 365.25 * 86_400,
}
UNITS = {"bytes": _SIZES, "seconds": _DURATIONS}


def _number(known: Setting, value: object) -> float | int:
    number = _amount(known, value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError(f"must be a number, not {value!r}")  # noqa: TRY004 - as any other value that cannot be
    if not abs(number) <= MAX_NUMBER:  # written so that NaN is refused as well
        raise ValueError(f"must be a number up to 2^53, not {value!r}")
    if known.kind == "integer" and number != int(number):
        raise ValueError(f"must be a whole number, not {value!r}")
    return int(number) if known.kind == "integer" else float(number)


def _amount(known: Setting, text: str) -> float:
    """A number with the unit it may carry, in the setting's own unit."""
    found = _AMOUNT.fullmatch(text.strip())
    factor = UNITS.get(known.unit, {"": 1.0}).get(found[2].upper()) if found else None
    if found is None or factor is None:
        example = {"bytes": " like 65536 or 64KiB", "seconds": " like 30 or 1.5s or 2min"}.get(known.unit, "")
        raise ValueError(f"must be a number{example}, not {text!r}")
    return float(found[1]) * factor
