"""The bridge: a durable client of our broker, whose messages go to the other one, and what comes back.

What goes out waits in a session of our own broker, as for any client that is away: it survives a crash, and is bounded
by ``bridge.max_queued_…``. A message leaves the session when the other broker has acknowledged it; one of theirs is
acknowledged when our store has it. So each arrives once at least, both ways, whoever is killed in between. QoS 2 is
bridged as 1: its identifiers would have to outlive paho's memory, or a crash could lose what it promises to have once.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..config import BridgeTopic, parse_bridge_topic, parse_bridge_url
from ..errors import ConfigError
from ..hub.broker import Message, OpenAccess, Request
from ..hub.broker.access import DEVICES, SERVER_ONLY
from ..hub.broker.session import NEVER_S
from ..hub.session import Session
from ..rarely import Rarely
from ..wire.mqtt import properties as p
from ..wire.mqtt.reasons import FAILURE
from .remote import Received, Remote, RemoteFailed, check_tls
from .topics import Topics, has_passed, with_trail

if TYPE_CHECKING:
    from ..config import Bridge as Settings
    from ..errors import StorageError
    from ..hub.broker import Broker, ClientSession
    from ..hub.broker.messages import Outgoing
    from ..hub.hub import Hub

logger = logging.getLogger("hardpoint.bridge")

FIRST_BACKOFF_S = 1.0
STEADY_S = 10.0
"""After a connection of that length the pauses begin from the first again."""
WINDOW = 100
"""Messages of QoS 1 that the other broker has not acknowledged."""
MAX_UNSENT = 1_000
MAX_UNSENT_BYTES = 2**20
"""What was given to paho and has not left. Beyond either, messages of QoS 0 are dropped and others wait in the session:
paho itself would take any number.
"""
DROPS = ("loop", "unwanted", "reserved", "refused")
"""Why a message was not passed on: it has been through this bridge, no topic fits it (any more), it would be written
where the server alone may, the other broker refused it.
"""


class Bridge(Session):
    """To the hub a session that hands nothing in, to the broker a client, to `Remote` its listener."""

    dialect = "bridge"

    def __init__(
        self, hub: Hub, settings: Settings, client_id: str, jitter: Callable[[], float] = random.random
    ) -> None:
        """Nothing is opened. ``jitter`` gives 0 to 1.

        Raises:
            ConfigError: paho is not installed, or a file cannot be used.
        """
        super().__init__()
        try:
            import paho.mqtt.client  # noqa: F401 - asked for now, so that a start fails and not the first connection
        except ImportError:
            raise ConfigError("a bridge needs paho-mqtt", hint="pip install 'hardpoint[bridge]'") from None
        if parse_bridge_url(settings.url).scheme == "mqtts":
            check_tls(settings)
        self._hub = hub
        self._settings = settings
        self.client_id = client_id
        self._jitter = jitter
        self._topics = Topics(_parsed(settings.topics_out), _parsed(settings.topics_in))
        self.key = f"$bridge/{client_id}/{settings.url}"
        """Of its session in our broker. No client's begins so: names of devices have no ``$``."""
        self.access = OpenAccess()
        self._broker: Broker | None = None
        self._session: ClientSession | None = None
        self._remote: Remote | None = None
        self._unsent: dict[int, tuple[int, int]] = {}  # paho's number → (packet identifier, bytes)
        self._unsent_bytes = 0
        self.full = True
        self._task: asyncio.Task[None] | None = None
        self._rarely = Rarely(logger)
        self.error = ""
        """Why it is not connected; empty while it is."""
        self.connections = 0
        self.passed = Counter[str]({"in": 0, "out": 0})
        self.drops = Counter[str](dict.fromkeys(DROPS, 0))

    # -- life

    def start(self, broker: Broker) -> None:
        """Subscribe in our broker, and connect to the other one for as long as the server runs."""
        self._broker = broker
        broker.allowances[self.key] = (self._settings.max_queued_messages, self._settings.max_queued_bytes)
        self._subscribe(broker)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="bridge")

    async def stop(self) -> None:
        """Disconnect. What has not left waits for the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            remote = Remote(self._settings, self.client_id, self, WINDOW)
            began_s = loop.time()
            try:
                await remote.open(self._topics.remote)
                self._attach(remote)
                logger.info("bridged to %s", self._settings.url)
                self.error = f"the connection is gone: {await remote.lost}"
                if loop.time() - began_s >= STEADY_S:
                    failures = 0
            except RemoteFailed as error:
                self.error = error.message
            finally:
                self._detach()
                await remote.close()
            self._rarely.warn("the bridge to %s waits: %s", self._settings.url, self.error)
            await asyncio.sleep(self.backoff_s(failures))
            failures += 1

    def backoff_s(self, failures: int) -> float:
        """The pause after so many failures: doubled each time, and between half of it and all, so that a hundred
        servers do not come back to a broker in the same instant.
        """
        pause_s = min(FIRST_BACKOFF_S * 2.0 ** min(failures, 30), self._settings.max_backoff_s)
        return pause_s * (1 + self._jitter()) / 2

    def _subscribe(self, broker: Broker) -> None:
        """Bring the session of our broker to what is configured: what matches waits there from now on."""
        opened = broker.open(self, self.key, self.access, clean=False, expiry_s=NEVER_S, window=WINDOW)
        if opened is None:
            raise ConfigError("mqtt.max_sessions is reached, and the bridge needs a session")
        session, _ = opened
        broker.unsubscribe(session, [each for each in session.subscriptions or () if each not in self._topics.local])
        requests = [
            Request(each, qos, no_local=True, retain_as_published=True, retain_handling=1)
            for each, qos in self._topics.local.items()
        ]
        answers, retained = broker.subscribe(session, requests)
        for request, reason in zip(requests, answers, strict=True):
            if reason >= FAILURE:
                logger.error("%s is not bridged: mqtt.max_subscriptions_per_client is reached", request.filter)
        for outgoing in retained:
            outgoing.qos = 1  # one of QoS 0 would not wait for the connection
            broker.send(session, outgoing)
        broker.close(session, self, publish_will=False)

    def _attach(self, remote: Remote) -> None:
        assert self._broker is not None
        opened = self._broker.open(self, self.key, self.access, clean=False, expiry_s=NEVER_S, window=WINDOW)
        if opened is None:
            raise RemoteFailed("mqtt.max_sessions is reached, and the bridge has lost its session")
        self._remote, self._session = remote, opened[0]
        self.error = ""
        self.connections += 1
        self.full = False
        self._broker.resume(self._session)

    def _detach(self) -> None:
        session, self._session, self._remote = self._session, None, None
        self._unsent.clear()
        self._unsent_bytes = 0
        self.full = True
        if session is not None and self._broker is not None:
            self._broker.close(session, self, publish_will=False)

    # -- the broker's Client

    def send_message(
        self, message: Message, qos: int, retain: bool, dup: bool, packet_id: int, identifiers: Sequence[int]
    ) -> bool:
        """Give it to the other broker, or drop it and count it as done."""
        assert self._remote is not None
        topic = self._topics.outward(message.topic)
        reason = ""
        if topic is None:
            reason = "unwanted"
        elif has_passed(message.properties, self.client_id):
            reason = "loop"
        if topic is None or reason:
            self.drops[reason] += 1
            if packet_id:  # not from within the broker's own walk
                asyncio.get_running_loop().call_soon(self._finish, packet_id)
            return True
        properties = dict(with_trail(message.properties, self.client_id))
        if message.expires_ms is not None:  # [MQTT-3.3.2-6]
            properties[p.MESSAGE_EXPIRY_INTERVAL] = max(1, -(-(message.expires_ms - self._hub.clock_ms()) // 1000))
        number = self._remote.publish(topic, message.payload, qos, retain, properties)
        size = len(message.payload) + len(topic)
        self._unsent[number] = (packet_id, size)
        self._unsent_bytes += size
        self.full = len(self._unsent) >= MAX_UNSENT or self._unsent_bytes >= MAX_UNSENT_BYTES
        return True

    def send_once_stored(self, outgoing: Outgoing) -> bool:
        """As `send_message` at QoS 1: no subscription of a bridge has more."""
        return self.send_message(outgoing.message, 1, outgoing.retain, False, outgoing.packet_id, outgoing.identifiers)

    def send_release(self, packet_id: int) -> None:
        """Nothing is sent at QoS 2, so nothing is released."""

    def disconnect(self, reason: int, message: str = "") -> None:
        """Somebody ended the session in our broker: the next connection makes it anew."""
        if self._task is not None and self._remote is not None and not self._remote.lost.done():
            self._remote.lost.set_result("the session was ended here")

    # -- the remote's Listener

    def sent(self, number: int, refused: str) -> None:
        """The other broker has it, or does not want it: it is not offered again either way."""
        packet_id, size = self._unsent.pop(number, (0, 0))
        self._unsent_bytes -= size
        if refused:
            self.drops["refused"] += 1
            self._rarely.warn("the other broker refuses what is bridged to it: %s", refused)
        elif size:
            self.passed["out"] += 1
        if self.full and self._session is not None and len(self._unsent) <= MAX_UNSENT // 2:
            self.full = self._unsent_bytes > MAX_UNSENT_BYTES // 2
        if packet_id:
            self._finish(packet_id)
        if not self.full and self._session is not None and self._session.queue and self._broker is not None:
            self._broker.pump(self._session)

    def received(self, remote: Remote, message: Received) -> None:
        """Publish it here; it is acknowledged once it is durable where somebody's session is kept."""
        assert self._broker is not None
        keeper = self._broker.keeper
        noted = keeper.noted
        made = self._taken_in(message)
        if made is not None:
            self.passed["in"] += 1
            self._broker.publish(made)
        if not message.qos:
            remote.taken()
        elif keeper.noted != noted:
            self._hub.commits.wait(self, (remote, message.receipt))
        else:
            remote.acknowledge(message.receipt)

    def _taken_in(self, received: Received) -> Message | None:
        """The message as it is published here; None: it is not."""
        topic = self._topics.inward(received.topic)
        reason = ""
        if topic is None:
            reason = "unwanted"
        elif has_passed(received.properties, self.client_id):
            reason = "loop"
        elif topic.startswith((DEVICES, *SERVER_ONLY)):
            reason = "reserved"
            self._rarely.warn("what comes in over the bridge may not be written under devices/ or $SYS/: use a prefix")
        if topic is None or reason:
            self.drops[reason] += 1
            return None
        properties = with_trail(received.properties, self.client_id)
        expiry_s = received.properties.get(p.MESSAGE_EXPIRY_INTERVAL)
        return Message(
            topic,
            received.payload,
            received.qos,
            retain=received.retain,
            properties={key: value for key, value in properties.items() if key != p.MESSAGE_EXPIRY_INTERVAL},
            expires_ms=None if expiry_s is None else self._hub.clock_ms() + expiry_s * 1000,
            source=self.key,
        )

    # -- the hub's Session

    def acknowledge(self, receipts: Sequence[object], error: StorageError | None) -> None:
        """What came in is durable. If it is not, hang up: the other broker sends it again."""
        for remote, receipt in cast("Sequence[tuple[Remote, int]]", receipts):
            if error is None:
                remote.acknowledge(receipt)
            elif not remote.lost.done():
                remote.lost.set_result(f"what came in could not be stored: {error.message}")

    # -- what is shown

    def describe(self) -> dict[str, Any]:
        """For ``/api/health``."""
        session = None if self._broker is None else self._broker.sessions.get(self.key)
        return {
            "url": self._settings.url,
            "connected": self._remote is not None,
            "error": self.error,
            "queued": sum(1 for _ in session.waiting()) if session is not None else 0,
        }

    def metrics(self) -> Iterator[tuple[str, str, str, dict[str, float]]]:
        """``(name, help, label, values)`` of each counter and gauge."""
        state = {"connected": float(self._remote is not None), "queued_messages": float(self.describe()["queued"])}
        yield "bridge_state", "Whether the bridge is connected, and what waits for it", "what", state
        yield "bridge_connections_total", "Connections made to the other broker", "end", {"made": self.connections}
        passed = {name: float(count) for name, count in self.passed.items()}
        yield "bridge_messages_total", "Messages passed on, by direction", "direction", passed
        drops = {name: float(count) for name, count in self.drops.items()}
        yield "bridge_dropped_total", "Messages not passed on, by reason", "reason", drops

    def _finish(self, packet_id: int) -> None:
        if self._session is not None and self._broker is not None:
            self._broker.acknowledged(self._session, packet_id)


def client_id_for(settings: Settings, data: Path) -> str:
    """The bridge's name at the other broker: given, or of this machine and data folder, so that it stays the same."""
    if settings.client_id:
        return settings.client_id
    folder = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:8]
    return f"hardpoint-{socket.gethostname()}-{folder}"


def _parsed(texts: Sequence[str]) -> list[BridgeTopic]:
    return [parse_bridge_topic(text) for text in texts]
