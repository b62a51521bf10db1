"""What all MQTT connections share: the broker, the wheel of keep-alives, limits, and one write a turn for each."""

from __future__ import annotations

import asyncio
import logging
from functools import cached_property
from typing import TYPE_CHECKING, cast

from ...arrivals import LastWords
from ...errors import NotAdopted
from ...hub.broker import Broker
from ...hub.claims import Claims
from ...hub.provisioning import Provisioning
from ...rarely import Rarely
from ...wire.mqtt import reasons
from .alive import KeepAliveWheel
from .devices import DeviceTopics
from .feed import DeviceFeed
from .sign_in import Apps, NoApps, SignIn
from .sys_topics import SysTopics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...config import Mqtt
    from ...errors import HardpointError
    from ...hub.broker import Access
    from ...hub.devices import DeviceState
    from ...hub.hub import Hub
    from ...hub.packages import Packages
    from ...wire.mqtt.packets import Packet
    from .connecting import Connecting
    from .connection import MqttConnection
    from .publishing import Publishing
    from .subscribing import Subscribing

logger = logging.getLogger("hardpoint.mqtt")

TICK_S = 1.0
"""How often keep-alives, wills and sessions are looked at: one timer for all."""
ENDING_S = 10.0
"""How long a client that takes no bytes, or does not hang up, may hold a connection that is to be closed."""
PROVISION_S = 60.0
"""How long a client without a device may stay to ask for one, as with ThingsBoard."""
STALLED_S = 60.0
"""How long a client may leave what it is sent unread before it is cut."""
MAX_PIECES = 64
LARGE_BYTES = 4096
"""What is gathered for one client before it is written, at latest at the end of the turn: so many packets, or one of
that size. Only what was written tells that a client does not read.
"""


