"""An application's start and end, by ASGI's lifespan protocol."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError

if TYPE_CHECKING:
    from .asgi import AsgiApp, Message

log = logging.getLogger("hardpoint.http.asgi")

FAILED_START_S = 3.0
"""How long an application that could not start may take to return."""


class Lifespan:
    """One call of the application, that lasts as long as it serves."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self.state: dict[str, Any] = {}
        """What the application keeps for its requests; each gets a copy."""
        self._task: asyncio.Task[None] | None = None
        self._asked: asyncio.Queue[Message] = asyncio.Queue()
        self._answered: asyncio.Future[str | None] | None = None  # None, or why it failed
        self._supported = False

    async def startup(self) -> None:
        """Begin; returns once the application has started, or has shown that it knows no lifespan.

        Raises:
            ConfigError: it said that it cannot start.
        """
        loop = asyncio.get_running_loop()
        self._answered = loop.create_future()
        self._asked.put_nowait({"type": "lifespan.startup"})
        self._task = loop.create_task(self._run(), name="asgi lifespan")
        failure = await self._answered
        if failure is not None:
            await asyncio.wait([self._task], timeout=FAILED_START_S)
            raise ConfigError(f"the application could not start: {failure or 'its log says why'}")

    async def shutdown(self, timeout_s: float) -> None:
        """End it; what is not done in three quarters of ``timeout_s`` is cancelled, and not waited for beyond that."""
        task, self._task = self._task, None
        if task is None:
            return
        if self._supported and not task.done():
            self._answered = asyncio.get_running_loop().create_future()
            self._asked.put_nowait({"type": "lifespan.shutdown"})
            waited: list[asyncio.Future[Any]] = [task, self._answered]
            await asyncio.wait(waited, timeout=timeout_s * 3 / 4, return_when=asyncio.FIRST_COMPLETED)
            if self._answered.done() and self._answered.result() is not None:
                log.error("the application could not shut down: %s", self._answered.result())
        task.cancel()
        await asyncio.wait([task], timeout=timeout_s / 4)

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._asked.get, self._send)
        except Exception as error:
            if self._supported:
                log.exception("the application's lifespan failed")
            else:
                # The specification: an exception here means that the application does without.
                log.info("the application has no lifespan: %r", error)
        self._answer(None)

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
            self._supported = True
            self._answer(None)
        elif kind in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
            self._supported = True
            self._answer(str(message.get("message", "")))
        else:
            raise RuntimeError(f"{kind} is no message of a lifespan")

    def _answer(self, failure: str | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(failure)
