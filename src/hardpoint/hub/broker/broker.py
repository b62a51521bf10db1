"""The broker's verbs: open and close a session, subscribe, publish, acknowledge, and what time brings.

A message takes the way its qualities allow. QoS 0, and QoS 1 and 2 to clients whose session ends with their connection,
go from connection to connection and touch no disk. What is for a session that is kept becomes a record of the commit
being collected before it goes out, and so the publisher's acknowledgement waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ...wire.mqtt import reasons
from ..topics import checked_filter
from .endings import Endings
from .keeper import Keeper
from .messages import QUEUED, RELEASED, Message, Outgoing
from .retained import Retained
from .routes import Routes
from .session import NEVER_S, ClientSession, Subscription

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...config import Mqtt
    from ...stores.base import Store
    from ..batch import GroupCommit
    from .access import Access
    from .messages import Will
    from .routes import Target
    from .session import Client, Request

RETAINED_EXPIRE_MS = 60_000
"""How often retained messages whose time is up are looked for; a subscriber never gets one in between."""

DROPS = ("not_read", "queue_full", "too_large", "expired")
"""Why a message was not sent to somebody: QoS 0 to a client that does not read, a queue's limit was reached, the client
takes no packet of that size, its time was up.
"""

RestoreAccess = Callable[[str], "Access | None"]
"""The rights behind a session's key at start, or None when whoever it was is gone."""


