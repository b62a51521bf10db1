"""A bridge over a hub on a memory store, and another broker that does what a test says, over a real connection."""

from __future__ import annotations

import asyncio
import contextlib

from hardpoint.bridge import Bridge
from hardpoint.config import Bridge as Settings
from hardpoint.config import Mqtt
from hardpoint.hub.broker import Broker, OpenAccess, Request
from hardpoint.wire.mqtt import properties as p
from hardpoint.wire.mqtt.decoder import PacketDecoder
from hardpoint.wire.mqtt.encoder import encode
from hardpoint.wire.mqtt.packets import Ack, ConnAck, Ping, Publish, SubAck, Subscribe
from hub.hubs import open_hub

DEADLINE_S = 60


async def until(condition):
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.002)


class Link:
    """One connection, as the other broker sees it."""

    def __init__(self, reader, writer):
        self._reader, self.writer = reader, writer
        self._decoder = PacketDecoder(max_packet_bytes=1 << 28)
        self._packets = []
        self.pings = 0

    async def next(self):
        """The next packet but PINGREQ; None: it has hung up."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                while self._packets:
                    packet = self._packets.pop(0)
                    if not isinstance(packet, Ping):
                        return packet
                    self.pings += 1
                data = await self._reader.read(65_536)
                if not data:
                    return None
                self._packets += self._decoder.receive(data)
                assert self._decoder.refused is None, self._decoder.refused

    def send(self, *packets):
        self.writer.write(b"".join(encode(packet, 5) for packet in packets))

    async def ask(self, *packets):
        self.send(*packets)
        return await self.next()

    def cut(self):
        """As when a cable is pulled."""
        self.writer.transport.abort()


class Other:
    """The other broker."""

    def __init__(self):
        self._links = asyncio.Queue()
        self._writers = []
        self.connect = None
        """The last CONNECT."""

    async def start(self):
        self._server = await asyncio.start_server(self._arrived, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self):
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _arrived(self, reader, writer):
        self._writers.append(writer)
        self._links.put_nowait((reader, writer))

    async def link(self):
        """The next connection, whose CONNECT has come and is not answered."""
        async with asyncio.timeout(DEADLINE_S):
            made = Link(*await self._links.get())
        self.connect = await made.next()
        return made

    async def connected(self, *, present=True, granted=None, **found):
        """The next connection, with its CONNECT and SUBSCRIBE answered."""
        made = await self.link()
        made.send(ConnAck(present, 0, {getattr(p, name): value for name, value in found.items()}))
        asked = await made.next()
        assert isinstance(asked, Subscribe)
        made.send(SubAck(asked.packet_id, granted or [each.qos for each in asked.filters]))
        return made


class Here:
    """Our side."""

    def __init__(self, hub, broker, bridge):
        self.hub, self.broker, self.bridge = hub, broker, bridge
        self.received = []

    full = False

    # A client of the broker that has subscribed to what comes in.

    def send_message(self, message, qos, retain, dup, packet_id, identifiers):
        self.received.append(message.payload.decode())
        return True

    def disconnect(self, reason, message=""):
        raise AssertionError(message)

    def listen(self, topic_filter):
        """Note what comes under that filter from now on."""
        session, _ = self.broker.open(self, "listener", OpenAccess(), clean=True, window=100)
        self.broker.subscribe(session, [Request(topic_filter, 0)])

    @property
    def waiting(self):
        """What is to go out and is not finished."""
        return self.bridge.describe()["queued"]


@contextlib.asynccontextmanager
async def bridged(other, store=None, **settings):
    """A bridge that takes ``out/#`` there and ``in/#`` from there, at QoS 2. Ended as by a crash: nothing is said."""
    given = {"topics_out": ("out/# qos 2",), "topics_in": ("in/# qos 2",)} | settings
    async with open_hub(store) as hub:
        broker = Broker(hub.commits, Mqtt(), hub.clock_ms)
        bridge = Bridge(hub, Settings(url=f"mqtt://127.0.0.1:{other.port}", **given), "us", jitter=lambda: 0.0)
        broker.fill(hub.store, {bridge.key: bridge.access}.get)
        bridge.start(broker)
        here = Here(hub, broker, bridge)
        here.listen("in/#")
        try:
            yield here
        finally:
            await bridge.stop()


@contextlib.asynccontextmanager
async def other_broker():
    other = Other()
    await other.start()
    try:
        yield other
    finally:
        await other.stop()


def puback(packet_id, reason=0):
    return Ack(p.PUBACK, packet_id, reason)


def pubrec(packet_id, reason=0):
    return Ack(p.PUBREC, packet_id, reason)


def pubrel(packet_id, reason=0):
    return Ack(p.PUBREL, packet_id, reason)


def pubcomp(packet_id, reason=0):
    return Ack(p.PUBCOMP, packet_id, reason)


def told(packet):
    """What of a PUBLISH a test compares: topic, payload, QoS, DUP, packet identifier."""
    assert isinstance(packet, Publish), packet
    return packet.topic, packet.payload, packet.qos, packet.dup, packet.packet_id
