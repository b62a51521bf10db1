"""Simulated devices: real readings that say what they are, within limits, and never in a real device's way."""

from __future__ import annotations

import pytest

from hardpoint.errors import BadInput, Conflict, RateLimited
from hardpoint.hub import simulation
from hardpoint.hub.simulation import EVERY_MS, Simulations, simulated_samples
from hardpoint.testing import FakeClock

from .hubs import NotingSession, open_hub, turn


async def later(hub, clock, ms):
    clock.advance(ms=ms)
    hub.alerting.agenda.run_due(clock())
    await hub.commits.durable()


def test_it_sends_readings_until_its_time_is_over(run):
    async def scene():
        clock = FakeClock()
        async with open_hub(None, clock) as hub:
            device, _ = await hub.create_device("dev", {"site": "roof"})
            simulations = Simulations(hub)
            assert simulations.until_ms(device) == 0
            until = await simulations.switch(device, 5)
            assert until == simulations.until_ms(device) == clock() + 5_000
            await hub.commits.durable()
            assert device.record.labels == {"site": "roof", "simulated": "yes"}
            assert set(device.latest()) == {"temp", "hum", "door"}
            assert device.sessions[0].dialect == "simulated"
            first = device.latest()["temp"]["ts"]
            await later(hub, clock, EVERY_MS)
            assert device.latest()["temp"]["ts"] == first + EVERY_MS
            await later(hub, clock, EVERY_MS)
            await later(hub, clock, EVERY_MS)
            assert device.sessions == ()
            assert simulations.until_ms(device) == 0
            [session] = await hub.past.attachments(device)
            assert session["why"] == "the time of the simulation is over"

    run(scene())


def test_it_answers_commands(run):
    async def scene():
        async with open_hub() as hub:
            device, _ = await hub.create_device("dev")
            await Simulations(hub).switch(device, 60)
            command = await hub.ledger.queue(device, "blink", {"times": 3})
            await turn(20)
            await hub.commits.durable()
            found = await hub.past.command(command.id)
            assert (found.state, found.result) == ("done", {"simulated": True, "method": "blink"})

    run(scene())


def test_asked_again_it_goes_on_and_zero_stops_it(run):
    async def scene():
        clock = FakeClock()
        async with open_hub(None, clock) as hub:
            device, _ = await hub.create_device("dev")
            simulations = Simulations(hub)
            await simulations.switch(device, 5)
            clock.advance(s=1)
            assert await simulations.switch(device, 60) == clock() + 60_000
            assert len(device.sessions) == 1
            assert await simulations.switch(device, 0) == 0
            assert device.sessions == ()
            assert await simulations.switch(device, 0) == 0

    run(scene())


def test_a_real_device_comes_first(run):
    async def scene():
        clock = FakeClock()
        async with open_hub(None, clock) as hub:
            device, _ = await hub.create_device("dev")
            simulations = Simulations(hub)
            await simulations.switch(device, 60)
            real = NotingSession()
            hub.attach(real, device)
            await later(hub, clock, EVERY_MS)
            assert device.sessions == (real,)
            with pytest.raises(Conflict, match="itself is attached"):
                await simulations.switch(device, 60)

    run(scene())


def test_it_goes_with_its_device(run):
    async def scene():
        clock = FakeClock()
        async with open_hub(None, clock) as hub:
            device, _ = await hub.create_device("dev")
            await Simulations(hub).switch(device, 60)
            await hub.commits.durable()
            await hub.remove_device(device)
            await later(hub, clock, EVERY_MS)
            assert hub.readings_total == 3, "no reading after the removal"

    run(scene())


def test_limits(run, monkeypatch):
    monkeypatch.setattr(simulation, "MAX_SIMULATED", 1)

    async def scene():
        async with open_hub() as hub:
            one, _ = await hub.create_device("one")
            two, _ = await hub.create_device("two")
            simulations = Simulations(hub)
            for wrong in (-1, 3601):
                with pytest.raises(BadInput):
                    await simulations.switch(one, wrong)
            await simulations.switch(one, 60)
            with pytest.raises(RateLimited):
                await simulations.switch(two, 60)
            await simulations.switch(one, 0)
            await simulations.switch(two, 60)

    run(scene())


def test_readings_are_like_a_greenhouse_and_each_device_is_another():
    at = [{key: value for _, key, value in simulated_samples("a", ms)} for ms in range(0, 600_000, 1_000)]
    assert all(17 < each["temp"] < 27 and 40 < each["hum"] < 80 for each in at)
    assert {each["door"] for each in at} == {True, False}
    assert simulated_samples("a", 0) == simulated_samples("a", 0) != simulated_samples("b", 0)
