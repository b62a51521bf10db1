"""Stream transports: the four buffer events, half-close, the end, and what a protocol may do wrong.

What asyncio promises runs on all three loops (fixture ``run``); what is ours alone runs on ours (``anyrun``).
"""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest
from loop_peers import Recorder, connected, pattern, read_exactly, read_to_end, reset

from hardpoint.loop import Counters, Loop
from hardpoint.loop.transport import MAX_READ_BYTES

BIG = 8 * 1024 * 1024
"""More than the kernel's two buffers hold, whatever they grow to."""


# Not empty, empty -----------------------------------------------------------------------------------------------------


def test_the_life_of_a_connection_in_order(run):
    async def main():
        async with connected() as (protocol, peer):
            peer.send(b"one")
            assert await protocol.until_received(3) == b"one"
            peer.close()
            await protocol.lost
            assert protocol.events == ["made", "data", "eof", "lost"]
            assert protocol.error is None

    run(main())


def test_everything_arrives_in_order(run):
    async def main():
        sent = pattern(BIG)
        async with connected() as (protocol, peer):
            await asyncio.get_running_loop().sock_sendall(peer, sent)
            assert await protocol.until_received(len(sent)) == sent

    run(main())


def test_a_paused_reader_gets_nothing_and_loses_nothing(run):
    async def main():
        async with connected() as (protocol, peer):
            protocol.transport.pause_reading()
            assert not protocol.transport.is_reading()
            peer.send(b"while paused")
            for _ in range(20):
                await asyncio.sleep(0)
            assert protocol.received == b""
            protocol.transport.resume_reading()
            assert protocol.transport.is_reading()
            assert await protocol.until_received(12) == b"while paused"

    run(main())


