"""Unknown devices: who attaches with a name instead of a token waits, with its first frames, until a person adopts it.

Adopting makes the device and gives it a token over its own connection, as a command whose number no other has: ``0``,
``adopt``, ``{"token": …}``. So a dialect that can deliver commands can deliver it, and firmware that takes commands
can take it. It is sent again whenever the device comes back under its name, until it answers or signs in by the token,
and for `TELL_S` at most: a secret that nobody fetches is not kept for ever.

An entry is a name *at an address*: whoever takes a waiting device's name elsewhere has an entry of its own, for a
person to tell apart, and is not sent the other's token.

The list outlives a restart, with its numbers, but without tokens: who was adopted and has not fetched its own waits
again, and is given another. When an entry was heard last is stored once in `STORE_EVERY_MS`, or a device that tries
every second would cost a write a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import TYPE_CHECKING

from ..errors import BadInput, Conflict, NotAdopted, NotFound
from ..model import Command, Delete, Put, UnknownDevice
from ..rarely import Rarely
from .session import host_of
from .tokens import TOKEN_PREFIXES

if TYPE_CHECKING:
    from ..model import Json
    from .devices import DeviceState
    from .hub import Hub
    from .session import Session
    from .tap import Frame

logger = logging.getLogger("hardpoint.hub")

MAX_UNKNOWN = 256
"""Entries. Beyond it the one heard least lately that neither waits on a connection nor for its token makes room; more
than so many that all do are refused as anybody else.
"""
MAX_FIRST_FRAMES = 4
"""Kept of each: what it called itself, and what it has to say. The last ones are in the wire tap, by address."""
MAX_FIRST_CHARS = 1_024
"""Of the body of each of them."""
MAX_SESSIONS_PER_ENTRY = 4
"""Connections on which one may wait; one more ends the oldest, which is likely dead."""
MAX_SILENT_S = 30 * 24 * 3_600.0
"""An entry that was not heard for so long is dropped."""
PRUNE_EVERY_S = 3_600.0
STORE_EVERY_MS = 600_000
TELL_S = 3_600.0
"""How long an adopted device may take to come back for its token."""
ADOPT = "adopt"
"""The method of the command that brings the token."""
ADOPT_ID = 0
"""Its number. The ledger's begin with 1."""


class Unknown:
    """One name at one address."""

    __slots__ = (
        "address",
        "adopted",
        "dialect",
        "first_ms",
        "frames",
        "ignored",
        "last_ms",
        "name",
        "number",
        "sessions",
        "stored_ms",
        "token",
        "tries",
    )

    def __init__(self, number: int, name: str, address: str, now_ms: int) -> None:
        self.number = number
        self.name = name
        self.address = address
        self.dialect = ""  # the last it spoke
        self.first_ms = self.last_ms = now_ms
        self.tries = 0
        self.frames: list[dict[str, Json]] = []
        self.sessions: tuple[Session, ...] = ()
        self.ignored = False
        self.adopted: DeviceState | None = None
        self.token = ""  # while it is to be told
        self.stored_ms = now_ms  # as of when the store has it

    @classmethod
    def of(cls, record: UnknownDevice) -> Unknown:
        """As the process before this one left it."""
        entry = cls(record.id, record.name, record.address, record.first_ms)
        entry.dialect, entry.frames, entry.ignored = record.dialect, record.frames, bool(record.ignored)
        entry.last_ms = entry.stored_ms = record.last_ms
        entry.tries = record.tries
        return entry

    def record(self) -> UnknownDevice:
        """What is kept of it."""
        return UnknownDevice(
            self.number,
            self.name,
            self.address,
            self.dialect,
            self.first_ms,
            self.last_ms,
            self.tries,
            int(self.ignored),
            list(self.frames),
        )


