"""Group commit: everything that arrives while one commit runs goes into the next.

Commit before reply is a property of this file alone. Whoever hands something in gives a receipt with it, and gets its
receipts back once the batch is durable, in the order given, one call a commit (`Session.acknowledge`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import StorageError
from ..model import EndAttachment

if TYPE_CHECKING:
    from ..model import Change, Delete, Put, Row
    from ..stores.base import Store
    from .session import Session

logger = logging.getLogger("hardpoint.hub")

REPORT_GAP_S = 60.0
"""A store that goes on failing is logged once a minute; each failure is counted, and told to those who wait."""

MAX_RECEIPTS = 10_000
"""Answers one session may wait for in one commit: also lines without a reading (``PING``) cost memory while a disk
stands still.
"""

HOLD_S = 0.001
"""How long a commit may wait for company. Devices that wait for their ``OK`` come back one by one after a commit: the
first few would be committed alone while the others arrive, so each commit, and each fsync, would serve only a part of
them. After a commit the next one therefore waits until as many sessions as were just answered are back, or for this
long. A device alone never waits. (PostgreSQL has ``commit_delay`` and ``commit_siblings`` for it.)
"""

LINGER_S = 0.05
"""How long a fact may wait for a commit that takes place anyway, where losing it would only have it happen again. A
command is ``sent`` and, as a rule, answered within a few milliseconds: a commit for the first of these steps would
stand between the device's answer and the commit that its caller waits for.
"""


class Batch:
    """What one commit makes durable, and who waits for it."""

    __slots__ = ("changes", "extra_weight", "facts", "futures", "past", "receipts", "rows")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.past: list[Row] = []
        """Readings that were brought in from elsewhere: stored before the rows, and no news to anybody."""
        self.extra_weight = 0
        """What the rows weigh beyond their number (`model.weight`)."""
        self.changes: list[Change] = []
        """In the order in which they were made. What somebody asked for and waits for is undone by whoever asked if
        the commit fails."""
        self.facts: dict[tuple[object, ...], Put | Delete | EndAttachment] = {}
        """Those of the changes that have already happened (a new series, a command's step): if the commit fails they
        are tried again with the next one. By kind and key, so that a disk that stays full costs one entry a record."""
        self.receipts: dict[Session, list[object]] = {}
        self.futures: list[asyncio.Future[None]] = []

    def __bool__(self) -> bool:
        return bool(self.rows or self.changes or self.receipts or self.futures)

    def take_over(self, failed: Batch) -> None:
        """Try the facts of a batch that failed again, before everything that has happened since."""
        self.changes[:0] = failed.facts.values()
        self.facts = failed.facts | self.facts


class GroupCommit:
    """Collects a `Batch`, commits it at the end of the turn or after the commit before it, and tells who waited.

    ``on_durable(batch)`` sees each durable batch before its receipts are given back; ``on_failed(batch, error)`` each
    one that failed.
    """

    def __init__(
        self,
        store: Store,
        *,
        max_pending_rows: int,
        on_durable: Callable[[Batch], None],
        on_failed: Callable[[Batch, StorageError], None],
    ) -> None:
        self.batch = Batch()
        """The one being collected: append to its ``rows`` and ``changes``, then call `schedule`."""
        self.commits = 0
        self.failures = 0
        self.failing = False
        """Whether the last commit failed."""
        self.pauses = 0
        self._store = store
        self._in_flight: Batch | None = None
        self._scheduled = False
        self._hold: asyncio.TimerHandle | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._expected_sessions = 0  # until when: `_hold_until_s`
        self._hold_until_s = 0.0
        self._on_durable = on_durable
        self._on_failed = on_failed
        self._loop = asyncio.get_running_loop()
        self.max_pending_rows = max_pending_rows
        self._paused: list[Session] = []
        self._closed = False
        self._report_due_s = 0.0
        self._reported = False

    @property
    def pending_rows(self) -> int:
        """Readings that were handed in and are not durable yet."""
        return sum(len(batch.rows) + len(batch.past) for batch in (self.batch, self._in_flight) if batch is not None)

    def wait(self, session: Session, receipt: object) -> None:
        """Give the receipt back to the session once the batch being collected is durable.

        A session whose readings fill the batch to its limit, or that waits for `MAX_RECEIPTS` answers, is paused until
        the store has caught up: TCP then carries the pressure back to the device.
        """
        batch = self.batch
        receipts = batch.receipts.get(session)
        if receipts is None:
            batch.receipts[session] = [receipt]
        else:
            receipts.append(receipt)
        if not self._scheduled:
            self.schedule()
        elif self._hold is not None and len(batch.receipts) >= self._expected_sessions:
            self._release()
        full = len(batch.rows) + batch.extra_weight >= self.max_pending_rows or (
            receipts is not None and len(receipts) > MAX_RECEIPTS
        )
        if full and not session.paused_by_hub:
            session.paused_by_hub = True
            self._paused.append(session)
            self.pauses += 1
            session.pause_reading()

    def note(self, change: Put | Delete | EndAttachment, *, lingering: bool = False) -> None:
        """Store a fact with the next commit; nobody waits for it, and it is tried again if that commit fails.

        ``lingering``: it makes no commit due before `LINGER_S` have passed, and goes with whichever comes sooner.
        """
        self.batch.changes.append(change)
        self.batch.facts[_key(change)] = change
        if not lingering:
            self.schedule()
        elif self._linger is None and not self._scheduled and not self._closed:
            self._linger = self._loop.call_later(LINGER_S, self._lingered)

    def durable(self) -> asyncio.Future[None]:
        """A future that is done once the batch being collected is durable; it raises `StorageError` if it failed."""
        future: asyncio.Future[None] = self._loop.create_future()
        self.batch.futures.append(future)
        self.schedule()
        if self._hold is not None:
            self._release()
        return future

    def schedule(self) -> None:
        """See to it that the batch is committed: at the end of this turn, or after the commit under way."""
        if not self._scheduled and not self._closed:
            self._scheduled = True
            if self._in_flight is None and not self._held():
                self._loop.call_soon(self._commit)

    async def drain(self) -> None:
        """Commit what is left, and take nothing more."""
        while self.batch or self._in_flight is not None:
            try:
                await self.durable()
            except StorageError as error:
                logger.error("the last commit failed: %s", error.message)  # noqa: TRY400 - the disk, not a bug of ours
                break  # each waiter was told
        self._closed = True

    def _lingered(self) -> None:
        self._linger = None
        self.schedule()

    def _held(self) -> bool:
        """Whether the commit has to wait for company; a timer then ends the wait."""
        if self.batch.futures or len(self.batch.receipts) >= self._expected_sessions:
            return False
        left_s = self._hold_until_s - self._loop.time()
        if left_s <= 0:
            return False
        self._hold = self._loop.call_later(left_s, self._commit)
        return True

    def _release(self) -> None:
        """Hold the commit no longer."""
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None
            self._loop.call_soon(self._commit)

    def _commit(self) -> None:
        self._hold = None
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        batch = self._in_flight = self.batch
        self.batch = Batch()
        self._scheduled = False
        try:
            rows = [*batch.past, *batch.rows] if batch.past else batch.rows
            self._store.commit(rows, batch.changes, self._done)
        except Exception as error:  # a record it cannot take: without an end of this batch there is no next one
            logger.exception("a batch could not be handed to the store")
            self._loop.call_soon(self._finish, StorageError(f"not stored: {type(error).__name__}"))

    def _done(self, error: StorageError | None) -> None:
        # On the store's thread.
        self._loop.call_soon_threadsafe(self._finish, error)

    def _finish(self, error: StorageError | None) -> None:
        batch = self._in_flight
        assert batch is not None
        self.commits += 1
        self.failing = error is not None
        if error is None:
            try:
                self._on_durable(batch)
            except Exception:  # it is on disk, so the answers go out all the same
                logger.exception("a durable batch could not be handed on")
        else:
            self.failures += 1
            self.batch.take_over(batch)
            self._on_failed(batch, error)
        self._in_flight = None  # not before: what is noted meanwhile (a rule's alert) is committed below, not twice
        self._report(error)
        here = self.batch.receipts
        self._expected_sessions = len(here) + sum(session not in here for session in batch.receipts)
        self._hold_until_s = self._loop.time() + HOLD_S
        if self._scheduled and not self._held():
            self._commit()  # before the answers go out: the disk works meanwhile
        for session, receipts in batch.receipts.items():
            try:
                session.acknowledge(receipts, error)
            except Exception:
                logger.exception("a %s session failed while being acknowledged", session.dialect)
        for future in batch.futures:
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
        if self._paused:
            self._resume()

    def _report(self, error: StorageError | None) -> None:
        """Say that commits fail, and that they work again, but not of every one: devices go on sending while a disk
        is full, and a nearly full one takes the small commits and refuses the large.
        """
        if error is not None:
            now_s = self._loop.time()
            if now_s >= self._report_due_s:
                self._report_due_s = now_s + REPORT_GAP_S
                self._reported = True
                logger.error("commits fail, %d until now: %s", self.failures, error.message)
        elif self._reported:
            self._reported = False
            logger.warning("commits work again")

    def _resume(self) -> None:
        if (len(self.batch.rows) + self.batch.extra_weight) * 2 > self.max_pending_rows:
            return
        paused, self._paused = self._paused, []
        for session in paused:
            session.paused_by_hub = False
            session.resume_reading()


def _key(change: Put | Delete | EndAttachment) -> tuple[object, ...]:
    if isinstance(change, EndAttachment):
        return EndAttachment, change.device_id, change.slot
    record = change.record
    return type(record), *(getattr(record, name) for name in record.KEY)
