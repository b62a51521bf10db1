"""The filter language, as the server reads it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter_cases import DEVICE, FAILS, HOLDS, NOW_MS, REFUSED
from hardpoint.errors import BadInput
from hardpoint.hub.fields import Field, change_fields
from hardpoint.web.filters import MAX_CHARS, MAX_TERMS, DeviceView, Filter
from hub.hubs import attached, open_hub


class Described:
    """A device as the API gives it."""

    name, id, labels = DEVICE["name"], DEVICE["id"], DEVICE["labels"]

    def presence(self):
        return DEVICE["presence"]

    def value(self, key):
        return DEVICE["latest"].get(key, {}).get("value")

    def unit(self, key):
        return DEVICE["fields"].get(key, {}).get("unit", "")


@pytest.mark.parametrize("text", HOLDS)
def test_holds(text):
    assert Filter(text).holds(Described(), NOW_MS)


@pytest.mark.parametrize("text", FAILS)
def test_does_not_hold(text):
    assert not Filter(text).holds(Described(), NOW_MS)


@pytest.mark.parametrize(("text", "column"), REFUSED)
def test_what_is_wrong_is_said_with_its_place(text, column):
    with pytest.raises(BadInput) as refused:
        Filter(text)
    assert refused.value.field == "filter"
    assert refused.value.message.endswith(f"(column {column})")


def test_limits():
    Filter(" ".join(["a"] * MAX_TERMS))
    for text in (" ".join(["a"] * (MAX_TERMS + 1)), "a" * (MAX_CHARS + 1)):
        with pytest.raises(BadInput, match="at most"):
            Filter(text)


@pytest.mark.hypothesis
@given(st.text(st.sampled_from('ab-:~<>=!"., 5ms\t') | st.characters(), max_size=30))
def test_any_text_is_a_filter_or_refused_with_a_place(text):
    try:
        refused, found = "", Filter(text)
    except BadInput as error:
        refused, found = error.message, None
    assert refused == "" or re.search(r"\(column [0-9]+\)$", refused)
    assert found is None or found.holds(Described(), NOW_MS) in (True, False)


def test_a_device_of_the_hub(run, clock):
    async def scene():
        async with open_hub(clock=clock) as hub:
            device, session = await attached(hub)
            hub.ingest(session, device, [(None, "temp", 21.5)], None)
            await hub.commits.durable()
            view = DeviceView(device, clock())
            assert Filter("temp>21 is:online name=dev over:test").holds(view, clock())
            assert not Filter("hum>1").holds(view, clock())
            assert Filter("temp=70.7F").holds(view, clock())
            await change_fields(hub, device, {"temp": Field(unit="°F")})
            assert Filter("temp=21.5F -temp>20C").holds(view, clock())

    run(scene())
