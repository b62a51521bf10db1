"""The sending half of a connection: answers to bytes, at the pace of the client, and how the connection ends."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from math import inf
from typing import TYPE_CHECKING

from ..wire.http1 import CONTENT_FREE_STATUSES, RequestHead, RequestParser, RequestRefused, encode_fields
from .errors import error_response, problem, unavailable
from .messages import Deferred, EncodedFields, Request, Response
from .streams import EventStream, FileContent, FramedOutlet, Outlet, StreamResponse
from .upgrade import Switch, SwitchedConnection

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from .body import Body
    from .messages import Answer
    from .server import HttpServer

log = logging.getLogger("hardpoint.http")

READING, ANSWERING, SKIPPING, STREAMING, LINGERING, CLOSING = range(6)

# Why reading is paused; it goes on when no reason is left.
BY_CALLER, BY_BUSY, BY_WRITING, BY_BODY = 1, 2, 4, 8

MAX_CORKED_BYTES = 64 * 1024
"""Answers to pipelined requests are joined into one write up to this size."""
MAX_SKIPPED_BYTES = 64 * 1024
"""How much of a body that nobody wanted is read and thrown away to keep the connection; for more it is closed."""
LINGER_S = 2.0
"""How long a refused client may go on sending. Closing with bytes unread would make TCP reset the connection, and the
client might lose the answer that says why (RFC 9112 §9.6); nginx lingers 5 s between reads."""

_SERVERS_OWN = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})


def _encode_own(headers: list[tuple[str, str]]) -> bytes:
    """A handler's header fields.

    Raises:
        ValueError: one of them is not a field, or is the server's to say: two lengths are how responses are split.
    """
    if type(headers) is EncodedFields:
        return headers.lines
    for name, _ in headers:
        if name.lower() in _SERVERS_OWN:
            raise ValueError(f"{name} is set by the server")
    return encode_fields(headers)


class Answering(asyncio.Protocol):
    """What a connection needs to answer the request in hand. `HttpConnection` is the other half, which reads."""

    __slots__ = (
        "_answer_bytes", "_corked", "_eof", "_held", "_incoming", "_keep_alive", "_parser", "_paused", "_pending",
        "_phase", "_request", "_requests_left", "_room", "_stalled_bytes", "_status", "deadline",
        "on_close", "server", "transport",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.on_close: list[Callable[[], None]] = []
        """Called once each when the connection is gone, from whichever side."""
        self.deadline = inf
        """When, on the loop's clock, the sweep is to call `expire`."""
        self._parser = RequestParser(server.limits, server.max_body_bytes)
        self._phase = READING
        self._request: Request | None = None  # the one in hand
        self._incoming: Body | None = None  # its body, while that still comes
        self._pending: Deferred | asyncio.Task[None] | Outlet | None = None  # what will answer it
        self._requests_left = server.max_requests_per_connection or -1  # never 0 where there is no limit
        self._held = b""  # read while a request was in hand
        self._corked: bytearray | None = None  # answers to pipelined requests, not yet written
        self._keep_alive = True
        self._eof = False  # the client has ended its side
        self._paused = 0  # why reading is
        self._room: asyncio.Future[None] | None = None  # somebody waits until the client has read
        self._status = 0  # of the last answer
        self._answer_bytes = 0  # what its content weighs, as far as it is written
        self._stalled_bytes = 0  # what it had not read when it was last looked at

    @abstractmethod
    def _go_on(self) -> None:
        """After a late answer: what came meanwhile is next."""

    @abstractmethod
    def _count_kept(self, kept: int) -> RequestRefused | None:
        """Tell the server how many bytes of an unfinished request are kept here."""

    @abstractmethod
    def expire(self) -> None:
        """The deadline has passed."""

    @abstractmethod
    def drain(self) -> None:
        """The server stops."""

    # ---- Answers out

    def _take(self, answer: Answer | Awaitable[Answer]) -> None:
        """Act on what a handler returned."""
        if self._incoming is None:
            self.deadline = inf  # it has all the time it needs; whoever answers at once sets the next one
        if isinstance(answer, Response):
            self._respond(answer)
        elif isinstance(answer, Deferred):
            if answer.response is not None:
                self._take(answer.response)
                answer.taken()
            else:
                self._pending = answer
                answer.deliver = self._respond_later
        elif isinstance(answer, EventStream):
            self._stream(answer)
        elif isinstance(answer, StreamResponse):
            self._stream_response(answer)
        elif isinstance(answer, Switch):
            self._switch(answer)
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

    def _respond_later(self, answer: Answer) -> None:
        """A `Deferred` was answered after its handler had returned."""
        self._pending = None
        if type(answer) is Response:  # nearly always; it needs no further look
            self._respond(answer)
        else:
            self._take(answer)
        self._go_on()

    def _respond(self, response: Response) -> None:
        """Write the answer to the request in hand, and be ready for the next."""
        request, server, headers = self._request, self.server, response.headers
        assert request is not None
        head, body = request.head, response.body
        if (
            head.plain
            and response.status == 200
            and (not headers or type(headers) is EncodedFields)
            and request.answer_headers is None
            and self._requests_left
            and server.plain
            and self._incoming is None
            and not self._eof
            and type(body) is bytes
            and len(body) <= MAX_CORKED_BYTES
        ):
            # The common case: nothing of the head depends on this request, so it is there already.
            lines: bytes = headers.lines if headers else b""  # type: ignore[attr-defined]
            key = (response.content_type, lines, len(body))
            try:
                message = (server.ready_heads.get(key) or server.ready_head(*key)) + body
            except ValueError as error:  # a content type that cannot be sent
                self._respond(error_response(error))
                return
            server.responses[2] += 1
            self._request = None
            self._phase = READING
            self.deadline = server.idle_deadline  # before the write: one that is held up sets its own
            if self._corked is None:
                server.bytes_sent += len(message)
                self.transport.write(message)
            else:
                self.write(message)
            return
        self._decide_keep_alive(head)
        try:
            self._write_response(response, head)
        except (TypeError, ValueError) as error:  # no bytes, or a header that cannot be sent
            request.answer_headers = None  # it may be one of these
            self._write_response(error_response(error), head)
        self._answered()

    def _decide_keep_alive(self, head: RequestHead) -> None:
        """Before a head is written, for it must say so: whether another request may follow the one in hand."""
        self._keep_alive = (
            head.keep_alive
            and self._requests_left != 0
            and not self.server.draining
            and not (self._eof and not (self._held or self._parser.buffer))
            and (self._incoming is None or self._can_skip(self._incoming))
        )

    def _can_skip(self, body: Body) -> bool:
        """Whether the rest of a body that nobody has read is worth reading: it is short, and on its way."""
        request, rest = self._request, self._parser.remaining_body_bytes
        waits = request is not None and request.head.expect_continue and not body.wanted
        return not (waits or body.failed) and rest is not None and rest <= MAX_SKIPPED_BYTES

    def _answered(self) -> None:
        """The answer to the request in hand is written: be ready for the next."""
        if self.server.access_log is not None:
            self._note_access(self._status)
        self._request = None
        body, self._incoming = self._incoming, None
        if body is not None:
            body.detach()
            self._count_kept(0)
            if self._keep_alive and self._can_skip(body):
                self._phase = SKIPPING
                self.deadline = self.server.now + self.server.body_timeout_s
                self._resume(BY_BODY)
            else:
                self._linger()
        elif self._keep_alive:
            self._phase = READING
            if not self._paused & BY_WRITING:  # a write that is held up has set its own
                self.deadline = self.server.idle_deadline
        else:
            self.close()

    def _write_response(self, response: Response, head: RequestHead | None) -> None:
        status, body = response.status, response.body
        prefix = self._head_before_framing(status, response.content_type, response.headers, head)
        if status in CONTENT_FREE_STATUSES:
            message = prefix + b"\r\n"
        elif head is not None and head.method == "HEAD":
            # RFC 9110 §9.3.2: the same fields, no content.
            message = b"%bContent-Length: %d\r\n\r\n" % (prefix, len(body))
        elif len(body) > MAX_CORKED_BYTES:
            if not isinstance(body, bytes | bytearray | memoryview):
                raise TypeError("the content of an answer is bytes")
            self.write(b"%bContent-Length: %d\r\n\r\n" % (prefix, len(body)))
            message = body
        else:
            message = b"%bContent-Length: %d\r\n\r\n%b" % (prefix, len(body), body)
        self.server.responses[status // 100] += 1
        self._status, self._answer_bytes = status, len(body)
        self.write(message)

    def _head_before_framing(
        self, status: int, content_type: str | None, headers: list[tuple[str, str]], head: RequestHead | None
    ) -> bytes:
        """The head up to the fields that say where the content ends.

        Raises:
            ValueError: a field cannot be sent, or the status ends no request (RFC 9110 §15): behind a 1xx a client
                waits for more, and would take the next answer for this one.
        """
        if not 200 <= status <= 599:
            raise ValueError(f"{status} is not the status of an answer")
        server = self.server
        prefix = server.prefixes.get(status) or server.prefix(status)
        if headers:
            prefix += _encode_own(headers)
        request = self._request
        if request is not None and request.answer_headers is not None:
            prefix += _encode_own(request.answer_headers)
        if not self._keep_alive:
            prefix += b"Connection: close\r\n"
        elif head is not None and not head.minor:
            prefix += b"Connection: keep-alive\r\n"  # RFC 9112 §9.3: an HTTP/1.0 client has to be told
        if content_type is not None and status not in CONTENT_FREE_STATUSES:
            prefix += server.content_type_line(content_type)
        return prefix

    def _stream(self, stream: EventStream) -> None:
        request = self._request
        assert request is not None
        try:
            fields = _encode_own(stream.headers)
        except (TypeError, ValueError) as error:
            self._respond(error_response(error))
            return
        server = self.server
        server.responses[2] += 1
        self._note_access(200)
        self._request = None
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
        self._resume(BY_BUSY)
        outlet = self._pending = Outlet(self)
        try:
            stream.start(outlet)
        except Exception:
            log.exception("an event stream could not start")
            outlet.close()

    def _note_access(self, status: int) -> None:
        server, request = self.server, self._request
        if server.access_log is not None and request is not None:
            server.access_log.note(request, status, self._answer_bytes, server.clock() - request.began_s)
        self._status = self._answer_bytes = 0

    def _stream_response(self, response: StreamResponse) -> None:
        request = self._request
        assert request is not None
        head, length, status = request.head, response.length, response.status
        chunked = length is None and head.minor != 0
        self._decide_keep_alive(head)
        if length is None and not chunked:
            self._keep_alive = False  # RFC 9112 §6.3: to an HTTP/1.0 client, the content ends with the connection
        try:
            prefix = self._head_before_framing(status, response.content_type, response.headers, head)
        except (TypeError, ValueError) as error:
            _release(response.content)
            request.answer_headers = None
            self._respond(error_response(error))
            return
        self.server.responses[status // 100] += 1
        self._status, self._answer_bytes = status, 0
        corked_before = self._corked is not None
        if not corked_before:
            self._corked = bytearray()  # the head goes out with what the content begins with
        if status in CONTENT_FREE_STATUSES:
            self.write(prefix + b"\r\n")
        elif chunked:
            self.write(prefix + b"Transfer-Encoding: chunked\r\n\r\n")
        elif length is not None:
            self.write(b"%bContent-Length: %d\r\n\r\n" % (prefix, length))
        else:
            self.write(prefix + b"\r\n")
        if head.method == "HEAD" or status in CONTENT_FREE_STATUSES:
            _release(response.content)
            self._answered()
        else:
            self._start_content(response.content, FramedOutlet(self, chunked=chunked, length=length))
        if self._pending is not None or not corked_before:
            self._uncork()

    def _start_content(self, content: AsyncIterable[bytes] | Callable[[Outlet], None], outlet: FramedOutlet) -> None:
        self._pending = outlet
        gone = self._eof and outlet.remaining is None  # as `StreamResponse` says
        if callable(content):
            try:
                content(outlet)
            except Exception:
                log.exception("a streamed answer could not start")
                outlet.abort()
        elif gone:
            _release(content)
        else:
            task = asyncio.get_running_loop().create_task(_pump(content, outlet))
            outlet.on_close = task.cancel
        if gone and not outlet.closed:
            outlet.lost()
            self.transport.abort()  # an end would make the part that is written look like the whole

    def count_content(self, size: int) -> None:
        """So much of a streamed answer is written."""
        self._answer_bytes += size

    def count_file(self, size: int) -> None:
        """So much of a file went out as content, without `write`."""
        self._answer_bytes += size
        self.server.bytes_sent += size

    def stream_ended(self) -> None:
        """The streamed answer is whole."""
        self._pending = None
        self._answered()
        if self._corked is None:
            self._go_on()

    def _switch(self, switch: Switch) -> None:
        """Give the connection away (RFC 9110 §7.8)."""
        request, server = self._request, self.server
        assert request is not None
        try:
            if self._incoming is not None:
                raise TypeError("a request's body has to be read before its connection is given away")
            fields = _encode_own(switch.headers)
        except (TypeError, ValueError) as error:
            self._respond(error_response(error))
            return
        if server.draining or not request.head.minor:
            # §7.8: Upgrade in HTTP/1.0 is ignored.
            self._respond(unavailable("stopping", "the server is stopping") if server.draining else _no_upgrade())
            return
        server.responses[1] += 1
        self.write(b"%bConnection: Upgrade\r\n%b\r\n" % (server.prefix(101), fields))
        self._uncork()
        rest = self._parser.take_rest() + self._held
        self._held = b""
        self._note_access(101)
        self._request = None
        self._phase = CLOSING
        held = SwitchedConnection(server, self.transport, switch.protocol, self.on_close)
        server.switched(self, held)
        self.transport.set_protocol(held)
        try:
            self._hand_over(switch.protocol, rest)
        except Exception:
            log.exception("a connection's next protocol could not begin")
            self.transport.abort()

    def _hand_over(self, protocol: asyncio.Protocol, rest: bytes) -> None:
        """Tell the protocol of all that has happened to its connection."""
        protocol.connection_made(self.transport)
        if self._paused & BY_WRITING:
            protocol.pause_writing()
        if self._paused and not self.transport.is_closing():
            self.transport.resume_reading()  # before the rest, behind which the protocol may want to pause
        if rest:
            protocol.data_received(rest)
        if self._eof and not protocol.eof_received():
            self.transport.close()

    def _linger(self) -> None:
        """Close, but not while the client sends: it would not see the answer."""
        self._uncork()
        if self._eof or not self.transport.can_write_eof():
            self.close()
            return
        self._phase = LINGERING
        self.deadline = self.server.now + LINGER_S
        self._resume(BY_BODY | BY_BUSY)
        self.transport.write_eof()

    def write(self, message: bytes) -> None:
        """Send bytes as they are: whole responses, or an event stream's."""
        self.server.bytes_sent += len(message)
        corked = self._corked
        if corked is None or len(message) > MAX_CORKED_BYTES:
            if corked:
                self._uncork()
                self._corked = bytearray()
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
        self._pause(BY_WRITING)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._resume(BY_WRITING)
        if self._phase <= STREAMING:  # further on, the deadline is the end's
            if self._phase == READING:
                self.deadline = self.server.idle_deadline
            elif self._phase == SKIPPING or (self._incoming is not None and not self._paused & BY_BODY):
                self.deadline = self.server.now + self.server.body_timeout_s  # some of a body is still to come
            else:
                self.deadline = inf
            self._wake_writer()
            self._go_on()

    def _wake_writer(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

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

    async def writable(self) -> None:
        """Wait until the client has taken enough of what was written, or is gone."""
        while self._paused & BY_WRITING:
            if self._room is None:
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._room)


async def _pump(content: AsyncIterable[bytes], outlet: FramedOutlet) -> None:
    """Write what an async iterable gives, no faster than the client reads."""
    try:
        if isinstance(content, FileContent):
            await content.send(outlet)
        else:
            async for piece in content:
                outlet.write(piece)
                await outlet.drain()
    except ConnectionResetError:
        return
    except Exception:
        log.exception("a streamed answer failed")
        outlet.abort()
    else:
        outlet.on_close = None
        outlet.close()
    finally:
        # A generator that is left in the middle would be closed by the collector, some time.
        close = getattr(content, "aclose", None)
        if close is not None:
            await close()


def _release(content: object) -> None:
    """Content that nobody will read: close it, so that what it holds is let go of."""
    close = getattr(content, "aclose", None)
    if close is not None:
        asyncio.get_running_loop().create_task(close())


def _no_upgrade() -> Response:
    return problem(400, "bad_request", "HTTP/1.0 cannot be upgraded")
