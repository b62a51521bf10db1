"""The line dialect's codec: each case whole, byte by byte, and with bytes behind it."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hardpoint.errors import BadInput, HardpointError, NotFound, PeerError, StorageFull, TooLarge, UnknownVerb
from hardpoint.model import (
    INT64_MAX,
    INT64_MIN,
    MAX_TS_IN_SECONDS,
    MAX_TS_MS,
    MAX_VALUE_BYTES,
    MIN_TS_IN_SECONDS,
    Command,
    checked_value,
)
from hardpoint.wire import lines
from hardpoint.wire.lines import ANSWER, ATTRIBUTES, BAD, GET, HELLO, READINGS, TLS_HELLO, VERB, LineDecoder
from hardpoint.wire.telemetry import parse_telemetry

TS = 1732320000000


def shape(event):
    """An event as something that can be compared: a BAD one by its error's type and words."""
    if event[0] == BAD:
        return (BAD, event[1], type(event[2]), event[2].message)
    return typed(event)


def typed(value):
    """Equal only when the types are: 1, 1.0 and True are three values."""
    if isinstance(value, tuple | list):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return (type(value), value)


def decode(data, *, max_line_bytes=lines.MAX_LINE_BYTES):
    """Every event of a whole connection, which ends with a half-close."""
    decoder = LineDecoder(max_line_bytes)
    return decoder.receive(data) + decoder.finish()


def decode_bytes(data, *, max_line_bytes=lines.MAX_LINE_BYTES):
    """The same, fed one byte at a time."""
    decoder = LineDecoder(max_line_bytes)
    return [event for i in range(len(data)) for event in decoder.receive(data[i : i + 1])] + decoder.finish()


def is_milliseconds(ts: int) -> bool:
    return not MIN_TS_IN_SECONDS <= ts < MAX_TS_IN_SECONDS


def readings(*samples, tag="", ts=None):
    return (READINGS, tag, [(ts, key, value) for key, value in samples])


