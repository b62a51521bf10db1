"""The MQTT device simulator against a whole server, as its documentation shows it."""

from __future__ import annotations

import asyncio

import pytest

from hardpoint import Server
from hardpoint.testing import MqttDevice, ReceivedCommand, Refused
from hardpoint.wire.mqtt.packets import Will


def serving(tmp_path):
    return Server(data=tmp_path, listen=["mqtt://127.0.0.1:0"], host={"enabled": False})


def test_it_does_what_the_others_do(run, tmp_path):
    async def scene():
        async with serving(tmp_path) as server:
            hub = server.hub
            made, token = await hub.create_device("greenhouse")
            async with MqttDevice("127.0.0.1", server.ports["mqtt"], token, id=made.id) as device:
                assert not device.session_present
                await device.send(temp=21.5, door=True)
                await device.send({"cpu.temp": 48}, ts=1732320000000)
                assert made.latest()["temp"]["value"] == 21.5
                assert made.latest()["cpu.temp"] == {"value": 48, "ts": 1732320000000}
                await asyncio.gather(*(device.send({f"k{number}": number}) for number in range(20)))
                assert made.latest()["k19"]["value"] == 19
                await device.report(fw="1.2")
                assert hub.attributes(made, "client") == {"fw": "1.2"}
                hub.set_attributes(made, "shared", {"a": 1})
                assert await device.next_attributes() == {"a": 1}
                queueing = asyncio.ensure_future(hub.ledger.queue(made, "led", {"on": True}))
                command = await device.next_command()
                assert command == ReceivedCommand(1, "led", {"on": True})
                await device.answer(command, "done")
                assert await hub.ledger.wait(await queueing, 60)
                assert (await queueing).result == "done"
                queueing = asyncio.ensure_future(hub.ledger.queue(made, "led"))
                await device.fail(await device.next_command(), "no such pin")
                assert await hub.ledger.wait(await queueing, 60)
                assert (await queueing).result == "no such pin"
                with pytest.raises(Refused, match="must start with a letter"):
                    await device.send({"1st": 1})
                with pytest.raises(Refused):
                    await device.subscribe("devices/another/temp")
                await device.subscribe("news/#")
                await device.publish("news/x", {"a": 1}, retain=True)
                message = await device.messages.get()
                assert (message.topic, message.payload) == ("news/x", b'{"a":1}')
                await device.close()
                await device.close()
                with pytest.raises(ConnectionError):
                    await device.send(a=1)

    run(scene())


def test_it_says_why_it_was_not_let_in_or_is_sent_away(anyrun, tmp_path):
    async def scene():
        async with serving(tmp_path) as server:
            port = server.ports["mqtt"]
            with pytest.raises(Refused, match="this token belongs to no device"):
                async with MqttDevice("127.0.0.1", port, "hp_wrong", id="x"):
                    pass
            made, token = await server.hub.create_device("box")
            async with MqttDevice("127.0.0.1", port, token, id="box", timeout_s=1) as device:
                with pytest.raises(TimeoutError):
                    await device.next_command()
            async with MqttDevice("127.0.0.1", port, token, id="box") as device:
                await server.hub.remove_device(made)
                await device.wait_closed()
                assert device.farewell == "the device was removed"
                with pytest.raises(ConnectionError, match="the device was removed"):
                    await device.next_command()

    anyrun(scene())


def test_a_session_that_is_kept_and_a_will(anyrun, tmp_path):
    async def scene():
        async with serving(tmp_path) as server:
            made, token = await server.hub.create_device("box")
            at = ("127.0.0.1", server.ports["mqtt"], token)
            kept = {"id": "box", "clean_start": False, "session_expiry_s": 60}
            async with MqttDevice(*at, **kept, will=Will("devices/box/state", b"offline")) as device:
                await device.send(state="online")
                device.abort()
                await device.wait_closed()
            async with asyncio.timeout(60), MqttDevice(*at, **kept) as device:
                assert device.session_present
                while made.latest()["state"]["value"] != "offline":
                    await asyncio.sleep(0)

    anyrun(scene())
