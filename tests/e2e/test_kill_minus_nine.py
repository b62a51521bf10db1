"""SPEC §8: acknowledged means on disk. ``kill -9`` at any moment loses nothing that was acknowledged."""

from __future__ import annotations

import http.client
import os
import random
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from serving import DEADLINE_S
from talking import HttpDevice, LineDevice

if TYPE_CHECKING:
    from serving import Api, Serve, ServerProcess

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "20"))
SEED = int(os.environ.get("HARDPOINT_TEST_SEED", "20261123"))
MOST_BEFORE_KILL = 600
"""Acknowledgements of one round: from the first commit of a start to some hundred commits later."""
WINDOW = 16
"""Lines under way on one connection, so that a commit holds several readings of it."""
BASE_MS = 1_732_320_000_000

GONE = (OSError, EOFError, http.client.HTTPException)
"""What a client sees of a server that was killed."""


class Record:
    """What was sent and what was acknowledged, by series; written to by several threads."""

    def __init__(self) -> None:
        self.sent: dict[tuple[str, str], set[int]] = defaultdict(set)
        self.acknowledged: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.attribute = {"sent": 0, "acknowledged": 0}
        self.devices: list[str] = []
        self.commands: list[int] = []
        self._count = 0
        self._changed = threading.Condition()

    def acknowledge(self, series: tuple[str, str], number: int) -> None:
        self.acknowledged[series].append(number)
        self.count_one()

    def count_one(self) -> None:
        with self._changed:
            self._count += 1
            self._changed.notify()

    def wait_for(self, more: int) -> None:
        with self._changed:
            goal = self._count + more
            assert self._changed.wait_for(lambda: self._count >= goal, DEADLINE_S), "the server acknowledges nothing"


def lines_with_tags(port: int, token: str, record: Record, first: int) -> None:
    """Readings with the device's own times, `WINDOW` of them under way."""
    series = ("tagged", "n")
    with LineDevice(port, token) as device:
        for number in range(first, first + 1_000_000):
            record.sent[series].add(number)
            device.send(f"#{number} n={number} @{BASE_MS + number}")
            if number - first >= WINDOW:
                answer = device.read()
                assert answer.endswith(" OK 1"), answer
                record.acknowledge(series, int(answer.split()[0][1:]))


def lines_one_by_one(port: int, token: str, record: Record, first: int) -> None:
    """Readings that the server stamps, each waiting for its OK, with other kinds of values beside."""
    series = ("plain", "n")
    with LineDevice(port, token) as device:
        for number in range(first, first + 1_000_000):
            record.sent[series].add(number)
            assert device.ask(f'n={number} even={str(number % 2 == 0).lower()} note="n {number}"') == "OK 3"
            record.acknowledge(series, number)


def lines_attributes(port: int, token: str, record: Record, first: int) -> None:
    """One attribute that counts up, on the same device and at the same time as its readings."""
    with LineDevice(port, token) as device:
        for number in range(first, first + 1_000_000):
            record.attribute["sent"] = number
            assert device.ask(f"ATTR n={number}") == "OK 1"
            record.attribute["acknowledged"] = number
            record.count_one()


def http_telemetry(port: int, token: str, record: Record, first: int) -> None:
    """A POST a reading on a connection that is kept."""
    series = ("posting", "n")
    with HttpDevice(port, token) as device:
        for number in range(first, first + 1_000_000):
            record.sent[series].add(number)
            assert device.post("telemetry", {"n": number})[0] == 200
            record.acknowledge(series, number)


def administration(api: Api, record: Record, first: int) -> None:
    """Devices and commands: what the administrator was told of exists afterwards."""
    for number in range(first, first + 1_000_000):
        api.add_device(f"made-{number}")
        record.devices.append(f"made-{number}")
        answer = api.post(f"/api/devices/made-{number}/commands", {"method": "blink", "ttl_s": 86_400})
        record.commands.append(answer["id"])
        record.count_one()


DEVICES = {
    "tagged": lines_with_tags,
    "plain": lines_one_by_one,
    "attributed": lines_attributes,
    "posting": http_telemetry,
}


class Crowd:
    """The devices and the administrator, each on a thread, until the server is gone."""

    def __init__(self, server: ServerProcess, tokens: dict[str, str], record: Record, first: int) -> None:
        self._failures: list[BaseException] = []
        jobs: list[tuple[Callable[..., None], tuple[Any, ...]]] = [(administration, (server.api, record, first))]
        for name, work in DEVICES.items():
            port = server.ports["http" if work is http_telemetry else "line"]
            jobs.append((work, (port, tokens[name], record, first)))
        self._threads = [threading.Thread(target=self._work, args=job) for job in jobs]
        for thread in self._threads:
            thread.start()

    def check(self) -> None:
        """Nobody has given up while the server was there."""
        assert all(thread.is_alive() for thread in self._threads), self._failures

    def join(self) -> None:
        for thread in self._threads:
            thread.join(DEADLINE_S)
        assert not self._failures
        assert not any(thread.is_alive() for thread in self._threads)

    def _work(self, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        try:
            work(*arguments)
        except GONE:
            pass
        except BaseException as error:  # reported by the test's own thread
            self._failures.append(error)


def check_nothing_is_missing(api: Api, record: Record) -> None:
    for (device, key), acknowledged in record.acknowledged.items():
        found = api.readings(device, key)
        values = [value for _, value in found]
        missing = set(acknowledged).difference(values)
        assert not missing, (
            f"{device} {key}: {len(missing)} acknowledged readings are gone, the first is {min(missing)}"
        )
        assert len(values) == len(set(values)), "no reading is stored twice"
        assert set(values) <= record.sent[device, key], "nothing is there that nobody sent"
        assert values == sorted(values), "later readings have later times"
        if device == "tagged":
            assert all(ts == BASE_MS + value for ts, value in found)
    plain = {key: api.readings("plain", key) for key in ("n", "even", "note")}
    assert [(ts, value % 2 == 0) for ts, value in plain["n"]] == plain["even"]
    assert [(ts, f"n {value}") for ts, value in plain["n"]] == plain["note"], "a line is stored whole or not at all"
    stored = api.get("/api/devices/attributed/attributes", scope="client").get("n", 0)
    assert record.attribute["acknowledged"] <= stored <= record.attribute["sent"]
    for device in record.devices[-20:]:
        assert api.get(f"/api/devices/{device}")["name"] == device
    for command in record.commands[-20:]:
        assert api.get(f"/api/commands/{command}")["state"] == "queued"


@pytest.mark.slow
def test_kill_minus_nine_loses_nothing_acknowledged(serve: Serve) -> None:
    print(f"HARDPOINT_TEST_SEED={SEED}")
    moment = random.Random(SEED)
    record = Record()
    server = serve()
    tokens = {name: server.api.add_device(name) for name in DEVICES}
    for round_ in range(ROUNDS):
        crowd = Crowd(server, tokens, record, first=1 + round_ * 1_000_000)
        record.wait_for(moment.randint(1, MOST_BEFORE_KILL))
        crowd.check()
        server.kill()
        crowd.join()
        server.start()
        check_nothing_is_missing(server.api, record)
    assert server.stop() == 0
    assert set(record.acknowledged) == {("tagged", "n"), ("plain", "n"), ("posting", "n")}, "each dialect took part"
