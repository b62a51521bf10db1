"""The connection to the other broker, through paho.

paho runs a thread of its own. What it tells comes to the loop's thread before anything is done with it, and what it may
wait for (names, TCP, TLS, the end of its thread) is called on another one. A message is acknowledged by hand, when our
store has it: paho would do so as soon as it has read it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..config import parse_bridge_url
from ..errors import ConfigError, HardpointError
from ..threads import call_apart
from ..wire.mqtt import properties as p

if TYPE_CHECKING:
    from paho.mqtt.client import Client as Paho
    from paho.mqtt.client import MQTTMessage
    from paho.mqtt.properties import Properties as PahoProperties

    from ..config import Bridge as Settings

CONNECT_TIMEOUT_S = 10.0
"""For each step: TCP, TLS, CONNACK, SUBACK."""
OPEN_TIMEOUT_S = 30.0
"""For TCP and TLS together, and the name server before them, which nothing else bounds."""
CLOSE_TIMEOUT_S = 2.0
"""How long a goodbye may take before the connection is cut."""
MAX_UNTAKEN = 100
"""Messages of the other broker that are on their way into ours. Beyond it nothing is read, so that TCP holds it back;
it is also our Receive Maximum.
"""
MAX_CREDENTIALS_BYTES = 4096

_NAMES = {
    p.PAYLOAD_FORMAT_INDICATOR: "PayloadFormatIndicator",
    p.MESSAGE_EXPIRY_INTERVAL: "MessageExpiryInterval",
    p.CONTENT_TYPE: "ContentType",
    p.RESPONSE_TOPIC: "ResponseTopic",
    p.CORRELATION_DATA: "CorrelationData",
    p.USER_PROPERTY: "UserProperty",
}
"""Properties that travel with a message, as paho calls them."""


class RemoteFailed(HardpointError):
    """The other broker cannot be reached, or does not let us in."""


class Received(NamedTuple):
    """A message of the other broker. ``receipt`` goes to `Remote.acknowledge` at QoS 1."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: dict[int, Any]
    receipt: int


class Listener(Protocol):
    """Who is told, on the loop's thread."""

    def received(self, remote: Remote, message: Received) -> None:
        """A message has come. At QoS 0 `Remote.taken` follows, at QoS 1 `Remote.acknowledge`."""
        ...

    def sent(self, number: int, refused: str) -> None:
        """What `Remote.publish` numbered has left (QoS 0), or is acknowledged (QoS 1); ``refused`` says why not."""
        ...


