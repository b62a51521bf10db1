"""Accepting: storms, exhausted descriptors, factories that fail, servers that close."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections import Counter

import pytest
from loop_peers import Recorder

from hardpoint.loop import Loop
from hardpoint.loop import listener as listener_module
from hardpoint.loop import pollers as pollers_module
from hardpoint.loop.listener import MAX_ACCEPTS_A_TURN


@pytest.fixture
def few_descriptors():
    """A function that leaves ``spare`` descriptors; everything is as before in the end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    fillers = []

    def leave(spare: int) -> None:
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + spare, hard))
        try:
            while True:
                fillers.append(os.dup(0))  # also the numbers below the highest that are free
        except OSError:
            pass
        for _ in range(spare):
            os.close(fillers.pop())

    yield leave
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for filler in fillers:
        os.close(filler)


def test_a_storm_of_connections_is_accepted_in_order(run):
    async def main():
        loop = asyncio.get_running_loop()
        accepted = []
        all_there = asyncio.Event()
        count = MAX_ACCEPTS_A_TURN * 3 + 1

        class Counted(asyncio.Protocol):
            def connection_made(self, transport):
                accepted.append(transport)
                if len(accepted) == count:
                    all_there.set()

        listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        clients = [socket.create_connection(listening.getsockname()) for _ in range(count)]
        server = await loop.create_server(Counted, sock=listening, backlog=1024)
        await all_there.wait()
        assert [t.get_extra_info("peername") for t in accepted] == [c.getsockname() for c in clients]
        server.close()
        for transport in accepted:
            transport.abort()
        for client in clients:
            client.close()
        await server.wait_closed()

    run(main())


def test_one_turn_accepts_a_bounded_number(anyrun):
    async def main():
        loop = asyncio.get_running_loop()
        protocols, turns = [], Counter()

        def factory():
            turns[loop.counters.turns] += 1
            protocols.append(Recorder())
            return protocols[-1]

        listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        clients = [socket.create_connection(listening.getsockname()) for _ in range(MAX_ACCEPTS_A_TURN + 5)]
        server = await loop.create_server(factory, sock=listening, backlog=1024)
        while len(protocols) < len(clients):
            await asyncio.sleep(0)
        assert sorted(turns.values()) == [5, MAX_ACCEPTS_A_TURN]
        server.close()
        for protocol in protocols:
            protocol.transport.abort()
        for client in clients:
            client.close()
        await server.wait_closed()

    anyrun(main())


