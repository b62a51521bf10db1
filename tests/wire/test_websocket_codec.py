"""Frames to messages, whole and byte by byte, at both ends; what breaks the rules; and what any bytes may do."""

from __future__ import annotations

import itertools
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.wire.websocket import (
    BINARY,
    CLOSE,
    FAILED,
    PING,
    PONG,
    TEXT,
    Agreement,
    DeflateOptions,
    WebSocketCodec,
    WebSocketLimits,
)
from hardpoint.wire.websocket.codec import MAX_BURST_BYTES
from hardpoint.wire.websocket.deflate import MAX_FINAL_BLOCKS
from hardpoint.wire.websocket.frames import encode_header, masked
from properties import examples

KEY = b"\x37\xfa\x21\x3d"
SMALL = WebSocketLimits(max_message_bytes=1000)
PLAIN = Agreement()


def frame(first: int, payload: bytes = b"", *, client: bool = True, key: bytes = KEY) -> bytes:
    """One frame as a client (masked) or a server sends it."""
    if not client:
        return encode_header(first, len(payload)) + payload
    return encode_header(first, len(payload), 0x80) + key + masked(payload, key)


def deflated(payload: bytes, bits: int = 15) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -bits)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def drive(codec: WebSocketCodec, pieces: list[bytes]) -> list[tuple]:
    events = []
    for piece in pieces:
        events += codec.receive(piece)
        while codec.more:
            events += codec.receive(b"")
    return events


def read(data: bytes, *, client: bool = False, agreement: Agreement | None = None) -> list[tuple]:
    """The events of these bytes, the same whole, byte by byte, and with bytes behind that change nothing before."""

    def codec() -> WebSocketCodec:
        return WebSocketCodec(SMALL, client=client, agreement=agreement)

    whole = drive(codec(), [data])
    assert drive(codec(), [bytes([byte]) for byte in data]) == whole
    behind = frame(0x8A, b"behind", client=not client)
    ended = bool(whole) and whole[-1][0] in (CLOSE, FAILED)
    again = drive(codec(), [data + behind])
    assert again[: len(whole)] == whole
    if ended:
        assert again == whole
    return whole


EURO = "κόσμε€𐍈".encode()

GOOD: dict[str, tuple[bytes, list[tuple]]] = {
    "text": (frame(0x81, b"Hello"), [(TEXT, "Hello")]),  # RFC 6455 §5.7
    "empty text": (frame(0x81), [(TEXT, "")]),
    "binary": (frame(0x82, b"\0\xff"), [(BINARY, b"\0\xff")]),
    "empty binary": (frame(0x82), [(BINARY, b"")]),
    "125": (frame(0x82, b"a" * 125), [(BINARY, b"a" * 125)]),
    "126": (frame(0x82, b"a" * 126), [(BINARY, b"a" * 126)]),
    "limit": (frame(0x82, b"a" * 1000), [(BINARY, b"a" * 1000)]),
    "two": (frame(0x81, b"a") + frame(0x81, b"b"), [(TEXT, "a"), (TEXT, "b")]),
    "fragments": (frame(0x01, b"Hel") + frame(0x80, b"lo"), [(TEXT, "Hello")]),
    "empty fragments": (frame(0x01) + frame(0x00) + frame(0x80), [(TEXT, "")]),
    "ping between fragments": (
        frame(0x01, b"Hel") + frame(0x89, b"p") + frame(0x8A) + frame(0x80, b"lo"),
        [(PING, b"p"), (PONG, b""), (TEXT, "Hello")],
    ),
    "a character in two fragments": (
        frame(0x01, EURO[:7]) + frame(0x00, EURO[7:8]) + frame(0x80, EURO[8:]),
        [(TEXT, "κόσμε€𐍈")],
    ),
    "limit in fragments": (frame(0x02, b"a" * 500) + frame(0x80, b"a" * 500), [(BINARY, b"a" * 1000)]),
    "ping": (frame(0x89, b"a" * 125), [(PING, b"a" * 125)]),
    "unasked pong": (frame(0x8A, b"x"), [(PONG, b"x")]),
    "close": (frame(0x88, b"\x03\xe8bye"), [(CLOSE, 1000, "bye")]),
    "close without a code": (frame(0x88), [(CLOSE, 1005, "")]),
    "close of an application's own": (frame(0x88, b"\x13\x87"), [(CLOSE, 4999, "")]),
    "behind a close": (frame(0x88, b"\x03\xe8") + frame(0x81, b"late"), [(CLOSE, 1000, "")]),
    "close within a message": (frame(0x01, b"a") + frame(0x88, b"\x03\xe9"), [(CLOSE, 1001, "")]),
}

