"""Child processes: their pipes, their end, and what becomes of them when nobody waits."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import subprocess
import sys
import threading

import pytest

from hardpoint.loop import Loop

PIPE = subprocess.PIPE


@pytest.fixture(params=["pidfd", "thread"])
def how(request, monkeypatch):
    """Both ways to wait for a child's end, also where this machine would choose the first."""
    if request.param == "thread":
        monkeypatch.delattr(os, "pidfd_open")
    return request.param


@pytest.fixture
def anyrun(anyrun, how):
    return anyrun


def test_what_goes_in_comes_out(run):
    async def main():
        child = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        data = bytes(range(256)) * 4000
        assert await child.communicate(data) == (data, None)
        assert child.returncode == 0

    run(main())


def test_a_shell_and_its_errors(run):
    async def main():
        child = await asyncio.create_subprocess_shell("echo out; echo err >&2; exit 7", stdout=PIPE, stderr=PIPE)
        assert await child.communicate() == (b"out\n", b"err\n")
        assert await child.wait() == 7

    run(main())


def test_either_way_of_waiting(anyrun):
    async def main():
        child = await asyncio.create_subprocess_exec("sh", "-c", "read line; exit 3", stdin=PIPE)
        assert child.returncode is None
        child.stdin.write(b"go\n")
        assert await child.wait() == 3

    anyrun(main())


def test_a_signal_ends_it(anyrun):
    async def main():
        for send, signum in (("terminate", signal.SIGTERM), ("kill", signal.SIGKILL)):
            child = await asyncio.create_subprocess_exec("sleep", "1000")
            getattr(child, send)()
            assert await child.wait() == -signum
        child = await asyncio.create_subprocess_exec("sleep", "1000")
        child.send_signal(signal.SIGUSR1)
        assert await child.wait() == -signal.SIGUSR1
        with pytest.raises(ProcessLookupError):
            child.kill()

    anyrun(main())


def test_one_that_has_ended_is_not_signalled_while_its_pipes_live(anyrun, monkeypatch):
    """A grandchild keeps the pipe open; the child's number may be another process's by now."""

    async def main():
        child = await asyncio.create_subprocess_shell("sleep 1000 & echo $!", stdout=PIPE)
        grandchild = int(await child.stdout.readline())
        while child._transport.get_returncode() is None:
            await asyncio.sleep(0)
        sent = []
        with monkeypatch.context() as patched:
            patched.setattr(os, "kill", lambda *call: sent.append(call))
            child.kill()
        assert sent == []
        os.kill(grandchild, signal.SIGKILL)
        assert await child.communicate() == (b"", None)

    anyrun(main())


def test_many_at_once(anyrun):
    async def main():
        children = [await asyncio.create_subprocess_exec("sh", "-c", f"exit {i}") for i in range(20)]
        assert await asyncio.gather(*(child.wait() for child in children)) == list(range(20))

    anyrun(main())


def test_no_descriptor_is_left(anyrun):
    async def main():
        before = set(os.listdir("/proc/self/fd"))
        child = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE, stderr=PIPE)
        await child.communicate(b"x")
        async with asyncio.timeout(60):  # what was read to its end wakes its reader, and is closed a turn later
            while set(os.listdir("/proc/self/fd")) != before:
                await asyncio.sleep(0)

    anyrun(main())


def test_a_status_that_somebody_else_has_taken(anyrun, caplog):
    async def main():
        child = await asyncio.create_subprocess_exec("sh", "-c", "read line", stdin=PIPE)
        child.stdin.write(b"go\n")  # written at once: the loop does not run before the next line
        os.waitpid(child.pid, 0)
        assert await child.wait() == 255

    with caplog.at_level(logging.WARNING, "asyncio"):
        anyrun(main())
    assert "Unknown child process pid" in caplog.text


def test_closing_kills(anyrun):
    class Child(asyncio.SubprocessProtocol):
        def __init__(self):
            self.events = []
            self.lost = asyncio.get_running_loop().create_future()

        def process_exited(self):
            self.events.append("exited")

        def connection_lost(self, exc):
            self.lost.set_result(exc)

    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(Child, "sleep", "1000", stdin=None, stdout=None, stderr=None)
        transport.close()
        await protocol.lost
        assert protocol.events == ["exited"]
        assert transport.get_returncode() == -signal.SIGKILL

    anyrun(main())


def test_a_missing_program_raises_and_leaves_nothing(anyrun):
    async def main():
        before = set(os.listdir("/proc/self/fd"))
        with pytest.raises(FileNotFoundError):
            await asyncio.create_subprocess_exec("/no/such/program", stdout=PIPE)
        assert set(os.listdir("/proc/self/fd")) == before

    anyrun(main())


def test_a_start_that_is_cancelled_kills(anyrun, monkeypatch):
    async def main():
        loop = asyncio.get_running_loop()
        pids = []
        started = asyncio.Event()
        connect = loop.connect_read_pipe

        async def hold(factory, pipe):
            started.set()
            await asyncio.Event().wait()
            await connect(factory, pipe)

        monkeypatch.setattr(loop, "connect_read_pipe", hold)
        popen = subprocess.Popen

        def note(*args, **kwargs):
            made = popen(*args, **kwargs)
            pids.append(made)
            return made

        monkeypatch.setattr(subprocess, "Popen", note)
        starting = asyncio.ensure_future(asyncio.create_subprocess_exec("sleep", "1000", stdout=PIPE))
        await started.wait()
        starting.cancel()
        done, _ = await asyncio.wait([starting], timeout=None)
        assert done
        assert starting.cancelled()
        assert pids[0].returncode == -signal.SIGKILL
        pids[0].stdout.close()

    if sys.version_info < (3, 14):
        pytest.skip("asyncio's own subprocess transport waits for ever for pipes that were never connected")
    anyrun(main())


def test_off_the_main_thread(anyrun):
    results = []

    async def main():
        child = await asyncio.create_subprocess_exec("sh", "-c", "exit 5")
        results.append(await child.wait())

    thread = threading.Thread(target=anyrun, args=(main(),))
    thread.start()
    thread.join(60)
    assert results == [5]


def test_a_refused_pidfd_falls_back_to_a_thread(anyrun, how, monkeypatch):
    if how != "pidfd":
        pytest.skip("there is no pidfd to refuse")

    def refuse(pid):
        raise OSError(errno.ENOSYS, "a sandbox")

    async def main():
        monkeypatch.setattr(os, "pidfd_open", refuse)
        child = await asyncio.create_subprocess_exec("sh", "-c", "exit 4")
        assert await child.wait() == 4

    anyrun(main())


def test_a_loop_closed_before_its_child_ends_leaks_no_descriptor():
    before = set(os.listdir("/proc/self/fd"))
    loop = Loop()
    children = []

    async def main():
        children.append(await asyncio.create_subprocess_exec("sleep", "1000"))

    loop.run_until_complete(main())
    child = children.pop()._transport._proc
    loop.close()
    with pytest.warns(ResourceWarning, match="unclosed transport <ProcessTransport"):
        gc.collect()
    child.wait(60)
    assert set(os.listdir("/proc/self/fd")) == before
