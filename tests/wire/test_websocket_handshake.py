"""The opening handshake of both ends, and what is agreed on compression."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.wire.websocket import (
    Agreement,
    DeflateOptions,
    HandshakeRefused,
    accept,
    asks_for_websocket,
    encode_request,
    new_key,
    read_response,
    same_origin,
)
from hardpoint.wire.websocket.deflate import read_answer
from hardpoint.wire.websocket.handshake import accept_key

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 §1.3
ASKED = {
    "host": "x",
    "upgrade": "websocket",
    "connection": "keep-alive, Upgrade",
    "sec-websocket-key": KEY,
    "sec-websocket-version": "13",
}
WIDE = DeflateOptions(max_window_bits=15)


def test_the_key_of_the_rfc() -> None:
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_handshake() -> None:
    accepted = accept("GET", ASKED)
    assert accepted.headers == [
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ]
    assert accepted.subprotocol is None
    assert accepted.agreement is None


@pytest.mark.parametrize(
    ("answer", "changes"),
    [
        (426, {"upgrade": None}),
        (426, {"upgrade": "h2c"}),
        (400, {"connection": None}),
        (400, {"connection": "keep-alive"}),
        (426, {"sec-websocket-version": None}),
        (426, {"sec-websocket-version": "8"}),
        (426, {"sec-websocket-version": "13, 13"}),
        (400, {"sec-websocket-key": None}),
        (400, {"sec-websocket-key": "x"}),
        (400, {"sec-websocket-key": "YQ=="}),
        (400, {"sec-websocket-key": "€"}),
        (400, {"sec-websocket-key": f"{KEY}, {KEY}"}),
        (400, {"sec-websocket-protocol": "a b"}),
        (400, {"sec-websocket-protocol": ""}),
        (400, {"sec-websocket-extensions": "permessage-deflate; ="}),
        (400, {"sec-websocket-extensions": "a b"}),
    ],
)
def test_what_is_refused(answer: int, changes: dict[str, str | None]) -> None:
    headers = {name: value for name, value in (ASKED | changes).items() if value is not None}
    with pytest.raises(HandshakeRefused) as refused:
        accept("GET", headers)
    assert refused.value.answer == answer
    if answer == 426:
        assert ("Upgrade", "websocket") in refused.value.headers
    if answer == 426 and asks_for_websocket(headers):
        assert ("Sec-WebSocket-Version", "13") in refused.value.headers


def test_only_get() -> None:
    with pytest.raises(HandshakeRefused) as refused:
        accept("POST", ASKED)
    assert refused.value.answer == 405


def test_names_are_compared_in_any_case() -> None:
    assert accept("GET", ASKED | {"upgrade": "WebSocket", "connection": "UPGRADE"})


@pytest.mark.parametrize(
    ("asked", "spoken", "chosen"),
    [
        ("mqtt", ["mqtt"], "mqtt"),
        ("b, a", ["a", "b"], "b"),
        ("c", ["a"], None),
        ("MQTT", ["mqtt"], None),
    ],
)
def test_the_subprotocol_is_the_clients_first_that_is_spoken(asked: str, spoken: list[str], chosen: str | None) -> None:
    accepted = accept("GET", ASKED | {"sec-websocket-protocol": asked}, subprotocols=spoken)
    assert accepted.subprotocol == chosen
    assert (("Sec-WebSocket-Protocol", str(chosen)) in accepted.headers) is (chosen is not None)


@pytest.mark.parametrize(
    ("offer", "options", "element", "agreement"),
    [
        ("permessage-deflate", WIDE, "permessage-deflate", Agreement()),
        (
            "permessage-deflate; client_max_window_bits",
            DeflateOptions(),
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
            Agreement(12, 12),
        ),
        (
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11",
            WIDE,
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11",
            Agreement(10, 11),
        ),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            WIDE,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            Agreement(15, 15, False, False),
        ),
        (
            'permessage-deflate; server_max_window_bits="9"',
            WIDE,
            "permessage-deflate; server_max_window_bits=9",
            Agreement(9, 15),
        ),
        (
            "x-webkit-deflate-frame, permessage-deflate; x=y, permessage-deflate",
            WIDE,
            "permessage-deflate",
            Agreement(),
        ),
        (
            "permessage-deflate; client_max_window_bits=8",
            WIDE,
            "permessage-deflate; client_max_window_bits=8",
            Agreement(15, 8),
        ),
        (
            "permessage-deflate",
            DeflateOptions(context_takeover=False, max_window_bits=15),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            Agreement(15, 15, False, False),
        ),
    ],
)
def test_offers_of_compression(offer: str, options: DeflateOptions, element: str, agreement: Agreement) -> None:
    accepted = accept("GET", ASKED | {"sec-websocket-extensions": offer}, options=options)
    assert ("Sec-WebSocket-Extensions", element) in accepted.headers
    assert accepted.agreement == agreement


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=8",  # zlib cannot
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; unknown",
        "permessage-bzip2",
        "",
    ],
)
def test_offers_that_are_declined(offer: str) -> None:
    accepted = accept("GET", ASKED | {"sec-websocket-extensions": offer}, options=WIDE)
    assert accepted.agreement is None
    assert all(name != "Sec-WebSocket-Extensions" for name, _ in accepted.headers)


def test_no_compression_when_it_is_not_wanted() -> None:
    assert accept("GET", ASKED | {"sec-websocket-extensions": "permessage-deflate"}).agreement is None


@given(st.text('permsag-dflt;,=" \t0123456789ñ', max_size=40))
def test_any_extensions_are_read_or_refused(value: str) -> None:
    try:
        accepted = accept("GET", ASKED | {"sec-websocket-extensions": value}, options=WIDE)
    except HandshakeRefused:
        return
    assert (accepted.agreement is not None) == ("Sec-WebSocket-Extensions" in dict(accepted.headers))


# ---- A client's side


def answered(request: bytes, options: DeflateOptions | None, subprotocols: tuple[str, ...] = ()) -> dict[str, str]:
    """What our server answers to our client's request."""
    lines = request.decode().split("\r\n")[1:-2]
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    accepted = accept("GET", headers, options=options, subprotocols=subprotocols)
    return {"connection": "Upgrade"} | {name.lower(): value for name, value in accepted.headers}


