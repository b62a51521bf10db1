"""Encoding: what is encoded is read again as it was, and the vectors come out byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.wire.mqtt import properties as p
from hardpoint.wire.mqtt.decoder import PacketDecoder
from hardpoint.wire.mqtt.encoder import encode, encode_publish
from hardpoint.wire.mqtt.packets import (
    Ack,
    Auth,
    ConnAck,
    Connect,
    Disconnect,
    Filter,
    Publish,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    Will,
)
from hardpoint.wire.mqtt.properties import KINDS, MAX_VARINT, encode_varint

from .vectors import CONNECTS, FROM_CLIENT, FROM_SERVER, HELLO

EVERY = {f"client {name}": case for name, case in FROM_CLIENT.items()} | {
    f"server {name}": case for name, case in FROM_SERVER.items()
}


@pytest.mark.parametrize(("version", "data", "packet"), EVERY.values(), ids=EVERY)
def test_vectors(version, data, packet):
    assert encode(packet, version) == data


@pytest.mark.parametrize(("data", "packet"), CONNECTS.values(), ids=CONNECTS)
def test_connects(data, packet):
    assert encode(packet, packet.version) == data


@pytest.mark.parametrize(
    ("packet", "version", "data"),
    [
        (ConnAck(True, 0x87), 4, b"\x20\x02\x01\x05"),
        (ConnAck(False, 0x84), 3, b"\x20\x02\x00\x01"),
        (ConnAck(True, 0), 3, b"\x20\x02\x00\x00"),
        (ConnAck(False, 0x97), 4, b"\x20\x02\x00\x03"),
        (ConnAck(False, 0x86), 4, b"\x20\x02\x00\x04"),
        (ConnAck(False, 0x85), 4, b"\x20\x02\x00\x02"),
        (SubAck(1, [2, 0x8F]), 4, b"\x90\x04\x00\x01\x02\x80"),
        (Ack(p.PUBACK, 1, 0x97), 4, b"\x40\x02\x00\x01"),
        (Disconnect(0x8E), 4, b"\xe0\x00"),
    ],
)
def test_what_3_1_1_has_no_word_for_is_left_out(packet, version, data):
    assert encode(packet, version) == data


def test_auth_is_of_5():
    with pytest.raises(ValueError):
        encode(Auth(), 4)


def test_a_topic_has_a_length_of_two_bytes():
    with pytest.raises(ValueError):
        encode_publish(4, "t" * 65_536, b"")


@pytest.mark.parametrize(
    ("value", "data"),
    [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (16_384, b"\x80\x80\x01"), (MAX_VARINT, b"\xff\xff\xff\x7f")],
)
def test_variable_byte_integers(value, data):
    assert encode_varint(value) == data


# -- whatever is encoded is decoded

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
TOPIC = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0#+"), min_size=1, max_size=12)
ID = st.integers(1, 0xFFFF)
VALUES = {
    "byte": st.integers(0, 255),
    "flag": st.integers(0, 1),
    "two": st.integers(1, 0xFFFF),
    "four": st.integers(1, 0xFFFFFFFF),
    "string": TEXT,
    "binary": st.binary(max_size=12),
}


def properties(place, *left_out):
    optional = {}
    for identifier, kind in KINDS.items():
        if place in kind.places and identifier not in left_out:
            if kind.type == "pair":
                optional[identifier] = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3)
            elif kind.type == "varint":
                optional[identifier] = st.lists(st.integers(1, MAX_VARINT), min_size=1, max_size=1)
            else:
                optional[identifier] = TOPIC if identifier == p.RESPONSE_TOPIC else VALUES[kind.type]
    return st.fixed_dictionaries({}, optional=optional)


def publish(version, from_client):
    left_out = (p.SUBSCRIPTION_IDENTIFIER,) if from_client else ()
    found = properties(p.PUBLISH, *left_out) if version == 5 else st.just({})
    payload = st.binary(max_size=300)
    return st.one_of(
        st.builds(Publish, TOPIC, payload, st.just(0), st.booleans(), properties=found),
        st.builds(Publish, TOPIC, payload, st.integers(1, 2), st.booleans(), st.booleans(), ID, found),
    )


def both_ways(version):
    none = st.just({})
    reasons = st.sampled_from([0, 0x92] if version == 5 else [0])
    ack = [
        st.builds(
            Ack,
            st.just(kind),
            ID,
            reasons if kind in (6, 7) else st.just(0),
            properties(kind) if version == 5 else none,
        )
        for kind in (4, 5, 6, 7)
    ]
    return st.one_of(*ack)


def from_client(version):
    found = properties if version == 5 else (lambda place: st.just({}))
    options = [st.booleans(), st.booleans(), st.integers(0, 2)] if version == 5 else [st.just(False)] * 2 + [st.just(0)]
    filters = st.lists(st.builds(Filter, TEXT, st.integers(0, 2), *options), min_size=1, max_size=4)
    kinds = [
        publish(version, True),
        both_ways(version),
        st.builds(Subscribe, ID, filters, found(p.SUBSCRIBE)),
        st.builds(Unsubscribe, ID, st.lists(TEXT, min_size=1, max_size=4), found(p.UNSUBSCRIBE)),
    ]
    if version == 5:
        kinds.append(st.builds(Disconnect, st.sampled_from([0, 4, 0x80]), properties(p.DISCONNECT, p.SERVER_REFERENCE)))
        kinds.append(st.builds(Auth, st.sampled_from([0x18, 0x19]), properties(p.AUTH)))
    return st.one_of(*kinds)


@pytest.mark.parametrize("version", [3, 4, 5])
@given(st.data())
def test_a_server_reads_what_a_client_encodes(version, data):
    packets = data.draw(st.lists(from_client(version), max_size=4))
    decoder = PacketDecoder(max_packet_bytes=1 << 20)
    found = decoder.receive(HELLO[version] + b"".join(encode(packet, version) for packet in packets))
    assert decoder.refused is None
    assert found[1:] == packets


@pytest.mark.parametrize("version", [4, 5])
@given(st.data())
def test_a_client_reads_what_a_server_encodes(version, data):
    found = properties if version == 5 else (lambda place: st.just({}))
    reasons = st.lists(st.sampled_from([0, 1, 2, 0x80]), min_size=1, max_size=4)
    kinds = [
        publish(version, False),
        both_ways(version),
        st.builds(SubAck, ID, reasons, found(p.SUBACK)),
        st.builds(UnsubAck, ID, reasons if version == 5 else st.just([]), found(p.UNSUBACK)),
    ]
    if version == 5:
        kinds.append(st.builds(ConnAck, st.booleans(), st.integers(0, 0xA2), properties(p.CONNACK)))
    packets = data.draw(st.lists(st.one_of(*kinds), max_size=4))
    decoder = PacketDecoder(max_packet_bytes=1 << 20, version=version)
    assert decoder.receive(b"".join(encode(packet, version) for packet in packets)) == packets
    assert decoder.refused is None


@given(st.data())
def test_a_connect_is_read_as_it_was(data):
    version = data.draw(st.sampled_from([3, 4, 5]))
    found = properties if version == 5 else (lambda place: st.just({}))
    will = st.none() | st.builds(Will, TOPIC, st.binary(max_size=20), st.integers(0, 2), st.booleans(), found(p.WILL))
    username = data.draw(st.none() | TEXT)
    password = None if version < 5 and username is None else data.draw(st.none() | st.binary(max_size=9))
    sent = Connect(
        version,
        data.draw(TEXT),
        data.draw(st.booleans()),
        data.draw(st.integers(0, 0xFFFF)),
        data.draw(will),
        username,
        password,
        data.draw(found(p.CONNECT)),
    )
    if p.AUTHENTICATION_METHOD not in sent.properties:
        sent.properties = {k: v for k, v in sent.properties.items() if k != p.AUTHENTICATION_DATA}
    assert PacketDecoder(max_packet_bytes=1 << 20).receive(encode(sent, version)) == [sent]
