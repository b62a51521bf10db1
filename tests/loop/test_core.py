"""The turn, timers, callbacks on descriptors, and waking from other threads."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import threading
import time

import pytest

from hardpoint.loop import POLLERS, Loop, run
from hardpoint.loop.core import MAX_EVENTS_A_POLL, MIN_TIMERS_TO_SWEEP


@pytest.fixture(params=sorted(POLLERS))
def loop(request):
    """A loop on each poller."""
    made = Loop(poller=request.param)
    yield made
    made.close()


@pytest.fixture
def pair():
    a, b = socket.socketpair()
    a.setblocking(False)
    b.setblocking(False)
    yield a, b
    a.close()
    b.close()


def turn(loop):
    """Exactly one pass."""
    loop.call_soon(loop.stop)
    loop.run_forever()


# The ready queue and timers -----------------------------------------------------------------------------------------


def test_callbacks_run_in_the_order_they_were_given(loop):
    order = []
    for i in range(5):
        loop.call_soon(order.append, i)
    turn(loop)
    assert order == [0, 1, 2, 3, 4]


def test_what_a_callback_adds_runs_in_the_next_turn(loop):
    order = []
    loop.call_soon(lambda: loop.call_soon(order.append, "added"))
    turn(loop)
    assert order == []
    turn(loop)
    assert order == ["added"]


def test_a_cancelled_callback_does_not_run(loop):
    order = []
    loop.call_soon(order.append, 1).cancel()
    turn(loop)
    assert order == []


def test_timers_run_by_their_time_and_not_before(loop):
    order = []
    began = loop.time()
    for delay_s in (0.03, 0.01, 0.02):
        loop.call_later(delay_s, lambda delay_s=delay_s: order.append((delay_s, loop.time() - began)))
    loop.call_later(0.04, loop.stop)
    loop.run_forever()
    assert [delay_s for delay_s, _ in order] == [0.01, 0.02, 0.03]
    resolution_s = time.get_clock_info("monotonic").resolution
    assert all(at_s >= delay_s - resolution_s for delay_s, at_s in order)


def test_a_timer_may_be_cancelled_by_the_one_before_it(loop):
    ran = []
    when = loop.time()
    later = loop.call_at(when + 0.001, ran.append, "later")
    loop.call_at(when, later.cancel)
    loop.call_at(when + 0.002, loop.stop)
    time.sleep(0.003)  # both are due in the same turn
    loop.run_forever()
    assert ran == []


def test_ten_thousand_cancelled_timers_leave_the_heap(loop):
    timers = [loop.call_later(3600, print) for _ in range(10_000)]
    kept = loop.call_later(3600, print)
    for timer in timers:
        timer.cancel()
    loop.call_later(0, loop.stop)
    loop.run_forever()
    assert len(loop._scheduled) <= MIN_TIMERS_TO_SWEEP
    assert kept in loop._scheduled
    assert loop._timer_cancelled_count == 0


def test_cancelled_timers_leave_the_heap_of_a_loop_that_never_sleeps(loop):
    turns = 1000
    greatest = 0

    def busy(left):
        nonlocal greatest
        greatest = max(greatest, len(loop._scheduled))
        loop.call_later(3600, print).cancel()
        if left:
            loop.call_soon(busy, left - 1)
        else:
            loop.stop()

    loop.call_soon(busy, turns)
    loop.run_forever()
    assert greatest <= MIN_TIMERS_TO_SWEEP + 1


def test_a_heap_of_nothing_but_cancelled_timers_does_not_end_the_sleep(loop):
    """The loop sleeps until something else wakes it, here a thread."""
    loop.call_later(0.001, print).cancel()
    threading.Timer(0.02, loop.call_soon_threadsafe, (loop.stop,)).start()
    loop.run_forever()
    assert loop._scheduled == []


def test_the_loop_does_not_spin_while_it_waits(loop):
    loop.call_later(0.05, loop.stop)
    before = loop.counters.turns
    loop.run_forever()
    assert loop.counters.turns - before <= 4


def test_a_callback_that_raises_is_reported_and_the_turn_goes_on(loop):
    reported, ran = [], []
    loop.set_exception_handler(lambda _loop, context: reported.append(context["exception"]))
    loop.call_soon(lambda: 1 / 0)
    loop.call_soon(ran.append, 1)
    turn(loop)
    assert ran == [1]
    assert isinstance(reported[0], ZeroDivisionError)


def test_system_exit_leaves_the_loop_and_it_can_go_on(loop):
    def leave():
        raise SystemExit(3)

    ran = []
    loop.call_soon(leave)
    loop.call_soon(ran.append, 1)
    with pytest.raises(SystemExit):
        loop.run_forever()
    assert not loop.is_running()
    turn(loop)
    assert ran == [1]


def test_slow_callbacks_are_logged_in_debug_mode(loop, caplog):
    loop.set_debug(True)
    loop.slow_callback_duration = 0.01
    loop.call_soon(time.sleep, 0.02)
    with caplog.at_level(logging.WARNING, "asyncio"):
        turn(loop)
    assert "Executing <Handle sleep(0.02)" in caplog.text


# Threads ------------------------------------------------------------------------------------------------------------


def test_a_thread_wakes_a_sleeping_loop(loop):
    answered = []
    thread = threading.Timer(0.01, lambda: loop.call_soon_threadsafe(lambda: (answered.append(1), loop.stop())))
    thread.start()
    loop.run_forever()
    thread.join()
    assert answered == [1]


def test_no_wake_up_is_lost_under_load(loop):
    """Four threads, each waiting for its call to have run before it makes the next: one lost wake-up would hang."""
    rounds, threads = 300, 4
    left = threads * rounds

    def count(done):
        nonlocal left
        left -= 1
        done.set()
        if not left:
            loop.stop()

    def caller():
        for _ in range(rounds):
            done = threading.Event()
            loop.call_soon_threadsafe(count, done)
            assert done.wait(60)

    callers = [threading.Thread(target=caller) for _ in range(threads)]
    for thread in callers:
        thread.start()
    loop.call_later(120, loop.stop)
    loop.run_forever()
    for thread in callers:
        thread.join()
    assert left == 0


def test_calls_before_run_and_after_close(loop):
    ran = []
    loop.call_soon_threadsafe(ran.append, 1)
    turn(loop)
    assert ran == [1]
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_soon_threadsafe(ran.append, 2)


def test_an_executor_answers(loop):
    assert loop.run_until_complete(loop.run_in_executor(None, os.getpid)) == os.getpid()
    loop.run_until_complete(loop.shutdown_default_executor())


# Callbacks on descriptors -------------------------------------------------------------------------------------------


def test_add_reader_calls_back_until_it_is_removed(loop, pair):
    a, b = pair
    got = []
    loop.add_reader(a, lambda: got.append(a.recv(10)))
    b.send(b"1")
    turn(loop)
    b.send(b"2")
    turn(loop)
    assert got == [b"1", b"2"]
    assert loop.remove_reader(a) is True
    assert loop.remove_reader(a) is False
    b.send(b"3")
    turn(loop)
    assert got == [b"1", b"2"]


def test_reader_and_writer_of_one_descriptor_are_independent(loop, pair):
    a, b = pair
    seen = []
    loop.add_reader(a, seen.append, "readable")
    loop.add_writer(a, seen.append, "writable")
    b.send(b"x")
    turn(loop)
    assert seen == ["readable", "writable"]
    loop.remove_reader(a)
    turn(loop)
    assert seen == ["readable", "writable", "writable"]
    loop.remove_writer(a)
    turn(loop)
    assert len(seen) == 3


def test_a_second_reader_replaces_the_first(loop, pair):
    a, b = pair
    seen = []
    loop.add_reader(a, seen.append, "first")
    loop.add_reader(a, seen.append, "second")
    b.send(b"x")
    turn(loop)
    assert seen == ["second"]
    loop.remove_reader(a)


def test_a_reader_runs_in_the_context_it_was_added_in(loop, pair):
    import contextvars

    variable = contextvars.ContextVar("variable", default="outside")
    a, b = pair
    seen = []
    context = contextvars.copy_context()
    context.run(variable.set, "inside")
    context.run(loop.add_reader, a, lambda: seen.append(variable.get()))
    b.send(b"x")
    turn(loop)
    assert seen == ["inside"]
    loop.remove_reader(a)


def test_a_descriptor_closed_behind_the_back_is_forgotten(loop, pair):
    """Its number comes back as another socket, which then works like any other."""
    a, b = pair
    seen = []
    gone, other = socket.socketpair()
    number = gone.fileno()
    loop.add_reader(number, seen.append, "gone")
    gone.close()
    turn(loop)
    seen.clear()
    os.dup2(a.fileno(), number)
    loop.add_reader(number, seen.append, "new")
    b.send(b"x")
    turn(loop)
    assert seen == ["new"]
    assert loop.remove_reader(number) is True
    os.close(number)
    other.close()


def test_a_reader_may_be_removed_after_its_socket_was_closed(loop):
    a, b = socket.socketpair()
    loop.add_reader(a, print)
    loop.add_writer(a, print)
    a.close()
    assert loop.remove_reader(a) is True
    assert loop.remove_writer(a) is True
    with pytest.raises(ValueError, match="Invalid file descriptor"):
        loop.remove_reader(a)
    b.close()


def test_what_is_no_descriptor_is_refused(loop):
    with pytest.raises(ValueError, match="Invalid file object"):
        loop.add_reader("seven", print)
    with pytest.raises(ValueError, match="Invalid file descriptor: -1"):
        loop.add_reader(-1, print)


def test_a_regular_file_is_refused_and_leaves_nothing_behind(tmp_path):
    loop = Loop()
    with (tmp_path / "file").open("w") as file:
        with pytest.raises(PermissionError):
            loop.add_reader(file, print)
        assert loop.remove_reader(file) is False
    loop.close()


def test_more_descriptors_than_one_poll_hands_out_all_get_their_turn():
    """Fairness: everybody is served within the turns that it takes to go round once."""
    loop = Loop()
    pairs = [socket.socketpair() for _ in range(MAX_EVENTS_A_POLL + 50)]
    seen = set()
    for a, b in pairs:
        b.send(b"x")
        loop.add_reader(a, seen.add, a)
    turn(loop)
    assert len(seen) == MAX_EVENTS_A_POLL
    turn(loop)
    assert len(seen) == len(pairs)
    loop.close()
    for a, b in pairs:
        a.close()
        b.close()


# Life ---------------------------------------------------------------------------------------------------------------


def test_close_is_idempotent_and_refused_while_running(loop):
    def close():
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()

    loop.call_soon(close)
    turn(loop)
    loop.close()
    loop.close()
    assert loop.is_closed()


def test_a_closed_loop_has_given_its_descriptors_back():
    before = set(os.listdir("/proc/self/fd"))
    loop = Loop()
    loop.close()
    gc.collect()
    assert set(os.listdir("/proc/self/fd")) == before


def test_stop_before_run_lets_one_turn_pass(loop):
    ran = []
    loop.stop()
    loop.call_soon(ran.append, 1)
    loop.run_forever()
    assert ran == [1]


def test_run_returns_the_result_and_closes_the_loop():
    async def main():
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    loop = run(main())
    assert isinstance(loop, Loop)
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert loop.is_closed()


def test_run_passes_debug_on():
    async def main():
        return asyncio.get_running_loop().get_debug()

    assert run(main(), debug=True) is True
    assert run(main(), debug=False) is False


def test_a_poller_object_of_ones_own():
    from hardpoint.loop.pollers import PollPoller

    loop = Loop(poller=PollPoller())
    assert loop.poller == "poll"
    loop.close()


def test_tasks_futures_queues_and_timeouts_work(run):
    async def main():
        queue: asyncio.Queue[int] = asyncio.Queue(1)

        async def produce():
            for i in range(100):
                await queue.put(i)

        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            taken = [await queue.get() for _ in range(100)]
        assert taken == list(range(100))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()

    run(main())


def test_async_generators_are_shut_down(run):
    closed = []

    async def numbers():
        try:
            yield 1
            yield 2
        finally:
            closed.append(1)

    async def main():
        async for _ in numbers():
            break
        await asyncio.sleep(0)

    run(main())
    assert closed == [1]
