"""The outbox: news of alerts on their way to people, over channels that may be out of order for hours.

A delivery is durable before it is tried, is tried until it succeeds or is `GIVE_UP_S` old, and keeps its number through
restarts, so that a receiver can tell a repeat. Within a channel news leave in their order, and what piles up leaves
together: a storm of alerts is one message, not a storm of messages.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ..errors import BadInput, Conflict, NotFound, StorageError, TooLarge
from ..model import MAX_NAME_LENGTH, SEVERITIES, Alert, Channel, Delete, Delivery, Json, Put, QuietHours, Rule
from ..rarely import Rarely
from .quiet import quiet_until
from .rules.wording import FIRING, RESOLVED, STILL_FIRING

if TYPE_CHECKING:
    from .agenda import Agenda
    from .batch import GroupCommit
    from .rules.wording import Wording

logger = logging.getLogger("hardpoint.outbox")
rarely = Rarely(logger)

GROUP_S = 1.0
"""How long the first piece of news waits for those that follow from the same cause."""
MIN_GAP_S = 15.0
"""Between two messages over one channel: what comes meanwhile leaves with the next."""
MAX_BUNDLE = 50
"""Pieces of news in one message."""
SEND_TIMEOUT_S = 30.0
RETRY_S = (15.0, 60.0, 300.0, 900.0, 3600.0)
"""After the first failure, the second, …; the last of them from then on."""
GIVE_UP_S = 24 * 3600.0
MAX_CHANNELS = 256
MAX_WAITING = 10_000
"""News under way. Beyond it no more is taken, and the log says so."""
MAX_STEPS = 50
"""Of a delivery; the oldest go first."""
MAX_REASON_LENGTH = 500
MAX_KEPT = 1_000
"""Ended deliveries kept for the log that people look at."""


class NotDelivered(Exception):
    """The receiver did not take it, and why."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What one message says."""

    key: str
    """The message's number: the same for every try, of this process and of those after it."""
    subject: str
    """One line."""
    text: str
    """A line for each piece of news."""
    severity: str
    """The gravest of them."""
    news: tuple[dict[str, Json], ...]
    """``{"id", "event", "alert"}`` each, the id being the delivery's, the alert as the app API gives it."""


class Sender(ABC):
    """A kind of channel. One object serves all channels of the kind."""

    secret: ClassVar[frozenset[str]] = frozenset()
    """Settings that are never shown again."""

    @abstractmethod
    def check(self, settings: Mapping[str, Json]) -> dict[str, Json]:
        """The settings, complete.

        Raises:
            BadInput: they cannot be used; the field says which.
        """

    @abstractmethod
    async def send(self, settings: Mapping[str, Json], notice: Notice) -> str:
        """Hand the notice to the receiver; returns what it said, in a few words.

        Raises:
            NotDelivered: it did not take it.
        """


