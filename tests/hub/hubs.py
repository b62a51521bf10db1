"""A hub over a store whose commits a test can hold and fail, a fake clock, sessions that note what they are told."""

from __future__ import annotations

import asyncio
import contextlib

from hardpoint.config import Limits
from hardpoint.errors import StorageFull
from hardpoint.hub.hub import Hub
from hardpoint.hub.session import Session
from hardpoint.stores.memory import MemoryStore
from hardpoint.testing import FakeClock


class HeldStore(MemoryStore):
    """The memory store, whose commits wait for `release` while ``held``, and fail while ``error`` is set."""

    def __init__(self):
        super().__init__()
        self.held = False
        self.error = None
        self.waiting = []
        self.batches = []

    def commit(self, rows, changes, done):
        self.batches.append((list(rows), list(changes)))
        if self.held:
            self.waiting.append((rows, changes, done))
        elif self.error is not None:
            done(self.error)
        else:
            super().commit(rows, changes, done)

    def release(self, error=None):
        """Let the commit that waits through, or fail it."""
        rows, changes, done = self.waiting.pop(0)
        if error is not None:
            done(error)
        else:
            super().commit(rows, changes, done)


class NotingSession(Session):
    """A device's connection as the hub sees it."""

    dialect = "test"

    def __init__(self, takes_commands=True):
        super().__init__()
        self.takes_commands = takes_commands
        self.acknowledged = []
        self.delivered = []
        self.attributes = []
        self.ended = None
        self.paused = False
        self.changed = asyncio.Event()

    @property
    def peer(self):
        return "192.0.2.1:50000"

    def acknowledge(self, receipts, error):
        self.acknowledged.append((list(receipts), error))
        self.changed.set()

    def deliver(self, command):
        if self.takes_commands:
            self.delivered.append((command.id, command.method, command.params))
        return self.takes_commands

    def attributes_changed(self, changed, deleted):
        self.attributes.append((changed, list(deleted)))

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False

    def end(self, reason):
        self.ended = reason


FULL = StorageFull("no space left")


@contextlib.asynccontextmanager
async def open_hub(
    store=None, clock=None, *, allow_anonymous=False, adopt=False, senders=None, steady_ms=None, **limits
):
    """A hub on a store (a fresh `HeldStore` if none is given), filled, and closed at the end."""
    store = HeldStore() if store is None else store
    await asyncio.to_thread(store.open)
    hub = Hub(
        store,
        Limits(**limits),
        clock_ms=clock or FakeClock(),
        steady_ms=steady_ms,
        allow_anonymous=allow_anonymous,
        adopt=adopt,
        senders=senders,
    )
    try:
        hub.fill()
        yield hub
    finally:
        await hub.close()
        await asyncio.to_thread(store.close)


async def attached(hub, name="dev", **kind):
    """A new device with one session."""
    device, _ = await hub.create_device(name)
    session = NotingSession(**kind)
    hub.attach(session, device)
    return device, session


async def turn(times=3):
    """Let the loop run what is ready."""
    for _ in range(times):
        await asyncio.sleep(0)


async def until(condition, timeout_s=60.0):
    """Wait until the condition holds, turn by turn."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.001)