CASES = {
    # one number: the fast path
    "temp=21.5": readings(("temp", 21.5)),
    "temp=21": readings(("temp", 21)),
    "temp=-3": readings(("temp", -3)),
    "temp=-0.5": readings(("temp", -0.5)),
    "t=007": readings(("t", 7)),
    "t=999999999999999999": readings(("t", 10**18 - 1)),
    "_a.b-c=1": readings(("_a.b-c", 1)),
    "k" * 64 + "=1": readings(("k" * 64, 1)),
    # numbers beyond it
    "temp=+3": readings(("temp", 3)),
    "temp=5.": readings(("temp", 5.0)),
    "temp=.5": readings(("temp", 0.5)),
    "temp=1e3": readings(("temp", 1000.0)),
    "temp=1.5E-3": readings(("temp", 0.0015)),
    "n=9223372036854775807": readings(("n", INT64_MAX)),
    "n=-9223372036854775808": readings(("n", INT64_MIN)),
    "n=9223372036854775808": readings(("n", "9223372036854775808")),
    "n=" + "9" * 5000: readings(("n", "9" * 5000)),
    "n=1." + "0" * 400: readings(("n", 1.0)),
    # what is no number
    "door=true wet=false": readings(("door", True), ("wet", False)),
    "a=True b=null c=nan d=0x10": readings(("a", "True"), ("b", "null"), ("c", "nan"), ("d", "0x10")),
    'note="two words"': readings(("note", "two words")),
    'note="" a=1': readings(("note", ""), ("a", 1)),
    r'note="say \"hi\" \u00e9\\"': readings(("note", 'say "hi" é\\')),
    'note="21"': readings(("note", "21")),
    "ort=Zürich": readings(("ort", "Zürich")),
    "mail=a@b.c x=@5": readings(("mail", "a@b.c"), ("x", "@5")),
    "url=http://x?a=b": readings(("url", "http://x?a=b")),
    # several, white space, time stamps
    "temp=21.5 hum=60": readings(("temp", 21.5), ("hum", 60)),
    " \ttemp=1\t hum=2  ": readings(("temp", 1), ("hum", 2)),
    "temp=1 temp=2": readings(("temp", 1), ("temp", 2)),
    f"temp=21.5 @{TS}": readings(("temp", 21.5), ts=TS),
    "a=1 @0": readings(("a", 1), ts=0),
    f"a=1 @{MAX_TS_MS}": readings(("a", 1), ts=MAX_TS_MS),
    "GET=5": readings(("GET", 5)),
    # JSON
    '{"temp":21.5,"door":true}': readings(("temp", 21.5), ("door", True)),
    '[{"a":1},{"a":2}]': readings(("a", 1), ("a", 2)),
    f'{{"ts":{TS},"values":{{"a":1}}}}': readings(("a", 1), ts=TS),
    "{}": readings(),
    # the rest of the verbs
    "HELLO hp_token": (HELLO, "", "hp_token"),
    "HELLO\thp_token ": (HELLO, "", "hp_token"),
    "HELLO " + "x" * 256: (HELLO, "", "x" * 256),
    "GET temp": (GET, "", None, "temp"),
    "GET host  cpu.temp": (GET, "", "host", "cpu.temp"),
    "GET\ttemp": (GET, "", None, "temp"),
    "ATTR fw=1.2 model=esp32": (ATTRIBUTES, "", {"fw": 1.2, "model": "esp32"}),
    'ATTR {"fw":"1.2","old":null}': (ATTRIBUTES, "", {"fw": "1.2", "old": None}),
    "PING": (VERB, "", "PING"),
    "TIME": (VERB, "", "TIME"),
    "HELP": (VERB, "", "HELP"),
    "QUIT": (VERB, "", "QUIT"),
    '!7 OK {"on":true}': (ANSWER, "", 7, True, {"on": True}),
    "!7 OK": (ANSWER, "", 7, True, None),
    "!7 OK null": (ANSWER, "", 7, True, None),
    "!7 ERR no such pin": (ANSWER, "", 7, False, "no such pin"),
    "!7 ERR": (ANSWER, "", 7, False, ""),
    # tags
    "#1 PING": (VERB, "1", "PING"),
    "#1\tPING": (VERB, "1", "PING"),
    "#a/b   temp=1": readings(("temp", 1), tag="a/b"),
    "#" + "t" * 32 + " GET temp": (GET, "t" * 32, None, "temp"),
    '#9 {"a":1}': readings(("a", 1), tag="9"),
    "#é !3 OK 1": (ANSWER, "é", 3, True, 1),
}