BAD: dict[str, tuple[int, bytes]] = {
    "rsv1 without agreement": (1002, frame(0xC1, b"a")),
    "rsv2": (1002, frame(0xA1, b"a")),
    "rsv3": (1002, frame(0x92, b"a")),
    "rsv1 on a ping": (1002, frame(0xC9)),
    "unknown data opcode": (1002, frame(0x83)),
    "unknown control opcode": (1002, frame(0x8B)),
    "not masked": (1002, frame(0x81, b"a", client=False)),
    "fragmented ping": (1002, frame(0x09)),
    "long ping": (1002, frame(0x89, b"a" * 126)),
    "nothing to continue": (1002, frame(0x80, b"a")),
    "nothing to continue, more to come": (1002, frame(0x00, b"a")),
    "message within a message": (1002, frame(0x01, b"a") + frame(0x81, b"b")),
    "length of two bytes for less": (1002, b"\x82\xfe\x00\x7d" + KEY + b"a" * 125),
    "length of eight bytes for less": (1002, b"\x82\xff" + (65535).to_bytes(8, "big") + KEY),
    "negative length": (1002, b"\x82\xff" + b"\x80" + bytes(7) + KEY),
    "close of one byte": (1002, frame(0x88, b"\x03")),
    "close reason not utf-8": (1007, frame(0x88, b"\x03\xe8\xff")),
    "not utf-8": (1007, frame(0x81, b"a\xff")),
    "surrogate": (1007, frame(0x81, b"\xed\xa0\x80")),
    "overlong": (1007, frame(0x81, b"\xc0\xaf")),
    "beyond unicode": (1007, frame(0x81, b"\xf4\x90\x80\x80")),
    "cut character": (1007, frame(0x81, b"\xe2\x82")),
    "cut character at the end of fragments": (1007, frame(0x01, b"\xe2") + frame(0x80, b"\x82")),
    "too big": (1009, frame(0x82, b"a" * 1001)),
    "too big in fragments": (1009, frame(0x02, b"a" * 999) + frame(0x80, b"aa")),
    "far too big": (1009, b"\x82\xff" + (1 << 40).to_bytes(8, "big") + KEY),
} | {
    f"close code {code}": (1002, frame(0x88, code.to_bytes(2, "big")))
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_good_frames(name: str) -> None:
    data, expected = GOOD[name]
    assert read(data) == expected


@pytest.mark.parametrize("name", GOOD)
def test_good_frames_of_a_server(name: str) -> None:
    """The same messages without masks, read by a client."""
    data, expected = GOOD[name]
    assert read(unmasked(data), client=True) == expected


def unmasked(data: bytes) -> bytes:
    """A client's frames as a server would have sent them."""
    out, position = b"", 0
    while position < len(data):
        first, size = data[position], data[position + 1] & 0x7F
        position += 2
        if size == 126:
            size = int.from_bytes(data[position : position + 2], "big")
            position += 2
        key = data[position : position + 4]
        out += frame(first, masked(data[position + 4 : position + 4 + size], key), client=False)
        position += 4 + size
    return out


@pytest.mark.parametrize("name", BAD)
def test_broken_rules(name: str) -> None:
    code, data = BAD[name]
    ok = frame(0x81, b"before")
    events = read(ok + data)
    assert events[0] == (TEXT, "before")
    assert [event[:2] for event in events[1:]] == [(FAILED, code)]


def test_a_client_takes_no_masked_frame() -> None:
    assert read(frame(0x81, b"a"), client=True)[0][:2] == (FAILED, 1002)


def test_it_stays_failed() -> None:
    codec = WebSocketCodec(SMALL)
    assert codec.receive(frame(0x83))[0][0] == FAILED
    assert codec.receive(frame(0x81, b"a")) == []
    assert codec.buffered_bytes == 0


def test_text_fails_with_the_byte_that_breaks_it() -> None:
    """Not at the message's end, which may be a megabyte or an hour away."""
    codec = WebSocketCodec(SMALL)
    data = frame(0x01, b"ok\xff" + b"a" * 500)
    assert codec.receive(data[:10]) == []
    assert codec.receive(data[10:11])[0][:2] == (FAILED, 1007)


def test_a_length_is_refused_before_its_payload_comes() -> None:
    assert WebSocketCodec(SMALL).receive(frame(0x82, b"a" * 1001)[:8])[0][:2] == (FAILED, 1009)


def test_what_is_kept_of_a_message_is_told() -> None:
    codec = WebSocketCodec(SMALL)
    codec.receive(frame(0x02, b"a" * 400) + frame(0x00, b"a" * 100)[:60])
    assert 450 <= codec.buffered_bytes <= 460


# ---- Compression


def test_compressed_messages() -> None:
    hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00"  # RFC 7692 §7.2.3.1
    assert read(frame(0xC1, hello), agreement=PLAIN) == [(TEXT, "Hello")]
    fragments = frame(0x41, hello[:3]) + frame(0x89) + frame(0x80, hello[3:])
    assert read(fragments, agreement=PLAIN) == [(PING, b""), (TEXT, "Hello")]
    again = b"\xf2\x00\x11\x00\x00"  # §7.2.3.2: refers to the message before
    assert read(frame(0xC1, hello) + frame(0xC1, again), agreement=PLAIN) == [(TEXT, "Hello")] * 2
    stored = b"\x00\x05\x00\xfa\xffHello\x00"  # §7.2.3.3
    assert read(frame(0xC1, stored), agreement=PLAIN) == [(TEXT, "Hello")]
    final = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"  # §7.2.3.4: a block with BFINAL
    assert read(frame(0xC1, final) + frame(0xC1, hello), agreement=PLAIN) == [(TEXT, "Hello")] * 2
    two_blocks = b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"  # §7.2.3.5
    assert read(frame(0xC1, two_blocks), agreement=PLAIN) == [(TEXT, "Hello")]
    assert read(frame(0x81, b"plain"), agreement=PLAIN) == [(TEXT, "plain")]
    assert read(frame(0xC2, b"\x00"), agreement=PLAIN) == [(BINARY, b"")]


def test_no_takeover_forgets_the_message_before() -> None:
    hello, again = b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"\xf2\x00\x11\x00\x00"
    events = read(frame(0xC1, hello) + frame(0xC1, again), agreement=Agreement(client_takeover=False))
    assert events[0] == (TEXT, "Hello")
    assert events[1][:2] == (FAILED, 1007)


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (1009, frame(0xC2, deflated(b"a" * 1001))),
        (1009, frame(0xC2, deflated(bytes(50_000_000)))),
        (1007, frame(0xC2, b"\xff\xff\xff")),
        (1007, frame(0xC1, deflated(b"\xff"))),
        (1002, frame(0x41, deflated(b"a")) + frame(0xC0, b"")),
        (1007, frame(0xC2, b"\x03\x00" * (MAX_FINAL_BLOCKS + 1))),
    ],
    ids=["too big", "bomb", "not deflated", "not utf-8", "rsv1 on a continuation", "many final blocks"],
)
def test_bad_compressed_messages(code: int, data: bytes) -> None:
    assert [event[:2] for event in drive(WebSocketCodec(SMALL, agreement=PLAIN), [data])] == [(FAILED, code)]


