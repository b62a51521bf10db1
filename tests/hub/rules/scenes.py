"""What the tests of rules share: readings at given times, rules in a line, and a channel whose receiver can be out."""

from __future__ import annotations

import asyncio

from hardpoint.hub.outbox import NotDelivered, Sender
from hardpoint.model import Rule

from ..hubs import until


class Receiver(Sender):
    """Notes what it is sent; refuses it while ``out`` says why."""

    secret = frozenset({"password"})

    def __init__(self):
        self.notices = []
        self.tries = 0
        self.out = None

    def check(self, settings):
        return dict(settings)

    async def send(self, settings, notice):
        self.tries += 1
        if self.out is not None:
            raise NotDelivered(self.out)
        self.notices.append(notice)
        return "thanks"

    @property
    def told(self):
        """``(event, device)`` of every piece of news, in order."""
        return [(news["event"], news["alert"]["device"]) for notice in self.notices for news in notice.news]


def rule(when=None, *, id="hot", scope="all", **more):
    if when is None:
        when = {"key": "temp", "is": "above", "value": 30, "until": 28}
    return Rule(id, id.title(), scope, when, 0, **more)


async def say(hub, session, *readings, key="temp"):
    """Readings ``(ts, value)`` of the session's device, durable when this returns."""
    hub.ingest(session, session.device, [(ts, key, value) for ts, value in readings], "r")
    await hub.commits.durable()


async def pass_s(hub, clock, seconds):
    """Time passes, and what is due happens; with it what that sends."""
    alerting = hub.alerting
    end_ms = clock.now_ms + int(seconds * 1000)
    while True:
        due_ms = alerting.agenda.next_ms()
        if due_ms is None or due_ms > end_ms:
            break
        clock.now_ms = max(clock.now_ms, due_ms)
        alerting.agenda.run_due(clock.now_ms)
        await until(lambda: not alerting.outbox.busy)
    clock.now_ms = end_ms
    await asyncio.sleep(0)


def states(hub):
    """``{(rule, device): state}`` of everything that a rule has looked at."""
    rules = hub.alerting.rules
    return {
        (record.id, standing["device"]): standing["state"]
        for record in rules.all()
        for standing in rules.standings(record.id)
    }


def alerts(hub):
    """``(rule, device, fired_ms, resolved_ms)`` of every alert, the oldest first."""
    return [
        (alert.rule_id, alert.device_id, alert.fired_ms, alert.resolved_ms)
        for alert in reversed(list(hub.alerting.alerts.newest_first()))
    ]
