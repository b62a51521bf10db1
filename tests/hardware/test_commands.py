from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from hardpoint.errors import BadInput, NotFound, UnknownVerb
from hardpoint.hardware.base import Driver
from hardpoint.hardware.commands import HostCommands
from hardpoint.hardware.mount import Mount


class Fake(Driver):
    name = "fake"

    def probe(self):
        return None

    def read(self):
        return [("t", 21.5), ("ok", True)]


@pytest.fixture
def commands():
    intervals = []
    with ThreadPoolExecutor(1) as executor:
        made = HostCommands(Mount({"fake": Fake}), intervals.append, executor)
        made.intervals = intervals
        yield made


def answer(commands, method, params=None):
    return asyncio.run(commands.answer(method, params))


def test_ping(commands):
    assert answer(commands, "ping") == "pong"
    assert answer(commands, "ping", {"any": "thing"}) == "pong"


def test_read(commands):
    assert answer(commands, "read") == {"t": 21.5, "ok": True}
    assert answer(commands, "read", {}) == {"t": 21.5, "ok": True}
    assert answer(commands, "read", {"key": "t"}) == {"t": 21.5}


@pytest.mark.parametrize("seconds", [1, 2.5, 86400])
def test_set_interval(commands, seconds):
    assert answer(commands, "set-interval", {"s": seconds}) == {"s": seconds}
    assert commands.intervals == [seconds]


@pytest.mark.parametrize(
    ("method", "params", "error", "field"),
    [
        ("read", {"key": 5}, BadInput, "params.key"),
        ("read", {"key": "none"}, NotFound, None),
        ("read", [1], BadInput, "params"),
        ("set-interval", {}, BadInput, "params.s"),
        ("set-interval", {"s": True}, BadInput, "params.s"),
        ("set-interval", {"s": "10"}, BadInput, "params.s"),
        ("set-interval", {"s": 0.99}, BadInput, "params.s"),
        ("set-interval", {"s": 86401}, BadInput, "params.s"),
        ("set-interval", {"s": float("nan")}, BadInput, "params.s"),
        ("set-interval", {"s": float("inf")}, BadInput, "params.s"),
        ("set-interval", {"s": 10**400}, BadInput, "params.s"),
        ("reboot", None, UnknownVerb, None),
    ],
)
def test_what_cannot_be_done_says_why(commands, method, params, error, field):
    with pytest.raises(error) as caught:
        answer(commands, method, params)
    assert caught.value.field == field
    assert commands.intervals == []


def test_an_unknown_method_names_the_known_ones(commands):
    with pytest.raises(UnknownVerb, match="ping, read, set-interval"):
        answer(commands, "x" * 1000)
