"""What is too old is thinned or dropped: every so often, on a thread, and told beforehand to whoever asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ..config import parse_retention_rule
from ..errors import StorageError
from ..model import Keep, Policy, Series
from ..threads import call_apart
from .fields import kept_by_field

if TYPE_CHECKING:
    from ..config import Retention as Settings
    from ..stores.base import Plan, Step, Store
    from .devices import Catalogue

logger = logging.getLogger("hardpoint.hub")

Due: TypeAlias = "tuple[Step, int]"


@dataclass(slots=True)
class RetentionCounters:
    """What was done since the start, for the metrics."""

    runs: int = 0
    failures: int = 0
    thinned: int = 0
    dropped: int = 0
    freed_bytes: int = 0


class Retention:
    """Applies a policy to a store. Used on one event loop's thread."""

    def __init__(self, store: Store, catalogue: Catalogue, clock_ms: Callable[[], int]) -> None:
        self._configured = Policy()
        self.every_s = 600.0
        self._next_ms = 0
        """When `run` applies the policy again; in the past where it does not run."""
        self.counters = RetentionCounters()
        self._store = store
        self._catalogue = catalogue
        self._clock_ms = clock_ms

    def use(self, given: Settings) -> None:
        """Go by these settings from the next run on. Rules stand before what holds for all."""
        rules = [
            Keep(rule.device, rule.key, rule.thin_after_s, rule.drop_after_s)
            for rule in map(parse_retention_rule, given.rules)
        ]
        if given.thin_after_s or given.drop_after_s:
            rules.append(Keep("*", "*", given.thin_after_s or None, given.drop_after_s or None))
        self._configured = Policy(tuple(rules), given.max_bytes or None)
        self.every_s = given.every_s

    @property
    def policy(self) -> Policy:
        """What is gone by now: a key's own setting (`fields`) comes before the rules of `use`. Nothing is thinned or
        dropped before that and without one.
        """
        own = tuple(kept_by_field(self._catalogue))
        return self._configured._replace(rules=own + self._configured.rules) if own else self._configured

    async def run(self) -> None:
        """Apply the policy now and every `every_s`, until cancelled. A failure is logged, and tried again next time."""
        while True:
            policy = self.policy
            if policy.rules or policy.max_bytes is not None:
                try:
                    await self.apply()
                except StorageError as error:
                    self.counters.failures += 1
                    logger.error("what is too old stays for now: %s", error.message)  # noqa: TRY400 - a disk, no bug
                except Exception:  # one damaged piece must not be the end of it, unseen until the disk is full
                    self.counters.failures += 1
                    logger.exception("what is too old stays for now")
            self._next_ms = self._clock_ms() + round(self.every_s * 1000)
            await asyncio.sleep(self.every_s)

    async def apply(self) -> Plan:
        """Do what is due, and say in the log what was done.

        Raises:
            StorageError: the disk is full; what was done until then is done.
        """
        now_ms, policy = self._clock_ms(), self.policy
        done = await call_apart("hardpoint-retain", lambda: self._store.retain(policy, now_ms))
        thinned, dropped = (sum(each.readings for each in done.steps if each.action == how) for how in ("thin", "drop"))
        counters = self.counters
        counters.runs += 1
        counters.thinned += thinned
        counters.dropped += dropped
        counters.freed_bytes += done.freed_bytes
        if done.steps:
            logger.info("retention: %d readings thinned, %d dropped, %d bytes", thinned, dropped, done.freed_bytes)
        self._forget(done)
        return done

    async def plan(self, within_s: float = 0.0) -> tuple[Plan, list[Due]]:
        """What `apply` would do ``within_s`` from now, if nothing new arrived until then; and from when on it is due.

        By age, readings go one after another as they become too old: the time is that of the first. By size, a step is
        due now. None comes before the next run.
        """
        now_ms, policy = self._clock_ms(), self.policy
        plan = await call_apart("hardpoint-plan", lambda: self._store.plan(policy, now_ms + round(within_s * 1000)))
        # A clock that was set back moves the next run no further away than one is from another.
        run_ms = max(now_ms, min(self._next_ms, now_ms + round(self.every_s * 1000)))
        return plan, [(step, _due_ms(step, policy, run_ms)) for step in plan.steps]

    def _forget(self, done: Plan) -> None:
        """Of series whose latest reading was dropped, no latest value is shown any more."""
        for step in done.steps:
            series = self._catalogue.series.get(step.series)
            if step.action == "drop" and series is not None and step.start_ms <= series.ts < step.end_ms:
                series.ts, series.value = -1, None


def _due_ms(step: Step, policy: Policy, run_ms: int) -> int:
    """Not before the next run, which is at ``run_ms``."""
    if step.reason == "size":
        return run_ms
    rule = policy.rule_for(Series(step.series, step.device_id, step.key))
    after_s = None if rule is None else rule.thin_after_s if step.action == "thin" else rule.drop_after_s
    return run_ms if after_s is None else max(run_ms, step.start_ms + round(after_s * 1000))
