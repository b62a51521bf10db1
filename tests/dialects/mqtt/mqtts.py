"""An MQTT dialect over a hub, and clients on memory transports that speak packets."""

from __future__ import annotations

import contextlib

from hardpoint.config import Mqtt
from hardpoint.dialects.mqtt import MqttDialect
from hardpoint.hub.provisioning import Provisioning
from hardpoint.model import ApiToken
from hardpoint.testing import MemoryTransport
from hardpoint.wire.mqtt import properties as p
from hardpoint.wire.mqtt.decoder import PacketDecoder
from hardpoint.wire.mqtt.encoder import encode
from hardpoint.wire.mqtt.packets import Ack, ConnAck, Connect, Filter, Ping, Publish, Subscribe
from hub.hubs import HeldStore, open_hub, turn


class Apps:
    """API tokens by secret."""

    def __init__(self, **roles):
        self.tokens = {f"hpa_{role}": ApiToken(name, name, role, "", "", 0) for name, role in roles.items()}

    def find_token(self, secret):
        return self.tokens.get(secret)

    def live_token(self, token_id):
        return next((token for token in self.tokens.values() if token.id == token_id), None)


@contextlib.asynccontextmanager
async def open_dialect(
    store=None, clock=None, *, anonymous=True, adopt=False, apps=None, limits=None, provisions=(), **settings
):
    async with open_hub(store, clock, allow_anonymous=anonymous, adopt=adopt, **(limits or {})) as hub:
        dialect = MqttDialect(hub, Mqtt(**settings), "9.9", apps=apps, provisioning=Provisioning(hub, *provisions))
        try:
            yield dialect
        finally:
            await dialect.drain(0)


class Client:
    """The other end of one connection."""

    def __init__(self, dialect, version=4, **extra):
        self.dialect = dialect
        self.version = version
        self.connection = dialect()
        self.transport = MemoryTransport(self.connection, **extra)
        self.decoder = PacketDecoder(max_packet_bytes=1 << 20, version=version)
        self.seen = []
        """Every packet that has come."""

    async def connect(self, client_id="c", **fields):
        self.send(Connect(self.version, client_id, **fields))
        answer = (await self.read())[0]
        assert isinstance(answer, ConnAck)
        return answer

    def send(self, *packets):
        self.transport.feed(b"".join(encode(packet, self.version) for packet in packets))

    async def read(self):
        """What has come, once everything that was begun is durable."""
        await turn()
        await self.dialect.hub.commits.durable()
        await turn()
        packets = self.decoder.receive(self.transport.take())
        assert self.decoder.refused is None
        self.seen += packets
        return packets

    async def ask(self, *packets):
        self.send(*packets)
        return await self.read()

    async def subscribe(self, *filters, qos=0, properties=None, **options):
        wanted = [Filter(each, qos, **options) for each in filters]
        answers = await self.ask(Subscribe(9, wanted, properties or {}))
        return answers[0].reasons, answers[1:]

    async def publish(self, topic, payload=b"x", qos=0, packet_id=5, **fields):
        return await self.ask(Publish(topic, payload, qos, packet_id=packet_id if qos else 0, **fields))

    async def messages(self):
        """Topics and payloads that have come; messages of QoS 1 are acknowledged."""
        found = []
        for packet in await self.read():
            if isinstance(packet, Publish):
                found.append((packet.topic, packet.payload))
                if packet.qos == 1:
                    self.send(Ack(p.PUBACK, packet.packet_id))
        return found

    async def ping(self):
        return await self.ask(Ping(p.PINGREQ))

    @property
    def closed(self):
        return self.transport.is_closing() or self.transport.wrote_eof


async def connected(dialect, client_id="c", version=4, **fields):
    client = Client(dialect, version)
    answer = await client.connect(client_id, **fields)
    assert answer.reason == 0, answer
    return client


__all__ = ["Apps", "Client", "HeldStore", "connected", "open_dialect"]
