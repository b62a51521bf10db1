"""The agent as a process: on this machine's real hardware, ended by a signal, refused by a server."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest

from hardpoint.agent.spool import Spool
from hardpoint.wire import lines

PROGRAM = """
import logging, pathlib, sys
from hardpoint.agent import AgentSettings, run_agent
from hardpoint.errors import HardpointError
logging.basicConfig(level="INFO")
host, port, token, data, loop = sys.argv[1:]
try:
    run_agent(AgentSettings(host=host, port=int(port), token=token, data=pathlib.Path(data), interval_s=1, loop=loop))
except HardpointError as error:
    print("error:", error.message, file=sys.stderr)
    sys.exit(error.exit_code)
"""


class Recorder(asyncio.Protocol):
    """Lets one token in, says OK to the first line of readings and is silent after that."""

    def __init__(self, rows, seen):
        self.rows = rows
        self.seen = seen
        self.decoder = lines.LineDecoder()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        for kind, tag, *rest in self.decoder.receive(data):
            if kind == lines.HELLO:
                answer = "OK box" if rest[0] == "hp_good" else "ERR unauthorized no such token"
                self.transport.write(lines.encode_text(tag, answer))
            elif kind == lines.READINGS:
                self.seen.set()
                if not self.rows:
                    self.rows += rest[0]
                    self.transport.write(lines.encode_ok(tag, len(rest[0])))


async def start(port, token, data, loop):
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, "127.0.0.1", str(port), token, str(data), loop), stderr=asyncio.subprocess.PIPE
    )


@pytest.mark.parametrize(
    ("loop_name", "number"),
    [*((name, signal.SIGTERM) for name in ("hardpoint", "asyncio", "uvloop")), ("hardpoint", signal.SIGINT)],
)
def test_a_signal_ends_it_cleanly(tmp_path, loop_name, number):
    rows = []

    async def scenario():
        seen = asyncio.Event()
        listener = await asyncio.get_running_loop().create_server(lambda: Recorder(rows, seen), "127.0.0.1", 0)
        agent = await start(listener.sockets[0].getsockname()[1], "hp_good", tmp_path, loop_name)
        await seen.wait()
        seen.clear()
        await seen.wait()
        agent.send_signal(number)
        _, log = await agent.communicate()
        listener.close()
        await listener.wait_closed()
        return agent.returncode, log.decode()

    code, log = asyncio.run(asyncio.wait_for(scenario(), 120))
    assert code == 0, log
    assert "attached to 127.0.0.1:" in log
    assert "Traceback" not in log
    assert {"load.1m", "mem.percent", "disk.root.percent"} <= {key for _, key, _ in rows}
    spool = Spool(tmp_path, 2**20)
    kept = [line for _, line in spool.after(0, 10)]
    spool.close()
    # The line that had its OK is gone, the second one is still there.
    assert kept
    assert not any(b"@%d" % rows[0][0] in line for line in kept)


HANGS = """
import socket, threading
from hardpoint.agent import main
from hardpoint.hardware.base import Driver
from hardpoint.hardware.mount import Mount

class Stuck(Driver):
    name = "stuck"

    def probe(self):
        return None

    def read(self):
        hang()

def hang(*args, **kwargs):
    print("entered", flush=True)
    threading.Event().wait()

main.mount_host = lambda: Mount({"stuck": Stuck})
socket.getaddrinfo = hang
"""


def test_a_sensor_and_a_name_server_that_never_answer_do_not_hold_up_the_end(tmp_path):
    async def scenario():
        agent = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", HANGS + PROGRAM, "box.invalid", "1", "hp_good", str(tmp_path), "hardpoint"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(2):
            await agent.stdout.readline()
        agent.send_signal(signal.SIGTERM)
        _, log = await asyncio.wait_for(agent.communicate(), 60)
        return agent.returncode, log.decode()

    code, log = asyncio.run(asyncio.wait_for(scenario(), 120))
    assert code == 0, log
    assert "the end waits no longer; at work are still: asyncio_" in log
    assert "Traceback" not in log


def test_a_wrong_token_exits_77(tmp_path, loop_name):
    async def scenario():
        made = await asyncio.get_running_loop().create_server(lambda: Recorder([], asyncio.Event()), "127.0.0.1", 0)
        agent = await start(made.sockets[0].getsockname()[1], "hp_wrong", tmp_path, loop_name)
        _, log = await agent.communicate()
        made.close()
        await made.wait_closed()
        return agent.returncode, log.decode()

    code, log = asyncio.run(asyncio.wait_for(scenario(), 120))
    assert code == 77
    assert log.endswith("error: the server refuses the token: unauthorized no such token\n")
    assert "hp_wrong" not in log
    assert "Traceback" not in log


def test_a_second_agent_on_the_folder_exits_73(tmp_path):
    spool = Spool(tmp_path, 2**20)

    async def scenario():
        agent = await start(1, "hp_good", tmp_path, "hardpoint")
        _, log = await agent.communicate()
        return agent.returncode, log.decode()

    code, log = asyncio.run(asyncio.wait_for(scenario(), 120))
    spool.close()
    assert code == 73
    assert "another agent uses" in log
