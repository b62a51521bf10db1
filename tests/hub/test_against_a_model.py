"""The ledger, presence and a rule's commands against a model of a page: whatever devices, callers, time and power cuts
do, in any order, on the real store and in memory. (`rules/test_against_a_model.py` has rules and news alone.)
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from hardpoint.config import Limits
from hardpoint.errors import Conflict, NotFound, StorageFull, TooLarge
from hardpoint.hub.hub import Hub
from hardpoint.model import COMMAND_FINAL_STATES, Rule
from hardpoint.stores.sqlite import SqliteStore
from hardpoint.testing import FakeClock

from .hubs import FULL, HeldStore, NotingSession, until

DEVICES = ("a", "b")
MAX_OPEN = 4
EVERY_S = 10.0
LATE_MS, SILENT_MS = 15_000, 30_000
HOT, COOL = 30, 28


@dataclass
class ModelCommand:
    """What the ledger should say of one."""

    number: int
    device: str
    expires_ms: int
    steps: list[str] = field(default_factory=lambda: ["queued"])

    @property
    def state(self):
        return self.steps[-1]

    @property
    def open(self):
        return self.state not in COMMAND_FINAL_STATES


@dataclass
class ModelSession:
    """A connection, and what must have come over it."""

    real: NotingSession
    delivered: list[int] = field(default_factory=list)


@dataclass
class ModelDevice:
    sessions: list[ModelSession] = field(default_factory=list)
    last_reading_ms: int | None = None
    hot: bool = False


class Machine(RuleBasedStateMachine):
    """One hub with a fake clock; ``make_store`` is set by the test."""

    make_store = None

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.devices = {name: ModelDevice() for name in DEVICES}
        self.commands = {}
        self.next_number = 1
        self.kept = type(self).make_store(self.folder.name)
        self.run(self.open())

    def run(self, coroutine):
        return self.runner.run(coroutine)

    async def open(self):
        self.store = self.kept if isinstance(self.kept, HeldStore) else type(self).make_store(self.folder.name)
        await asyncio.to_thread(self.store.open)
        self.hub = Hub(self.store, Limits(max_open_commands_per_device=MAX_OPEN), clock_ms=self.clock)
        self.hub.fill()

    @initialize()
    def two_devices_and_a_rule(self):
        async def make():
            for name in DEVICES:
                device, _ = await self.hub.create_device(name)
                await self.hub.change_device(device, {"expected_every_s": EVERY_S})
            when = {"key": "temp", "is": "above", "value": HOT, "until": COOL}
            await self.hub.alerting.rules.add(Rule("hot", "Hot", "all", when, 0, command={"method": "vent"}))

        self.run(make())

    # -- what the model says

    def open_of(self, name):
        return [command for command in self.commands.values() if command.device == name and command.open]

    def deliver(self, command):
        """Over the newest connection that takes commands."""
        for session in reversed(self.devices[command.device].sessions):
            if session.real.takes_commands:
                session.delivered.append(command.number)
                if command.state == "queued":
                    command.steps.append("sent")
                return

    def added(self, name, ttl_s):
        command = ModelCommand(self.next_number, name, self.clock.now_ms + int(ttl_s * 1000))
        self.commands[command.number] = command
        self.next_number += 1
        self.deliver(command)

    def choose(self, data):
        return data.draw(st.sampled_from(sorted(self.commands)))

    # -- devices

    @rule(name=st.sampled_from(DEVICES), takes=st.booleans())
    def attach(self, name, takes):
        session = ModelSession(NotingSession(takes))
        self.devices[name].sessions.append(session)
        for command in self.open_of(name):
            if command.state != "delivered":
                self.deliver(command)
        self.hub.attach(session.real, self.hub.catalogue.find(name))

    @rule(data=st.data(), name=st.sampled_from(DEVICES))
    def detach(self, data, name):
        sessions = self.devices[name].sessions
        if sessions:
            gone = sessions.pop(data.draw(st.integers(0, len(sessions) - 1)))
            self.hub.detach(gone.real)

    @precondition(lambda self: self.commands)
    @rule(data=st.data(), by=st.sampled_from(DEVICES), ok=st.booleans())
    def answer(self, data, by, ok):
        command = self.commands[self.choose(data)]
        device = self.hub.catalogue.find(by)
        if command.open and command.device == by:
            self.hub.answer(device, command.number, ok, "said")
            command.steps.append("done" if ok else "failed")
        else:
            with pytest.raises(NotFound):
                self.hub.answer(device, command.number, ok, "said")

    @precondition(lambda self: self.commands)
    @rule(data=st.data(), step=st.sampled_from(["delivered", "cancelled"]))
    def transport_acknowledges_or_caller_cancels(self, data, step):
        command = self.commands[self.choose(data)]
        real = self.hub.ledger.get(command.number)
        assert (real is not None) is command.open
        if real is None:
            return
        if command.state == step:
            with pytest.raises(Conflict):
                self.hub.ledger.advance(real, step)
        else:
            self.hub.ledger.advance(real, step)
            command.steps.append(step)

    @rule(name=st.sampled_from(DEVICES), value=st.integers(26, 33))
    def reading(self, name, value):
        model = self.devices[name]
        session = NotingSession(takes_commands=False)  # as one of HTTP, which is never attached
        self.clock.advance(ms=2)
        model.last_reading_ms = self.clock.now_ms
        expected = None
        if value > HOT and not model.hot:
            model.hot = True
            if len(self.open_of(name)) < MAX_OPEN:
                expected = self.next_number
                self.added(name, 60)
        elif value <= COOL:
            model.hot = False

        async def say():
            self.hub.ingest(session, self.hub.catalogue.find(name), [(None, "temp", value)], "r")
            await self.hub.commits.durable()
            await self.hub.commits.durable()
            if expected is not None:  # its delivery is a task
                await until(lambda: expected not in self.hub.ledger._storing)

        self.run(say())

    # -- callers

    @rule(name=st.sampled_from(DEVICES), ttl_s=st.sampled_from([10, 60, 600]))
    def queue(self, name, ttl_s):
        device = self.hub.catalogue.find(name)
        if len(self.open_of(name)) >= MAX_OPEN:
            with pytest.raises(TooLarge):
                self.run(self.hub.ledger.queue(device, "go", None, ttl_s))
            return
        assert self.run(self.hub.ledger.queue(device, "go", None, ttl_s)).id == self.next_number
        self.added(name, ttl_s)

    @precondition(lambda self: isinstance(self.store, HeldStore))
    @rule(name=st.sampled_from(DEVICES))
    def queue_on_a_full_disk(self, name):
        if len(self.open_of(name)) < MAX_OPEN:
            self.store.error = FULL
            with pytest.raises(StorageFull):
                self.run(self.hub.ledger.queue(self.hub.catalogue.find(name), "go"))
            self.store.error = None
            self.next_number += 1  # it may have reached the disk after all, so its number is not given again

    # -- time and power

    @rule(seconds=st.sampled_from([1, 9, 16, 31, 70]))
    def time(self, seconds):
        self.clock.advance(seconds)
        for command in self.commands.values():
            if command.open and command.expires_ms <= self.clock.now_ms:
                command.steps.append("expired")

        async def look():
            self.hub.ledger._expire()
            self.hub.alerting.agenda.run_due(self.hub.alerting.agenda.now_ms())

        self.run(look())

    @rule(orderly=st.booleans())
    def restart(self, orderly):
        """After a crash everything is as the last commit left it; what is under way here is waited for."""

        async def end():
            if orderly:
                await self.hub.close()
            else:
                await self.hub.commits.durable()
                self.hub.ledger.close()
                self.hub.alerting.agenda.close()
            await asyncio.to_thread(self.store.close)
            await self.open()

        self.run(end())
        self.next_number = max(self.commands, default=0) + 1
        for device in self.devices.values():
            device.sessions.clear()

    # -- what must hold

    def check_invariants(self, *arguments, **named):
        super().check_invariants(*arguments, **named)
        if len(self.hub.catalogue) < len(DEVICES):
            return
        self.run(self.compare())

    async def compare(self):
        await self.hub.commits.durable()
        stored = {each.id: [step[0] for step in each.steps] for each in self.store.commands(limit=10_000)}
        assert stored == {number: command.steps for number, command in self.commands.items()}
        open_now = {each.number for name in DEVICES for each in self.open_of(name)}
        assert self.hub.ledger.open_count == len(open_now)
        now = self.clock.now_ms
        for name, model in self.devices.items():
            device = self.hub.catalogue.find(name)
            assert set(device.open_commands or ()) == {each.number for each in self.open_of(name)}
            for session in model.sessions:
                assert [number for number, _, _ in session.real.delivered] == session.delivered
            presence = self.hub.describe(device)["presence"]
            quiet_ms = None if model.last_reading_ms is None else now - model.last_reading_ms
            assert (presence["connected"] is not None) is bool(model.sessions)
            assert presence["last_reading"] == model.last_reading_ms
            assert presence["late"] is (quiet_ms is not None and quiet_ms > LATE_MS)
            assert presence["silent"] is (quiet_ms is not None and quiet_ms > SILENT_MS)
            firing = self.hub.alerting.alerts.of("hot", name) is not None
            assert firing is model.hot

    def teardown(self):
        self.run(self.hub.close())
        self.run(asyncio.to_thread(self.store.close))
        self.runner.close()
        self.folder.cleanup()


class SqliteMachine(Machine):
    make_store = staticmethod(SqliteStore)


class MemoryMachine(Machine):
    make_store = staticmethod(lambda _folder: HeldStore())


# A step on a disk costs some milliseconds, so most of the runs are in memory.
@pytest.mark.parametrize(("machine", "examples"), [(SqliteMachine, 8), (MemoryMachine, 60)])
def test_ledger_and_presence_against_a_model(machine, examples):
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=30, deadline=None))
