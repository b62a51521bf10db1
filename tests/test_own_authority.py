"""Our own clients of a server whose certificate nobody in the world but itself has signed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hardpoint import Server
from hardpoint.agent import AgentSettings
from hardpoint.agent.agent import Agent
from hardpoint.agent.spool import Spool
from hardpoint.cli.client import Address, Client
from hardpoint.cli.connection import make_client
from hardpoint.errors import ConfigError, ServerUnreachable
from hardpoint.hardware.base import Driver
from hardpoint.hardware.mount import Mount
from hardpoint.testing import LineDevice
from hardpoint.tls.client import client_context

LISTEN = ["lines://127.0.0.1:0", "https://127.0.0.1:0"]


class Thermometer(Driver):
    name = "thermometer"

    def probe(self) -> None:
        return None

    def read(self) -> Iterator[tuple[str, float]]:
        yield "temp", 21.5


@asynccontextmanager
async def serving(data: Path) -> AsyncIterator[tuple[Server, str, Path]]:
    """A server, the token of its device ``greenhouse``, and its authority's certificate."""
    async with Server(data=data, listen=LISTEN, host={"enabled": False}) as server:
        _, token = await server.hub.create_device("greenhouse")
        yield server, token, data / "tls" / "ca.pem"


def test_a_line_device(run, tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(tmp_path) as (server, token, ca):
            async with LineDevice("127.0.0.1", server.ports["lines"], token, ca=ca) as device:
                assert await device.send(temp=21.5) == 1
            with pytest.raises(ssl.SSLCertVerificationError):
                async with LineDevice("127.0.0.1", server.ports["lines"], token, tls=True):
                    pass

    run(check())


def test_an_agent(run, tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(tmp_path / "server") as (server, token, ca):
            folder = tmp_path / "agent"
            told = AgentSettings("127.0.0.1", server.ports["lines"], token, folder, 1.0, tls=True, ca=ca)
            agent = Agent(told, Mount({"thermometer": Thermometer}), Spool(folder, told.max_spool_bytes))
            running = asyncio.ensure_future(agent.run())
            (device,) = server.hub.catalogue
            while not device.series:
                await asyncio.sleep(0.001)
            agent.stop()
            await running

    run(check())


def test_a_command(anyrun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with serving(tmp_path) as (server, _, ca):
            url = f"https://127.0.0.1:{server.ports['https']}"
            for client in (Client(Address.parse(url), None, ca), make_client(url, None, None, ca)):
                assert (await asyncio.to_thread(client.health))["status"] == "ok"
            with pytest.raises(ServerUnreachable) as caught:
                await asyncio.to_thread(make_client(url, None, None).health)
            assert "--ca FILE or HARDPOINT_CA" in str(caught.value.hint)
            monkeypatch.setenv("HARDPOINT_CA", str(ca))
            assert (await asyncio.to_thread(make_client(url, None, None).health))["status"] == "ok"

    anyrun(check())


@pytest.mark.parametrize(("content", "why"), [(None, "No such file"), ("junk", "no certificate in PEM")])
def test_an_authority_that_is_none(tmp_path: Path, content: str | None, why: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=why) as caught:
        client_context(path)
    assert str(path) in caught.value.message