def test_pausing_inside_data_received_stops_at_once(run):
    class Pauser(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    async def main():
        async with connected(Pauser) as (protocol, peer):
            peer.send(b"1")
            await protocol.until_received(1)
            peer.send(b"2")
            for _ in range(20):
                await asyncio.sleep(0)
            assert protocol.received == b"1"
            protocol.transport.resume_reading()
            assert await protocol.until_received(2) == b"12"

    run(main())


def test_a_connection_paused_by_another_in_the_same_poll_gets_nothing(anyrun):
    """The stale event: both sockets were ready when the poll returned; one's protocol pauses the other."""
    everyone = []

    class PausesOthers(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            everyone.append(self)

        def data_received(self, data):
            super().data_received(data)
            for other in everyone:
                if other is not self:
                    other.transport.pause_reading()

    async def main():
        async with connected(PausesOthers) as (one, one_peer), connected(PausesOthers) as (two, two_peer):
            one_peer.send(b"1")
            two_peer.send(b"2")
            for _ in range(10):
                await asyncio.sleep(0)
            assert sorted((bytes(one.received), bytes(two.received))) in ([b"", b"1"], [b"", b"2"])

    anyrun(main())


def test_one_read_a_turn_is_bounded(anyrun):
    async def main():
        sizes = []

        class Sizes(Recorder):
            def data_received(self, data):
                sizes.append(len(data))
                super().data_received(data)

        async with connected(Sizes) as (protocol, peer):
            await asyncio.get_running_loop().sock_sendall(peer, bytes(BIG))
            await protocol.until_received(BIG)
            assert max(sizes) <= MAX_READ_BYTES

    anyrun(main())


def test_a_buffered_protocol_is_read_into_its_own_buffer(run):
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self):
            self.recorder = Recorder()
            self.lost = self.recorder.lost
            self.buffer = bytearray(7)

        @property
        def transport(self):
            return self.recorder.transport

        def connection_made(self, transport):
            self.recorder.connection_made(transport)

        def get_buffer(self, sizehint):
            return self.buffer

        def buffer_updated(self, nbytes):
            self.recorder.data_received(self.buffer[:nbytes])

        def eof_received(self):
            return self.recorder.eof_received()

        def connection_lost(self, exc):
            self.recorder.connection_lost(exc)

    async def main():
        async with connected(Buffered) as (protocol, peer):
            peer.send(b"longer than seven bytes")
            assert await protocol.recorder.until_received(23) == b"longer than seven bytes"

    run(main())


def test_set_protocol_changes_who_is_called(run):
    async def main():
        async with connected() as (protocol, peer):
            second = Recorder()
            protocol.transport.set_protocol(second)
            assert protocol.transport.get_protocol() is second
            peer.send(b"x")
            await second.until_received(1)
            assert protocol.received == b""
            protocol.transport.set_protocol(protocol)

    run(main())


# Full, not full -------------------------------------------------------------------------------------------------------


def test_a_slow_reader_gets_every_byte_of_many_odd_writes(run):
    """Partial sends, a backlog of pieces of all sizes, and a reader that takes little at a time."""

    async def main():
        sent = pattern(3_000_000)
        async with connected(small_buffers=True) as (protocol, peer):
            at, size = 0, 1
            while at < len(sent):
                protocol.transport.write(sent[at : at + size])
                at += size
                size = size * 3 % 40_009 + 1
            loop = asyncio.get_running_loop()
            got = bytearray()
            while len(got) < len(sent):
                got += await loop.sock_recv(peer, 4001)
            assert got == sent

    run(main())


def test_the_writer_pauses_at_the_high_mark_and_resumes_at_the_low_one(run):
    async def main():
        async with connected(small_buffers=True) as (protocol, peer):
            transport = protocol.transport
            transport.set_write_buffer_limits(high=100_000, low=10_000)
            written = 0
            while "pause" not in protocol.events:
                assert transport.get_write_buffer_size() <= 100_000
                transport.write(bytes(5000))
                written += 5000
                assert written < BIG, "never told to pause"
            assert transport.get_write_buffer_size() > 100_000
            await read_exactly(peer, written - transport.get_write_buffer_size())
            await asyncio.sleep(0)
            while "resume" not in protocol.events:
                await asyncio.get_running_loop().sock_recv(peer, 4096)
            assert transport.get_write_buffer_size() <= 10_000

    run(main())


def test_a_peer_that_does_not_read_makes_its_writer_pause_once(run):
    async def main():
        async with connected() as (protocol, _peer):
            protocol.transport.write(bytes(BIG))
            protocol.transport.write(bytes(BIG))
            await asyncio.sleep(0)
            assert protocol.events.count("pause") == 1
            assert "resume" not in protocol.events

    run(main())


def test_what_resume_writing_writes_goes_out(run):
    class More(Recorder):
        def resume_writing(self):
            super().resume_writing()
            self.transport.write(b"more")

    async def main():
        async with connected(More) as (protocol, peer):
            protocol.transport.write(bytes(BIG))
            assert await read_exactly(peer, BIG + 4) == bytes(BIG) + b"more"

    run(main())


def test_what_was_written_may_be_changed_afterwards(anyrun):
    """The transport keeps a copy of what it could not send, unlike asyncio's before 3.12."""

    async def main():
        async with connected(small_buffers=True) as (protocol, peer):
            data = bytearray(b"a" * 1_000_000)
            protocol.transport.write(data)
            data[:] = b"b" * len(data)
            protocol.transport.write(memoryview(data))
            data[:] = b"c" * len(data)
            assert await read_exactly(peer, 2_000_000) == b"a" * 1_000_000 + b"b" * 1_000_000

    anyrun(main())


@pytest.mark.parametrize("waiting", [False, True])
def test_every_bytes_like_object_is_taken_and_others_refused(anyrun, waiting):
    async def main():
        async with connected() as (protocol, peer):
            transport = protocol.transport
            before = BIG if waiting else 0
            transport.write(bytes(before))
            transport.write(b"bytes ")
            transport.write(bytearray(b"bytearray "))
            transport.write(memoryview(b"memoryview "))
            transport.write(memoryview(b"wide    ").cast("I"))
            transport.writelines([b"a", b"list"])
            transport.write(b"")
            for wrong in ("text", 7, None):
                with pytest.raises(TypeError, match="data argument must be a bytes-like object, not"):
                    transport.write(wrong)
            expected = b"bytes bytearray memoryview wide    alist"
            assert (await read_exactly(peer, before + len(expected)))[before:] == expected

    anyrun(main())


def test_the_counters_tell_the_four_events(anyrun):
    async def main():
        loop = asyncio.get_running_loop()
        async with connected() as (protocol, peer):
            counters = protocol.transport.get_extra_info
            peer.send(b"12345")
            await protocol.until_received(5)
            assert counters("counters") == Counters(not_empty=1, empty=1, bytes_in=5)
            protocol.transport.write(b"123")
            assert counters("counters") == Counters(not_empty=1, empty=1, bytes_in=5, writes=1, bytes_out=3)
            protocol.transport.write(bytes(BIG))
            assert counters("counters").full == 1
            assert counters("counters").not_full == 0
            await read_exactly(peer, 3 + BIG)
            assert counters("counters").not_full >= 1
            assert counters("counters").full == 1
            assert counters("counters").bytes_out == 3 + BIG
            assert loop.counters.connections == 1
            assert loop.counters.bytes_out == 3 + BIG
        assert loop.counters.connections == 0
        assert loop.counters.accepted == 1
        assert loop.counters.bytes_out == 3 + BIG, "the figures of a closed connection stay in the sum"

    anyrun(main())


def test_a_read_that_fills_its_buffer_does_not_count_as_empty(anyrun):
    async def main():
        # Not over TCP: how much of it is there for the first read depends on the machine's buffers.
        ours, peer = socket.socketpair()
        with peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MAX_READ_BYTES)
            peer.setblocking(False)
            assert peer.send(bytes(MAX_READ_BYTES + 1)) == MAX_READ_BYTES + 1
            transport, protocol = await asyncio.get_running_loop().connect_accepted_socket(Recorder, ours)
            await protocol.until_received(MAX_READ_BYTES + 1)
            assert (transport.counters.not_empty, transport.counters.empty) == (2, 1)
            transport.abort()
            await protocol.lost

    anyrun(main())


