"""A device that speaks the line dialect (SPEC §3), for tests."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Self, TypeVar

from ..tls.client import client_context
from ..wire.line_client import (
    Answer,
    CommandLine,
    LineClient,
    decode_params,
    encode_failure,
    encode_readings,
    encode_result,
)
from ..wire.lines import encode_value
from ..wire.telemetry import decode_json
from .device import ANSWER_TIMEOUT_S, ReceivedCommand, Refused, merged

if TYPE_CHECKING:
    from pathlib import Path

    from ..model import Json

READ_BYTES = 64 * 1024
CLOSED = "the server has closed the connection"

_T = TypeVar("_T")


class LineDevice:
    """One connection of one device.

    ::

        async with LineDevice("127.0.0.1", 9000, token) as device:
            await device.send(temp=21.5, door=True)         # 2, once both are on disk
            await device.send({"cpu.temp": 48}, ts=1732320000000)
            command = await device.next_command()
            await device.answer(command, {"on": True})

    Every line carries a tag, so calls may overlap: ``asyncio.gather(device.send(a=1), device.send(b=2))``.
    """

    def __init__(
        self,
        host: str,
        port: int,
        token: str | None = None,
        *,
        tls: bool = False,
        ca: Path | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        """Connect with ``async with``; without a token it stays unattached until `hello`. ``tls`` is for ``lines://``;
        ``ca`` is a PEM file of who signed the server's certificate, where that is not whom the system trusts.
        """
        self._address = (host, port)
        self._tls = tls or ca is not None
        self._ca = ca
        self._token = token
        self._timeout_s = timeout_s
        self._client = LineClient()
        self._tags = itertools.count(1)
        self._answers: dict[str, asyncio.Future[Answer]] = {}
        self._commands: asyncio.Queue[ReceivedCommand] = asyncio.Queue()
        self._attributes: asyncio.Queue[dict[str, Json]] = asyncio.Queue()
        self._closed = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self.greeting = ""
        """The server's first line."""
        self.id = ""
        """The device's id, once attached."""
        self.farewell: str | None = None
        """Why the server closed, when it said so."""

    async def __aenter__(self) -> Self:
        context = client_context(self._ca) if self._tls else None
        reader, self._writer = await asyncio.open_connection(*self._address, ssl=context)
        greeted: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers["greeting"] = greeted
        self._reading = asyncio.create_task(self._read(reader), name="line device")
        try:
            answer = await self._bounded(greeted)
            self.greeting = f"{answer.verb} {answer.rest}"
            if answer.verb == "ERR":
                raise _refused(answer)
            if self._token is not None:
                await self.hello(self._token)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def hello(self, token: str) -> str:
        """Attach; returns the device's id.

        Raises:
            Refused: the token opens nothing.
        """
        self.id = (await self.request(f"HELLO {token}")).rest
        return self.id

    async def send(self, values: dict[str, Json] | None = None, /, *, ts: int | None = None, **named: Json) -> int:
        """Send readings of one moment and return how many the server has made durable.

        Raises:
            Refused: it did not take them.
        """
        readings = merged(values, named)
        if ts is not None:
            lines = [line.decode() for line in encode_readings(readings, ts)]
        else:
            lines = [" ".join(f"{key}={encode_value(value)}" for key, value in readings.items())]
        answers = await asyncio.gather(*[self.request(line) for line in lines])
        return sum(int(answer.rest) for answer in answers)

    async def report(self, values: dict[str, Json] | None = None, /, **named: Json) -> None:
        """Report client attributes; a None deletes.

        Raises:
            Refused: the server did not take them.
        """
        await self.request(f"ATTR {encode_value(merged(values, named))}")

    async def get(self, key: str, device: str = "") -> str:
        """The latest value as the server writes it: ``temp=21.5 @1732320000000``.

        Raises:
            Refused: there is none.
        """
        answer = await self.request(f"GET {device} {key}" if device else f"GET {key}")
        return f"{answer.verb} {answer.rest}"

    async def next_command(self) -> ReceivedCommand:
        """The next command the server sends.

        Raises:
            TimeoutError: none came.
            ConnectionError: the server has closed.
        """
        return await self._next(self._commands)

    async def next_attributes(self) -> dict[str, Json]:
        """The next change of shared attributes; a deleted one is None.

        Raises:
            TimeoutError, ConnectionError: as `next_command`.
        """
        return await self._next(self._attributes)

    async def answer(self, command: ReceivedCommand, result: Json = None) -> None:
        """Say that a command was carried out."""
        await self.write(encode_result(str(command.id), result))

    async def fail(self, command: ReceivedCommand, message: str) -> None:
        """Say that a command was not carried out, and why."""
        await self.write(encode_failure(str(command.id), message))

    async def request(self, line: str) -> Answer:
        """Send one line with a tag of its own and return the answer that carries it.

        Raises:
            Refused: the answer is ``ERR``.
            ConnectionError: the server closed without answering.
        """
        if self._closed.is_set():
            raise ConnectionError(CLOSED)
        tag = str(next(self._tags))
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[tag] = answer
        try:
            await self.write(f"#{tag} {line}\n".encode())
            found = await self._bounded(answer)
        finally:
            self._answers.pop(tag, None)
        if found.verb == "ERR":
            raise _refused(found)
        return found

    async def write(self, data: bytes) -> None:
        """Send bytes as they are: for tests of what goes wrong."""
        assert self._writer is not None, "use it with `async with`"
        self._writer.write(data)
        await self._writer.drain()

    async def wait_closed(self) -> None:
        """Wait until the server has closed the connection.

        Raises:
            TimeoutError: it has not.
        """
        await self._bounded(self._closed.wait())

    async def close(self) -> None:
        """Hang up. Idempotent."""
        if self._writer is not None:
            self._writer.close()
            try:
                await self._writer.wait_closed()
            except OSError:
                pass  # the server was faster, perhaps by a reset
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    # -- inside

    async def _read(self, reader: asyncio.StreamReader) -> None:
        error: Exception = ConnectionError(CLOSED)
        try:
            while data := await reader.read(READ_BYTES):
                for event in self._client.receive(data):
                    self._take(event)
        except OSError as reset:
            error = reset
        finally:
            self._closed.set()
            for waiting in self._answers.values():
                if not waiting.done():
                    waiting.set_exception(error)

    def _take(self, event: Answer | CommandLine) -> None:
        if isinstance(event, CommandLine):
            self._commands.put_nowait(ReceivedCommand(int(event.id), event.method, decode_params(event.params)))
            return
        waiting = self._answers.get(event.tag or "greeting")
        if waiting is not None and not waiting.done():
            waiting.set_result(event)
        elif event.tag is None and event.verb == "ATTR":
            self._attributes.put_nowait(decode_json(event.rest))
        elif event.tag is None and event.verb == "BYE":
            self.farewell = event.rest

    async def _next(self, queue: asyncio.Queue[_T]) -> _T:
        taking = asyncio.ensure_future(queue.get())
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait({taking, closed}, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if taking.done():
                return taking.result()
            raise ConnectionError(CLOSED) if closed.done() else TimeoutError
        finally:
            taking.cancel()
            closed.cancel()

    async def _bounded(self, awaitable: Awaitable[_T]) -> _T:
        return await asyncio.wait_for(awaitable, self._timeout_s)


def _refused(answer: Answer) -> Refused:
    code, _, message = answer.rest.partition(" ")
    return Refused(code, message)
