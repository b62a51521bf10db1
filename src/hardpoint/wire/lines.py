"""The line dialect (SPEC §3): UTF-8 lines ended by LF or CRLF, for people with ``nc`` and for the smallest devices.

`LineDecoder.receive` takes whatever a read gave and returns the events of the lines that are complete; each event is
a tuple ``(kind, tag, …)``, ``tag`` being the ``#<tag>`` the answer must carry, or ``""``::

    (READINGS, tag, [(ts, key, value), …])      (HELLO, tag, token)            (GET, tag, device | None, key)
    (ATTRIBUTES, tag, {key: value})             (ANSWER, tag, id, ok, payload) (VERB, tag, "PING" | "TIME" | …)
    (BAD, tag, PeerError, line)                    (TLS_HELLO, "")

A line that cannot be used is an event too, not an exception: the dialect answers ``ERR`` and the connection goes on. So
is the beginning of a TLS handshake, behind which there are no lines. A HELLO may have no token: the dialect may know
the device by its certificate.
"""

from __future__ import annotations

import math
import re
from typing import Any, TypeAlias

import msgspec

from ..errors import BadInput, HardpointError, PeerError, TooLarge, UnknownVerb
from ..model import (
    KEY_PATTERN,
    MAX_KEY_LENGTH,
    Command,
    Json,
    Sample,
    Value,
    checked_key,
    checked_ts,
    checked_value,
)
from .opening import TLS_RECORD
from .telemetry import decode_json, parse_attributes, parse_telemetry

# Plain ints, not an IntEnum: a look-up of an enum member costs 0.5 µs on the hot path.
READINGS, HELLO, GET, ATTRIBUTES, ANSWER, VERB, BAD, TLS_HELLO = range(8)

Event: TypeAlias = tuple[Any, ...]

MAX_LINE_BYTES = 8 * 1024
"""SPEC §3; without its line end. HTTP servers cap one header line at the same size."""
MAX_TAG_LENGTH = 32
MAX_TOKEN_LENGTH = 256

VERBS = frozenset({"PING", "TIME", "HELP", "QUIT"})

HELP = (
    b"HELLO <token>               attach as the device that owns the token\n"
    b"temp=21.5 hum=60            readings; add @<ms since 1970> for a time of your own\n"
    b'{"temp":21.5}               the same as JSON\n'
    b"GET temp | GET host cpu.temp   the latest value of yours, or of a sensor on the server\n"
    b"ATTR fw=1.2                 attributes: what the device is, not what it measures\n"
    b"!<id> OK <json> | !<id> ERR <message>   the answer to a command\n"
    b"PING  TIME  HELP  QUIT      #<tag> in front of any line comes back with its answer\n"
)

# One reading whose value is a plain number: nearly every line a sensor sends, so it is told by one match. An integer
# of up to 18 digits fits 64 bits; everything else takes the general way below and must give the same result.
_ONE_NUMBER = re.compile(rb"([A-Za-z_][A-Za-z0-9_.-]{0,63})=(-?[0-9]{1,18}(\.[0-9]{1,18})?)\r?")
_match_one_number = _ONE_NUMBER.fullmatch
_match_one_number_line = re.compile(_ONE_NUMBER.pattern + rb"\n").fullmatch
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_TOKEN = re.compile(r'[ \t]*(?:([^\s="@]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)|@([0-9]{1,20}))(?=[ \t]|$)')
_SPACE = re.compile(r"[ \t]+")
_HTTP_REQUEST = re.compile(r"[A-Z]+ \S+ HTTP/[0-9.]+")
_ANSWER = re.compile(r"!([0-9]{1,18})[ \t]+(OK|ERR)(?:[ \t]+(.*))?")