class Remote:
    """One connection. Make another for the next."""

    def __init__(self, settings: Settings, client_id: str, listener: Listener, window: int) -> None:
        self._settings = settings
        self._client_id = client_id
        self._listener = listener
        self._window = window
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[str] = self._loop.create_future()
        self._subscribed: asyncio.Future[str] = self._loop.create_future()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        """Done when the connection is gone, with the reason."""
        self._room = threading.Semaphore(MAX_UNTAKEN)
        self._closing = False
        self._paho: Paho | None = None

    async def open(self, filters: Mapping[str, int]) -> None:
        """Connect, and subscribe to the filters with their QoS.

        Raises:
            RemoteFailed: it could not be done; `close` all the same.
        """
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                self._paho = paho = await call_apart("hardpoint-bridge", self._connect)
            paho.loop_start()
            await self._settled(self._connected, "CONNACK")
            if filters:
                self._subscribe(filters)
                await self._settled(self._subscribed, "SUBACK")
        except TimeoutError:
            raise RemoteFailed("it does not answer") from None
        except (OSError, ValueError) as error:
            raise RemoteFailed(str(error) or type(error).__name__) from None

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool, properties: Mapping[int, Any]) -> int:
        """Send a message; `Listener.sent` follows with the number that is returned."""
        assert self._paho is not None
        number: int = self._paho.publish(topic, payload, qos, retain, _to_paho(properties)).mid
        return number

    def taken(self) -> None:
        """A message of QoS 0 was dealt with."""
        self._room.release()

    def acknowledge(self, receipt: int) -> None:
        """A message of QoS 1 was dealt with."""
        self._room.release()
        if self._paho is not None and not self._closing:
            self._paho.ack(receipt, 1)

    async def close(self) -> None:
        """Say goodbye and return when paho's thread has ended. Idempotent."""
        paho, self._paho = self._paho, None
        self._closing = True
        if paho is None:
            return
        paho.disconnect()
        ending = asyncio.ensure_future(call_apart("hardpoint-bridge-end", paho.loop_stop))
        done, _ = await asyncio.wait([ending], timeout=CLOSE_TIMEOUT_S)
        if not done:  # it waits for a peer that does not read
            connection = paho.socket()
            if isinstance(connection, socket.socket):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # gone meanwhile
        await ending

    # -- on another thread

    def _connect(self) -> Paho:
        from paho.mqtt.client import Client, MQTTv5
        from paho.mqtt.enums import CallbackAPIVersion
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        settings, url = self._settings, parse_bridge_url(self._settings.url)
        paho = Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            protocol=MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        paho.connect_timeout = CONNECT_TIMEOUT_S
        paho.max_inflight_messages_set(self._window)
        if settings.credentials is not None:
            paho.username_pw_set(*read_credentials(settings))
        if url.scheme == "mqtts":
            paho.tls_set_context(_context(settings))
        paho.on_connect = self._on_connect
        paho.on_disconnect = self._on_disconnect
        paho.on_subscribe = self._on_subscribe
        paho.on_message = self._on_message
        paho.on_publish = self._on_publish
        wanted = Properties(PacketTypes.CONNECT)
        wanted.SessionExpiryInterval = settings.session_expiry_s
        wanted.ReceiveMaximum = MAX_UNTAKEN
        paho.connect(url.host, url.port, settings.keep_alive_s, clean_start=False, properties=wanted)
        return paho

    def _on_connect(self, _client: object, _data: object, _flags: object, reason: Any, _properties: object) -> None:
        self._tell(_settle, self._connected, str(reason) if reason.is_failure else "")

    def _on_disconnect(self, _client: object, _data: object, _flags: object, reason: Any, _properties: object) -> None:
        self._tell(self._gone, str(reason))

    def _on_subscribe(self, _client: object, _data: object, _mid: int, reasons: Any, _properties: object) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        self._tell(_settle, self._subscribed, f"a filter of bridge.topics_in: {refused[0]}" if refused else "")

    def _on_message(self, _client: object, _data: object, message: MQTTMessage) -> None:
        while not self._room.acquire(timeout=1):
            if self._closing:
                return  # not acknowledged: it comes again
        found = _from_paho(message.properties)
        received = Received(message.topic, bytes(message.payload), message.qos, message.retain, found, message.mid)
        self._tell(self._listener.received, self, received)

    def _on_publish(self, _client: object, _data: object, mid: int, reason: Any, _properties: object) -> None:
        self._tell(self._listener.sent, mid, str(reason) if reason.is_failure else "")

    def _tell(self, callback: Callable[..., None], *args: object) -> None:
        self._loop.call_soon_threadsafe(callback, *args)

    # -- inside

    def _subscribe(self, filters: Mapping[str, int]) -> None:
        from paho.mqtt.subscribeoptions import SubscribeOptions

        assert self._paho is not None
        self._paho.subscribe(
            [
                (each, SubscribeOptions(qos, noLocal=True, retainAsPublished=True, retainHandling=1))
                for each, qos in filters.items()
            ]
        )

    async def _settled(self, future: asyncio.Future[str], what: str) -> None:
        """Wait for an answer of the other broker.

        Raises:
            RemoteFailed: it refuses, or the connection ends first.
            TimeoutError: there is none.
        """
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await asyncio.wait([future, self.lost], return_when=asyncio.FIRST_COMPLETED)
        failed = future.result() if future.done() else f"it hangs up before {what}: {self.lost.result()}"
        if failed:
            raise RemoteFailed(failed)

    def _gone(self, reason: str) -> None:
        _settle(self.lost, reason)


def read_credentials(settings: Settings) -> tuple[str, str | None]:
    """User name and password of ``bridge.credentials``, read anew for each connection.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not two lines of text.
    """
    assert settings.credentials is not None
    with settings.credentials.open("rb") as file:
        lines = file.read(MAX_CREDENTIALS_BYTES).decode().splitlines()
    if not lines or len(lines) > 2 or not lines[0]:
        raise ValueError("bridge.credentials must have the user name in its first line, the password in the next")
    return lines[0], lines[1] if len(lines) == 2 else None


def check_tls(settings: Settings) -> None:
    """Whether the files of a ``mqtts://`` bridge can be used.

    Raises:
        ConfigError: one cannot.
    """
    try:
        _context(settings)
    except (OSError, ValueError) as error:
        raise ConfigError(f"bridge.ca, bridge.cert or bridge.key cannot be used: {error}") from None


def _context(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ca)
    if settings.cert is not None:
        context.load_cert_chain(settings.cert, settings.key)
    return context


def _settle(future: asyncio.Future[str], value: str) -> None:
    if not future.done():
        future.set_result(value)


def _to_paho(properties: Mapping[int, Any]) -> PahoProperties:
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    made = Properties(PacketTypes.PUBLISH)
    for identifier, value in properties.items():
        name = _NAMES.get(identifier)
        if name is not None:
            setattr(made, name, value)
    return made


def _from_paho(properties: PahoProperties | None) -> dict[int, Any]:
    return {identifier: getattr(properties, name) for identifier, name in _NAMES.items() if hasattr(properties, name)}
