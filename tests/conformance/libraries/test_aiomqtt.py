"""aiomqtt against mosquitto. It drives paho's sockets with ``add_reader`` and ``add_writer``."""

from __future__ import annotations

import asyncio

import pytest

from .conftest import free_port, program, running

aiomqtt = pytest.importorskip("aiomqtt")


@pytest.fixture
def port(tmp_path):
    number = free_port()
    (tmp_path / "mosquitto.conf").write_text(f"listener {number} 127.0.0.1\nallow_anonymous true\n")
    with running([program("mosquitto"), "-c", str(tmp_path / "mosquitto.conf")], number):
        yield number


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_arrive_in_order(ours, port, qos):
    count = 200

    async def main():
        async with (
            aiomqtt.Client("127.0.0.1", port, identifier="reader") as reader,
            aiomqtt.Client("127.0.0.1", port, identifier="writer") as writer,
        ):
            await reader.subscribe("readings/#", qos=qos)

            async def read():
                got = []
                async for message in reader.messages:
                    got.append(int(message.payload))
                    if len(got) == count:
                        return got
                raise AssertionError("the messages ended")

            reading = asyncio.create_task(read())
            for number in range(count):
                await writer.publish("readings/temp", str(number), qos=qos)
            return await reading

    assert ours(main()) == list(range(count))


def test_a_large_message_a_retained_one_and_a_will(ours, port):
    async def next_of(client):
        return await anext(aiter(client.messages))

    async def main():
        will = aiomqtt.Will("gone/device", b"without a word")
        async with aiomqtt.Client("127.0.0.1", port, identifier="reader") as reader:
            await reader.publish("kept", b"x" * 3_000_000, qos=1, retain=True)
            await reader.subscribe("kept")
            kept = await next_of(reader)
            await reader.unsubscribe("kept")
            await reader.subscribe("gone/#")
            device = aiomqtt.Client("127.0.0.1", port, identifier="device", will=will)
            await device.__aenter__()
            device._client.socket().shutdown(2)  # no DISCONNECT: the broker publishes the will
            gone = await next_of(reader)
            with pytest.raises(aiomqtt.MqttError):
                await device._disconnected
        return len(kept.payload), kept.retain, gone.payload

    assert ours(main()) == (3_000_000, True, b"without a word")