class LineDecoder:
    """Splits a byte stream into lines and reads each of them. Keeps at most one incomplete line."""

    __slots__ = ("_buffer", "_ended", "_max_line_bytes", "_skipping")

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._buffer = b""
        self._max_line_bytes = max_line_bytes
        self._ended = False
        self._skipping = False  # inside a line that was already refused as too long

    def receive_one_number(self, data: bytes) -> Sample | None:
        """The common case by itself: these bytes are one line, and it is one reading that is a number. None: they are
        anything else, and nothing was taken of them.
        """
        match = _match_one_number_line(data)
        if match is None or self._buffer or self._skipping:
            return None
        key, number, fraction = match.groups()
        return (None, key.decode(), float(number) if fraction else int(number))

    def receive(self, data: bytes) -> list[Event]:
        """The events of every line that these bytes complete."""
        if self._buffer:
            data = self._buffer + data
        if self._ended:
            return []
        lines = data.split(b"\n")
        rest = lines.pop()
        events: list[Event] = []
        for line in lines:
            match = _match_one_number(line)
            if match is not None and not self._skipping:
                key, number, fraction = match.groups()
                events.append((READINGS, "", [(None, key.decode(), float(number) if fraction else int(number))]))
            else:
                self._read(line, events)
                if self._ended:
                    return events
        if rest.startswith(TLS_RECORD) and not self._skipping:
            self._end(events)
            return events
        if len(rest) > self._max_line_bytes + 1:  # + 1: the CR of a line that is exactly as long as allowed
            if not self._skipping:
                self._skipping = True
                events.append(_too_long(rest, self._max_line_bytes))
            rest = b""
        self._buffer = rest
        return events

    def finish(self) -> list[Event]:
        """The peer has half-closed: the last line counts without its newline (``printf 'temp=1' | nc``)."""
        events: list[Event] = []
        line, self._buffer = self._buffer, b""
        if line:
            self._read(line, events)
        return events

    @property
    def buffered_bytes(self) -> int:
        """How much of an incomplete line is being kept."""
        return len(self._buffer)

    @property
    def incomplete(self) -> bytes:
        """What is being kept of an incomplete line."""
        return self._buffer

    def _end(self, events: list[Event]) -> None:
        """A TLS handshake begins: nothing behind it is a line."""
        events.append((TLS_HELLO, ""))
        self._buffer = b""
        self._ended = self._skipping = True  # skipping: so that the common case is not looked for

    def _read(self, line: bytes, events: list[Event]) -> None:
        if self._skipping:
            self._skipping = False
            return
        if line.startswith(TLS_RECORD):
            self._end(events)
            return
        line = line.removesuffix(b"\r")
        if len(line) > self._max_line_bytes:
            events.append(_too_long(line, self._max_line_bytes))
            return
        tag = ""
        try:
            try:
                text = line.decode().strip(" \t")
            except UnicodeDecodeError as error:
                raise BadInput(f"byte {error.start + 1} is not UTF-8") from None
            if not text:  # a person pressing Enter
                return
            if text[0] == "#":
                tag, text = _split(text[1:])
                if not 0 < len(tag) <= MAX_TAG_LENGTH:
                    tag = ""
                    raise BadInput(f"a tag has 1 to {MAX_TAG_LENGTH} characters and is followed by a space")
                if not text:
                    raise BadInput("nothing follows the tag")
            events.append(_parse(text, tag))
        except PeerError as error:
            # Its traceback holds this frame, which holds the list that holds it: a cycle a bad line, and
            # Python 3.14's collector lets tens of thousands of them pile up.
            events.append((BAD, tag, error.with_traceback(None), line))


def _too_long(line: bytes, limit: int) -> Event:
    tag = ""
    if line[:1] == b"#":
        tag = line[1 : MAX_TAG_LENGTH + 2].split(b" ", 1)[0].decode("ascii", "replace")
        if len(tag) > MAX_TAG_LENGTH or not tag.isprintable():
            tag = ""
    return (BAD, tag, TooLarge(f"a line may have at most {limit} bytes; the rest of it is skipped"), line)


