"""Alerting put together: rules see every durable batch, alerts are what they raise, the outbox tells people."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..errors import HardpointError
from ..model import Alert, Channel, Delivery, QuietHours, Rule, RuleState
from .outbox import Outbox, Sender
from .rules.alerts import Alerts
from .rules.engine import Rules
from .rules.wording import Wording

if TYPE_CHECKING:
    from ..stores.base import Store
    from .agenda import Agenda
    from .batch import GroupCommit
    from .commands import Ledger
    from .devices import Catalogue
    from .live import LiveFeed

logger = logging.getLogger("hardpoint.rules")


class Alerting:
    """``rules``, ``alerts`` and ``outbox`` on one clock."""

    def __init__(
        self,
        catalogue: Catalogue,
        commits: GroupCommit,
        live: LiveFeed,
        ledger: Ledger,
        senders: Mapping[str, Callable[[], Sender]],
        *,
        agenda: Agenda,
        clock_ms: Callable[[], int],
    ) -> None:
        """``senders``: kinds of channels that news of alerts may take."""
        self._catalogue = catalogue
        self._ledger = ledger
        self._commands: set[asyncio.Task[None]] = set()
        self.on_command: Callable[[Rule, Alert, str], None] = lambda _rule, _alert, _device_id: None
        """Called when a rule has queued a command to a device: what it notes is in the same commit."""
        self.agenda = agenda
        wording = Wording(catalogue, self._find_rule, clock_ms=clock_ms)
        self.alerts = Alerts(commits, live, self.agenda, wording, self._announce, clock_ms=clock_ms)
        self.outbox = Outbox(commits, self.agenda, senders, wording, clock_ms=clock_ms, find_alert=self.alerts.find)
        self.rules = Rules(catalogue, commits, self.agenda, self.alerts, send_command=self._send_command)

    def fill(self, store: Store) -> None:
        """Take over what the store holds, after the devices, and follow the clock from now on."""
        self.alerts.fill(store.load(Alert))
        deliveries = store.load(Delivery)
        self.alerts.go_on_from(max((delivery.alert_id for delivery in deliveries), default=0) + 1)
        self.outbox.fill(store.load(Channel), deliveries, store.load(QuietHours))
        self.rules.fill(store.load(Rule), store.load(RuleState))
        self.agenda.start()

    async def close(self) -> None:
        """Stop the clock and what is being sent. It goes on at the next start."""
        self.agenda.close()
        await self.outbox.close()
        for task in self._commands:
            task.cancel()
        await asyncio.gather(*self._commands, return_exceptions=True)

    def _announce(self, alert: Alert, event: str) -> None:
        self.outbox.announce(alert, event, self._find_rule(alert.rule_id))

    def _find_rule(self, rule_id: str) -> Rule | None:
        return self.rules.find(rule_id)

    def _send_command(self, rule: Rule, alert: Alert) -> None:
        """Noted with the alert, in one commit: were it noted later, a crash in between would leave an alert whose
        command nobody has sent.
        """
        try:
            device = self._catalogue.find(rule.command.get("device") or alert.device_id)
            delivery = self._ledger.queue_fact(device, rule.command["method"], rule.command.get("params"))
        except HardpointError as error:  # the device is gone, or its queue is full
            logger.error("rule %s could not send its command: %s", rule.id, error.message)  # noqa: TRY400
            return
        self.on_command(rule, alert, device.id)
        task = asyncio.get_running_loop().create_task(delivery, name=f"rule {rule.id}")
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)
