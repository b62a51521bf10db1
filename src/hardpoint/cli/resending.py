"""Frames sent again as the device would: a blocking connection a dialect."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import ServerUnreachable, Unauthorized
from .doors import reachable
from .mqtt_client import MqttClient, MqttFailed

if TYPE_CHECKING:
    from .client import Address

ANSWER_TIMEOUT_S = 30.0
_NOT_A_LINE = re.compile(r"\*\*\*|^(?:#\S+ +)?QUIT$")
_REQUEST = re.compile(r"(GET|POST) /api/v1/[^/]*/(\S*)")
_PUBLISH = re.compile(r"PUBLISH qos=([012]) retain=([01])(?: dup)?(?: id=\d+)? (.+)", re.DOTALL)
_OWN_TOPIC = re.compile(r"\Adevices/[^/]+")


class Resender(Protocol):
    """One way to send frames."""

    def cannot(self, frame: dict[str, Any]) -> str:
        """Why this one cannot be sent; empty: it can."""
        ...

    def send(self, frame: dict[str, Any]) -> Iterable[tuple[bool, str]]:
        """Send it, and give the answers: whether each means that it was taken, and its words."""
        ...


@contextmanager
def open_resender(
    scheme: str, health: dict[str, Any], address: Address, device_id: str, token: str
) -> Iterator[Resender]:
    """The way for the dialect of that listener.

    Raises:
        ServerUnreachable: there is no such listener, or it does not answer.
        Unauthorized: the token opens nothing.
    """
    found = reachable(health, address, scheme)
    if found is None:
        raise ServerUnreachable(f"the server has no {scheme}:// listener to send these frames to")
    host, port = found
    if scheme == "http":
        with closing(http.client.HTTPConnection(host, port, timeout=ANSWER_TIMEOUT_S)) as connection:
            yield _Http(connection, token)
    elif scheme == "mqtt":
        with MqttClient(host, port, token) as mqtt:
            yield _Mqtt(mqtt, device_id)
    else:
        try:
            stream = socket.create_connection((host, port), timeout=ANSWER_TIMEOUT_S)
        except OSError as error:
            raise ServerUnreachable(f"line://{host}:{port} does not answer: {error}") from error
        with stream:
            yield _Lines(stream, token)


class _Lines:
    """A PING with a tag behind each line: what comes before its PONG is the answer to the line."""

    def __init__(self, stream: socket.socket, token: str) -> None:
        self._stream = stream
        self._file = stream.makefile("rb")
        self._next()  # the greeting
        for answer in self._ask(f"HELLO {token}".encode()):
            if not answer.startswith("OK"):
                raise Unauthorized(answer)

    def cannot(self, frame: dict[str, Any]) -> str:
        return "it signs in or out" if _NOT_A_LINE.search(frame["body"]) else ""

    def send(self, frame: dict[str, Any]) -> Iterator[tuple[bool, str]]:
        body = frame["body"]
        for answer in self._ask(bytes.fromhex(body) if frame["binary"] else body.encode()):
            words = answer.split(" ", 2)
            verb = words[1] if words[0].startswith("#") and len(words) > 1 else words[0]
            yield verb != "ERR", answer

    def _ask(self, line: bytes) -> list[str]:
        try:
            self._stream.sendall(line + b"\n#replay PING\n")
        except OSError as error:
            raise ServerUnreachable(f"the connection is gone: {error}") from error
        answers = []
        while (answer := self._next()) != "#replay PONG":
            answers.append(answer)
        return answers

    def _next(self) -> str:
        try:
            line = self._file.readline()
        except OSError as error:
            raise ServerUnreachable(f"the server does not answer: {error}") from error
        if not line:
            raise ServerUnreachable("the server has closed the connection")
        return line.decode("utf-8", "replace").rstrip("\n")


class _Http:
    def __init__(self, connection: http.client.HTTPConnection, token: str) -> None:
        self._connection = connection
        self._token = token

    def cannot(self, frame: dict[str, Any]) -> str:
        match = _REQUEST.fullmatch(frame["head"])
        if match is None:
            return "it is no request"
        polls = match[1] == "GET" and match[2].partition("?")[0] in ("rpc", "attributes/updates", "ws")
        return "it waits for something" if polls else ""

    def send(self, frame: dict[str, Any]) -> Iterator[tuple[bool, str]]:
        match = _REQUEST.fullmatch(frame["head"])
        assert match is not None
        body = bytes.fromhex(frame["body"]) if frame["binary"] else frame["body"].encode()
        try:
            self._connection.request(match[1], f"/api/v1/{self._token}/{match[2]}", body)
            with self._connection.getresponse() as response:
                said = response.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise ServerUnreachable(f"the server does not answer: {error}") from error
        yield response.status < http.client.BAD_REQUEST, f"{response.status} {said}".rstrip()


class _Mqtt:
    def __init__(self, mqtt: MqttClient, device_id: str) -> None:
        self._mqtt = mqtt
        self._device_id = device_id

    def cannot(self, frame: dict[str, Any]) -> str:
        return "" if _PUBLISH.fullmatch(frame["head"]) else "it is no message"

    def send(self, frame: dict[str, Any]) -> Iterator[tuple[bool, str]]:
        """A new device's own topics are not those of the one that was tapped."""
        match = _PUBLISH.fullmatch(frame["head"])
        assert match is not None
        topic = match[3]
        if self._device_id:
            topic = _OWN_TOPIC.sub(f"devices/{self._device_id}", topic)
        payload = bytes.fromhex(frame["body"]) if frame["binary"] else frame["body"].encode()
        try:
            reason = self._mqtt.publish(topic, payload, qos=int(match[1]), retain=match[2] == "1")
        except MqttFailed as error:
            yield False, error.message
        else:
            if match[1] != "0":
                yield True, f"acknowledged, reason 0x{reason:02x}"