# Half-close -----------------------------------------------------------------------------------------------------------


def test_eof_received_may_keep_our_half_open(run):
    async def main():
        async with connected() as (protocol, peer):
            protocol.keep_open = True
            peer.send(b"question")
            peer.shutdown(socket.SHUT_WR)
            await protocol.ended.wait()
            for _ in range(5):
                await asyncio.sleep(0)
            assert protocol.events.count("eof") == 1
            protocol.transport.write(b"answer")
            protocol.transport.close()
            assert await read_to_end(peer) == b"answer"

    run(main())


def test_eof_is_told_once_even_when_reading_is_paused_and_resumed(anyrun):
    async def main():
        async with connected() as (protocol, peer):
            protocol.keep_open = True
            peer.shutdown(socket.SHUT_WR)
            await protocol.ended.wait()
            protocol.transport.pause_reading()
            protocol.transport.resume_reading()
            for _ in range(5):
                await asyncio.sleep(0)
            assert protocol.events.count("eof") == 1

    anyrun(main())


@pytest.mark.parametrize("size", [6, BIG])
def test_write_eof_comes_after_everything_written(run, size):
    async def main():
        async with connected() as (protocol, peer):
            assert protocol.transport.can_write_eof()
            protocol.transport.write(bytes(size))
            protocol.transport.write_eof()
            protocol.transport.write_eof()
            with pytest.raises(RuntimeError, match=r"write_eof"):
                protocol.transport.write(b"x")
            assert await read_to_end(peer) == bytes(size)
            peer.send(b"still heard")
            assert await protocol.until_received(11) == b"still heard"

    run(main())


# The end --------------------------------------------------------------------------------------------------------------


def test_close_sends_what_waits_first(run):
    async def main():
        async with connected() as (protocol, peer):
            protocol.transport.write(bytes(BIG))
            protocol.transport.close()
            protocol.transport.close()
            assert protocol.transport.is_closing()
            assert await read_to_end(peer) == bytes(BIG)
            await protocol.lost
            assert protocol.events.count("lost") == 1
            assert protocol.error is None

    run(main())


def test_nothing_is_received_after_close(run):
    async def main():
        async with connected() as (protocol, peer):
            peer.send(b"x")
            protocol.transport.close()
            await protocol.lost
            assert protocol.events == ["made", "lost"]

    run(main())


