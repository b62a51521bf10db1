"""What goes wrong around a loop: events about what is gone, interrupted calls, clocks, and greedy neighbours."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time

import pytest
from loop_peers import Recorder, connected

from hardpoint.loop import Loop
from hardpoint.loop.core import MAX_EVENTS_A_POLL
from hardpoint.loop.pollers import READ, WRITE


class Scripted:
    """A poller that reports what a test tells it to, once, and then what the real one does."""

    def __init__(self, loop):
        self._wait = loop._poller.wait
        self.said = []
        loop._poller.wait = loop._wait = self.wait

    def wait(self, timeout_s, max_events):
        if self.said:
            return self.said.pop(0)
        return self._wait(timeout_s, max_events)


def test_an_event_about_a_descriptor_that_was_closed_and_taken_anew_in_the_same_batch(anyrun):
    """The batch names two descriptors; the first one's reader closes the second, whose number goes to a new
    connection before the second event is handed out. The new one must bear being called for nothing.
    """

    async def main():
        loop = asyncio.get_running_loop()
        scripted = Scripted(loop)
        async with connected() as (first, first_peer), connected() as (second, _second_peer):
            number = second.transport.get_extra_info("socket").fileno()
            made = []

            def take_the_number(data):
                second.transport.abort()
                second.transport._sock.close()
                a, b = socket.socketpair()
                mine = a if a.fileno() == number else b
                made.append((mine, b if mine is a else a))
                assert mine.fileno() == number
                mine.setblocking(False)
                made.append(asyncio.ensure_future(loop.create_connection(Recorder, sock=mine)))

            first.data_received = take_the_number
            first_peer.send(b"x")
            scripted.said.append([(first.transport.get_extra_info("socket").fileno(), READ), (number, READ | WRITE)])
            await second.lost
            transport, newcomer = await made[1]
            made[0][1].send(b"for the new one")
            assert await newcomer.until_received(15) == b"for the new one"
            transport.abort()
            await newcomer.lost
            made[0][1].close()

    anyrun(main())


def test_an_event_about_a_descriptor_that_nobody_watches(anyrun):
    async def main():
        loop = asyncio.get_running_loop()
        scripted = Scripted(loop)
        a, b = socket.socketpair()
        loop.add_reader(a, print)
        loop.remove_reader(a)
        scripted.said.append([(a.fileno(), READ), (a.fileno(), READ | WRITE)])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not scripted.said
        a.close()
        b.close()

    anyrun(main())


@pytest.mark.parametrize("poller", ["epoll", "poll", "select"])
def test_interrupted_calls_go_on(poller):
    """A signal every millisecond, without a handler of the loop's, while bytes pass through small buffers."""

    async def main():
        async with connected(small_buffers=True) as (protocol, peer):
            loop = asyncio.get_running_loop()
            data = os.urandom(300_000)
            protocol.transport.write(data)
            got = bytearray()
            while len(got) < len(data):
                got += await loop.sock_recv(peer, 4096)
                await asyncio.sleep(0.0001)
            assert got == data

    caught = []
    before = signal.signal(signal.SIGALRM, lambda *_: caught.append(1))
    signal.siginterrupt(signal.SIGALRM, True)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        with asyncio.Runner(loop_factory=lambda: Loop(poller=poller)) as runner:
            runner.run(asyncio.wait_for(main(), 60))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert caught


def test_a_step_of_the_wall_clock_moves_no_timer(anyrun, monkeypatch):
    async def main():
        monkeypatch.setattr(time, "time", lambda: 4e9)
        began = time.monotonic()
        await asyncio.sleep(0.02)
        assert 0.02 <= time.monotonic() - began < 60

    anyrun(main())


def test_a_busy_connection_lets_the_others_in(anyrun):
    """One peer has a megabyte ready; another's byte arrives at the same time and is not kept waiting for all of it."""

    async def main():
        async with connected() as (busy, busy_peer), connected() as (quiet, quiet_peer):
            busy_peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            filling = True
            while filling:
                try:
                    busy_peer.send(bytes(1 << 16))
                except BlockingIOError:
                    filling = False
            quiet_peer.send(b"x")
            await quiet.until_received(1)
            assert busy.events.count("data") <= 2

    anyrun(main())


def test_more_ready_than_one_poll_hands_out_leaves_timers_their_turn(anyrun):
    async def main():
        loop = asyncio.get_running_loop()
        order = []
        pairs = [socket.socketpair() for _ in range(MAX_EVENTS_A_POLL + 50)]
        for a, b in pairs:
            a.setblocking(False)
            b.send(b"x")
            loop.add_reader(a, lambda a=a: (order.append("read"), loop.remove_reader(a)))
        loop.call_later(0, order.append, "timer")
        while len(order) < len(pairs) + 1:
            await asyncio.sleep(0)
        assert order.index("timer") <= MAX_EVENTS_A_POLL
        for a, b in pairs:
            a.close()
            b.close()

    anyrun(main())


def test_a_callback_of_another_thread_is_refused_in_debug_mode(run):
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        errors = []

        def elsewhere():
            try:
                loop.call_soon(print)
            except RuntimeError as exc:
                errors.append(str(exc))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert "other than the current one" in errors[0]

    run(main())


def test_a_loop_that_ran_can_run_again_and_again():
    loop = Loop()
    for number in range(3):
        assert loop.run_until_complete(asyncio.sleep(0, number)) == number
    loop.close()
