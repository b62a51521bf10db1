"""What somebody probably meant by a message that could not be read, for the person who looks at the refusal.

Nothing here is ever taken as a reading: a server that guesses stores wrong values. A correction is only shown, and only
where our own parser takes it as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ..errors import HardpointError
from .lines import BAD, TLS_HELLO, VERBS, LineDecoder
from .telemetry import decode_json, parse_telemetry

MAX_CHARS = 512
"""Nobody corrects a longer message by reading it, and the patterns below see no more than that."""
TOKEN_PLACE = "<token>"  # noqa: S105 - stands where one belongs
"""In a correction, where the device's token belongs."""

_QUOTES = str.maketrans("“”„«»‘’´`", '"' * 5 + "'" * 4)
# Compiled at first use, by re itself: ten patterns are 3 ms that no start needs.
_PAIR = r'"?([^\s"\'=:;,&{}]+)"?[ \t]*[=:][ \t]*("[^"]*"|[^\s,;&{}=:]+)'
_TWO_WORDS = r"([A-Za-z_][\w.-]*)[ \t]+([+-]?[0-9][0-9.]*)"
_BARE_NUMBER = r"[+-]?[0-9]+(\.[0-9]+)?"
_BARE_KEY = r"([{,]\s*)([A-Za-z_][\w.-]*)(\s*:)"
_TRAILING_COMMA = r",(\s*[}\]])"
_NO_NUMBER = r":\s*-?(?:NaN|nan|Infinity|inf|undefined|None)\b"
_NOT_IN_KEYS = r"[^A-Za-z0-9_.-]"
_PYTHON_WORDS = ((r"\bTrue\b", "true"), (r"\bFalse\b", "false"))


def corrected_line(text: str) -> str | None:
    """A line of the line dialect that is read, near to this one, which is not; None where none is near. It may hold
    `TOKEN_PLACE`.
    """
    return _first(text, _lines_near, _is_line)


def corrected_telemetry(text: str) -> str | None:
    """The same of telemetry as JSON."""
    return _first(text, _documents_near, _is_telemetry)


def _first(text: str, near: Callable[[str], Iterator[str]], taken: Callable[[str], bool]) -> str | None:
    text = text.strip()
    if not text or len(text) > MAX_CHARS:
        return None
    return next((each for each in near(text) if each != text and taken(each)), None)


def _lines_near(text: str) -> Iterator[str]:
    text = text.translate(_QUOTES)
    yield text
    word, _, rest = text.partition(" ")
    verb = word.upper().rstrip(":")
    if verb in VERBS:
        yield verb
    if verb in ("GET", "ATTR"):
        yield f"{verb} {rest.strip()}"
    if verb in ("HELLO", "HELO", "TOKEN", "AUTH", "LOGIN", "CONNECT"):
        yield f"HELLO {TOKEN_PLACE}"
    if text[0] in "{[" or text.endswith("}"):
        yield from _documents_near(text)
    # temp: 21.5, temp = 21.5; several with commas between
    pairs = re.findall(_PAIR, text)
    if pairs:
        yield " ".join(f"{_key(key)}={value}" for key, value in pairs)
    # temp 21.5 hum 60
    words = re.findall(_TWO_WORDS, text)
    if words:
        yield " ".join(f"{key}={value}" for key, value in words)
    if re.fullmatch(_BARE_NUMBER, text):
        yield f"value={text}"


def _documents_near(text: str) -> Iterator[str]:
    mended = text.translate(_QUOTES)
    if '"' not in mended:
        mended = mended.replace("'", '"')
    for pattern, word in _PYTHON_WORDS:
        mended = re.sub(pattern, word, mended)
    mended = re.sub(_NO_NUMBER, ": null", mended)
    mended = re.sub(_BARE_KEY, r'\1"\2"\3', mended if mended[0] in "{[" else "{" + mended)
    mended = re.sub(_TRAILING_COMMA, r"\1", mended)
    yield from (mended, mended + "}", mended + "]", mended + "}]", mended + '"}')
    # temp=21.5, where JSON is expected
    pairs = re.findall(_PAIR, text.translate(_QUOTES))
    if pairs:
        yield "{" + ", ".join(f'"{_key(key)}": {_json(value)}' for key, value in pairs) + "}"
    if re.fullmatch(_BARE_NUMBER, text):
        yield f'{{"value": {text}}}'


def _key(text: str) -> str:
    """The nearest that may be a key."""
    text = re.sub(_NOT_IN_KEYS, "_", text)
    return text if text[0].isalpha() or text[0] == "_" else f"_{text}"


def _json(value: str) -> str:
    try:
        decode_json(value)
    except HardpointError:
        return '"' + value.replace("\\", "\\\\").replace('"', "") + '"'
    return value


def _is_line(text: str) -> bool:
    # The token's place has brackets, which no rule forbids: HELLO takes any word.
    events = LineDecoder().receive(text.encode(errors="replace") + b"\n")
    # An empty message is none that somebody meant.
    return len(events) == 1 and events[0][0] not in (BAD, TLS_HELLO) and events[0][2:] != ([],)


def _is_telemetry(text: str) -> bool:
    try:
        return bool(parse_telemetry(text))
    except HardpointError:
        return False
