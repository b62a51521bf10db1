"""Who did what: an entry for every change somebody asked for, in the same commit as the change or an earlier one.

An entry is stored when a deed begins, and again when its end is known. So there is none without an entry, and one that
stays ``begun`` tells that the process ended, or its client left, before anybody knew how it went.

The log is bounded by number (``limits.max_audit_entries``) and by age (``limits.audit_s``). What is refused is written
down once a minute for each who and what: a program that tries a thousand times must not push out what was done.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from ..errors import StorageError
from ..model import AuditEntry, DeleteAudit, Put

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..model import Alert, Delete, EndAttachment, Json, Rule
    from .hub import Hub

logger = logging.getLogger("hardpoint.hub")

DONE = "done"
TRIM_EVERY = 64
"""Entries after which the oldest are removed; so many more than the limit there may be."""
TRIM_EVERY_S = 3600.0
"""How often those that are too old are looked for."""
REFUSED_EVERY_MS = 60_000
MAX_REFUSED = 1_000
"""Of whom and what it is remembered that they were refused; beyond it the oldest are forgotten."""
TELL_EVERY_S = 0.25
"""How often at most the live feed is told that the log has grown: a script may do a hundred things a second."""
MAX_TEXT = 256
"""Characters of each text of an entry."""


class Audit:
    """The log of one hub. Used on its loop's thread."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._next_id = 1
        self._refused: dict[tuple[str, str, str, str], int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None
        self._telling: asyncio.TimerHandle | None = None
        hub.alerting.on_command = self._command_by_rule

    def fill(self) -> None:
        """Go on from what the store holds."""
        newest = self._hub.store.audit(limit=1)
        self._next_id = newest[0].id + 1 if newest else 1
        self._timer = asyncio.get_running_loop().call_later(TRIM_EVERY_S, self._look_for_old_ones)

    async def close(self) -> None:
        """Look for old entries no more."""
        for timer in (self._timer, self._telling):
            if timer is not None:
                timer.cancel()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def begin(
        self,
        what: str,
        *,
        who: str,
        via: str,
        address: str = "",
        device_id: str = "",
        subject: str = "",
        detail: dict[str, Json] | None = None,
        why: str = "",
        result: str = "begun",
    ) -> AuditEntry:
        """Somebody does something; it is stored with what is changed from now on. Its ``subject`` and ``detail`` may be
        added to until `end`. See `model.AuditEntry` for the fields.
        """
        number, self._next_id = self._next_id, self._next_id + 1
        entry = AuditEntry(
            number,
            self._hub.clock_ms(),
            who[:MAX_TEXT],
            via,
            address,
            what,
            device_id,
            subject[:MAX_TEXT],
            detail or {},
            why[:MAX_TEXT],
            result,
        )
        # Its own commit would stand before that of the change, which is asked for a turn later.
        self._hub.commits.note(Put(entry), lingering=True)
        if number % TRIM_EVERY == 0:
            self._trim(number - self._hub.limits.max_audit_entries)
        return entry

    def end(self, entry: AuditEntry, result: str = DONE) -> None:
        """How it ended: `DONE`, or an error's code."""
        entry.result = result
        self._hub.commits.note(Put(entry), lingering=True)

    def note(
        self, what: str, *, who: str, via: str, address: str = "", device_id: str = "", subject: str = "", why: str = ""
    ) -> None:
        """Something was done, all at once."""
        self.begin(
            what,
            who=who,
            via=via,
            address=address,
            device_id=device_id,
            subject=subject,
            why=why,
            result=DONE,
        )

    def refuse(
        self, what: str, code: str, *, who: str, via: str, address: str, device_id: str = "", subject: str = ""
    ) -> None:
        """Somebody was refused something; noted once a minute."""
        now, key = self._hub.clock_ms(), (who, via, address, what)
        if 0 <= now - self._refused.get(key, now - REFUSED_EVERY_MS) < REFUSED_EVERY_MS:
            return
        self._refused.pop(key, None)
        self._refused[key] = now
        if len(self._refused) > MAX_REFUSED:
            del self._refused[next(iter(self._refused))]
        self.begin(what, who=who, via=via, address=address, device_id=device_id, subject=subject, result=code)

    def stored(self, facts: Iterable[Put | Delete | EndAttachment]) -> None:
        """These are on disk. Where entries are among them the live feed is soon told, by the newest one's number alone:
        who may read what it says is judged when it is asked for.
        """
        if self._telling is None and any(isinstance(fact, Put) and type(fact.record) is AuditEntry for fact in facts):
            self._telling = asyncio.get_running_loop().call_later(TELL_EVERY_S, self._tell)

    def _tell(self) -> None:
        self._telling = None
        self._hub.live.publish("audit", "", {"id": self._next_id - 1})

    async def entries(
        self,
        *,
        before_id: int | None,
        until_ms: int | None,
        who: str | None,
        what: str | None,
        device_id: str | None,
        limit: int,
    ) -> list[AuditEntry]:
        """`Store.audit`, on a thread, with all that has been noted until now."""
        store = self._hub.store
        with contextlib.suppress(StorageError):  # what is stored can be read while the disk is full
            await self._hub.commits.durable()
        return await self._hub.reads.run(
            lambda _: store.audit(
                before_id=before_id, until_ms=until_ms, who=who, what=what, device_id=device_id, limit=limit
            )
        )

    def _command_by_rule(self, rule: Rule, alert: Alert, device_id: str) -> None:
        method = rule.command["method"]
        why = f"alert {alert.id}: {alert.text}"
        self.note("devices.commands", who=rule.id, via="rule", device_id=device_id, subject=method, why=why)

    def _look_for_old_ones(self) -> None:
        loop = asyncio.get_running_loop()
        self._looking = loop.create_task(self.trim_by_age(), name="trim the audit log")
        self._timer = loop.call_later(TRIM_EVERY_S, self._look_for_old_ones)

    async def trim_by_age(self) -> None:
        """Remove what is too old. It is looked for on a thread: where nothing is, everything is looked at. What cannot
        be read is left to the next time.
        """
        until_ms = self._hub.clock_ms() - int(self._hub.limits.audit_s * 1000)
        try:
            too_old = await self._hub.reads.run(lambda _: self._hub.store.audit(until_ms=until_ms, limit=1))
        except StorageError as error:
            logger.warning("the audit log was not looked through: %s", error.message)
            return
        if too_old:
            self._trim(too_old[0].id + 1)

    def _trim(self, before_id: int) -> None:
        if before_id > 1:
            self._hub.commits.batch.changes.append(DeleteAudit(before_id))
            self._hub.commits.schedule()
