"""``hardpoint agent`` as a process beside the server: either is killed, and what was measured arrives, in order."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import DEADLINE_S, HARDPOINT, ServerProcess, UnixConnection, clean_environment, run_hardpoint, wait_until
from talking import LiveStream

from hardpoint.agent.spool import FILE_NAME
from hardpoint.model import Value
from hardpoint.wire.lines import parse_readings

Reading = tuple[str, int, Value]


class AgentProcess:
    """An agent that measures every second, the fastest there is."""

    def __init__(self, port: int, token: str, folder: Path) -> None:
        self.folder = folder
        self._log = folder.with_name("agent.log").open("ab")
        self.process = subprocess.Popen(
            [*HARDPOINT, "agent", "--server", f"127.0.0.1:{port}", "--data", str(folder), "--interval", "1"],
            stderr=self._log,
            env=clean_environment() | {"HARDPOINT_TOKEN": token},
        )

    def end(self, number: int) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self._log.close()
        return self.process.wait(DEADLINE_S)

    def spooled(self) -> list[Reading]:
        """What waits on its disk, read from a copy: the agent holds the file itself for as long as it lives."""
        with tempfile.TemporaryDirectory() as name:
            for path in self.folder.glob(f"{FILE_NAME}*"):
                shutil.copy(path, name)
            with contextlib.closing(sqlite3.connect(Path(name) / FILE_NAME)) as copy:
                try:
                    lines = [line for (line,) in copy.execute("SELECT line FROM lines ORDER BY seq")]
                except sqlite3.DatabaseError:  # copied in the middle of a write
                    return []
        readings = [reading for line in lines for reading in parse_readings(line.decode())]
        return [(key, ts, value) for ts, key, value in readings if ts is not None]


Start = Callable[[], AgentProcess]


@pytest.fixture
def token(server: ServerProcess) -> str:
    server.keep_ports()
    return server.api.add_device("box")


@pytest.fixture
def start(server: ServerProcess, token: str, tmp_path: Path) -> Iterator[Start]:
    started: list[AgentProcess] = []

    def start_agent() -> AgentProcess:
        started.append(AgentProcess(server.ports["line"], token, tmp_path / "agent"))
        return started[-1]

    yield start_agent
    for agent in started:
        agent.end(signal.SIGKILL)


def stored(server: ServerProcess, key: str) -> dict[int, Value]:
    return dict(server.api.readings("box", key))


def rounds(readings: list[Reading]) -> set[int]:
    return {ts for _, ts, _ in readings}


@pytest.mark.slow
def test_neither_kill_loses_what_was_measured(server: ServerProcess, start: Start) -> None:
    agent = start()
    wait_until(lambda: server.api.get("/api/devices/box")["latest"], "the agent's first readings")
    server.kill()
    known = rounds(agent.spooled())
    wait_until(lambda: len(rounds(agent.spooled()) - known) >= 2, "the agent goes on while the server is away")
    agent.end(signal.SIGKILL)
    waiting = agent.spooled()

    server.start()
    order: list[int] = []
    with LiveStream(UnixConnection(server.folder / "hardpoint.sock"), "device=box&key=load.1m") as stream:
        agent = start()
        while not order or order[-1] < max(rounds(waiting)):
            order += [ts for _, ts, _ in stream.next("reading")["readings"]]
    for key, ts, value in waiting:
        assert stored(server, key)[ts] == value, f"{key} of {ts} was on the agent's disk"
    assert order == sorted(set(order)), "in order, and each once"

    server.kill()  # now the server alone
    known = rounds(agent.spooled())
    wait_until(lambda: len(rounds(agent.spooled()) - known) >= 1)
    waiting = agent.spooled()
    server.start()
    last = max(rounds(waiting))
    wait_until(lambda: last in stored(server, "load.1m"), "the agent comes back by itself")
    assert rounds(waiting) <= stored(server, "load.1m").keys()
    assert agent.end(signal.SIGTERM) == 0


def test_an_agent_answers_commands(server: ServerProcess, start: Start) -> None:
    agent = start()
    wait_until(lambda: server.api.get("/api/devices/box")["presence"]["connected"])
    for method, params, result in [("ping", None, "pong"), ("set-interval", {"s": 60}, {"s": 60})]:
        body = {"method": method, "params": params, "wait_s": DEADLINE_S}
        assert server.api.post("/api/devices/box/commands", body)["result"] == result
    refused = server.api.post("/api/devices/box/commands", {"method": "explode", "wait_s": DEADLINE_S})
    assert refused["state"] == "failed"
    assert "explode" in refused["steps"][-1]["reason"]
    assert agent.end(signal.SIGTERM) == 0
    wait_until(lambda: server.api.get("/api/devices/box")["presence"]["connected"] is None)


def test_a_wrong_token_ends_the_agent_with_77(server: ServerProcess, tmp_path: Path) -> None:
    address = f"127.0.0.1:{server.ports['line']}"
    refused = run_hardpoint("agent", "--server", address, "--token", "hp_wrong", "--data", str(tmp_path / "agent"))
    assert refused.returncode == 77
    assert "error: " in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_new_token_stops_an_agent_that_has_the_old_one(server: ServerProcess, start: Start) -> None:
    agent = start()
    wait_until(lambda: server.api.get("/api/devices/box")["presence"]["connected"])
    server.api.post("/api/devices/box/token")
    assert agent.process.wait(DEADLINE_S) == 77
