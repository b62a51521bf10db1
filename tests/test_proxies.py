"""The whole server behind a proxy: throttles, presence and the log see the client, of named proxies only."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hardpoint import Server
from hardpoint.errors import ConfigError

LISTEN = ["http://127.0.0.1:0"]
CLIENT = "203.0.113.9"


async def ask(port: int, target: str, *fields: str, body: bytes = b"") -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    method = "POST" if body else "GET"
    lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(body)}", *fields]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    status = int((await reader.readline()).split()[1])
    await reader.read()
    writer.close()
    return status


def settings(**http: object) -> dict[str, object]:
    return {"listen": LISTEN, "host": {"enabled": False}, "http": http, "limits": {"sign_in_failures_per_min": 3}}


@pytest.mark.parametrize("trusted", [["127.0.0.1"], []])
def test_a_proxy_does_not_share_the_guilt_of_its_clients(anyrun, tmp_path: Path, trusted: list[str]) -> None:
    async def check() -> None:
        async with Server(data=tmp_path, **settings(trusted_proxies=trusted)) as server:  # type: ignore[arg-type]
            port = server.ports["http"]
            for _ in range(5):
                await ask(port, "/api/v1/wrong/attributes", f"X-Forwarded-For: {CLIENT}")
            other = await ask(port, "/api/v1/wrong/attributes", "X-Forwarded-For: 198.51.100.1")
            guilty = await ask(port, "/api/v1/wrong/attributes", f"X-Forwarded-For: {CLIENT}")
            assert (other, guilty) == ((401, 429) if trusted else (429, 429))

    anyrun(check())


def test_a_client_cannot_speak_for_its_proxy_in_the_other_field(anyrun, tmp_path: Path) -> None:
    """nginx writes ``X-Forwarded-For`` and passes on the ``Forwarded`` that a client made up, each time anew."""

    async def check() -> None:
        async with Server(data=tmp_path, **settings(trusted_proxies=["127.0.0.1"])) as server:  # type: ignore[arg-type]
            port = server.ports["http"]
            theirs = f"X-Forwarded-For: {CLIENT}"
            statuses = [
                await ask(port, "/api/v1/wrong/attributes", theirs, f"Forwarded: for=198.51.100.{number}")
                for number in range(5)
            ]
            assert statuses == [401, 401, 401, 429, 429]
            assert (
                await ask(port, "/api/v1/wrong/attributes", theirs) == 401
            )  # honest clients are counted by themselves

    anyrun(check())


def test_presence_tells_the_client(anyrun, tmp_path: Path) -> None:
    async def check() -> None:
        async with Server(data=tmp_path, **settings(trusted_proxies=["127.0.0.1"])) as server:  # type: ignore[arg-type]
            device, token = await server.hub.create_device("greenhouse")
            port = server.ports["http"]
            target = f"/api/v1/{token}/rpc?timeout=20000"
            waiting = asyncio.ensure_future(ask(port, target, f"X-Forwarded-For: {CLIENT}"))
            while not server.hub.catalogue.by_id[device.id].sessions:
                await asyncio.sleep(0.001)
            assert {s.peer for s in server.hub.catalogue.by_id[device.id].sessions} == {f"{CLIENT}:0"}
            await server.hub.ledger.queue(server.hub.catalogue.by_id[device.id], "led", {}, 10)
            assert await waiting == 200

    anyrun(check())


def test_the_access_log_keeps_no_token(anyrun, tmp_path: Path) -> None:
    path = tmp_path / "access.log"

    async def check() -> None:
        given = settings(access_log=str(path), trusted_proxies=["127.0.0.1"])
        async with Server(data=tmp_path / "data", **given) as server:  # type: ignore[arg-type]
            _, token = await server.hub.create_device("greenhouse")
            body = b'{"a":1}'
            await ask(server.ports["http"], f"/api/v1/{token}/telemetry", f"X-Forwarded-For: {CLIENT}", body=body)
            await ask(server.ports["http"], f"/api/devices?token={token}")
        text = path.read_text()
        assert text.startswith(f"{CLIENT} - - [")
        assert '"POST /api/v1/-/telemetry HTTP/1.1" 200 0' in text
        assert '"GET /api/devices HTTP/1.1" 401' in text
        assert token not in text

    anyrun(check())


def test_a_proxy_that_is_no_address(anyrun, tmp_path: Path) -> None:
    async def check() -> None:
        with pytest.raises(ConfigError, match="trusted_proxies"):
            await Server(data=tmp_path, **settings(trusted_proxies=["my-proxy"])).start()  # type: ignore[arg-type]

    anyrun(check())