REFUSED = {
    "temp": (UnknownVerb, "'temp' is neither a verb nor key=value; HELP lists what is understood"),
    "hello x": (UnknownVerb, "verbs are written in capitals: HELLO"),
    "Quit": (UnknownVerb, "verbs are written in capitals: QUIT"),
    "x" * 100: (UnknownVerb, f"'{'x' * 64}…' is neither a verb nor key=value; HELP lists what is understood"),
    "HELLO " + "x" * 257: (BadInput, "a token has at most 256 characters"),
    "PING now": (BadInput, "PING takes nothing after it"),
    "GET": (BadInput, "GET is followed by a key, or by a device and a key"),
    "GET a b c": (BadInput, "GET is followed by a key, or by a device and a key"),
    "GET 1a": (BadInput, "key '1a' must start with"),
    "ATTR": (BadInput, "no key=value in this line"),
    "ATTR fw": (BadInput, "'fw' is not key=value (column 6)"),
    "ATTR a=1 @5": (BadInput, "attributes carry no time stamp (column 10)"),
    "ATTR {1}": (BadInput, "not JSON: "),
    "temp= hum=1": (BadInput, "temp has no value (column 6)"),
    "1a=2": (BadInput, "key '1a' must start with"),
    "k" * 65 + "=1": (BadInput, "key 'kkk"),
    "é=1": (BadInput, "key 'é' must start with"),
    "=1": (BadInput, "'=1' is not key=value: keys are letters, digits, _ . - (column 1)"),
    "a=1 b": (BadInput, "'b' is not key=value (column 5)"),
    'a="open': (BadInput, 'a string ends with " and is followed by a space (column 1)'),
    'a="x"y': (BadInput, 'a string ends with " and is followed by a space (column 1)'),
    r'a="\q"': (BadInput, "the string of a is not well-formed (column 3)"),
    'a="\t"': (BadInput, "the string of a is not well-formed (column 3)"),
    'a=b"c': (BadInput, "'a=b\"c' is not key=value: keys are letters, digits, _ . - (column 1)"),
    "a=1 @": (BadInput, "a time stamp is @ and milliseconds since 1970-01-01 UTC (column 5)"),
    "a=1 @-5": (BadInput, "a time stamp is @ and milliseconds since 1970-01-01 UTC (column 5)"),
    "a=1 @5 b=2": (BadInput, "the time stamp must come last (column 8)"),
    "a=1 @1732320000": (BadInput, "time stamp 1732320000 is in seconds: multiply it by 1000"),
    "GET / HTTP/1.1": (UnknownVerb, "this is an HTTP request at the line port"),
    f"a=1 @{MAX_TS_MS + 1}": (BadInput, f"time stamp {MAX_TS_MS + 1} is not in milliseconds"),
    "a=1e999": (BadInput, "a is beyond what a number can hold (column 3)"),
    "a=1 \x0b": (BadInput, "'\\x0b' is not key=value (column 5)"),
    "a=1\u00a0b=2": (BadInput, "'a=1\\xa0b=2' is not key=value"),
    "@5": (UnknownVerb, "'@5' is neither a verb nor key=value"),
    "{": (BadInput, "not JSON: "),
    '{"a b":1}': (BadInput, "key 'a b' must start with"),
    "[1]": (BadInput, "each element must be an object"),
    '{"a":{"b":' + "[" * 100 + "]" * 100 + "}}": (TooLarge, "objects and arrays may be nested 32 deep"),
    "!": (BadInput, "an answer to a command is !<id> OK <json> or !<id> ERR <message>"),
    "!x OK 1": (BadInput, "an answer to a command is"),
    "!7 MAYBE": (BadInput, "an answer to a command is"),
    "!7 OKAY": (BadInput, "an answer to a command is"),
    "!" + "9" * 19 + " OK": (BadInput, "an answer to a command is"),
    "!7 OK {": (BadInput, "not JSON: "),
    "#": (BadInput, "a tag has 1 to 32 characters and is followed by a space"),
    "# PING": (BadInput, "a tag has 1 to 32 characters and is followed by a space"),
    "#" + "t" * 33 + " PING": (BadInput, "a tag has 1 to 32 characters and is followed by a space"),
}


@pytest.mark.parametrize("line", CASES)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""], ids=["LF", "CRLF", "half-close"])
@pytest.mark.parametrize("feed", [decode, decode_bytes], ids=["whole", "byte by byte"])
def test_reads(line, end, feed):
    assert typed(feed((line + end).encode())) == typed([CASES[line]])


@pytest.mark.parametrize("line", REFUSED)
@pytest.mark.parametrize("feed", [decode, decode_bytes], ids=["whole", "byte by byte"])
def test_refuses_and_goes_on(line, feed):
    kind, message = REFUSED[line]
    [refused, ping] = feed(line.encode() + b"\nPING\n")
    assert refused[:2] == (BAD, "")
    assert type(refused[2]) is kind
    assert refused[2].message.startswith(message)
    assert ping == (VERB, "", "PING")


