"""nats-py against a real NATS server."""

from __future__ import annotations

import asyncio

import pytest

from .conftest import free_port, program, running

nats = pytest.importorskip("nats")


@pytest.fixture
def port(tmp_path):
    number = free_port()
    binary = program("nats-server")
    with running([binary, "-a", "127.0.0.1", "-p", str(number), "-js", "-sd", str(tmp_path)], number):
        yield number


def test_publish_subscribe_request_and_queue_groups(ours, port):
    async def main():
        client = await nats.connect(f"nats://127.0.0.1:{port}")
        received, shared = [], []

        async def keep(message):
            received.append(message.data)

        async def answer(message):
            await message.respond(message.data.upper())

        async def one_of_us(message):
            shared.append(message.data)

        await client.subscribe("readings.>", cb=keep)
        await client.subscribe("ask", cb=answer)
        for _ in range(3):
            await client.subscribe("work", queue="workers", cb=one_of_us)
        for number in range(1000):
            await client.publish(f"readings.{number}", str(number).encode())
        for number in range(100):
            await client.publish("work", str(number).encode())
        replies = await asyncio.gather(*(client.request("ask", f"q{number}".encode()) for number in range(50)))
        big = await client.request("ask", b"x" * 900_000, timeout=10)
        await client.flush()
        while len(received) < 1000 or len(shared) < 100:
            await asyncio.sleep(0.01)
        await client.drain()
        return received, sorted(shared, key=int), [reply.data for reply in replies], len(big.data)

    received, shared, replies, big = ours(main())
    assert received == [str(number).encode() for number in range(1000)]
    assert shared == [str(number).encode() for number in range(100)]
    assert replies == [f"Q{number}".encode() for number in range(50)]
    assert big == 900_000


def test_jetstream_keeps_and_acknowledges(ours, port):
    async def main():
        client = await nats.connect(f"nats://127.0.0.1:{port}")
        stream = client.jetstream()
        await stream.add_stream(name="readings", subjects=["readings.*"])
        for number in range(50):
            await stream.publish(f"readings.{number}", b"21.5")
        subscription = await stream.pull_subscribe("readings.*", "durable")
        got = 0
        while got < 50:
            for message in await subscription.fetch(20, timeout=10):
                await message.ack()
                got += 1
        await client.close()
        return got

    assert ours(main()) == 50


def test_a_client_comes_back_after_the_server_was_gone(ours, tmp_path):
    number = free_port()
    command = [program("nats-server"), "-a", "127.0.0.1", "-p", str(number)]

    async def main():
        gone, back = asyncio.Event(), asyncio.Event()

        async def on_gone():
            gone.set()

        async def on_back():
            back.set()

        async def on_error(_error):
            pass  # that the connection was lost: the point of this test

        with running(command, number):
            client = await nats.connect(
                f"nats://127.0.0.1:{number}",
                reconnect_time_wait=0.05,
                max_reconnect_attempts=-1,
                disconnected_cb=on_gone,
                reconnected_cb=on_back,
                error_cb=on_error,
            )
            subscription = await client.subscribe("x")
        await gone.wait()
        with running(command, number):
            await back.wait()
            await client.publish("x", b"again")
            message = await subscription.next_msg(timeout=10)
            await client.close()
        return message.data

    assert ours(main()) == b"again"
