"""The device simulators against a whole server, as their documentation shows them."""

from __future__ import annotations

import asyncio

import pytest

from hardpoint import Server
from hardpoint.testing import HttpDevice, LineDevice, ReceivedCommand, Refused


@pytest.mark.parametrize("kind", ["line", "http"])
def test_a_device_of_either_dialect_sees_and_does_the_same(run, tmp_path, kind):
    async def scene():
        listen = ["line://127.0.0.1:0", "http://127.0.0.1:0"]
        async with Server(data=tmp_path, listen=listen, host={"enabled": False}) as server:
            hub = server.hub
            made, token = await hub.create_device("greenhouse")
            port = server.ports[kind]
            simulator = LineDevice if kind == "line" else HttpDevice
            async with simulator("127.0.0.1", port, token) as device:
                await device.send(temp=21.5, door=True)
                await device.send({"cpu.temp": 48}, ts=1732320000000)
                assert made.latest()["temp"]["value"] == 21.5
                assert made.latest()["cpu.temp"] == {"value": 48, "ts": 1732320000000}
                await device.report(fw="1.2")
                assert hub.attributes(made, "client") == {"fw": "1.2"}
                queueing = asyncio.ensure_future(hub.ledger.queue(made, "led", {"on": True}))
                command = await device.next_command()
                assert command == ReceivedCommand(1, "led", {"on": True})
                await device.answer(command, "done")
                assert await hub.ledger.wait(await queueing, 60)
                queueing = asyncio.ensure_future(hub.ledger.queue(made, "led"))
                await device.fail(await device.next_command(), "no such pin")
                assert await hub.ledger.wait(await queueing, 60)
                assert (await queueing).result == "no such pin"
                with pytest.raises(Refused) as refused:
                    await device.send({"1st": 1})
                assert refused.value.answer_code == {"line": "bad-line", "http": "400"}[kind]
                await device.close()
                await device.close()

    run(scene())


def test_a_line_device_says_why_it_was_not_let_in(anyrun, tmp_path):
    async def scene():
        async with Server(data=tmp_path, listen=["line://127.0.0.1:0"], host={"enabled": False}) as server:
            port = server.ports["line"]
            with pytest.raises(Refused, match="unauthorized: this token belongs to no device"):
                async with LineDevice("127.0.0.1", port, "hp_wrong"):
                    pass
            async with LineDevice("127.0.0.1", port) as stranger:
                assert (await stranger.request("PING")).verb == "PONG"
                with pytest.raises(Refused, match="say HELLO"):
                    await stranger.send(a=1)
                await stranger.request("QUIT")
                await stranger.wait_closed()
                with pytest.raises(ConnectionError):
                    await stranger.request("PING")

    anyrun(scene())


@pytest.mark.parametrize("simulator", [LineDevice, HttpDevice])
def test_a_silent_or_closing_server_is_told_apart(anyrun, simulator):
    class Closing(asyncio.Protocol):
        def connection_made(self, transport):
            transport.write(b"hardpoint 1 ready\n" if simulator is LineDevice else b"")
            self.transport = transport

        def data_received(self, data):
            if b"close" in data:
                self.transport.close()

    async def scene():
        server = await asyncio.get_running_loop().create_server(Closing, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with simulator("127.0.0.1", port) as device:
            device._timeout_s = 0.05  # only now: connecting takes as long as it takes
            with pytest.raises(TimeoutError):
                await device.request(*(["PING"] if simulator is LineDevice else ["GET", "/"]))
        async with simulator("127.0.0.1", port) as device:
            with pytest.raises(ConnectionError):
                await device.request(*(["close"] if simulator is LineDevice else ["GET", "/close"]))
        server.close()
        await server.wait_closed()

    anyrun(scene())