@pytest.mark.parametrize("feed", [decode, decode_bytes], ids=["whole", "byte by byte"])
def test_a_tls_handshake_is_told_from_lines(feed):
    assert feed(b"\x16\x03") == [(TLS_HELLO, "")]
    assert feed(b"PING\n\x16\x03")[-1] == (TLS_HELLO, "")
    assert feed(b"\x16\x03\nPING\na=1\n") == [(TLS_HELLO, "")]
    assert [event[0] for event in feed(b"\x16\x02\nPING\n")] == [BAD, VERB]
    assert [event[0] for event in feed(b"x" * 9000 + b"\n\x16\x03PING\n")] == [BAD, TLS_HELLO]


def test_what_follows_a_tls_handshake_is_not_kept():
    decoder = LineDecoder()
    assert decoder.receive(b"\x16\x03\x01\x02\x00" + b"x" * 500) == [(TLS_HELLO, "")]
    assert decoder.receive(b"a=1\n") == decoder.receive(b"x" * 500) == decoder.finish() == []
    assert decoder.buffered_bytes == 0


@pytest.mark.parametrize("line", CASES)
def test_bytes_behind_a_line_belong_to_the_next(line):
    decoder = LineDecoder()
    assert typed(decoder.receive(line.encode() + b"\r\nPI")) == typed([CASES[line]])
    assert decoder.buffered_bytes == 2
    assert decoder.receive(b"NG\n") == [(VERB, "", "PING")]
    assert decoder.buffered_bytes == 0
    assert decoder.finish() == []


def test_an_error_carries_the_tag_of_its_line():
    [(kind, tag, error, line)] = decode(b"#17 temp\r\n")
    assert (kind, tag, type(error), line) == (BAD, "17", UnknownVerb, b"#17 temp")
    [(_, tag, error, _)] = decode(b"#17 \n")
    assert (tag, error.message) == ("17", "nothing follows the tag")


@pytest.mark.parametrize("data", [b"\n", b"\r\n", b" \t\n", b"", b"\n\n\n"])
def test_empty_lines_are_nothing(data):
    assert decode(data) == decode_bytes(data) == []


@pytest.mark.parametrize(
    ("data", "position"), [(b"a=\xff\n", 3), (b"\xc3\n", 1), (b"caf\xe9=1\n", 4), (b"a=1 \xed\xa0\x80\n", 5)]
)
def test_bytes_that_are_no_text_are_named(data, position):
    [(kind, _, error, line)] = decode(data)
    assert line == data.rstrip(b"\n")
    assert (kind, type(error), error.message) == (BAD, BadInput, f"byte {position} is not UTF-8")


