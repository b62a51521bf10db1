"""The agent itself: a round of readings into the spool every interval, and the spool to the server.

The two halves know of each other only through the spool: readings are taken at the same pace whether the server is
there or not, and each leaves the spool when the server has said ``OK`` to it, which means that it is on disk there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import BadInput, PeerError, StorageError, TimedOut
from ..hardware.commands import HostCommands
from ..threads import DaemonExecutor
from ..wire.line_client import (
    MAX_NUMBER_DIGITS,
    Answer,
    CommandLine,
    decode_params,
    encode_failure,
    encode_readings,
    encode_result,
)
from ..wire.lines import MAX_LINE_BYTES
from .backoff import Backoff
from .link import Link

if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext

    from ..hardware.mount import Mount
    from ..model import Value
    from .settings import AgentSettings
    from .spool import Spool

R = TypeVar("R")

logger = logging.getLogger("hardpoint.agent")

MAX_LINES_IN_FLIGHT = 64
"""Sent and not yet answered. A server commits them together, so that back-filling is not one round trip a line."""
MAX_UNWRITTEN_REMOVALS = 1024
"""Answered lines still in the spool's file: what a crash may cause to be sent again."""
MAX_RUNNING_COMMANDS = 8
MAX_CLOCK_SKEW_S = 60

REFUSED_FOR_GOOD = frozenset({"bad-line", "unknown-verb"})
"""Error codes of SPEC §3 that the same line would get again. After any other one it is sent again later: "not-found"
is a device that was removed, and its readings are kept for whoever attaches this folder again. "too-long" is any
limit of the server that was passed, as ``limits.max_keys_per_device``; an operator may raise it, so such a line is
kept too, unless it is longer than the dialect allows.
"""


