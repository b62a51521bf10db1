"""A device that speaks the device HTTP API (SPEC §4), for tests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import msgspec

from .device import ANSWER_TIMEOUT_S, ReceivedCommand, Refused, merged

if TYPE_CHECKING:
    from ..model import Json

POLL_MS = 5_000


@dataclass(slots=True, frozen=True)
class HttpAnswer:
    """A whole answer. Header names are lower case; of a repeated one the last counts."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Json:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


class HttpDevice:
    """One keep-alive connection of one device, one request at a time.

    ::

        async with HttpDevice("127.0.0.1", 8080, token) as device:
            await device.send(temp=21.5)                  # returns once it is on disk
            command = await device.next_command()         # a long poll
            await device.answer(command, {"on": True})
    """

    def __init__(self, host: str, port: int, token: str = "", *, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Connect with ``async with``."""
        self._host, self._port = host, port
        self._token = token
        self._timeout_s = timeout_s
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def send(self, values: dict[str, Json] | None = None, /, *, ts: int | None = None, **named: Json) -> None:
        """Send readings of one moment; returns once they are durable.

        Raises:
            Refused: the server did not take them.
        """
        readings = merged(values, named)
        await self._device("POST", "telemetry", readings if ts is None else {"ts": ts, "values": readings})

    async def report(self, values: dict[str, Json] | None = None, /, **named: Json) -> None:
        """Report client attributes; a None deletes.

        Raises:
            Refused: the server did not take them.
        """
        await self._device("POST", "attributes", merged(values, named))

    async def attributes(self) -> dict[str, dict[str, Json]]:
        """``{"client": {…}, "shared": {…}}``; an empty scope is left out."""
        found: dict[str, dict[str, Json]] = (await self._device("GET", "attributes")).json()
        return found

    async def next_command(self, poll_ms: int = POLL_MS) -> ReceivedCommand:
        """Wait for a command with one long poll.

        Raises:
            TimeoutError: none came within ``poll_ms``.
            Refused: the server ended the poll otherwise.
        """
        answer = await self._poll("rpc", poll_ms)
        document = answer.json()
        return ReceivedCommand(document["id"], document["method"], document["params"])

    async def next_attributes(self, poll_ms: int = POLL_MS) -> dict[str, Json]:
        """Wait for a change of shared attributes: ``{key: value, "deleted": [key]}``.

        Raises:
            TimeoutError, Refused: as `next_command`.
        """
        changed: dict[str, Json] = (await self._poll("attributes/updates", poll_ms)).json()
        return changed

    async def answer(self, command: ReceivedCommand, result: Json = None) -> None:
        """Say that a command was carried out."""
        await self._device("POST", f"rpc/{command.id}", result)

    async def fail(self, command: ReceivedCommand, message: str) -> None:
        """Say that a command was not carried out, and why."""
        await self._device("POST", f"rpc/{command.id}", {"error": message})

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> HttpAnswer:
        """Any request on this connection, and its whole answer whatever the status.

        Raises:
            ConnectionError: the server closed without answering.
            TimeoutError: it did not answer.
        """
        assert self._writer is not None, "use it with `async with`"
        fields = {"Host": f"{self._host}:{self._port}", "Content-Length": str(len(body)), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        return await asyncio.wait_for(self._read_answer(method), self._timeout_s)

    async def close(self) -> None:
        """Hang up. Idempotent."""
        if self._writer is not None:
            self._writer.close()
            try:
                await self._writer.wait_closed()
            except OSError:
                pass  # the server was faster

    # -- inside

    async def _device(self, method: str, path: str, document: Json = None) -> HttpAnswer:
        body = b"" if method == "GET" else msgspec.json.encode(document)
        answer = await self.request(method, f"/api/v1/{self._token}/{path}", body)
        if answer.status != 200:
            raise Refused(str(answer.status), answer.body.decode(errors="replace"))
        return answer

    async def _poll(self, path: str, poll_ms: int) -> HttpAnswer:
        try:
            return await self._device("GET", f"{path}?timeout={poll_ms}")
        except Refused as error:
            if error.answer_code == "408":
                raise TimeoutError from None
            raise

    async def _read_answer(self, method: str) -> HttpAnswer:
        assert self._reader is not None
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status_line, *lines = head.rstrip("\r\n").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            status = int(status_line.split(" ", 2)[1])
            if method == "HEAD" or status in (204, 304):
                return HttpAnswer(status, headers, b"")
            if headers.get("transfer-encoding") == "chunked":
                return HttpAnswer(status, headers, await self._read_chunks())
            length = headers.get("content-length")
            body = await (self._reader.read() if length is None else self._reader.readexactly(int(length)))
        except asyncio.IncompleteReadError:
            raise ConnectionError("the server closed without a whole answer") from None
        return HttpAnswer(status, headers, body)

    async def _read_chunks(self) -> bytes:
        """RFC 9112 §7.1, without the trailers that nobody sends here."""
        assert self._reader is not None
        body = bytearray()
        while size := int((await self._reader.readline()).split(b";")[0], 16):
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return bytes(body)
