"""Which language a new connection speaks, told by its first bytes.

::

    16 03                  TLS       a handshake record of version 3.x (RFC 8446 §5.1)
    10                     MQTT      CONNECT, always the first packet ([MQTT-3.1.0-1])
    1D | 02 .. .. .. ..    BLYNK     hardware login, or the older login; the header is whole, so that it can be answered
    GET / | POST … | PRI   HTTP      a method and a space; for GET, which is a verb of lines as well, also its target
    anything else          LINE

The languages do not overlap: no text begins with one of those control characters. Where the bytes so far may still
become several, the answer is None, and more of them decide: at most `MAX_UNDECIDED_BYTES` can be undecided.
"""

from __future__ import annotations

import re

TLS, MQTT, BLYNK, HTTP, LINE = "tls", "mqtt", "blynk", "http", "line"
LANGUAGES = (TLS, MQTT, BLYNK, HTTP, LINE)

MAX_WORD_BYTES = 16
"""A word of capitals longer than this is no verb, and no method that anybody uses (UPDATEREDIRECTREF is registered)."""
MAX_UNDECIDED_BYTES = MAX_WORD_BYTES + 1
"""Such a word and the space behind it."""

TLS_RECORD = b"\x16\x03"
REFUSED_TLS = b"\x15\x03\x03\x00\x02\x02\x46"
"""What a TLS client is answered where TLS is not spoken: a record with the fatal alert protocol_version (RFC 8446 §6),
"the version the peer has attempted to negotiate is recognized but not supported". No version is."""
DENIED_TLS = b"\x15\x03\x03\x00\x02\x02\x31"
"""What a TLS client is answered that is not let in: the fatal alert access_denied, "the sender decided not to
proceed"."""

_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI"})
"""Of RFC 9110 and 5789, and the first word of HTTP/2 without TLS (RFC 9113 §3.4), which HTTP/1 refuses with words."""
_VERBS = frozenset({b"HELLO", b"ATTR", b"PING", b"TIME", b"HELP", b"QUIT"})
_MQTT_CONNECT = 0x10
_BLYNK_LOGINS = b"\x1d\x02"
BLYNK_HEADER_BYTES = 5
_CAPITALS = re.compile(rb"[A-Z]*")
_SCHEMES = (b"http://", b"https://")


def opening(data: bytes) -> str | None:
    """The language of a stream that begins with ``data``: one of `LANGUAGES`, or None while it may be several.

    More bytes never change an answer, so however the stream is split, the result is the same.
    """
    if not data:
        return None
    first = data[0]
    if first == TLS_RECORD[0]:
        if len(data) == 1:
            return None
        return TLS if data[1] == TLS_RECORD[1] else LINE
    if first == _MQTT_CONNECT:
        return MQTT
    if first in _BLYNK_LOGINS:
        return BLYNK if len(data) >= BLYNK_HEADER_BYTES else None
    word = _CAPITALS.match(data, 0, MAX_WORD_BYTES + 1)
    assert word is not None
    end = word.end()
    if end > MAX_WORD_BYTES:
        return LINE
    if end == len(data):
        return None
    if data[end] != 0x20 or not end:
        return LINE
    return _after_word(word[0], data[end + 1 : end + 1 + len(_SCHEMES[1])])


def _after_word(word: bytes, rest: bytes) -> str | None:
    """A word of capitals and a space are there; ``rest`` is what follows, as far as it can matter."""
    if word in _VERBS:
        return LINE
    if word in _METHODS and word != b"GET":
        return HTTP
    if not rest:
        return None
    if rest[0] in b"/*":  # origin-form and asterisk-form (RFC 9112 §3.2): no key begins so
        return HTTP
    if word == b"GET":
        # absolute-form, or ``GET http`` of a device with such a key
        start = rest.lower()
        for scheme in _SCHEMES:
            if start.startswith(scheme):
                return HTTP
            if scheme.startswith(start):
                return None
    return LINE
