"""The command ledger: what was asked of each device, and what became of it.

::

    queued ──▶ sent ──▶ delivered ──▶ done | failed
       │         │          │
       └─────────┴──────────┴──────▶ expired | cancelled

A command is durable before its caller hears of it. It waits for an absent device until ``expires_ms``, goes out in
order, and goes out again with the same id when the device attaches anew before it has answered, unless its transport
has acknowledged it. Only what the device or its transport really said moves it.
"""

from __future__ import annotations

import asyncio
import heapq
import re
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import BadInput, Conflict, NotFound, StorageError, TooLarge
from ..model import COMMAND_FINAL_STATES, Command, Delete, Json, Put, checked_json

if TYPE_CHECKING:
    from .batch import GroupCommit
    from .devices import Catalogue, DeviceState
    from .live import LiveFeed
    from .session import Session

DEFAULT_TTL_S = 60.0
MAX_TTL_S = 30 * 24 * 3600.0
MAX_WAIT_S = 300.0
"""As long as ThingsBoard holds a long poll; proxies cut a silent request off sooner still."""
MIN_EXPIRIES = 1_000
"""Entries below which looking through the heap of expiries is not worth it."""

MAX_REPEAT_S = 60.0
"""The longest pause between two repeats, see `Ledger.repeat_in_s`."""

RETRY_S = 5.0
"""How long to wait before looking again whether a fact was stored, when the commit it was in has failed."""

_METHOD = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")

# From which states a step may be taken to which. Anything not listed is refused.
TRANSITIONS: dict[str, frozenset[str]] = {
    "queued": frozenset({"sent", "delivered", "done", "failed", "expired", "cancelled"}),
    "sent": frozenset({"delivered", "done", "failed", "expired", "cancelled"}),
    "delivered": frozenset({"done", "failed", "expired", "cancelled"}),
}


class Sent:
    """The last time that an open command was handed to a transport."""

    __slots__ = ("at_ms", "session", "times")

    def __init__(self, session: Session, at_ms: int, times: int) -> None:
        self.session = session
        self.at_ms = at_ms
        self.times = times  # with this one, since the server started


