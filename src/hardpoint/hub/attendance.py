"""Who was attached when and why that ended, the learnt interval across restarts, and word when a report is overdue.

Each device has a ring of its last attachments in the store. In memory an open one is two numbers of its session, and a
habit two of its device: with a record of each, an idle device would weigh a quarter more.

Nothing ticks: a device of which something is expected has one entry in the agenda. When it comes up and a report has
come meanwhile, the entry moves on to when the next one is due, so a report itself only looks whether there is an entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..model import Attachment, EndAttachment, Habit, Put
from .presence import late_after_s, silent_after_s
from .session import host_of

if TYPE_CHECKING:
    from ..model import Json
    from .agenda import Agenda
    from .batch import GroupCommit
    from .devices import Catalogue, DeviceState
    from .session import Session

MAX_ATTACHMENTS = 32
"""Kept of each device: a month of a device that reconnects daily, a day of one that flaps."""
BRIEF_GAP_MS = 60_000
"""A long poll that follows another one from the same address within this continues it."""
BRIEF_WRITE_MS = 600_000
"""How often the end of such a chain of polls is written down: each poll would be a row of the journal."""
RELEARNT = 0.2
"""A learnt interval is written down when it has moved by this much of itself."""
ENDED_UNSEEN = "the server ended without notice"
POLLED_ELSEWHERE = "it polls from another address"


class Attendance:
    """Notes attachments, habits and lateness."""

    def __init__(
        self,
        catalogue: Catalogue,
        commits: GroupCommit,
        agenda: Agenda,
        clock_ms: Callable[[], int],
        publish: Callable[[DeviceState], None],
    ) -> None:
        """``publish`` tells the live feed of a device's presence."""
        self._catalogue = catalogue
        self._commits = commits
        self._agenda = agenda
        self._clock_ms = clock_ms
        self._publish = publish
        self._polls: dict[str, tuple[Attachment, int]] = {}  # device id → its chain of polls, and when it was written
        self._late: set[DeviceState] = set()  # of which it was said
        agenda.on_jump.append(self._clock_jumped)

    def fill(self, habits: Iterable[Habit]) -> None:
        """Take over what the store holds, after the devices."""
        for habit in habits:
            device = self._catalogue.by_id.get(habit.device_id)
            if device is not None:
                device.attachments = habit.attachments
                device.learnt_every_s = device.noted_every_s = habit.learnt_every_s
        for device in self._catalogue:
            self.expect(device)

    def close(self) -> None:
        """Note what is only in memory, for the last commit."""
        for attachment, _ in self._polls.values():
            self._commits.note(Put(replace(attachment)))

    def forget(self, device: DeviceState) -> None:
        """The device was removed."""
        self._polls.pop(device.id, None)
        self._late.discard(device)

    # -- attachments

    def came(self, session: Session, device: DeviceState) -> None:
        """A session has attached the device, at its ``attached_ms``."""
        now = session.attached_ms
        if session.brief and device.id in self._polls:
            chain, written_ms = self._polls[device.id]
            gap_ms = now - (chain.ended_ms if chain.ended_ms is not None else now)
            if host_of(chain.peer) == host_of(session.peer) and 0 <= gap_ms <= BRIEF_GAP_MS:
                chain.ended_ms = chain.why = None
                return
            if chain.ended_ms is None:
                self._commits.note(Put(replace(chain, ended_ms=now, why=POLLED_ELSEWHERE)))
            elif chain.ended_ms > written_ms:
                self._commits.note(Put(replace(chain)))
        session.slot = device.attachments % MAX_ATTACHMENTS
        device.attachments += 1
        attachment = _attachment(session, device)
        if session.brief:
            self._polls[device.id] = (replace(attachment), now)
        self._commits.note(Put(attachment))
        self._commits.note(Put(_habit(device)))

    def went(self, session: Session, device: DeviceState, why: str) -> None:
        """The session is over, and no longer among the device's."""
        if self._catalogue.by_id.get(device.id) is not device:
            return
        if session.brief:
            self._poll_went(device, why)
        else:
            self._commits.note(EndAttachment(device.id, session.slot, session.attached_ms, self._clock_ms(), why))

    def _poll_went(self, device: DeviceState, why: str) -> None:
        if device.id not in self._polls or any(other.brief for other in device.sessions):
            return  # another poll of the same chain is still open
        chain, written_ms = self._polls[device.id]
        chain.ended_ms, chain.why = self._clock_ms(), why
        if chain.ended_ms - written_ms >= BRIEF_WRITE_MS:
            self._polls[device.id] = (chain, chain.ended_ms)
            self._commits.note(Put(replace(chain)))

    def history(self, device: DeviceState, stored: Iterable[Attachment]) -> list[dict[str, Json]]:
        """The device's last attachments as the app API gives them, the newest first; ``stored`` are its rows."""
        found = {(each.slot, each.began_ms): each for each in stored}
        open_now = [_attachment(session, device) for session in device.sessions if not session.brief]
        chain = self._polls.get(device.id)
        if chain is not None:
            found[(chain[0].slot, chain[0].began_ms)] = chain[0]
            if chain[0].ended_ms is None:
                open_now.append(chain[0])
        for each in open_now:
            found[(each.slot, each.began_ms)] = each
        open_ids = {id(each) for each in open_now}
        newest = sorted(found.values(), key=lambda each: (each.began_ms, each.slot), reverse=True)
        return [_describe(each, is_open=id(each) in open_ids) for each in newest[:MAX_ATTACHMENTS]]

    # -- habits and lateness

    def reported(self, device: DeviceState) -> None:
        """A report has begun, and the interval was learnt from."""
        learnt_s = device.learnt_every_s
        if learnt_s is not None:
            noted_s = device.noted_every_s
            if noted_s is None or abs(learnt_s - noted_s) > RELEARNT * noted_s:
                device.noted_every_s = learnt_s
                self._commits.note(Put(_habit(device)))
        if device in self._late:
            self._late.discard(device)
            self._publish(device)
        if not device.awaited:
            self.expect(device)

    def changed(self, device: DeviceState) -> None:
        """Its interval was set by a person, perhaps to a shorter one."""
        self._agenda.forget(lambda about: about is device)
        device.awaited = False
        self.expect(device)

    def _clock_jumped(self, by_ms: int) -> None:
        """The wall clock was set: nobody is later for it. What was heard by the old clock was as long ago as before.
        Times that the store has given are left alone: the clock that they were taken by was another one.
        """
        for device in self._catalogue:
            if device.report_ms:
                device.report_ms += by_ms
                device.last_reading_ms = None if device.last_reading_ms is None else device.last_reading_ms + by_ms
                device.last_seen_ms = None if device.last_seen_ms is None else device.last_seen_ms + by_ms

    def expect(self, device: DeviceState) -> None:
        """Look at the device again when its next report is overdue, if anything is expected of it."""
        due_ms = self._due_ms(device)
        if due_ms is not None and not device.awaited:
            device.awaited = True
            self._agenda.at(due_ms, partial(self._look, device), device)

    def _due_ms(self, device: DeviceState) -> int | None:
        """When it will be late, or, being that, silent; None: it is silent, or never will be."""
        late_s = late_after_s(device)
        silent_s = silent_after_s(device)
        if late_s is None or silent_s is None or device.last_reading_ms is None:
            return None
        now = self._clock_ms()
        # + 1: late is what is *longer* ago than allowed
        for after_s in (late_s, silent_s):
            due_ms = device.last_reading_ms + int(after_s * 1000) + 1
            if due_ms > now:
                return due_ms
        return None

    def _look(self, device: DeviceState) -> None:
        device.awaited = False
        if self._catalogue.by_id.get(device.id) is not device:
            return
        now = self._clock_ms()
        late_s = late_after_s(device)
        if late_s is not None and device.last_reading_ms is not None and now - device.last_reading_ms > late_s * 1000:
            self._late.add(device)
            self._publish(device)
        self.expect(device)


def _habit(device: DeviceState) -> Habit:
    return Habit(device.id, device.noted_every_s, device.attachments)


def _attachment(session: Session, device: DeviceState) -> Attachment:
    """Of a session that is open."""
    return Attachment(
        device.id, session.slot, session.attached_ms, None, session.peer, session.dialect, session.encrypted, None
    )


def _describe(attachment: Attachment, *, is_open: bool) -> dict[str, Json]:
    """An open row in the store that no session of ours has is from before a crash."""
    lost = attachment.ended_ms is None and not is_open
    return {
        "from": attachment.began_ms,
        "to": attachment.ended_ms,
        "address": attachment.peer,
        "dialect": attachment.dialect,
        "encrypted": attachment.encrypted,
        "why": ENDED_UNSEEN if lost else attachment.why,
    }
