"""Files through the kernel: in order with what was written, at the reader's pace, and told when the connection ends."""

from __future__ import annotations

import asyncio
import io

import pytest
from loop_peers import Recorder, connected, pattern, read_exactly, read_to_end, reset

FILE_BYTES = 3_000_000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(pattern(FILE_BYTES))
    with path.open("rb") as opened:
        yield opened


@pytest.fixture
def run(run, loop_name):
    if loop_name == "uvloop":
        pytest.skip("uvloop has no sendfile")
    return run


def test_a_file_goes_between_what_was_written_before_and_after(run, file):
    async def main():
        loop = asyncio.get_running_loop()
        async with connected(small_buffers=True) as (protocol, peer):
            protocol.transport.write(b"before" + bytes(300_000))
            sending = asyncio.ensure_future(loop.sendfile(protocol.transport, file))
            reading = asyncio.ensure_future(read_exactly(peer, 6 + 300_000 + FILE_BYTES + 5))
            assert await sending == FILE_BYTES
            protocol.transport.write(b"after")
            assert await reading == b"before" + bytes(300_000) + pattern(FILE_BYTES) + b"after"
            assert file.tell() == FILE_BYTES

    run(main())


@pytest.mark.parametrize(
    ("offset", "count"), [(0, None), (1000, None), (0, 5000), (999_996, 1_000_000), (0, 9_999_999)]
)
def test_a_part_of_a_file(run, file, offset, count):
    async def main():
        loop = asyncio.get_running_loop()
        expected = pattern(FILE_BYTES)[offset:][: count or FILE_BYTES]
        async with connected() as (protocol, peer):
            reading = asyncio.ensure_future(read_to_end(peer))
            assert await loop.sendfile(protocol.transport, file, offset, count) == len(expected)
            protocol.transport.close()
            assert await reading == expected
            assert file.tell() == offset + len(expected)

    run(main())


def test_a_slow_reader_holds_the_file_back_and_memory_stays(anyrun, file):
    async def main():
        loop = asyncio.get_running_loop()
        async with connected(small_buffers=True) as (protocol, peer):
            sending = asyncio.ensure_future(loop.sendfile(protocol.transport, file, fallback=False))
            turns = loop.counters.turns
            while loop.counters.turns < turns + 50:
                await asyncio.sleep(0)
            assert not sending.done()
            assert protocol.transport.get_write_buffer_size() == 0
            with pytest.raises(RuntimeError, match="sendfile is in progress"):
                protocol.transport.write(b"not now")
            assert await read_exactly(peer, FILE_BYTES) == pattern(FILE_BYTES)
            assert await sending == FILE_BYTES
            peer.send(b"and reading goes on")
            assert await protocol.until_received(19) == b"and reading goes on"

    anyrun(main())


@pytest.mark.parametrize("how", ["reset", "abort", "close"])
def test_the_end_of_the_connection_ends_the_call(anyrun, file, how):
    async def main():
        loop = asyncio.get_running_loop()
        async with connected(small_buffers=True) as (protocol, peer):
            transport = protocol.transport
            sending = asyncio.ensure_future(loop.sendfile(transport, file))
            await read_exactly(peer, 1000)
            if how == "reset":
                reset(peer)
            else:
                getattr(transport, how)()
            with pytest.raises(ConnectionError):
                await sending
            if how == "reset":
                transport.abort()
            await protocol.lost
            assert 0 < file.tell() < FILE_BYTES

    anyrun(main())


def test_a_cancelled_call_gives_the_connection_back(anyrun, file):
    async def main():
        loop = asyncio.get_running_loop()
        async with connected(small_buffers=True) as (protocol, peer):
            sending = asyncio.ensure_future(loop.sendfile(protocol.transport, file))
            await read_exactly(peer, 1000)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            sent = file.tell()
            assert protocol.transport.get_protocol() is protocol
            protocol.transport.write(b"go on")
            assert await read_exactly(peer, sent - 1000 + 5) == pattern(FILE_BYTES)[1000:sent] + b"go on"

    anyrun(main())


def test_what_is_no_file_of_the_kernel_is_read_and_written(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with connected() as (protocol, peer):
            with pytest.raises((RuntimeError, asyncio.SendfileNotAvailableError)):
                await loop.sendfile(protocol.transport, io.BytesIO(b"in memory"), fallback=False)
            assert await loop.sendfile(protocol.transport, io.BytesIO(b"in memory")) == 9
            assert await read_exactly(peer, 9) == b"in memory"

    run(main())


def test_a_closing_transport_is_refused(anyrun, file):
    async def main():
        async with connected(Recorder) as (protocol, _peer):
            protocol.transport.close()
            with pytest.raises(RuntimeError, match="closing"):
                await asyncio.get_running_loop().sendfile(protocol.transport, file)

    anyrun(main())


def test_over_a_plain_socket(run, file):
    async def main():
        loop = asyncio.get_running_loop()
        async with connected(small_buffers=True) as (protocol, peer):
            assert await loop.sock_sendfile(peer, file, 1000, 2_000_000) == 2_000_000
            assert await protocol.until_received(2_000_000) == pattern(FILE_BYTES)[1000:2_001_000]
            assert file.tell() == 2_001_000

    run(main())
