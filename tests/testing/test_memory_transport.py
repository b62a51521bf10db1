from __future__ import annotations

import asyncio

import pytest

from hardpoint.testing import FakeClock, MemoryTransport


class Recorder(asyncio.Protocol):
    def __init__(self, keep_open: bool = False):
        self.seen: list[object] = []
        self.keep_open = keep_open

    def connection_made(self, transport):
        self.transport = transport
        self.seen.append("made")

    def data_received(self, data):
        self.seen.append(data)

    def eof_received(self):
        self.seen.append("eof")
        return self.keep_open

    def pause_writing(self):
        self.seen.append("pause")

    def resume_writing(self):
        self.seen.append("resume")

    def connection_lost(self, exc):
        self.seen.append(exc)


def test_is_a_transport_and_carries_bytes_both_ways(anyrun):
    async def scene():
        protocol = Recorder()
        transport = MemoryTransport(protocol, peername=("10.0.0.1", 7), cipher="none")
        assert isinstance(transport, asyncio.Transport)
        assert protocol.transport is transport
        transport.feed(b"in")
        transport.write(b"out")
        transport.writelines([b"a", b"b"])
        assert protocol.seen == ["made", b"in"]
        assert (transport.take(), transport.take(), transport.writes) == (b"outab", b"", 2)
        assert transport.get_extra_info("peername") == ("10.0.0.1", 7)
        assert transport.get_extra_info("cipher") == "none"
        assert transport.get_extra_info("socket", "nothing") == "nothing"

    anyrun(scene())


def test_bytes_of_a_deaf_peer_pile_up_and_pause_the_writer(anyrun):
    async def scene():
        protocol = Recorder()
        transport = MemoryTransport(protocol)
        transport.set_write_buffer_limits(high=10)
        assert transport.get_write_buffer_limits() == (2, 10)
        transport.stop_taking()
        transport.write(b"0123456789")
        assert protocol.seen == ["made"]
        transport.write(b"!")
        transport.write(b"!")
        assert protocol.seen == ["made", "pause"]
        assert (transport.take(), transport.get_write_buffer_size()) == (b"", 12)
        transport.go_on_taking()
        assert protocol.seen == ["made", "pause", "resume"]
        assert (transport.take(), transport.get_write_buffer_size()) == (b"0123456789!!", 0)

    anyrun(scene())


def test_close_waits_for_a_deaf_peer_and_abort_does_not(anyrun):
    async def scene():
        closed, aborted = Recorder(), Recorder()
        for protocol in (closed, aborted):
            MemoryTransport(protocol).stop_taking()
            protocol.transport.write(b"last words")
        closed.transport.close()
        aborted.transport.abort()
        await asyncio.sleep(0)
        assert (closed.transport.lost, aborted.transport.lost) == (False, True)
        assert aborted.transport.aborted
        closed.transport.go_on_taking()
        await asyncio.sleep(0)
        assert closed.transport.lost
        assert closed.transport.take() == b"last words"
        assert aborted.transport.take() == b""

    anyrun(scene())


@pytest.mark.parametrize("keep_open", [True, False])
def test_the_end_of_input_closes_unless_the_protocol_goes_on(anyrun, keep_open):
    async def scene():
        protocol = Recorder(keep_open)
        transport = MemoryTransport(protocol)
        transport.feed_eof()
        assert transport.is_closing() is not keep_open
        assert not transport.lost  # never from within the protocol's own call
        await asyncio.sleep(0)
        assert transport.lost is not keep_open

    anyrun(scene())


def test_a_lost_connection_is_told_once_and_takes_nothing(anyrun):
    async def scene():
        protocol = Recorder()
        transport = MemoryTransport(protocol)
        error = ConnectionResetError()
        transport.lose(error)
        transport.lose()
        transport.close()
        transport.write(b"into the void")
        await asyncio.sleep(0)
        assert protocol.seen == ["made", error]
        assert transport.take() == b""
        with pytest.raises(RuntimeError, match="over"):
            transport.feed(b"x")

    anyrun(scene())


def test_bytes_are_refused_while_reading_is_paused(anyrun):
    async def scene():
        transport = MemoryTransport(Recorder())
        transport.pause_reading()
        assert not transport.is_reading()
        with pytest.raises(RuntimeError, match="paused"):
            transport.feed(b"x")
        transport.resume_reading()
        assert transport.is_reading()
        transport.feed(b"x")
        other = Recorder()
        transport.set_protocol(other)
        assert transport.get_protocol() is other
        assert transport.can_write_eof()
        transport.write_eof()
        assert transport.wrote_eof

    anyrun(scene())


def test_the_clock_stands_still_until_told():
    clock = FakeClock(1_000)
    assert (clock(), clock()) == (1_000, 1_000)
    assert clock.advance(1.5) == 2_500
    assert clock.advance(ms=1) == clock() == 2_501
    clock.now_ms = 10
    assert clock() == 10