def test_a_burst_of_large_messages_comes_in_parts() -> None:
    """Each within its limit, thirty together far beyond what should be in memory at once."""
    codec = WebSocketCodec(WebSocketLimits(), agreement=Agreement(client_takeover=False))
    message = bytes(200_000)
    data = frame(0xC2, deflated(message)) * 30
    assert len(data) < 64 * 1024
    sizes = []
    events = codec.receive(data)
    while events:
        sizes.append(sum(len(event[1]) for event in events))
        events = codec.receive(b"") if codec.more else []
    assert sum(sizes) == 30 * len(message)
    assert max(sizes) <= MAX_BURST_BYTES + len(message)


# ---- What is sent, the other end reads

AGREEMENTS = [None, Agreement(), Agreement(9, 9), Agreement(12, 10, False, True), Agreement(15, 12, True, False)]
messages = st.text(max_size=300) | st.lists(st.integers(0, 255), max_size=300).map(bytes)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(
    st.lists(messages, max_size=5),
    st.sampled_from(AGREEMENTS),
    st.booleans(),
    st.lists(st.integers(0, 2000), max_size=8),
)
def test_any_split_gives_the_same_messages(
    sent: list[str | bytes], agreement: Agreement | None, client: bool, cuts: list[int]
) -> None:
    sender = WebSocketCodec(WebSocketLimits(), client=client, agreement=agreement)
    reader = WebSocketCodec(WebSocketLimits(), client=not client, agreement=agreement)
    data = b"".join(sender.encode_message(message) for message in sent) + sender.encode_close(1000, "done")
    expected = [(TEXT if isinstance(message, str) else BINARY, message) for message in sent]
    assert drive(reader, split(data, cuts)) == [*expected, (CLOSE, 1000, "done")]


