"""aiohttp's client against aiohttp's server, both on our loop."""

from __future__ import annotations

import asyncio
import hashlib
import io
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

aiohttp = pytest.importorskip("aiohttp")
from aiohttp import web  # noqa: E402

MANY = 200
BIG = bytes(range(256)) * 40_000  # 10 MB: more than any buffer on the way holds


async def answer_json(request):
    return web.json_response({"name": request.match_info["name"], "query": dict(request.query)})


async def digest(request):
    found = hashlib.sha256()
    async for chunk in request.content.iter_any():
        found.update(chunk)
    return web.Response(text=found.hexdigest())


async def stream(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for at in range(0, len(BIG), 100_000):
        await response.write(BIG[at : at + 100_000])
    await response.write_eof()
    return response


async def echo_messages(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type == aiohttp.WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type == aiohttp.WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


@asynccontextmanager
async def served(folder: Path, *, tls=None, path=None):
    """The application's base URL, over TCP or a Unix socket."""
    app = web.Application()
    app.add_routes(
        [
            web.get("/hello/{name}", answer_json),
            web.post("/digest", digest),
            web.get("/stream", stream),
            web.get("/ws", echo_messages),
            web.static("/files", folder),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.UnixSite(runner, path) if path else web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield "http://unix" if path else f"http{'s' if tls else ''}://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def test_many_requests_at_once_share_few_connections(ours, tmp_path):
    async def main():
        async with (
            served(tmp_path) as url,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=8)) as session,
        ):

            async def ask(number):
                async with session.get(f"{url}/hello/{number}", params={"x": "y z"}) as response:
                    return await response.json()

            return await asyncio.gather(*(ask(number) for number in range(MANY)))

    answers = ours(main())
    assert answers == [{"name": str(number), "query": {"x": "y z"}} for number in range(MANY)]


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_ten_megabytes_each_way(ours, tmp_path, server_tls, client_tls, secure):
    async def main():
        async with (
            served(tmp_path, tls=server_tls if secure else None) as url,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client_tls)) as session,
        ):
            async with session.post(f"{url}/digest", data=io.BytesIO(BIG)) as response:
                sent = await response.text()
            async with session.get(f"{url}/stream") as response:
                got = await response.read()
            return sent, got

    sent, got = ours(main())
    assert sent == hashlib.sha256(BIG).hexdigest()
    assert got == BIG


@pytest.mark.parametrize("secure", [False, True], ids=["sendfile", "tls"])
def test_a_file_is_sent(ours, tmp_path, server_tls, client_tls, secure):
    (tmp_path / "big.bin").write_bytes(BIG)

    async def main():
        async with (
            served(tmp_path, tls=server_tls if secure else None) as url,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client_tls)) as session,
        ):
            async with session.get(f"{url}/files/big.bin") as response:
                whole = await response.read()
            async with session.get(f"{url}/files/big.bin", headers={"Range": "bytes=1000-1999"}) as response:
                return whole, response.status, await response.read()

    assert ours(main()) == (BIG, 206, BIG[1000:2000])


def test_web_socket_messages_of_any_size(ours, tmp_path):
    async def main():
        async with (
            served(tmp_path) as url,
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{url}/ws", max_msg_size=0) as socket,
        ):
            echoed = []
            for message in ("", "hello", "ü" * 1000):
                await socket.send_str(message)
                echoed.append(await socket.receive_str())
            await socket.send_bytes(BIG[:3_000_000])
            echoed.append(len(await socket.receive_bytes()))
        return echoed, socket.close_code

    assert ours(main()) == (["", "hello", "ü" * 1000, 3_000_000], 1000)


def test_over_a_unix_socket(ours, tmp_path):
    path = str(tmp_path / "web.sock")

    async def main():
        async with (
            served(tmp_path, path=path) as url,
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session,
            session.get(f"{url}/hello/unix") as response,
        ):
            return (await response.json())["name"]

    assert ours(main()) == "unix"


def test_a_request_that_takes_too_long_is_given_up(ours, tmp_path):
    async def main():
        silent = await asyncio.start_server(lambda _reader, writer: held.append(writer), "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        held = []
        async with silent, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.2)) as session:
            with pytest.raises(TimeoutError):
                await session.get(f"http://127.0.0.1:{port}/")
            for writer in held:
                writer.close()
                await writer.wait_closed()

    ours(main())
