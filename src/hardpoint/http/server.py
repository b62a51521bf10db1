"""The server side that connections share: the application, limits, counters, the clock, and the end of all of them."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, cast

from .. import registry
from ..arrivals import LastWords
from ..rarely import Rarely
from ..wire.http1 import STATUS_LINES, HttpLimits, encode_fields
from .conditional import http_date
from .connection import HttpConnection
from .errors import unavailable
from .messages import JSON_TYPE
from .proxies import TrustedProxies
from .router import WHOLE, BodyPlan, Router

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..wire.http1 import RequestHead
    from .access import AccessLog
    from .answering import Answering
    from .asgi import AsgiApp
    from .messages import Handler
    from .upgrade import SwitchedConnection

log = logging.getLogger("hardpoint.http")

SWEEP_S = 1.0
"""How often deadlines are looked at and ``Date`` is renewed: a time-out is kept to within this."""

MAX_CONTENT_TYPES = 256
"""How many are kept encoded; an application has a few."""
MAX_READY_HEADS = 1024
MAX_READY_HEAD_BYTES = 1024
"""Whole heads that are kept for the second that their Date is right: 1 MB at most."""


def _whole_bodies(head: RequestHead) -> BodyPlan:
    return WHOLE


class HttpServer:
    """A protocol factory for ``loop.create_server`` and ``loop.create_unix_server``.

    ``app`` is a `Router`, or a function from `Request` to what a handler returns. Several listeners may share one
    server, on one loop.
    """

    def __init__(
        self,
        app: Router | Handler,
        *,
        plan: Callable[[RequestHead], BodyPlan] | None = None,
        limits: HttpLimits | None = None,
        access_log: AccessLog | None = None,
        proxies: TrustedProxies | None = None,
        max_connections: int = 20_000,
        max_requests_per_connection: int = 100_000,
        max_unfinished_bytes: int = 64 * 1024 * 1024,
        head_timeout_s: float = 10.0,
        body_timeout_s: float = 60.0,
        keep_alive_s: float = 75.0,
        send_timeout_s: float = 60.0,
    ) -> None:
        self.handle: Handler = app.handle if isinstance(app, Router) else app
        if plan is None:
            plan = app.plan if isinstance(app, Router) else _whole_bodies
        self.plan: Callable[[RequestHead], BodyPlan] = plan
        """How the body behind a head is to be received, asked before it is whole; a `Router` knows its own."""
        self.limits = HttpLimits() if limits is None else limits
        self.max_connections = max_connections
        """More are answered 503 and closed."""
        self.max_requests_per_connection = max_requests_per_connection
        """The last of them is answered with ``Connection: close``; 0 for no limit. A device that posts every second
        connects anew once a day, and finds its way to another server where there are several."""
        self.max_unfinished_bytes = max_unfinished_bytes
        """Of requests that are not whole yet, on all connections together: whose bytes pass it is answered 503 and
        closed. Nobody has shown who he is by then, and 20,000 connections times ``max_body_bytes`` would be 20 GB. A
        request that comes in one read, as devices send it, needs none of this room."""
        self.unfinished_bytes = 0
        """How many there are."""
        self.head_timeout_s = head_timeout_s
        """From a head's first byte to its last: then 408."""
        self.body_timeout_s = body_timeout_s
        """From the end of the head to the end of the body: then 408."""
        self.keep_alive_s = keep_alive_s
        """Without a request: then the connection is closed."""
        self.send_timeout_s = send_timeout_s
        """Without the client taking a byte of what waits for it: then the connection is cut."""
        self.proxies = TrustedProxies(()) if proxies is None else proxies
        """Who may say for whom it asks."""
        self.access_log = access_log
        self.clock = time.monotonic
        self.connections: set[Answering | SwitchedConnection] = set()
        """All that are open, those that were given to another protocol included."""
        self.accepted = 0
        self.responses = [0] * 6
        """How many answers were sent, by the first digit of their status."""
        self.refused: dict[str, int] = {}
        """Requests that could not be read, by reason."""
        self.timed_out = {"head": 0, "body": 0, "keep-alive": 0, "send": 0}
        self.websocket_ends: dict[str, int] = {}
        """WebSockets that did not end as they should, by reason: the close code that was sent, or the time-out."""
        self.bytes_received = 0
        self.bytes_sent = 0
        self.rarely = Rarely(log)
        """For log lines about what clients do wrong again and again."""
        self.draining = False
        self.plain = access_log is None
        """Whether an answer may be written without looking at anything but its request: not while draining, and not
        where answers are logged."""
        self._begin_to_cache()
        self._timer: asyncio.TimerHandle | None = None
        self._drained: asyncio.Event | None = None

    def _begin_to_cache(self) -> None:
        """What is encoded once and sent many times, most of it for as long as the date is the same."""
        self.ready_heads: dict[tuple[str | None, bytes, int], bytes] = {}
        """By content type, encoded fields and length, the whole head of a 200."""
        self.now = 0.0
        """The loop's clock at the last sweep: within `SWEEP_S` of the truth, and free to read."""
        self.idle_deadline = 0.0
        self.prefixes: dict[int, bytes] = {}
        """Status line, Server and Date of each status answered in this second."""
        self._date_line = b""
        self._content_type_lines: dict[str, bytes] = {}

    def __call__(self) -> HttpConnection:
        """The protocol of one new connection."""
        return HttpConnection(self)

    def refusing(self, message: str) -> asyncio.Protocol:
        """The protocol of a connection that is not let in: 503, and closed."""
        if self._timer is None:
            self._tick(asyncio.get_running_loop())
        self.responses[5] += 1
        response = unavailable("too_many_connections", message)
        fields = encode_fields([*response.headers, ("Connection", "close"), ("Content-Type", JSON_TYPE)])
        length = len(response.body)
        head = b"%b%bContent-Length: %d\r\n\r\n" % (self.prefix(response.status), fields, length)
        return LastWords(head + response.body)

    @property
    def counters(self) -> dict[str, object]:
        """Everything counted so far: a snapshot."""
        return {
            "connections": len(self.connections),
            "accepted": self.accepted,
            "responses": {f"{digit}xx": self.responses[digit] for digit in range(1, 6)},
            "refused": dict(self.refused),
            "timed_out": dict(self.timed_out),
            "websocket_ends": dict(self.websocket_ends),
            "unfinished_bytes": self.unfinished_bytes,
            "bytes_received": self.bytes_received,
            "bytes_sent": self.bytes_sent,
        }

    def log_to(self, access_log: AccessLog) -> None:
        """Log each request from now on."""
        self.access_log = access_log
        self.plain = False

    # ---- What connections use

    def connected(self, connection: HttpConnection) -> bool:
        """Take a connection in. False: there is no room, it is to say so and close."""
        if self._timer is None:  # the first after a quiet time: the clock stood still
            self._tick(asyncio.get_running_loop())
        self.accepted += 1
        self.connections.add(connection)
        return len(self.connections) <= self.max_connections and not self.draining

    def switched(self, connection: Answering, to: SwitchedConnection) -> None:
        """A connection goes on as another protocol's."""
        self.connections.discard(connection)
        self.connections.add(to)

    def max_body_bytes(self, head: RequestHead) -> int:
        """How large this request's body may be."""
        limit = self.plan(head).max_bytes
        return self.limits.max_body_bytes if limit is None else limit

    def disconnected(self, connection: Answering | SwitchedConnection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if not self.connections and self._drained is not None:
            self._drained.set()

    def prefix(self, status: int) -> bytes:
        """Status line, ``Server`` and ``Date``."""
        line = STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n".encode()  # RFC 9112 §4: the phrase may be empty
        prefix = self.prefixes[status] = line + self._date_line
        return prefix

    def ready_head(self, content_type: str | None, fields: bytes, length: int) -> bytes:
        """The whole head of a 200 with these fields, kept until the date changes.

        Raises:
            ValueError: the content type cannot be sent.
        """
        line = b"" if content_type is None else self.content_type_line(content_type)
        prefix = self.prefixes.get(200) or self.prefix(200)
        head = b"%b%b%bContent-Length: %d\r\n\r\n" % (prefix, fields, line, length)
        if len(head) <= MAX_READY_HEAD_BYTES and len(self.ready_heads) < MAX_READY_HEADS:
            self.ready_heads[content_type, fields, length] = head
        return head

    def content_type_line(self, content_type: str) -> bytes:
        """The encoded field, kept for the few types an application has."""
        line = self._content_type_lines.get(content_type)
        if line is None:
            line = encode_fields([("Content-Type", content_type)])
            if len(self._content_type_lines) < MAX_CONTENT_TYPES:
                self._content_type_lines[content_type] = line
        return line

    # ---- The clock

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = loop.time()
        self.idle_deadline = self.now + self.keep_alive_s
        self._date_line = f"Server: hardpoint\r\nDate: {http_date(time.time())}\r\n".encode()
        self.prefixes.clear()
        self.ready_heads.clear()
        self._timer = loop.call_later(SWEEP_S, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Once a second: end what has passed its deadline. Looking at a connection takes less than 0.1 µs, so 20,000
        take 2 ms; a timer for each would cost every request about a microsecond to move.
        """
        self._timer = None
        if not self.connections:
            return
        self._tick(loop)
        now = self.now
        for connection in [each for each in self.connections if each.deadline <= now]:
            connection.expire()
        if self.access_log is not None:
            self.access_log.flush()

    async def drain(self, timeout_s: float = 5.0) -> None:
        """Let the requests in hand finish, close everything, and return when all connections are gone; those that are
        not after ``timeout_s`` are cut. Close the listeners first.
        """
        self.draining = True
        self.plain = False
        self._drained = asyncio.Event()
        for connection in list(self.connections):
            connection.drain()
        if self.connections:
            try:
                await asyncio.wait_for(self._drained.wait(), timeout_s)
            except TimeoutError:
                for connection in list(self.connections):
                    connection.transport.abort()
                await self._drained.wait()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.access_log is not None:
            await self.access_log.close()


def run(app: Router | Handler | AsgiApp, host: str = "127.0.0.1", port: int = 8000, *, loop: str = "hardpoint") -> None:
    """Serve a router, a handler, or an ASGI application on the loop of that name (``hardpoint``, ``asyncio``,
    ``uvloop``) until SIGINT or SIGTERM, then drain.

    Raises:
        OSError: the address cannot be bound.
        ConfigError: the loop is not installed, or the application could not start.
    """
    with asyncio.Runner(loop_factory=registry.loop_factory(loop)) as runner:
        runner.run(_serve(app, host, port))


async def _serve(app: Router | Handler | AsgiApp, host: str, port: int) -> None:
    import signal

    from .asgi import AsgiHost, is_asgi

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    asgi = AsgiHost(cast("AsgiApp", app)) if not isinstance(app, Router) and is_asgi(app) else None
    if asgi is None:
        server = HttpServer(cast("Router | Handler", app))
    else:
        await asgi.startup()
        server = HttpServer(asgi.handle, plan=asgi.plan)
    listener = await loop.create_server(server, host, port, backlog=1024)
    await stop.wait()
    listener.close()
    await server.drain()
    if asgi is not None:
        await asgi.shutdown()
