"""The websockets library's client against its server."""

from __future__ import annotations

import asyncio

import pytest

websockets = pytest.importorskip("websockets")
from websockets.asyncio.client import connect  # noqa: E402
from websockets.asyncio.server import serve  # noqa: E402

BIG = bytes(range(256)) * 20_000


async def echo(socket):
    async for message in socket:
        await socket.send(message)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_messages_pings_and_a_clean_end(ours, server_tls, client_tls, secure):
    async def main():
        async with serve(echo, "127.0.0.1", 0, ssl=server_tls if secure else None, max_size=None) as server:
            port = server.sockets[0].getsockname()[1]
            url = f"ws{'s' if secure else ''}://localhost:{port}"
            async with connect(url, ssl=client_tls if secure else None, max_size=None) as socket:
                await socket.send("hello")
                text = await socket.recv()
                await socket.send(BIG)
                big = await socket.recv()
                await (await socket.ping())
            return text, big == BIG, socket.close_code

    assert ours(main()) == ("hello", True, 1000)


def test_a_hundred_clients_hear_a_broadcast(ours):
    async def main():
        async def hold(socket):
            await socket.wait_closed()

        async with serve(hold, "127.0.0.1", 0) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            clients = await asyncio.gather(*(connect(url) for _ in range(100)))
            while len(server.connections) < 100:
                await asyncio.sleep(0)
            websockets.broadcast(server.connections, "to all")
            heard = [await client.recv() for client in clients]
            server.close()
            await server.wait_closed()
            ends = [client.close_code for client in clients]
        return heard, ends

    heard, ends = ours(main())
    assert heard == ["to all"] * 100
    assert ends == [1001] * 100  # going away


def test_a_slow_reader_slows_its_writer(ours):
    """Back-pressure through the library's own water marks."""

    async def main():
        sent = 0
        finished = asyncio.Event()

        async def pour(socket):
            nonlocal sent
            for _ in range(200):
                await socket.send(BIG[:100_000])
                sent += 1
            finished.set()

        async with serve(pour, "127.0.0.1", 0, compression=None) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with connect(url, max_queue=1, compression=None) as socket:
                await socket.recv()
                before = -1
                while sent != before:
                    before = sent
                    await asyncio.sleep(0.1)
                stalled = sent
                for _ in range(199):
                    await socket.recv()
                await finished.wait()
        return stalled, sent

    stalled, sent = ours(main())
    assert stalled < 200
    assert sent == 200
