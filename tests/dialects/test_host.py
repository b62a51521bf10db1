"""The server's own machine as the device ``host``, with made-up hardware."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from hardpoint.dialects.host import HostSession
from hardpoint.hardware.base import Driver
from hardpoint.hardware.mount import Mount
from hub.hubs import FULL, HeldStore, open_hub, until


class Counting(Driver):
    name = "counting"

    def __init__(self):
        self.rounds = 0

    def probe(self):
        return None

    def read(self):
        self.rounds += 1
        yield "round", self.rounds
        yield "cpu.temp", 48.5


@contextlib.asynccontextmanager
async def mounted(store=None, interval_s=3600.0):
    driver = Counting()
    async with open_hub(store) as hub:
        session = HostSession(hub, Mount({"counting": lambda: driver}), interval_s)
        await session.start()
        try:
            yield hub, session, driver
        finally:
            await session.close()


def latest(hub):
    return {key: latest["value"] for key, latest in hub.catalogue.by_id["host"].latest().items()}


def test_it_attaches_and_reads(run):
    async def scene():
        async with mounted() as (hub, session, _):
            await until(hub.catalogue.by_id["host"].latest)
            assert latest(hub) == {"round": 1, "cpu.temp": 48.5}
            connected = hub.describe(hub.catalogue.by_id["host"])["presence"]["connected"]
            assert (connected["dialect"], connected["from"]) == ("host", "local")
        assert session.device.sessions == ()

    run(scene())


def test_it_reads_again_and_again(anyrun):
    async def scene():
        async with mounted(interval_s=0.001) as (_, _, driver):
            await until(lambda: driver.rounds >= 3)

    anyrun(scene())


def test_it_answers_commands(anyrun):
    async def scene():
        async with mounted() as (hub, _, driver):
            device = hub.catalogue.by_id["host"]
            await until(lambda: driver.rounds == 1)
            for method, params, state, result in (
                ("ping", None, "done", "pong"),
                ("read", {"key": "cpu.temp"}, "done", {"cpu.temp": 48.5}),
                ("set-interval", {"s": 3}, "done", {"s": 3}),
                ("set-interval", {"s": 0}, "failed", "s must be a number of seconds from 1 to 86400"),
            ):
                command = await hub.ledger.queue(device, method, params)
                assert await hub.ledger.wait(command, 60)
                assert (command.state, command.result) == (state, result)
            command = await hub.ledger.queue(device, "explode")
            assert await hub.ledger.wait(command, 60)
            assert (command.state, command.steps[-1][2][:24]) == ("failed", "unknown method 'explode'")
            await until(lambda: driver.rounds >= 3)  # read by command, and anew with the new interval

    anyrun(scene())


def test_a_full_disk_does_not_stop_it(anyrun, caplog):
    async def scene():
        store = HeldStore()
        async with mounted(store, interval_s=0.001) as (hub, _, driver):
            store.error = FULL
            await until(lambda: hub.commits.failures > 2)
            store.error = None
            rounds = driver.rounds
            await until(lambda: hub.catalogue.by_id["host"].latest().get("round", {"value": 0})["value"] > rounds)

    anyrun(scene())


def test_removing_the_device_stops_the_reading(anyrun, caplog):
    async def scene():
        async with mounted(interval_s=0.001) as (hub, session, driver):
            await until(lambda: driver.rounds > 1)
            await hub.remove_device(hub.catalogue.by_id["host"])
            await until(lambda: not session._tasks)
            assert "host" not in hub.catalogue.by_id
            assert list(hub.store.latest()) == []

    anyrun(scene())
    assert "this machine's sensors are read no longer: the device was removed" in caplog.text


def test_a_second_start_finds_the_device_of_the_first(anyrun, make_store):
    async def scene():
        for _ in range(2):
            async with mounted(make_store()) as (hub, _, _):
                await until(hub.catalogue.by_id["host"].latest)
                assert list(hub.catalogue.by_id) == ["host"]

    anyrun(scene())


@pytest.fixture
def make_store():
    store = HeldStore()
    return lambda: store


def test_a_sensor_that_never_answers_is_left_behind(anyrun):
    async def scene():
        entered, let_go = threading.Event(), threading.Event()
        threads = []

        class Stuck(Counting):
            def read(self):
                threads.append(threading.current_thread())
                entered.set()
                assert let_go.wait(120)
                return super().read()

        async with open_hub() as hub:
            session = HostSession(hub, Mount({"stuck": Stuck}), 3600)
            await session.start()
            await until(entered.is_set)
            async with asyncio.timeout(60):
                await session.close()
            # Nobody joins a daemon thread, neither the loop when it closes nor the interpreter at its end.
            assert threads[0].daemon
            let_go.set()
            threads[0].join(60)
            assert not threads[0].is_alive()

    anyrun(scene())


def test_closing_while_it_reads(anyrun):
    async def scene():
        async with mounted(interval_s=0.001) as (_, _, driver):
            await until(lambda: driver.rounds)
        assert len(asyncio.all_tasks()) == 1

    anyrun(scene())
