"""Readings a second, looked at now and then."""

from __future__ import annotations

import pytest

from hardpoint.hub import pace as pace_module
from hardpoint.hub.pace import LEAST_READINGS, MAX_SAMPLES, Sample

from .hubs import attached, open_hub, until


def test_readings_are_counted_by_the_time_that_passed(anyrun, monkeypatch):
    monkeypatch.setattr(pace_module, "SAMPLE_S", 0.02)

    async def scene():
        async with open_hub() as hub:
            device, session = await attached(hub)
            hub.ingest(session, device, [(None, "a", 1), (None, "b", 2)], "r")
            await hub.commits.durable()
            await until(lambda: any(sample.per_s for sample in hub.pace.samples))
            [sample] = [sample for sample in hub.pace.samples if sample.per_s]
            assert 0 < sample.per_s <= 2 / 0.019  # a timer is never early, and late on a busy machine
            assert sample.at_ms == hub.clock_ms()
            mean = sum(each.per_s for each in hub.pace.samples) / len(hub.pace.samples)
            assert hub.pace.per_s == pytest.approx(mean)

    anyrun(scene())


def test_only_the_last_quarter_of_an_hour_is_kept(anyrun, monkeypatch):
    monkeypatch.setattr(pace_module, "SAMPLE_S", 0.0)

    async def scene():
        async with open_hub() as hub:
            assert hub.pace.per_s is None
            await until(lambda: len(hub.pace.samples) == MAX_SAMPLES)
            first = hub.pace.samples[0]
            await until(lambda: hub.pace.samples[0] is not first)
            assert len(hub.pace.samples) == MAX_SAMPLES

    anyrun(scene())


def test_how_long_a_room_lasts(anyrun):
    async def scene():
        async with open_hub() as hub:
            pace = hub.pace
            assert pace.days_until(10**9, 10**6, LEAST_READINGS) is None  # no sample yet
            pace.samples.append(Sample(1, 10.0))
            # 10 bytes a reading and 10 readings a second: 8.64 MB a day.
            assert pace.days_until(86_400_000, 10 * LEAST_READINGS, LEAST_READINGS) == 10.0
            assert pace.days_until(-1, 10 * LEAST_READINGS, LEAST_READINGS) == 0.0
            assert pace.days_until(86_400_000, 10 * LEAST_READINGS, LEAST_READINGS - 1) is None
            assert pace.days_until(86_400_000, 0, LEAST_READINGS) is None
            pace.samples.clear()
            pace.samples.append(Sample(1, 0.0))
            assert pace.days_until(86_400_000, 10 * LEAST_READINGS, LEAST_READINGS) is None

    anyrun(scene())
