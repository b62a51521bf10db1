"""MQTT from a command: blocking, one connection, found and signed in by what the command knows of its server."""

from __future__ import annotations

import secrets
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, Self

from ..errors import BadInput, HardpointError, ServerUnreachable, TimedOut, Unauthorized
from ..wire.mqtt import properties as p
from ..wire.mqtt import reasons
from ..wire.mqtt.decoder import PacketDecoder
from ..wire.mqtt.encoder import PINGREQ, encode
from ..wire.mqtt.packets import Ack, ConnAck, Connect, Disconnect, Filter, Ping, Publish, SubAck, Subscribe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from ..wire.mqtt.packets import Packet
    from .client import Client

KEEP_ALIVE_S = 30
ANSWER_TIMEOUT_S = 10.0
READ_BYTES = 64 * 1024
MAX_PACKET_BYTES = 2**28 - 1
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound
"""An address that a server listens on → the one to reach it at from its own machine."""


class MqttFailed(HardpointError):
    """The server refused a message or a subscription, or closed the connection."""

    code = "mqtt_failed"


class MqttClient:
    """One connection in MQTT 5, which gives reasons."""

    def __init__(self, host: str, port: int, token: str) -> None:
        """Connects and signs in.

        Raises:
            ServerUnreachable: nothing answers there.
            Unauthorized: the token opens nothing.
        """
        try:
            self._socket = socket.create_connection((host, port), timeout=ANSWER_TIMEOUT_S)
        except OSError as error:
            raise ServerUnreachable(f"mqtt://{host}:{port} does not answer: {error}") from error
        self._decoder = PacketDecoder(max_packet_bytes=MAX_PACKET_BYTES, version=reasons.V5)
        self._packets: list[Packet] = []
        name = f"hardpoint-{secrets.token_hex(4)}"
        self._send(encode(Connect(reasons.V5, name, True, KEEP_ALIVE_S, username=token), reasons.V5))
        answer = self._next(ANSWER_TIMEOUT_S)
        if not isinstance(answer, ConnAck) or answer.reason >= reasons.FAILURE:
            reason = answer.reason if isinstance(answer, ConnAck) else reasons.PROTOCOL_ERROR
            found = answer.properties if isinstance(answer, ConnAck) else {}
            self.close()
            raise Unauthorized(f"refused: {found.get(p.REASON_STRING) or reasons.NAMES.get(reason, reason)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye."""
        try:
            self._send(encode(Disconnect(), reasons.V5))
        except HardpointError:
            pass
        self._socket.close()

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> int:
        """Publish, and at QoS 1 and 2 wait until the server has it. The reason code: ``0x10`` is that nobody listens.

        Raises:
            BadInput: no packet can hold the topic.
            MqttFailed: it was refused.
        """
        self._send(_encoded(Publish(topic, payload, qos, retain, packet_id=1 if qos else 0)))
        if not qos:
            return 0
        reason = self._acknowledged()
        if qos == 2 and reason < reasons.FAILURE:
            self._send(encode(Ack(p.PUBREL, 1), reasons.V5))
            self._acknowledged()
        return reason

    def subscribe(self, filters: list[str], *, qos: int, retained: bool) -> None:
        """Subscribe.

        Raises:
            BadInput: no packet can hold a filter.
            MqttFailed: a filter was refused.
        """
        wanted = [Filter(each, qos, retain_handling=0 if retained else 2) for each in filters]
        self._send(_encoded(Subscribe(1, wanted)))
        held: list[Packet] = []
        while True:
            answer = self._next(ANSWER_TIMEOUT_S)
            if isinstance(answer, SubAck):
                break
            held.append(answer)
        self._packets = [*held, *self._packets]
        for each, reason in zip(filters, answer.reasons, strict=True):
            if reason >= reasons.FAILURE:
                raise MqttFailed(f"{each}: {reasons.NAMES.get(reason, reason)}")

    def messages(self) -> Iterator[Publish]:
        """What comes, for ever; each message is acknowledged when the next one is asked for."""
        while True:
            try:
                packet = self._next(KEEP_ALIVE_S / 2)
            except TimedOut:
                self._send(PINGREQ)
                packet = self._next(ANSWER_TIMEOUT_S)
            if isinstance(packet, Publish):
                yield packet
                if packet.qos:
                    self._send(encode(Ack(p.PUBACK if packet.qos == 1 else p.PUBREC, packet.packet_id), reasons.V5))
            elif isinstance(packet, Ack) and packet.kind == p.PUBREL:
                self._send(encode(Ack(p.PUBCOMP, packet.packet_id), reasons.V5))

    def _acknowledged(self) -> int:
        while not isinstance(answer := self._next(ANSWER_TIMEOUT_S), Ack):
            pass
        if answer.reason >= reasons.FAILURE:
            found = answer.properties.get(p.REASON_STRING)
            raise MqttFailed(f"refused: {found or reasons.NAMES.get(answer.reason, answer.reason)}")
        return answer.reason

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise ServerUnreachable(f"the connection is gone: {error}") from error

    def _next(self, timeout_s: float) -> Packet:
        """The next packet.

        Raises:
            TimedOut: none came in time.
            ServerUnreachable: the connection is gone.
            MqttFailed: the server says that it closes it.
        """
        self._socket.settimeout(timeout_s)
        while not self._packets:
            try:
                data = self._socket.recv(READ_BYTES)
            except TimeoutError:
                raise TimedOut("the server does not answer") from None
            except OSError as error:
                raise ServerUnreachable(f"the connection is gone: {error}") from error
            if not data:
                raise ServerUnreachable("the server has closed the connection")
            self._packets = self._decoder.receive(data)
            if self._decoder.refused is not None:
                raise MqttFailed(f"the server breaks the protocol: {self._decoder.refused.message}")
        packet = self._packets.pop(0)
        if isinstance(packet, Disconnect):
            found = packet.properties.get(p.REASON_STRING)
            raise MqttFailed(f"the server ends it: {found or reasons.NAMES.get(packet.reason, packet.reason)}")
        return packet if not isinstance(packet, Ping) else self._next(timeout_s)


def _encoded(packet: Packet) -> bytes:
    try:
        return encode(packet, reasons.V5)
    except ValueError as error:  # not UTF-8, or too long
        raise BadInput(f"no MQTT packet can hold that: {error}") from None


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """A signal that ends the process (its terminal was closed, `timeout`, a supervisor) lets what is open be closed."""

    def end(number: int, _frame: object) -> NoReturn:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # no other may set them
        yield
        return
    # One that is ignored stays so: `nohup` means it.
    ours = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def open_mqtt(client: Client, role: str) -> Iterator[MqttClient]:
    """The MQTT door of the command's server. On the server's own machine a token is made for it and removed again.

    Raises:
        MqttFailed: the server has no door for plain MQTT.
        ServerUnreachable, Unauthorized: see `MqttClient`.
    """
    listeners = client.call("GET", "/api/health")["listeners"]
    port = next((each["port"] for each in listeners if each["url"].startswith("mqtt://")), None)
    if port is None:
        raise MqttFailed("the server has no mqtt:// listener", hint="hardpoint serve --listen mqtt://0.0.0.0:1883")
    address = client.address
    if not address.path:
        with MqttClient(address.host, port, client.token or "") as mqtt:
            yield mqtt
        return
    url = next(each["url"] for each in listeners if each["url"].startswith("mqtt://"))
    host: str = url.removeprefix("mqtt://").rpartition(":")[0].strip("[]")
    with _ending_in_order():
        made = client.call("POST", "/api/tokens", body={"name": "hardpoint pub/sub", "role": role})
        try:
            with MqttClient(EVERYWHERE.get(host, host), port, made["token"]) as mqtt:
                yield mqtt
        finally:
            client.call("DELETE", "/api/tokens", made["id"])