class Agent:
    """Runs until `stop`. ``mount`` and ``spool`` are open; the spool is closed at the end.

    Raises:
        ConfigError: ``settings.ca`` cannot be used.
    """

    def __init__(
        self,
        settings: AgentSettings,
        mount: Mount,
        spool: Spool,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        backoff: Backoff | None = None,
    ) -> None:
        self.refused = 0
        """Lines that the server can never take; each was logged."""
        self.lost = 0
        """Lines that the agent's own disk could not take."""
        self._settings = settings
        self._mount = mount
        self._spool = spool
        self._now_ms = now_ms
        self._backoff = backoff or Backoff()
        self._interval_s = settings.interval_s
        # A daemon thread: a sensor that never answers must not hold up the end.
        self._sensors = DaemonExecutor("hardpoint-sensors")
        self._commands = HostCommands(mount, self._set_interval, self._sensors)
        self._running_commands: set[asyncio.Task[None]] = set()
        # The spool's thread: SQLite waits for the disk, and a card in a small machine takes seconds at times.
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="hardpoint-spool")
        self._in_flight: dict[int, int] = {}  # number in the spool → bytes of the line
        self._window = MAX_LINES_IN_FLIGHT
        self._answered: list[int] = []
        self._refused_for_now = False
        self._disk_failing = False
        self._tls = _tls_context(settings)
        self._stopping = asyncio.Event()
        self._interval_changed = asyncio.Event()
        self._may_send = asyncio.Event()

    def stop(self) -> None:
        """Ends `run` soon. What the server has not answered stays in the spool."""
        self._stopping.set()

    async def run(self) -> None:
        """Measures and sends until `stop`.

        Raises:
            Unauthorized: the server refuses the token.
        """
        halves = [asyncio.ensure_future(half) for half in (self._measure(), self._stay_attached())]
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({*halves, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            for half in halves:
                half.cancel()
            ended = await asyncio.gather(*halves, return_exceptions=True)
            self._sensors.shutdown()
            await self._close_spool()
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome

    async def _close_spool(self) -> None:
        try:
            await self._on_disk(self._spool.append, [], self._answered)
        except StorageError as error:
            logger.warning("%d lines will be sent again: %s", len(self._answered), error)
        await self._on_disk(self._spool.close)
        self._disk.shutdown()

    async def _on_disk(self, work: Callable[..., R], *args: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *args)

    # The first half: sensors → spool

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self._take_round()
            while True:
                self._interval_changed.clear()
                wait_s = next_round(due, self._interval_s, loop.time()) - loop.time()
                try:
                    async with asyncio.timeout(wait_s):
                        await self._interval_changed.wait()
                except TimeoutError:
                    break
            due = next_round(due, self._interval_s, loop.time())

    async def _take_round(self) -> None:
        values = await asyncio.get_running_loop().run_in_executor(self._sensors, self._mount.read)
        if self._spool.dropped:
            values["agent.dropped_lines"] = self._spool.dropped
        lines = _encode_what_fits(values, self._now_ms())
        answered, self._answered = self._answered, []
        try:
            await self._on_disk(self._spool.append, lines, answered)
        except StorageError as error:
            self._answered += answered
            self.lost += len(lines)
            if not self._disk_failing:
                logger.error("readings are lost while the agent's disk fails: %s", error)  # noqa: TRY400 - known cause
            self._disk_failing = True
            return
        self._disk_failing = False
        self._may_send.set()

    def _set_interval(self, interval_s: float) -> None:
        logger.info("one round every %g s from now on", interval_s)
        self._interval_s = interval_s
        self._interval_changed.set()

    # The second half: spool → server

    async def _stay_attached(self) -> None:
        """Connects, and again with growing pauses whenever the connection ends."""
        where = f"{self._settings.host}:{self._settings.port}"
        away = False
        while True:
            link = self._new_link()
            try:
                device = await self._attach(link)
                logger.info("attached to %s as %s; %d lines to send", where, device, self._spool.lines)
                self._backoff.reset()
                away = False
                reason = await self._converse(link)
            except (OSError, TimedOut, StorageError) as error:
                reason = str(error) or type(error).__name__
            finally:
                await link.close()
            wait_s = self._backoff.next_s()
            # Once a person needs to know; each further try is no news.
            logger.log(
                logging.DEBUG if away else logging.WARNING,
                "%s is away, readings are kept on disk: %s; next try in %.1f s",
                where,
                reason,
                wait_s,
            )
            away = True
            await asyncio.sleep(wait_s)

    def _new_link(self) -> Link:
        def on_command(command: CommandLine) -> None:
            self._start_command(link, command)

        link = Link(
            on_answer=self._answered_line,
            on_command=on_command,
            on_writable=self._may_send.set,
            ping_s=self._settings.ping_s,
            loop=asyncio.get_running_loop(),
        )
        return link

    async def _attach(self, link: Link) -> str:
        """Connects and says HELLO; the answer is the device's name.

        Raises:
            OSError: no connection (TimeoutError is one).
            TimedOut, Unauthorized: as `Link.hello`.
        """
        settings = self._settings
        async with asyncio.timeout(settings.connect_timeout_s):
            await asyncio.get_running_loop().create_connection(
                lambda: link, settings.host, settings.port, ssl=self._tls
            )
        return await link.hello(settings.token, settings.connect_timeout_s)

    async def _converse(self, link: Link) -> str:
        """Sends the spool until the connection ends; the answer says why it did.

        Raises:
            StorageError: the spool cannot be read.
        """
        link.write(b"#time TIME\n")
        sending = asyncio.ensure_future(self._send_spooled(link))
        either: list[asyncio.Future[Any]] = [sending, link.lost]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return await link.lost

    async def _send_spooled(self, link: Link) -> None:
        """Sends every line in its order, at most `MAX_LINES_IN_FLIGHT` ahead of the answers. Never returns.

        A line that is refused for now is sent again before any that was not sent yet; those that were under way
        with it may have been taken, so only then can a reading arrive after a younger one.
        """
        await self._rewind()
        sent = 0
        while True:
            self._may_send.clear()
            if self._refused_for_now:
                if not self._in_flight:
                    await asyncio.sleep(self._backoff.next_s())
                    await self._rewind()
                    sent = 0
                    continue
            elif link.writable and len(self._in_flight) <= self._window // 2:
                if len(self._answered) > MAX_UNWRITTEN_REMOVALS:
                    await self._write_removals()
                rows = await self._on_disk(self._spool.after, sent, self._window - len(self._in_flight))
                if rows:
                    sent = rows[-1][0]
                    sent_lines = [b"#%d %b\n" % row for row in rows]
                    for (seq, _), line in zip(rows, sent_lines, strict=True):
                        self._in_flight[seq] = len(line)
                    link.write(b"".join(sent_lines))
                    continue
            await self._may_send.wait()

    async def _rewind(self) -> None:
        """Begins again with the oldest line that the server has not said OK to."""
        self._in_flight.clear()
        self._refused_for_now = False
        await self._write_removals()

    async def _write_removals(self) -> None:
        answered, self._answered = self._answered, []
        try:
            await self._on_disk(self._spool.append, [], answered)
        except StorageError:
            # Sent again, they come to the same rows; a full disk must not keep the others from leaving.
            self._answered += answered

    def _answered_line(self, answer: Answer) -> None:
        if answer.tag == "time":
            self._compare_clocks(answer.rest)
            return
        seq = _number(answer.tag)
        if seq is None or seq not in self._in_flight:
            logger.debug("the server says %s %s", answer.verb, answer.rest)
            return
        line_bytes = self._in_flight.pop(seq) - 1  # without its end
        self._may_send.set()
        code = answer.rest.partition(" ")[0]
        if answer.verb == "OK":
            self._answered.append(seq)
            self._backoff.reset()
            self._window = MAX_LINES_IN_FLIGHT
        elif code in REFUSED_FOR_GOOD or (code == "too-long" and line_bytes > MAX_LINE_BYTES):
            self.refused += 1
            logger.error("the server cannot use line %d of the spool: %s", seq, answer.rest)
            self._answered.append(seq)
        else:
            if not self._refused_for_now:
                logger.warning("the server takes no readings now (%s); they are kept", answer.rest)
            self._refused_for_now = True
            # One line asks whether it is over; a server in trouble shall not refuse 64 each time.
            self._window = 1

    def _compare_clocks(self, server_ms: str) -> None:
        server = _number(server_ms)
        if server is None:
            logger.debug("the server's time is no number")
            return
        skew_s = (self._now_ms() - server) / 1000
        if abs(skew_s) > MAX_CLOCK_SKEW_S:
            logger.warning(
                "this machine's clock is %.0f s %s the server's: its readings carry that time",
                abs(skew_s),
                "ahead of" if skew_s > 0 else "behind",
            )

    # Commands

    def _start_command(self, link: Link, command: CommandLine) -> None:
        if not link.writable:
            return  # The server asks but does not read: its answers would pile up here. The command expires there.
        if len(self._running_commands) >= MAX_RUNNING_COMMANDS:
            link.write(encode_failure(command.id, f"busy with {MAX_RUNNING_COMMANDS} commands"))
            return
        task = asyncio.ensure_future(self._run_command(link, command))
        self._running_commands.add(task)
        task.add_done_callback(self._running_commands.discard)

    async def _run_command(self, link: Link, command: CommandLine) -> None:
        try:
            result = await self._commands.answer(command.method, decode_params(command.params))
            answer = encode_result(command.id, result)
        except PeerError as error:
            answer = encode_failure(command.id, error.message)
        link.write(answer)


def _tls_context(settings: AgentSettings) -> SSLContext | None:
    if not settings.tls:
        return None
    from ..tls.client import client_context  # 10 ms that few agents need

    return client_context(settings.ca)


def next_round(due: float, interval_s: float, now: float) -> float:
    """When the round after the one of ``due`` is taken: an interval later, whatever this one took.

    One that is a whole interval late already (a machine that slept, a disk that hung) is taken now, and those in
    between are not made up for.
    """
    following = due + interval_s
    return following if following > now - interval_s else now


def _number(text: str | None) -> int | None:
    """A number of the server's; None for what cannot be one of those we wait for. Its length is bounded before it is
    read, because `int` refuses thousands of digits with an error, and what it takes may be too large for a float.
    """
    return int(text) if text is not None and len(text) <= MAX_NUMBER_DIGITS and text.isdecimal() else None


def _encode_what_fits(values: dict[str, Value], ts: int) -> list[bytes]:
    """One round as lines, without those values that no line can hold; each of them is logged."""
    while True:
        try:
            return list(encode_readings(values, ts))
        except BadInput as error:
            if error.field not in values:
                raise
            logger.warning("%s is not sent: %s", error.field, error.message)
            values = {key: value for key, value in values.items() if key != error.field}
