"""TLS through asyncio's own SSLProtocol, over our transports."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from loop_peers import Recorder, pattern

CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""Self-signed for ``localhost``, valid until 2126, with its key: for these tests and nothing else."""


@pytest.fixture
def server_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


@pytest.fixture
def client_context():
    return ssl.create_default_context(cafile=CERTIFICATE)


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


def test_a_round_trip_of_more_than_the_buffers_hold(run, server_context, client_context):
    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_context, server_hostname="localhost"
        )
        assert writer.get_extra_info("peername") == ("127.0.0.1", port)
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        data = pattern(2_000_000)
        sending = asyncio.ensure_future(send(writer, data))
        assert await reader.readexactly(len(data)) == data
        await sending
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    async def send(writer, data):
        writer.write(data)
        await writer.drain()

    run(main())


def test_start_tls_upgrades_a_plain_connection(run, server_context, client_context):
    async def upgrade(reader, writer):
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go\n")
        await writer.start_tls(server_context)
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    async def main():
        server = await asyncio.start_server(upgrade, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"STARTTLS\n")
        assert await reader.readline() == b"go\n"
        await writer.start_tls(client_context, server_hostname="localhost")
        writer.write(b"now in secret\n")
        assert await reader.readline() == b"now in secret\n"
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    run(main())


def test_a_certificate_that_does_not_fit_is_refused(run, server_context, client_context):
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, _context: None)
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ssl.SSLCertVerificationError):
            await loop.create_connection(
                Recorder, "127.0.0.1", port, ssl=client_context, server_hostname="elsewhere.example"
            )
        server.close()
        await server.wait_closed()

    run(main())


def test_a_client_that_speaks_no_tls_harms_nobody(anyrun, server_context):
    async def main():
        loop = asyncio.get_running_loop()
        reported = []
        loop.set_exception_handler(lambda _loop, context: reported.append(context))
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        try:
            await reader.read()
        except ConnectionResetError:
            pass
        writer.close()
        server.close()
        await server.wait_closed()
        assert reported == [], "a peer's mistake is no fault of the program's"

    anyrun(main())
