"""Pipes and terminals: order, back-pressure, and the ends of both sides."""
# ruff: noqa: SIM115 - the transport closes what it was given

from __future__ import annotations

import asyncio
import errno
import os
import pty
import tempfile
import tty

import pytest
from loop_peers import Recorder, pattern

from hardpoint.loop import Loop


async def reading_end():
    """A transport that reads, its protocol, and the descriptor that writes to it."""
    read_fd, write_fd = os.pipe()
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_read_pipe(Recorder, open(read_fd, "rb", buffering=0))
    return transport, protocol, write_fd


async def writing_end():
    """A transport that writes, its protocol, and the non-blocking descriptor that reads from it."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(Recorder, open(write_fd, "wb", buffering=0))
    return transport, protocol, read_fd


async def read_fd_exactly(fd, count):
    loop = asyncio.get_running_loop()
    data = bytearray()
    while len(data) < count:
        readable = loop.create_future()
        loop.add_reader(fd, lambda future=readable: future.done() or future.set_result(None))
        await readable
        loop.remove_reader(fd)
        data += os.read(fd, count - len(data))
    return bytes(data)


def test_bytes_arrive_until_the_writer_ends(run):
    async def main():
        transport, protocol, write_fd = await reading_end()
        os.write(write_fd, b"one")
        await protocol.until_received(3)
        os.write(write_fd, b"two")
        os.close(write_fd)
        await protocol.lost
        assert protocol.received == b"onetwo"
        assert protocol.events == ["made", "data", "data", "eof", "lost"]
        assert protocol.error is None
        assert transport.is_closing()

    run(main())


def test_a_paused_pipe_says_nothing_and_loses_nothing(run, loop_name):
    async def main():
        transport, protocol, write_fd = await reading_end()
        transport.pause_reading()
        transport.pause_reading()
        os.write(write_fd, b"wait")
        os.close(write_fd)
        for _ in range(10):
            await asyncio.sleep(0)
        assert protocol.events == ["made"]
        if loop_name != "asyncio":  # its pipes cannot tell in Python 3.11.2, which is Debian 12's
            assert not transport.is_reading()
        transport.resume_reading()
        await protocol.lost
        assert protocol.events == ["made", "data", "eof", "lost"]

    run(main())


def test_a_reader_closes_at_once(run):
    async def main():
        transport, protocol, write_fd = await reading_end()
        os.write(write_fd, b"never read")
        transport.close()
        await protocol.lost
        assert protocol.events == ["made", "lost"]
        with pytest.raises(BrokenPipeError):
            os.write(write_fd, b"x")
        os.close(write_fd)

    run(main())


def test_a_full_pipe_pauses_its_writer_and_order_is_kept(run):
    async def main():
        transport, protocol, read_fd = await writing_end()
        data = pattern(1_000_000)
        for at in range(0, len(data), 50_000):
            transport.write(data[at : at + 50_000])
        assert "pause" in protocol.events
        assert transport.get_write_buffer_size() > transport.get_write_buffer_limits()[1]
        assert await read_fd_exactly(read_fd, len(data)) == data
        await protocol.until(lambda: protocol.events[-1] == "resume")
        assert transport.get_write_buffer_size() == 0
        transport.close()
        await protocol.lost
        assert os.read(read_fd, 1) == b""
        os.close(read_fd)

    run(main())


def test_closing_writes_what_waits_first(run):
    async def main():
        transport, protocol, read_fd = await writing_end()
        transport.write(bytearray(pattern(300_000)))
        assert transport.can_write_eof()
        transport.write_eof()
        assert await read_fd_exactly(read_fd, 300_000) == pattern(300_000)
        await protocol.lost
        os.close(read_fd)

    run(main())


@pytest.mark.parametrize("waiting", [b"", bytes(300_000)])
def test_a_writer_hears_that_nobody_reads_any_more(run, waiting):
    async def main():
        transport, protocol, read_fd = await writing_end()
        transport.write(waiting)
        os.close(read_fd)
        await protocol.lost
        assert isinstance(protocol.error, BrokenPipeError) is bool(waiting)

    run(main())


def test_aborting_drops_what_waits(anyrun):
    async def main():
        transport, protocol, read_fd = await writing_end()
        transport.write(bytes(300_000))
        transport.abort()
        transport.write(b"goes nowhere")
        await protocol.lost
        transport.write(b"nor does this")
        got = 0
        while data := os.read(read_fd, 65536):
            got += len(data)
        assert 0 < got < 300_000
        os.close(read_fd)

    anyrun(main())


def test_a_terminal_both_ways(run):
    async def main():
        loop = asyncio.get_running_loop()
        master, slave = pty.openpty()
        tty.setraw(slave)
        writer, _ = await loop.connect_write_pipe(Recorder, open(os.dup(master), "wb", buffering=0))
        reader, protocol = await loop.connect_read_pipe(Recorder, open(master, "rb", buffering=0))
        writer.write(b"typed")
        assert await read_fd_exactly(slave, 5) == b"typed"
        os.write(slave, b"shown")
        assert await protocol.until_received(5) == b"shown"
        writer.close()
        os.close(slave)
        await protocol.lost
        if protocol.error is not None:  # uvloop calls it an end of file
            assert protocol.error.errno == errno.EIO
        reader.close()

    run(main())


def test_what_cannot_be_polled_is_refused(anyrun):
    async def main():
        loop = asyncio.get_running_loop()
        with tempfile.TemporaryFile() as file:
            with pytest.raises(ValueError, match="pipes"):
                await loop.connect_read_pipe(Recorder, file)
            with pytest.raises(ValueError, match="pipes"):
                await loop.connect_write_pipe(Recorder, file)

    anyrun(main())


def test_a_device_that_epoll_refuses_ends_its_transport_only(anyrun):
    async def main():
        loop = asyncio.get_running_loop()
        _, protocol = await loop.connect_read_pipe(Recorder, open("/dev/null", "rb", buffering=0))
        await protocol.lost
        assert protocol.error.errno == errno.EPERM

    anyrun(main())


def test_kinds_and_arguments(anyrun):
    async def main():
        reader, reading, write_fd = await reading_end()
        writer, writing, read_fd = await writing_end()
        assert isinstance(reader, asyncio.ReadTransport)
        assert not isinstance(reader, asyncio.WriteTransport)
        assert isinstance(writer, asyncio.WriteTransport)
        with pytest.raises(TypeError, match="bytes-like"):
            writer.write("text")
        os.write(write_fd, b"12")
        await reading.until_received(2)
        writer.write(b"345")
        assert reader.get_extra_info("counters").bytes_in == 2
        assert writer.get_extra_info("counters").bytes_out == 3
        assert reader.get_extra_info("pipe").fileno() >= 0
        for transport, protocol in ((reader, reading), (writer, writing)):
            transport.close()
            transport.close()
            await protocol.lost
            assert "closed" in repr(transport)
        os.close(write_fd)
        os.close(read_fd)

    anyrun(main())


def test_a_forgotten_pipe_warns():
    loop = Loop()
    read_fd, write_fd = os.pipe()
    pipe = open(read_fd, "rb", buffering=0)
    loop.run_until_complete(loop.connect_read_pipe(asyncio.Protocol, pipe))
    with pytest.warns(ResourceWarning, match="unclosed transport <ReadPipeTransport"):
        loop.close()
    assert pipe.closed
    os.close(write_fd)
