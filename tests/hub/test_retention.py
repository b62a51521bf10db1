"""Retention: what the settings say, when it is applied, and what is told beforehand."""

from __future__ import annotations

import asyncio
from itertools import product

import pytest

from hardpoint.config import Retention as Settings
from hardpoint.errors import StorageFull
from hardpoint.model import Keep, Policy, Series
from hardpoint.stores.retention import limits_by_series
from hardpoint.testing import FakeClock

from .hubs import attached, open_hub, until

DAY_MS = 86_400_000
DAY_S = 86_400.0


def test_rules_stand_before_what_holds_for_all(anyrun):
    async def scene():
        async with open_hub() as hub:
            retention = hub.retention
            assert retention.policy == Policy()
            retention.use(Settings(rules=("*:debug.* drop 7d", "host:* keep"), drop_after_s=60.0, max_bytes=10**9))
            assert retention.policy == Policy(
                (Keep("*", "debug.*", None, 7 * DAY_S), Keep("host", "*"), Keep("*", "*", None, 60.0)), 10**9
            )
            retention.use(Settings())
            assert retention.policy == Policy()

    anyrun(scene())


def test_what_is_too_old_goes_and_is_told_before(anyrun):
    async def scene():
        clock = FakeClock(100 * DAY_MS)
        async with open_hub(clock=clock) as hub:
            device, session = await attached(hub, "a")
            samples = [(day * DAY_MS, "temp", day) for day in range(90, 100)] + [(95 * DAY_MS, "note", "x")]
            hub.ingest(session, device, samples, 1)
            await hub.commits.durable()
            hub.retention.use(Settings(rules=("a:temp drop 30d",), drop_after_s=3 * DAY_S))
            plan, due = await hub.retention.plan()
            assert [(step.key, step.action, step.readings, when) for step, when in due] == [
                ("note", "drop", 1, clock())
            ]
            # In 25 days temp's first are 35 days old; the first of them is due when it is 30 days old.
            plan, due = await hub.retention.plan(within_s=25 * DAY_S)
            assert plan.now_ms == 125 * DAY_MS
            assert [(step.key, step.readings, when) for step, when in due if step.key == "temp"] == [
                ("temp", 5, 120 * DAY_MS)
            ]
            assert len((await hub.past.readings(device, "note", 0, clock()))[1]) == 1
            await hub.retention.apply()
            assert (await hub.past.readings(device, "note", 0, clock()))[1] == []
            assert len((await hub.past.readings(device, "temp", 0, clock()))[1]) == 10
            assert device.latest() == {"temp": {"value": 99, "ts": 99 * DAY_MS}}
            counters = hub.retention.counters
            assert (counters.runs, counters.dropped, counters.thinned) == (1, 1, 0)

    anyrun(scene())


def test_it_is_applied_every_so_often_and_a_failure_is_tried_again(anyrun, caplog):
    async def scene():
        clock = FakeClock(100 * DAY_MS)
        async with open_hub(clock=clock) as hub:
            device, session = await attached(hub, "a")
            retention, real = hub.retention, hub.store.retain

            def full(policy, now_ms):
                raise StorageFull("no space left")

            task = asyncio.get_running_loop().create_task(retention.run())
            try:
                hub.store.retain = full
                retention.use(Settings(drop_after_s=DAY_S, every_s=0.001))
                task.cancel()
                task = asyncio.get_running_loop().create_task(retention.run())
                await until(lambda: retention.counters.failures > 1)
                assert "what is too old stays for now: no space left" in caplog.text
                hub.store.retain = real
                await until(lambda: retention.counters.runs > 0)
                hub.ingest(session, device, [(5, "temp", 1)], 1)
                await until(lambda: retention.counters.dropped == 1)
                clock.advance(DAY_MS / 1000)
                hub.ingest(session, device, [(99 * DAY_MS + 5, "temp", 2)], 1)
                await until(lambda: retention.counters.dropped == 2)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    anyrun(scene())


def test_a_plan_of_many_steps_works_the_policy_out_once(anyrun, monkeypatch):
    """It looks at every device: once a step, it would stand still the loop of a server with many."""
    asked = []
    monkeypatch.setattr("hardpoint.hub.retention.kept_by_field", lambda devices: asked.append(1) or ())

    async def scene():
        clock = FakeClock(100 * DAY_MS)
        async with open_hub(clock=clock) as hub:
            device, session = await attached(hub, "a")
            hub.ingest(session, device, [(DAY_MS, key, 1) for key in ("a", "b", "c")], 1)
            await hub.commits.durable()
            hub.retention.use(Settings(drop_after_s=DAY_S))
            _, due = await hub.retention.plan()
            assert (len(due), len(asked)) == (3, 1)

    anyrun(scene())


def test_nothing_is_due_before_the_next_run(anyrun):
    async def scene():
        clock = FakeClock(100 * DAY_MS)
        async with open_hub(clock=clock) as hub:
            retention = hub.retention
            retention.use(Settings(drop_after_s=DAY_S, every_s=3600.0))
            task = asyncio.get_running_loop().create_task(retention.run())
            await until(lambda: retention.counters.runs == 1)
            device, session = await attached(hub, "a")
            hub.ingest(session, device, [(DAY_MS, "temp", 1)], 1)
            await hub.commits.durable()
            _, ((_, due_ms),) = await retention.plan()
            assert due_ms == 100 * DAY_MS + 3_600_000
            clock.advance(7200)
            _, ((_, due_ms),) = await retention.plan()
            assert due_ms == clock(), "it is late"
            task.cancel()

    anyrun(scene())


def test_a_fault_is_not_the_end_of_it(anyrun, caplog):
    async def scene():
        async with open_hub(clock=FakeClock(100 * DAY_MS)) as hub:
            retention, real = hub.retention, hub.store.retain

            def broken(policy, now_ms):
                raise ValueError("a chunk that is no chunk")

            hub.store.retain = broken
            retention.use(Settings(drop_after_s=DAY_S, every_s=0.001))
            task = asyncio.get_running_loop().create_task(retention.run())
            try:
                await until(lambda: retention.counters.failures > 1 or task.done())
                assert "a chunk that is no chunk" in caplog.text
                hub.store.retain = real
                await until(lambda: retention.counters.runs > 0 or task.done())
                assert not task.done()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    anyrun(scene())


def test_without_a_policy_nothing_is_looked_at(anyrun):
    async def scene():
        async with open_hub() as hub:
            hub.store.retain = pytest.fail
            hub.retention.every_s = 0.001
            task = asyncio.get_running_loop().create_task(hub.retention.run())
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    anyrun(scene())


def test_rules_of_a_device_hold_as_those_of_all_do():
    policy = Policy((Keep("a*", "t", 1.0), Keep("*", "u"), Keep("a?", "*", 2.0, 3.0), Keep("b", "t", 4.0)), 5)
    known = [Series(number, device, key) for number, (device, key) in enumerate(product(("a", "ab", "b", "*"), "tuv"))]
    limits = limits_by_series(policy, known, 10_000)
    for series in known:
        rule = policy.rule_for(series)
        assert policy.of_device(series.device_id).rule_for(series) is rule
        expected = None if rule is None or rule.thin_after_s is None else 10_000 - rule.thin_after_s * 1000
        assert (limits[series.id].thin_before_ms if series.id in limits else None) == expected
    assert limits
