"""Forwarded, X-Forwarded-* and PROXY headers."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.errors import PeerError
from hardpoint.wire.forwarded import (
    MAX_HOPS,
    PROXY_V2_SIGNATURE,
    Hop,
    ProxyHeader,
    parse_forwarded,
    parse_proxy_header,
    parse_x_forwarded,
)

V4, V6 = ip_address("203.0.113.9"), ip_address("2001:db8::1")


@pytest.mark.parametrize(
    ("value", "hops"),
    [
        ("for=203.0.113.9", [Hop(V4, None, None, None)]),
        ('For="[2001:db8::1]:4711";proto=HTTPS; host=x', [Hop(V6, 4711, "https", "x")]),
        ('for="203.0.113.9:80", for=unknown', [Hop(V4, 80, None, None), Hop(None, None, None, None)]),
        ("for=_hidden;proto=gopher", [Hop(None, None, None, None)]),
        ('for="a,b;c";host="x\\"y"', [Hop(None, None, None, 'x"y')]),
        # From the malformed element on, nothing further away is read.
        ("for=203.0.113.9, for for, by=1.2.3.4", [Hop(None, None, None, None)]),
        ("for=203.0.113.9;for=1.1.1.1", []),
        ('for="203.0.113.9', []),
        ("for=999.1.1.1", [Hop(None, None, None, None)]),
        ('for="203.0.113.9:99999"', [Hop(V4, None, None, None)]),
        ("", []),
    ],
)
def test_forwarded(value: str, hops: list[Hop]) -> None:
    assert parse_forwarded(value) == hops


def test_only_the_near_end_of_a_long_chain_is_read() -> None:
    assert len(parse_forwarded(", ".join(["for=1.1.1.1"] * 1000))) == MAX_HOPS
    assert len(parse_x_forwarded(", ".join(["1.1.1.1"] * 1000))) == MAX_HOPS


def test_x_forwarded() -> None:
    assert parse_x_forwarded("203.0.113.9") == [Hop(V4, None, None, None)]
    assert parse_x_forwarded("2001:db8::1, 203.0.113.9:80 , junk", "https", "x") == [
        Hop(V6, None, None, None),
        Hop(V4, 80, None, None),
        Hop(None, None, "https", "x"),
    ]
    assert parse_x_forwarded("203.0.113.9,203.0.113.9", "http,https")[0] == Hop(V4, None, "http", None)


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    for hop in (*parse_forwarded(text), *parse_x_forwarded(text, text, text)):
        assert hop.port is None or 0 <= hop.port < 65536


def v2(command: int, family: int, body: bytes, length: int | None = None) -> bytes:
    return PROXY_V2_SIGNATURE + struct.pack("!BBH", command, family, len(body) if length is None else length) + body


ADDRESSES_4 = V4.packed + ip_address("10.0.0.1").packed + struct.pack("!HH", 5000, 80)
ADDRESSES_6 = V6.packed + V6.packed + struct.pack("!HH", 5000, 80)

PROXY_GOOD = {
    "v1": (b"PROXY TCP4 203.0.113.9 10.0.0.1 5000 80\r\n", V4, 5000),
    "v1 v6": (b"PROXY TCP6 2001:db8::1 ::1 5000 80\r\n", V6, 5000),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", None, 0),
    "v1 unknown with words": (b"PROXY UNKNOWN ffff:f...f:ffff 1 2\r\n", None, 0),
    "v2": (v2(0x21, 0x11, ADDRESSES_4), V4, 5000),
    "v2 with tlv": (v2(0x21, 0x11, ADDRESSES_4 + b"\x03\x00\x04abcd"), V4, 5000),
    "v2 v6": (v2(0x21, 0x21, ADDRESSES_6), V6, 5000),
    "v2 local": (v2(0x20, 0x00, b""), None, 0),
    "v2 unspec": (v2(0x21, 0x00, b"abc"), None, 0),
    "v2 unix": (v2(0x21, 0x31, b"a" * 216), None, 0),
}
PROXY_BAD = {
    "http": b"GET / HTTP/1.1\r\n\r\n",
    "v1 lower": b"proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
    "v1 endless": b"PROXY TCP4 " + b"1" * 107,
    "v1 short": b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
    "v1 other family": b"PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n",
    "v1 udp": b"PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n",
    "v1 bad port": b"PROXY TCP4 1.1.1.1 1.1.1.1 70000 1\r\n",
    "v1 bad address": b"PROXY TCP4 1.1.1 1.1.1.1 1 1\r\n",
    "v2 version": v2(0x11, 0x11, ADDRESSES_4),
    "v2 command": v2(0x22, 0x11, ADDRESSES_4),
    "v2 short": v2(0x21, 0x11, b"abc"),
    "v2 huge": v2(0x21, 0x11, ADDRESSES_4, 60000),
}


@pytest.mark.parametrize(("data", "address", "port"), PROXY_GOOD.values(), ids=PROXY_GOOD)
def test_proxy_headers(data: bytes, address: object, port: int) -> None:
    for behind in (b"", b"GET / HTTP/1.1\r\n"):
        assert parse_proxy_header(data + behind) == ProxyHeader(address, port, len(data))  # type: ignore[arg-type]
    for size in range(len(data)):
        assert parse_proxy_header(data[:size]) is None


@pytest.mark.parametrize("data", PROXY_BAD.values(), ids=PROXY_BAD)
def test_what_is_no_proxy_header(data: bytes) -> None:
    with pytest.raises(PeerError):
        parse_proxy_header(data)
    for size in range(len(data)):
        try:
            assert parse_proxy_header(data[:size]) is None
        except PeerError:  # told as early as this
            break
