"""What was probably meant. Whatever is proposed must be taken by the parser that refused the original."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.errors import HardpointError
from hardpoint.wire.corrections import MAX_CHARS, corrected_line, corrected_telemetry
from hardpoint.wire.lines import BAD, TLS_HELLO, LineDecoder
from hardpoint.wire.telemetry import parse_telemetry


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("temp: 21.5", "temp=21.5"),
        ("temp = 21.5", "temp=21.5"),
        ("temp = 21.5, hum = 60", "temp=21.5 hum=60"),
        ("temp:21.5;hum:60", "temp=21.5 hum=60"),
        ("temp 21.5", "temp=21.5"),
        ("temp 21.5 hum 60", "temp=21.5 hum=60"),
        ("température=21.5", "temp_rature=21.5"),
        ("1wire=3", "_1wire=3"),
        ("21.5", "value=21.5"),
        ("note=“two words”", 'note="two words"'),
        ("{temp: 21.5}", '{"temp": 21.5}'),
        ("{'temp': 21.5, 'on': True}", '{"temp": 21.5, "on": true}'),
        ('{"temp": 21.5', '{"temp": 21.5}'),
        ('{"temp": 21.5,}', '{"temp": 21.5}'),
        ('"temp": 21.5}', '{"temp": 21.5}'),
        ("hello abc", "HELLO <token>"),
        ("HELO abc", "HELLO <token>"),
        ("ping", "PING"),
        ("get temp", "GET temp"),
    ],
)
def test_lines(sent, meant):
    assert corrected_line(sent) == meant


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("{temp: 21.5}", '{"temp": 21.5}'),
        ("{'temp': 21.5}", '{"temp": 21.5}'),
        ('{"temp": NaN, "hum": 60}', '{"temp": null, "hum": 60}'),
        ("temp=21.5", '{"temp": 21.5}'),
        ("temp=21.5&place=roof", '{"temp": 21.5, "place": "roof"}'),
        ("temp=21.5 place=roof", '{"temp": 21.5, "place": "roof"}'),
        ("21.5", '{"value": 21.5}'),
        ('[{"temp": 1}', '[{"temp": 1}]'),
    ],
)
def test_telemetry(sent, meant):
    assert corrected_telemetry(sent) == meant


@pytest.mark.parametrize(
    "sent", ["", " ", "the quick brown fox", "?!", "{", "}", "GET / HTTP/1.1", "x" * (MAX_CHARS + 1)]
)
def test_what_is_near_to_nothing(sent):
    assert corrected_line(sent) is None
    assert corrected_telemetry(sent) is None


noise = st.text(st.sampled_from("ab=:{}[]'\"“,; 1.5-NaTrue\\\t\n\x00é"), max_size=40) | st.text(max_size=40)


@pytest.mark.hypothesis
@given(noise)
def test_a_correction_is_always_taken(sent):
    line = corrected_line(sent)
    if line is not None:
        [event] = LineDecoder().receive(line.encode() + b"\n")
        assert event[0] not in (BAD, TLS_HELLO)
    document = corrected_telemetry(sent)
    if document is not None:
        try:
            assert parse_telemetry(document)
        except HardpointError as error:
            pytest.fail(f"{document!r}: {error}")
