"""One client's connection: bytes to requests, requests to the handler one at a time, answers to bytes.

The life of a connection is its `phase`::

    READING ──whole request──▶ ANSWERING ──response──▶ READING …
       │                           └──event stream──▶ STREAMING
       └──refused──▶ LINGERING (the answer is out, what still comes is thrown away) ──▶ CLOSING

A plain handler answers within `data_received`: no Task, no timer, one write. What a client sends while a request is in
hand is one more read, kept as bytes; then reading pauses, so pipelining costs the server no more than its own pace.

Time-outs need no timer either: the phase sets `deadline`, and the server's sweep looks at it once a second.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from math import inf
from typing import TYPE_CHECKING, Any, cast

from ..wire.http1 import (
    CONTENT_FREE_STATUSES,
    CONTINUE,
    EndOfMessage,
    RequestHead,
    RequestParser,
    RequestRefused,
    encode_fields,
)
from .errors import error_response, problem, unavailable
from .messages import Deferred, EventStream, Outlet, Request, Response

if TYPE_CHECKING:
    from ..wire.http1 import Event
    from .messages import Answer
    from .server import HttpServer

log = logging.getLogger("hardpoint.http")

READING, ANSWERING, STREAMING, LINGERING, CLOSING = range(5)

# Why reading is paused; it goes on when no reason is left.
_BY_CALLER, _BY_BUSY, _BY_WRITING = 1, 2, 4

# What a deadline in READING stands for.
_IDLE, _IN_HEAD, _IN_BODY = range(3)

MAX_CORKED_BYTES = 64 * 1024
"""Answers to pipelined requests are joined into one write up to this size."""
LINGER_S = 2.0
"""How long a refused client may go on sending. Closing with bytes unread would make TCP reset the connection, and the
client might lose the answer that says why (RFC 9112 §9.6); nginx lingers 5 s between reads."""


_SERVERS_OWN = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})


def _encode_own(headers: list[tuple[str, str]]) -> bytes:
    """A handler's header fields.

    Raises:
        ValueError: one of them is not a field, or is the server's to say: two lengths are how responses are split.
    """
    for name, _ in headers:
        if name.lower() in _SERVERS_OWN:
            raise ValueError(f"{name} is set by the server")
    return encode_fields(headers)


class HttpConnection(asyncio.Protocol):
    """The server's end of one connection. Made by `HttpServer`, one for each client."""

    __slots__ = (
        "_body", "_corked", "_eof", "_head", "_held", "_keep_alive", "_parser", "_paused", "_pending", "_phase",
        "_request", "_stalled_bytes", "_unfinished_bytes", "_waiting_for", "context", "deadline",
        "on_close", "server", "transport",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.context: Any = None
        """A slot for whoever answers requests, for what it knows of this client."""
        self.on_close: list[Callable[[], None]] = []
        """Called once each when the connection is gone, from whichever side."""
        self.deadline = inf
        """When, on the loop's clock, the sweep is to call `expire`."""
        self._parser = RequestParser(server.limits)
        self._phase = READING
        self._waiting_for = _IDLE
        self._head: RequestHead | None = None  # of a request whose body is still coming
        self._body = bytearray()  # what there is of it: as pieces, two-byte chunks would hold 20 times their size
        self._unfinished_bytes = 0  # this request's share of the server's
        self._request: Request | None = None  # the one in hand
        self._pending: Deferred | asyncio.Task[None] | Outlet | None = None  # what will answer it
        self._held = b""  # read while a request was in hand
        self._corked: bytearray | None = None  # answers to pipelined requests, not yet written
        self._keep_alive = True
        self._eof = False
        self._paused = 0
        self._stalled_bytes = 0

    # ---- What handlers and the dialect above may use

    @property
    def peer(self) -> str:
        """``ip:port``, ``[ip6]:port``, ``unix``, or empty when it cannot be told."""
        if self.is_unix:
            return "unix"
        name = self.transport.get_extra_info("peername")
        if not name:
            return ""
        return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"

    @property
    def is_unix(self) -> bool:
        """Whether it came over a Unix socket, whose file mode decides who may."""
        sock = self.transport.get_extra_info("socket")
        return sock is not None and sock.family == getattr(socket, "AF_UNIX", None)

    def pause_reading(self) -> None:
        """Take no more bytes from this client until `resume_reading`; TCP tells it so."""
        self._pause(_BY_CALLER)

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        self._resume(_BY_CALLER)

    # ---- Bytes in

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self.transport = cast("asyncio.Transport", transport)
        if not self.server.connected(self):
            self._keep_alive = False
            self._write_response(unavailable("too_many_connections", "the server has no room; come again"), None)
            self.close()
            return
        self.deadline = self.server.idle_deadline

    def data_received(self, data: bytes) -> None:
        """A read brought bytes: the not-empty event of its receive buffer."""
        self.server.bytes_received += len(data)
        if self._phase == READING and not self._paused & _BY_WRITING:
            self._advance(data)
        elif self._phase <= ANSWERING:
            self._held += data
            self._pause(_BY_BUSY)
        # Behind an event stream nothing can be answered; behind a refusal nothing can be understood.

    def _advance(self, data: bytes) -> None:
        """Read and answer requests until the bytes run out, one waits for its answer, or the client must read."""
        parser = self._parser
        while True:
            try:
                events = parser.receive(data)
            except RequestRefused as refusal:
                self._refuse(refusal)
                break
            if not events or type(events[-1]) is not EndOfMessage:
                self._await_more(events)
                break
            request = self._request = self._whole_request(events)
            if self._corked is None and parser.buffer:
                self._corked = bytearray()
            try:
                answer = self.server.handle(request)
            except Exception as error:  # noqa: BLE001 - whatever a handler raises is answered, and logged there
                answer = error_response(error)
            if type(answer) is Response:
                self._respond(answer)
            else:
                self._take(answer)
            if self._phase != READING or self._paused & _BY_WRITING or not parser.buffer:
                break
            data = b""
        if self._corked is not None:
            self._uncork()

    def _whole_request(self, events: list[Any]) -> Request:
        """The request that these events end. Typed loosely: a `cast` would be a call."""
        head = self._head
        if head is None:
            head = events[0]
            body = b"" if len(events) == 2 else b"".join(events[1:-1])
        else:
            self._body += b"".join(events[:-1])
            body = bytes(self._body)
        self._phase = ANSWERING
        self.deadline = inf
        if self._waiting_for != _IDLE:
            self._release_unfinished()
        return Request(self, head, body)

    def _await_more(self, events: list[Event]) -> None:
        """The request is not whole yet: keep what there is of it, and give it a time."""
        if events and type(events[0]) is RequestHead:
            head = self._head = cast("RequestHead", events.pop(0))
            self._waiting_for = _IN_BODY
            self.deadline = self.server.now + self.server.body_timeout_s
            if head.expect_continue and not events and not self._parser.buffer:
                # RFC 9110 §10.1.1: not when some of the body is there already.
                self.write(CONTINUE)
        elif self._waiting_for == _IDLE and self._parser.buffer:
            self._waiting_for = _IN_HEAD
            self.deadline = self.server.now + self.server.head_timeout_s
        self._body += b"".join(cast("list[bytes]", events))
        if self._eof:
            self._refuse(RequestRefused(400, "incomplete", "the request ends before it is whole"))
        else:
            self._count_unfinished()

    def _count_unfinished(self) -> None:
        """Bring the server's sum up to date with what is kept here, or refuse the request that passes its limit."""
        head, server = self._head, self.server
        kept = self._parser.buffered_bytes + len(self._body) + (0 if head is None else head.size_bytes)
        server.unfinished_bytes += kept - self._unfinished_bytes
        self._unfinished_bytes = kept
        if kept and server.unfinished_bytes > server.max_unfinished_bytes:
            self._refuse(RequestRefused(503, "no-room", "too many requests are being received; come again"))

    def _release_unfinished(self) -> None:
        """Nothing of an unfinished request is kept any more: it is whole, refused, or its client gone."""
        self.server.unfinished_bytes -= self._unfinished_bytes
        self._unfinished_bytes = 0
        self._waiting_for = _IDLE
        self._head = None
        self._body = bytearray()

    def eof_received(self) -> bool:
        """The client sends no more. What it asked is still answered, unless the answer can wait for ever."""
        self._eof = True
        if self._phase == READING:
            if self._paused & _BY_WRITING:
                return True
            if self._waiting_for == _IDLE:
                return False
            self._refuse(RequestRefused(400, "incomplete", "the request ends before it is whole"))
            return False
        if self._phase == ANSWERING:
            return not (isinstance(self._pending, Deferred) and self._pending.on_abort is not None)
        return False

    # ---- Answers out

    def _take(self, answer: Answer | Awaitable[Answer]) -> None:
        """Act on what a handler returned."""
        if isinstance(answer, Response):
            self._respond(answer)
        elif isinstance(answer, Deferred):
            if answer.response is not None:
                self._respond(answer.response)
            else:
                self._pending = answer
                answer.deliver = self._respond_later
        elif isinstance(answer, EventStream):
            self._stream(answer)
        elif isinstance(answer, Awaitable):
            self._pending = asyncio.get_running_loop().create_task(self._await(answer))
        else:
            error = TypeError(f"a handler returned {type(answer).__name__}, which answers nothing")
            self._respond(error_response(error))

    async def _await(self, awaitable: Awaitable[Answer]) -> None:
        try:
            answer = await awaitable
        except Exception as error:  # noqa: BLE001 - as for a plain handler
            answer = error_response(error)
        self._pending = None
        if self._phase == ANSWERING:
            self._take(answer)
            self._go_on()

    def _respond_later(self, response: Response) -> None:
        """A `Deferred` was answered after its handler had returned."""
        self._pending = None
        self._respond(response)
        self._go_on()

    def _respond(self, response: Response) -> None:
        """Write the answer to the request in hand, and be ready for the next."""
        request = self._request
        assert request is not None
        head = request.head
        server = self.server
        self._request = None
        self._keep_alive = head.keep_alive and not server.draining and not (self._eof and not self._has_more())
        try:
            self._write_response(response, head)
        except (TypeError, ValueError) as error:  # no bytes, or a header that cannot be sent
            self._write_response(error_response(error), head)
        if self._keep_alive:
            self._phase = READING
            self.deadline = server.idle_deadline
        else:
            self.close()

    def _has_more(self) -> bool:
        return bool(self._held or self._parser.buffer)

    def _write_response(self, response: Response, head: RequestHead | None) -> None:
        status, body = response.status, response.body
        server = self.server
        prefix = server.prefixes.get(status) or server.prefix(status)
        fields = _encode_own(response.headers) if response.headers else b""
        if not self._keep_alive:
            fields += b"Connection: close\r\n"
        elif head is not None and not head.minor:
            fields += b"Connection: keep-alive\r\n"  # RFC 9112 §9.3: an HTTP/1.0 client has to be told
        if status in CONTENT_FREE_STATUSES:
            message = b"%b%b\r\n" % (prefix, fields)
        else:
            if response.content_type is not None:
                fields += server.content_type_line(response.content_type)
            if head is not None and head.method == "HEAD":
                # RFC 9110 §9.3.2: the same fields, no content.
                message = b"%b%bContent-Length: %d\r\n\r\n" % (prefix, fields, len(body))
            else:
                message = b"%b%bContent-Length: %d\r\n\r\n%b" % (prefix, fields, len(body), body)
        server.responses[status // 100] += 1
        self.write(message)

    def _stream(self, stream: EventStream) -> None:
        request = self._request
        assert request is not None
        try:
            fields = _encode_own(stream.headers)
        except (TypeError, ValueError) as error:
            self._respond(error_response(error))
            return
        self._request = None
        server = self.server
        server.responses[2] += 1
        # RFC 9112 §6.3 item 8: without a length, the stream ends with the connection.
        self.write(
            b"%b%bContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-store\r\n"
            b"X-Accel-Buffering: no\r\nConnection: close\r\n\r\n" % (server.prefix(200), fields)
        )
        self._uncork()
        if request.method == "HEAD" or server.draining or self._eof:
            self.close()
            return
        self._phase = STREAMING
        self._held = b""
        self._resume(_BY_BUSY)
        outlet = self._pending = Outlet(self)
        try:
            stream.start(outlet)
        except Exception:
            log.exception("an event stream could not start")
            outlet.close()

    def _go_on(self) -> None:
        """After a late answer: what came meanwhile is next."""
        if self._phase != READING or self._paused & _BY_WRITING:
            return
        held, self._held = self._held, b""
        self._resume(_BY_BUSY)
        if held or self._parser.buffer:
            self._advance(held)
        elif self._eof:
            self.close()

    def _refuse(self, refusal: RequestRefused) -> None:
        """Answer what cannot be read, and close: where the next request would start is unknown."""
        server = self.server
        server.refused[refusal.reason] = server.refused.get(refusal.reason, 0) + 1
        log.info("%s: refused, %s", self.peer, refusal.message)
        self._release_unfinished()
        self._keep_alive = False
        code = refusal.reason.replace("-", "_")
        if refusal.answer == 503:
            self._write_response(unavailable(code, refusal.message), None)
        else:
            self._write_response(problem(refusal.answer, code, refusal.message), None)
        self._uncork()
        if self._eof or not self.transport.can_write_eof():
            self.close()
            return
        self._phase = LINGERING
        self.deadline = server.now + LINGER_S
        self.transport.write_eof()

    def write(self, message: bytes) -> None:
        """Send bytes as they are: whole responses, or an event stream's."""
        self.server.bytes_sent += len(message)
        corked = self._corked
        if corked is None:
            self.transport.write(message)
            return
        corked += message
        if len(corked) > MAX_CORKED_BYTES:
            self._uncork()
            self._corked = bytearray()

    def _uncork(self) -> None:
        corked, self._corked = self._corked, None
        if corked:
            self.transport.write(bytes(corked))

    def close(self) -> None:
        """Close once what was written is out; the sweep sees to a client that does not take it."""
        self._uncork()
        if self._phase != CLOSING:
            self._phase = CLOSING
            self._stalled_bytes = self.transport.get_write_buffer_size()
            self.deadline = self.server.now + self.server.send_timeout_s
            self.transport.close()

    # ---- Flow control

    def pause_writing(self) -> None:
        """The client does not read: take no more requests from it until it has."""
        self._stalled_bytes = self.transport.get_write_buffer_size()
        self.deadline = self.server.now + self.server.send_timeout_s
        self._pause(_BY_WRITING)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._resume(_BY_WRITING)
        if self._phase <= STREAMING:  # further on, the deadline is the end's
            self.deadline = self.server.idle_deadline if self._phase == READING else inf
            self._go_on()

    def _pause(self, reason: int) -> None:
        if self.transport.is_closing():
            return
        if not self._paused:
            self.transport.pause_reading()
        self._paused |= reason

    def _resume(self, reason: int) -> None:
        if self._paused & reason:
            self._paused &= ~reason
            if not self._paused and not self.transport.is_closing():
                self.transport.resume_reading()

    # ---- The end

    def expire(self) -> None:
        """The deadline has passed: the sweep calls this."""
        if self._phase == LINGERING:
            self.transport.abort()
        elif self._phase == CLOSING or self._paused & _BY_WRITING:
            unsent = self.transport.get_write_buffer_size()
            if unsent >= self._stalled_bytes:
                self.server.timed_out["send"] += 1
                self.transport.abort()
            else:  # slow, but it reads
                self._stalled_bytes = unsent
                self.deadline = self.server.now + self.server.send_timeout_s
        elif self._waiting_for == _IDLE:
            self.server.timed_out["keep-alive"] += 1
            self.close()
        else:
            part = "head" if self._waiting_for == _IN_HEAD else "body"
            self.server.timed_out[part] += 1
            self._refuse(RequestRefused(408, f"{part}-timeout", f"the {part} did not arrive in time"))

    def drain(self) -> None:
        """The server stops: close now, or once the request in hand is answered."""
        if isinstance(self._pending, Outlet):
            outlet, self._pending = self._pending, None
            outlet.lost()
            self.close()
        elif self._phase == READING and self._waiting_for == _IDLE and not self._paused & _BY_WRITING:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: whatever still waits for it learns so, once."""
        self._phase = CLOSING
        self._paused = 0
        self.server.disconnected(self)
        pending, self._pending = self._pending, None
        self._request = None
        self._release_unfinished()
        callbacks: list[Callable[[], None]] = []
        if isinstance(pending, Deferred):
            callbacks.append(pending.abort)
        elif isinstance(pending, Outlet):
            callbacks.append(pending.lost)
        elif pending is not None:
            pending.cancel()
        for callback in (*callbacks, *self.on_close):
            try:
                callback()
            except Exception:
                log.exception("a callback at the end of a connection failed")
