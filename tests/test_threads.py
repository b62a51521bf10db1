"""Threads that nobody waits for, and the deadline of a process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from hardpoint.threads import DaemonExecutor, ExitDeadline, call_apart


def test_calls_come_one_after_another_on_one_daemon_thread():
    executor = DaemonExecutor("mine")
    futures = [executor.submit(lambda n=n: (n, threading.current_thread())) for n in range(3)]
    found = [future.result(10) for future in futures]
    assert [n for n, _ in found] == [0, 1, 2]
    (thread,) = {thread for _, thread in found}
    assert (thread.name, thread.daemon) == ("mine", True)
    executor.shutdown(wait=True)
    assert not thread.is_alive()
    with pytest.raises(RuntimeError, match="the thread mine was shut down"):
        executor.submit(print)
    executor.shutdown()


def test_what_a_call_raises_is_its_futures():
    executor = DaemonExecutor("mine")
    for error in (ValueError, SystemExit):
        with pytest.raises(error):
            executor.submit(_raise, error).result(10)
    assert executor.submit(pow, 2, exp=3).result(10) == 8
    executor.shutdown(wait=True)


def _raise(error):
    raise error


def test_shutting_down_drops_what_has_not_begun():
    executor = DaemonExecutor("mine")
    entered, let_go = threading.Event(), threading.Event()
    under_way = executor.submit(lambda: (entered.set(), let_go.wait(60)))
    assert entered.wait(60)
    waiting = executor.submit(print, "never")
    assert executor.busy
    executor.shutdown()
    assert waiting.cancelled()
    assert not under_way.done()
    let_go.set()
    assert under_way.result(10) == (None, True)
    executor.shutdown(wait=True)
    assert not executor.busy


def test_shutting_down_never_begun():
    DaemonExecutor("mine").shutdown(wait=True)


def test_call_apart(run):
    async def scene():
        thread = await call_apart("mine", threading.current_thread)
        assert (thread.name, thread.daemon) == ("mine", True)
        await asyncio.to_thread(thread.join, 20)
        assert not thread.is_alive()

    run(scene())


HANGS = """
import logging, sys, threading
from hardpoint.threads import ExitDeadline
sys.stdout.write("said")
threading.Thread(target=threading.Event().wait, name="hangs").start()
deadline = ExitDeadline()
deadline.set(1, 1)
deadline.set(2, 3)
"""


def test_the_deadline_ends_a_process_that_hangs():
    ended = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (3, "said")
    assert "the end waits no longer; at work are still: hangs" in ended.stderr


def test_the_deadline_is_called_off():
    deadline = ExitDeadline()
    deadline.set(3600, 1)
    (timer,) = (thread for thread in threading.enumerate() if thread.name == "hardpoint-exit")
    deadline.cancel()
    timer.join(60)
    assert not timer.is_alive()
    deadline.cancel()
