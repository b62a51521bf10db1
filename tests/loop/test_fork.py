"""A forked child and its parent's loop: neither disturbs the other."""

from __future__ import annotations

import asyncio
import os
import signal
import socket

import pytest

from hardpoint.loop import Loop

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


@pytest.fixture
def loop():
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def pair():
    a, b = socket.socketpair()
    a.setblocking(False)
    yield a, b
    a.close()
    b.close()


def in_child(action):
    """Fork, run the action in the child, and check that it returned true there."""
    pid = os.fork()
    if not pid:
        good = False
        try:
            good = action()
        finally:
            os._exit(0 if good else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_what_the_child_stops_watching_the_parent_still_watches(loop, pair):
    a, b = pair
    seen = []
    loop.add_reader(a, lambda: (seen.append(a.recv(1)), loop.stop()))

    def child():
        loop.add_reader(a, print)
        return loop.remove_reader(a)

    in_child(child)
    b.send(b"x")
    loop.run_forever()
    assert seen == [b"x"]
    loop.remove_reader(a)


def test_a_wake_up_in_the_child_does_not_wake_the_parent(loop):
    def child():
        loop._asleep = True  # as in a fork off another thread while the loop sleeps
        loop.call_soon_threadsafe(print)
        return True

    in_child(child)
    assert loop._poller.wait(0, 8) == []


def test_the_child_may_run_a_loop_of_its_own(loop):
    async def main():
        _, writer = await asyncio.open_unix_connection(sock=a)
        writer.write(b"hello")
        b.setblocking(False)
        assert await asyncio.get_running_loop().sock_recv(b, 5) == b"hello"
        writer.close()
        return True

    a, b = socket.socketpair()
    in_child(lambda: asyncio.Runner(loop_factory=Loop).run(main()))
    a.close()
    b.close()


def test_a_signal_to_the_child_is_not_the_parent_s(loop):
    heard = []
    loop.add_signal_handler(signal.SIGUSR1, heard.append, 1)

    def child():
        os.kill(os.getpid(), signal.SIGUSR1)
        return True

    in_child(child)
    assert loop._poller.wait(0, 8) == []
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert heard == []


def test_the_child_may_close_its_copy(loop, pair):
    a, b = pair
    seen = []
    loop.add_reader(a, lambda: (seen.append(a.recv(1)), loop.stop()))
    in_child(lambda: loop.close() is None and loop.is_closed())
    b.send(b"x")
    loop.run_forever()
    assert seen == [b"x"]
    loop.remove_reader(a)


@pytest.mark.parametrize("name", ["poll", "select"])
def test_every_poller_parts(name, pair):
    loop = Loop(poller=name)
    a, _ = pair
    loop.add_reader(a, print)
    in_child(lambda: loop.poller == name and loop.remove_reader(a) is False)
    loop.remove_reader(a)
    loop.close()