@pytest.mark.parametrize("client", [None, DeflateOptions(), WIDE, DeflateOptions(context_takeover=False)])
@pytest.mark.parametrize("server", [None, DeflateOptions(), WIDE, DeflateOptions(context_takeover=False)])
def test_both_ends_agree(client: DeflateOptions | None, server: DeflateOptions | None) -> None:
    key = new_key()
    request = encode_request("/x", "h", key, options=client, subprotocols=["b", "a"], headers=[("Origin", "http://h")])
    assert request.startswith(b"GET /x HTTP/1.1\r\nHost: h\r\n")
    headers = answered(request, server, ("a",))
    read = read_response(101, headers, key, options=client, subprotocols=["b", "a"])
    assert read.subprotocol == "a"
    assert (read.agreement is not None) == (client is not None and server is not None)
    if read.agreement is not None and client is not None and server is not None:
        bits = min(client.max_window_bits, server.max_window_bits)
        assert (read.agreement.server_window_bits, read.agreement.client_window_bits) == (bits, bits)
        assert read.agreement.server_takeover == (client.context_takeover and server.context_takeover)


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (200, {}),
        (101, {"upgrade": "h2c"}),
        (101, {"connection": "close"}),
        (101, {"sec-websocket-accept": "x"}),
        (101, {"sec-websocket-protocol": "other"}),
        (101, {"sec-websocket-extensions": "other"}),
        (101, {"sec-websocket-extensions": "permessage-deflate, permessage-deflate"}),
        (101, {"sec-websocket-extensions": "permessage-deflate; client_max_window_bits"}),
    ],
)
def test_answers_a_client_refuses(status: int, changes: dict[str, str]) -> None:
    headers = answered(encode_request("/", "h", KEY, options=WIDE), None) | changes
    with pytest.raises(HandshakeRefused) as refused:
        read_response(status, headers, KEY, options=WIDE)
    assert refused.value.answer == status


def test_an_answer_must_keep_to_the_offer() -> None:
    small = DeflateOptions(max_window_bits=10)
    assert read_answer([], small) is None
    assert read_answer([("server_max_window_bits", "10")], small) == Agreement(10, 10)
    assert read_answer([("server_max_window_bits", "11")], small) is None
    assert read_answer([("client_max_window_bits", "8")], WIDE) is None  # we cannot compress so
    assert read_answer([], DeflateOptions(context_takeover=False, max_window_bits=15)) is None


# ---- Where a page comes from


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://x", "x", True),
        ("http://x:80", "x", True),
        ("http://x", "x:80", True),
        ("https://x", "x", True),  # a proxy ends TLS
        ("http://X", "x", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("http://x:8080", "x:8080", True),
        ("http://x:8080", "x", False),
        ("http://x", "x:8080", False),
        ("http://y", "x", False),
        ("http://x.evil", "x", False),
        ("null", "x", False),
        ("file://", "x", False),
        ("http://x:bad", "x", False),
        ("http://[", "x", False),
        ("", "x", False),
    ],
)
def test_origins(origin: str, host: str, same: bool) -> None:
    assert same_origin(origin, host) is same
