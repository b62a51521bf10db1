"""The bridge: a durable client of our broker, whose messages go to the other one, and what comes back.

What goes out waits in a session of our own broker, as for any client that is away: it survives a crash, and is bounded
by ``bridge.max_queued_…``. A message leaves the session when the other broker has acknowledged it; one of theirs is
acknowledged when our store has it. So each arrives once at least, both ways, whoever is killed in between.

At QoS 2 it arrives once. What §4.1 wants a client to remember is what our broker's session remembers of *its* client:
packet identifiers in flight with their states, and those received and not released. So the session's identifiers are
those on the wire to the other broker, and each step is answered behind the commit that makes it durable.
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
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..config import BridgeTopic, parse_bridge_topic, parse_bridge_url
from ..errors import ConfigError
from ..hub.broker import Message, OpenAccess, Request
from ..hub.broker.access import DEVICES, SERVER_ONLY
from ..hub.broker.session import MAX_PACKET_ID, NEVER_S
from ..hub.session import Session
from ..rarely import Rarely
from ..wire.mqtt import properties as p
from ..wire.mqtt import reasons
from ..wire.mqtt.encoder import encode_ack, encode_publish
from ..wire.mqtt.packets import Ack, Connect, Publish
from ..wire.mqtt.reasons import FAILURE, V5
from .reach import RemoteFailed, check_tls, open_connection
from .remote import CONNECT_TIMEOUT_S, MAX_PACKET_BYTES, RECEIVE_MAXIMUM, Remote
from .topics import Topics, has_passed, with_trail

if TYPE_CHECKING:
    from ..config import Bridge as Settings
    from ..errors import StorageError
    from ..hub.broker import Broker, ClientSession
    from ..hub.broker.messages import Outgoing, Properties
    from ..hub.hub import Hub

logger = logging.getLogger("hardpoint.bridge")

FIRST_BACKOFF_S = 1.0
STEADY_S = 10.0
"""After a connection of that length the pauses begin from the first again."""
WINDOW = 100
"""Messages of QoS 1 and 2 that the other broker has not acknowledged, or as many as it takes, if those are fewer."""
DROPS = ("loop", "unwanted", "reserved", "refused")
"""Why a message was not passed on: it has been through this bridge, no topic fits it (any more), it would be written
where the server alone may, the other broker refused it.
"""


_TRAVELS = frozenset(
    {p.PAYLOAD_FORMAT_INDICATOR, p.CONTENT_TYPE, p.RESPONSE_TOPIC, p.CORRELATION_DATA, p.USER_PROPERTY}
)
"""Properties that go with a message from one broker to the other as they are; its expiry is counted on."""


class Due(NamedTuple):
    """What is sent once a commit is done, on the connection that it was due on."""

    remote: Remote
    data: bytes


class Bridge(Session):
    """To the hub a session that hands nothing in, to the broker a client, to `Remote` its listener."""

    dialect = "bridge"

    def __init__(
        self, hub: Hub, settings: Settings, client_id: str, jitter: Callable[[], float] = random.random
    ) -> None:
        """Nothing is opened. ``jitter`` gives 0 to 1.

        Raises:
            ConfigError: a file cannot be used.
        """
        super().__init__()
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
        self._task: asyncio.Task[None] | None = None
        self._fresh = True  # our broker has no session of it yet
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
        failures = 0
        while True:
            stayed_s = 0.0
            try:
                remote = await open_connection(self._settings, self._new_remote)
                try:
                    stayed_s = await self._stay(remote)
                finally:
                    self._detach()
                    await remote.close()
            except RemoteFailed as error:
                self.error = error.message
            self._rarely.warn("the bridge to %s waits: %s", self._settings.url, self.error)
            failures = 0 if stayed_s >= STEADY_S else failures
            await asyncio.sleep(self.backoff_s(failures))
            failures += 1

    def _new_remote(self, credentials: tuple[str, str | None] | None) -> Remote:
        settings = self._settings
        name, password = credentials or (None, None)
        wanted = {
            p.SESSION_EXPIRY_INTERVAL: settings.session_expiry_s,
            p.RECEIVE_MAXIMUM: RECEIVE_MAXIMUM,
            p.MAXIMUM_PACKET_SIZE: MAX_PACKET_BYTES,
        }
        connect = Connect(
            V5,
            self.client_id,
            clean_start=self._fresh,  # [MQTT-3.2.2-4]: of what an earlier life has left there, we know nothing
            keep_alive_s=settings.keep_alive_s,
            username=name,
            password=None if password is None else password.encode(),
            properties=wanted,
        )
        return Remote(self, connect)

    async def _stay(self, remote: Remote) -> float:
        """Pass messages on until the connection is gone, and return how long that was, in seconds.

        Raises:
            RemoteFailed: the other broker does not let us in, or refuses a filter.
        """
        loop = asyncio.get_running_loop()
        settled: list[asyncio.Future[Any]] = [remote.subscribed, remote.lost]
        await asyncio.wait(settled, timeout=CONNECT_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        if not remote.subscribed.done():
            raise RemoteFailed(remote.lost.result() if remote.lost.done() else "it does not answer")
        began_s = loop.time()
        self.error = ""
        self.connections += 1
        logger.info("bridged to %s", self._settings.url)
        await asyncio.wait([remote.lost])  # not the future itself: `stop` would cancel it
        self.error = f"the connection is gone: {remote.lost.result()}"
        return loop.time() - began_s

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
        session, present = opened
        self._fresh = not present
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

    def _detach(self) -> None:
        session, self._session, self._remote = self._session, None, None
        if session is not None and self._broker is not None:
            self._broker.close(session, self, publish_will=False)

    # -- the broker's Client

    @property
    def full(self) -> bool:
        """The other broker does not take what it is sent."""
        return self._remote is None or self._remote.full

    def send_message(
        self, message: Message, qos: int, retain: bool, dup: bool, packet_id: int, identifiers: Sequence[int]
    ) -> bool:
        """Send it to the other broker, or drop it and count it as done. False: it takes no packet of that size."""
        assert self._remote is not None
        data = self._packet(self._remote, message, qos, retain=retain, dup=dup, packet_id=packet_id)
        if data:
            self._remote.send(data)
        return data is not None

    def send_once_stored(self, outgoing: Outgoing) -> bool:
        """Likewise at QoS 2, behind the commit: sent before, a server that was killed would send it once more."""
        assert self._remote is not None
        message, packet_id = outgoing.message, outgoing.packet_id
        data = self._packet(self._remote, message, 2, retain=outgoing.retain, dup=False, packet_id=packet_id)
        if data:
            self._answer(self._remote, data, wait=True)
        return data is not None

    def _packet(
        self, remote: Remote, message: Message, qos: int, *, retain: bool, dup: bool, packet_id: int
    ) -> bytes | None:
        """PUBLISH as the other broker takes it; empty where it does not go out, and None where it is too large."""
        topic, reason = self._topics.outward(message.topic), ""
        if topic is None:
            reason = "unwanted"
        elif has_passed(message.properties, self.client_id):
            reason = "loop"
        if topic is None or reason:
            self.drops[reason] += 1
            self._finish_soon(remote, packet_id)
            return b""
        limits = remote.limits
        qos = min(qos, limits.max_qos)  # [MQTT-3.2.2-11]
        properties = dict(with_trail(message.properties, self.client_id))
        if message.expires_ms is not None:  # [MQTT-3.3.2-6]
            properties[p.MESSAGE_EXPIRY_INTERVAL] = max(1, -(-(message.expires_ms - self._hub.clock_ms()) // 1000))
        try:
            data = encode_publish(
                V5,
                topic,
                message.payload,
                qos=qos,
                retain=retain and limits.retain,  # [MQTT-3.2.2-14]
                dup=dup and qos > 0,
                packet_id=packet_id,
                properties=properties,
            )
        except ValueError:  # with its prefix the topic has more than 65,535 bytes
            return None
        if len(data) > limits.max_packet_bytes:  # [MQTT-3.2.2-15]
            return None
        if not qos:
            self.passed["out"] += 1
            self._finish_soon(remote, packet_id)
        return data

    def send_release(self, packet_id: int) -> None:
        """PUBREL once more."""
        if self._remote is not None:
            self._remote.send(encode_ack(V5, p.PUBREL, packet_id))

    def disconnect(self, reason: int, message: str = "") -> None:
        """Somebody ended the session in our broker: the next connection makes it anew."""
        if self._remote is not None:
            self._remote.lose("the session was ended here")

    # -- the remote's Listener

    def connected(self, remote: Remote, *, present: bool) -> None:
        """Take up the session where it was left, and send what waits in it."""
        assert self._broker is not None
        window = min(WINDOW, remote.limits.window)
        opened = self._broker.open(self, self.key, self.access, clean=False, expiry_s=NEVER_S, window=window)
        if opened is None:
            remote.lose("mqtt.max_sessions is reached, and the bridge has lost its session")
            return
        self._remote, self._session = remote, opened[0]
        remote.hold_back(self.paused_by_hub)
        self._fresh = False
        if not present:  # [MQTT-3.2.2-5]
            self._broker.begin_anew(self._session)
        in_flight = self._session.in_flight or {}
        remote.subscribe(
            self._topics.remote, next(number for number in range(MAX_PACKET_ID, 0, -1) if number not in in_flight)
        )
        self._broker.resume(self._session)

    def received(self, remote: Remote, packet: Publish) -> None:
        """Publish it here; it is acknowledged once it is durable where somebody's session is kept."""
        broker, session = self._broker, self._session
        if broker is None or session is None:
            return
        noted = broker.keeper.noted
        if packet.qos < 2 or broker.take_in(session, packet.packet_id):
            made = self._taken_in(packet)
            if made is not None:
                self.passed["in"] += 1
                broker.publish(made)
        if packet.qos == 1:
            data = encode_ack(V5, p.PUBACK, packet.packet_id)
            self._answer(remote, data, wait=broker.keeper.noted != noted)
        elif packet.qos:  # of a repeated one the record may be in a commit that failed, and be in the next
            self._answer(remote, encode_ack(V5, p.PUBREC, packet.packet_id), wait=True)

    def acknowledged(self, remote: Remote, packet: Ack) -> None:
        """The next step of a message on its way, as of any client of ours."""
        broker, session, packet_id = self._broker, self._session, packet.packet_id
        if broker is None or session is None:
            return
        noted = broker.keeper.noted
        if packet.kind == p.PUBREL:
            known = broker.release(session, packet_id)
            answer = p.PUBCOMP  # §4.3.3
        elif packet.kind == p.PUBREC and packet.reason < FAILURE:
            known = broker.received(session, packet_id)
            answer = p.PUBREL  # §4.3.3
        else:
            self._finished(packet, known=broker.acknowledged(session, packet_id) is not None)
            return
        data = encode_ack(V5, answer, packet_id, 0 if known else reasons.PACKET_ID_NOT_FOUND)
        self._answer(remote, data, wait=broker.keeper.noted != noted)

    def writable(self, remote: Remote) -> None:
        """Send what waits."""
        if self._session is not None and self._broker is not None:
            self._broker.pump(self._session)

    def _finished(self, packet: Ack, *, known: bool) -> None:
        """The other broker has it, or does not want it: it is not offered again either way."""
        if packet.kind != p.PUBCOMP and packet.reason >= FAILURE:
            self.drops["refused"] += known
            why = reasons.NAMES.get(packet.reason, f"reason 0x{packet.reason:02x}")
            self._rarely.warn("the other broker refuses what is bridged to it: %s", why)
        else:
            self.passed["out"] += known

    def _finish_soon(self, remote: Remote, packet_id: int) -> None:
        """Nothing will acknowledge it. Not now: the broker is walking over what it sends."""
        if packet_id:
            asyncio.get_running_loop().call_soon(self._finish, remote, packet_id)

    def _finish(self, remote: Remote, packet_id: int) -> None:
        if remote is self._remote and self._session is not None and self._broker is not None:
            self._broker.acknowledged(self._session, packet_id)

    def _answer(self, remote: Remote, data: bytes, *, wait: bool) -> None:
        """Send it, behind the commit being collected where it is to wait and behind the answers that do (§4.6)."""
        if wait or remote.answers_due:
            remote.answers_due += 1
            self._hub.commits.wait(self, Due(remote, data))
        else:
            remote.send(data)

    def _taken_in(self, packet: Publish) -> Message | None:
        """The message as it is published here; None: it is not."""
        topic = self._topics.inward(packet.topic)
        reason = ""
        if topic is None:
            reason = "unwanted"
        elif has_passed(packet.properties, self.client_id):
            reason = "loop"
        elif topic.startswith((DEVICES, *SERVER_ONLY)):
            reason = "reserved"
            self._rarely.warn("what comes in over the bridge may not be written under devices/ or $SYS/: use a prefix")
        if topic is None or reason:
            self.drops[reason] += 1
            return None
        expiry_s = packet.properties.get(p.MESSAGE_EXPIRY_INTERVAL)
        return Message(
            topic,
            packet.payload,
            packet.qos,
            retain=packet.retain,
            properties=with_trail(_travelling(packet.properties), self.client_id),
            expires_ms=None if expiry_s is None else self._hub.clock_ms() + expiry_s * 1000,
            source=self.key,
        )

    # -- the hub's Session

    def acknowledge(self, receipts: Sequence[object], error: StorageError | None) -> None:
        """What answers stand for is durable. If it is not, hang up: each side sends again what it has no answer to."""
        for remote, data in cast("Sequence[Due]", receipts):
            remote.answers_due -= 1
            if error is None:
                remote.send(data)
            else:
                remote.lose(f"what is bridged could not be stored: {error.message}")

    def pause_reading(self) -> None:
        """The store is behind."""
        if self._remote is not None:
            self._remote.hold_back(True)

    def resume_reading(self) -> None:
        """The store has caught up."""
        if self._remote is not None:
            self._remote.hold_back(False)

    # -- what is shown

    def describe(self) -> dict[str, Any]:
        """For ``/api/health``."""
        session = None if self._broker is None else self._broker.sessions.get(self.key)
        return {
            "url": self._settings.url,
            "connected": self._connected,
            "error": self.error,
            "queued": sum(1 for _ in session.waiting()) if session is not None else 0,
        }

    def metrics(self) -> Iterator[tuple[str, str, str, dict[str, float]]]:
        """``(name, help, label, values)`` of each counter and gauge."""
        state = {"connected": float(self._connected), "queued_messages": float(self.describe()["queued"])}
        yield "bridge_state", "Whether the bridge is connected, and what waits for it", "what", state
        yield "bridge_connections_total", "Connections made to the other broker", "end", {"made": self.connections}
        passed = {name: float(count) for name, count in self.passed.items()}
        yield "bridge_messages_total", "Messages passed on, by direction", "direction", passed
        drops = {name: float(count) for name, count in self.drops.items()}
        yield "bridge_dropped_total", "Messages not passed on, by reason", "reason", drops

    @property
    def _connected(self) -> bool:
        return self._remote is not None and self._remote.subscribed.done()


def client_id_for(settings: Settings, data: Path) -> str:
    """The bridge's name at the other broker: given, or of this machine and data folder, so that it stays the same."""
    if settings.client_id:
        return settings.client_id
    folder = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:8]
    return f"hardpoint-{socket.gethostname()}-{folder}"


def _travelling(properties: Properties) -> Properties:
    return {key: value for key, value in properties.items() if key in _TRAVELS}


def _parsed(texts: Sequence[str]) -> list[BridgeTopic]:
    return [parse_bridge_topic(text) for text in texts]