class Outbox:
    """Channels, quiet hours, and every delivery under way."""

    def __init__(
        self,
        commits: GroupCommit,
        agenda: Agenda,
        senders: Mapping[str, Callable[[], Sender]],
        wording: Wording,
        *,
        clock_ms: Callable[[], int],
        find_alert: Callable[[int], Alert | None],
    ) -> None:
        """``senders``: kind → what makes one, on first use."""
        self._commits = commits
        self._agenda = agenda
        self._make_sender = senders
        self._senders: dict[str, Sender] = {}
        self._clock_ms = clock_ms
        self._find_alert = find_alert
        self._wording = wording
        self.channels: dict[str, Channel] = {}
        self.quiet: dict[str, QuietHours] = {}
        self._waiting: dict[str, dict[int, Delivery]] = {}  # channel → its deliveries in their order
        self._kept: dict[int, Delivery] = {}
        self._free_ms: dict[str, int] = {}  # channel → when its next message may leave
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wakes_ms: dict[str, int] = {}  # channel → when the agenda calls for it
        self._next_id = 1
        self._closed = False
        self.sent_total = 0
        self.failed_total = 0
        agenda.on_jump.append(self._clock_jumped)

    def fill(
        self,
        channels: Iterable[Channel],
        deliveries: Iterable[Delivery],
        quiet: Iterable[QuietHours],
    ) -> None:
        """Take what the store holds, at start, after the alerts."""
        self.channels = {channel.id: channel for channel in channels}
        self.quiet = {hours.id: hours for hours in quiet}
        for delivery in sorted(deliveries, key=lambda delivery: delivery.id):
            self._next_id = delivery.id + 1
            if delivery.state == "waiting" and delivery.channel_id in self.channels:
                self._waiting.setdefault(delivery.channel_id, {})[delivery.id] = delivery
            else:
                self._kept[delivery.id] = delivery
        for channel_id in self._waiting:
            self._wake(channel_id)

    async def close(self) -> None:
        """Stop sending; what is under way goes on at the next start."""
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def waiting_count(self) -> int:
        """Deliveries under way."""
        return sum(map(len, self._waiting.values()))

    @property
    def busy(self) -> bool:
        """Whether something is being sent right now."""
        return bool(self._tasks)

    def newest_first(self) -> Iterator[Delivery]:
        """Deliveries by falling number: those under way, and the last of those that ended."""
        under_way = [delivery for waiting in self._waiting.values() for delivery in waiting.values()]
        return iter(sorted([*self._kept.values(), *under_way], key=lambda delivery: -delivery.id))

    # -- news

    def announce(self, alert: Alert, event: str, rule: Rule | None) -> None:
        """Tell the rule's channels. The end is told to those that were told of the beginning, and to no others."""
        if event == RESOLVED:
            to = [channel_id for channel_id in alert.told if channel_id in self.channels]
        elif rule is None or self._wording.silence(alert) is not None:
            return
        else:
            to = [channel_id for channel_id in dict.fromkeys(rule.channels) if channel_id in self.channels]
        for channel_id in to:
            if self._post(channel_id, alert, event) and channel_id not in alert.told:
                alert.told.append(channel_id)

    def _post(self, channel_id: str, alert: Alert, event: str) -> bool:
        """Whether it could be taken."""
        if self.waiting_count >= MAX_WAITING:
            self.failed_total += 1
            rarely.warn("%d pieces of news are under way, and no more is taken: see to the channels", MAX_WAITING)
            return False
        now = self._clock_ms()
        waiting = self._waiting.setdefault(channel_id, {})
        begun = [delivery for delivery in waiting.values() if delivery.alert_id == alert.id]
        if event == STILL_FIRING and begun:
            return True  # they have not even been told what is not over yet
        quiet_ms = quiet_until(self.quiet.values(), channel_id, alert.severity, now)
        # It came and went while nobody was to be disturbed. What was tried before may have arrived, and has an end.
        if quiet_ms is not None and event == RESOLVED and begun and all(each.message is None for each in begun):
            for delivery in begun:
                self._end(delivery, "dropped", "it ended within quiet hours")
            if begun[0].event == FIRING:
                return True
        delivery = Delivery(self._next_id, channel_id, alert.id, event, "waiting", now, now + int(GROUP_S * 1000))
        self._next_id += 1
        if quiet_ms is not None:
            delivery.due_ms = quiet_ms
            delivery.steps.append(["waiting", now, "quiet hours"])
        waiting[delivery.id] = delivery
        self._store(delivery)
        self._wake(channel_id)
        return True

    # -- sending

    def _wake(self, channel_id: str) -> None:
        """See to it that the channel is served when its first delivery is due and it is free."""
        waiting = self._waiting.get(channel_id)
        if waiting and channel_id not in self._tasks and not self._closed:
            due_ms = max(min(due_ms for _, due_ms in _in_order(waiting)), self._free_ms.get(channel_id, 0))
            if due_ms < self._wakes_ms.get(channel_id, due_ms + 1):
                self._wakes_ms[channel_id] = due_ms
                self._agenda.at(due_ms, lambda: self._begin(channel_id))

    def _begin(self, channel_id: str) -> None:
        self._wakes_ms.pop(channel_id, None)
        if channel_id in self._tasks or self._closed or channel_id not in self.channels:
            return
        due = self._due(channel_id, self._clock_ms())
        if not due:
            self._wake(channel_id)
            return
        task = asyncio.get_running_loop().create_task(self._send(channel_id, due), name="outbox")
        self._tasks[channel_id] = task
        task.add_done_callback(lambda _: self._sent(channel_id))

    def _due(self, channel_id: str, now_ms: int) -> list[Delivery]:
        """What leaves next in one message: that of the last try, if it failed, or else all that is due."""
        if now_ms < self._free_ms.get(channel_id, 0):
            return []
        waiting = self._waiting.get(channel_id, {})
        due = [delivery for delivery, due_ms in _in_order(waiting) if due_ms <= now_ms]
        for delivery in due:  # quiet hours may have begun, or follow one another
            alert = self._find_alert(delivery.alert_id)
            if alert is None:
                continue
            quiet_ms = quiet_until(self.quiet.values(), channel_id, alert.severity, now_ms)
            if quiet_ms is not None:
                delivery.due_ms = quiet_ms
                delivery.steps.append(["waiting", now_ms, "quiet hours"])
                self._store(delivery)
        due = [delivery for delivery, due_ms in _in_order(waiting) if due_ms <= now_ms]
        if not due:
            return []
        message = due[0].message
        due = [delivery for delivery in due if delivery.message == message][:MAX_BUNDLE]
        if message is None:
            for delivery in due:
                delivery.message = due[0].id
                self._store(delivery)
        return due

    def _clock_jumped(self, by_ms: int) -> None:
        if by_ms < 0:  # forward, what is due is due
            for waiting in self._waiting.values():
                for delivery in waiting.values():
                    delivery.due_ms += by_ms
            for channel_id in self._free_ms:
                self._free_ms[channel_id] += by_ms
        self._wakes_ms.clear()
        for channel_id in self._waiting:
            self._wake(channel_id)

    def _sent(self, channel_id: str) -> None:
        self._tasks.pop(channel_id, None)
        self._wake(channel_id)

    async def _send(self, channel_id: str, due: list[Delivery]) -> None:
        channel = self.channels[channel_id]
        news = [(delivery, self._find_alert(delivery.alert_id)) for delivery in due]
        for delivery, alert in news:
            if alert is None:
                self._end(delivery, "dropped", "the alert is no longer kept")
        tellable = [(delivery, alert) for delivery, alert in news if alert is not None]
        due = [delivery for delivery, _ in tellable]
        if not due:
            return
        try:
            await self._commits.durable()  # a crash from here on repeats it under the same numbers
        except StorageError:
            self._free_ms[channel_id] = self._clock_ms() + int(RETRY_S[0] * 1000)
            return
        notice = self._notice(tellable)
        try:
            said = await self._hand_over(channel, notice)
        except NotDelivered as error:
            self._failed(channel_id, due, str(error))
            return
        for delivery in due:
            delivery.attempts += 1
            if delivery.state == "waiting":  # the channel may have been removed meanwhile
                self._end(delivery, "sent", said)
            self.sent_total += 1
        self._free_ms[channel_id] = self._clock_ms() + int(MIN_GAP_S * 1000)

    async def _hand_over(self, channel: Channel, notice: Notice) -> str:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                return await self.sender(channel.kind).send(channel.settings, notice)
        except TimeoutError:
            raise NotDelivered(f"no answer within {SEND_TIMEOUT_S:g} s") from None
        except NotDelivered:
            raise
        except Exception as error:
            logger.exception("channel %s failed", channel.id)
            raise NotDelivered(f"{type(error).__name__}, see the log") from None

    def _failed(self, channel_id: str, due: list[Delivery], reason: str) -> None:
        now = self._clock_ms()
        attempts = max(delivery.attempts for delivery in due) + 1
        wait_ms = int(RETRY_S[min(attempts, len(RETRY_S)) - 1] * 1000)
        for delivery in due:
            delivery.attempts = attempts
            if delivery.state != "waiting":  # the channel was removed meanwhile
                continue
            if now - delivery.created_ms >= GIVE_UP_S * 1000 and attempts > len(RETRY_S):
                self._end(delivery, "failed", reason)
                self.failed_total += 1
            else:
                delivery.due_ms = now + wait_ms
                delivery.steps = [*delivery.steps[-MAX_STEPS + 1 :], ["waiting", now, reason[:MAX_REASON_LENGTH]]]
                self._store(delivery)
        # News that came meanwhile waits as well: the channel is out of order, and they keep their order.
        self._free_ms[channel_id] = now + wait_ms

    def _notice(self, news: list[tuple[Delivery, Alert]]) -> Notice:
        lines = [self._wording.line(delivery.event, alert) for delivery, alert in news]
        return Notice(
            str(news[0][0].message),
            lines[0] if len(lines) == 1 else f"{lines[0]} (and {len(lines) - 1} more)",
            "\n".join(lines),
            max((alert.severity for _, alert in news), key=SEVERITIES.index),
            tuple(
                {"id": delivery.id, "event": delivery.event, "alert": self._wording.describe(alert)}
                for delivery, alert in news
            ),
        )

    def _end(self, delivery: Delivery, state: str, reason: str) -> None:
        delivery.state = state
        delivery.steps.append([state, self._clock_ms(), reason[:MAX_REASON_LENGTH]])
        self._waiting.get(delivery.channel_id, {}).pop(delivery.id, None)
        self._kept[delivery.id] = delivery
        self._store(delivery)
        while len(self._kept) > MAX_KEPT:
            self._commits.note(Delete(self._kept.pop(next(iter(self._kept)))))

    def _store(self, delivery: Delivery) -> None:
        self._commits.note(Put(replace(delivery, steps=[list(step) for step in delivery.steps])))

    # -- channels and quiet hours

    def offer(self, kind: str, sender: Sender) -> None:
        """A kind of channel whose sender needs a part of the server, and so was made by whoever has it."""
        self._senders[kind] = sender

    def sender(self, kind: str) -> Sender:
        """What serves channels of a kind.

        Raises:
            BadInput: there is no such kind, or it needs a package that is not installed.
        """
        if kind not in self._senders:
            try:
                self._senders[kind] = self._make_sender[kind]()
            except KeyError:
                raise BadInput(f"kind is one of {', '.join(self.kinds)}", field="kind") from None
            except ImportError as error:
                raise BadInput(f"{kind} needs a package that is not installed: {error.name}", field="kind") from None
        return self._senders[kind]

    @property
    def kinds(self) -> list[str]:
        """Kinds of channels there may be."""
        return list(dict.fromkeys([*self._make_sender, *self._senders]))

    def channel(self, channel_id: str) -> Channel:
        """A channel by its id.

        Raises:
            NotFound: there is none.
        """
        channel = self.channels.get(channel_id)
        if channel is None:
            raise NotFound(f"there is no channel {channel_id!r}")
        return channel

    async def put_channel(self, channel: Channel) -> None:
        """Take a new channel, or another one in the place of that with its id.

        Raises:
            BadInput: its name or settings cannot be used.
            TooLarge: there are too many.
            StorageError: it could not be stored, and is not there.
        """
        if not 0 < len(channel.name) <= MAX_NAME_LENGTH or not channel.name.isprintable():
            raise BadInput(f"a name has 1 to {MAX_NAME_LENGTH} visible characters", field="name")
        channel.settings = self.sender(channel.kind).check(channel.settings)
        if channel.id not in self.channels and len(self.channels) >= MAX_CHANNELS:
            raise TooLarge(f"there are {MAX_CHANNELS} channels already")
        await self._durable(Put(channel))
        self.channels[channel.id] = channel

    async def remove_channel(self, channel_id: str, rules: Iterable[Rule]) -> None:
        """Remove a channel that no rule uses; what was under way over it is dropped.

        Raises:
            NotFound: there is none of that id.
            Conflict: a rule uses it.
        """
        channel = self.channel(channel_id)
        for rule in rules:
            if channel_id in rule.channels:
                raise Conflict(f"rule {rule.id} uses this channel")
        await self._durable(Delete(channel))
        self.channels.pop(channel_id, None)  # two may ask at once
        for delivery in list(self._waiting.pop(channel_id, {}).values()):
            self._end(delivery, "dropped", "the channel was removed")

    async def test_channel(self, channel_id: str, who: str) -> str:
        """Send a message that says it is a test, now; returns what the receiver said.

        Raises:
            NotFound: there is no such channel.
            NotDelivered: it was not taken, and why.
        """
        text = f"A test of this channel, asked for by {who}."
        return await self._hand_over(self.channel(channel_id), Notice("test", text, text, "info", ()))

    async def set_quiet(self, hours: list[QuietHours]) -> None:
        """Put these quiet hours in the place of all there were.

        Raises:
            StorageError: it could not be stored, and the old ones go on.
        """
        gone = [Delete(old) for old in self.quiet.values() if old.id not in {new.id for new in hours}]
        await self._durable(*gone, *(Put(new) for new in hours))
        self.quiet = {new.id: new for new in hours}

    async def _durable(self, *changes: Put | Delete) -> None:
        self._commits.batch.changes.extend(changes)
        await self._commits.durable()


def _in_order(waiting: Mapping[int, Delivery]) -> Iterator[tuple[Delivery, int]]:
    """Deliveries, and when each may leave: not before an earlier one of the same alert."""
    least_ms: dict[int, int] = {}
    for delivery in waiting.values():
        due_ms = least_ms[delivery.alert_id] = max(delivery.due_ms, least_ms.get(delivery.alert_id, 0))
        yield delivery, due_ms