def test_without_descriptors_it_rests_says_so_once_and_goes_on(anyrun, few_descriptors, monkeypatch):
    monkeypatch.setattr(listener_module, "ACCEPT_RETRY_S", 0.01)

    async def main():
        loop = asyncio.get_running_loop()
        reported = []
        loop.set_exception_handler(lambda _loop, context: reported.append(context["message"]))
        protocols = []
        changed = asyncio.Event()

        class Noticed(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                protocols.append(self)
                changed.set()

        server = await loop.create_server(Noticed, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        # The clients' descriptors are taken before the limit falls; the first gets the last one that is left.
        clients = [socket.socket() for _ in range(3)]
        few_descriptors(1)
        for client in clients:
            await loop.sock_connect(client, address)
        while loop.counters.accept_pauses < 3:  # it has tried again and found nothing
            await asyncio.sleep(0.001)
        assert len(protocols) == 1
        assert reported == ["socket.accept() out of system resource"]

        clients[0].send(b"x")  # what is connected is served meanwhile
        await protocols[0].until_received(1)

        while len(protocols) < 3:
            changed.clear()
            protocols[-1].transport.abort()  # gives one descriptor back
            await changed.wait()
        assert loop.counters.accepted == 3
        server.close()
        protocols[-1].transport.abort()
        for client in clients:
            client.close()
        await server.wait_closed()

    anyrun(main())


def test_a_listener_closed_while_it_rests_stays_closed(anyrun, few_descriptors, monkeypatch):
    monkeypatch.setattr(listener_module, "ACCEPT_RETRY_S", 0.01)

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: None)
        server = await loop.create_server(Recorder, "127.0.0.1", 0)
        client = socket.socket()
        address = server.sockets[0].getsockname()
        few_descriptors(0)
        client.setblocking(False)
        await loop.sock_connect(client, address)
        while not loop.counters.accept_pauses:
            await asyncio.sleep(0)
        server.close()
        await asyncio.sleep(0.03)  # the time of its resumption has passed
        assert loop.counters.accepted == 0
        client.close()

    anyrun(main())


def test_a_factory_that_raises_costs_its_connection_only(anyrun):
    async def main():
        loop = asyncio.get_running_loop()
        reported = []
        loop.set_exception_handler(lambda _loop, context: reported.append(context["message"]))
        made = []

        def factory():
            if not reported:
                raise ValueError
            made.append(Recorder())
            return made[-1]

        server = await loop.create_server(factory, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address)
        assert await reader.read() == b""
        writer.close()
        assert reported == ["Error on transport creation for incoming connection"]
        _reader, writer = await asyncio.open_connection(*address)
        writer.write(b"x")
        while not made:
            await asyncio.sleep(0)
        await made[0].until_received(1)
        server.close()
        writer.close()
        await made[0].lost
        await server.wait_closed()

    anyrun(main())


def test_a_server_closed_by_the_protocol_it_just_made(anyrun):
    async def main():
        loop = asyncio.get_running_loop()
        made = []

        class Closer(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                made.append(self)
                server.close()

        listening = socket.create_server(("127.0.0.1", 0))
        clients = [socket.create_connection(listening.getsockname()) for _ in range(1)]
        server = await loop.create_server(Closer, sock=listening)
        while not made:
            await asyncio.sleep(0)
        assert server.sockets == ()
        assert not server.is_serving()
        for client in clients:
            client.close()
        await made[0].lost
        await server.wait_closed()

    anyrun(main())


def test_a_server_closed_by_its_factory_drops_that_connection(anyrun):
    async def main():
        loop = asyncio.get_running_loop()
        made = []

        def factory():
            server.close()
            made.append(Recorder())
            return made[-1]

        server = await loop.create_server(factory, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
        await server.wait_closed()
        assert made[0].events == []

    anyrun(main())


def test_wait_closed_waits_for_the_last_connection(anyrun):
    async def main():
        loop = asyncio.get_running_loop()
        made = loop.create_future()

        class Made(Recorder):
            def connection_made(self, transport):
                super().connection_made(transport)
                made.set_result(self)

        server = await loop.create_server(Made, "127.0.0.1", 0)
        client = socket.create_connection(server.sockets[0].getsockname())
        protocol = await made
        waiting = asyncio.ensure_future(server.wait_closed())
        await asyncio.sleep(0)
        server.close()
        await asyncio.sleep(0)
        assert not waiting.done()
        client.close()
        await waiting
        assert protocol.events == ["made", "eof", "lost"]

    anyrun(main())


def test_a_closed_listeners_port_is_free_again(run):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        again = await loop.create_server(Recorder, *address)
        again.close()
        await again.wait_closed()

    run(main())


def test_a_server_that_never_served_closes_its_socket(anyrun):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, "127.0.0.1", 0, start_serving=False)
        assert not server.is_serving()
        server.close()
        await server.wait_closed()

    anyrun(main())


def test_serve_forever_ends_when_cancelled(run):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, "127.0.0.1", 0, start_serving=False)
        task = asyncio.ensure_future(server.serve_forever())
        while not server.is_serving():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not server.sockets

    run(main())


def test_a_taken_port_is_said_so(run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="already in use"):
            await loop.create_server(Recorder, *taken.getsockname())

    run(main())


def test_clients_connect_by_name_and_are_refused_by_name(run):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "localhost", 0, family=socket.AF_INET)
        port = server.sockets[0].getsockname()[1]
        transport, protocol = await loop.create_connection(Recorder, "localhost", port, family=socket.AF_INET)
        assert protocol.events == ["made"]
        transport.abort()
        await protocol.lost
        server.close()
        await server.wait_closed()

    run(main())


def test_connections_beyond_the_pollers_limit_end_and_that_is_said_once(monkeypatch):
    async def main():
        loop = asyncio.get_running_loop()
        said = []
        loop.set_exception_handler(lambda _, context: said.append(context))
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        clients = [socket.create_connection(address) for _ in range(3)]
        # From here on; as if a thousand descriptors were open.
        monkeypatch.setattr(pollers_module, "SELECT_MAX_DESCRIPTORS", 0)
        for client in clients:
            # Closed with nothing read: an end of file.
            assert await asyncio.wait_for(asyncio.to_thread(read_to_the_end, client), 60) == b""
            client.close()
        assert [context["message"] for context in said] == ["the poller can watch no more connections"]
        assert "choose the poller 'epoll' or 'poll'" in str(said[0]["exception"])
        server.close()
        await server.wait_closed()

    with asyncio.Runner(loop_factory=lambda: Loop(poller="select")) as runner:
        runner.run(main())


def read_to_the_end(client):
    client.settimeout(60)
    return client.recv(10)
