"""The app API from a command: over the server's Unix socket, or over HTTP with a token.

Whoever may open ``DATA/hardpoint.sock`` is admin, so on the server's own machine nothing has to be signed in.
"""

from __future__ import annotations

import http.client
import socket
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from ..errors import (
    BadInput,
    Conflict,
    Forbidden,
    HardpointError,
    NotFound,
    RateLimited,
    ServerUnreachable,
    StorageError,
    StorageFull,
    TimedOut,
    TooLarge,
    Unauthorized,
)
from ..wire.sse import EventParser

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0
"""The longest answer is a read of many readings from a slow SD card."""
SILENCE_TIMEOUT_S = 45.0
"""A live stream says something at least every 15 s; three missed ones mean that it is dead."""
READ_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 256 * 2**20

ERRORS: dict[int, type[HardpointError]] = {
    each.status: each
    for each in (
        BadInput,
        Unauthorized,
        Forbidden,
        NotFound,
        Conflict,
        TooLarge,
        RateLimited,
        TimedOut,
        StorageError,
        StorageFull,
    )
}
"""HTTP status → what is raised here; any other status is a `HardpointError`."""


class Refused(Exception):
    """An answer that is an error, as the server sent it: `Client.raw` raises it for callers who want the body, every
    other method turns it into the exception of its status.
    """

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is: a Unix socket's ``path``, or ``scheme``, ``host`` and ``port``."""

    path: str = ""
    scheme: str = "http"
    host: str = "localhost"
    port: int = 8080

    @classmethod
    def parse(cls, url: str) -> Self:
        """``http://HOST:8080``, ``https://HOST``, ``unix:/path/hardpoint.sock``.

        Raises:
            BadInput: something else.
        """
        if url.startswith("unix:"):
            path = url.removeprefix("unix:")
            if not path or "\0" in path:
                raise BadInput(f"{url!r} is not a server's address", hint="write unix:/path/to/hardpoint.sock")
            return cls(path=path)
        try:
            parts = urlsplit(url)
            port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        except (ValueError, KeyError):
            raise _no_address(url) from None
        if not parts.hostname or parts.path.strip("/") or parts.query:
            raise _no_address(url)
        return cls(scheme=parts.scheme, host=parts.hostname, port=port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"unix:{self.path}" if self.path else f"{self.scheme}://{host}:{self.port}"


def _no_address(url: str) -> BadInput:
    return BadInput(f"{url!r} is not a server's address", hint="write http://HOST:8080")


@dataclass(frozen=True, slots=True)
class Event:
    """One live event: its name, and its data decoded from JSON."""

    name: str
    data: Any


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket; the host name is only there for the Host header."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(self.path)
        except BaseException:
            self.sock.close()
            raise


class Client:
    """Calls of the app API. Each call is one connection: a command makes few, and none can then be half used.

    Every method raises the `errors` class of the answer's status, `ServerUnreachable` where there is no answer and
    `TimedOut` where it does not come in time; `BadInput` where what is to be sent is no text.
    """

    def __init__(self, address: Address, token: str | None = None, ca: Path | None = None) -> None:
        """Nothing is connected yet. ``ca`` is a PEM file of who signed the certificate of a server at ``https://``,
        where that is not whom the system trusts.

        Raises:
            BadInput: no header can hold the token.
        """
        self.address = address
        self._ca = ca
        self.token = token
        if token and not (token.isascii() and token.isprintable()):
            raise BadInput("the API token holds a character that no token has: a line's end, or one beyond ASCII")
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def get(self, *path: str, query: Mapping[str, Any] | None = None) -> Any:
        """`call` with GET."""
        return self.call("GET", *path, query=query)

    def health(self) -> dict[str, Any]:
        """``/api/health``, also of a server that is not well and so answers 503."""
        try:
            found: dict[str, Any] = self.raw("GET", "/api/health")
        except Refused as refused:
            if "status" not in refused.body:
                raise self.error_of(refused) from None
            found = dict(refused.body)
        return found

    def call(
        self,
        method: str,
        *path: str,
        query: Mapping[str, Any] | None = None,
        body: object = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Any:
        """The decoded JSON of a 2xx answer, None for an empty one. ``path`` is ``/api/devices`` and then segments,
        which are escaped; a query value of None is left out. ``body`` is sent as JSON, but bytes as they are.
        """
        try:
            return self.raw(method, *path, query=query, body=body, timeout_s=timeout_s)
        except Refused as refused:
            raise self.error_of(refused) from None

    def raw(
        self,
        method: str,
        *path: str,
        query: Mapping[str, Any] | None = None,
        body: object = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Any:
        """As `call`, but an error's answer is raised as `Refused`, with all that the server said."""
        connection, response = self._request(method, _target(path, query), body, timeout_s)
        try:
            data = response.read(MAX_ANSWER_BYTES)
            if response.length:  # what Content-Length promised beyond this; read(limit) does not complain of it
                raise http.client.IncompleteRead(data, response.length)
        except (OSError, http.client.HTTPException) as error:
            raise ServerUnreachable(f"the server at {self.address} broke off its answer: {error}") from error
        finally:
            connection.close()
        answer = self._decoded(data)
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise Refused(response.status, answer if isinstance(answer, dict) else {})
        return answer

    @contextmanager
    def events(self, *path: str, query: Mapping[str, Any] | None = None, last_id: str = "") -> Iterator[EventSource]:
        """A live stream, open for the ``with`` block; it goes on after ``last_id`` where one is given."""
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_id} if last_id else {})}
        connection, response = self._request("GET", _target(path, query), None, SILENCE_TIMEOUT_S, headers)
        with closing(connection):
            if response.status != HTTPStatus.OK:
                body = self._decoded(response.read(MAX_ANSWER_BYTES))
                raise self.error_of(Refused(response.status, body if isinstance(body, dict) else {}))
            yield EventSource(response, last_id)

    @contextmanager
    def stream(
        self,
        method: str,
        *path: str,
        query: Mapping[str, Any] | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Iterator[Content]:
        """An answer that is read piece by piece, within the ``with`` block. ``timeout_s`` is for each wait."""
        connection, response = self._request(method, _target(path, query), None, timeout_s)
        with closing(connection):
            if response.status != HTTPStatus.OK:
                body = self._decoded(response.read(MAX_ANSWER_BYTES))
                raise self.error_of(Refused(response.status, body if isinstance(body, dict) else {}))
            yield Content(response, self.address)

    def error_of(self, refused: Refused) -> HardpointError:
        """The exception of an error answer; the server's own message is kept."""
        said = refused.body.get("error")
        said = said if isinstance(said, dict) else {}
        message = str(said.get("message") or f"the server answered {refused.status}")
        place = said.get("field")
        if place and str(place) not in message:
            message += f" ({place})"
        kind = ERRORS.get(refused.status, HardpointError)
        if refused.status == Unauthorized.status:
            return kind(message, hint="give an API token: HARDPOINT_TOKEN or --token-file")
        return kind(message)

    def _request(
        self,
        method: str,
        target: str,
        body: object,
        timeout_s: float,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = self._connection()
        sent = dict(self._headers) | dict(headers or {})
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else _json(body)
            sent["Content-Type"] = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        try:
            connection.connect()
            connection.sock.settimeout(timeout_s)
            connection.request(method, target, data, sent)
            return connection, connection.getresponse()
        except TimeoutError as error:
            connection.close()
            raise TimedOut(f"no answer from {self.address} in time") from error
        except (OSError, http.client.HTTPException, UnicodeError) as error:  # UnicodeError: "a..b" is no host's name
            connection.close()
            raise self._unreachable(error) from error
        except BaseException:
            connection.close()
            raise

    def _connection(self) -> http.client.HTTPConnection:
        address = self.address
        if address.path:
            return _UnixConnection(address.path, CONNECT_TIMEOUT_S)
        if address.scheme == "https":
            from ..tls.client import client_context  # 10 ms, and mostly the server is on this machine

            context = client_context(self._ca)
            return http.client.HTTPSConnection(address.host, address.port, timeout=CONNECT_TIMEOUT_S, context=context)
        return http.client.HTTPConnection(address.host, address.port, timeout=CONNECT_TIMEOUT_S)

    def _unreachable(self, error: Exception) -> HardpointError:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(error, PermissionError):
            return Forbidden(f"{self.address}: {why}", hint="run it as the user the server runs as")
        hint = "check the address and that the server runs"
        if "CERTIFICATE_VERIFY_FAILED" in why:
            hint = "name who signed its certificate: --ca FILE or HARDPOINT_CA (on the server, DATA/tls/ca.pem)"
        if self.address.path:
            folder = Path(self.address.path).parent
            hint = f"start it: hardpoint serve --data {folder} (or name another: --data, --server)"
        return ServerUnreachable(f"no server at {self.address}: {why}", hint=hint)

    def _decoded(self, data: bytes) -> Any:
        if not data:
            return None
        try:
            return msgspec.json.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ServerUnreachable(f"what answers at {self.address} is not a Hardpoint server") from error


class Content:
    """The content of an answer, piece by piece."""

    def __init__(self, response: http.client.HTTPResponse, address: Address) -> None:
        self._response = response
        self._address = address
        self.length: int | None = response.length
        """How many bytes it will be, where the server said so."""

    def __iter__(self) -> Iterator[bytes]:
        """Each piece as it comes.

        Raises:
            ServerUnreachable: it was broken off: what came until then is not whole.
        """
        while True:
            try:
                data = self._response.read(READ_BYTES)
                if not data and self._response.length:
                    raise http.client.IncompleteRead(data, self._response.length)
            except (OSError, http.client.HTTPException) as error:
                raise ServerUnreachable(f"the server at {self._address} broke off its answer: {error}") from error
            if not data:
                return
            yield data

    def lines(self) -> Iterator[bytes]:
        """Whole lines, without their ends."""
        rest = b""
        for data in self:
            *whole, rest = (rest + data).split(b"\n")
            yield from whole
        if rest:
            yield rest


class EventSource:
    """The events of an open stream. Iterating ends when the server ends the stream, when it breaks, and when it is
    silent for `SILENCE_TIMEOUT_S`; opened anew with `last_id` it goes on from there.
    """

    def __init__(self, response: http.client.HTTPResponse, last_id: str) -> None:
        self._response = response
        self._parser = EventParser(last_id)

    @property
    def last_id(self) -> str:
        """The id of the last event that came, or of what the server said to resume after."""
        return self._parser.last_id

    def __iter__(self) -> Iterator[Event]:
        """Each event as it comes.

        Raises:
            ServerUnreachable: what comes is not our server's stream.
        """
        while True:
            try:
                data = self._response.read1(READ_BYTES)
            except (OSError, http.client.HTTPException):
                return
            if not data:
                return
            try:
                for event in self._parser.receive(data):
                    yield Event(event.event, msgspec.json.decode(event.data))
            except (msgspec.MsgspecError, RecursionError, TooLarge) as error:
                raise ServerUnreachable(f"what comes is not a Hardpoint server's live stream: {error}") from error


def _target(path: tuple[str, ...], query: Mapping[str, Any] | None) -> str:
    head, *segments = path
    given = {name: value for name, value in (query or {}).items() if value is not None}
    try:
        target = "/".join([head, *(quote(each, safe="") for each in segments)])
        return target + (f"?{urlencode(given, doseq=True)}" if given else "")
    except UnicodeEncodeError:
        raise _no_text() from None


def _json(body: object) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        raise _no_text() from None


def _no_text() -> BadInput:
    return BadInput("an argument holds bytes that are not UTF-8")
