from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from hardpoint.lab import children
from hardpoint.lab.children import Child, ChildFailed

DEADLINE_S = 60.0


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "Z"


def test_leaving_ends_the_process() -> None:
    with Child("server", "epoll") as server:
        pid = server.pid
        server.ask()
    assert gone(pid)


def test_an_error_inside_ends_the_process() -> None:
    with pytest.raises(KeyboardInterrupt), Child("server", "busy") as server:
        raise KeyboardInterrupt
    assert gone(server.pid)


def test_a_child_that_fails_is_reported_with_its_last_words() -> None:
    with Child("server", "no such model") as server, pytest.raises(ChildFailed, match="KeyError: 'no such model'"):
        server.ask()


def test_a_child_that_hangs_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "ANSWER_TIMEOUT_S", 0.0)
    with Child("server", "epoll") as server, pytest.raises(ChildFailed, match="said nothing for 0 s"):
        server.ask()


PARENT = """
import os, signal
from hardpoint.lab.children import Child
server = Child("server", "busy")
server.ask()
print(server.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_child_outlives_a_parent_that_was_killed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    pid = int(done.stdout)
    end = time.monotonic() + DEADLINE_S
    while not gone(pid):
        assert time.monotonic() < end
