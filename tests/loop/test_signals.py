"""Signals on the loop's thread."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from hardpoint.loop import Loop


@pytest.fixture
def loop():
    made = Loop()
    yield made
    made.close()


def kill_me(signum):
    os.kill(os.getpid(), signum)


def test_a_signal_runs_its_handler_with_its_arguments(run):
    async def main():
        loop = asyncio.get_running_loop()
        arrived = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, arrived.set_result, "here")
        kill_me(signal.SIGUSR1)
        assert await arrived == "here"
        assert loop.remove_signal_handler(signal.SIGUSR1) is True
        assert loop.remove_signal_handler(signal.SIGUSR1) is False

    run(main())


def test_a_signal_before_run_is_not_lost(loop):
    arrived = []
    loop.add_signal_handler(signal.SIGUSR1, lambda: (arrived.append(1), loop.stop()))
    kill_me(signal.SIGUSR1)
    loop.run_forever()
    assert arrived == [1]


def test_a_signal_ends_the_sleep(loop):
    loop.add_signal_handler(signal.SIGALRM, loop.stop)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    loop.run_forever()


def test_different_signals_have_their_own_handlers(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, seen.append, 1)
    loop.add_signal_handler(signal.SIGUSR2, lambda: (seen.append(2), loop.stop()))
    kill_me(signal.SIGUSR1)
    kill_me(signal.SIGUSR2)
    loop.run_forever()
    assert seen == [1, 2]


def test_a_later_handler_replaces_the_earlier(loop):
    seen = []
    loop.add_signal_handler(signal.SIGUSR1, seen.append, "first")
    loop.add_signal_handler(signal.SIGUSR1, lambda: (seen.append("second"), loop.stop()))
    kill_me(signal.SIGUSR1)
    loop.run_forever()
    assert seen == ["second"]


def test_removal_and_close_restore_the_default(loop):
    loop.add_signal_handler(signal.SIGINT, print)
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.remove_signal_handler(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize(
    ("wrong", "error"), [(signal.SIGKILL, RuntimeError), (4711, ValueError), ("SIGINT", TypeError)]
)
def test_what_cannot_be_handled_is_refused_and_leaves_nothing(loop, wrong, error):
    with pytest.raises(error):
        loop.add_signal_handler(wrong, print)
    assert signal.set_wakeup_fd(-1) == -1


def test_a_coroutine_is_refused(loop):
    async def handler():
        raise AssertionError("never awaited")

    with pytest.raises(TypeError, match="coroutines cannot be used"):
        loop.add_signal_handler(signal.SIGUSR1, handler)


def test_only_the_main_thread_may(loop):
    errors = []

    def add():
        try:
            loop.add_signal_handler(signal.SIGUSR1, print)
        except RuntimeError as exc:
            errors.append(exc)

    thread = threading.Thread(target=add)
    thread.start()
    thread.join()
    assert len(errors) == 1


def test_ctrl_c_cancels_the_main_task_as_with_asyncio():
    """`asyncio.Runner` has its own handler for SIGINT, which must wake a loop that sleeps."""
    program = (
        "import asyncio, hardpoint.loop\n"
        "async def main():\n"
        "    print('ready', flush=True)\n"
        "    try:\n"
        "        await asyncio.Event().wait()\n"
        "    finally:\n"
        "        print('cleaned up', flush=True)\n"
        "hardpoint.loop.run(main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert out == "cleaned up\n"
    assert "KeyboardInterrupt" in err
