"""Every dialect's opening, whole, byte by byte, with bytes behind it; and any split decides the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.wire.opening import BLYNK, HTTP, LANGUAGES, LINE, MAX_UNDECIDED_BYTES, MAX_WORD_BYTES, MQTT, TLS, opening

# (the bytes, the language, how many of them it takes to know)
OPENINGS: list[tuple[bytes, str, int]] = [
    (b"\x16\x03\x01\x02\x00\x01\x00", TLS, 2),
    (b"\x16\x03\x03", TLS, 2),
    (b"\x16\x02\x00", LINE, 2),
    (b"\x10\x0f\x00\x04MQTT\x04", MQTT, 1),
    (b"\x10\x14\x00\x06MQIsdp\x03", MQTT, 1),
    (b"\x1d\x00\x01\x00\x20", BLYNK, 5),
    (b"\x02\x00\x01\x00\x20", BLYNK, 5),
    (b"GET / HTTP/1.1\r\n", HTTP, 5),
    (b"GET * HTTP/1.1\r\n", HTTP, 5),
    (b"GET http://example/ HTTP/1.1\r\n", HTTP, 11),
    (b"GET HTTPS://example/ HTTP/1.1\r\n", HTTP, 12),
    (b"HEAD / HTTP/1.1\r\n", HTTP, 5),
    (b"POST /api/v1/x/telemetry HTTP/1.1\r\n", HTTP, 5),
    (b"OPTIONS * HTTP/1.1\r\n", HTTP, 8),
    (b"CONNECT example:443 HTTP/1.1\r\n", HTTP, 8),
    (b"PATCH / HTTP/1.1\r\n", HTTP, 6),
    (b"DELETE /x HTTP/1.1\r\n", HTTP, 7),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP, 4),
    (b"PROPFIND /x HTTP/1.1\r\n", HTTP, 10),
    (b"GET temp\n", LINE, 5),
    (b"GET host cpu.temp\n", LINE, 6),  # h is how http:// begins
    (b"GET http\n", LINE, 9),
    (b"GET https\n", LINE, 10),
    (b"GET http:/\n", LINE, 11),
    (b"GET\n", LINE, 4),
    (b"GET=1\n", LINE, 4),
    (b"HELLO hp_x\n", LINE, 6),
    (b"HELLO /x\n", LINE, 6),
    (b"ATTR fw=1\n", LINE, 5),
    (b"PING\n", LINE, 5),
    (b"PING \n", LINE, 5),
    (b"QUIT\r\n", LINE, 5),
    (b"UNKNOWN word\n", LINE, 9),
    (b"TEMP=21.5\n", LINE, 5),
    (b"T1=21.5\n", LINE, 2),
    (b"temp=21.5\n", LINE, 1),
    (b'{"temp":1}\n', LINE, 1),
    (b"#1 PING\n", LINE, 1),
    (b"!1 OK true\n", LINE, 1),
    (b"\r\n", LINE, 1),
    (b" GET / HTTP/1.1\r\n", LINE, 1),
    (b"\xff\xfd\x03", LINE, 1),  # a telnet client that negotiates
    (b"\x00\x00", LINE, 1),
    (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", LINE, MAX_WORD_BYTES + 1),
]


@pytest.mark.parametrize(("data", "language", "needed"), OPENINGS)
def test_whole_byte_by_byte_and_with_more_behind(data: bytes, language: str, needed: int) -> None:
    assert opening(data) == language
    assert opening(data + b"\x00GET /\xff" * 100) == language
    for length in range(len(data) + 1):
        assert opening(data[:length]) == (language if length >= needed else None), data[:length]


def test_nothing_is_nothing_yet() -> None:
    assert opening(b"") is None


def test_every_language_has_a_case() -> None:
    assert {language for _, language, _ in OPENINGS} == set(LANGUAGES)


STREAMS = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([data for data, _, _ in OPENINGS]).flatmap(
        lambda data: st.binary(max_size=8).map(lambda more: data + more)
    ),
    st.text("GETHELOPRI /*http:s", max_size=30).map(str.encode),
)


@given(STREAMS)
def test_more_bytes_never_change_an_answer(data: bytes) -> None:
    answers = [opening(data[:length]) for length in range(len(data) + 1)]
    known = [answer for answer in answers if answer is not None]
    assert len(set(known)) <= 1
    assert answers == [None] * (len(answers) - len(known)) + known


@given(STREAMS)
def test_what_is_undecided_is_short(data: bytes) -> None:
    if len(data) > MAX_UNDECIDED_BYTES:
        assert opening(data) is not None