def alike(pieces: list[tuple], whole: list[tuple]) -> bool:
    """The same events. Of a compressed message that breaks two rules at once, the cuts may decide which is told."""
    if whole and whole[-1][:2] in ((FAILED, 1007), (FAILED, 1009)):
        return pieces[:-1] == whole[:-1] and pieces[-1][:2] in ((FAILED, 1007), (FAILED, 1009))
    return pieces == whole


GRAINS = [
    frame(0x81, b"Hello"), frame(0x01, EURO), frame(0x80, b"x"), frame(0x00), frame(0x89, b"p"), frame(0x88),
    frame(0xC1, deflated(b"Hello")), frame(0x41, deflated(b"He")[:3]), b"\x81", b"\xfe", b"\x80", b"\xff",
    frame(0x88, b"\x03\xe8"), b"\x82\xff", bytes(8), KEY,
]  # fmt: skip
soups = st.lists(st.sampled_from(GRAINS) | st.integers(0, 255).map(lambda byte: bytes([byte])), max_size=20).map(
    b"".join
)


@examples(400)
@given(soups, st.sampled_from([None, Agreement()]), st.booleans(), st.lists(st.integers(0, 200), max_size=6))
def test_any_bytes_give_the_same_events_however_they_are_cut(
    data: bytes, agreement: Agreement | None, client: bool, cuts: list[int]
) -> None:
    whole = drive(WebSocketCodec(SMALL, client=client, agreement=agreement), [data])
    pieces = drive(WebSocketCodec(SMALL, client=client, agreement=agreement), split(data, cuts))
    assert alike(pieces, whole)
    assert all(event[0] not in (CLOSE, FAILED) for event in whole[:-1])


# ---- Encoding


def test_frames_as_the_rfc_prints_them() -> None:
    server = WebSocketCodec(SMALL)
    assert server.encode_message("Hello") == b"\x81\x05Hello"
    assert server.encode_ping(b"Hello") == b"\x89\x05Hello"
    client = WebSocketCodec(SMALL, client=True, new_key=lambda: KEY)
    assert client.encode_message("Hello") == bytes.fromhex("818537fa213d7f9f4d5158")
    assert client.encode_pong(b"Hello") == bytes.fromhex("8a8537fa213d7f9f4d5158")
    assert server.encode_message(bytes(256))[:4] == b"\x82\x7e\x01\x00"
    assert server.encode_message(bytes(65536))[:10] == b"\x82\x7f" + (65536).to_bytes(8, "big")
    assert server.encode_message(memoryview(b"a").tobytes()) == b"\x82\x01a"


def test_close_frames() -> None:
    codec = WebSocketCodec(SMALL)
    assert codec.encode_close() == b"\x88\x00"
    assert codec.encode_close(1000, "bye") == b"\x88\x05\x03\xe8bye"
    cut = codec.encode_close(1011, "é" * 100)
    assert len(cut) == 2 + 124
    assert cut[4:].decode() == "é" * 61
    for code in (0, 1004, 1006, 1015, 2999, 5000):
        with pytest.raises(ValueError):
            codec.encode_close(code)
    with pytest.raises(ValueError):
        codec.encode_ping(bytes(126))


def test_small_messages_go_uncompressed() -> None:
    codec = WebSocketCodec(SMALL, agreement=PLAIN, options=DeflateOptions(min_bytes=10))
    assert codec.encode_message("a" * 9)[0] == 0x81
    assert codec.encode_message("a" * 10)[0] == 0xC1


def test_a_client_makes_a_mask_of_its_own_for_each_frame() -> None:
    codec = WebSocketCodec(SMALL, client=True)
    assert len({codec.encode_message("a")[2:6] for _ in range(20)}) > 15


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 511, 512, 513, 1021, 70_001])
def test_masks(size: int) -> None:
    rng = random.Random(size)
    payload, key = rng.randbytes(size), rng.randbytes(4)
    assert masked(payload, key) == bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))
    assert masked(masked(payload, key), key) == payload