class TestLength:
    LIMIT = 256

    def line(self, length):
        return b'a="' + b"x" * (length - 4) + b'"'

    @pytest.mark.parametrize("feed", [decode, decode_bytes], ids=["whole", "byte by byte"])
    @pytest.mark.parametrize("end", [b"\n", b"\r\n", b""], ids=["LF", "CRLF", "half-close"])
    def test_exactly_the_limit_is_read(self, feed, end):
        [event] = feed(self.line(self.LIMIT) + end, max_line_bytes=self.LIMIT)
        assert event == readings(("a", "x" * (self.LIMIT - 4)))

    @pytest.mark.parametrize("feed", [decode, decode_bytes], ids=["whole", "byte by byte"])
    @pytest.mark.parametrize("over", [1, 2, 3, 1000])
    @pytest.mark.parametrize("end", [b"\n", b"\r\n", b""], ids=["LF", "CRLF", "half-close"])
    def test_more_is_refused_once_and_skipped_to_its_end(self, feed, over, end):
        data = self.line(self.LIMIT + over) + end
        [event, *rest] = feed(data + (b"PING\n" if end else b""), max_line_bytes=self.LIMIT)
        assert event[0] == BAD
        assert type(event[2]) is TooLarge
        assert event[2].message == "a line may have at most 256 bytes; the rest of it is skipped"
        assert rest == ([(VERB, "", "PING")] if end else [])

    @pytest.mark.parametrize("feed", [decode, decode_bytes], ids=["whole", "byte by byte"])
    @pytest.mark.parametrize(
        ("head", "tag"),
        [(b"#42 ", "42"), (b"#" + b"t" * 32 + b" ", "t" * 32), (b"#" + b"t" * 33, ""), (b"#\x1b[2J ", ""), (b"# ", "")],
    )
    def test_the_refusal_carries_the_tag_if_it_is_one(self, feed, head, tag):
        [event] = feed(head + b"x" * 300 + b"\n", max_line_bytes=self.LIMIT)
        assert event[:2] == (BAD, tag)

    @pytest.mark.parametrize("piece", [b"x", b"x" * 100], ids=["byte by byte", "in pieces"])
    def test_an_endless_line_is_refused_once_and_not_kept(self, piece):
        decoder = LineDecoder(self.LIMIT)
        events = []
        for _ in range(1000):
            events += decoder.receive(piece)
            assert decoder.buffered_bytes <= self.LIMIT + 1
        assert [event[0] for event in events] == [BAD]
        assert decoder.receive(b"tail\ntemp=1\n") == [readings(("temp", 1))]

    def test_the_end_of_a_skipped_line_is_no_reading(self):
        decoder = LineDecoder(self.LIMIT)
        assert len(decoder.receive(b"x" * 300)) == 1
        assert decoder.receive(b"temp=1") == []
        assert decoder.finish() == []

    def test_a_raised_limit_does_not_raise_that_of_a_value(self):
        for line in (b"a=" + b"x" * (MAX_VALUE_BYTES + 1), b'a="' + b"x" * (MAX_VALUE_BYTES + 1) + b'"'):
            [(kind, _, error, _)] = decode(line + b"\n", max_line_bytes=2**20)
            assert (kind, type(error)) == (BAD, TooLarge)


# -- properties

SCALARS = st.one_of(
    st.booleans(),
    st.integers(INT64_MIN, INT64_MAX),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=40),
)
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", fullmatch=True)
NOISE = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from([line.encode() for line in (*CASES, *REFUSED) if len(line) < 60]),
        st.sampled_from([b"\n", b"\r\n", b"#1 ", b"!1 OK ", b"=", b'"', b"@", b" ", b"{", b"x" * 60]),
    ),
    max_size=12,
).map(b"".join)


@given(NOISE, st.data())
def test_any_split_gives_the_same_events(data, drawn):
    whole = [shape(event) for event in decode(data, max_line_bytes=64)]
    decoder = LineDecoder(64)
    split = []
    while data:
        size = drawn.draw(st.integers(1, len(data)), label="size of the next read")
        split += decoder.receive(data[:size])
        data = data[size:]
    split += decoder.finish()
    assert [shape(event) for event in split] == whole


@given(st.binary(max_size=200))
@example(b"a=1 \x1c\n")
@example(b'{"a":"\\ud800"}')
def test_random_bytes_give_events_and_never_an_exception(data):
    for event in decode(data):
        assert event[0] in range(7)
        if event[0] == BAD:
            assert isinstance(event[2], PeerError)
            answer = lines.encode_error(event[1], event[2])
            assert answer.endswith(b"\n")
            assert answer.count(b"\n") == 1


@given(st.from_regex(rb"[A-Za-z_][a-z0-9.]{0,3}=-?[0-9]{1,18}(\.[0-9]{1,18})?", fullmatch=True))
def test_the_fast_path_is_the_general_way(line):
    fast = decode(line + b"\n")
    assert lines._ONE_NUMBER.fullmatch(line)
    [sample] = lines.parse_readings(line.decode())
    assert typed(fast) == typed([(READINGS, "", [sample])])


