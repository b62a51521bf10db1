"""What a stream transport tells of itself, what it weighs, and what becomes of one that is forgotten."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import weakref

import pytest
from loop_peers import connected, reset

from hardpoint.loop import Loop
from hardpoint.loop.transport import HIGH_WATER_BYTES


def test_addresses_and_socket_are_known(run):
    async def main():
        async with connected() as (protocol, peer):
            info = protocol.transport.get_extra_info
            assert info("peername") == peer.getsockname()
            assert info("sockname") == peer.getpeername()
            assert info("socket").fileno() >= 0
            assert info("nothing of that name", "default") == "default"

    run(main())


def test_the_addresses_are_known_after_the_end(anyrun):
    async def main():
        async with connected() as (protocol, peer):
            transport = protocol.transport
            transport.abort()
            await protocol.lost
            await asyncio.sleep(0)
            assert transport.get_extra_info("peername") == peer.getsockname()
            assert transport.get_extra_info("sockname") == peer.getpeername()
            assert transport.get_extra_info("socket") is None
            assert transport.get_protocol() is None
            assert "closed" in repr(transport)

    anyrun(main())


def test_after_a_reset_the_peer_s_address_is_the_default(anyrun):
    async def main():
        async with connected() as (protocol, peer):
            reset(peer)
            await protocol.lost
            await asyncio.sleep(0)
            assert protocol.transport.get_extra_info("peername", "gone") == "gone"
            assert protocol.transport.get_extra_info("sockname")[0] == "127.0.0.1"

    anyrun(main())


def test_it_is_an_asyncio_transport_and_disables_nagle(anyrun):
    async def main():
        async with connected() as (protocol, _peer):
            assert isinstance(protocol.transport, asyncio.Transport)
            sock = protocol.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    anyrun(main())


def test_limits_default_to_asyncios(anyrun):
    async def main():
        async with connected() as (protocol, _peer):
            assert protocol.transport.get_write_buffer_limits() == (HIGH_WATER_BYTES // 4, HIGH_WATER_BYTES)
            assert protocol.transport.get_write_buffer_size() == 0

    anyrun(main())


def test_an_idle_transport_is_small(anyrun):
    """No buffer, no bound method: what it owns apart from the socket. Its dictionary is made when it is needed."""

    async def main():
        async with connected() as (protocol, _peer):
            transport = protocol.transport
            owned = [
                referent
                for referent in gc.get_referents(transport)
                if isinstance(referent, (dict, list, set, bytearray)) or type(referent).__name__ == "deque"
            ]
            assert owned == []
            assert sys.getsizeof(transport) <= 300

    anyrun(main())


def test_attributes_can_be_set(anyrun):
    """Tests of libraries put a mock in the place of a method, as asyncio's own transports let them."""

    async def main():
        async with connected() as (protocol, _peer):
            transport = protocol.transport
            written = []
            transport.write = written.append
            transport.note = "mine"
            protocol.transport.write(b"x")
            assert (written, transport.note) == ([b"x"], "mine")

    anyrun(main())


def test_a_closed_connection_is_freed_without_the_garbage_collector(anyrun):
    """A server that lives for months must not leave a cycle for every connection."""

    async def main():
        loop = asyncio.get_running_loop()
        lost = loop.create_future()
        freed = []

        class Held(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport
                for thing in (self, transport):
                    weakref.finalize(thing, freed.append, type(thing).__name__)

            def connection_lost(self, exc):
                lost.set_result(None)

        server = await loop.create_server(Held, "127.0.0.1", 0)
        gc.disable()
        try:
            with socket.create_connection(server.sockets[0].getsockname()):
                while not loop.counters.accepted:
                    await asyncio.sleep(0)
            await lost
            await asyncio.sleep(0)
            assert sorted(freed) == ["Held", "SocketTransport"]
        finally:
            gc.enable()
        server.close()
        await server.wait_closed()

    anyrun(main())


def test_a_forgotten_transport_warns_and_closes_its_socket():
    a, b = socket.socketpair()

    async def main():
        await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=a)

    loop = Loop()
    loop.run_until_complete(main())
    with pytest.warns(ResourceWarning, match="unclosed transport <SocketTransport"):
        loop.close()
    assert a.fileno() == -1
    b.close()


def test_a_descriptor_of_a_transport_is_not_for_readers(run):
    async def main():
        async with connected() as (protocol, _peer):
            loop = asyncio.get_running_loop()
            fd = protocol.transport.get_extra_info("socket").fileno()
            with pytest.raises(RuntimeError, match="is used by transport"):
                loop.add_reader(fd, print)

    run(main())


def test_a_socket_closed_behind_the_back_ends_its_connection_only(anyrun):
    async def main():
        async with connected() as (broken, _peer), connected() as (whole, whole_peer):
            broken.transport._sock.close()
            broken.transport.write(b"x")
            await broken.lost
            assert isinstance(broken.error, OSError)
            whole_peer.send(b"y")
            assert await whole.until_received(1) == b"y"

    anyrun(main())
