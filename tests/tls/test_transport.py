"""The TLS transport in memory, byte by byte where it can matter, and over sockets on three loops."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from hardpoint.testing import MemoryTransport
from hardpoint.tls.transport import TlsTransport

from .peers import Client, Noting


class Link:
    """A `TlsTransport` over a `MemoryTransport`, and the client at its other end."""

    def __init__(self, server_context, client_context, protocol=None, **given):
        self.failures = []
        self.protocol = protocol or Noting()
        self.client = Client(client_context)
        self.lower = MemoryTransport(asyncio.Protocol())
        self.tls = TlsTransport(self.lower, server_context, lambda _: self.protocol, self.failures.append, **given)

    def shake_hands(self):
        self.tls.start(self.client.hello())
        self.exchange()
        return self

    def exchange(self):
        while to_client := self.lower.take():
            to_server = self.client.take(to_client)
            if to_server:
                self.lower.feed(to_server)


@pytest.fixture
def link(server_context, client_context):
    def make(protocol=None, **given):
        return Link(server_context, client_context, protocol, **given)

    return make


def test_whole(anyrun, link):
    async def scene():
        made = link().shake_hands()
        assert made.protocol.events == ["made"]
        assert made.protocol.transport is made.tls
        made.lower.feed(made.client.encrypt(b"temp=21.5\n"))
        assert made.protocol.received == b"temp=21.5\n"
        made.tls.write(b"OK 1\n")
        made.exchange()
        assert made.client.received == b"OK 1\n"
        assert made.failures == []

    anyrun(scene())


def test_byte_by_byte(anyrun, link):
    async def scene():
        made = link()
        hello = made.client.hello()
        made.tls.start(hello[:1])
        for at in range(1, len(hello)):
            assert not made.lower.take()
            made.lower.feed(hello[at : at + 1])
        # The client's last flight and its first data in one stream, a byte at a time.
        last = made.client.take(made.lower.take()) + made.client.encrypt(b"a" * 100) + made.client.encrypt(b"b")
        for at in range(len(last)):
            made.lower.feed(last[at : at + 1])
        assert made.protocol.received == b"a" * 100 + b"b"

    anyrun(scene())


def test_data_right_behind_the_handshake_is_handed_on(anyrun, link):
    async def scene():
        made = link()
        made.tls.start(made.client.hello())
        made.lower.feed(made.client.take(made.lower.take()) + made.client.encrypt(b"x" * 40_000))
        assert made.protocol.received == b"x" * 40_000
        assert made.protocol.events == ["made"]

    anyrun(scene())


def test_more_than_a_record_is_written(anyrun, link):
    async def scene():
        made = link().shake_hands()
        for data in (b"", b"x" * 100_000, bytearray(b"y" * 20_000), memoryview(b"z" * 20_000)):
            made.client.received = b""
            made.tls.write(data)
            made.exchange()
            assert made.client.received == data
        with pytest.raises(TypeError):
            made.tls.write("text")

    anyrun(scene())


def test_flow_control_both_ways(anyrun, link):
    async def scene():
        made = link().shake_hands()
        made.lower.stop_taking()
        made.tls.write(b"x" * 100_000)
        assert made.protocol.events == ["made", "pause"]
        assert made.tls.get_write_buffer_size() > 100_000
        made.lower.go_on_taking()
        assert made.protocol.events == ["made", "pause", "resume"]
        made.exchange()
        assert made.client.received == b"x" * 100_000
        assert made.tls.get_write_buffer_limits() == made.lower.get_write_buffer_limits()
        made.tls.set_write_buffer_limits(high=1000)
        assert made.lower.get_write_buffer_limits() == (250, 1000)

    anyrun(scene())


def test_a_protocol_that_pauses_gets_the_rest_when_it_reads_again(anyrun, link):
    class Pausing(Noting):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    async def scene():
        made = link(Pausing()).shake_hands()
        made.lower.feed(made.client.encrypt(b"a" * 40_000))
        assert made.protocol.received == b"a" * 16384
        assert made.lower.reading_paused
        assert not made.tls.is_reading()
        for expected in (32768, 40_000):
            made.tls.resume_reading()
            assert made.tls.is_reading()
            await asyncio.sleep(0)
            assert len(made.protocol.received) == expected
        made.tls.resume_reading()
        await asyncio.sleep(0)
        assert len(made.protocol.received) == 40_000

    anyrun(scene())


def test_close_says_goodbye_and_waits_for_nobody(anyrun, link):
    async def scene():
        made = link().shake_hands()
        made.tls.write(b"BYE\n")
        made.tls.close()
        made.tls.close()
        made.tls.write(b"lost")
        assert made.tls.is_closing()
        made.client.take(made.lower.take())
        assert (made.client.received, made.client.ended) == (b"BYE\n", True)
        await asyncio.sleep(0)
        assert made.protocol.events == ["made", None]
        assert made.tls.get_protocol() is None

    anyrun(scene())


def test_answers_leave_behind_the_clients_close_notify(anyrun, link):
    """``printf … | ncat --ssl``: RFC 8446 §6.1 lets one direction end before the other."""

    async def scene():
        made = link(Noting(stays=True)).shake_hands()
        made.lower.feed(made.client.encrypt(b"temp=1") + made.client.goodbye())
        assert (made.protocol.received, made.protocol.events) == (b"temp=1", ["made", "eof"])
        made.lower.feed_eof()
        assert not made.tls.is_closing()
        assert not made.tls.get_extra_info("truncated")
        made.tls.write(b"OK 1\n")
        made.tls.close()
        made.client.take(made.lower.take())
        assert (made.client.received, made.client.ended) == (b"OK 1\n", True)

    anyrun(scene())


def test_close_notify_ends_a_protocol_that_does_not_stay(anyrun, link):
    async def scene():
        made = link().shake_hands()
        made.lower.feed(made.client.goodbye())
        assert made.tls.is_closing()
        await asyncio.sleep(0)
        assert made.protocol.events == ["made", "eof", None]

    anyrun(scene())


@pytest.mark.parametrize("stays", [True, False])
def test_an_end_without_close_notify_is_said_to_be_one(anyrun, link, stays):
    """A line that somebody on the way has cut must not be taken for a whole one; answers still leave."""

    async def scene():
        made = link(Noting(stays=stays)).shake_hands()
        made.lower.feed(made.client.encrypt(b"temp=2"))
        assert made.tls.get_extra_info("truncated") is False
        made.lower.feed_eof()
        assert made.tls.get_extra_info("truncated") is True
        assert made.tls.is_closing() is not stays
        made.tls.write(b"OK 1\n")
        made.tls.close()
        made.client.take(made.lower.take())
        assert made.client.received == (b"OK 1\n" if stays else b"")
        await asyncio.sleep(0)
        assert made.protocol.events == ["made", "eof", None]

    anyrun(scene())


def test_write_eof_is_a_close_notify_and_still_reads(anyrun, link):
    async def scene():
        made = link().shake_hands()
        assert made.tls.can_write_eof()
        made.tls.write_eof()
        made.tls.write_eof()
        assert made.lower.wrote_eof
        made.client.take(made.lower.take())
        assert made.client.ended
        with pytest.raises(RuntimeError, match="after write_eof"):
            made.tls.write(b"x")
        made.lower.feed(made.client.encrypt(b"last words"))
        assert made.protocol.received == b"last words"
        made.lower.feed(b"\x17\x03\x03\x00\x05wrong")  # nobody is told of a bad record behind our own end
        assert not made.tls.is_closing()
        made.tls.close()
        await asyncio.sleep(0)
        assert made.protocol.events == ["made", None]

    anyrun(scene())


def test_goodbye_from_both_ends(anyrun, link):
    async def scene():
        made = link().shake_hands()
        made.tls.write_eof()
        made.client.take(made.lower.take())
        made.lower.feed(made.client.goodbye())
        await asyncio.sleep(0)
        assert made.protocol.events == ["made", "eof", None]

    anyrun(scene())


def test_a_record_that_was_tampered_with_ends_the_connection(anyrun, link):
    async def scene():
        made = link().shake_hands()
        record = bytearray(made.client.encrypt(b"temp=21.5\n"))
        record[-1] ^= 1
        made.lower.feed(bytes(record))
        assert made.protocol.received == b""
        with pytest.raises(ssl.SSLError, match="ALERT_BAD_RECORD_MAC"):
            made.client.take(made.lower.take())
        await asyncio.sleep(0)
        assert made.protocol.events == ["made", None]

    anyrun(scene())


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x00\x05wrong", b"\x16\x03\x01\xff\xff" + b"x" * 70_000, b"GET / HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_handshake_is_told_once_and_closed(anyrun, link, sent):
    async def scene():
        made = link()
        made.tls.start(sent)
        assert made.tls.is_closing()
        made.tls.data_received(b"more")
        made.tls.close()
        await asyncio.sleep(0)
        assert [type(failure) for failure in made.failures] == [ssl.SSLError]
        assert made.protocol.events == []
        assert made.lower.lost

    anyrun(scene())


@pytest.mark.parametrize("how", [MemoryTransport.feed_eof, MemoryTransport.lose])
def test_a_client_that_goes_away_in_the_handshake(anyrun, link, how):
    async def scene():
        made = link()
        made.tls.start(made.client.hello())
        how(made.lower)
        await asyncio.sleep(0)
        assert [type(failure) for failure in made.failures] == [ConnectionResetError]
        assert made.protocol.events == []

    anyrun(scene())


def test_a_handshake_has_its_time(anyrun, link):
    async def scene():
        made = link(timeout_s=0)
        made.tls.start(made.client.hello())
        async with asyncio.timeout(60):
            while not made.failures:
                await asyncio.sleep(0)
        assert isinstance(made.failures[0], TimeoutError)
        assert made.lower.aborted

    anyrun(scene())


def test_what_it_knows_of_the_connection(anyrun, link, server_context):
    async def scene():
        made = link().shake_hands()
        assert made.tls.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert made.tls.get_extra_info("sslcontext") is server_context
        assert made.tls.get_extra_info("cipher")[1] == "TLSv1.3"
        assert made.tls.get_extra_info("peercert", {}) == {}
        assert made.tls.get_extra_info("peername") == ("192.0.2.1", 50000)
        assert "open over" in repr(made.tls)
        other = Noting()
        made.tls.set_protocol(other)
        made.lower.feed(made.client.encrypt(b"x"))
        assert (made.protocol.received, other.received) == (b"", b"x")
        assert not hasattr(made.tls, "__dict__")

    anyrun(scene())


def test_megabytes_through_sockets(run, server_context, client_context):
    """Echoed on each loop, with both ends' flow control at work."""

    class Echo(Noting):
        def data_received(self, data):
            self.transport.write(data)

        def pause_writing(self):
            self.transport.pause_reading()

        def resume_writing(self):
            self.transport.resume_reading()

    class First(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            TlsTransport(self.transport, server_context, lambda _: Echo(), failures.append).start(data)

    failures = []
    sent = bytes(range(256)) * 8192

    async def scene():
        server = await asyncio.get_running_loop().create_server(First, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_context, server_hostname="localhost"
        )
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        assert failures == []

    run(scene())
