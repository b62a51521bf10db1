"""The line dialect on a stream connection (SPEC §3). The codec is `wire.lines`; here its events meet the hub.

Answers leave in the order of their lines. While readings of this connection wait for the disk, whatever else is to be
answered waits behind them, as a receipt of the same commit. A long read is handled piece by piece; when the device does
not take its answers, or too many are due, the rest of it is *held* as it came, and reading is paused.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, cast

from ..arrivals import LastWords
from ..errors import BadInput, Forbidden, NotAdopted, NotFound, PeerError, RateLimited, StorageError, Unauthorized
from ..hub.hub import HOST_DEVICE_ID
from ..hub.session import Session
from ..rarely import Rarely
from ..tls.peer import certificate_name, is_encrypted, peer_name
from ..wire import lines as wire
from ..wire.lines import READINGS
from .line_frames import line_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..hub.devices import DeviceState
    from ..hub.hub import Hub
    from ..hub.tap import Frame
    from ..model import Command, Json

logger = logging.getLogger("hardpoint.lines")

MAX_WRONG_TOKENS = 3
"""The third closes the connection (SPEC §3)."""
SWEEP_S = 30.0
"""How often connections that never said HELLO are looked at: one timer for all, none for each."""

ENDING_S = 60.0
"""How long a peer that takes no bytes may hold a connection that is to be closed."""

STALLED_S = 60.0
"""How long a device may leave its answers unread before it is cut. Presence is true again then, and its commands wait.
"""
MAX_UNREAD_BYTES = 256 * 1024
"""What may wait for one device that does not read: a command more stays in the ledger, attributes end the connection.
Answers stop by themselves long before, because nothing more is read from a device that does not take them.
"""
PIECE_BYTES = 1024
"""Of a read, how much is handled before looking whether the device takes its answers. A whole read of 64 KiB may hold
``HELP`` 13,000 times, 8 MB to answer, and ``GET`` of a long text ten times that.
"""
MAX_ANSWERS_DUE = 1024
"""Answers of one connection that may wait for a commit; as many readings make a commit's cost small."""

_OK_ONE = b"OK 1\n"


class LineDialect:
    """What all line connections share; called, it makes the protocol of a new one."""

    def __init__(self, hub: Hub, version: str, *, sweep_s: float = SWEEP_S) -> None:
        self.hub = hub
        self.greeting = wire.encode_greeting(version)
        self.rarely = Rarely(logger)
        self.connections: set[LineSession] = set()
        self.waiting: dict[LineSession, int] = {}
        """Connections that have not attached yet, and since when (`Hub.steady_ms`: what is overdue is cut, and a clock
        that is set makes nobody overdue)."""
        self.ending: dict[LineSession, int] = {}
        """Connections that are to be closed, and since when."""
        self.unread: dict[LineSession, int] = {}
        """Connections whose devices do not read what they are sent, and since when."""
        self._sweep_s = sweep_s
        self._timer: asyncio.TimerHandle | None = None
        self._drained: asyncio.Event | None = None

    def __call__(self) -> LineSession:
        """The protocol of a new connection."""
        return LineSession(self)

    def refusing(self, message: str) -> asyncio.Protocol:
        """The protocol of a connection that is not let in: ``ERR rate-limited``, and closed."""
        return LastWords(wire.encode_error("", RateLimited(message)))

    def connected(self, session: LineSession) -> bool:
        """A connection was made. False: there is no room, it is to say so and close."""
        self.connections.add(session)
        if len(self.connections) > self.hub.limits.max_connections or self._drained is not None:
            return False
        self.waiting[session] = self.hub.steady_ms()
        self._arm()
        return True

    def finishing(self, session: LineSession) -> None:
        """A connection will be closed once its answers are out."""
        self.waiting.pop(session, None)
        if session not in self.ending:
            self.ending[session] = self.hub.steady_ms()
            self._arm()

    def stalled(self, session: LineSession) -> None:
        """A device has stopped reading."""
        self.unread[session] = self.hub.steady_ms()
        self._arm()

    def disconnected(self, session: LineSession) -> None:
        """A connection is gone."""
        self.unread.pop(session, None)
        self.connections.discard(session)
        if not self.connections and self._drained is not None:
            self._drained.set()
        self.waiting.pop(session, None)
        self.ending.pop(session, None)

    def sweep(self) -> None:
        """Close the connections that have not attached within ``unattached_idle_s``; cut those that were to be closed
        `ENDING_S` ago and are still there, and those that have not read for `STALLED_S`.
        """
        self._timer = None
        now = self.hub.steady_ms()
        for session in [*_overdue(self.ending, now, ENDING_S), *_overdue(self.unread, now, STALLED_S)]:
            session.why = session.why or "it did not read what it was sent"
            session.abort()
        for session in _overdue(self.waiting, now, self.hub.limits.unattached_idle_s):
            session.end("no HELLO was received")
        if self.waiting or self.ending or self.unread:
            self._arm()

    def _arm(self) -> None:
        if self._timer is None and self._drained is None:
            self._timer = asyncio.get_running_loop().call_later(self._sweep_s, self.sweep)

    async def drain(self, timeout_s: float) -> None:
        """Let every answer that is due go out, close, and return when all connections are gone; those that are not
        after ``timeout_s`` are cut. Close the listeners first.
        """
        if self._timer is not None:
            self._timer.cancel()
        self._drained = asyncio.Event()
        for session in list(self.connections):
            session.finish()
        if self.connections:
            try:
                await asyncio.wait_for(self._drained.wait(), timeout_s)
            except TimeoutError:
                for session in list(self.connections):
                    session.abort()
                await self._drained.wait()


