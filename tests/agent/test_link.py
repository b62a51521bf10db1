"""The link on a clock that only the test moves, and a transport that only remembers."""

from __future__ import annotations

import asyncio

import pytest

from hardpoint.agent.link import Link
from hardpoint.errors import TimedOut, Unauthorized
from hardpoint.wire.line_client import MAX_ANSWER_BYTES, Answer, CommandLine


class Clock:
    """As much of a loop as a link needs."""

    def __init__(self):
        self.now = 0.0
        self.timers = []
        self.loop = asyncio.get_running_loop()

    def time(self):
        return self.now

    def create_future(self):
        return self.loop.create_future()

    def call_later(self, delay, callback):
        timer = [self.now + delay, callback, False]
        self.timers.append(timer)

        class Handle:
            def cancel(self):
                timer[2] = True

        return Handle()

    def advance(self, seconds):
        until = self.now + seconds
        while due := [timer for timer in self.timers if timer[0] <= until and not timer[2]]:
            timer = min(due, key=lambda timer: timer[0])
            self.timers.remove(timer)
            self.now = timer[0]
            timer[1]()
        self.now = until


class Wire:
    """A transport."""

    def __init__(self, link):
        self.link = link
        self.sent = b""
        self.closing = False

    def write(self, data):
        self.sent += data

    def is_closing(self):
        return self.closing

    def close(self):
        self.closing = True

    def abort(self):
        self.closing = True
        self.link.connection_lost(None)


class Made:
    def __init__(self):
        self.clock = Clock()
        self.answers = []
        self.commands = []
        self.writable = 0
        self.link = Link(
            on_answer=self.answers.append,
            on_command=self.commands.append,
            on_writable=self.count,
            ping_s=30,
            loop=self.clock,
        )
        self.wire = Wire(self.link)
        self.link.connection_made(self.wire)

    def count(self):
        self.writable += 1


def scenario(test):
    """Runs an async test without sockets: which loop makes no difference."""

    def wrapped():
        asyncio.run(asyncio.wait_for(test(), 60))

    wrapped.__name__ = test.__name__
    return wrapped


@scenario
async def test_hello():
    made = Made()
    task = asyncio.ensure_future(made.link.hello("hp_x", 5))
    made.link.data_received(b"hardpoint 1 ready\n#hello OK box\n")
    assert await task == "box"
    assert made.wire.sent == b"#hello HELLO hp_x\n"
    assert made.answers == [Answer(None, "hardpoint", "1 ready")]


@scenario
async def test_hello_refused():
    made = Made()
    made.link.data_received(b"#hello ERR unauthorized no such token\n")
    with pytest.raises(Unauthorized, match="no such token"):
        await made.link.hello("hp_x", 5)


@scenario
async def test_hello_refused_for_now():
    made = Made()
    made.link.data_received(b"#hello ERR rate-limited try again in 60 s\n")
    with pytest.raises(TimedOut, match="try again in 60 s"):
        await made.link.hello("hp_x", 5)


@scenario
async def test_hello_without_an_answer():
    made = Made()
    with pytest.raises(TimedOut, match="is that port a line listener"):
        await made.link.hello("hp_x", 0.001)


@scenario
async def test_hello_on_a_connection_that_ends():
    made = Made()
    made.link.connection_lost(None)
    with pytest.raises(TimedOut, match="closed the connection"):
        await made.link.hello("hp_x", 5)


@scenario
async def test_each_event_goes_to_whom_it_concerns():
    made = Made()
    made.link.data_received(b'#7 OK 1\n!3 read {"a":1}\n')
    assert made.answers == [Answer("7", "OK", "1")]
    assert made.commands == [CommandLine("3", "read", b'{"a":1}')]


@scenario
async def test_a_goodbye_is_the_reason():
    made = Made()
    made.link.data_received(b"BYE the server is stopping\n")
    made.link.connection_lost(None)
    assert made.link.lost.result() == "the server is stopping"


@scenario
async def test_silence_is_asked_about_and_then_ended():
    made = Made()
    made.clock.advance(29)
    assert made.wire.sent == b""
    made.clock.advance(1)
    assert made.wire.sent == b"PING\n"
    made.clock.advance(29)
    assert not made.link.lost.done()
    made.clock.advance(1)
    assert made.link.lost.result() == "the server is silent for 60 s"


@scenario
async def test_any_byte_breaks_the_silence():
    made = Made()
    for _ in range(10):
        made.clock.advance(25)
        made.link.data_received(b"\n")
    assert made.wire.sent == b""
    for _ in range(10):
        made.clock.advance(31)
        made.link.data_received(b"PONG\n")
    assert made.wire.sent == b"PING\n" * 10
    assert not made.link.lost.done()


@scenario
async def test_the_watch_ends_with_the_connection():
    made = Made()
    made.link.connection_lost(ConnectionResetError("reset by peer"))
    assert made.link.lost.result() == "reset by peer"
    assert all(cancelled for _, _, cancelled in made.clock.timers)


@scenario
async def test_an_endless_line_ends_the_connection():
    made = Made()
    made.link.data_received(b"x" * (MAX_ANSWER_BYTES + 1))
    assert "longer than" in made.link.lost.result()


@scenario
async def test_back_pressure():
    made = Made()
    assert made.link.writable
    made.link.pause_writing()
    assert not made.link.writable
    made.link.resume_writing()
    assert made.link.writable
    assert made.writable == 1
    made.link.connection_lost(None)
    assert not made.link.writable


@scenario
async def test_nothing_is_written_to_a_closing_connection():
    made = Made()
    made.wire.closing = True
    made.link.write(b"late\n")
    assert made.wire.sent == b""


@scenario
async def test_close_says_quit():
    made = Made()
    task = asyncio.ensure_future(made.link.close())
    await asyncio.sleep(0)
    assert made.wire.sent == b"QUIT\n"
    assert made.wire.closing
    made.link.connection_lost(None)
    await task


@scenario
async def test_a_close_that_the_server_ignores_is_cut():
    from hardpoint.agent import link

    made = Made()
    kept, link.CLOSE_TIMEOUT_S = link.CLOSE_TIMEOUT_S, 0.001
    try:
        await made.link.close()
    finally:
        link.CLOSE_TIMEOUT_S = kept
    assert made.link.lost.result() == "the agent stopped"


@scenario
async def test_a_link_that_never_connected_has_nothing_to_close():
    clock = Clock()
    link = Link(on_answer=print, on_command=print, on_writable=print, ping_s=30, loop=clock)
    link.write(b"x")
    link.abort("no")
    await link.close()
    assert not link.lost.done()