class Ledger:
    """Every open command, and the way to the closed ones."""

    def __init__(
        self,
        catalogue: Catalogue,
        commits: GroupCommit,
        live: LiveFeed,
        *,
        clock_ms: Callable[[], int],
        max_open_per_device: int,
    ) -> None:
        """``clock_ms`` tells `clock_jumped` of a jump before it gives a time behind one (`Agenda.now_ms`)."""
        self._catalogue = catalogue
        self._commits = commits
        self._live = live
        self._clock_ms = clock_ms
        self.max_open_per_device = max_open_per_device
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, Command] = {}
        self._waiting: dict[int, list[asyncio.Future[asyncio.Future[None]]]] = {}
        """Who waits for an end. Each is given a future that is done once the end is durable."""
        self._expiries: list[tuple[int, int]] = []  # (expires_ms, id), a heap
        self._timer: asyncio.TimerHandle | None = None
        self._sent: dict[int, Sent] = {}
        self._storing: set[int] = set()  # not durable yet, so not to be sent
        self._next_id = self._first_id = 1  # the first since the start
        self.finished = dict.fromkeys(sorted(COMMAND_FINAL_STATES), 0)
        """How many reached each final state, for the metrics."""

    def fill(self, commands: Iterable[Command], next_id: int) -> None:
        """Take the open commands from the store, at start."""
        self._next_id = self._first_id = next_id
        for command in sorted(commands, key=lambda command: command.id):
            device = self._catalogue.by_id.get(command.device_id)
            if device is not None:
                self._add(device, command)
        self._arm()

    def close(self) -> None:
        """Stop the clock; the open commands are in the store."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def open_count(self) -> int:
        """Commands that have not reached a final state."""
        return len(self._open)

    def get(self, command_id: int) -> Command | None:
        """An open command; a closed one is in the store."""
        return self._open.get(command_id)

    async def queue(
        self, device: DeviceState, method: str, params: Json = None, ttl_s: float = DEFAULT_TTL_S
    ) -> Command:
        """Store a command and deliver it if the device is there. Returns once it is durable.

        Raises:
            BadInput: the method or the time to live cannot be used.
            TooLarge: the parameters are too long, or the device has too many open commands already.
            StorageError: it could not be stored, and was not sent.
        """
        command = self._begin(device, method, params, ttl_s)
        try:
            await self._commits.durable()
        except StorageError:
            self._forget(command)
            self._commits.note(Delete(command))
            raise
        except asyncio.CancelledError:
            if command.state == "queued":
                self.advance(command, "cancelled", "its caller went away before it was stored")
            raise
        finally:
            self._storing.discard(command.id)
        self._send_first(device, command)
        return command

    def queue_fact(self, device: DeviceState, method: str, params: Json = None) -> Coroutine[None, None, None]:
        """Note a command that follows from something that has happened, for the same commit as that: after a crash
        there are both or neither. What is returned delivers it once it is durable, however often the store has failed.

        Raises:
            BadInput, TooLarge: as `queue`; nothing was noted.
        """
        return self._deliver_fact(device, self._begin(device, method, params, DEFAULT_TTL_S))

    async def _deliver_fact(self, device: DeviceState, command: Command) -> None:
        while True:
            try:
                await self._commits.durable()
            except StorageError:
                await asyncio.sleep(RETRY_S)
            else:
                break
        self._storing.discard(command.id)
        self._send_first(device, command)

    def _begin(self, device: DeviceState, method: str, params: Json, ttl_s: float) -> Command:
        if _METHOD.fullmatch(method) is None:
            raise BadInput("a method is one word of letters, digits, _ . : - (at most 64)", field="method")
        if not 0 < ttl_s <= MAX_TTL_S:
            raise BadInput(f"ttl_s is between 0 and {MAX_TTL_S:.0f} seconds", field="ttl_s")
        if len(device.open_commands or ()) >= self.max_open_per_device:
            limit = self.max_open_per_device
            raise TooLarge(f"limits.max_open_commands_per_device ({limit}) is reached for {device.id}")
        params = checked_json(params)
        now = self._clock_ms()
        command = Command(self._next_id, device.id, method, params, now, now + int(ttl_s * 1000))
        command.steps.append(["queued", now, None])
        self._next_id += 1
        self._add(device, command)
        # A fact, so that steps taken before it is durable replace it in its batch and are not replaced by it.
        self._commits.note(Put(_copy(command)))
        self._storing.add(command.id)
        return command

    def _send_first(self, device: DeviceState, command: Command) -> None:
        self._publish(command)
        self._arm()
        if command.state == "queued":  # it may have been cancelled meanwhile
            self._deliver(device, command)

    def attached(self, device: DeviceState) -> None:
        """The device is there: send what waits for it, oldest first, also what was sent but never confirmed. What its
        transport has acknowledged it has.
        """
        for command in list((device.open_commands or {}).values()):
            if command.state != "delivered":
                self._deliver(device, command)

    def deliver_queued(self, device: DeviceState) -> None:
        """The device takes what it is sent again, or has just said where it takes commands: send what could not be
        sent meanwhile, and again what went out over a session that is gone.
        """
        for command in list((device.open_commands or {}).values()):
            sent = self._sent.get(command.id)
            lost = command.state == "sent" and (sent is None or sent.session not in device.sessions)
            if command.state == "queued" or lost:
                self._deliver(device, command)

    def repeat_in_s(self, command: Command) -> float:
        """How long to wait before sending a command again over connections whose end says nothing, as those of HTTP:
        the first repeat is due at once, each further one after twice the pause. A device that only never answers would
        otherwise carry it out as fast as it can ask.
        """
        sent = self._sent.get(command.id)
        if sent is None or sent.times < 2:
            return 0.0
        pause_s = min(2.0 ** (sent.times - 2), MAX_REPEAT_S)
        passed_s = max(0, self._clock_ms() - sent.at_ms) / 1000  # below 0 the clock was set back
        return max(0.0, pause_s - passed_s)

    def advance(self, command: Command, state: str, reason: str | None = None, result: Json = None) -> None:
        """Take a step that really happened.

        Raises:
            Conflict: the command is past it.
        """
        if state not in TRANSITIONS.get(command.state, ()):
            raise Conflict(f"command {command.id} is already {command.state}")
        command.state = state
        command.steps.append([state, self._clock_ms(), reason])
        if result is not None:
            command.result = result
        # Were "sent" lost in a crash, the command would be queued, and sent again with the same number: as it is anyway
        # when the device is back. So that step waits for company; the answer is likely to bring it.
        self._commits.note(Put(_copy(command)), lingering=state == "sent")
        self._publish(command)
        if state in COMMAND_FINAL_STATES:
            self.finished[state] += 1
            self._forget(command)
            for waiter in self._waiting.pop(command.id, ()):
                if not waiter.done():
                    # Asked for here, it is of the batch that has this step: a task that wakes up first would wait for
                    # the commit after that one.
                    waiter.set_result(self._commits.durable())

    def answer(self, device: DeviceState, command_id: int, ok: bool, payload: Json) -> None:
        """The device has answered: ``ok`` with a result, or not, with a reason.

        Raises:
            NotFound: it is no open command of this device (it may have expired).
        """
        command = (device.open_commands or {}).get(command_id)
        if command is None:
            raise NotFound(f"command {command_id} is not waiting for an answer from {device.id}")
        if ok:
            self.advance(command, "done", result=payload)
        else:
            self.advance(command, "failed", reason=payload if isinstance(payload, str) else None, result=payload)

    async def wait(self, command: Command, wait_s: float) -> bool:
        """Wait until the command has reached a final state, durably. False when the time was up first.

        Raises:
            StorageError: it has reached one that could not be stored yet.
        """
        if command.id in self._open:
            waiter: asyncio.Future[asyncio.Future[None]] = self._loop.create_future()
            self._waiting.setdefault(command.id, []).append(waiter)
            try:
                async with asyncio.timeout(min(wait_s, MAX_WAIT_S)):
                    durable = await waiter
            except TimeoutError:
                return False
            finally:
                waiters = self._waiting.get(command.id)
                if waiters is not None and waiter in waiters:
                    waiters.remove(waiter)
                    if not waiters:
                        del self._waiting[command.id]
        else:
            durable = self._commits.durable()
        await durable
        return True

    def drop_device(self, device: DeviceState) -> None:
        """The device is removed: whoever waits is told that its commands are cancelled."""
        for command in list((device.open_commands or {}).values()):
            self.advance(command, "cancelled", "the device was removed")

    def _deliver(self, device: DeviceState, command: Command) -> None:
        if command.id in self._storing:  # the device may do nothing that its caller is then told was not stored
            return
        for session in reversed(device.sessions):  # the newest attachment is the likeliest to be alive
            if session.deliver(command):
                before = self._sent.get(command.id)
                self._sent[command.id] = Sent(session, self._clock_ms(), before.times + 1 if before else 1)
                if command.state == "queued":
                    self.advance(command, "sent", f"over {session.dialect}")
                return

    def _add(self, device: DeviceState, command: Command) -> None:
        self._open[command.id] = command
        if device.open_commands is None:
            device.open_commands = {}
        device.open_commands[command.id] = command
        if len(self._expiries) > 2 * len(self._open) + MIN_EXPIRIES:
            # Finished commands stay in it until their time: with long times to live they would pile up.
            self._expiries = [entry for entry in self._expiries if entry[1] in self._open]
            heapq.heapify(self._expiries)
        heapq.heappush(self._expiries, (command.expires_ms, command.id))

    def _forget(self, command: Command) -> None:
        self._open.pop(command.id, None)
        self._sent.pop(command.id, None)
        device = self._catalogue.by_id.get(command.device_id)
        if device is not None and device.open_commands is not None:
            device.open_commands.pop(command.id, None)
            if not device.open_commands:
                device.open_commands = None

    def _publish(self, command: Command) -> None:
        self._live.publish("command", command.device_id, describe(command))

    def _arm(self) -> None:
        """One timer for all: it is set for the next command that may expire."""
        now = self._clock_ms()  # before anything is looked at: it may find that the clock was set
        while self._expiries and self._expiries[0][1] not in self._open:
            heapq.heappop(self._expiries)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._expiries:
            delay_s = max(0.0, (self._expiries[0][0] - now) / 1000)
            self._timer = self._loop.call_later(min(delay_s, 3600.0), self._expire)

    def clock_jumped(self, by_ms: int) -> None:
        """The wall clock was set: what was queued since the start waits as long as it was to. What the store has given
        was written down by another clock, and keeps its time.
        """
        for command in self._open.values():
            if command.id >= self._first_id:
                command.expires_ms += by_ms
                self._commits.note(Put(_copy(command)))
        self._expiries = [(command.expires_ms, command.id) for command in self._open.values()]
        heapq.heapify(self._expiries)
        self._arm()

    def _expire(self) -> None:
        now = self._clock_ms()
        while self._expiries and self._expiries[0][0] <= now:
            command = self._open.get(heapq.heappop(self._expiries)[1])
            if command is not None:
                reason = (
                    "the device did not answer in time" if command.state != "queued" else "the device was not there"
                )
                self.advance(command, "expired", reason)
        self._timer = None
        self._arm()


def describe(command: Command) -> dict[str, Json]:
    """A command as the app API gives it."""
    return {
        "id": command.id,
        "device": command.device_id,
        "method": command.method,
        "params": command.params,
        "state": command.state,
        "created": command.created_ms,
        "expires": command.expires_ms,
        "result": command.result,
        "steps": [{"state": state, "at": at, "reason": reason} for state, at, reason in command.steps],
    }


def _copy(command: Command) -> Command:
    """As it is now: the store's thread must not see it change under its hands."""
    return replace(command, steps=[list(step) for step in command.steps])
