"""Unix stream sockets: clients and servers by path."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys

import pytest
from loop_peers import Recorder


def echo():
    class Echo(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            self.transport.write(data)

    return Echo()


async def round_trip(**where):
    reader, writer = await asyncio.open_unix_connection(**where)
    writer.write(b"hello\n")
    assert await reader.readline() == b"hello\n"
    writer.close()
    await writer.wait_closed()


def test_a_round_trip_by_path(run, tmp_path):
    async def main():
        path = tmp_path / "socket"
        server = await asyncio.get_running_loop().create_unix_server(echo, path)
        await round_trip(path=path)
        server.close()
        await server.wait_closed()

    run(main())


def test_the_file_goes_with_the_server_unless_it_should_stay(anyrun, tmp_path):
    async def main():
        loop = asyncio.get_running_loop()
        for cleanup in (True, False):
            path = tmp_path / f"socket-{cleanup}"
            server = await loop.create_unix_server(echo, path, cleanup_socket=cleanup)
            assert path.exists()
            server.close()
            await server.wait_closed()
            assert path.exists() is not cleanup

    anyrun(main())


def test_by_default_it_is_as_with_asyncio(anyrun, tmp_path):
    async def main():
        path = tmp_path / "socket"
        server = await asyncio.get_running_loop().create_unix_server(echo, path)
        server.close()
        await server.wait_closed()
        assert path.exists() is (sys.version_info < (3, 13))

    anyrun(main())


def test_a_file_that_somebody_else_put_there_stays(anyrun, tmp_path):
    async def main():
        loop = asyncio.get_running_loop()
        path = tmp_path / "socket"
        first = await loop.create_unix_server(echo, path, cleanup_socket=True)
        second = await loop.create_unix_server(echo, path, cleanup_socket=True)  # replaces the file
        first.close()
        await first.wait_closed()
        await round_trip(path=path)
        second.close()
        await second.wait_closed()
        assert not path.exists()

    anyrun(main())


def test_a_stale_socket_is_replaced_and_a_file_is_not(run, tmp_path):
    async def main():
        loop = asyncio.get_running_loop()
        stale = tmp_path / "stale"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(stale))
        server = await loop.create_unix_server(echo, stale)
        await round_trip(path=stale)
        server.close()
        await server.wait_closed()
        file = tmp_path / "file"
        file.write_text("precious")
        with pytest.raises(OSError, match="is already in use"):
            await loop.create_unix_server(echo, file)
        assert file.read_text() == "precious"

    run(main())


def test_an_abstract_name(anyrun):
    async def main():
        name = f"\0hardpoint-test-{os.getpid()}"
        server = await asyncio.get_running_loop().create_unix_server(echo, name)
        await round_trip(path=name)
        server.close()
        await server.wait_closed()

    anyrun(main())


def test_ready_made_sockets(run, tmp_path):
    async def main():
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(tmp_path / "socket"))
        server = await asyncio.get_running_loop().create_unix_server(echo, sock=listening)
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(tmp_path / "socket"))
        await round_trip(sock=client)
        server.close()
        await server.wait_closed()

    run(main())


def test_nobody_there(run, tmp_path):
    async def main():
        with pytest.raises(FileNotFoundError):
            await asyncio.get_running_loop().create_unix_connection(Recorder, str(tmp_path / "none"))

    run(main())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "no path and sock were specified"),
        ({"path": "/x", "sock": "a socket"}, "path and sock can not be specified at the same time"),
        ({"path": "/x", "server_hostname": "h"}, "server_hostname is only meaningful with ssl"),
        ({"path": "/x", "ssl_handshake_timeout": 1}, "ssl_handshake_timeout is only meaningful with ssl"),
        ({"path": "/x", "ssl_shutdown_timeout": 1}, "ssl_shutdown_timeout is only meaningful with ssl"),
        ({"path": "/x", "ssl": True}, "you have to pass server_hostname when using ssl"),
    ],
)
def test_arguments_that_make_no_sense_for_a_client(anyrun, arguments, message):
    async def main():
        with pytest.raises(ValueError, match=message):
            await asyncio.get_running_loop().create_unix_connection(Recorder, **arguments)

    anyrun(main())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "path was not specified, and no sock specified"),
        ({"path": "/x", "sock": "a socket"}, ValueError, "can not be specified at the same time"),
        ({"path": "/x", "ssl": True}, TypeError, "ssl argument must be an SSLContext or None"),
        ({"path": "/x", "ssl_handshake_timeout": 1}, ValueError, "only meaningful with ssl"),
    ],
)
def test_arguments_that_make_no_sense_for_a_server(anyrun, arguments, error, message):
    async def main():
        with pytest.raises(error, match=message):
            await asyncio.get_running_loop().create_unix_server(Recorder, **arguments)

    anyrun(main())


def test_a_socket_of_another_kind_is_refused(anyrun):
    async def main():
        with socket.socket() as tcp, pytest.raises(ValueError, match="UNIX Domain Stream Socket was expected"):
            await asyncio.get_running_loop().create_unix_server(Recorder, sock=tcp)

    anyrun(main())


def test_tls_needs_a_context(anyrun):
    assert ssl.create_default_context() is not None

    async def main():
        a, b = socket.socketpair()
        with b, a, pytest.raises(ValueError, match="server_hostname"):
            await asyncio.get_running_loop().create_unix_connection(Recorder, sock=a, ssl=True)

    anyrun(main())