class Broker:
    """Sessions by key, their subscriptions and messages. Used on one event loop's thread."""

    def __init__(self, commits: GroupCommit, settings: Mqtt, clock_ms: Callable[[], int]) -> None:
        self.settings = settings
        self.clock_ms = clock_ms
        self.keeper = Keeper(commits)
        self.routes = Routes()
        self.retained = Retained(self.keeper, settings.max_retained_messages, settings.max_retained_bytes)
        self.sources: list[Callable[[str, Access], Iterator[Message]]] = []
        """Who else has retained messages, made when somebody subscribes: by filter and who asks."""
        self.divert: Callable[[Message], bool] | None = None
        """Asked of every will: True, it was taken and is not to be published."""
        self.sessions: dict[str, ClientSession] = {}
        self.queued_bytes = 0
        """What waits in all sessions together."""
        self.allowances: dict[str, tuple[int, int]] = {}
        """Sessions whose queue has limits of its own, by key: messages and bytes."""
        self._count_of: dict[str, int] = {}  # sessions, by principal
        self._endings = Endings(self.sessions)
        self._retained_due_ms = 0
        self.published = self.delivered = self.queued = 0
        """Messages taken, sent, and put in a queue, since the start."""
        self.drops = dict.fromkeys(DROPS, 0)
        """Messages that were not sent to somebody, by reason."""

    @property
    def dropped(self) -> int:
        """All of `drops`."""
        return sum(self.drops.values())

    def fill(self, store: Store, restore_access: RestoreAccess) -> None:
        """Take over what the store holds. Who was connected when the process ended is not any more."""
        now = self.clock_ms()
        for record, will in self.keeper.sessions(store):
            access = restore_access(record.key)
            session = ClientSession(record.key, access) if access is not None else None
            if session is None:
                self.keeper.drop_session(_stored(record.key))
                continue
            session.expiry_s = record.expiry_s
            was_connected = record.ended_ms is None  # when the process ended
            session.ended_ms = now if was_connected else record.ended_ms
            session.incoming = set(record.incoming) or None
            session.will = will
            session.stored = True
            self._add(session)
            if was_connected:
                self._endings.expect(session)
            else:
                self._endings.restored(session)
        for key, request in self.keeper.subscriptions(store):
            session = self.sessions.get(key)
            if session is None:
                self.keeper.drop_subscription(_stored(key), request.filter)
            else:
                self.routes.add(Subscription(session, request))
        for key, outgoing in self.keeper.messages(store):
            session = self.sessions.get(key)
            if session is None:
                self.keeper.drop_message(_stored(key), outgoing)
            else:
                session.restore(outgoing)
                self.queued_bytes += outgoing.weight
        for message in self.keeper.retained(store):
            self.retained.restore(message)
        self.tick()

    # -- connections

    def open(
        self,
        client: Client,
        key: str,
        access: Access,
        *,
        clean: bool,
        expiry_s: int = 0,
        will: Will | None = None,
        window: int,
    ) -> tuple[ClientSession, bool] | None:
        """A client has signed in. ``(its session, whether that was there before)``; `resume` when it has been told.

        None: there are ``mqtt.max_sessions`` already, or ``mqtt.max_sessions_per_principal`` of whoever it is.
        """
        session = self.sessions.get(key)
        if session is not None and session.client is not None:  # [MQTT-3.1.4-3]
            before = session.client
            self.close(session, before, publish_will=True)
            before.disconnect(reasons.SESSION_TAKEN_OVER)
            session = self.sessions.get(key)
        if session is not None and (clean or self._is_over(session)):  # [MQTT-3.1.2-4], [MQTT-3.1.4-4]
            self._discard(session)
            session = None
        present = session is not None  # [MQTT-3.1.2-5], -6
        if session is None:
            if not self._has_room_for(key):
                return None
            session = ClientSession(key, access)
            self._add(session)
        elif session.access != access:
            session.access = access
            self.routes.clear()
        session.client = client
        session.ended_ms = None
        self._endings.forget(session)
        session.expiry_s = expiry_s
        session.will = will  # [MQTT-3.1.2-7]; the old one's is not published any more ([MQTT-3.1.3-9])
        session.window = window
        if session.durable or will is not None:
            self.keeper.put_session(session)
        elif present:  # it was kept, and will not be
            self._store_no_more(session)
        return session, present

    def sessions_of(self, principal: str) -> list[ClientSession]:
        """Every session of a device or an API token."""
        if principal not in self._count_of:
            return []
        return [session for key, session in self.sessions.items() if principal_of(key) == principal]

    def resume(self, session: ClientSession) -> None:
        """The client knows that it is connected: send what it has not acknowledged again, in order, then what waits
        ([MQTT-4.4.0-1], [MQTT-4.6.0-1]).
        """
        client = session.client
        if session.in_flight is not None and client is not None:
            session.resending = deque(each for each in session.in_flight.values() if each.state != RELEASED)
            for outgoing in session.in_flight.values():
                if outgoing.state == RELEASED:
                    client.send_release(outgoing.packet_id)
        self.pump(session)

    def close(self, session: ClientSession, client: Client, *, publish_will: bool, expiry_s: int | None = None) -> None:
        """The connection is over. ``expiry_s`` is what the client asked for at its end. Nothing happens if another
        connection has the session.
        """
        if session.client is not client:
            return
        session.client = session.resending = None
        if expiry_s is not None:
            session.expiry_s = expiry_s
        now = session.ended_ms = self.clock_ms()
        self._drop_unkept(session)
        if not publish_will:
            session.will = None  # [MQTT-3.14.4-3]
        elif session.will is not None and (not session.will.delay_s or not session.durable):  # [MQTT-3.1.2-8]
            self._publish_will(session, now)
        if not session.durable:
            self._discard(session)
            return
        self.keeper.put_session(session)  # [MQTT-3.1.2-23]
        self._endings.expect(session)

    def end(self, session: ClientSession, reason: int, message: str = "") -> None:
        """Forget a session at once, its connection included: whoever it belonged to is gone, or may not any more."""
        client = session.client
        if client is not None:
            session.client = None
            client.disconnect(reason, message)
        if self.sessions.get(session.key) is session:
            session.will = None
            self._discard(session)

    # -- subscriptions

    def subscribe(self, session: ClientSession, requests: Sequence[Request]) -> tuple[list[int], list[Outgoing]]:
        """``(a reason for each, retained messages to `send` behind them)``. The filters were checked."""
        answers: list[int] = []
        retained: list[Outgoing] = []
        settings, now = self.settings, self.clock_ms()
        # One packet may name "#" a hundred thousand times, and each would find everything that is retained: it is
        # looked for once, and never for more than can wait.
        room = settings.max_queued_messages + settings.max_retained_messages
        looked_for: set[str] = set()
        for request in requests:
            group, topic_filter = checked_filter(request.filter)
            held = session.subscriptions or {}
            if request.filter not in held and len(held) >= settings.max_subscriptions_per_client:
                answers.append(reasons.QUOTA_EXCEEDED)
                continue
            subscription = Subscription(session, request)
            new = self.routes.add(subscription)
            if session.durable:
                self.keeper.put_subscription(subscription)
            answers.append(request.qos)
            handling = request.retain_handling
            if topic_filter in looked_for or len(retained) >= room:
                continue
            # [MQTT-3.3.1-9], -10, -11, [MQTT-3.8.4-4]
            if group is None and (handling == 0 or (handling == 1 and new)):
                looked_for.add(topic_filter)
                identifiers = (request.identifier,) if request.identifier else ()
                for message in self._retained_for(session, topic_filter, now):
                    if len(retained) >= room:
                        self.drops["queue_full"] += 1
                        break
                    qos = min(message.qos, request.qos)
                    retained.append(Outgoing(message, qos, retain=True, identifiers=identifiers))
        return answers, retained

    def unsubscribe(self, session: ClientSession, filters: Sequence[str]) -> list[int]:
        """A reason for each, in their order ([MQTT-3.10.4-6], [MQTT-3.11.3-1], -2). What is in flight stays
        ([MQTT-3.10.4-3]).
        """
        answers: list[int] = []
        for topic_filter in filters:
            found = self.routes.remove(session, topic_filter)
            if found and session.durable:
                self.keeper.drop_subscription(session, topic_filter)
            answers.append(reasons.SUCCESS if found else reasons.NO_SUBSCRIPTION_EXISTED)
        return answers

    # -- messages

    def publish(self, message: Message) -> int:
        """Hand a message to everybody who has subscribed; how many that were. What must be stored is noted with the
        commit being collected.
        """
        self.published += 1
        if message.retain:  # [MQTT-3.3.1-8]
            self.retained.keep(message)
        route = self.routes.find(message.topic)
        targets = route.targets
        source, qos = message.source, message.qos
        for target in targets:
            session = target.session
            if target.no_local and session.key == source:  # [MQTT-3.8.3-3]
                continue
            if not qos or not target.qos:
                client = session.client
                if client is None or client.full:
                    self.drops["not_read"] += client is not None
                    continue
                # [MQTT-3.3.1-12], [MQTT-3.3.1-13]
                retain = message.retain and target.retain_as_published
                if client.send_message(message, 0, retain, False, 0, target.identifiers):
                    self.delivered += 1
                else:
                    self.drops["too_large"] += 1
            else:
                self._deliver(session, message, target)
        count = len(targets)
        for share in route.shares:
            chosen = share.choose(message.topic)
            if chosen is not None:
                count += 1
                self._deliver(chosen.session, message, chosen)
        return count

    def take_back(self, message: Message, former: Message | None) -> None:
        """A message of QoS 2 could not be stored, and its publisher is told so: whom it has not been sent to never gets
        it. ``former`` is what was retained under its topic before it.
        """
        topic = message.topic
        if message.retain and self.retained.get(topic) is (message if message.payload else None):
            if former is not None:
                self.retained.keep(former)
            else:
                self.retained.remove(topic)
        route = self.routes.find(topic)
        shared = (member.session for share in route.shares for member in share.members)
        for session in {*(target.session for target in route.targets), *shared}:
            for outgoing in list(session.waiting()):
                unsent = outgoing.state == QUEUED or (outgoing.qos == 2 and outgoing.seq)
                if outgoing.message is message and unsent:
                    session.take_out(outgoing)
                    self._finished(session, outgoing)
            self.pump(session)

    def send(self, session: ClientSession, outgoing: Outgoing) -> bool:
        """Put a message on its way to one client, behind what waits. False: a limit was reached, and it is dropped."""
        client, qos = session.client, outgoing.qos
        now = client is not None and not session.queue and not client.full and (not qos or session.has_window())
        if not now and not self._has_room(session, outgoing):  # of any quality: behind a full window all of them wait
            self.drops["queue_full"] += 1
            return False
        if qos and outgoing.receipt is None:  # [MQTT-4.5.0-1]
            self.queued_bytes += outgoing.weight
            if session.expiry_s:
                outgoing.seq = self.keeper.next_seq()
        if now:
            self._send_now(session, outgoing)
        else:
            session.enqueue(outgoing)
            self.queued += 1
            if outgoing.seq:
                self.keeper.put_message(session, outgoing)
        return True

    def _has_room(self, session: ClientSession, outgoing: Outgoing) -> bool:
        settings, count, size = self.settings, len(session.queue or ()), outgoing.weight
        if outgoing.retain:
            # A subscription to everything must not lose half of it, so all that is kept has room besides. In bytes as
            # well: of a topic that is written again and again, each one that waits is another payload.
            count -= settings.max_retained_messages
            size -= settings.max_retained_bytes
        allowed = settings.max_queued_messages, settings.max_queued_bytes
        max_messages, max_bytes = self.allowances.get(session.key, allowed)
        return (
            count < max_messages
            and session.queued_bytes + size <= max_bytes
            and self.queued_bytes + size <= settings.max_queued_bytes_total
        )

    def pump(self, session: ClientSession) -> None:
        """Send what waits, as far as the window and the client's reading allow."""
        client = session.client
        if session.resending and client is not None:
            self._resend(session, client)
        while session.queue and client is not None and not client.full:
            if session.queue[0].qos and not session.has_window():
                return
            outgoing = session.dequeue()
            assert outgoing is not None
            expires_ms = outgoing.message.expires_ms
            if expires_ms is not None and expires_ms <= self.clock_ms():
                # [MQTT-3.3.2-5]; what was sent has no time limit any more ([MQTT-4.3.3-7])
                self.drops["expired"] += 1
                self._finished(session, outgoing)
            else:
                self._send_now(session, outgoing)

    def acknowledged(self, session: ClientSession, packet_id: int) -> Outgoing | None:
        """PUBACK, PUBCOMP, or a PUBREC that refuses: it is finished ([MQTT-4.3.2-3], [MQTT-4.3.3-3], -5), and is not
        sent to anybody again ([MQTT-4.4.0-2], [MQTT-4.8.2-6]). None: nothing of that identifier is in flight.
        """
        outgoing = session.finish(packet_id)
        if outgoing is not None:
            self._finished(session, outgoing)
            if session.queue or session.resending:
                self.pump(session)
        return outgoing

    def received(self, session: ClientSession, packet_id: int) -> bool:
        """PUBREC: the client has it, and its identifier is now to be released ([MQTT-4.3.3-4]). False: unknown."""
        outgoing = (session.in_flight or {}).get(packet_id)
        if outgoing is None or outgoing.qos != 2:
            return False
        if outgoing.state != RELEASED:  # [MQTT-4.3.3-6]
            outgoing.state = RELEASED
            if outgoing.seq:
                self.keeper.put_message(session, outgoing)
        return True

    def take_in(self, session: ClientSession, packet_id: int) -> bool:
        """A message of QoS 2 arrives. False: it is here already, and is not to be published again ([MQTT-4.3.3-10])."""
        if session.incoming is None:
            session.incoming = set()
        elif packet_id in session.incoming:
            return False
        session.incoming.add(packet_id)
        if session.durable:
            self.keeper.put_session(session)
        return True

    def release(self, session: ClientSession, packet_id: int) -> bool:
        """PUBREL: the identifier is free again ([MQTT-4.3.3-12]). False: it was not in use."""
        if session.incoming is None or packet_id not in session.incoming:
            return False
        session.incoming.discard(packet_id)
        session.incoming = session.incoming or None
        if session.durable:
            self.keeper.put_session(session)
        return True

    def begin_anew(self, session: ClientSession) -> None:
        """The other side has forgotten what was on its way, so identifiers mean nothing any more. A message that it had
        taken (PUBREC) is done; one that it has not acknowledged goes out as if for the first time, before what waits.
        """
        if session.incoming is not None:
            session.incoming = None
            if session.durable:
                self.keeper.put_session(session)
        for outgoing in reversed(list((session.in_flight or {}).values())):
            session.finish(outgoing.packet_id)
            if outgoing.state == RELEASED:
                self._finished(session, outgoing)
                continue
            session.put_first(outgoing)
            if outgoing.seq:
                self.keeper.put_message(session, outgoing)

    # -- time

    def tick(self) -> None:
        """Publish the wills and end the sessions whose time has come. Once a second is often enough."""
        now = self.clock_ms()
        for session in self._endings.due(now):  # [MQTT-4.1.0-1]
            will, over = session.will, self._is_over(session)
            if will is not None and (over or now - (session.ended_ms or 0) >= will.delay_s * 1000):
                self._publish_will(session, now)
                if not over:
                    self.keeper.put_session(session)
            if over:
                self._discard(session)
        if now >= self._retained_due_ms:
            self._retained_due_ms = now + RETAINED_EXPIRE_MS
            self.retained.expire(now)

    def clock_jumped(self, by_ms: int) -> None:
        """The wall clock was set: sessions and wills wait as long as they were to."""
        for session in self._endings.clock_jumped(by_ms):
            if session.stored:
                self.keeper.put_session(session)

    # -- inside

    def _add(self, session: ClientSession) -> None:
        self.sessions[session.key] = session
        principal = principal_of(session.key)
        self._count_of[principal] = self._count_of.get(principal, 0) + 1

    def _has_room_for(self, key: str) -> bool:
        settings, principal = self.settings, principal_of(key)
        own = self._count_of.get(principal, 0)
        # Whoever needs no token is one principal with everybody else.
        return len(self.sessions) < settings.max_sessions and (
            not principal or own < settings.max_sessions_per_principal
        )

    def _retained_for(self, session: ClientSession, topic_filter: str, now_ms: int) -> Iterator[Message]:
        for message in self.retained.select(topic_filter, now_ms):
            if session.access.may_receive(message.topic):
                yield message
        for source in self.sources:
            yield from source(topic_filter, session.access)

    def _deliver(self, session: ClientSession, message: Message, target: Target) -> None:
        qos = min(message.qos, target.qos)  # [MQTT-3.8.4-8], [MQTT-4.8.2-3]
        if not qos and (session.client is None or session.client.full):
            self.drops["not_read"] += session.client is not None
            return
        retain = message.retain and target.retain_as_published
        self.send(session, Outgoing(message, qos, retain=retain, identifiers=target.identifiers))

    def _send_now(self, session: ClientSession, outgoing: Outgoing) -> None:
        client = session.client
        assert client is not None
        if outgoing.qos:
            session.begin(outgoing)
            if outgoing.seq:
                self.keeper.put_message(session, outgoing)
        message, packet_id, identifiers = outgoing.message, outgoing.packet_id, outgoing.identifiers
        if outgoing.qos == 2 and outgoing.seq:
            # Sent before, it would be sent once more by a server that was killed: its publisher had no answer either.
            sent = client.send_once_stored(outgoing)
        else:
            # [MQTT-4.3.2-2], [MQTT-4.3.3-2]
            sent = client.send_message(message, outgoing.qos, outgoing.retain, False, packet_id, identifiers)
        if sent:
            self.delivered += 1
        else:  # [MQTT-3.1.2-25]: as if it had been sent
            self.drops["too_large"] += 1
            if outgoing.qos:
                session.finish(outgoing.packet_id)
                self._finished(session, outgoing)

    def _resend(self, session: ClientSession, client: Client) -> None:
        while not client.full:
            outgoing = session.next_to_resend()
            if outgoing is None:
                return
            message, packet_id = outgoing.message, outgoing.packet_id
            # [MQTT-3.3.1-1]
            if not client.send_message(message, outgoing.qos, outgoing.retain, True, packet_id, outgoing.identifiers):
                self.drops["too_large"] += 1
                session.finish(packet_id)
                self._finished(session, outgoing)

    def _finished(self, session: ClientSession, outgoing: Outgoing) -> None:
        if outgoing.qos and outgoing.receipt is None:
            self.queued_bytes -= outgoing.weight
            self.keeper.drop_message(session, outgoing)

    def _drop_unkept(self, session: ClientSession) -> None:
        """What ends with the connection: retained messages of QoS 0 that were not sent, and the dialect's own."""
        queue, session.queue = session.queue, None
        session.queued_bytes = 0
        for outgoing in queue or ():
            if outgoing.qos and outgoing.receipt is None:
                session.enqueue(outgoing)
        for packet_id, outgoing in list((session.in_flight or {}).items()):
            if outgoing.receipt is not None:
                session.finish(packet_id)

    def _publish_will(self, session: ClientSession, now_ms: int) -> None:
        will, session.will = session.will, None  # [MQTT-3.1.2-10]
        if will is not None and session.access.may_publish(will.topic):
            message = will.message(session.key, now_ms)
            if self.divert is None or not self.divert(message):
                self.publish(message)

    def _is_over(self, session: ClientSession) -> bool:
        if session.ended_ms is None or session.expiry_s == NEVER_S:
            return False
        return self.clock_ms() - session.ended_ms >= session.expiry_s * 1000

    def _store_no_more(self, session: ClientSession) -> None:
        for topic_filter in session.subscriptions or ():
            self.keeper.drop_subscription(session, topic_filter)
        for outgoing in session.waiting():
            self.keeper.drop_message(session, outgoing)
            outgoing.seq = 0
        self.keeper.drop_session(session)

    def _discard(self, session: ClientSession) -> None:
        """[MQTT-4.1.0-2]: everything of it goes."""
        if session.will is not None and session.ended_ms is not None:  # §3.1.2.5: at the end of the session at latest
            self._publish_will(session, self.clock_ms())
        if session.stored:
            self._store_no_more(session)
        for topic_filter in list(session.subscriptions or ()):
            self.routes.remove(session, topic_filter)
        for outgoing in session.waiting():
            if outgoing.qos and outgoing.receipt is None:
                self.queued_bytes -= outgoing.weight
        session.queue = session.in_flight = None
        if self.sessions.get(session.key) is session:
            self._endings.forget(session)
            del self.sessions[session.key]
            self._count_of[principal_of(session.key)] -= 1
            if not self._count_of[principal_of(session.key)]:
                del self._count_of[principal_of(session.key)]


def principal_of(key: str) -> str:
    """Whose session a key is of: a device's id, ``@`` and a token's id, or empty where nobody has signed in."""
    return key.partition("/")[0]


def _stored(key: str) -> ClientSession:
    """A session of which only the records are left."""
    from .access import Access

    session = ClientSession(key, Access())
    session.stored = True
    return session
