"""The agent and the real server in one loop: the server goes and comes back, asks, and removes the device."""

from __future__ import annotations

import asyncio

import pytest

from hardpoint import Server
from hardpoint.errors import Unauthorized

FAR_MS = 2**42
"""After every time stamp of the fake clock."""


def make_server(folder, port=0):
    return Server(data=folder / "server", listen=[f"line://127.0.0.1:{port}"], host={"enabled": False})


async def readings(server):
    """``[(ts, n), …]`` of the device, from the store."""
    device = server.hub.catalogue.find("box")
    if not device.series:
        return []
    _, points = await server.hub.past.readings(device, "n", 0, FAR_MS, agg="raw")
    return points


async def until_stored(server, count):
    while len(await readings(server)) < count:
        await asyncio.sleep(0.005)


def test_server_away_and_back(run, tmp_path, make_agent):
    async def scenario():
        async with make_server(tmp_path) as server:
            port = server.ports["line"]
            _, token = await server.hub.create_device("box")
            agent = make_agent(port, token=token)
            task = asyncio.ensure_future(agent.run())
            await until_stored(server, 10)
        while agent._spool.lines < 50:
            await asyncio.sleep(0.005)
        async with make_server(tmp_path, port) as server:
            stored = len(await readings(server))
            await until_stored(server, stored + 100)
            agent.stop()
            await task
            points = await readings(server)
        assert [n for _, n in points] == list(range(1, len(points) + 1))
        assert [ts for ts, _ in points] == sorted(ts for ts, _ in points)
        assert agent.refused == agent.lost == 0

    run(scenario())


def test_a_command_of_the_server(run, tmp_path, make_agent):
    async def scenario():
        async with make_server(tmp_path) as server:
            device, token = await server.hub.create_device("box")
            agent = make_agent(server.ports["line"], token=token, interval_s=3600)
            task = asyncio.ensure_future(agent.run())
            await until_stored(server, 1)
            command = await server.hub.ledger.queue(device, "read", {"key": "n"})
            assert await server.hub.ledger.wait(command, 20)
            ended = await server.hub.past.command(command.id)
            assert (ended.state, ended.result) == ("done", {"n": 2})
            large = await server.hub.ledger.queue(device, "ping", {"text": "x" * 60_000})
            assert await server.hub.ledger.wait(large, 20)
            assert (await server.hub.past.command(large.id)).state == "done"
            agent.stop()
            await task

    run(scenario())


def test_a_removed_device_ends_its_agent(run, tmp_path, make_agent):
    async def scenario():
        async with make_server(tmp_path) as server:
            device, token = await server.hub.create_device("box")
            agent = make_agent(server.ports["line"], token=token)
            task = asyncio.ensure_future(agent.run())
            await until_stored(server, 1)
            await server.hub.remove_device(device)
            with pytest.raises(Unauthorized):
                await task
            # What the device's removal refused is no fault of the readings: they are kept.
            assert agent.refused == 0

    run(scenario())
