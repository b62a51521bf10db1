"""What is set of keys: stored as one attribute, told to pages, and heeded by retention."""

from __future__ import annotations

import pytest

from hardpoint.errors import BadInput, TooLarge
from hardpoint.hub import fields as module
from hardpoint.hub.fields import Field, change_fields, fields_of, shown
from hardpoint.model import Keep

from .hubs import open_hub


def test_they_are_merged_by_key_and_taken_back(run):
    async def scene():
        async with open_hub() as hub:
            device, _ = await hub.create_device("dev")
            assert fields_of(device) == {}
            await change_fields(hub, device, {"temp": Field("Air", "°C", 1, 86_400.0), "hum": Field(unit="%")})
            assert hub.attributes(device, "server") == {
                "fields": {
                    "hum": {"unit": "%"},
                    "temp": {"label": "Air", "unit": "°C", "decimals": 1, "keep_s": 86_400.0},
                }
            }
            assert hub.describe(device)["fields"]["hum"] == {"unit": "%"}
            assert hub.retention.policy.rules == (Keep("dev", "temp", None, 86_400.0),)
            await change_fields(hub, device, {"temp": None, "hum": Field(label="Humidity")})
            assert fields_of(device) == {"hum": Field(label="Humidity")}
            assert hub.retention.policy.rules == ()
            await change_fields(hub, device, {"hum": Field()})
            assert hub.attributes(device, "server") == {}, "nothing set is nothing kept"

    run(scene())


def test_limits(run, monkeypatch):
    monkeypatch.setattr(module, "MAX_FIELDS", 1)

    async def scene():
        async with open_hub() as hub:
            device, _ = await hub.create_device("dev")
            with pytest.raises(BadInput):
                await change_fields(hub, device, {"no key": Field("x")})
            with pytest.raises(TooLarge):
                await change_fields(hub, device, {"a": Field("x"), "b": Field("y")})
            assert fields_of(device) == {}

    run(scene())


def test_what_somebody_wrote_by_hand_and_is_none_counts_as_nothing(run):
    async def scene():
        async with open_hub() as hub:
            device, _ = await hub.create_device("dev")
            for wrong in (3, ["x"], {"temp": {"unit": 5}}, {"temp": {"colour": "red"}}):
                hub.set_attributes(device, "server", {"fields": wrong})
                assert fields_of(device) == {}

    run(scene())


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("temp", 21.5, "21.50 °C"),
        ("temp", 21, "21.00 °C"),
        ("temp", -0.004, "-0.00 °C"),
        ("temp", True, "true"),
        ("temp", "n/a", "n/a"),
        ("temp", {"a": 1}, '{"a":1}'),
        ("hum", 0.1, "0.1 %"),
        ("volt", 0.1, "0.1"),
        (None, 0.1, "0.1"),
    ],
)
def test_a_value_is_shown_as_is_set_of_its_key(key, value, text):
    assert shown(key, value, {"temp": Field("Air", "°C", 2), "hum": Field(unit="%")}) == text