class Adoption:
    """The list of who waits. Empty, and refusing nobody differently, unless ``enabled``."""

    def __init__(self, hub: Hub, *, enabled: bool, never: str) -> None:
        """``never``: the device whose name nobody may take, for it does not come over a network."""
        self.enabled = enabled
        self._hub = hub
        self._never = never
        self._rarely = Rarely(logger)
        self._numbers = 0
        self._entries: OrderedDict[tuple[str, str], Unknown] = OrderedDict()  # the one heard least lately first
        self._by_number: dict[int, Unknown] = {}
        self._waiting: dict[Session, Unknown] = {}
        self._untold: dict[str, Unknown] = {}  # device id → whose device has not taken its token yet
        self.dropped = 0
        """Entries that made room for others, and names for which there was none, for the metrics."""

    def __len__(self) -> int:
        return len(self._entries)

    def fill(self) -> None:
        """Go on from what the store holds. Without ``enabled`` that stays as it is, for a later start."""
        if not self.enabled:
            return
        for record in sorted(self._hub.store.load(UnknownDevice), key=lambda record: record.last_ms):
            entry = Unknown.of(record)
            self._entries[entry.name, entry.address] = self._by_number[entry.number] = entry
            self._numbers = max(self._numbers, entry.number)
        self._prune()

    # -- from the dialects

    def knock(self, name: str, peer: str) -> None:
        """Somebody gives this instead of a token that opens something. It returns where that is to be refused as
        anybody's wrong token is: it can be no name, a person has said to ignore it, or there is no room.

        Raises:
            NotAdopted: it waits. For it to be sent its token, its connection has to `wait`.
            RateLimited: its address was wrong too often within the last minute, and it is a new name.
        """
        # What begins as a token does is one, perhaps mistyped: a secret must not stand in a list.
        if not self.enabled or name.startswith(TOKEN_PREFIXES) or not self._may_be_named(name):
            return
        address = host_of(peer)
        key = (name, address)
        entry = self._entries.get(key)
        new = entry is None
        if entry is None:
            self._hub.throttle.check(address)
            self._hub.throttle.failed(address)  # or one address could push all others out of the list
            if not self._make_room():
                return
            self._numbers += 1
            entry = self._entries[key] = Unknown(self._numbers, name, address, self._hub.clock_ms())
            self._by_number[entry.number] = entry
            self._rarely.warn("an unknown device waits to be adopted, see 'hardpoint device waiting': %r", name)
        self._entries.move_to_end(key)
        entry.last_ms = self._hub.clock_ms()
        entry.tries += 1
        if new or not 0 <= entry.last_ms - entry.stored_ms < STORE_EVERY_MS:  # below 0 the clock was set back
            self._store(entry)
        if not entry.ignored:
            raise _refusal(entry)

    def note(self, number: int, frame: Frame) -> None:
        """A frame of who waits under that number, which was refused: the first ones are shown with its name."""
        entry = self._by_number.get(number)
        if entry is not None:
            entry.dialect = frame.dialect
            if len(entry.frames) < MAX_FIRST_FRAMES:
                shown = frame.describe()
                shown["body"] = frame.body[:MAX_FIRST_CHARS]
                shown["cut"] = frame.cut or len(frame.body) > MAX_FIRST_CHARS
                entry.frames.append(shown)
                self._store(entry)

    def wait(self, session: Session, number: int) -> None:
        """The session stays, and is sent the token when there is one: at once, where there is."""
        entry = self._by_number.get(number)
        if entry is None:  # it has made room for others since
            return
        if len(entry.sessions) >= MAX_SESSIONS_PER_ENTRY:
            oldest = entry.sessions[0]
            self.left(oldest)
            oldest.end("taken over: too many connections wait under this name")
        entry.sessions = (*entry.sessions, session)
        entry.dialect = session.dialect
        self._waiting[session] = entry
        if entry.token:
            asyncio.get_running_loop().call_soon(self.tell, session)

    def refusal(self, session: Session) -> NotAdopted | None:
        """What to answer to whatever comes over a session that waits; None: it does not."""
        entry = self._waiting.get(session)
        return None if entry is None else _refusal(entry)

    def left(self, session: Session) -> None:
        """The session is over, or has attached. Idempotent."""
        entry = self._waiting.pop(session, None)
        if entry is not None:
            entry.sessions = tuple(other for other in entry.sessions if other is not session)

    def tell(self, session: Session) -> bool:
        """Send the token to whom the session belongs, if there is one and the session can take it now."""
        entry = self._waiting.get(session)
        if entry is None or not entry.token or entry.adopted is None:
            return False
        now = self._hub.clock_ms()
        # By the name that it gave: its topics are made of that, and the device may have got another name.
        if not session.deliver(Command(ADOPT_ID, entry.name, ADOPT, {"token": entry.token}, now, now)):
            return False
        self.left(session)
        session.adopted(entry.adopted)
        return True

    def confirm(self, device: DeviceState) -> bool:
        """The device has its token: it answered, or has signed in by it. False: it was not about to be told."""
        entry = self._untold.pop(device.id, None)
        if entry is not None:
            self._remove(entry)
        return entry is not None

    # -- for people

    def list(self) -> list[dict[str, Json]]:
        """Everybody on it, as the app API gives them, whoever was heard last first."""
        return [self._describe(each) for each in reversed(self._entries.values())]

    async def adopt(
        self, number: int, name: str | None = None, labels: dict[str, str] | None = None, *, replace: bool = False
    ) -> tuple[DeviceState, str, bool]:
        """Make the device of that entry. ``replace``: one of that name may exist already (it was flashed anew, say),
        and gets a new token. Returns it with its token, and whether the token is on its way over a connection.

        Raises:
            NotFound: nobody waits under that number, or the device was removed meanwhile.
            BadInput, Conflict, TooLarge: the name cannot be used, is taken, or there are too many devices.
            StorageError: it could not be stored, and nothing has changed.
        """
        hub, entry = self._hub, self._find(number)
        name = name or entry.name
        device = hub.catalogue.named(name)
        if device is None:
            device, token = await hub.create_device(name, labels)
        elif replace and device.id != self._never:
            token = await hub.new_device_token(device)
        else:
            raise Conflict(
                f"there is already a device {name!r}: give it another name, or replace its token", field="name"
            )
        self.confirm(device)  # it may have been adopted before, and not have come back
        if entry.ignored:
            entry.ignored = False
            self._store(entry)
        entry.adopted, entry.token = device, token
        self._untold[device.id] = entry
        hub.alerting.agenda.at(hub.clock_ms() + int(TELL_S * 1000), lambda: self._give_up(entry, token))
        told = [self.tell(session) for session in entry.sessions]
        return device, token, any(told)

    def ignore(self, number: int) -> None:
        """Refuse it as anybody else from now on, until it is adopted or has made room for others.

        Raises:
            NotFound: nobody waits under that number.
        """
        entry = self._find(number)
        entry.ignored = True
        self._store(entry)
        for session in entry.sessions:
            self.left(session)
            session.end("it is not wanted here")

    def forget(self, device: DeviceState) -> None:
        """The device was removed, or has got another token."""
        self.confirm(device)

    def close(self) -> None:
        """The server stops."""
        for session in list(self._waiting):
            session.end("the server is stopping")

    # -- inside

    def _find(self, number: int) -> Unknown:
        entry = self._by_number.get(number)
        if entry is None:
            raise NotFound(f"nobody waits under the number {number}")
        return entry

    def _may_be_named(self, name: str) -> bool:
        try:
            self._hub.catalogue.check_name(name)
        except Conflict:
            return name != self._never  # another that is known has lost its token, perhaps
        except BadInput:
            return False
        return True

    def _make_room(self) -> bool:
        if len(self._entries) < MAX_UNKNOWN:
            return True
        self.dropped += 1
        for entry in self._entries.values():
            if not entry.sessions and not entry.token:
                self._remove(entry)
                return True
        return False

    def _remove(self, entry: Unknown) -> None:
        """Whoever still waits under that name comes again."""
        self._hub.commits.note(Delete(entry.record()), lingering=True)
        self._entries.pop((entry.name, entry.address), None)
        self._by_number.pop(entry.number, None)
        entry.token = ""
        for session in entry.sessions:
            self.left(session)
            session.end("it was adopted")

    def _store(self, entry: Unknown) -> None:
        entry.stored_ms = entry.last_ms
        self._hub.commits.note(Put(entry.record()), lingering=True)

    def _prune(self) -> None:
        """Drop whom nobody has heard for long, now and again and again."""
        now = self._hub.clock_ms()
        for entry in list(self._entries.values()):
            if now - entry.last_ms > MAX_SILENT_S * 1000 and not entry.sessions and not entry.token:
                self._remove(entry)
        self._hub.alerting.agenda.at(now + int(PRUNE_EVERY_S * 1000), self._prune)

    def _give_up(self, entry: Unknown, token: str) -> None:
        if entry.token == token and entry.adopted is not None:
            self.confirm(entry.adopted)

    def _describe(self, entry: Unknown) -> dict[str, Json]:
        catalogue = self._hub.catalogue
        known = catalogue.named(entry.name)
        return {
            "id": entry.number,
            "name": entry.name,
            "address": entry.address,
            "dialect": entry.dialect,
            "first_seen": entry.first_ms,
            "last_seen": entry.last_ms,
            "tries": entry.tries,
            "connected": bool(entry.sessions),
            "ignored": entry.ignored,
            "known": known.id if known is not None else None,
            "adopted": entry.adopted.id if entry.adopted is not None else None,
            "frames": list(entry.frames),
        }


def _refusal(entry: Unknown) -> NotAdopted:
    if entry.adopted is not None:
        return NotAdopted(f"{entry.name} has been adopted and has a token of its own now", entry.number)
    return NotAdopted(f"{entry.name} is not known here and waits to be adopted", entry.number)