def test_connection_lost_is_not_called_from_within_close(run):
    async def main():
        async with connected() as (protocol, _peer):
            protocol.transport.close()
            assert protocol.events == ["made"]
            await protocol.lost

    run(main())


def test_abort_drops_what_waits(run):
    async def main():
        async with connected() as (protocol, peer):
            protocol.transport.write(bytes(BIG))
            protocol.transport.abort()
            protocol.transport.abort()
            await protocol.lost
            assert protocol.error is None
            assert protocol.events.count("lost") == 1
            try:
                assert len(await read_to_end(peer)) < BIG
            except ConnectionResetError:
                pass

    run(main())


def test_a_reset_is_told_as_the_error_it_is(run):
    async def main():
        async with connected() as (protocol, peer):
            reset(peer)
            await protocol.lost
            assert isinstance(protocol.error, ConnectionResetError)

    run(main())


def test_a_reset_while_data_waits_ends_the_connection(run):
    async def main():
        async with connected() as (protocol, peer):
            protocol.transport.pause_reading()
            protocol.transport.write(bytes(BIG))
            reset(peer)
            await protocol.lost
            assert isinstance(protocol.error, OSError)

    run(main())


def test_writes_after_the_end_are_dropped_and_warned_of_from_the_fifth_on(anyrun, caplog):
    async def main():
        async with connected() as (protocol, _peer):
            protocol.transport.abort()
            with caplog.at_level(logging.WARNING, "asyncio"):
                for _ in range(4):
                    protocol.transport.write(b"x")
                assert caplog.text == ""
                protocol.transport.write(b"x")
            assert "socket.send() raised exception." in caplog.text
            await protocol.lost

    anyrun(main())


# Protocols at fault ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["data_received", "eof_received"])
def test_a_protocol_that_raises_loses_its_own_connection_only(anyrun, call):
    def fail(*_args):
        raise ValueError("a fault of the protocol's")

    async def main():
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
        async with connected() as (bad, bad_peer), connected() as (good, good_peer):
            setattr(bad, call, fail)
            bad_peer.send(b"x")
            bad_peer.shutdown(socket.SHUT_WR)
            good_peer.send(b"y")
            await bad.lost
            assert isinstance(bad.error, ValueError)
            assert await good.until_received(1) == b"y"
        assert [type(context["exception"]) for context in reported] == [ValueError]
        assert reported[0]["protocol"] is bad

    anyrun(main())


@pytest.mark.parametrize("call", ["connection_made", "connection_lost"])
def test_faults_at_either_end_are_reported(anyrun, call):
    async def main():
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["message"]))

        class Faulty(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                if call == "connection_made":
                    raise ValueError

            def connection_lost(self, exc):
                super().connection_lost(exc)
                if call == "connection_lost":
                    raise ValueError

        async with connected(Faulty) as (protocol, peer):
            peer.close()
            await protocol.lost
        assert reported == [f"protocol.{call}() failed"]

    anyrun(main())


def test_an_empty_buffer_from_get_buffer_is_a_fault(anyrun):
    class NoRoom(asyncio.BufferedProtocol):
        def __init__(self):
            self.lost = asyncio.get_running_loop().create_future()
            self.transport = None

        def connection_made(self, transport):
            self.transport = transport

        def get_buffer(self, sizehint):
            return bytearray()

        def buffer_updated(self, nbytes):
            raise AssertionError("nothing was read")

        def connection_lost(self, exc):
            self.lost.set_result(exc)

    async def main():
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context["message"]))
        async with connected(NoRoom) as (protocol, peer):
            peer.send(b"x")
            assert isinstance(await protocol.lost, RuntimeError)
        assert reported == ["Fatal error: protocol.get_buffer() call failed."]

    anyrun(main())


def test_system_exit_in_a_protocol_leaves_the_loop():
    class Leaver(asyncio.Protocol):
        def data_received(self, data):
            raise SystemExit(5)

    a, b = socket.socketpair()

    async def main():
        await asyncio.get_running_loop().create_connection(Leaver, sock=a)
        b.send(b"x")
        await asyncio.sleep(30)

    loop = Loop()
    task = loop.create_task(main())
    with pytest.raises(SystemExit):
        loop.run_until_complete(task)
    loop._watchers[a.fileno()].abort()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    b.close()
