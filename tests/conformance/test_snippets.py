"""The snippets that take a program of their own to run: a flow in a real Node-RED, ESPHome's own validation.

``npm install -g node-red`` and ``pip install esphome`` bring them; without, the tests are skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hardpoint import Server
from hardpoint.web.snippets import Doors, snippets

pytestmark = pytest.mark.conformance
START_S = 60.0


async def until(condition: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    async with asyncio.timeout(START_S):
        while not condition():
            assert process.poll() is None, log.read_text()
            await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_the_flow_runs_in_node_red(tmp_path: Path) -> None:
    if shutil.which("node-red") is None:
        pytest.skip("no node-red: npm install -g node-red")

    async def scene() -> None:
        async with Server(
            data=str(tmp_path / "data"), listen=["http://127.0.0.1:0"], host={"enabled": False}
        ) as server:
            device, token = await server.hub.create_device("flow")
            made = snippets(token, Doors(http=f"http://127.0.0.1:{server.ports['http']}"))
            folder, log = tmp_path / "red", tmp_path / "red.log"
            folder.mkdir()
            (folder / "flows.json").write_text(made["nodered"])
            json.loads(made["nodered"])
            command = ["node-red", "-u", str(folder), "-p", str(free_port()), "flows.json"]
            with log.open("wb") as output:
                process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
            try:
                await until(lambda: device.latest().get("temp", {}).get("value") == 21.5, process, log)
                command_sent = await server.hub.ledger.queue(device, "blink", {"times": 3}, START_S)
                await until(lambda: server.hub.ledger.get(command_sent.id) is None, process, log)
                await server.hub.commits.durable()
                assert (await server.hub.command(command_sent.id)).state == "done"
            finally:
                with contextlib.suppress(ProcessLookupError):  # it has ended by itself, as the log says
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    asyncio.run(scene())


def test_esphome_takes_the_file(tmp_path: Path) -> None:
    if shutil.which("esphome") is None:
        pytest.skip("no esphome: pip install esphome")
    (tmp_path / "node.yaml").write_text(snippets("hp_x", Doors(mqtt=("192.0.2.1", 1883)))["esphome"])
    done = subprocess.run(
        ["esphome", "config", str(tmp_path / "node.yaml")], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Configuration is valid" in done.stdout + done.stderr
