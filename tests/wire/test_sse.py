"""Server-sent events: what is written, what a client reads, however it arrives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.errors import TooLarge
from hardpoint.wire.sse import COMMENT, MAX_EVENT_BYTES, EventParser, ServerEvent, encode_event


def test_an_event_on_the_wire() -> None:
    assert encode_event(b"{}") == b"data: {}\n\n"
    assert encode_event(b"a\nb\r\nc\rd", "reading", "boot-7", 3000) == (
        b"id: boot-7\nevent: reading\nretry: 3000\ndata: a\ndata: b\ndata: c\ndata: d\n\n"
    )


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\n", "\n", "a\u2028b"])
def test_a_line_end_in_a_field_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        encode_event(b"", event=text)
    with pytest.raises(ValueError):
        encode_event(b"", id=text)


def test_nul_in_an_id_is_refused() -> None:
    with pytest.raises(ValueError):
        encode_event(b"", id="a\0")


# The examples of WHATWG HTML §9.2.6, and its corners.
STREAMS = {
    "three kinds": (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        [ServerEvent("message", "first event", "1"), ServerEvent("message", "second event", ""),
         ServerEvent("message", " third event", "")],
    ),
    "empty data": (
        b"data\n\ndata\ndata\n\ndata:",
        [ServerEvent("message", "", ""), ServerEvent("message", "\n", "")],
    ),
    "cr, crlf and lf": (
        b"data: a\rdata: b\r\ndata: c\n\r\ndata: d\r\r",
        [ServerEvent("message", "a\nb\nc", ""), ServerEvent("message", "d", "")],
    ),
    "type without data is forgotten": (b"event: x\n\ndata: a\n\n", [ServerEvent("message", "a", "")]),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [ServerEvent("message", "a", "")]),
    "no utf-8": (b"data: \xff\n\n", [ServerEvent("message", "\ufffd", "")]),
    "unknown field": (b"foo: a\ndata: b\nevent: c\n\n", [ServerEvent("c", "b", "")]),
    "nul in an id": (b"id: 1\nid: a\0\ndata: b\n\n", [ServerEvent("message", "b", "1")]),
    "comment": (COMMENT * 3 + b"data: a\n\n", [ServerEvent("message", "a", "")]),
}  # fmt: skip


@pytest.mark.parametrize(("stream", "events"), STREAMS.values(), ids=STREAMS)
def test_a_stream_reads_the_same_however_it_arrives(stream: bytes, events: list[ServerEvent]) -> None:
    assert EventParser().receive(stream + b"x") == events
    bytewise = EventParser()
    found = [event for i in range(len(stream)) for event in bytewise.receive(stream[i : i + 1])]
    found += bytewise.receive(b"x")  # a CR at the very end is a line end once something follows
    assert found == events


def test_what_a_client_keeps_between_connections() -> None:
    parser = EventParser("boot-1")
    assert parser.retry_ms is None
    assert parser.receive(b"retry: 1500\ndata: a\n\n") == [ServerEvent("message", "a", "boot-1")]
    assert parser.receive(b"retry: soon\nid: boot-2\n\n") == []
    assert (parser.retry_ms, parser.last_id) == (1500, "boot-2")


def test_an_event_has_a_limit() -> None:
    with pytest.raises(TooLarge):
        EventParser().receive(b"data: " + b"a" * MAX_EVENT_BYTES)
    parser = EventParser()
    assert parser.receive(b"data: " + b"a" * (MAX_EVENT_BYTES // 2) + b"\n") == []
    with pytest.raises(TooLarge):  # all lines of the event count
        parser.receive(b"data: " + b"a" * (MAX_EVENT_BYTES // 2) + b"\n")
    parser = EventParser()
    for _ in range(3):
        assert len(parser.receive(b"data: " + b"a" * (MAX_EVENT_BYTES // 2) + b"\n\n")) == 1


lines = st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"), max_size=10)
words = st.text("abc-.:1 é", max_size=6).map(str.strip)


@given(st.lists(st.tuples(st.lists(lines, min_size=1, max_size=3), words, words), max_size=5), st.integers(1, 7))
def test_what_is_encoded_is_read(sent: list[tuple[list[str], str, str]], step: int) -> None:
    stream = b"".join(encode_event("\n".join(data).encode(), event, id_) for data, event, id_ in sent)
    expected, last = [], ""
    for data, event, id_ in sent:
        last = id_ or last
        expected.append(ServerEvent(event or "message", "\n".join(data), last))
    parser = EventParser()
    found = [event for i in range(0, len(stream), step) for event in parser.receive(stream[i : i + step])]
    assert found == expected