def _parse(text: str, tag: str) -> Event:
    first = text[0]
    if first in "{[":
        return (READINGS, tag, parse_telemetry(text))
    if first == "!":
        return _parse_answer(text, tag)
    if _HTTP_REQUEST.fullmatch(text):
        raise UnknownVerb("this is an HTTP request at the line port: the HTTP listener is another one, 8080 as a rule")
    word, rest = _split(text)
    if "=" in word:
        return (READINGS, tag, parse_readings(text))
    if word == "HELLO":
        if len(rest) > MAX_TOKEN_LENGTH:
            raise BadInput(f"a token has at most {MAX_TOKEN_LENGTH} characters")
        return (HELLO, tag, rest)
    if word == "GET":
        return _parse_get(rest, tag)
    if word == "ATTR":
        if rest[:1] == "{":
            return (ATTRIBUTES, tag, parse_attributes(rest))
        return (
            ATTRIBUTES,
            tag,
            {key: value for _, key, value in parse_readings(rest, column=6, timed=False)},
        )
    if word in VERBS:
        if rest:
            raise BadInput(f"{word} takes nothing after it")
        return (VERB, tag, word)
    if word.upper() in VERBS | {"HELLO", "GET", "ATTR"}:
        raise UnknownVerb(f"verbs are written in capitals: {word.upper()}")
    raise UnknownVerb(f"{_shown(word)} is neither a verb nor key=value; HELP lists what is understood")


def _split(text: str) -> tuple[str, str]:
    """The first word and what follows it, without the space between."""
    word, *rest = _SPACE.split(text, 1)
    return word, rest[0] if rest else ""


def _parse_get(rest: str, tag: str) -> Event:
    words = _SPACE.split(rest)
    if not rest or not 1 <= len(words) <= 2:
        raise BadInput("GET is followed by a key, or by a device and a key")
    return (GET, tag, words[0] if len(words) == 2 else None, checked_key(words[-1]))


def _parse_answer(text: str, tag: str) -> Event:
    match = _ANSWER.fullmatch(text)
    if match is None:
        raise BadInput("an answer to a command is !<id> OK <json> or !<id> ERR <message>")
    number, verdict, payload = match.groups()
    if verdict == "ERR":
        return (ANSWER, tag, int(number), False, payload or "")
    return (ANSWER, tag, int(number), True, decode_json(payload) if payload else None)


def parse_readings(text: str, column: int = 1, *, timed: bool = True) -> list[Sample]:
    """The readings of ``key=value … [@ts]``, without space at its ends; ``column`` is where it begins in its line, for
    messages.

    Raises:
        BadInput: it is not that, and where.
    """
    found: list[tuple[str, Value]] = []
    ts: int | None = None
    position, end = 0, len(text)
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise _explain(text, position, column)
        if ts is not None:
            raise BadInput(f"the time stamp must come last (column {column + position})")
        key, raw, stamp = match.groups()
        if stamp is not None:
            if not timed:
                raise BadInput(f"attributes carry no time stamp (column {column + match.start(3) - 1})")
            ts = checked_ts(int(stamp))
        else:
            if KEY_PATTERN.fullmatch(key) is None:
                checked_key(key)
            found.append((key, _value(raw, key, column + match.start(2))))
        position = match.end()
        while position < end and text[position] in " \t":
            position += 1
    if not found:
        raise BadInput("no key=value in this line")
    return [(ts, key, value) for key, value in found]


def _value(raw: str, key: str, column: int) -> Value:
    if not raw:
        raise BadInput(f"{key} has no value (column {column})")
    if raw[0] == '"':
        try:
            value: Value = msgspec.json.decode(raw, type=str)
        except (msgspec.MsgspecError, UnicodeError):
            raise BadInput(f"the string of {key} is not well-formed (column {column})") from None
        return checked_value(value)
    if _NUMBER.fullmatch(raw):
        if _INTEGER.fullmatch(raw):
            # 20: the least of 64 bits. A longer one is a string anyway, and int() of thousands of digits is slow.
            return checked_value(int(raw)) if len(raw) <= 20 else checked_value(raw)
        number = float(raw)
        if not math.isfinite(number):
            raise BadInput(f"{key} is beyond what a number can hold (column {column})")
        return number
    if raw == "true":
        return True
    if raw == "false":
        return False
    return checked_value(raw)


def _explain(text: str, position: int, column: int) -> BadInput:
    while text[position] in " \t":
        position += 1
    word = _SPACE.split(text[position:], 1)[0]
    where = f"(column {column + position})"
    if word[0] == "@":
        return BadInput(f"a time stamp is @ and milliseconds since 1970-01-01 UTC {where}")
    if '="' in word:
        return BadInput(f'a string ends with " and is followed by a space {where}')
    if "=" not in word:
        return BadInput(f"{_shown(word)} is not key=value {where}")
    return BadInput(f"{_shown(word)} is not key=value: keys are letters, digits, _ . - {where}")


