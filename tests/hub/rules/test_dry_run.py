"""A dry run raises what the rule would have raised at work: on any readings, by the same times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.errors import BadInput, TooLarge
from hardpoint.hub.rules.dry_run import dry_run
from properties import examples

from ..hubs import attached, open_hub
from .scenes import alerts, pass_s, rule, say

START_MS = 1_700_000_000_000

CONDITIONS = [
    {"key": "temp", "is": "above", "value": 30, "until": 28},
    {"key": "temp", "is": "outside", "low": 10, "high": 30},
    {"key": "temp", "is": "changing", "by": 5, "within_s": 20},
    {"key": "temp", "is": "missing"},
    {"key": "*", "is": "missing"},
    {"is": "expression", "text": "temp > 30 and hum < 20", "until": "temp < 28"},
]

readings = st.lists(
    st.tuples(
        st.integers(0, 40),  # seconds since the one before
        st.sampled_from(["temp", "hum", "other"]),
        st.one_of(st.integers(0, 40), st.sampled_from(["x", True, None])),
    ),
    max_size=30,
)


@examples(60)
@given(st.sampled_from(CONDITIONS), st.sampled_from([1.0, 15.0, 60.0]), readings)
def test_raises_what_the_rule_at_work_raises(when, for_s, given_readings):
    import asyncio

    from hardpoint.testing import FakeClock

    async def scene():
        clock = FakeClock(START_MS)
        async with open_hub(None, clock) as hub:
            _, session = await attached(hub)
            record = rule(when, for_s=for_s)
            for key in ("temp", "hum", "other"):  # the series are there, so that both know what may be missing
                await say(hub, session, (START_MS, 20), key=key)
            await hub.alerting.rules.add(record)
            for key in ("temp", "hum", "other"):
                await say(hub, session, (START_MS, 20), key=key)
            for gap_s, key, value in given_readings:
                await pass_s(hub, clock, gap_s + 0.001)  # no two at once: their order would be the store's
                await say(hub, session, (clock.now_ms, value), key=key)
            await pass_s(hub, clock, 100)
            run = await dry_run(hub, record, START_MS, clock.now_ms + 1)
            assert [(record.id, one.device_id, one.fired_ms, one.resolved_ms) for one in run.firings] == alerts(hub)

    asyncio.run(scene())


def test_looks_at_the_devices_and_keys_of_the_rule(anyrun, clock):
    async def scene():
        async with open_hub(None, clock) as hub:
            for name in ("a", "b"):
                _, session = await attached(hub, name)
                await say(hub, session, (1, 31), (2, 20), (3, 31))
                await say(hub, session, (1, 99), key="hum")
            run = await dry_run(hub, rule(scope="device:b"), 0, 100)
            assert [(one.device_id, one.since_ms, one.fired_ms, one.resolved_ms, one.value) for one in run.firings] == [
                ("b", 1, 1, 2, 31),
                ("b", 3, 3, None, 31),
            ]
            assert run.readings == 3
            assert (await dry_run(hub, rule(), 2, 3)).readings == 2
            assert alerts(hub) == [], "nothing is raised"

    anyrun(scene())


def test_nothing_is_missing_before_it_was_ever_there(anyrun, clock):
    async def scene():
        async with open_hub(None, clock) as hub:
            _, session = await attached(hub)
            await say(hub, session, (500_000, 20), (700_000, 20))
            missing = rule({"key": "temp", "is": "missing"}, for_s=100)
            run = await dry_run(hub, missing, 0, 750_000)
            assert [(one.since_ms, one.fired_ms, one.resolved_ms) for one in run.firings] == [
                (500_000, 600_000, 700_000)
            ]
            run = await dry_run(hub, missing, 650_000, 750_000)
            assert run.firings == [], "it was there before, and came again in time"
            assert (await dry_run(hub, missing, 0, 500_000)).firings == []

    anyrun(scene())


def test_is_bounded(anyrun, clock, monkeypatch):
    monkeypatch.setattr("hardpoint.hub.rules.dry_run.MAX_READINGS", 3)
    monkeypatch.setattr("hardpoint.hub.rules.dry_run.MAX_FIRINGS", 1)

    async def scene():
        async with open_hub(None, clock) as hub:
            _, session = await attached(hub)
            await say(hub, session, (1, 31), (2, 20), (3, 31), (4, 31))
            assert len((await dry_run(hub, rule(), 0, 4)).firings) == 1
            with pytest.raises(TooLarge):
                await dry_run(hub, rule(), 0, 5)
            with pytest.raises(BadInput) as caught:
                await dry_run(hub, rule(), 5, 5)
            assert caught.value.field == "from_ms"

    anyrun(scene())
