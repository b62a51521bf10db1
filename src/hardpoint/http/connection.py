"""One client's connection: bytes to requests, requests to the handler one at a time, answers to bytes.

The life of a connection is its `phase`::

    READING ──request──▶ ANSWERING ──answer──▶ READING …
       │                   │  │ └──answer, but some of the request is still to come──▶ SKIPPING ──▶ READING
       │                   │  └──switch──▶ somebody else's (`SwitchedConnection`)
       │                   └──event stream──▶ STREAMING
       └──refused──▶ LINGERING (the answer is out, what still comes is thrown away) ──▶ CLOSING

A plain handler answers within `data_received`: no Task, no timer, one write. What a client sends while a request is in
hand is one more read, kept as bytes; then reading pauses, so pipelining costs the server no more than its own pace. A
route that asked for its body as a stream is called when the head is there, and feeds on what comes (`Body`).

Time-outs need no timer either: the phase sets `deadline`, and the server's sweep looks at it once a second.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any, cast

from ..wire.http1 import CONTINUE, EndOfMessage, RequestHead, RequestRefused
from ..wire.http_head import TLS_REASON
from ..wire.opening import REFUSED_TLS
from .access import CLIENT_GONE
from .answering import (
    ANSWERING,
    BY_BODY,
    BY_BUSY,
    BY_CALLER,
    BY_WRITING,
    CLOSING,
    LINGERING,
    READING,
    SKIPPING,
    STREAMING,
    Answering,
)
from .body import HIGH_WATER_BYTES, Body
from .errors import error_response, refused, unavailable
from .messages import Deferred, Request, Response
from .streams import FramedOutlet, Outlet

if TYPE_CHECKING:
    from ..wire.http1 import Event
    from .server import HttpServer

log = logging.getLogger("hardpoint.http")

# What a deadline in READING stands for.
_IDLE, _IN_HEAD, _IN_BODY = range(3)


class HttpConnection(Answering):
    """The server's end of one connection. Made by `HttpServer`, one for each client."""

    __slots__ = ("_body", "_head", "_peer", "_unfinished_bytes", "_waiting_for", "context", "proxied")

    def __init__(self, server: HttpServer) -> None:
        super().__init__(server)
        self.context: Any = None
        """A slot for whoever answers requests, for what it knows of this client."""
        self.proxied = False
        """Whether the other end is a proxy that is trusted to say for whom it asks."""
        self._peer = ""  # once it was asked for
        self._waiting_for = _IDLE
        self._head: RequestHead | None = None  # of a request whose body is still coming
        self._body = bytearray()  # what there is of it: as pieces, two-byte chunks would hold 20 times their size
        self._unfinished_bytes = 0  # this request's share of the server's

    # ---- What handlers and the dialect above may use

    @property
    def peer(self) -> str:
        """``ip:port``, ``[ip6]:port``, ``unix``, or empty when it cannot be told."""
        if not self._peer:
            # Kept: asked once a request, the two system calls and the family's enum would be a third of its cost.
            name = self.transport.get_extra_info("peername")
            if self.is_unix:
                self._peer = "unix"
            elif name:
                self._peer = f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
        return self._peer

    @property
    def is_unix(self) -> bool:
        """Whether it came over a Unix socket, whose file mode decides who may."""
        sock = self.transport.get_extra_info("socket")
        if sock is None or sock.family != getattr(socket, "AF_UNIX", None):
            return False
        return not isinstance(self.transport.get_extra_info("peername"), tuple)  # as a proxy told it

    @property
    def pipelines(self) -> bool:
        """Whether the client has sent more before the request in hand was answered (RFC 9112 §9.3.2)."""
        return bool(self._held or self._parser.buffer)

    def pause_reading(self) -> None:
        """Take no more bytes from this client until `resume_reading`; TCP tells it so."""
        self._pause(BY_CALLER)

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        self._resume(BY_CALLER)

    def inform(self, message: bytes) -> None:
        """Send an interim response before the answer to the request in hand; none to HTTP/1.0 (RFC 9110 §15.2)."""
        if self._phase == ANSWERING and self._request is not None and self._request.head.minor:
            self.write(message)

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
        proxies = self.server.proxies
        if proxies:
            self.proxied = proxies.trusts_peer(transport.get_extra_info("peername"))

    def data_received(self, data: bytes) -> None:
        """A read brought bytes: the not-empty event of its receive buffer."""
        self.server.bytes_received += len(data)
        if self._phase == READING and not self._paused & BY_WRITING:
            # A client that asks the same once more is most of the load there is: three calls less for it.
            parser = self._parser
            if data == parser.again:
                self._phase = ANSWERING
                self._handle(Request(self, parser.again_head))  # type: ignore[arg-type]
            else:
                self._advance(data)
        elif self._incoming is not None:
            self._feed(data)
        elif self._phase == SKIPPING:
            self._skip(data)
        elif self._phase <= ANSWERING:
            self._held += data
            self._pause(BY_BUSY)
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
            if events and type(events[-1]) is EndOfMessage:
                request = self._whole_request(events)
            else:
                started = self._await_more(events)
                if started is None:
                    break
                request = started
            if self._corked is None and parser.buffer:
                self._corked = bytearray()
            self._handle(request)
            if self._phase != READING or self._paused & BY_WRITING or not parser.buffer:
                break
            data = b""
        if self._corked is not None:
            self._uncork()

    def _handle(self, request: Request) -> None:
        """Have a request answered."""
        self._request = request
        self._requests_left -= 1
        server = self.server
        if server.access_log is not None:
            request.began_s = server.clock()
            _ = request.origin  # a connection that was reset can no longer tell
        try:
            answer = server.handle(request)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is answered, and logged there
            answer = error_response(error)
        if type(answer) is Response:
            self._respond(answer)
        else:
            self._take(answer)

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
        if self._waiting_for != _IDLE:
            self._release_unfinished()
        return Request(self, head, body)

    def _await_more(self, events: list[Event]) -> Request | None:
        """The request is not whole yet: keep what there is of it, and give it a time. Or, where its route takes the
        body as a stream, begin with it.
        """
        server = self.server
        if events and type(events[0]) is RequestHead:
            head = cast("RequestHead", events.pop(0))
            if server.plan(head).stream:
                return self._begin_stream(head, b"".join(cast("list[bytes]", events)))
            self._head = head
            self._waiting_for = _IN_BODY
            self.deadline = server.now + server.body_timeout_s
            if head.expect_continue and not events and not self._parser.buffer:
                # RFC 9110 §10.1.1: not when some of the body is there already.
                self.write(CONTINUE)
        elif self._waiting_for == _IDLE and self._parser.buffer:
            self._waiting_for = _IN_HEAD
            self.deadline = server.now + server.head_timeout_s
        self._body += b"".join(cast("list[bytes]", events))
        if self._eof:
            self._refuse(_cut_short())
        else:
            self._count_unfinished(self._parser.buffered_bytes + len(self._body) + _size_of(self._head))
        return None

    # ---- A body that is read while it comes

    def _begin_stream(self, head: RequestHead, piece: bytes) -> Request:
        self._release_unfinished()
        self._phase = ANSWERING
        self.deadline = inf
        body = self._incoming = Body(self)
        request = self._request = Request(self, head)
        request.incoming = body
        if piece:
            self._received(body, piece)
        if self._eof:
            self._fail_body(_cut_short())
        return request

    def body_wanted(self) -> None:
        """The handler reads the body: a client that asked whether to send it is told so (RFC 9110 §10.1.1)."""
        request, body = self._request, self._incoming
        if request is None or body is None:
            return
        if request.head.expect_continue and not body.buffered_bytes and not self._parser.buffer:
            self.write(CONTINUE)
        self.deadline = self.server.now + self.server.body_timeout_s

    def body_taken(self, size: int) -> None:
        """The handler has received this much of the body; what comes next has its own time."""
        self._count_kept(0)
        if self._incoming is not None and not self._paused & BY_WRITING:
            self.deadline = self.server.now + self.server.body_timeout_s
        self._resume(BY_BODY)

    def _feed(self, data: bytes) -> None:
        """More of the body of the request in hand."""
        body = self._incoming
        assert body is not None
        try:
            events = self._parser.receive(data)
        except RequestRefused as refusal:
            self._fail_body(refusal)
            return
        ended = events and type(events[-1]) is EndOfMessage
        end = cast("EndOfMessage", events.pop()) if ended else None
        piece = b"".join(cast("list[bytes]", events))
        if piece:
            self._received(body, piece)
        if end is not None:
            self._incoming = None
            self.deadline = inf
            body.detach()
            body.end(end.trailers)
            self._count_kept(0)
            self._resume(BY_BODY)
        elif self._eof:
            self._fail_body(_cut_short())

    def _received(self, body: Body, piece: bytes) -> None:
        body.feed(piece)
        if body.buffered_bytes >= HIGH_WATER_BYTES:
            self.deadline = inf  # the client waits for us
            self._pause(BY_BODY)
        elif not self._paused & BY_WRITING:
            self.deadline = self.server.now + self.server.body_timeout_s
        refusal = self._count_kept(body.buffered_bytes)
        if refusal is not None:
            self._fail_body(refusal)

    def _fail_body(self, error: RequestRefused) -> None:
        """What is missing of the body will never come; whoever reads it learns so, and the connection ends with the
        answer.
        """
        body = self._incoming
        if body is None:
            return
        self._note_refused(error)
        self._keep_alive = False
        self.deadline = inf
        body.fail(error)

    def _skip(self, data: bytes) -> None:
        """The rest of a body whose request has been answered."""
        try:
            events = self._parser.receive(data)
        except RequestRefused as refusal:
            self._note_refused(refusal)
            self.close()
            return
        if events and type(events[-1]) is EndOfMessage:
            self._phase = READING
            self.deadline = self.server.idle_deadline
            self._go_on()

    def _count_unfinished(self, kept: int) -> None:
        """Bring the server's sum up to date with what is kept here, or refuse the request that passes its limit."""
        refusal = self._count_kept(kept)
        if refusal is not None:
            self._refuse(refusal)

    def _count_kept(self, kept: int) -> RequestRefused | None:
        server = self.server
        server.unfinished_bytes += kept - self._unfinished_bytes
        self._unfinished_bytes = kept
        if kept and server.unfinished_bytes > server.max_unfinished_bytes:
            return RequestRefused(503, "no-room", "too many requests are being received; come again")
        return None

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
            if self._paused & BY_WRITING:
                return True
            if self._waiting_for == _IDLE:
                return False
            self._refuse(_cut_short())
            return False
        if self._phase == ANSWERING:
            self._fail_body(_cut_short())
            pending = self._pending
            if isinstance(pending, Deferred):
                return pending.on_abort is None
            if isinstance(pending, FramedOutlet):
                return pending.remaining is not None
            return True
        return False

    # ---- The end

    def _go_on(self) -> None:
        """After a late answer: what came meanwhile is next."""
        if self._phase != READING or self._paused & BY_WRITING:
            return
        held = self._held
        if self._paused:
            self._resume(BY_BUSY)
        if held or self._parser.buffer:
            self._held = b""
            self._advance(held)
        elif self._eof:
            self.close()

    def _refuse(self, refusal: RequestRefused) -> None:
        """Answer what cannot be read, and close: where the next request would start is unknown."""
        self._note_refused(refusal)
        self._release_unfinished()
        self._keep_alive = False
        if refusal.reason == TLS_REASON:
            self.server.rarely.warn("%s tries TLS at a port for plain HTTP: https:// is for that", self.peer)
            self.write(REFUSED_TLS)
            self._linger()
            return
        self._write_response(refused(refusal), None)
        self._linger()

    def _note_refused(self, refusal: RequestRefused) -> None:
        refused = self.server.refused
        refused[refusal.reason] = refused.get(refusal.reason, 0) + 1
        log.info("%s: refused, %s", self.peer, refusal.message)

    def expire(self) -> None:
        """The deadline has passed: the sweep calls this."""
        if self._phase == LINGERING:
            self.transport.abort()
        elif self._phase == CLOSING or self._paused & BY_WRITING:
            unsent = self.transport.get_write_buffer_size()
            if unsent >= self._stalled_bytes:
                self.server.timed_out["send"] += 1
                self.transport.abort()
            else:  # slow, but it reads
                self._stalled_bytes = unsent
                self.deadline = self.server.now + self.server.send_timeout_s
        elif self._incoming is not None:
            self.server.timed_out["body"] += 1
            self._fail_body(RequestRefused(408, "body-timeout", "the body did not arrive in time"))
        elif self._phase == SKIPPING:
            self.server.timed_out["body"] += 1
            self.close()
        elif self._waiting_for == _IDLE:
            self.server.timed_out["keep-alive"] += 1
            self.close()
        else:
            part = "head" if self._waiting_for == _IN_HEAD else "body"
            self.server.timed_out[part] += 1
            self._refuse(RequestRefused(408, f"{part}-timeout", f"the {part} did not arrive in time"))

    def drain(self) -> None:
        """The server stops: close now, or once the request in hand is answered."""
        if self._phase == STREAMING and isinstance(self._pending, Outlet):
            outlet, self._pending = self._pending, None
            outlet.lost()
            self.close()
        elif self._phase == READING and self._waiting_for == _IDLE and not self._paused & BY_WRITING:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: whatever still waits for it learns so, once."""
        self._phase = CLOSING
        self._paused = 0
        self.server.disconnected(self)
        pending, self._pending = self._pending, None
        if self._request is not None and self.server.access_log is not None:
            self._note_access(self._status or CLIENT_GONE)
        self._request = None
        body, self._incoming = self._incoming, None
        if body is not None:
            body.fail(_cut_short())
            body.detach()
        self._wake_writer()
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


def _size_of(head: RequestHead | None) -> int:
    return 0 if head is None else head.size_bytes


def _cut_short() -> RequestRefused:
    return RequestRefused(400, "incomplete", "the request ends before it is whole")