def _shown(word: str) -> str:
    return repr(word if len(word) <= MAX_KEY_LENGTH else word[:MAX_KEY_LENGTH] + "…")


# Values in → bytes out.


def encode_greeting(version: str) -> bytes:
    """The first line of a connection."""
    return f"hardpoint {version} ready - HELLO <token> attaches, HELP explains\n".encode()


def encode_ok(tag: str, what: object) -> bytes:
    """``OK <device>`` or ``OK <n>``."""
    return b"#%b OK %b\n" % (tag.encode(), str(what).encode()) if tag else b"OK %b\n" % str(what).encode()


def encode_text(tag: str, text: str) -> bytes:
    """Any one-line answer."""
    return f"#{tag} {text}\n".encode() if tag else f"{text}\n".encode()


def encode_help(tag: str) -> bytes:
    """`HELP`, each of its lines with the tag: who waits for tagged answers only would see none of them else."""
    return b"".join(b"#%b %b" % (tag.encode(), line) for line in HELP.splitlines(keepends=True)) if tag else HELP


def encode_error(tag: str, error: HardpointError) -> bytes:
    """``ERR <code> <what is wrong, and where>``, on one line whatever the message holds."""
    message = error.message
    # A place in what was sent; what was not found has a field of the HTTP API only.
    field = error.field if isinstance(error, BadInput | TooLarge) else None
    if field and field not in message:
        message = f"{field}: {message}"
    return encode_text(tag, f"ERR {error.line_code} {one_line(message)}")


def encode_reading(tag: str, key: str, value: Value, ts: int) -> bytes:
    """``temp=21.5 @<ms>``: numbers, booleans and strings in the form that the dialect itself reads."""
    return encode_text(tag, f"{key}={encode_value(value)} @{ts}")


def encode_value(value: Value) -> str:
    """A value as the dialect writes it: strings always in quotes, objects and arrays as compact JSON."""
    return msgspec.json.encode(value).decode()


def encode_command(command: Command) -> bytes:
    """``!<id> <method> <json params>``."""
    return f"!{command.id} {command.method} {encode_value(command.params)}\n".encode()


def encode_attributes(changed: dict[str, Json], deleted: list[str]) -> bytes:
    """``ATTR <json>``: shared attributes that changed; a deleted one is null."""
    return b"ATTR " + msgspec.json.encode(changed | dict.fromkeys(deleted)) + b"\n"


def one_line(text: str) -> str:
    """The text with everything that could end a line or move a cursor replaced, cut to a sane length."""
    text = text if len(text) <= 512 else text[:511] + "…"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def encode_event(event: Event) -> bytes:
    """A line that is read as this event, which is none of BAD and TLS_HELLO; not always the line that it came from."""
    kind, tag = event[0], event[1]
    if kind == READINGS:
        text = _readings_text(event[2])
    elif kind == HELLO:
        text = f"HELLO {event[2]}"
    elif kind == GET:
        text = f"GET {event[3]}" if event[2] is None else f"GET {event[2]} {event[3]}"
    elif kind == ATTRIBUTES:
        text = f"ATTR {encode_value(event[2])}"
    elif kind == ANSWER:
        _, _, number, ok, payload = event
        text = f"!{number} OK {encode_value(payload)}" if ok else f"!{number} ERR {payload}"
    else:
        text = str(event[2])
    return f"#{tag} {text}".encode() if tag else text.encode()


def _readings_text(samples: list[Sample]) -> str:
    if len({ts for ts, _, _ in samples}) <= 1 and not any(type(value) in (dict, list) for _, _, value in samples):
        stamp = f" @{samples[0][0]}" if samples and samples[0][0] is not None else ""
        pairs = " ".join(f"{key}={encode_value(value)}" for _, key, value in samples)
        return f"{pairs}{stamp}" if samples else "{}"
    return encode_value([{"values": {key: value}} | ({} if ts is None else {"ts": ts}) for ts, key, value in samples])
