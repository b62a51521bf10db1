"""A client's session: what is kept of it between and during its connections (§4.1), and its window of messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from .messages import QUEUED, SENT, Outgoing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .access import Access
    from .messages import Message, Will

MAX_PACKET_ID = 0xFFFF
NEVER_S = 0xFFFFFFFF
"""A session expiry interval that means: for ever (§3.1.2.11.2)."""


class Client(Protocol):
    """A connection, as the broker sees it. The dialect writes it."""

    @property
    def full(self) -> bool:
        """It does not read: messages of QoS 0 are dropped, others wait."""
        ...

    def send_message(
        self, message: Message, qos: int, retain: bool, dup: bool, packet_id: int, identifiers: Sequence[int]
    ) -> bool:
        """Send PUBLISH. False: it is larger than the client takes, and was not sent ([MQTT-3.1.2-24])."""
        ...

    def send_once_stored(self, outgoing: Outgoing) -> bool:
        """Send PUBLISH of QoS 2 when the commit being collected is durable. False: as `send_message`."""
        ...

    def send_release(self, packet_id: int) -> None:
        """Send PUBREL."""

    def disconnect(self, reason: int, message: str = "") -> None:
        """Say why, also in words, and close."""


class Request(NamedTuple):
    """One subscription that is asked for."""

    filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0
    identifier: int = 0
    """0: none."""


class Subscription:
    """One that a session has. ``filter`` is as it was given, with ``$share/…`` if it is a share."""

    __slots__ = ("filter", "identifier", "no_local", "qos", "retain_as_published", "session")

    def __init__(self, session: ClientSession, request: Request) -> None:
        self.session = session
        self.filter = request.filter
        self.qos = request.qos
        self.no_local = request.no_local
        self.retain_as_published = request.retain_as_published
        self.identifier = request.identifier

    @property
    def key(self) -> str:
        """The session's: a session has one subscription to a filter."""
        return self.session.key


class ClientSession:
    """Slots, and nothing made before it is needed: most of 15,000 idle clients have one subscription and no message."""

    __slots__ = (
        "_last_packet_id",
        "access",
        "client",
        "ended_ms",
        "expiry_s",
        "in_flight",
        "incoming",
        "key",
        "queue",
        "queued_bytes",
        "resending",
        "stored",
        "subscriptions",
        "will",
        "window",
    )

    def __init__(self, key: str, access: Access) -> None:
        self.key = key
        """Whose it is and its client identifier: two devices that both call themselves ``esp32`` are two."""
        self.access = access
        self.client: Client | None = None
        self.expiry_s = 0
        self.ended_ms: int | None = None
        """When its connection ended; None while it is connected."""
        self.will: Will | None = None
        self.window = 1
        """How many messages of QoS 1 and 2 may be unacknowledged."""
        self.stored = False
        """Whether the store has a record of it."""
        self.subscriptions: dict[str, Subscription] | None = None
        self.in_flight: dict[int, Outgoing] | None = None
        """By packet identifier, in the order sent ([MQTT-4.6.0-5], -6)."""
        self.resending: deque[Outgoing] | None = None
        """Those in flight that are still to be sent again on a new connection."""
        self.queue: deque[Outgoing] | None = None
        self.queued_bytes = 0
        self.incoming: set[int] | None = None
        """Packet identifiers of QoS 2 that were received and not released ([MQTT-4.3.3-10])."""
        self._last_packet_id = 0

    @property
    def durable(self) -> bool:
        """Whether it outlives its connection, and so this process."""
        return self.expiry_s > 0

    def waiting(self) -> Iterator[Outgoing]:
        """Everything that is not finished, in order."""
        yield from (self.in_flight or {}).values()
        yield from self.queue or ()

    def enqueue(self, outgoing: Outgoing) -> None:
        """Put it behind what waits."""
        if self.queue is None:
            self.queue = deque()
        self.queue.append(outgoing)
        self.queued_bytes += outgoing.weight

    def put_first(self, outgoing: Outgoing) -> None:
        """Put it before what waits, as if it had never been sent."""
        outgoing.state, outgoing.packet_id = QUEUED, 0
        self.enqueue(outgoing)
        assert self.queue is not None
        self.queue.rotate(1)

    def dequeue(self) -> Outgoing | None:
        """The next one that waits, taken out."""
        if not self.queue:
            return None
        outgoing = self.queue.popleft()
        self.queued_bytes -= outgoing.weight
        if not self.queue:
            self.queue = None
        return outgoing

    def has_window(self) -> bool:
        """Whether one more may be unacknowledged ([MQTT-3.3.4-9], [MQTT-4.9.0-1], -2). Everything but PUBLISH goes out
        all the same ([MQTT-3.3.4-10], [MQTT-4.9.0-3]).
        """
        return self.in_flight is None or len(self.in_flight) < self.window

    def begin(self, outgoing: Outgoing) -> None:
        """It goes out now: give it a packet identifier that is not in use ([MQTT-2.2.1-4], [MQTT-4.3.2-1],
        [MQTT-4.3.3-1]) and put it in flight.
        """
        in_flight = self.in_flight
        if in_flight is None:
            in_flight = self.in_flight = {}
        packet_id = self._last_packet_id
        while True:
            packet_id = packet_id % MAX_PACKET_ID + 1
            if packet_id not in in_flight:
                break
        self._last_packet_id = outgoing.packet_id = packet_id
        outgoing.state = SENT
        in_flight[packet_id] = outgoing

    def finish(self, packet_id: int) -> Outgoing | None:
        """It is acknowledged, or given up: its identifier is free again."""
        if self.in_flight is None:
            return None
        outgoing = self.in_flight.pop(packet_id, None)
        if not self.in_flight:
            self.in_flight = None
        return outgoing

    def take_out(self, outgoing: Outgoing) -> None:
        """Forget one that waits or is in flight."""
        if outgoing.state != QUEUED:
            self.finish(outgoing.packet_id)
        elif self.queue is not None:
            self.queue.remove(outgoing)
            self.queued_bytes -= outgoing.weight
            self.queue = self.queue or None

    def restore(self, outgoing: Outgoing) -> None:
        """Take it from the store, in order: into flight if it had been sent under an identifier, else to the queue."""
        if outgoing.state != QUEUED and outgoing.packet_id:
            if self.in_flight is None:
                self.in_flight = {}
            self.in_flight[outgoing.packet_id] = outgoing
            self._last_packet_id = outgoing.packet_id
        else:
            self.enqueue(outgoing)

    def next_to_resend(self) -> Outgoing | None:
        """The next one to be sent again, as far as the window allows: that of the new connection may be smaller than
        what is in flight (§4.9).
        """
        in_flight = self.in_flight or {}
        while self.resending and len(in_flight) - len(self.resending) < self.window:
            outgoing = self.resending.popleft()
            if in_flight.get(outgoing.packet_id) is outgoing:
                return outgoing
        return None