class MqttDialect:
    """Called, it makes the protocol of a new connection."""

    def __init__(
        self,
        hub: Hub,
        settings: Mqtt,
        version: str,
        *,
        apps: Apps | None = None,
        own: Mapping[str, Access] | None = None,
        provisioning: Provisioning | None = None,
        claims: Claims | None = None,
        packages: Packages | None = None,
    ) -> None:
        """Takes over what the store holds; ``own`` are the server's own sessions, by key. Needs a running loop."""
        self.hub = hub
        self.settings = settings
        self.sign_in = SignIn(
            hub, apps or NoApps(), own or {}, provisions=provisioning is not None and provisioning.enabled
        )
        self.provisioning = provisioning or Provisioning(hub)
        self.claims = claims or Claims(hub)
        self.packages = packages
        agenda = hub.alerting.agenda
        self.broker = Broker(hub.commits, settings, agenda.now_ms)  # tells of a jump before it gives a time behind it
        agenda.on_jump.append(self.broker.clock_jumped)
        self.devices = DeviceTopics(self)
        self.broker.divert = self.devices.take_will
        self.broker.fill(hub.store, self.sign_in.restore)
        self.wheel = KeepAliveWheel()
        self.feed = DeviceFeed(hub, self.broker)
        hub.on_removed.add(self._end_device)
        self.sys_topics = SysTopics(self, version)
        self.connections: set[MqttConnection] = set()
        self.unread: dict[MqttConnection, float] = {}
        """Connections whose clients do not read, and since when (the loop's seconds)."""
        self.rarely = Rarely(logger)
        self.draining = False
        self._provisional: dict[MqttConnection, float] = {}
        self._waiting: dict[MqttConnection, float] = {}  # no CONNECT yet
        self._ending: dict[MqttConnection, float] = {}
        self._dirty: dict[MqttConnection, list[bytes]] = {}
        self._told = (0, 0)
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._timer = self._loop.call_later(TICK_S, self._tick)
        self._drained: asyncio.Event | None = None

    def __call__(self) -> MqttConnection:
        """The protocol of a new connection."""
        # With the codec some 25 ms, once: the first client waits for it, instead of every start.
        from .connection import MqttConnection

        return MqttConnection(self)

    def refusing(self, message: str) -> asyncio.Protocol:
        """The protocol of a connection that is not let in: closed. Its version is not known before its CONNECT, so
        there is no word that it would understand.
        """
        return LastWords(b"")

    # Imported with the first client, as its connection is.

    @cached_property
    def connecting(self) -> Connecting:
        """What lets clients in."""
        from .connecting import Connecting

        return Connecting(self)

    @cached_property
    def publishing(self) -> Publishing:
        """What takes their messages."""
        from .publishing import Publishing

        return Publishing(self)

    @cached_property
    def subscribing(self) -> Subscribing:
        """What answers their subscriptions."""
        from .subscribing import Subscribing

        return Subscribing(self)

    # -- connections

    def connected(self, connection: MqttConnection) -> bool:
        """A connection was made. False: there is no room for it."""
        self.connections.add(connection)
        if len(self.connections) > self.hub.limits.max_connections or self.draining:
            return False
        self._waiting[connection] = self._loop.time()
        return True

    def attached(self, connection: MqttConnection) -> None:
        """It has signed in."""
        self._waiting.pop(connection, None)
        self.wheel.watch(connection)

    def provisional(self, connection: MqttConnection) -> None:
        """It has no device, may ask for one or has just been given one, and may stay for a minute."""
        self._provisional[connection] = self._loop.time()

    def finishing(self, connection: MqttConnection) -> None:
        """It will be closed once its answers are out."""
        self._waiting.pop(connection, None)
        self._ending.setdefault(connection, self._loop.time())

    def stalled(self, connection: MqttConnection) -> None:
        """Its client has stopped reading."""
        self.unread[connection] = self._loop.time()

    def disconnected(self, connection: MqttConnection) -> None:
        """It is gone."""
        self.connections.discard(connection)
        self._waiting.pop(connection, None)
        self._ending.pop(connection, None)
        self._provisional.pop(connection, None)
        self.unread.pop(connection, None)
        self._dirty.pop(connection, None)
        self.connecting.forget(connection)
        self.wheel.forget(connection)
        if self._drained is not None and not self.connections:
            self._drained.set()

    def look_at_apps(self) -> None:
        """API tokens were removed, or their time is up: their sessions end."""
        for session in [each for each in self.broker.sessions.values() if each.key.startswith("@")]:
            if self.sign_in.restore(session.key) is None:
                self.broker.end(session, reasons.ADMINISTRATIVE_ACTION, "the token opens nothing any more")

    def _end_device(self, device: DeviceState) -> None:
        """A device was removed: its sessions end, those without a connection too."""
        for session in self.broker.sessions_of(device.id):
            self.broker.end(session, reasons.ADMINISTRATIVE_ACTION, "the device was removed")

    def note_refused(self, connection: MqttConnection, error: HardpointError, packet: Packet | None = None) -> None:
        """Count what a client was refused; who and why is for the log and the wire tap."""
        self.hub.note_refused(error)
        frame = connection.frame
        if frame is not None:
            frame.refuse(error)
        else:
            from .frames import packet_frame  # with the packets: when a tap is open

            frame = packet_frame(connection, "in", packet)
            frame.refuse(error)
            self.hub.tap.note(connection.device, frame)
            unknown = error if isinstance(error, NotAdopted) else self.hub.adoption.refusal(connection)
            if unknown is not None:
                self.hub.adoption.note(unknown.number, frame)
        logger.info("%s %s: %s", connection.peer, connection.client_id, error.message)

    # -- writing

    def send(self, connection: MqttConnection, data: bytes) -> None:
        """Write at the end of this turn, together with what else goes to that client in it."""
        if connection.tap is not None:
            connection.note_sent(data)
        dirty = self._dirty
        pieces = dirty.get(connection)
        if pieces is not None:
            pieces.append(data)
        else:
            if not dirty:
                self._loop.call_soon(self._flush_all)
            pieces = dirty[connection] = [data]
        if len(data) >= LARGE_BYTES or len(pieces) >= MAX_PIECES:
            self.flush(connection)

    def flush(self, connection: MqttConnection) -> None:
        """Write now what is gathered for that client."""
        pieces = self._dirty.get(connection)
        transport = connection.transport
        if pieces and transport is not None:
            if not transport.is_closing():  # broken while it was written to: asyncio warns of every write more
                transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))
            pieces.clear()

    def _flush_all(self) -> None:
        dirty, self._dirty = self._dirty, {}
        for connection, pieces in dirty.items():
            transport = connection.transport
            if pieces and transport is not None and not transport.is_closing():
                transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    # -- time

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_S, self._tick)
        self.tick()

    def tick(self) -> None:
        """Cut whom nobody has heard, and let the broker see the time."""
        now_s = self._loop.time()
        for watched in self.wheel.turn(int(now_s - self._began_s)):
            connection = cast("MqttConnection", watched)
            connection.disconnect(reasons.KEEP_ALIVE_TIMEOUT, "nothing was heard in time")
        for connection in list(_overdue(self._provisional, now_s, PROVISION_S)):
            connection.disconnect(reasons.MAXIMUM_CONNECT_TIME, "its time without a device is up")
        for connection in list(_overdue(self._waiting, now_s, self.settings.connect_timeout_s)):
            connection.abort()
        for connection in [*_overdue(self._ending, now_s, ENDING_S), *_overdue(self.unread, now_s, STALLED_S)]:
            connection.why = connection.why or "it did not read what it was sent"
            connection.abort()
        self.broker.tick()
        self.sys_topics.tick(now_s)
        self._tell_of_limits()

    def metrics(self) -> Iterator[tuple[str, str, str, dict[str, float]]]:
        """``(name, help, label, values)`` of each counter and gauge."""
        broker = self.broker
        messages = {"published": broker.published, "delivered": broker.delivered, "queued": broker.queued}
        yield "mqtt_messages_total", "MQTT messages taken, sent and queued", "fate", _floats(messages)
        drops = broker.drops | {"retained_full": broker.retained.refused}
        yield "mqtt_dropped_total", "MQTT messages not sent or not kept, by reason", "reason", _floats(drops)
        held = {
            "sessions": len(broker.sessions),
            "subscriptions": broker.routes.count,
            "retained": len(broker.retained),
            "queued_bytes": broker.queued_bytes,
            "retained_bytes": broker.retained.size_bytes,
        }
        yield "mqtt_held", "What the MQTT broker keeps", "what", _floats(held)

    def _tell_of_limits(self) -> None:
        """Of those that a person can raise, when they were reached since the last look."""
        reached = (self.broker.drops["queue_full"], self.broker.retained.refused)
        if reached[0] > self._told[0]:
            self.rarely.warn("messages were dropped: raise mqtt.max_queued_… or end sessions that nobody comes back to")
        if reached[1] > self._told[1]:
            self.rarely.warn("retained messages were not kept: mqtt.max_retained_… is reached")
        self._told = reached

    async def drain(self, timeout_s: float) -> None:
        """Tell every client that the server stops, let every answer that is due go out, and return when all connections
        are gone; those that are not after ``timeout_s`` are cut. Close the listeners first.
        """
        self.draining = True
        self._timer.cancel()
        self.feed.close()
        self.hub.on_removed.discard(self._end_device)
        self.devices.gateway.gateways.close()
        self._drained = asyncio.Event()
        for connection in list(self.connections):
            if connection.session is None:
                connection.abort()
            else:
                connection.disconnect(reasons.SERVER_SHUTTING_DOWN)
        if self.connections:
            try:
                await asyncio.wait_for(self._drained.wait(), timeout_s)
            except TimeoutError:
                for connection in list(self.connections):
                    connection.abort()
                await self._drained.wait()


def _floats(values: dict[str, int]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _overdue(since: dict[MqttConnection, float], now_s: float, limit_s: float) -> Iterator[MqttConnection]:
    return (connection for connection, since_s in list(since.items()) if now_s - since_s >= limit_s)
