"""ASGI 3 applications on this server: any FastAPI, Starlette or Django, beside our own routes or alone.

::

    host = AsgiHost(app, root_path="/app")
    await host.startup()                                    # the application's lifespan
    router.mount("/app", host.handle, **host.meta)
    …
    await host.shutdown()

One task a request, and on Python 3.12 and later none that waits for its turn: an application that answers at once has
answered before the handler returns. What a connection's requests have in common is put into their scopes once.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from ..errors import ConfigError
from ..wire.websocket import HandshakeRefused
from .asgi_http import HttpExchange
from .asgi_lifespan import Lifespan
from .asgi_scope import request_scope
from .asgi_websocket import WebSocketExchange
from .router import BodyPlan
from .websocket import ANY_ORIGIN, check_handshake, refusal
from .websocket_connection import WebSocketOptions

if TYPE_CHECKING:
    from ..wire.http1 import RequestHead
    from .connection import HttpConnection
    from .messages import Answer, Request

log = logging.getLogger("hardpoint.http.asgi")

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
AsgiApp: TypeAlias = Callable[[Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Any]

MAX_BODY_BYTES = 1 << 62
"""No limit: an application reads its bodies as they come, and has limits of its own."""
SHUTDOWN_S = 6.0
"""How long an application's end may take in all: half of it for what its requests still do in the background, which is
then cancelled, and the rest for the end of its lifespan."""
_EAGER = sys.version_info >= (3, 12)


class AsgiHost:
    """One application, and what its requests share."""

    def __init__(self, app: AsgiApp, *, root_path: str = "", websocket_options: WebSocketOptions | None = None) -> None:
        """``root_path`` is where it is mounted: ``""`` or ``/app``."""
        self.app = app
        self.root_path = root_path
        self.meta: dict[str, Any] = {"stream": True, "max_body_bytes": MAX_BODY_BYTES}
        """What its routes are declared with."""
        self._plan = BodyPlan(stream=True, max_bytes=MAX_BODY_BYTES)
        self._websocket_options = websocket_options or WebSocketOptions()
        self._lifespan = Lifespan(app)
        self._tasks: set[asyncio.Task[None]] = set()
        self._scopes: dict[HttpConnection, tuple[RequestHead, dict[str, Any], bool]] = {}

    async def startup(self) -> None:
        """Run the application's start, if it has one.

        Raises:
            ConfigError: it said that it cannot start.
        """
        await self._lifespan.startup()

    async def shutdown(self, timeout_s: float = SHUTDOWN_S) -> None:
        """Wait for what it still does in the background, cancel what does not end, and run its end. It takes no longer
        than ``timeout_s``, also where the application takes no notice of being cancelled.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s / 2)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s / 8)
        await self._lifespan.shutdown(deadline - loop.time())

    def plan(self, head: RequestHead) -> BodyPlan:
        """What an `HttpServer` that serves nothing else asks."""
        return self._plan

    def handle(self, request: Request) -> Answer:
        """Answer a request, or begin to."""
        scope, upgrades = self._scope(request)
        if upgrades:
            return self._connect(request, scope)
        exchange = HttpExchange(request)
        self._begin(exchange.run(self.app, scope, self._ended), eager=_EAGER)
        return exchange

    def _connect(self, request: Request, scope: dict[str, Any]) -> Answer:
        try:
            # Which pages may connect is the application's to say.
            accepted = check_handshake(request, origins=ANY_ORIGIN, options=self._websocket_options)
        except HandshakeRefused as refused:
            return refusal(refused)
        exchange = WebSocketExchange(request, accepted, self._websocket_options)
        exchange.complete(scope)
        self._begin(exchange.run(self.app, scope, self._ended), eager=False)
        return exchange

    def _begin(self, work: Coroutine[Any, Any, None], *, eager: bool) -> None:
        loop = asyncio.get_running_loop()
        if loop.get_task_factory() is not None:
            task = loop.create_task(work)
        elif eager:
            task = asyncio.Task(work, loop=loop, eager_start=True)  # type: ignore[call-arg]
            if task.done():
                return
        else:
            task = asyncio.Task(work, loop=loop)
        self._tasks.add(task)

    def _ended(self) -> None:
        """The current task is at its end. A callback of the task would say so too, and cost a turn of the loop."""
        self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    def _scope(self, request: Request) -> tuple[dict[str, Any], bool]:
        """A scope of its own for each request, and whether it wants a WebSocket. A client that asks the same again has
        the same head, and its scope is a copy.
        """
        connection, head = request.connection, request.head
        assert connection is not None
        known = self._scopes.get(connection)
        if known is None:
            connection.on_close.append(partial(self._forget, connection))
        if known is None or known[0] is not head:
            upgrades = head.method == "GET" and "websocket" in request.upgrades
            known = (head, request_scope(request, self.root_path), upgrades)
            self._scopes[connection] = known
        scope = known[1].copy()
        scope["headers"] = scope["headers"].copy()
        scope["extensions"] = scope["extensions"].copy()
        scope["state"] = self._lifespan.state.copy()
        return scope, known[2]

    def _forget(self, connection: HttpConnection) -> None:
        self._scopes.pop(connection, None)


def is_asgi(app: Any) -> bool:
    """Whether it is called as ASGI 3 has it, with ``(scope, receive, send)``."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return False
    required = [each for each in parameters if each.default is each.empty and each.kind <= each.POSITIONAL_OR_KEYWORD]
    return len(required) == 3


def load_app(reference: str) -> AsgiApp:
    """``package.module:name``, imported; the current folder is looked at first.

    Raises:
        ConfigError: it cannot be imported, or is no ASGI application.
    """
    module_name, colon, attributes = reference.partition(":")
    if not module_name or not colon or not attributes:
        raise ConfigError(f"{reference!r} is not MODULE:NAME", hint="write package.module:app")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found: Any = import_module(module_name)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the application {reference} cannot be loaded: {error}") from error
    if not is_asgi(found):
        raise ConfigError(f"{reference} is no ASGI application: it is not called with scope, receive and send")
    app: AsgiApp = found
    return app
