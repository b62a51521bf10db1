"""The snippets that take a program of their own to run: a flow in a real Node-RED, ESPHome's own validation, Go's
compiler, PowerShell.

``npm install -g node-red``, ``pip install esphome``, ``apt-get install golang-go`` and Microsoft's packages bring them;
without, the tests are skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from hardpoint import Server
from hardpoint.web.snippets import Doors, doors_at, snippets

pytestmark = pytest.mark.conformance
START_S = 60.0
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\nAg==\n-----END CERTIFICATE-----\n"


async def until(condition: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    async with asyncio.timeout(START_S):
        while not condition():
            assert process.poll() is None, log.read_text()
            await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def attaching(
    folder: Path, kind: str, tls: bool, prepare: Callable[[str], tuple[list[str], dict[str, str]]]
) -> AsyncIterator[None]:
    """A server, and the program that `prepare` makes of the snippet, from its first reading to its end; it must
    answer a command in between.
    """
    listen = ["line://127.0.0.1:0", "lines://127.0.0.1:0", "http://127.0.0.1:0", "https://127.0.0.1:0"]
    async with Server(data=str(folder / "data"), listen=listen, host={"enabled": False}) as server:
        device, token = await server.hub.create_device("snippet")
        found = [{"url": f"{scheme}://127.0.0.1:{port}", "port": port} for scheme, port in server.ports.items()]
        ca = (folder / "data" / "tls" / "ca.pem").read_text()
        doors = doors_at(f"http://127.0.0.1:{server.ports['http']}", "127.0.0.1", found, certified=True, ca=ca)
        (folder / "ca.pem").write_text(ca)
        command, environ = prepare(snippets(token, doors, tls=tls)[kind])
        log = folder / "program.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=output, start_new_session=True, cwd=folder, env={**os.environ, **environ}
            )
        try:
            await until(lambda: device.latest().get("temp", {}).get("value") == 21.5, process, log)
            command_sent = await server.hub.ledger.queue(device, "blink", {"times": 3}, START_S)
            await until(lambda: server.hub.ledger.get(command_sent.id) is None, process, log)
            await server.hub.commits.durable()
            assert (await server.hub.past.command(command_sent.id)).state == "done"
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself, as the log says
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


BOTH_WAYS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@BOTH_WAYS
def test_the_flow_runs_in_node_red(tmp_path: Path, tls: bool) -> None:
    if shutil.which("node-red") is None:
        pytest.skip("no node-red: npm install -g node-red")

    def prepare(made: str) -> tuple[list[str], dict[str, str]]:
        folder = tmp_path / "red"
        folder.mkdir()
        (folder / "flows.json").write_text(made)
        return ["node-red", "-u", str(folder), "-p", str(free_port()), "flows.json"], {}

    async def scene() -> None:
        async with attaching(tmp_path, "nodered", tls, prepare):
            pass

    asyncio.run(scene())


@BOTH_WAYS
def test_go_compiles_it_and_gofmt_would_write_it_so(tmp_path: Path, tls: bool) -> None:
    if shutil.which("go") is None:
        pytest.skip("no go: apt-get install golang-go")

    def prepare(made: str) -> tuple[list[str], dict[str, str]]:
        (tmp_path / "main.go").write_text(made)
        formatted = subprocess.run(["gofmt", "main.go"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert formatted.stdout == made
        caches = {"GOCACHE": str(tmp_path / "cache"), "GOPATH": str(tmp_path / "go"), "GOFLAGS": "-mod=mod"}
        subprocess.run(
            ["go", "build", "-o", "device", "main.go"], cwd=tmp_path, env={**os.environ, **caches}, check=True
        )
        return [str(tmp_path / "device")], {}

    async def scene() -> None:
        async with attaching(tmp_path, "go", tls, prepare):
            pass

    asyncio.run(scene())


@BOTH_WAYS
def test_powershell_runs_it(tmp_path: Path, tls: bool) -> None:
    if shutil.which("pwsh") is None:
        pytest.skip("no pwsh: learn.microsoft.com/powershell/scripting/install")

    def prepare(made: str) -> tuple[list[str], dict[str, str]]:
        (tmp_path / "device.ps1").write_text(made)
        # .NET on Linux trusts what OpenSSL does.
        return ["pwsh", "-NoProfile", "-File", "device.ps1"], {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}

    async def scene() -> None:
        async with attaching(tmp_path, "powershell", tls, prepare):
            pass

    asyncio.run(scene())


@BOTH_WAYS
def test_esphome_takes_the_file(tmp_path: Path, tls: bool) -> None:
    if shutil.which("esphome") is None:
        pytest.skip("no esphome: pip install esphome")
    door = ("192.0.2.1", 1883)
    made = snippets("hp_x", Doors(mqtts=door, ca=PEM) if tls else Doors(mqtt=door), tls=tls)["esphome"]
    (tmp_path / "node.yaml").write_text(made)
    done = subprocess.run(
        ["esphome", "config", str(tmp_path / "node.yaml")], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Configuration is valid" in done.stdout + done.stderr
