"""Protocols are called in the context in which their connection or server was made."""

from __future__ import annotations

import asyncio
import contextvars
import os

from hardpoint.loop import Loop

who = contextvars.ContextVar("who", default="nobody")


class Noting(asyncio.Protocol):
    """Notes in whose context each call came."""

    def __init__(self):
        self.seen = {}
        self.lost = asyncio.get_running_loop().create_future()

    def _note(self, call):
        self.seen[call] = who.get()

    def connection_made(self, transport):
        self.transport = transport
        self._note("made")

    def data_received(self, data):
        self._note("data")

    def eof_received(self):
        self._note("eof")

    def connection_lost(self, exc):
        self._note("lost")
        self.lost.set_result(None)


async def in_the_name_of(name, coro):
    who.set(name)
    return await coro


def test_both_sides_of_a_connection(run):
    async def main():
        loop = asyncio.get_running_loop()
        accepted = []

        def factory():
            accepted.append(Noting())
            accepted[-1]._note("factory")
            return accepted[-1]

        server = await asyncio.create_task(in_the_name_of("server", loop.create_server(factory, "127.0.0.1", 0)))
        address = server.sockets[0].getsockname()
        transport, client = await asyncio.create_task(
            in_the_name_of("client", loop.create_connection(Noting, *address))
        )
        transport.write(b"to the server")
        while not accepted or "data" not in accepted[0].seen:
            await asyncio.sleep(0)
        accepted[0].transport.write(b"to the client")
        while "data" not in client.seen:
            await asyncio.sleep(0)
        transport.write_eof()
        await accepted[0].lost
        await client.lost
        server.close()
        calls = ("made", "data", "eof", "lost")
        assert accepted[0].seen == dict.fromkeys(("factory", *calls), "server")
        assert client.seen == dict.fromkeys(calls, "client")
        assert who.get() == "nobody"

    run(main())


def test_pipes(run):
    async def main():
        loop = asyncio.get_running_loop()
        read_fd, write_fd = os.pipe()
        with open(write_fd, "wb", buffering=0) as writer:
            pipe = open(read_fd, "rb", buffering=0)  # noqa: SIM115 - the transport closes it
            _, protocol = await asyncio.create_task(in_the_name_of("pipe", loop.connect_read_pipe(Noting, pipe)))
            writer.write(b"x")
        await protocol.lost
        assert protocol.seen == dict.fromkeys(("made", "data", "eof", "lost"), "pipe")

    run(main())


def test_a_connection_in_a_context_is_known_as_any_other():
    async def main():
        loop = asyncio.get_running_loop()
        who.set("somebody")
        server = await loop.create_server(Noting, "127.0.0.1", 0)
        transport, protocol = await loop.create_connection(Noting, *server.sockets[0].getsockname())
        assert loop.watcher_of(transport.get_extra_info("socket").fileno()) is transport
        while loop.counters.connections != 2:
            await asyncio.sleep(0)
        transport.abort()
        await protocol.lost
        while loop.counters.connections:
            await asyncio.sleep(0)
        server.close()

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(asyncio.wait_for(main(), 60))
