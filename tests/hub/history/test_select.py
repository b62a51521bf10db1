"""Which series are meant."""

from __future__ import annotations

import pytest

from hardpoint.errors import BadInput, NotFound
from hardpoint.hub.devices import Catalogue, DeviceState
from hardpoint.hub.history.select import select
from hardpoint.model import Device


@pytest.fixture
def catalogue():
    made = Catalogue(10)
    for number, (name, keys) in enumerate({"b:x": ["temp", "hum"], "a": ["temp"], "empty": []}.items()):
        device = DeviceState(Device(made.new_id(name), name, 0))
        made.add(device)
        for place, key in enumerate(keys):
            made.add_series(number * 10 + place, device, key)
    return made


def chosen(catalogue, named=(), devices=(), keys=()):
    return [(each.device.id, each.key) for each in select(catalogue, named, devices, keys)]


def test_one_by_one(catalogue):
    assert chosen(catalogue, ["b:x:temp", "a:temp", "a:temp"]) == [("a", "temp"), ("b-x", "temp")]
    assert chosen(catalogue, ["b-x:hum"]) == [("b-x", "hum")]


def test_by_patterns(catalogue):
    assert chosen(catalogue, devices=["*"]) == [("a", "temp"), ("b-x", "hum"), ("b-x", "temp")]
    assert chosen(catalogue, devices=["b:?"], keys=["h*"]) == [("b-x", "hum")]
    assert chosen(catalogue, devices=["a", "a", "b*"], keys=["temp"]) == [("a", "temp"), ("b-x", "temp")]
    assert chosen(catalogue, keys=["hum"]) == [("b-x", "hum")]
    assert chosen(catalogue, ["a:temp"], devices=["b-x"], keys=["nothing"]) == [("a", "temp")]
    assert chosen(catalogue, devices=["z*"]) == []
    assert chosen(catalogue, devices=["empty"]) == []


def test_what_is_not_there(catalogue):
    for named, devices in ((["a:never"], []), (["z:temp"], []), ([], ["z"])):
        with pytest.raises(NotFound):
            select(catalogue, named, devices, [])
    for named in ([], ["temp"]):
        with pytest.raises(BadInput) as refused:
            select(catalogue, named, [], [])
        assert refused.value.field == "series"
