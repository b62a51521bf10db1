"""multipart/form-data: each case whole, byte by byte, and with bytes behind it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.errors import BadInput, PeerError, TooLarge
from hardpoint.wire.multipart import (
    MAX_PREAMBLE_BYTES,
    MultipartLimits,
    MultipartParser,
    PartEnd,
    PartHead,
    boundary_of,
    parse_parameters,
)

SMALL = MultipartLimits(max_parts=3, max_part_head_bytes=200)


def part(content: bytes, name: str = "a", extra: bytes = b"") -> bytes:
    return b'--B\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (name.encode(), extra, content)


def parse(pieces: list[bytes], limits: MultipartLimits = SMALL) -> list[tuple[PartHead, bytes]]:
    parser = MultipartParser("B", limits)
    parts: list[tuple[PartHead, bytes]] = []
    head: PartHead | None = None
    for piece in pieces:
        for event in parser.receive(piece):
            if isinstance(event, PartHead):
                assert head is None
                head, content = event, b""
            elif isinstance(event, PartEnd):
                assert head is not None
                parts.append((head, content))
                head = None
            else:
                assert event
                content += event
    parser.finish()
    return parts


GOOD = {
    "one": (part(b"x") + b"--B--\r\n", [("a", None, b"x")]),
    "none": (b"--B--", []),
    "empty": (part(b"") + b"--B--", [("a", None, b"")]),
    "a line end first": (b"\r\n" + part(b"x") + b"--B--", [("a", None, b"x")]),
    "two": (part(b"x\r\n") + part(b"--B", "b") + b"--B--\r\n", [("a", None, b"x\r\n"), ("b", None, b"--B")]),
    "nearly boundaries": (part(b"\r\n--\r\n-\r\n--b\r") + b"--B--", [("a", None, b"\r\n--\r\n-\r\n--b\r")]),
    "a file": (part(b"\0\xff", "f", b'; filename="a;b.txt"') + b"--B--", [("f", "a;b.txt", b"\0\xff")]),
    "no file chosen": (part(b"", "f", b'; filename=""') + b"--B--", [("f", "", b"")]),
    "escapes": (part(b"", 'q\\"q', b'; filename="%22\\\\"') + b"--B--", [('q"q', '"\\', b"")]),
    "utf-8": (part(b"", "ü", '; filename="你.txt"'.encode()) + b"--B--", [("ü", "你.txt", b"")]),
    "token": (b"--B\r\ncontent-disposition:form-data;name=a\r\n\r\nx\r\n--B--", [("a", None, b"x")]),
    "epilogue": (part(b"x") + b"--B--\r\n--B\r\nanything", [("a", None, b"x")]),
}

BAD = {
    "no end": (part(b"x"), BadInput),
    "nothing": (b"", BadInput),
    "other boundary": (b"--C--" + b"x" * MAX_PREAMBLE_BYTES, BadInput),
    "boundary in content": (part(b"\r\n--Bx") + b"--B--", BadInput),
    "no disposition": (b"--B\r\nX: y\r\n\r\nx\r\n--B--", BadInput),
    "no name": (b"--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--", BadInput),
    "attachment": (b"--B\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--B--", BadInput),
    "bad head": (b"--B\r\nContent Disposition\r\n\r\nx\r\n--B--", BadInput),
    "latin-1 name": (b'--B\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--B--', BadInput),
    "latin-1 type": (part(b"", "a", b"\r\nContent-Type: text/\xff") + b"--B--", BadInput),
    "latin-1 field": (part(b"", "a", b"\r\nX-Own: \xff") + b"--B--", BadInput),
    "latin-1 file": (part(b"", "a", b'; filename="\xff"') + b"--B--", BadInput),
    "long head": (part(b"", "a", b"a" * 300) + b"--B--", TooLarge),
    "endless head": (b"--B\r\nX: " + b"a" * 300, TooLarge),
    "too many": (part(b"") * 4 + b"--B--", TooLarge),
}


@pytest.mark.parametrize(("data", "expected"), GOOD.values(), ids=GOOD)
def test_good_is_the_same_however_it_arrives(data: bytes, expected: list[tuple[str, str | None, bytes]]) -> None:
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        assert [(head.name, head.filename, content) for head, content in parse(pieces)] == expected


@pytest.mark.parametrize(("data", "error"), BAD.values(), ids=BAD)
def test_bad_is_refused(data: bytes, error: type[PeerError]) -> None:
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        with pytest.raises(error):
            parse(pieces)


def test_what_a_part_says_of_itself() -> None:
    data = b'--B\r\nContent-Disposition: form-data; name="f"; filename="x"\r\nContent-Type: image/png\r\nX-Y: z\r\n\r\n'
    head = parse([data + b"\r\n--B--"])[0][0]
    assert (head.content_type, head.headers["x-y"]) == ("image/png", "z")
    assert parse([part(b"") + b"--B--"])[0][0].content_type == "text/plain"


# Not st.binary: hypothesis compares its choices with integers, which `python -bb` takes for an error.
contents = st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"B", b"x", b"\r\n--", b"\0"]), max_size=8).map(
    b"".join
)


@given(st.lists(contents, max_size=3), st.lists(st.integers(0, 400), max_size=6))
def test_any_split_gives_what_was_put_in(values: list[bytes], cuts: list[int]) -> None:
    values = [value for value in values if b"\r\n--B" not in b"\r\n" + value + b"\r\n"]
    data = b"".join(part(value) for value in values) + b"--B--"
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    assert [content for _, content in parse(pieces)] == values


@given(
    st.lists(st.sampled_from([b"--B", b"\r\n", b"--", b"Content-Disposition: form-data; name=a", b":", b"x", b"\xff"]))
)
def test_anything_is_read_or_refused(grains: list[bytes]) -> None:
    try:
        parse([b"".join(grains)])
    except PeerError:
        pass


@pytest.mark.parametrize(
    ("value", "boundary"),
    [
        ("multipart/form-data; boundary=B", "B"),
        ('Multipart/Form-Data; charset=utf-8; boundary="a b"', "a b"),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=" + "a" * 71, None),
        ('multipart/form-data; boundary="a "', None),
        ("multipart/mixed; boundary=B", None),
        ("text/plain", None),
        ("", None),
    ],
)
def test_boundaries(value: str, boundary: str | None) -> None:
    if boundary is None:
        with pytest.raises(BadInput):
            boundary_of(value)
    else:
        assert boundary_of(value) == boundary


def test_parameters() -> None:
    assert parse_parameters('A/B ; c=d;e="f;\\"g\\"" ; c=h') == ("a/b", {"c": "d", "e": 'f;"g"'})
    assert parse_parameters("a; b=c; broken; d=e") == ("a", {"b": "c"})
