"""Telemetry and attributes as JSON, the same over HTTP, lines and MQTT (WIRE.md §1.1, SPEC §4).

Three forms, told apart by their shape::

    {"temp": 21.5, "door": true}                         now
    {"ts": 1732320000000, "values": {"temp": 21.5}}      then (both keys, else it is the first form)
    [ … either, mixed … ]                                several
"""

from __future__ import annotations

import re

import msgspec

from ..errors import BadInput, PeerError
from ..model import Json, Sample, Value, checked_key, checked_ts, checked_value

MAX_SAMPLES = 10_000
"""In one message. At 1 MiB a body holds more, but one message must not fill a whole commit (50,000 readings)."""

# ThingsBoard stores a string that parses as a number as that number, so firmware that quotes its numbers gets charts
# all the same. No exponent and no sign but "-"; beyond 15 digits a double would lose some, so it stays a string.
_NUMBER_IN_STRING = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_MAX_DIGITS_OF_DOUBLE = 16

_BYTE_OFFSET = re.compile(r"\(byte (\d+)\)")


def decode_json(body: bytes | str) -> Json:
    """Any JSON document (RFC 8259): UTF-8 only, no NaN or infinity; of a repeated name the last value counts.

    Raises:
        BadInput: it is not JSON; the message names the place.
    """
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise BadInput(f"not JSON: {_describe(str(error), body)}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"not JSON: byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise BadInput("not JSON that we read: nested too deeply") from None


def parse_telemetry(body: bytes | str) -> list[Sample]:
    """Every reading of a telemetry document, in its order; nulls are skipped, ``ts`` None is the server's time.

    Raises:
        BadInput: not JSON, of another shape, or with a key, value or time stamp that cannot be stored.
    """
    return telemetry_of(decode_json(body))


def telemetry_of(document: Json) -> list[Sample]:
    """Likewise of a document that is decoded already.

    Raises:
        BadInput: as `parse_telemetry`.
    """
    samples: list[Sample] = []
    if type(document) is dict:
        _read_object(document, "", samples)
    elif type(document) is list:
        for position, item in enumerate(document):
            if type(item) is not dict:
                raise BadInput("each element must be an object", field=f"[{position}]")
            _read_object(item, f"[{position}].", samples)
            if len(samples) > MAX_SAMPLES:
                raise BadInput(f"more than {MAX_SAMPLES} readings in one message")
    else:
        raise BadInput("telemetry is a JSON object, or an array of objects")
    return samples


def parse_value(payload: bytes) -> Value:
    """A bare value, as MQTT devices publish them: JSON of any kind, else the text as it is (``on``, ``21.5 C``).

    Raises:
        BadInput: empty, or not UTF-8.
    """
    if not payload:
        raise BadInput("an empty message is no reading")
    try:
        return msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        try:
            return payload.decode()
        except UnicodeDecodeError as error:
            raise BadInput(f"neither JSON nor text: byte {error.start} is not UTF-8") from None


def parse_attributes(body: bytes | str) -> dict[str, Json]:
    """A JSON object of attributes. A null means: delete this one.

    Raises:
        BadInput: not a JSON object, or with a key or value that cannot be stored.
    """
    return attributes_of(decode_json(body))


def attributes_of(document: Json) -> dict[str, Json]:
    """Likewise of a document that is decoded already.

    Raises:
        BadInput: as `parse_attributes`.
    """
    if type(document) is not dict:
        raise BadInput("attributes are a JSON object")
    return {checked_key(key): _checked_json(key, value) for key, value in document.items()}


def _read_object(item: dict[str, Json], place: str, samples: list[Sample]) -> None:
    ts: int | None = None
    values = item
    if "ts" in item and "values" in item:
        ts, values = item["ts"], item["values"]
        if type(ts) is not int:
            raise BadInput("ts must be an integer: milliseconds since 1970-01-01 UTC", field=f"{place}ts")
        checked_ts(ts)
        if type(values) is not dict:
            raise BadInput("values must be an object", field=f"{place}values")
        place += "values."
    for key, value in values.items():
        if value is None:
            continue
        checked_key(key)
        if type(value) is str and len(value) <= _MAX_DIGITS_OF_DOUBLE and _NUMBER_IN_STRING.fullmatch(value):
            value = float(value) if "." in value else int(value)
        try:  # not `_checked_json`: a call and a name for the place would be a third of what a reading costs here
            samples.append((ts, key, checked_value(value)))
        except PeerError as error:
            raise type(error)(error.message, field=place + key) from None
    if len(samples) > MAX_SAMPLES:
        raise BadInput(f"more than {MAX_SAMPLES} readings in one message")


def _checked_json(place: str, value: Json) -> Json:
    try:
        return checked_value(value)
    except PeerError as error:
        raise type(error)(error.message, field=place) from None


def _describe(message: str, body: bytes | str) -> str:
    """msgspec's message with a line and column where a person would look for them."""
    found = _BYTE_OFFSET.search(message)
    text = message.removeprefix("JSON is malformed: ")
    if found is None:
        return text
    offset = int(found[1])
    data = body.encode() if isinstance(body, str) else body
    line = data.count(b"\n", 0, offset) + 1
    column = offset - (data.rfind(b"\n", 0, offset) + 1) + 1
    return _BYTE_OFFSET.sub(f"(line {line}, column {column})", text)