@given(st.dictionaries(KEYS, SCALARS, min_size=1, max_size=5), st.integers(0, MAX_TS_MS).filter(is_milliseconds))
def test_what_the_dialect_writes_it_reads(values, ts):
    for key, value in values.items():
        line = lines.encode_reading("", key, value, ts)
        assert typed(decode(line, max_line_bytes=2**14)) == typed([readings((key, value), ts=ts)])
    line = " ".join(f"{key}={lines.encode_value(value)}" for key, value in values.items()).encode()
    assert typed(decode(line, max_line_bytes=2**16)) == typed([readings(*values.items())])


@given(st.dictionaries(KEYS, SCALARS.filter(lambda value: type(value) is not str), min_size=1, max_size=4))
def test_a_line_and_its_json_are_the_same_readings(values):
    line = " ".join(f"{key}={lines.encode_value(value)}" for key, value in values.items())
    assert typed(lines.parse_readings(line)) == typed(parse_telemetry(msgspec.json.encode(values)))


@given(st.one_of(st.integers(), st.floats(), st.text(max_size=20)))
def test_a_checked_value_is_stored_as_it_is_read(value):
    try:
        checked = checked_value(value)
    except PeerError:
        return
    assert checked == value or checked == str(value)


# -- values in → bytes out


@pytest.mark.parametrize("line", CASES)
def test_an_event_is_written_as_a_line_that_is_read_as_it(line):
    assert typed(decode(lines.encode_event(CASES[line]) + b"\n")) == typed([CASES[line]])


def test_greeting():
    assert lines.encode_greeting("1.2.3") == b"hardpoint 1.2.3 ready - HELLO <token> attaches, HELP explains\n"


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (lines.encode_ok("", 4), b"OK 4\n"),
        (lines.encode_ok("7", 4), b"#7 OK 4\n"),
        (lines.encode_ok("é", "gewächshaus"), "#é OK gewächshaus\n".encode()),
        (lines.encode_text("", "PONG"), b"PONG\n"),
        (lines.encode_text("7", "TIME 5"), b"#7 TIME 5\n"),
        (lines.encode_reading("", "temp", 21.5, TS), b"temp=21.5 @%d\n" % TS),
        (lines.encode_reading("7", "note", 'a "b"\n', TS), b'#7 note="a \\"b\\"\\n" @%d\n' % TS),
        (lines.encode_reading("", "j", {"a": [1, None]}, 0), b'j={"a":[1,null]} @0\n'),
        (lines.encode_attributes({"rate": 5}, ["old"]), b'ATTR {"rate":5,"old":null}\n'),
        (lines.encode_command(Command(7, "d", "set", {"pin": 1}, 0, 0)), b'!7 set {"pin":1}\n'),
        (lines.encode_command(Command(7, "d", "ping", None, 0, 0)), b"!7 ping null\n"),
        (lines.encode_error("", NotFound("no key")), b"ERR not-found no key\n"),
        (lines.encode_error("7", StorageFull("no space")), b"#7 ERR storage-full no space\n"),
        (
            lines.encode_error("", BadInput("must be a number", field="values.a")),
            b"ERR bad-line values.a: must be a number\n",
        ),
        (lines.encode_error("", BadInput("no device x", field="x")), b"ERR bad-line no device x\n"),
        (lines.encode_error("", HardpointError("a\nOK 1\x1b[2J")), "ERR internal a�OK 1�[2J\n".encode()),
    ],
)
def test_encodes(encoded, expected):
    assert encoded == expected


def test_a_long_message_is_cut():
    assert lines.one_line("x" * 512) == "x" * 512
    assert lines.one_line("x" * 513) == "x" * 511 + "…"


def test_every_line_of_the_help_carries_the_tag():
    assert lines.encode_help("") == lines.HELP
    tagged = lines.encode_help("7").splitlines()
    assert [line.removeprefix(b"#7 ") for line in tagged] == lines.HELP.splitlines()
    assert all(line.startswith(b"#7 ") for line in tagged)


def test_the_help_names_every_verb():
    for verb in (*lines.VERBS, "HELLO", "GET", "ATTR"):
        assert re.search(rf"\b{verb}\b".encode(), lines.HELP)
