"""One connection to the server, from HELLO to its end."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

from ..errors import TimedOut, TooLarge, Unauthorized
from ..wire.line_client import Answer, CommandLine, LineClient, encode_hello

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("hardpoint.agent")

CLOSE_TIMEOUT_S = 2.0
"""For the last bytes to leave when the agent stops; then the connection is cut."""


class Link(asyncio.Protocol):
    """Says HELLO, hands on what the server sends, and ends a connection on which nobody answers."""

    def __init__(
        self,
        *,
        on_answer: Callable[[Answer], None],
        on_command: Callable[[CommandLine], None],
        on_writable: Callable[[], None],
        ping_s: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.writable = False
        """Whether there is room for more in the send buffer; `on_writable` is called when there is again."""
        self.lost: asyncio.Future[str] = loop.create_future()
        """Done when the connection is gone; the result says why."""
        self._on_answer = on_answer
        self._on_command = on_command
        self._on_writable = on_writable
        self._ping_s = ping_s
        self._loop = loop
        self._client = LineClient()
        self._transport: asyncio.Transport | None = None
        self._hello: asyncio.Future[Answer] = loop.create_future()
        self._heard_at = 0.0
        self._pinged = False
        self._watch: asyncio.TimerHandle | None = None
        self._reason = "the server closed the connection"

    async def hello(self, token: str, timeout_s: float) -> str:
        """Attaches; the answer is the device's name.

        Raises:
            Unauthorized: the token opens nothing.
            TimedOut: no answer within ``timeout_s``, or the connection ended, or the server refused for now.
        """
        self.write(b"#hello " + encode_hello(token))
        either: list[asyncio.Future[Any]] = [self._hello, self.lost]
        await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not self._hello.done():
            why = self.lost.result() if self.lost.done() else "no answer to HELLO: is that port a line listener?"
            raise TimedOut(why)
        answer = self._hello.result()
        if answer.verb == "OK":
            return answer.rest
        if answer.rest.startswith("unauthorized"):
            raise Unauthorized(
                f"the server refuses the token: {answer.rest}",
                hint="`hardpoint device token NAME` on the server gives a new one",
            )
        raise TimedOut(f"the server does not let us in now: {answer.rest}")

    def write(self, data: bytes) -> None:
        """Sends, or drops what can no longer be sent: `lost` tells."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def abort(self, reason: str) -> None:
        """Cuts the connection; `lost` will give this reason."""
        if self._transport is not None and not self.lost.done():
            self._reason = reason
            self._transport.abort()

    async def close(self) -> None:
        """Says QUIT and closes; cut after `CLOSE_TIMEOUT_S`."""
        if self._transport is None:
            return
        self.write(b"QUIT\n")
        self._transport.close()
        await asyncio.wait({self.lost}, timeout=CLOSE_TIMEOUT_S)
        self.abort("the agent stopped")

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The silence counts from here."""
        self._transport = cast("asyncio.Transport", transport)
        self.writable = True
        self._heard_at = self._loop.time()
        self._watch = self._loop.call_later(self._ping_s, self._check_silence)

    def data_received(self, data: bytes) -> None:
        """Hands each complete line to whom it concerns."""
        self._heard_at = self._loop.time()
        self._pinged = False
        try:
            events = self._client.receive(data)
        except TooLarge as error:
            self.abort(error.message)
            return
        for event in events:
            if isinstance(event, CommandLine):
                self._on_command(event)
            elif event.tag == "hello":
                if not self._hello.done():
                    self._hello.set_result(event)
            elif event.tag is None and event.verb == "BYE":
                self._reason = event.rest or self._reason
            else:
                self._on_answer(event)

    def pause_writing(self) -> None:
        """The server reads slower than we send: what is not sent waits on disk, not in memory."""
        self.writable = False

    def resume_writing(self) -> None:
        """There is room again."""
        self.writable = True
        self._on_writable()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the watch and tells whoever waits on `lost`."""
        self.writable = False
        if self._watch is not None:
            self._watch.cancel()
        if not self.lost.done():
            self.lost.set_result(str(exc) if exc else self._reason)

    def _check_silence(self) -> None:
        """Runs when the server may have been silent for ``ping_s``; asks once, and the second time gives up.

        A cut cable or a router that forgot us sends no FIN: without this, readings would wait for TCP's own time-out
        of some 15 minutes, or for ever when there is nothing to send.
        """
        silent_s = self._loop.time() - self._heard_at
        if silent_s < self._ping_s:
            wait_s = self._ping_s - silent_s
        elif self._pinged:
            self.abort(f"the server is silent for {silent_s:.0f} s")
            return
        else:
            self._pinged = True
            self.write(b"PING\n")
            wait_s = self._ping_s
        self._watch = self._loop.call_later(wait_s, self._check_silence)
