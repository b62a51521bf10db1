"""Decoding: every vector whole, byte by byte and with more behind it; every refusal; any split of any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.wire.mqtt import decoder as decoder_module
from hardpoint.wire.mqtt import properties as p
from hardpoint.wire.mqtt.decoder import PacketDecoder
from hardpoint.wire.mqtt.encoder import encode
from hardpoint.wire.mqtt.packets import Filter, Ping, Publish, Subscribe, Unsubscribe
from hardpoint.wire.mqtt.reasons import NAMES, QUOTA_EXCEEDED, connack_code
from hardpoint.wire.mqtt.requests import MAX_FILTERS

from .vectors import BAD, BAD_CONNECTS, CONNECTS, FROM_CLIENT, FROM_SERVER, HELLO

LIMIT = 1 << 20
PING = b"\xc0\x00"


def read(pieces, version=0, max_packet_bytes=LIMIT):
    """``(packets, reason it was refused with or None)``."""
    decoder = PacketDecoder(max_packet_bytes=max_packet_bytes, version=version)
    packets = [packet for piece in pieces for packet in decoder.receive(piece)]
    return packets, decoder.refused and decoder.refused.reason


def byte_by_byte(data):
    return [data[at : at + 1] for at in range(len(data))]


class TestVectors:
    @pytest.mark.parametrize(("data", "expected"), CONNECTS.values(), ids=CONNECTS)
    def test_connect(self, data, expected):
        assert read([data]) == ([expected], None)
        assert read(byte_by_byte(data)) == ([expected], None)
        assert read([data + PING]) == ([expected, Ping(p.PINGREQ)], None)

    @pytest.mark.parametrize(("version", "data", "expected"), FROM_CLIENT.values(), ids=FROM_CLIENT)
    def test_from_a_client(self, version, data, expected):
        whole, _ = read([HELLO[version], data])
        assert whole[1:] == [expected]
        assert read(byte_by_byte(HELLO[version] + data)) == (whole, None)
        assert read([HELLO[version] + data + data + PING])[0][1:] == [expected, expected, Ping(p.PINGREQ)]

    @pytest.mark.parametrize(("version", "data", "expected"), FROM_SERVER.values(), ids=FROM_SERVER)
    def test_from_a_server(self, version, data, expected):
        assert read([data], version) == ([expected], None)
        assert read(byte_by_byte(data), version) == ([expected], None)
        assert read([data + data], version) == ([expected, expected], None)

    @pytest.mark.parametrize("packet", [Subscribe(1, [Filter("#")] * MAX_FILTERS), Unsubscribe(1, ["#"] * MAX_FILTERS)])
    @pytest.mark.parametrize("version", [4, 5])
    def test_filters_of_a_request_are_limited(self, packet, version):
        assert read([HELLO[version], encode(packet, version)])[0][1:] == [packet]
        packet.filters.append(packet.filters[0])
        assert read([HELLO[version], encode(packet, version)])[1] == QUOTA_EXCEEDED
        packet.filters.pop()

    def test_3_1_marks_repeated_requests(self):
        packets, refused = read([HELLO[3] + b"\x8a\x08\x00\x0a\x00\x03a/b\x01\x6a\x02\x00\x01"])
        assert refused is None
        assert len(packets) == 3

    def test_3_1_may_leave_out_fields_that_are_flagged(self):
        packets, refused = read([b"\x10\x13\x00\x06MQIsdp\x03\xc2\x00\x3c\x00\x05board"])
        assert refused is None
        assert (packets[0].username, packets[0].password) == (None, None)


class TestRefusals:
    @pytest.mark.parametrize(("data", "reason"), BAD_CONNECTS.values(), ids=BAD_CONNECTS)
    def test_of_the_first_packet(self, data, reason):
        assert read([data]) == ([], reason)
        assert read(byte_by_byte(data)) == ([], reason)

    @pytest.mark.parametrize(("version", "data", "reason"), BAD.values(), ids=BAD)
    def test_of_what_follows(self, version, data, reason):
        packets, refused = read([HELLO[version] + PING + data + PING])
        assert (packets[1:], refused) == ([Ping(p.PINGREQ)], reason)
        assert read(byte_by_byte(HELLO[version] + PING + data + PING)) == (packets, refused)

    def test_are_final(self):
        decoder = PacketDecoder(max_packet_bytes=LIMIT)
        assert decoder.receive(PING) == []
        assert decoder.refused is not None
        assert decoder.receive(HELLO[4]) == []

    def test_of_a_client_s_words_by_a_client(self):
        assert read([PING], version=4) == ([], 0x82)

    @pytest.mark.parametrize("version", [3, 4, 5])
    def test_of_a_packet_beyond_the_limit_before_it_is_kept(self, version):
        packet = b"\x30\x33\x00\x01t\0" + b"x" * 47
        assert read([HELLO[version], packet], max_packet_bytes=len(packet))[1] is None
        assert read([HELLO[version], packet[:2]], max_packet_bytes=len(packet) - 1)[1] == 0x95

    def test_every_reason_has_a_name_and_an_answer_in_3_1_1(self):
        for _, reason in BAD_CONNECTS.values():
            assert reason in NAMES
            assert 1 <= connack_code(reason) <= 5


def test_a_byte_order_mark_stays():
    text = "\ufefftopic"
    (packet,) = read([encode(Publish(text, b""), 4)], 4)[0]
    assert packet.topic == text


class TestTopicMemory:
    def test_starts_again_when_it_is_full(self, monkeypatch):
        monkeypatch.setattr(decoder_module, "MAX_CACHED_TOPICS", 3)
        decoder_module._topics.clear()
        for number in range(10):
            packets, _ = read([HELLO[4] + b"\x30\x03\x00\x01%d" % number])
            assert packets[1] == Publish(str(number), b"")
            assert len(decoder_module._topics) <= 3

    def test_keeps_no_long_ones(self):
        decoder_module._topics.clear()
        read([HELLO[4] + b"\x30\xaf\x02\x01\x2d" + b"t" * 301])
        assert not decoder_module._topics


SEEDS = [data for data, _ in CONNECTS.values()]
PACKETS = st.lists(
    st.one_of(
        st.sampled_from([data for _, data, _ in FROM_CLIENT.values()] + [data for _, data, _ in BAD.values()]),
        st.binary(max_size=12),
    ),
    max_size=5,
)


@given(st.sampled_from(SEEDS), PACKETS, st.lists(st.integers(0, 400), max_size=6))
def test_any_split_reads_the_same(hello, packets, cuts):
    data = hello + b"".join(packets)
    at = sorted({cut % (len(data) + 1) for cut in cuts})
    pieces = [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]
    assert read(pieces) == read([data])


@given(st.sampled_from(SEEDS), PACKETS, st.integers(1, 3), st.data())
def test_any_number_at_a_time_reads_the_same(hello, packets, most, data):
    whole = hello + b"".join(packets)
    cut = data.draw(st.integers(0, len(whole)))
    decoder = PacketDecoder(max_packet_bytes=LIMIT)
    found = decoder.receive(whole[:cut], most)
    decoder.keep(whole[cut:])
    while decoder.more:
        some = decoder.receive(b"", most)
        assert len(some) <= most
        found += some
    assert (found, decoder.refused and decoder.refused.reason) == read([whole])


@given(st.binary(max_size=64), st.sampled_from([0, 3, 4, 5]))
def test_any_bytes_are_packets_or_are_refused(data, version):
    packets, refused = read([data], version)
    assert refused is None or refused in NAMES
    assert read(byte_by_byte(data), version) == (packets, refused)
