"""The options of ``create_server`` and ``create_connection``, and what differs between versions of Python."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest
from loop_peers import Recorder, read_to_end


async def connect(address):
    sock = socket.socket()
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def test_a_server_that_waits_to_be_told(anyrun):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, "127.0.0.1", 0, start_serving=False)
        assert not server.is_serving()
        address = server.sockets[0].getsockname()
        with pytest.raises(ConnectionRefusedError):
            await connect(address)
        await server.start_serving()
        assert server.is_serving()
        assert isinstance(server.sockets, tuple)
        (await connect(address)).close()
        server.close()
        assert server.sockets == ()
        await server.wait_closed()

    anyrun(main())


def test_two_servers_share_a_port(run):
    async def main():
        loop = asyncio.get_running_loop()
        first = await loop.create_server(Recorder, "127.0.0.1", 0, reuse_port=True)
        port = first.sockets[0].getsockname()[1]
        second = await loop.create_server(Recorder, "127.0.0.1", port, reuse_port=True)
        first.close()
        second.close()

    run(main())


def test_several_addresses_have_a_listener_each(run):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, ["127.0.0.1", "127.0.0.2"], 0)
        addresses = {sock.getsockname()[0] for sock in server.sockets}
        assert addresses == {"127.0.0.1", "127.0.0.2"}
        for sock in server.sockets:
            (await connect(sock.getsockname())).close()
        server.close()
        await server.wait_closed()

    run(main())


def test_an_address_that_does_not_answer_is_passed_over(anyrun, monkeypatch):
    """Happy eyeballs, RFC 8305: the second address is tried before the first one's time-out."""

    async def main():
        loop = asyncio.get_running_loop()
        silent = socket.socket()
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        fillers = [socket.socket() for _ in range(4)]  # its queue is full: what comes then is not answered at all
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(silent.getsockname())
        server = await loop.create_server(Recorder, "127.0.0.1", 0)
        answers = [silent.getsockname(), server.sockets[0].getsockname()]

        async def getaddrinfo(*_args, **_kwargs):
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in answers]

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        transport, _ = await loop.create_connection(Recorder, "two.example", 1, happy_eyeballs_delay=0.01)
        assert transport.get_extra_info("peername") == answers[1]
        transport.abort()
        for sock in (silent, *fillers):
            sock.close()
        server.close()

    anyrun(main())


def test_a_client_chooses_its_own_address(run):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, protocol = await loop.create_connection(Recorder, *address, local_addr=("127.0.0.3", 0))
        assert transport.get_extra_info("sockname")[0] == "127.0.0.3"
        transport.close()
        await protocol.lost
        server.close()

    run(main())


def test_a_socket_accepted_elsewhere_is_taken_over(run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            peer = await connect(listening.getsockname())
            accepted, _ = listening.accept()
        accepted.setblocking(False)
        transport, protocol = await loop.connect_accepted_socket(Recorder, accepted)
        await loop.sock_sendall(peer, b"hello")
        assert await protocol.until_received(5) == b"hello"
        transport.close()
        assert await read_to_end(peer) == b""
        peer.close()

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="close_clients and abort_clients came with Python 3.13")
@pytest.mark.parametrize("how", ["close_clients", "abort_clients"])
def test_a_server_ends_its_connections(anyrun, how):
    async def main():
        loop = asyncio.get_running_loop()
        accepted = []

        def factory():
            accepted.append(Recorder())
            return accepted[-1]

        server = await loop.create_server(factory, "127.0.0.1", 0)
        peers = [await connect(server.sockets[0].getsockname()) for _ in range(3)]
        while len(accepted) < 3:
            await asyncio.sleep(0)
        server.close()
        getattr(server, how)()
        await server.wait_closed()
        for protocol in accepted:
            await protocol.lost
        for peer in peers:
            peer.close()

    anyrun(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks(anyrun):
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        order = []

        async def step():
            order.append("step")
            await asyncio.sleep(0)
            order.append("after")

        task = asyncio.create_task(step())
        assert order == ["step"]
        await task
        assert order == ["step", "after"]

    anyrun(main())


def test_names_are_looked_up_both_ways(run):
    async def main():
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
        assert found[0][4] == ("127.0.0.1", 80)
        assert await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV) == (
            "127.0.0.1",
            "80",
        )

    run(main())