class LineSession(asyncio.Protocol, Session):
    """One connection. Slots only: 15,000 of these idle in a small machine's memory."""

    __slots__ = (
        "_answers_due",
        "_decoder",
        "_dialect",
        "_ending",
        "_frame",
        "_held",
        "_transport",
        "_writing_paused",
        "_wrong_tokens",
    )

    dialect = "line"

    def __init__(self, dialect: LineDialect) -> None:
        Session.__init__(self)
        self._dialect = dialect
        self._decoder = wire.LineDecoder(dialect.hub.limits.max_line_bytes)
        self._transport: asyncio.Transport | None = None
        self._answers_due = 0  # receipts that the hub has not given back
        self._ending = False
        self._frame: Frame | None = None  # of the line in hand, while the device is tapped
        self._held = b""  # read, and not handled yet
        self._writing_paused = False
        self._wrong_tokens = 0

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there."""
        self._transport = cast("asyncio.Transport", transport)
        tap = self._dialect.hub.tap
        if tap.on:  # what comes in one read with HELLO (`printf … | nc`) may be a tapped device's
            self.tap = tap
        if self._dialect.connected(self):
            self.greet()
        else:
            limit = self._dialect.hub.limits.max_connections
            self._refuse(RateLimited(f"limits.max_connections ({limit}) is reached; try again later"))

    def greet(self) -> None:
        """The server speaks first."""
        if self._transport is not None:
            self._transport.write(self._dialect.greeting)

    def connection_lost(self, exc: Exception | None) -> None:
        """The device is gone, for whatever reason."""
        self._transport = None
        self._dialect.disconnected(self)
        if exc is not None and not self.why:
            self.why = f"the connection broke: {exc}"
        self._dialect.hub.detach(self)

    def data_received(self, data: bytes) -> None:
        """Handle every line that is complete; answer at once what needs no disk, in one write."""
        if self._ending:
            return
        if len(data) <= PIECE_BYTES and not self._held and self._answers_due < MAX_ANSWERS_DUE:
            if self.tap is not None:
                self._handle_tapped(data)
                return
            if self.device is not None:  # nearly every read of a sensor goes this way
                sample = self._decoder.receive_one_number(data)
                if sample is not None:
                    try:
                        self._dialect.hub.ingest(self, self.device, (sample,), 1)
                        self._answers_due += 1
                    except PeerError as error:
                        answers: list[bytes] = []
                        self._refuse_event((READINGS, "", [sample]), error, answers)
                        self._flush(answers)
                    return
            self._handle_events(self._decoder.receive(data))
        else:
            self._held += data
            self._handle_held()

    def eof_received(self) -> bool:
        """The device will send no more (``printf … | nc``): its last line counts, its answers still go out. Where
        somebody on the way may have cut that line, it does not count.
        """
        if self._transport is None or not self._transport.get_extra_info("truncated"):
            if self.tap is not None and self._decoder.buffered_bytes:
                self._handle_tapped(b"\n")  # the same, but noted
            self._handle_events(self._decoder.finish())
        self.finish()
        return True  # we close, once every answer is out

    def pause_writing(self) -> None:
        """The device does not read its answers: take no more lines from it."""
        self._writing_paused = True
        self._dialect.stalled(self)
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The device reads again."""
        self._writing_paused = False
        self._dialect.unread.pop(self, None)
        self._handle_held()
        if self.device is not None and self.device.open_commands:
            self._dialect.hub.ledger.deliver_queued(self.device)

    # -- Session

    @property
    def peer(self) -> str:
        """``ip:port``, ``[ip6]:port``, ``unix``, or empty once the connection is gone."""
        return "" if self._transport is None else peer_name(self._transport)

    @property
    def encrypted(self) -> bool:
        """Whether it goes over TLS."""
        return self._transport is not None and is_encrypted(self._transport)

    def acknowledge(self, receipts: Sequence[object], error: StorageError | None) -> None:
        """Answer what these receipts stand for: readings (their number, with their tag), or an answer made before."""
        self._answers_due -= len(receipts)
        transport = self._transport
        if transport is not None:
            first = receipts[0]
            if error is None and len(receipts) == 1 and type(first) is int and first == 1:
                data = _OK_ONE
            else:
                data = b"".join([_encode_receipt(receipt, error) for receipt in receipts])
            transport.write(data)
            if self.tap is not None:
                self._note_sent(data)
            if self._held:
                self._handle_held()
            if self._ending and not self._answers_due:
                transport.close()

    def deliver(self, command: Command) -> bool:
        """``!<id> <method> <params>``. It stays queued while the device does not read what was sent before."""
        if self._transport is None or self._ending:
            return False
        if self._transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            return False
        self._send(wire.encode_command(command))
        return True

    def adopted(self, device: DeviceState) -> None:
        """From here on it speaks as that device."""
        self._dialect.hub.attach(self, device)

    def attributes_changed(self, changed: dict[str, Json], deleted: Sequence[str]) -> None:
        """``ATTR <json>``, a deleted one being null. A device that lets them pile up is cut."""
        if self._transport is None or self._ending:
            return
        if self._transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self._transport.abort()
            return
        self._send(wire.encode_attributes(changed, list(deleted)))

    def pause_reading(self) -> None:
        """The store is behind."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """The store has caught up."""
        self._handle_held()

    def end(self, reason: str) -> None:
        """Say why, behind every answer that is still due, and close."""
        if self._transport is None or self._ending:
            return
        self.why = self.why or reason
        farewell = wire.encode_text("", f"BYE {reason}")
        if self._answers_due:
            self._answers_due += 1
            self._dialect.hub.commits.wait(self, farewell)
        else:
            self._send(farewell)
        self.finish()

    def finish(self) -> None:
        """Take no more lines, and close once every answer is out."""
        self._ending = True
        self._held = b""
        if self._transport is not None:
            self._dialect.finishing(self)
            if self._answers_due:
                self._transport.pause_reading()
            else:
                self._transport.close()

    def wait_for_adoption(self, unknown: NotAdopted) -> None:
        """Stay, though it is no device yet."""
        self._dialect.waiting.pop(self, None)
        self._dialect.hub.adoption.left(self)  # it may have given another name before
        self._dialect.hub.adoption.wait(self, unknown.number)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    # -- inside

    def _handle_events(self, events: list[wire.Event]) -> None:
        answers: list[bytes] = []
        hub = self._dialect.hub
        for event in events:
            if self._ending:
                break
            tag = event[1]
            try:
                if event[0] == READINGS:
                    device = self.device
                    if device is None:
                        raise self._not_attached()
                    count = len(event[2])
                    hub.ingest(self, device, event[2], (tag, count) if tag else count)
                    self._answers_due += 1
                    continue
                answer = self._handle_event(event, tag, answers)
                if answer:
                    self._answer(answer, answers)
            except PeerError as error:
                self._refuse_event(event, error, answers)
        if answers:
            self._flush(answers)
        if self._ending:
            self.finish()

    def _handle_held(self) -> None:
        """Handle what was read, for as long as nothing stands in the way; then read again, or not."""
        transport = self._transport
        if transport is None or self._ending:
            return
        held, self._held = self._held, b""
        position = 0
        while position < len(held) and not transport.is_closing():
            if self._writing_paused or self.paused_by_hub or self._answers_due >= MAX_ANSWERS_DUE:
                self._held = held[position:]
                transport.pause_reading()
                return
            piece = held[position : position + PIECE_BYTES]
            position += PIECE_BYTES
            if self.tap is None:
                self._handle_events(self._decoder.receive(piece))
            else:
                self._handle_tapped(piece)
        if not (self._writing_paused or self.paused_by_hub):
            transport.resume_reading()

    def _refuse(self, error: PeerError) -> None:
        self._dialect.hub.note_refused(error)
        if self._transport is not None:
            self._transport.write(wire.encode_error("", error))
            self.finish()

    def _flush(self, answers: list[bytes]) -> None:
        if answers:
            self._send(b"".join(answers))
        answers.clear()

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
            if self.tap is not None:
                self._note_sent(data)

    def _handle_tapped(self, data: bytes) -> None:
        """As a read that nobody listens to, but line by line, so that each has a frame and its own verdict."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            if self.tap is not None and self.device is not None and not self._ending:
                whole = self._decoder.incomplete + line
                self._frame = line_frame(self, "in", whole)
                self.tap.note(self.device, self._frame)
            self._handle_events(self._decoder.receive(line + b"\n"))
            self._frame = None
        self._handle_events(self._decoder.receive(rest))

    def _note_sent(self, data: bytes) -> None:
        if self.tap is not None and self.device is not None:
            for line in data.splitlines():
                self.tap.note(self.device, line_frame(self, "out", line))

    def _note_refused(self, event: wire.Event, error: PeerError) -> None:
        hub = self._dialect.hub
        hub.note_refused(error)
        if self._frame is not None:
            self._frame.refuse(error)
        else:
            line = event[3] if event[0] == wire.BAD else wire.encode_event(event)
            frame = line_frame(self, "in", line)
            frame.refuse(error)
            hub.tap.note(self.device, frame)
            if isinstance(error, NotAdopted):
                hub.adoption.note(error.number, frame)

    def _not_attached(self) -> Unauthorized:
        return self._dialect.hub.adoption.refusal(self) or Unauthorized("say HELLO <token> first")

    def _refuse_event(self, event: wire.Event, error: PeerError, answers: list[bytes]) -> None:
        self._note_refused(event, error)
        self._answer(wire.encode_error(event[1], error), answers)

    def _answer(self, answer: bytes, answers: list[bytes]) -> None:
        if self._answers_due:
            self._answers_due += 1
            self._dialect.hub.commits.wait(self, answer)
        else:
            answers.append(answer)

    def _handle_event(self, event: wire.Event, tag: str, answers: list[bytes]) -> bytes:
        kind = event[0]
        hub = self._dialect.hub
        if kind == wire.BAD:
            error: PeerError = event[2]
            self._note_refused(event, error)  # not raised: its traceback would hold this frame, and the frame the error
            return wire.encode_error(tag, error)
        if kind == wire.TLS_HELLO:
            self._dialect.rarely.warn("%s tries TLS at a port for plain lines: lines:// is for that", self.peer)
            self._ending = True
            return b""
        if kind == wire.HELLO:
            return self._hello(event[2], tag, answers)
        if kind == wire.VERB:
            return self._verb(event[2], tag)
        device = self.device
        if device is None:
            raise self._not_attached()
        if kind == wire.GET:
            get = partial(self._get, device, event[2], event[3], tag)
            if not self._answers_due:
                return get()
            self._answers_due += 1
            hub.commits.wait(self, get)  # asked behind readings of its own, it must see them: they are not durable yet
            return b""
        if kind == wire.ATTRIBUTES:
            attributes = event[2]
            hub.set_attributes(device, "client", attributes)
            hub.commits.wait(self, (tag, len(attributes)))
            self._answers_due += 1
            return b""
        hub.answer(device, event[2], event[3], event[4])
        return b""

    def _hello(self, token: str, tag: str, answers: list[bytes]) -> bytes:
        hub = self._dialect.hub
        certificate = "" if token or self._transport is None else certificate_name(self._transport)
        if not token and not certificate:
            raise BadInput("HELLO is followed by the device's token")
        try:
            device = hub.sign_in(self.peer, token, certificate=certificate)
        except RateLimited:
            self._ending = True
            raise
        except NotAdopted as unknown:
            if self.device is None:
                self.wait_for_adoption(unknown)
            raise
        except Unauthorized:
            self._wrong_tokens += 1
            self._ending = self._wrong_tokens >= MAX_WRONG_TOKENS
            raise
        if device is self.device:  # a repeated HELLO changes nothing, and repeats no command
            return wire.encode_ok(tag, device.id)
        hub.detach(self, "it signed in as another device")  # or waited as an unknown one
        self._dialect.waiting.pop(self, None)
        answer = wire.encode_ok(tag, device.id)
        if not self._answers_due:  # the OK leaves before a command that waits for this device does
            answers.append(answer)
            self._flush(answers)
            answer = b""
        hub.attach(self, device)
        return answer

    def _verb(self, verb: str, tag: str) -> bytes:
        if verb == "PING":
            return wire.encode_text(tag, "PONG")
        if verb == "TIME":
            return wire.encode_text(tag, f"TIME {self._dialect.hub.clock_ms()}")
        if verb == "HELP":
            return wire.encode_help(tag)
        self._ending = True
        return wire.encode_text(tag, "BYE")

    def _get(self, device: DeviceState, other: str | None, key: str, tag: str) -> bytes:
        """The latest value of a key, of this device or of the sensors mounted on the server's own host."""
        hub = self._dialect.hub
        try:
            if other is not None and other != device.id:
                if other != HOST_DEVICE_ID:
                    raise Forbidden(f"a device may GET its own keys and those of {HOST_DEVICE_ID}")
                device = hub.catalogue.find(other)
            series = device.series_of(key)
            if series.ts < 0:
                raise NotFound(f"{device.id} has no readings of {key}")
        except PeerError as error:
            hub.note_refused(error)
            return wire.encode_error(tag, error)
        return wire.encode_reading(tag, key, series.value, series.ts)


def _overdue(since: dict[LineSession, int], now_ms: int, limit_s: float) -> list[LineSession]:
    return [session for session, since_ms in since.items() if now_ms - since_ms >= limit_s * 1000]


def _encode_receipt(receipt: object, error: StorageError | None) -> bytes:
    """The answer a receipt stands for: bytes as they are, a callable's result, a number of readings (perhaps with a
    tag) as OK or ERR.
    """
    if type(receipt) is bytes:
        return receipt
    if callable(receipt):
        return cast("bytes", receipt())
    tag, count = cast("tuple[str, int]", receipt) if type(receipt) is tuple else ("", receipt)
    return wire.encode_ok(tag, count) if error is None else wire.encode_error(tag, error)
