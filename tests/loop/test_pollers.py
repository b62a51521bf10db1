"""The pollers behind their one interface: the same cases on each."""

from __future__ import annotations

import asyncio
import os
import select
import socket

import fake_kqueue
import pytest

from hardpoint.loop import Loop
from hardpoint.loop.kqueue import KqueuePoller
from hardpoint.loop.pollers import POLLERS, READ, SELECT_MAX_DESCRIPTORS, WRITE, SelectPoller, make_poller

MAX_EVENTS = 64


@pytest.fixture(params=sorted({*POLLERS, "kqueue"}))
def poller(request, monkeypatch):
    if request.param in POLLERS:
        made = make_poller(request.param)
    else:
        fake(monkeypatch)
        made = KqueuePoller()
    yield made
    made.close()


def fake(monkeypatch):
    """Give `select` the names of kqueue; see fake_kqueue.py for what it promises."""
    for name, value in {**fake_kqueue.NAMES, "kqueue": fake_kqueue.Kqueue, "kevent": fake_kqueue.Kevent}.items():
        monkeypatch.setattr(select, name, value, raising=False)


@pytest.fixture
def pair():
    a, b = socket.socketpair()
    a.setblocking(False)
    b.setblocking(False)
    yield a, b
    a.close()
    b.close()


def ready(poller, timeout_s=0.0):
    return dict(poller.wait(timeout_s, MAX_EVENTS))


def test_nothing_is_ready_until_bytes_arrive(poller, pair):
    a, b = pair
    poller.register(a.fileno(), READ)
    assert ready(poller) == {}
    b.send(b"x")
    assert ready(poller) == {a.fileno(): READ}


def test_what_was_not_read_is_reported_again(poller, pair):
    a, b = pair
    poller.register(a.fileno(), READ)
    b.send(b"xy")
    assert ready(poller) == {a.fileno(): READ}
    a.recv(1)
    assert ready(poller) == {a.fileno(): READ}
    a.recv(1)
    assert ready(poller) == {}


def test_both_kinds_are_reported_in_one_mask(poller, pair):
    a, b = pair
    b.send(b"x")
    poller.register(a.fileno(), READ | WRITE)
    assert ready(poller) == {a.fileno(): READ | WRITE}


def test_modify_changes_what_is_reported(poller, pair):
    a, b = pair
    b.send(b"x")
    poller.register(a.fileno(), READ)
    poller.modify(a.fileno(), WRITE)
    assert ready(poller) == {a.fileno(): WRITE}
    poller.modify(a.fileno(), READ)
    assert ready(poller) == {a.fileno(): READ}


def test_unregister_ends_the_reports(poller, pair):
    a, b = pair
    b.send(b"x")
    poller.register(a.fileno(), READ)
    poller.unregister(a.fileno())
    assert ready(poller) == {}


def test_a_descriptor_that_is_not_watched_is_refused(poller, pair):
    with pytest.raises(OSError):
        poller.unregister(pair[0].fileno())
    with pytest.raises(FileNotFoundError):
        poller.modify(pair[0].fileno(), READ)


def test_the_peers_end_is_readable(poller, pair):
    a, b = pair
    poller.register(a.fileno(), READ)
    b.close()
    assert ready(poller)[a.fileno()] & READ


def test_a_descriptor_closed_behind_the_back_does_not_stop_the_others(poller, pair):
    a, b = pair
    gone, other = socket.socketpair()
    poller.register(gone.fileno(), READ)
    poller.register(a.fileno(), READ)
    gone.close()
    other.close()
    b.send(b"x")
    # select can say only that one of them is closed; once that one is dropped, the rest is reported.
    seen = {}
    for _ in range(2):
        seen |= ready(poller)
    assert seen[a.fileno()] == READ
    assert ready(poller) == {a.fileno(): READ}


def test_no_time_out_waits_for_an_event(poller, pair):
    a, b = pair
    poller.register(a.fileno(), READ)
    b.send(b"x")
    assert ready(poller, None) == {a.fileno(): READ}


def test_epoll_hands_out_at_most_max_events():
    poller = make_poller("epoll")
    pairs = [socket.socketpair() for _ in range(5)]
    for a, b in pairs:
        poller.register(a.fileno(), READ)
        b.send(b"x")
    first = {fd for fd, _ in poller.wait(0, 3)}
    second = {fd for fd, _ in poller.wait(0, 3)}
    assert len(first) == len(second) == 3
    assert first | second == {a.fileno() for a, _ in pairs}, "the kernel goes on where it stopped"
    poller.close()
    for a, b in pairs:
        a.close()
        b.close()


def test_epoll_refuses_what_cannot_be_polled(tmp_path):
    poller = make_poller("epoll")
    with (tmp_path / "file").open("w") as file, pytest.raises(PermissionError):
        poller.register(file.fileno(), READ)
    poller.close()


def test_select_names_its_limit_and_the_way_out():
    with pytest.raises(OSError, match=r"1024.*'epoll'"):
        SelectPoller().register(SELECT_MAX_DESCRIPTORS, READ)


def test_the_default_is_the_best_here():
    poller = make_poller()
    assert poller.name == "epoll"
    poller.close()


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="no poller 'iocp' here; there is epoll, poll, select"):
        make_poller("iocp")


def test_the_masks_are_the_kernels():
    assert (select.EPOLLIN, select.EPOLLOUT) == (select.POLLIN, select.POLLOUT) == (READ, WRITE)


def test_poll_rounds_its_time_out_up():
    """A timer a fraction of a millisecond away must not make the loop spin until it is due."""
    poller = make_poller("poll")
    a, b = os.pipe()
    poller.register(a, READ)
    import time

    began = time.monotonic()
    assert poller.wait(0.0004, MAX_EVENTS) == []
    assert time.monotonic() - began >= 0.0004
    os.close(a)
    os.close(b)


def test_a_descriptor_taken_anew_is_watched_again(poller):
    """The number of a closed descriptor goes to the next one opened; the poller may still think it knows it."""
    a, b = socket.socketpair()
    number = a.fileno()
    poller.register(number, READ)
    a.close()
    b.close()
    c, d = socket.socketpair()
    assert number in (c.fileno(), d.fileno())
    mine, peer = (c, d) if c.fileno() == number else (d, c)
    try:
        poller.modify(number, READ)
    except FileNotFoundError:
        poller.register(number, READ)
    peer.send(b"x")
    assert ready(poller) == {number: READ}
    mine.close()
    peer.close()


@pytest.mark.skipif("kqueue" in POLLERS, reason="the real one is tested with the others")
def test_a_loop_on_kqueue(monkeypatch):
    """Readers that pause, writers that wait and connections that end, all on the fake."""
    fake(monkeypatch)

    async def echo(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        data = os.urandom(3_000_000)
        writer.write(data)
        assert await reader.readexactly(len(data)) == data
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        child = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        assert await child.communicate(b"piped") == (b"piped", None)
        server.close()
        await server.wait_closed()

    with asyncio.Runner(loop_factory=lambda: Loop(poller=KqueuePoller())) as runner:
        runner.run(asyncio.wait_for(main(), 60))
        assert runner.get_loop().poller == "kqueue"


@pytest.mark.parametrize("name", list(POLLERS))
def test_a_loop_takes_a_poller_by_name(name):
    loop = Loop(poller=name)
    assert loop.poller == name
    loop.close()
