"""Rules, alerts and news against a model of a page: whatever happens, in any order, over restarts and crashes.

The hub runs on the real store, and on that in memory, with a fake clock. Times are whole even seconds: a watch that
waits is asked anew only when it has to come a second earlier (`watch.EARLIER_MS`).
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, multiple, precondition, rule

from hardpoint.config import Limits
from hardpoint.hub.hub import Hub
from hardpoint.hub.rules.alerts import muted_until
from hardpoint.hub.rules.engine import LOOK_BACK_MS
from hardpoint.model import Channel, Rule
from hardpoint.stores.memory import MemoryStore
from hardpoint.stores.sqlite import SqliteStore
from hardpoint.testing import FakeClock
from properties import examples

from ..hubs import NotingSession
from .scenes import Receiver, pass_s, say

FOR_MS = 60_000
LATE_MS = 3_600_000
LIMIT, UNTIL = 30, 28


@dataclass
class ModelAlert:
    """What `Alert` should say."""

    rule: str
    device: str
    fired_ms: int
    resolved_ms: int | None = None
    removed: bool = False
    acknowledged: bool = False
    told: bool = True
    """Whether its beginning was told, and so its end will be."""


@dataclass
class Stand:
    """How a rule stands on a device."""

    state: str = "normal"
    since_ms: int = 0
    due_ms: int | None = None


@dataclass
class ModelDevice:
    labelled: bool
    ts: int = -1
    value: float = 0.0


@dataclass
class Model:
    """The rules as a person would tell them."""

    devices: dict[str, ModelDevice] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    stands: dict[tuple[str, str], Stand] = field(default_factory=dict)
    alerts: list[ModelAlert] = field(default_factory=list)
    muted: dict[str, int] = field(default_factory=dict)
    """Until when; of rules by their ids, of devices by theirs: they differ."""

    def concerned(self, device_id):
        """The rules that look at a device."""
        device = self.devices[device_id]
        return [
            each
            for each in self.rules.values()
            if each.scope == "all"
            or each.scope == f"device:{device_id}"
            or (each.scope == "label:glass" and device.labelled)
        ]

    def begin(self, rule_id, device_id, now_ms):
        """Absence is waited for from now on, where there was something."""
        if self.rules[rule_id].when["is"] == "missing" and self.devices[device_id].ts >= 0:
            stand = self.stands.setdefault((rule_id, device_id), Stand())
            if stand.state == "normal":
                stand.due_ms = now_ms + FOR_MS

    def come(self, device_id, ts, value, now_ms):
        """A reading; one that is late says only that the device is there."""
        device = self.devices[device_id]
        late = ts < device.ts
        if not late:
            device.ts, device.value = ts, value
        for each in self.concerned(device_id):
            stand = self.stands.setdefault((each.id, device_id), Stand())
            if each.when["is"] == "missing":
                if stand.state == "firing":
                    self.end(each.id, device_id, now_ms)
                stand.state, stand.due_ms = "normal", now_ms + FOR_MS
            elif not late:
                self.judge(each, device_id, stand, now_ms)

    def judge(self, each, device_id, stand, now_ms):
        device = self.devices[device_id]
        ts, for_ms = device.ts, int(each.for_s * 1000)
        if not device.value > (UNTIL if stand.state == "firing" else LIMIT):
            if stand.state == "firing":
                self.end(each.id, device_id, ts)
            stand.state, stand.due_ms = "normal", None
        elif stand.state == "normal":
            stand.state, stand.since_ms, stand.due_ms = "pending", ts, now_ms + for_ms
            if for_ms == 0:
                self.fire(each.id, device_id, stand, ts, now_ms)
        elif stand.state == "pending":
            stand.due_ms = min(stand.due_ms, now_ms + for_ms - (ts - stand.since_ms))
            if ts - stand.since_ms >= for_ms:
                self.fire(each.id, device_id, stand, ts, now_ms)

    def fire(self, rule_id, device_id, stand, at_ms, now_ms):
        stand.state, stand.due_ms = "firing", None
        muted_ms = max(self.muted.get(rule_id, 0), self.muted.get(device_id, 0))
        self.alerts.append(ModelAlert(rule_id, device_id, at_ms, told=now_ms >= muted_ms))

    def end(self, rule_id, device_id, at_ms, *, removed=False):
        for alert in self.alerts:
            if (alert.rule, alert.device, alert.resolved_ms) == (rule_id, device_id, None):
                alert.resolved_ms, alert.removed = at_ms, removed

    def forget(self, place, now_ms, *, removed=False):
        if self.stands.pop(place, Stand()).state == "firing":
            self.end(*place, now_ms, removed=removed)

    def pass_to(self, now_ms):
        for (rule_id, device_id), stand in self.stands.items():
            if stand.due_ms is not None and stand.due_ms <= now_ms:
                self.fire(rule_id, device_id, stand, stand.due_ms, stand.due_ms)

    def restart(self, now_ms):
        for (rule_id, device_id), stand in list(self.stands.items()):
            if stand.state == "normal":
                del self.stands[rule_id, device_id]
            elif stand.state == "pending":
                stand.due_ms = now_ms + FOR_MS
        for rule_id in self.rules:
            for device_id in self.devices:
                if self.rules[rule_id] in self.concerned(device_id):
                    self.begin(rule_id, device_id, now_ms)
        newest = max((device.ts for device in self.devices.values()), default=0)
        for device_id, device in self.devices.items():
            if device.ts >= 0 and device.ts >= newest - LOOK_BACK_MS:
                for each in self.concerned(device_id):
                    if each.when["is"] != "missing":
                        self.judge(each, device_id, self.stands.setdefault((each.id, device_id), Stand()), now_ms)


class RulesMachine(RuleBasedStateMachine):
    """What people, devices, time and power cuts do; ``make_store`` gives the store of a folder, whatever was before."""

    make_store = staticmethod(SqliteStore)

    rule_ids = Bundle("rule_ids")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.receiver = Receiver()
        self.model = Model()
        self.sessions = {}
        self.numbers = 0
        self.told_of = {}  # number of an alert → which it is
        self.run(self.open())

    def run(self, coroutine):
        return self.runner.run(coroutine)

    async def open(self):
        self.store = self.make_store(self.folder.name)
        await asyncio.to_thread(self.store.open)
        self.hub = Hub(self.store, Limits(), clock_ms=self.clock, senders={"test": lambda: self.receiver})
        self.hub.fill()
        self.sessions = {}
        for device in self.hub.catalogue:
            self.attach(device)

    def attach(self, device):
        session = self.sessions[device.id] = NotingSession()
        self.hub.attach(session, device)

    async def close(self):
        await self.hub.close()
        await asyncio.to_thread(self.store.close)

    @initialize(target=rule_ids, muted=st.sampled_from(["a", "r1", None]))
    def what_most_houses_have(self, muted):
        """From nothing, few runs would come to an alert, and fewer to one that nobody is told of."""
        self.run(self.hub.alerting.outbox.put_channel(Channel("c", "phone", "test", {}, 0)))
        self.add_or_label_device("a", labelled=True)
        self.add_or_label_device("b", labelled=False)
        kinds = [(False, 0.0), (False, FOR_MS / 1000), (True, 0.0)]
        made = [self.make_rule("all", is_missing, for_s) for is_missing, for_s in kinds]
        if muted == "a":
            self.put_mute_on_device("a", 3600)
        elif muted is not None:
            self.put_mute_on_rule(muted, 3600)
        return multiple(*made)

    @rule(
        target=rule_ids,
        scope=st.sampled_from(["all", "device:a", "label:glass"]),
        is_missing=st.booleans(),
        for_s=st.sampled_from([0.0, FOR_MS / 1000]),
    )
    def add_rule(self, scope, is_missing, for_s):
        return self.make_rule(scope, is_missing, for_s)

    def make_rule(self, scope, is_missing, for_s):
        self.numbers += 1
        when = {"key": "temp", "is": "missing"}
        if not is_missing:
            when |= {"is": "above", "value": LIMIT, "until": UNTIL}
        made = Rule(f"r{self.numbers}", "R", scope, when, self.clock.now_ms, FOR_MS / 1000 if is_missing else for_s)
        made.channels = ["c"]
        self.run(self.hub.alerting.rules.add(made))
        self.model.rules[made.id] = made
        for device_id in self.model.devices:
            if made in self.model.concerned(device_id):
                self.model.begin(made.id, device_id, self.clock.now_ms)
        return made.id

    @rule(rule_id=consumes(rule_ids))
    def remove_rule(self, rule_id):
        self.run(self.hub.alerting.rules.remove(rule_id))
        del self.model.rules[rule_id]
        for place in [place for place in self.model.stands if place[0] == rule_id]:
            self.model.forget(place, self.clock.now_ms)

    @rule(rule_id=rule_ids, scope=st.sampled_from(["all", "device:b", "label:glass"]))
    def change_scope(self, rule_id, scope):
        before = self.model.rules[rule_id]
        self.model.rules[rule_id] = self.run(self.hub.alerting.rules.change(rule_id, {"scope": scope}))
        if before.scope == scope:
            return
        for place in [place for place in self.model.stands if place[0] == rule_id]:
            self.model.forget(place, self.clock.now_ms)
        for device_id in self.model.devices:
            if self.model.rules[rule_id] in self.model.concerned(device_id):
                self.model.begin(rule_id, device_id, self.clock.now_ms)

    @rule(name=st.sampled_from(["a", "b", "c"]), labelled=st.booleans())
    def add_or_label_device(self, name, labelled):
        labels = {"glass": "1"} if labelled else {}
        if name not in self.model.devices:
            device, _ = self.run(self.hub.create_device(name, labels))
            self.attach(device)
            self.model.devices[name] = ModelDevice(labelled)
            return
        self.run(self.hub.change_device(self.hub.catalogue.find(name), {"labels": labels}))
        self.model.devices[name].labelled = labelled
        concerned = {each.id for each in self.model.concerned(name)}
        for place in [place for place in self.model.stands if place[1] == name and place[0] not in concerned]:
            self.model.forget(place, self.clock.now_ms)
        for rule_id in concerned:
            if (rule_id, name) not in self.model.stands:
                self.model.begin(rule_id, name, self.clock.now_ms)

    @precondition(lambda self: self.model.devices)
    @rule(data=st.data())
    def remove_device(self, data):
        name = data.draw(st.sampled_from(sorted(self.model.devices)))
        self.run(self.hub.remove_device(self.hub.catalogue.find(name)))
        del self.sessions[name]
        for place in [place for place in self.model.stands if place[1] == name]:
            self.model.forget(place, self.clock.now_ms, removed=True)
        del self.model.devices[name]
        self.model.muted.pop(name, None)
        self.model.alerts = [
            alert for alert in self.model.alerts if alert.device != name or (alert.removed and alert.told)
        ]

    @precondition(lambda self: self.model.devices)
    @rule(data=st.data(), values=st.lists(st.integers(26, 33), min_size=1, max_size=3), late=st.booleans())
    def readings(self, data, values, late):
        name = data.draw(st.sampled_from(sorted(self.model.devices)))
        for value in values:
            self.pass_time(2)
            ts = self.clock.now_ms - (LATE_MS if late and self.model.devices[name].ts >= 0 else 0)
            self.run(say(self.hub, self.sessions[name], (ts, value)))
            self.model.come(name, ts, value, self.clock.now_ms)

    @precondition(lambda self: self.model.devices)
    @rule(data=st.data(), value=st.integers(26, 33))
    def crash_before_the_rules_saw_it(self, data, value):
        name = data.draw(st.sampled_from(sorted(self.model.devices)))
        self.pass_time(2)
        self.hub.alerting.rules.feed = lambda rows, series: None
        self.run(say(self.hub, self.sessions[name], (self.clock.now_ms, value)))
        self.model.devices[name].ts, self.model.devices[name].value = self.clock.now_ms, value
        self.restart()

    @rule(seconds=st.sampled_from([2, 20, 58, 60, 120]))
    def time(self, seconds):
        self.pass_time(seconds)

    def pass_time(self, seconds):
        self.model.pass_to(self.clock.now_ms + seconds * 1000)
        self.run(pass_s(self.hub, self.clock, seconds))

    @rule()
    def restart(self):
        self.run(self.close())
        self.clock.now_ms += 2000
        self.run(self.open())
        self.model.restart(self.clock.now_ms)

    @rule(out=st.sampled_from([None, "HTTP 503"]))
    def receiver_goes_out_or_comes_back(self, out):
        self.receiver.out = out

    @rule(rule_id=rule_ids, for_s=st.sampled_from([0, 60, 3600]))
    def mute_rule(self, rule_id, for_s):
        self.put_mute_on_rule(rule_id, for_s)

    def put_mute_on_rule(self, rule_id, for_s):
        until_ms = muted_until(self.clock.now_ms, for_s)
        self.model.rules[rule_id] = self.run(self.hub.alerting.rules.change(rule_id, {"muted_until_ms": until_ms}))
        self.model.muted[rule_id] = until_ms

    @precondition(lambda self: self.model.devices)
    @rule(data=st.data(), for_s=st.sampled_from([0, 60, 3600]))
    def mute_device(self, data, for_s):
        self.put_mute_on_device(data.draw(st.sampled_from(sorted(self.model.devices))), for_s)

    def put_mute_on_device(self, name, for_s):
        until_ms = muted_until(self.clock.now_ms, for_s)
        device = self.hub.catalogue.find(name)
        self.run(self.hub.change_record(device, lambda record: replace(record, muted_until_ms=until_ms)))
        self.model.muted[name] = until_ms

    @rule(data=st.data())
    def acknowledge(self, data):
        open_alerts = [alert for alert in self.hub.alerting.alerts.firing if alert.acknowledged_ms is None]
        if open_alerts:
            chosen = data.draw(st.sampled_from(open_alerts))
            self.hub.alerting.alerts.acknowledge(chosen.id, "ada")
            for alert in self.model.alerts:
                if (alert.rule, alert.device, alert.resolved_ms) == (chosen.rule_id, chosen.device_id, None):
                    alert.acknowledged = True

    def compare(self):
        found = [
            (one.rule_id, one.device_id, one.fired_ms, one.resolved_ms, one.acknowledged_ms is not None)
            for one in self.hub.alerting.alerts.newest_first()
        ]
        wanted = [(one.rule, one.device, one.fired_ms, one.resolved_ms, one.acknowledged) for one in self.model.alerts]
        assert sorted(found, key=str) == sorted(wanted, key=str)

    def check_invariants(self, *arguments, **named):
        super().check_invariants(*arguments, **named)
        self.compare()

    def teardown(self):
        try:
            self.receiver.out = None
            self.pass_time(4 * 3600)
            self.compare()
            told = [(news["alert"]["id"], news["event"]) for notice in self.receiver.notices for news in notice.news]
            assert len(told) == len(set(told)), "nothing is told twice by a receiver that always answers"
            for alert in self.hub.alerting.alerts.newest_first():
                events = [event for number, event in told if number == alert.id]
                model = next(
                    one
                    for one in self.model.alerts
                    if (one.rule, one.device, one.fired_ms, one.resolved_ms)
                    == (alert.rule_id, alert.device_id, alert.fired_ms, alert.resolved_ms)
                )
                assert events == (["firing"] + ["resolved"] * (alert.resolved_ms is not None)) * model.told
        finally:
            self.run(self.close())
            self.runner.close()
            self.folder.cleanup()


class InMemory(RulesMachine):
    """The same on the store without a disk, which is one object for all of its processes."""

    def make_store(self, _folder):
        self.kept = getattr(self, "kept", None) or MemoryStore()
        return self.kept


SETTINGS = examples(12, stateful_step_count=25)
TestRulesAgainstAModel = RulesMachine.TestCase
TestRulesAgainstAModel.settings = SETTINGS
TestRulesInMemoryAgainstAModel = InMemory.TestCase
TestRulesInMemoryAgainstAModel.settings = SETTINGS
